import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals'
import {
  buildWorld,
  contactRecord,
  type EventHome,
  eventRecord,
  openEventHome,
  type World,
} from '../../support/build-deps.js'

const START = '2026-08-03T02:00:00Z'
const VIP = { id: 'vip', type: 'flag', when: { event: 'order_paid' }, writeback: '价值/高价值' }
const QUIET = { id: 'quiet', type: 'flag', when: { event: 'order_paid' } }
let home: EventHome
let world: World
beforeAll(async () => {
  home = await openEventHome()
})
afterAll(async () => home.close())
afterEach(async () => world.close())

it('a value that changes is due at everybody who has the person, and only tags that are written back', async () => {
  world = await buildWorld(home, { at: START, definitions: { tags: [VIP, QUIET] } })
  await world.accept('a', contactRecord('a', START), contactRecord('b', START))
  await world.run()
  expect(await world.docs.writebacks.count({})).toBe(0)
  await world.accept('b', eventRecord('a', 'order_paid', START))
  await world.run()
  expect(await world.docs.writebacks.find({})).toEqual([
    expect.objectContaining({
      _id: 'guide-1/wm-a',
      tagIds: ['vip'],
      wayKeys: [],
      nextAt: new Date('2026-08-03T02:00:10Z'),
    }),
  ])
})

it('who comes through a live code is due at once, with the tags she has already', async () => {
  world = await buildWorld(home, { at: START, definitions: { tags: [VIP] } })
  await world.docs.wecomWays.put([
    {
      _id: 'way/store-001',
      kind: 'way',
      definition: {
        id: 'store-001',
        name: '门店 001',
        scene: 'qr_code',
        skipVerify: true,
        users: ['guide-1'],
        departments: [],
        shifts: [],
        backup: [],
        away: [],
        tags: ['来源/门店'],
      },
      state: 'live',
      channel: 'store-001',
      appliedAt: new Date(START),
    },
  ])
  await world.accept('a', eventRecord('a', 'order_paid', START))
  await world.run()
  const came = { userId: 'guide-1', externalUserId: 'wm-a', state: 'store-001' }
  const added = { id: 'add:a', name: 'contact_added', occurredAt: new Date(START), properties: came }
  await world.accept('b', contactRecord('a', START, 'guide-1', { events: [added] }))
  await world.run()
  expect(await world.docs.writebacks.find({})).toEqual([
    expect.objectContaining({
      _id: 'guide-1/wm-a',
      tagIds: ['vip'],
      wayKeys: ['way/store-001'],
      nextAt: new Date(START),
    }),
  ])
})
