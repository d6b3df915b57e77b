import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { nextStatisticsAt, pullStatistics } from '../../../src/services/wecom/pull-statistics.js'
import { UpstreamError } from '../../../src/errors.js'
import { DAY_MS } from '../../../src/time.js'
import { control } from '../../sandbox/support.js'
import { openWecomWorld, type WecomWorld } from '../../support/wecom-world.js'

const START = new Date('2026-08-03T02:00:00Z') // 10:00 in Shanghai
let world: WecomWorld
beforeEach(async () => {
  world = await openWecomWorld(
    {
      members: [{ userId: 'guide001', name: '导购 001' }],
      contacts: [
        {
          externalUserId: 'wm1',
          name: '顾客 1',
          addedAt: new Date(START.getTime() + 3_600_000),
          followUserIds: ['guide001'],
        },
      ],
    },
    START,
  )
  await world.docs.wecomMembers.put([{ _id: 'guide001', departmentIds: [1], serves: true, state: 'active' }])
})
afterEach(async () => {
  await world.close()
})

describe('figures of WeCom', () => {
  it('are pulled once a day, a day late, by member and by owner of groups', async () => {
    const group = await control(world.sandbox, 'groups', { owner: 'guide001', name: '会员群', members: [] })
    await world.docs.wecomGroups.put([
      {
        _id: String(group.data['chatId']),
        name: '会员群',
        ownerUserId: 'guide001',
        createdAt: START,
        state: 'active',
        members: [],
        revision: 1,
      },
    ])
    expect((await nextStatisticsAt(world.deps))! <= START).toBe(true)
    await pullStatistics(world.deps)
    expect(await nextStatisticsAt(world.deps)).toEqual(new Date('2026-08-04T01:00:00Z'))
    await world.sandbox.advanceTo(new Date('2026-08-04T01:00:00Z'))
    await pullStatistics(world.deps)
    expect((await world.docs.wecomDays.get('member:guide001:2026-08-03'))?.figures).toMatchObject({
      new_contact_cnt: 1,
    })
    expect((await world.docs.wecomDays.get('groups:guide001:2026-08-03'))?.figures).toMatchObject({ chat_total: 1 })
    expect(await world.docs.wecomDays.get('member:guide001:2026-08-04')).toBeUndefined()
    const before = await world.docs.wecomDays.find({})
    await pullStatistics(world.deps)
    expect(await world.docs.wecomDays.find({})).toEqual(before)
  })

  it('are asked for again in an hour when WeCom does not answer', async () => {
    world.sandbox.fault({ kind: 'html', path: '/cgi-bin/externalcontact/get_user_behavior_data', times: 5 })
    await pullStatistics(world.deps)
    expect(await nextStatisticsAt(world.deps)).toEqual(new Date(START.getTime() + 3_600_000))
    await world.sandbox.advanceTo(new Date(START.getTime() + DAY_MS))
    world.sandbox.clearFaults()
    await pullStatistics(world.deps)
    expect((await world.docs.wecomDays.get('member:guide001:2026-08-03'))?.figures).toMatchObject({
      new_contact_cnt: 1,
    })
  })

  describe('of a member who has left and whom the mirror still has', () => {
    const ownedBy = (ownerUserId: string) => ({
      ...{ _id: `chat-${ownerUserId}`, name: '会员群', ownerUserId, createdAt: START },
      ...{ state: 'active' as const, members: [], revision: 1 },
    })
    const refuse = (...gone: string[]) => {
      const { statistics } = world.deps.wecomActions
      const { ofMember, ofOwners } = {
        ofMember: statistics.ofMember.bind(statistics),
        ofOwners: statistics.ofOwners.bind(statistics),
      }
      const refusal = () => Promise.reject(new UpstreamError('wecom', '60111', false, 'no such member'))
      statistics.ofMember = (userId, from, to) => (gone.includes(userId) ? refusal() : ofMember(userId, from, to))
      statistics.ofOwners = (userIds, on) =>
        userIds.some((id) => gone.includes(id)) ? refusal() : ofOwners(userIds, on)
    }
    beforeEach(async () => {
      await world.docs.wecomMembers.put([{ _id: 'gone', departmentIds: [1], serves: true, state: 'active' }])
      const group = await control(world.sandbox, 'groups', { owner: 'guide001', name: '会员群', members: [] })
      await world.docs.wecomGroups.put([{ ...ownedBy('guide001'), _id: String(group.data['chatId']) }, ownedBy('gone')])
      await world.sandbox.advanceTo(new Date(START.getTime() + DAY_MS))
    })

    it('are left out; those of the others are pulled', async () => {
      refuse('gone')
      await pullStatistics(world.deps)
      expect(await world.docs.wecomDays.get('member:guide001:2026-08-03')).toBeDefined()
      expect(await world.docs.wecomDays.get('groups:guide001:2026-08-03')).toBeDefined()
      expect(await nextStatisticsAt(world.deps)).toEqual(new Date('2026-08-05T01:00:00Z'))
    })

    it('are no reason when all are refused: that is asked again in an hour', async () => {
      refuse('gone', 'guide001')
      await pullStatistics(world.deps)
      expect(await nextStatisticsAt(world.deps)).toEqual(new Date(START.getTime() + DAY_MS + 3_600_000))
    })
  })

  it('are not pulled when switched off, or before anybody is known', async () => {
    world.deps.wecomSettings.statisticsAt = 'off'
    expect(await nextStatisticsAt(world.deps)).toBeUndefined()
    world.deps.wecomSettings.statisticsAt = '09:00'
    await world.docs.wecomMembers.delete({})
    expect(await nextStatisticsAt(world.deps)).toBeUndefined()
  })
})
