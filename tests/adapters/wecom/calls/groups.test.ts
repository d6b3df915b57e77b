import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { openGidOf } from '../../../../sandbox/http/wecom/groups.js'
import type { World } from '../../../../sandbox/world/world.js'
import { client as bareClient } from '../../../sandbox/support.js'
import { all, codeOf, openStand, type Stand } from '../stand.js'

let stand: Stand

beforeEach(async () => {
  stand = await openStand()
})
afterEach(() => stand.close())

const make = async (owner: string, name: string, ...people: string[]) =>
  (await stand.control<{ chatId: string }>('groups', { owner, name, members: people.map((id) => ({ id })) })).chatId
const change = (chatId: string, what: object) => stand.control('groups/change', { chatId, ...what })

describe('groups', () => {
  it('are listed by owner, in pages, all of them once', async () => {
    const ids = []
    for (let i = 0; i < 5; i++) ids.push(await make(i < 3 ? 'g1' : 'g2', `客户群 ${i}`))
    expect((await all(stand.client.groups.list())).map((g) => g.chat_id).sort()).toEqual([...ids].sort())
    expect((await all(stand.client.groups.list({ owners: ['G2'] }))).map((g) => g.chat_id).sort()).toEqual(
      ids.slice(3).sort(),
    )
    expect(await all(stand.client.groups.list({ status: 1 }))).toEqual([])
    expect(await codeOf(all(stand.client.groups.list({ owners: ['nobody'] })))).toBe(40003)
  })

  it('tell members with names and unionids, and change their version with every change of the members', async () => {
    const chatId = await make('g1', '老客户群', 'wmc1', 'wmStranger')
    const before = (await stand.client.groups.get(chatId))!
    expect(before).toMatchObject({ name: '老客户群', owner: 'g1', admin_list: [] })
    expect(before.member_list.map((m) => [m.userid, m.type, m.name, m.unionid])).toEqual([
      ['g1', 1, '导购 001', undefined],
      ['wmStranger', 2, undefined, undefined],
      ['wmc1', 2, '顾客 wmc1', 'ou1'],
    ])
    await change(chatId, { join: [{ id: 'wmc2' }], leave: ['wmStranger'] })
    const after = (await stand.client.groups.get(chatId))!
    expect(after.member_list.map((m) => m.userid)).toEqual(['g1', 'wmc1', 'wmc2'])
    expect(after.member_version).not.toBe(before.member_version)
    const versions = stand.events('change_external_chat').filter((e) => e['ChangeType'] === 'update')
    expect(versions.map((e) => e['UpdateDetail'])).toEqual(['add_member', 'del_member'])
    expect(versions[0]!['LastMemVer']).toBe(before.member_version)
    expect(versions[1]!['CurMemVer']).toBe(after.member_version)
  })

  it('are gone when dismissed, or never there', async () => {
    const chatId = await make('g1', '临时群')
    await change(chatId, { dismiss: true })
    expect(await stand.client.groups.get(chatId)).toBeUndefined()
    expect(await stand.client.groups.get('wrNothing')).toBeUndefined()
    expect(await all(stand.client.groups.list())).toEqual([])
  })

  it('are found by the id a mini program sees', async () => {
    const chatId = await make('g1', '小程序群')
    const opengid = openGidOf({ seed: 1 } as World, chatId)
    expect(await stand.client.groups.idOfOpengid(opengid)).toBe(chatId)
    expect(await codeOf(stand.client.groups.idOfOpengid('tGnothing'))).toBe(90511)
  })

  it('outside the visible range are neither listed nor told', async () => {
    await stand.close()
    stand = await openStand({ apps: [{ name: 'siyu', visible: { members: ['g1'] } }] })
    const own = await make('g1', '自己的群')
    const hidden = await make('g2', '别人的群')
    expect(await all(stand.client.groups.list())).toEqual([{ chat_id: own, status: 0 }])
    expect(await codeOf(all(stand.client.groups.list({ owners: ['g2'] })))).toBe(60011)
    expect(await codeOf(stand.client.groups.get(hidden))).toBe(60011)
  })

  it('are refused a list without a limit', async () => {
    const api = await bareClient(stand.sandbox)
    expect((await api.post('externalcontact/groupchat/list', {})).errcode).toBe(40058)
    expect((await api.post('externalcontact/groupchat/list', { limit: 10, cursor: 'nonsense' })).errcode).toBe(50100)
  })
})

describe('join ways', () => {
  it('bring a customer into the first group with room, with their state', async () => {
    const chatId = await make('g1', '会员群')
    const configId = await stand.client.joinWays.create({ scene: 'qr_code', chatIds: [chatId], state: 'store-7' })
    const scanned = await stand.control('scan', { configId, externalUserId: 'wmc2' })
    expect(scanned).toEqual({ kind: 'joined', chatId })
    expect(await stand.control('scan', { configId, externalUserId: 'wmc2' })).toEqual({ kind: 'in_group', chatId })
    const member = (await stand.client.groups.get(chatId))!.member_list.find((m) => m.userid === 'wmc2')
    expect(member).toMatchObject({ join_scene: 3, state: 'store-7' })
    const [joined] = stand.events('change_external_chat').filter((e) => e['UpdateDetail'] === 'add_member')
    expect(joined!['JoinScene']).toBe('3')
  })

  it('are replaced as a whole: what an update leaves out returns to its default', async () => {
    const chatId = await make('g1', '会员群')
    const way = { scene: 'qr_code', chatIds: [chatId], state: 'a', remark: '门店', createsGroups: false } as const
    const configId = await stand.client.joinWays.create({ ...way, groupBaseName: '会员群', groupBaseNumber: 10 })
    expect(await stand.client.joinWays.get(configId)).toMatchObject({ configId, ...way, groupBaseNumber: 10 })
    await stand.client.joinWays.update(configId, { scene: 'mini_program', chatIds: [chatId] })
    const updated = await stand.client.joinWays.get(configId)
    expect(updated).toMatchObject({ scene: 'mini_program', createsGroups: true, groupBaseNumber: 1 })
    expect(updated).not.toHaveProperty('state')
    expect(updated).not.toHaveProperty('remark')
    await stand.client.joinWays.delete(configId)
    expect(await stand.client.joinWays.get(configId)).toBeUndefined()
    expect(await codeOf(stand.client.joinWays.delete(configId))).toBe(41044)
  })

  it('lead to at most 5 groups that are there', async () => {
    const create = (chatIds: string[]) => codeOf(stand.client.joinWays.create({ scene: 'qr_code', chatIds }))
    expect(await create(['1', '2', '3', '4', '5', '6'])).toBe(41091)
    expect(await create(['wrNothing'])).toBe(90501)
    expect(await create([])).toBe(40058)
  })
})
