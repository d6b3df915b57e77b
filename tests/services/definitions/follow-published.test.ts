import { WHOLE } from '../../../src/ports/job-queue.js'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import type { Log } from '../../../src/log.js'
import { followPublished } from '../../../src/services/definitions/follow-published.js'
import { publishDefinitions } from '../../../src/services/definitions/publish-definitions.js'
import { publishedVersion } from '../../../src/services/definitions/read-published.js'
import type { ServiceDeps } from '../../../src/services/runtime/deps.js'
import { lanes } from '../../../src/services/runtime/lanes.js'
import { runOperation } from '../../../src/services/runtime/run-operation.js'
import { around } from '../../support/around.js'
import {
  buildWorld,
  contactRecord,
  define,
  type Definitions,
  type EventHome,
  eventRecord,
  openEventHome,
  operationsOf,
  type World,
} from '../../support/build-deps.js'

const START = '2026-03-02T02:00:00Z'
const CALL = { task: { title: '回电', script: 'words', due: '2d' } }
const CONTENTS = [{ id: 'words', text: '您好' }]
const BEFORE: Definitions = {
  contents: CONTENTS,
  journeys: [{ id: 'care', enter: { on: 'asked' }, steps: [{ wait: '3d' }, CALL] }],
}

let home: EventHome
/** The process that publishes. */
let world: World
/** Another one over the same stores, which looks at what is published only when it takes up work. */
let other: ServiceDeps
let errors: string[]
beforeAll(async () => {
  home = await openEventHome()
})
afterAll(() => home.close())
beforeEach(async () => {
  world = await buildWorld(home, { at: START, definitions: BEFORE })
  errors = []
  const log: Log = { info: () => undefined, warn: () => undefined, error: (fact) => void errors.push(fact) }
  other = { ...world.deps, log, definitions: { current: world.deps.definitions.current } }
})
afterEach(() => world.close())

const work = (name: string, deps: ServiceDeps = other) =>
  lanes.find((l) => l.name === name)!.run(deps, undefined, WHOLE)
const runsOf = async (journeyId: string) =>
  (await world.docs.runs.find({ journeyId })).map(({ version, state, outcome }) => ({ version, state, outcome }))

describe('a publication that is being taken over', () => {
  it('is taken over with the refresh it asks for, or not at all', async () => {
    const tag = (event: string) => ({ ...BEFORE, tags: [{ id: 'keen', type: 'flag', when: { event } }] })
    await world.publish(tag('asked'))
    await followPublished(other)
    const asked = async () => (await world.docs.meta.get('schedule:weekly'))?.value
    const before = await asked()
    await publishDefinitions(world.deps, define(tag('paid')))
    const failing = around(other, 'meta', 'get', async (_n, [id]) => {
      if (id === 'evaluated') throw new Error('the store does not answer')
    })
    await expect(followPublished(failing)).rejects.toThrow('does not answer')
    await followPublished(other)
    expect(other.definitions.current.version).toBe(await publishedVersion(world.docs))
    expect(await asked()).toBe((before ?? 0) + 1)
  })
})

