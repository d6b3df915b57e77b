import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { processBatches } from '../../../src/services/ingest/process-batches.js'
import { nextScheduleAt, runSchedules } from '../../../src/services/runtime/run-schedules.js'
import { nextReconciliationAt, reconcileWecom } from '../../../src/services/wecom/reconcile-wecom.js'
import { nextStatisticsAt } from '../../../src/services/wecom/pull-statistics.js'
import { nextMoment } from '../../../src/stored/runtime.js'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../../src/time.js'
import {
  buildWorld,
  contactRecord,
  type EventHome,
  eventRecord,
  openEventHome,
  type World,
} from '../../support/build-deps.js'

let home: EventHome
let world: World
const START = '2026-03-02T02:00:00Z' // 10:00 in Shanghai
const hoursIn = (hours: number) => new Date(Date.parse(START) + hours * HOUR_MS)
beforeAll(async () => {
  home = await openEventHome()
})
beforeEach(async () => {
  world = await buildWorld(home, {
    at: START,
    wecomSettings: { reconcileAt: '04:00', statisticsAt: '09:00' },
    definitions: {
      contents: [{ id: 'hello', text: 'hello' }],
      tags: [{ id: 'recent', type: 'flag', when: { event: 'seen', within: '1d' } }],
      journeys: [
        {
          id: 'hello',
          enter: { on: 'registered' },
          exit: { on: 'order_paid' },
          steps: [{ wait: '1h' }, { send: { channel: 'wecom', content: 'hello' } }],
        },
      ],
    },
  })
})
afterEach(() => world.close())
afterAll(() => home.close())

/** Of another worker, or of this one for a moment. */
const ahead = () => ({ ...world.deps, clock: { now: () => new Date(world.clock.now().getTime() + 30 * DAY_MS) } })

describe('after a clock that was a month ahead', () => {
  it('events begin journeys at the time it is, and end them', async () => {
    await world.accept('ahead', eventRecord('m0', 'seen', START))
    await processBatches(ahead())
    world.clock.set(hoursIn(1))
    for (const [guide, name] of ['m1', 'm2'].entries())
      await world.accept(
        name,
        contactRecord(name, START, `guide-${guide}`),
        eventRecord(name, 'registered', hoursIn(1)),
      )
    await world.until(hoursIn(1.5))
    await world.accept('pays', eventRecord('m2', 'order_paid', hoursIn(1.5)))
    await world.until(hoursIn(4))
    expect((await world.docs.runs.find({})).map((r) => [r.enteredAt, r.outcome])).toEqual([
      [hoursIn(1), 'finished'],
      [hoursIn(1), 'exited'],
    ])
    expect(world.wecom.sent).toHaveLength(1)
  })

  it('schedules come at their next times', async () => {
    await world.accept('a', eventRecord('m1', 'seen', START))
    await world.until(hoursIn(1))
    await runSchedules(ahead())
    expect((await nextScheduleAt(world.deps))!.getTime()).toBeLessThan(hoursIn(25).getTime())
    await world.until(hoursIn(72))
    expect((await world.docs.profileTags.get(1))?.tags).toEqual({})
  })

  it('so do the reconciliation and the statistics', async () => {
    await nextReconciliationAt(world.deps)
    await reconcileWecom(ahead())
    await world.docs.wecomMembers.put([{ _id: 'guide-1', departmentIds: [], serves: true, state: 'active' }])
    const later = new Date(world.clock.now().getTime() + 30 * DAY_MS)
    await world.docs.meta.put(['statistics', 'statistics:pause'].map((_id) => ({ _id, at: later })))
    const tomorrow = hoursIn(24)
    expect((await nextReconciliationAt(world.deps))!.getTime()).toBeLessThan(tomorrow.getTime())
    expect((await nextStatisticsAt(world.deps))!.getTime()).toBeLessThan(tomorrow.getTime())
  })
})

describe('the instant of the next group of work', () => {
  it.each([
    ['does not fall while clocks differ by minutes', 5 * MINUTE_MS, 5 * MINUTE_MS],
    ['is that of the clock when the last one lies further ahead', 5 * MINUTE_MS + 1, 0],
  ])('%s', async (_name, aheadMs, expectedMs) => {
    const { meta } = world.docs
    const now = world.clock.now().getTime()
    const first = await nextMoment(meta, { now: () => new Date(now + aheadMs) })
    const second = await nextMoment(meta, world.clock)
    expect([second.seq, second.now.getTime() - now]).toEqual([first.seq + 1, expectedMs])
    expect((await meta.get('counter:evaluation'))?.at).toEqual(new Date(now + expectedMs))
  })
})
