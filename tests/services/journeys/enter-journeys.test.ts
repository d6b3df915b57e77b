import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { processBatches } from '../../../src/services/ingest/process-batches.js'
import { openRefresh, workRefreshes } from '../../../src/services/tags/refresh-profiles.js'
import { runSchedules } from '../../../src/services/runtime/run-schedules.js'
import type { Run } from '../../../src/stored/journeys.js'
import { HOUR_MS, SECOND_MS } from '../../../src/time.js'
import { around, once } from '../../support/around.js'
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
beforeAll(async () => {
  home = await openEventHome()
})
afterEach(() => world.close())
afterAll(() => home.close())

const START = '2026-03-02T02:00:00Z' // 10:00 in Shanghai
const hoursIn = (hours: number) => new Date(Date.parse(START) + hours * HOUR_MS)
const contents = [{ id: 'hello', text: 'hello' }]
const steps = [{ wait: '1h' }, { send: { channel: 'wecom', content: 'hello' } }]
const start = async (journey: object) => {
  world = await buildWorld(home, {
    at: START,
    definitions: { contents, journeys: [{ id: 'visit', exit: { on: 'order_paid' }, steps, ...journey }] },
  })
}
const runs = async () => (await world.docs.runs.find({})).map((r) => [r._id, r.state, r.outcome])

/** What ingest does while a refresh is about to let somebody in. */
async function pays(...names: string[]): Promise<void> {
  world.clock.set(new Date(world.clock.now().getTime() + 5 * SECOND_MS))
  await world.accept('pays', ...names.map((name) => eventRecord(name, 'order_paid', world.clock.now())))
  await processBatches(world.deps)
}

describe('who is let in by a refresh', () => {
  it('leaves by an exit event that ingest took in meanwhile, from a recurring journey', async () => {
    await start({ enter: { every: '0 11 * * *', when: { not: { event: 'order_paid' } } } })
    await world.accept('a', contactRecord('m1', START), contactRecord('m2', START, 'guide-2'))
    await world.run()
    await runSchedules(world.deps)
    world.clock.set(hoursIn(1))
    await runSchedules(
      around(
        world.deps,
        'runs',
        'insert',
        once(() => pays('m1')),
      ),
    )
    await world.until(hoursIn(4))
    expect(await runs()).toEqual([
      ['visit:1:0', 'ended', 'exited'],
      ['visit:2:0', 'ended', 'finished'],
    ])
    expect(world.wecom.sent).toHaveLength(1)
  })

  it('leaves so from a journey with a rule', async () => {
    await start({ enter: { when: { all: [{ event: 'seen' }, { not: { event: 'seen', within: '1h' } }] } } })
    await world.accept('a', contactRecord('m1', START), eventRecord('m1', 'seen', START))
    await world.run()
    await runSchedules(world.deps)
    world.clock.set(hoursIn(2))
    await openRefresh(world.deps, { _id: 'r', kind: 'all', cause: 'schedule' })
    await workRefreshes(
      around(
        world.deps,
        'runs',
        'insert',
        once(() => pays('m1')),
      ),
    )
    while ((await workRefreshes(world.deps)) === 'more');
    await world.until(hoursIn(5))
    expect(await runs()).toEqual([['visit:1:0', 'ended', 'exited']])
    expect(world.wecom.sent).toEqual([])
  })

  it('leaves so by what somebody did who is found to be her meanwhile', async () => {
    await start({ enter: { every: '0 11 * * *', when: { event: 'seen' } } })
    await world.accept('a', contactRecord('m1', START), eventRecord('m1', 'seen', START), contactRecord('m2', START))
    await world.run()
    await runSchedules(world.deps)
    world.clock.set(hoursIn(1))
    const paysAndMerges = async () => {
      await pays('m2')
      const both = ['m1', 'm2'].map((value) => ({ type: 'member_id', value }))
      await world.accept('merges', { identifiers: both })
      await processBatches(world.deps)
    }
    await runSchedules(around(world.deps, 'runs', 'insert', once(paysAndMerges)))
    await world.until(hoursIn(4))
    expect(await runs()).toEqual([['visit:1:0', 'ended', 'exited']])
    expect(world.wecom.sent).toEqual([])
  })
})

describe('who was held still before letting somebody in', () => {
  const again = { enter: { on: 'registered' }, reenter: { after: '1h', max: 9 } }
  /** She is in until hour 3, and would enter again at 1.5. */
  const comesAgain = async () => {
    await start({ ...again, steps: [{ wait: '3h' }] })
    await world.accept('a', contactRecord('m1', START), eventRecord('m1', 'registered', START))
    await world.run()
    world.clock.set(hoursIn(1.5))
    await world.accept('b', eventRecord('m1', 'registered', hoursIn(1.5)))
  }

  it('keeps out whom somebody else has refused since, though nothing keeps her out any more', async () => {
    await comesAgain()
    const thawed = around(world.deps, 'runs', 'find', async (_n, [filter]) => {
      if (isDone || !JSON.stringify(filter).includes('journeyId')) return
      isDone = true
      await world.until(hoursIn(5))
    })
    let isDone = false
    await processBatches(thawed)
    expect(isDone).toBe(true)
    expect(await runs()).toEqual([['visit:1:0', 'ended', 'finished']])
    expect((await world.docs.refusals.find({})).map((r) => r.reason)).toEqual(['already_in'])
  })

  it('tells of the arm that somebody else drew at this instant, whatever her anchor would draw now', async () => {
    await start({ ...again, holdout: '0%' })
    await world.accept('a', contactRecord('m1', START), eventRecord('m1', 'registered', START))
    const drawnBefore = around(world.deps, 'runs', 'insert', async (n, [entered]) => {
      const [run] = entered as Run[]
      if (n === 1)
        await world.docs.runs.insert([
          { ...run!, arm: 'holdout', state: 'ended', outcome: 'holdout', endedAt: run!.enteredAt },
        ])
    })
    await processBatches(drawnBefore)
    const told = await world.docs.batches.find({ own: true })
    const entries = told
      .flatMap((b) => b.records ?? [])
      .flatMap((r) => r.events.filter((e) => e.name === 'journey_entered'))
    expect(entries.map((e) => e.properties)).toMatchObject([{ runId: 'visit:1:0', arm: 'holdout' }])
    expect(await runs()).toEqual([['visit:1:0', 'ended', 'holdout']])
  })

  it('lets nobody in and refuses nobody once others may have gone on', async () => {
    await comesAgain()
    const late = { ...world.deps, worker: { ...world.deps.worker, isLate: () => true } }
    await expect(processBatches(late)).rejects.toThrow('entered too slowly')
    expect(await world.docs.refusals.count({})).toBe(0)
  })
})
