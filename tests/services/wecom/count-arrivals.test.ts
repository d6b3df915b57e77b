import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { bilingual } from '../../../src/said.js'
import { renderArrivals, renderMembers } from '../../../src/cli/wecom-stats.js'
import { countArrivals } from '../../../src/services/wecom/count-arrivals.js'
import { buildWorld, type EventHome, openEventHome, type World } from '../../support/build-deps.js'

let home: EventHome
let world: World
beforeAll(async () => {
  home = await openEventHome()
})
afterAll(async () => home.close())
afterEach(async () => world.close())

const event = (name: string, id: string, at: string, who: string, properties: object = {}) => ({
  identifiers: [
    { type: 'external_userid', value: `wm-${who}` },
    { type: 'member_id', value: who },
  ],
  events: [
    {
      id: `${name}:${id}`,
      name,
      occurredAt: new Date(at),
      properties: { userId: 'guide001', externalUserId: `wm-${who}`, ...properties },
    },
  ],
})

describe('arrivals by channel and day', () => {
  it('count who came, left, stayed and bought; days end at midnight of the business', async () => {
    world = await buildWorld(home, { at: '2026-08-05T04:00:00Z' })
    await world.accept(
      'a',
      // 3 August in Shanghai, 2 August in UTC.
      event('contact_added', 'a', '2026-08-02T17:00:00Z', 'a', { state: 'store-001' }),
      event('contact_added', 'b', '2026-08-03T02:00:00Z', 'b', { state: 'store-001' }),
      event('contact_added', 'c', '2026-08-04T02:00:00Z', 'c'),
      event('contact_added', 'old', '2026-07-01T02:00:00Z', 'old', { state: 'fair' }),
      event('contact_deleted', 'b', '2026-08-04T03:00:00Z', 'b', { by: 'customer' }),
      event('contact_deleted', 'old', '2026-08-04T03:00:00Z', 'old', { by: 'member' }),
      event('contact_deleted', 'c', '2026-08-04T05:00:00Z', 'c', { by: 'transfer' }),
      event('order_paid', 'a', '2026-08-04T10:00:00Z', 'a'),
      event('order_paid', 'c', '2026-08-01T10:00:00Z', 'c'),
    )
    await world.run()
    const { from, to, arrivals } = await countArrivals(world.deps, 3)
    expect([from, to]).toEqual(['2026-08-03', '2026-08-05'])
    expect(arrivals).toEqual([
      { on: '2026-08-03', channel: 'store-001', added: 2, deleted: 0, standing: 1, ordered: 1 },
      { on: '2026-08-04', channel: '', added: 1, deleted: 0, standing: 1, ordered: 0 },
      { on: '2026-08-04', channel: 'fair', added: 0, deleted: 1, standing: 0, ordered: 0 },
      { on: '2026-08-04', channel: 'store-001', added: 0, deleted: 1, standing: 0, ordered: 0 },
    ])
    const table = renderArrivals(arrivals, bilingual('en'))
    expect(
      table
        .split('\n')
        .filter((line) => line.includes('store-001'))
        .at(-1),
    ).toMatch(/total +store-001 +2 +1 +1 +1 +1/)
  })

  it('count a relation that began anew once, and as standing', async () => {
    world = await buildWorld(home, { at: '2026-08-05T04:00:00Z' })
    await world.accept(
      'a',
      event('contact_added', 'a1', '2026-08-05T01:00:00Z', 'a', { state: 's' }),
      event('contact_deleted', 'a', '2026-08-05T02:00:00Z', 'a', { by: 'customer' }),
      event('contact_added', 'a2', '2026-08-05T03:00:00Z', 'a', { state: 's' }),
    )
    await world.run()
    expect((await countArrivals(world.deps, 1)).arrivals).toEqual([
      { on: '2026-08-05', channel: 's', added: 2, deleted: 1, standing: 1, ordered: 0 },
    ])
  })
})

describe('what members did', () => {
  it('adds days up, but takes totals of groups from the last one', async () => {
    world = await buildWorld(home, { at: '2026-08-05T04:00:00Z' })
    const day = (on: string, kind: 'member' | 'groups', figures: Record<string, number>) => ({
      _id: `${kind}:guide001:${on}`,
      kind,
      userId: 'guide001',
      on,
      figures,
    })
    await world.docs.wecomDays.put([
      day('2026-08-01', 'member', { new_contact_cnt: 100 }),
      day('2026-08-03', 'member', { new_contact_cnt: 2, chat_cnt: 5, message_cnt: 9, reply_percentage: 50 }),
      day('2026-08-04', 'member', {
        new_contact_cnt: 3,
        negative_feedback_cnt: 1,
        chat_cnt: 5,
        message_cnt: 9,
        reply_percentage: 100,
      }),
      day('2026-08-03', 'groups', { chat_total: 1, member_total: 10 }),
      day('2026-08-04', 'groups', { chat_total: 2, member_total: 30 }),
    ])
    const { members } = await countArrivals(world.deps, 3)
    expect(members).toEqual([
      {
        userId: 'guide001',
        added: 5,
        lost: 1,
        chats: 10,
        messages: 18,
        replyPercentage: 75,
        groups: 2,
        groupMembers: 30,
      },
    ])
    expect(renderMembers(members, bilingual('en'))).toMatch(/guide001 +5 +1 +10 +18 +75/)
  })
})
