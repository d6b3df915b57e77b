import { z } from 'zod'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { SourceRecord, type SourceRecordInput } from '../../../src/domain/events/record.js'
import { parseInput } from '../../../src/parse.js'
import { acceptRecords } from '../../../src/services/ingest/accept-records.js'
import { resumeRuns } from '../../../src/services/journeys/resume-runs.js'
import { atOnce } from '../../../src/services/runtime/with-lease.js'
import { Facts } from '../../../src/services/segments/facts.js'
import { findMatching } from '../../../src/services/segments/find-matching.js'
import { refreshNow } from '../../../src/services/tags/refresh-profiles.js'
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

type SaidRecord = Pick<SourceRecordInput, 'observedAt' | 'identifiers' | 'events'>

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

describe('what a host takes in whose clock is ahead', () => {
  const host = (aheadMs: number) => ({
    ...world.deps,
    clock: { now: () => new Date(world.clock.now().getTime() + aheadMs) },
  })
  const takeIn = (aheadMs: number, key: string, name: string, event: string, own?: true) => {
    const at = host(aheadMs).clock.now()
    const record = parseInput(SourceRecord, {
      ref: key,
      source: 'shop',
      ...(eventRecord(name, event, at) as SaidRecord),
    })
    return acceptRecords(host(aheadMs), key, [record], own && { own })
  }
  const Row = z.object({ name: z.string(), occurred: z.number(), known: z.number(), said: z.number() })
  const stored = async () =>
    (
      await world.query(
        `SELECT name, toUnixTimestamp64Milli(occurred_at) AS occurred, toUnixTimestamp64Milli(known_at) AS known,
        toUnixTimestamp64Milli(said_at) AS said FROM events WHERE name IN ('seen', 'registered') ORDER BY name`,
        Row,
      )
    ).map(({ name, occurred, known, said }) => {
      const now = Date.parse(START)
      return { name, occurred: occurred - now, known: known - now, said: said - now }
    })

  it.each([
    ['by as much as clocks may differ: it is as late as it was told, here too', 5 * MINUTE_MS, 5 * MINUTE_MS],
    ['by more: it counts as now, and what was told is kept', DAY_MS, 0],
  ])('%s', async (_what, aheadMs, expectedMs) => {
    await takeIn(aheadMs, 'a', 'm1', 'seen')
    await takeIn(aheadMs, 'b', 'm1', 'registered', true)
    await processBatches(world.deps)
    expect(await stored()).toEqual([
      { name: 'registered', occurred: expectedMs, known: expectedMs, said: aheadMs },
      { name: 'seen', occurred: expectedMs, known: expectedMs, said: aheadMs },
    ])
    expect(Object.keys((await world.docs.profileTags.get(1))!.tags)).toEqual(['recent'])
    const at = new Date(Date.parse(START) + expectedMs)
    expect((await world.docs.runs.find({})).map((r) => r.enteredAt)).toEqual([at])
    expect((await world.docs.profiles.get(1))?.createdAt).toEqual(at)
  })

  it('is there when another host refreshes everybody, tells who has it, or decides a branch', async () => {
    await world.publish({
      contents: [{ id: 'hello', text: 'hello' }],
      tags: [{ id: 'recent', type: 'flag', when: { event: 'seen', within: '1d' } }],
      segments: { seen: { event: 'seen' } },
      journeys: [
        {
          id: 'branches',
          enter: { on: 'registered' },
          steps: [
            {
              branch: [
                { if: { segment: 'seen' }, do: [{ send: { channel: 'wecom', content: 'hello' } }] },
                { else: [{ exit: true }] },
              ],
            },
          ],
        },
      ],
    })
    await world.accept('contact', contactRecord('m1', START))
    await world.run()
    await takeIn(0, 'a', 'm1', 'registered')
    await processBatches(world.deps)
    await takeIn(MINUTE_MS, 'b', 'm1', 'seen')
    await processBatches(host(MINUTE_MS))
    await resumeRuns({ ...host(0), facts: new Facts(world.deps.events, world.docs) })
    expect((await world.docs.touches.find({})).map((t) => t.contentId)).toEqual(['hello'])
    expect(await findMatching(host(0), { of: { segment: 'seen' }, limit: 9 })).toMatchObject({ people: 1 })
    await refreshNow(host(0), { _id: 'all', kind: 'all', cause: 'operator' }, atOnce)
    expect(Object.keys((await world.docs.profileTags.get(1))!.tags)).toEqual(['recent'])
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
