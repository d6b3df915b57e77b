import { describe, expect, it } from '@jest/globals'
import { hours, START } from '../support.js'
import { openWorld, raised } from './support.js'

describe('customer groups', () => {
  it('come, change and go, and call back as page 92130 says', () => {
    const world = openWorld()
    const { chats } = world
    const chatId = world.write(() =>
      chats.create({ owner: 'g1', name: '新品群', members: [{ id: 'wmc1', type: 2, scene: 3, state: 'door' }] }, START),
    )
    const first = chats.get(chatId)!
    expect(first).toMatchObject({ owner: 'g1', name: '新品群', createdAt: START, status: 0 })
    expect(first.memberVersion).toMatch(/^[0-9a-f]{32}$/)
    world.write(() => {
      expect(chats.join(chatId, [{ id: 'wmc2', type: 2, scene: 3 }, { id: 'wmc1', type: 2 }], hours(1))).toBe(1) // prettier-ignore
      expect(chats.leave(chatId, ['wmc1', 'g1', 'wmNobody'], 0, hours(2))).toBe(1) // the owner cannot leave
      expect(chats.rename(chatId, '老客群', hours(3))).toBe(true)
      expect(chats.rename(chatId, '老客群', hours(3))).toBe(false)
      expect(chats.changeOwner(chatId, 'g2', hours(4))).toBe(true)
      expect(chats.dismiss(chatId, hours(5))).toBe(true)
      expect(chats.join(chatId, [{ id: 'wmc3', type: 2 }], hours(6))).toBe(0)
    })
    expect(chats.members(chatId).map((m) => [m.id, m.type, m.joinScene, m.state])).toEqual([
      ['g1', 1, 1, undefined],
      ['wmc2', 2, 3, undefined],
      ['g2', 1, 1, undefined],
    ])
    const events = raised(world)
    const of = (fields: object) => expect.objectContaining({ Event: 'change_external_chat', ChatId: chatId, ...fields })
    expect(events).toEqual([
      of({ ChangeType: 'create' }),
      of({ UpdateDetail: 'add_member', JoinScene: '3', MemChangeCnt: '1', MemChangeList: { Item: 'wmc2' } }),
      of({ UpdateDetail: 'del_member', QuitScene: '0', MemChangeList: { Item: 'wmc1' } }),
      of({ UpdateDetail: 'change_name' }),
      of({ UpdateDetail: 'add_member', MemChangeList: { Item: 'g2' } }),
      of({ UpdateDetail: 'change_owner' }),
      of({ ChangeType: 'dismiss' }),
    ])
    // Each event's last version is the one before's current: a receiver sees what it missed.
    const versions = events.filter((e) => 'CurMemVer' in e).map((e) => [e['LastMemVer'], e['CurMemVer']])
    expect(versions.map(([last]) => last)).toEqual([
      first.memberVersion,
      ...versions.slice(0, -1).map(([, current]) => current),
    ])
    expect(chats.get(chatId)).toMatchObject({ owner: 'g2', memberVersion: versions.at(-1)![1], dismissedAt: hours(5) })
    expect(chats.list({ limit: 10 })).toEqual([])
  })

  it('wait for an heir when their owner leaves the company', () => {
    const world = openWorld()
    const { chats } = world
    const chatId = world.write(() => chats.create({ owner: 'g2', name: 'x', members: [] }, START))
    world.write(() => expect(world.resign('g2', hours(1))).toBe(true))
    expect(world.member('g2')).toBeUndefined()
    expect(world.staff.find('G2')).toMatchObject({ userId: 'g2' })
    expect(chats.list({ owners: ['g2'], status: 1, limit: 10 }).map((c) => c.chatId)).toEqual([chatId])
    world.write(() => expect(chats.changeOwner(chatId, 'g1', hours(2), 3)).toBe(true))
    expect(chats.get(chatId)).toMatchObject({ owner: 'g1', status: 3 })
  })
})