describe('a worker that has not followed a publication', () => {
  it('lets in whoever enters under it', async () => {
    await world.publish({
      contents: CONTENTS,
      journeys: [
        { id: 'care', enter: { on: 'asked' }, steps: [{ wait: '5d' }, CALL] },
        { id: 'thanks', enter: { on: 'paid' }, steps: [CALL] },
      ],
    })
    await world.accept(
      'a',
      contactRecord('m1', START),
      eventRecord('m1', 'asked', START),
      eventRecord('m1', 'paid', START),
    )
    await work('process-batches')
    expect(await runsOf('care')).toEqual([{ version: 2, state: 'waiting' }])
    expect(await runsOf('thanks')).toEqual([{ version: 1, state: 'waiting' }])
    await work('resume-runs')
    expect(await world.docs.touches.find({ journeyId: 'thanks' })).toHaveLength(1)
  })

  it('ends a run that began under it by its exit event', async () => {
    await world.publish({
      contents: CONTENTS,
      journeys: [{ id: 'care', enter: { on: 'asked' }, exit: { on: 'paid' }, steps: [{ wait: '3d' }, CALL] }],
    })
    await world.accept('a', contactRecord('m1', START), eventRecord('m1', 'asked', START))
    await world.run()
    expect(await runsOf('care')).toEqual([{ version: 2, state: 'waiting' }])
    world.clock.set(new Date('2026-03-02T03:00:00Z'))
    await world.accept('b', eventRecord('m1', 'paid', '2026-03-02T03:00:00Z'))
    await work('process-batches')
    expect(await runsOf('care')).toEqual([{ version: 2, state: 'ended', outcome: 'exited' }])
  })

  it('refreshes under it: nobody waits for the weekly pass', async () => {
    await world.accept('a', contactRecord('m1', START), eventRecord('m1', 'asked', START))
    await world.run()
    await world.publish({
      contents: CONTENTS,
      tags: [{ id: 'curious', type: 'flag', when: { event: 'asked' } }],
      journeys: [{ id: 'late', enter: { when: { tag: 'curious' } }, steps: [CALL] }],
    })
    await work('run-schedules')
    expect(await world.docs.profileTags.find({ 'tags.curious': { $exists: true } })).toHaveLength(1)
    expect(await runsOf('late')).toEqual([{ version: 1, state: 'waiting' }])
    expect(other.definitions.current.version).toBe(2)
  })

  it('does the refresh again when something was published in the middle of it', async () => {
    await world.accept('a', contactRecord('m1', START), eventRecord('m1', 'asked', START))
    await world.run()
    const tag = (id: string) => ({ id, type: 'flag', when: { event: 'asked' } })
    await world.publish({ contents: CONTENTS, tags: [tag('first')] })
    let published = false
    const query: typeof other.events.query = async (sql, row, queue) => {
      if (!published && queue === 'scan') {
        published = true
        await world.publish({
          contents: CONTENTS,
          tags: [tag('first'), tag('second')],
          journeys: [{ id: 'late', enter: { when: { tag: 'second' } }, steps: [CALL] }],
        })
        await work('collect-results', world.deps) // the publisher takes it over, and asks for a refresh
      }
      return world.deps.events.query(sql, row, queue)
    }
    const busy = { ...other, events: { ...world.deps.events, query } }
    await work('run-schedules', busy)
    expect(published).toBe(true)
    expect(await runsOf('late')).toEqual([])
    await work('run-schedules', busy)
    expect(await runsOf('late')).toEqual([{ version: 1, state: 'waiting' }])
    const tags = (await world.docs.profileTags.find({})).flatMap((t) => Object.keys(t.tags))
    expect(tags.sort()).toEqual(['first', 'second'])
  })

  it('stores with its plan which publication it was made under', async () => {
    await world.publish({ ...BEFORE, tags: [{ id: 'curious', type: 'flag', when: { event: 'asked' } }] })
    await world.accept('a', contactRecord('m1', START))
    // Dies before each write in turn, until the plan is one of those that were done.
    for (let n = 1; (await world.docs.batches.get('a'))!.state === 'accepted'; n++) {
      world.faults.failAt = world.faults.writes + n
      await expect(work('process-batches')).rejects.toThrow('crash')
      world.faults.revive()
    }
    expect((await world.docs.batches.get('a'))!.plan!.definitions).toBe(2)
    await work('process-batches', world.deps)
    expect(await world.docs.batches.get('a')).toMatchObject({ state: 'done' })
  })

  it('answers operators by it', async () => {
    await world.publish({ ...BEFORE, tags: [{ id: 'curious', type: 'flag', when: { event: 'asked' } }] })
    const { tags } = await runOperation({ ...operationsOf(world), deps: other }, 'key:1', 'tags', {})
    expect(tags.map((t) => t.id)).toEqual(['curious'])
  })

  it('leaves the work to others when it cannot read it, and says so once', async () => {
    const { docs } = world
    const version = (await publishedVersion(docs)) + 1
    const [files] = await docs.published.find({ kind: 'identity' })
    await docs.published.put([{ ...files!, value: '["of a newer program"]' }])
    await docs.meta.update('published', { $set: { value: version } })
    await world.accept('a', contactRecord('m1', START), eventRecord('m1', 'asked', START))
    await work('process-batches')
    await work('process-batches')
    await work('run-schedules')
    expect(await docs.batches.get('a')).toMatchObject({ state: 'accepted' })
    expect(errors).toEqual(['published definitions cannot be read, work is left to others'])

    // One that can read it does the work; the first one follows the next publication.
    await docs.published.put([files!])
    await work('process-batches', world.deps)
    expect(await docs.batches.get('a')).toMatchObject({ state: 'done' })
    await world.publish({ contents: CONTENTS, journeys: [{ id: 'thanks', enter: { on: 'paid' }, steps: [CALL] }] })
    await world.accept('b', eventRecord('m1', 'paid', START))
    await work('process-batches')
    expect(await runsOf('thanks')).toHaveLength(1)
  })
})

describe('publishing', () => {
  it('is no new publication when nothing changed', async () => {
    const before = await publishedVersion(world.docs)
    await world.publish(BEFORE)
    expect(await publishedVersion(world.docs)).toBe(before)
    await world.publish({ ...BEFORE, policy: { confirmWithin: '4d' } })
    expect(await publishedVersion(world.docs)).toBe(before + 1)
  })

  it('by several at the same time ends with what one of them said, whole', async () => {
    const ways = Array.from({ length: 5 }, (_, i) =>
      define({
        contents: CONTENTS,
        journeys: [{ id: 'care', enter: { on: 'asked' }, steps: [{ wait: `${i + 4}d` }, CALL] }],
        policy: { confirmWithin: `${i + 4}d` },
      }),
    )
    await Promise.all(ways.map((loaded) => publishDefinitions(world.deps, loaded)))
    await work('collect-results')
    const { journeys, policy, version } = other.definitions.current
    expect(version).toBe(6)
    const { journey } = journeys.get('care')!
    expect(journey.steps[0]).toEqual({ wait: policy.confirmWithin })
  })
})
