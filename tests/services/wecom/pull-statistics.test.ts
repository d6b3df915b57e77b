import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { nextStatisticsAt, pullStatistics } from '../../../src/services/wecom/pull-statistics.js'
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

  it('are not pulled when switched off, or before anybody is known', async () => {
    world.deps.wecomSettings.statisticsAt = 'off'
    expect(await nextStatisticsAt(world.deps)).toBeUndefined()
    world.deps.wecomSettings.statisticsAt = '09:00'
    await world.docs.wecomMembers.delete({})
    expect(await nextStatisticsAt(world.deps)).toBeUndefined()
  })
})
