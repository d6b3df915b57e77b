import { WHOLE } from '../../../src/ports/job-queue.js'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import type { Log } from '../../../src/log.js'
import { followPublished } from '../../../src/services/definitions/follow-published.js'
import { publishDefinitions, withdrawContents } from '../../../src/services/definitions/publish-definitions.js'
import { publishedVersion } from '../../../src/services/definitions/read-published.js'
import type { ServiceDeps } from '../../../src/services/runtime/deps.js'
import { lanes } from '../../../src/services/runtime/lanes.js'
import { runOperation } from '../../../src/services/runtime/run-operation.js'
import { atOnce } from '../../../src/services/runtime/with-lease.js'
import { refreshNow, workRefreshes } from '../../../src/services/tags/refresh-profiles.js'
import { around, once } from '../../support/around.js'
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

  it('refreshes, too, where only a segment has changed that a tag reads by another one', async () => {
    await world.accept('a', contactRecord('m1', START), eventRecord('m1', 'asked', START))
    await world.run()
    const tags = [{ id: 'known', type: 'flag', when: { segment: 'known' } }]
    const publish = (event: string, other: string) =>
      world.publish({
        ...{ contents: CONTENTS, tags },
        segments: { met: { event }, known: { not: { not: { segment: 'met' } } }, unread: { event: other } },
      })
    const asked = async () => (await world.docs.meta.get('schedule:weekly'))?.value ?? 0
    const known = () => world.docs.profileTags.count({ 'tags.known': { $exists: true } })
    await publish('paid', 'asked')
    await work('run-schedules')
    expect(await known()).toBe(0)
    await publish('asked', 'asked')
    await work('run-schedules')
    expect(await known()).toBe(1)
    // One that nobody reads asks for nothing.
    const before = await asked()
    await publish('asked', 'paid')
    await work('run-schedules')
    expect(await asked()).toBe(before)
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

describe('a publication that comes after a worker has looked, and before it finds its work', () => {
  const GREET = { id: 'greet', enter: { on: 'asked' }, steps: [{ send: { channel: 'wecom', content: 'words' } }] }
  const withdraw = () => withdrawContents(world.deps, ['words'])

  /** Somebody to whom a message is planned; `lanes` are worked by the process that publishes. */
  async function greet(...lanes: string[]): Promise<void> {
    await world.publish({ contents: CONTENTS, journeys: [GREET] })
    await followPublished(other)
    await world.accept('a', contactRecord('m1', START), eventRecord('m1', 'asked', START))
    for (const name of ['process-batches', 'resume-runs', ...lanes]) await work(name, world.deps)
  }

  it('counts for what a reaction is told again', async () => {
    await world.accept('a', contactRecord('m1', START))
    await world.run()
    const late = { id: 'late', enter: { when: { event: 'asked' } }, steps: [{ wait: '9d' }] }
    const told = { _id: 'r', reaction: 'enter-by-rule', changes: [{ p: 1, id: 'enter/late', new: '1' }], key: 'k' }
    const meanwhile = async () => {
      await world.publish({ contents: CONTENTS, journeys: [late] })
      const [now, nextAt] = [new Date(START), new Date(START)]
      await world.docs.openReactions.insert([{ ...told, now, nextAt, attempts: 1, error: 'it broke' }])
    }
    await work('redo-reactions', around(other, 'openReactions', 'find', once(meanwhile)))
    expect(await runsOf('late')).toEqual([{ version: 1, state: 'waiting' }])
  })

  it('counts for a touch that is to be released', async () => {
    await greet()
    await work('release-touches', around(other, 'touches', 'find', once(withdraw)))
    expect(await world.docs.touches.find({})).toEqual([
      expect.objectContaining({ state: 'suppressed', reason: 'content_withdrawn' }),
    ])
  })

  it('counts for a message that was written down when its content had been looked for everywhere', async () => {
    await greet('release-touches')
    await work('send-dispatches', around(other, 'dispatches', 'find', once(withdraw)))
    expect(world.wecom.sent).toEqual([])
    expect(await world.docs.touches.find({})).toEqual([
      expect.objectContaining({ state: 'suppressed', reason: 'content_withdrawn' }),
    ])
  })

  it('counts for a message that waits for its guide', async () => {
    await greet('release-touches', 'send-dispatches')
    world.clock.set(new Date('2026-03-04T01:00:00Z'))
    const hurry = () => world.publish({ contents: CONTENTS, journeys: [GREET], policy: { confirmWithin: '1d' } })
    world.wecom.result = () => ({ final: false, recipients: [] })
    await work('collect-results', around(other, 'dispatches', 'find', once(hurry)))
    expect(world.wecom.cancelled).toHaveLength(1)
  })

  it('counts for a tag that is to be shown in WeCom', async () => {
    const shown = (writeback: string) => ({
      contents: CONTENTS,
      tags: [{ id: 'keen', type: 'flag', when: { event: 'asked' }, writeback }],
    })
    await world.publish(shown('价值/旧'))
    await world.accept('a', contactRecord('m1', START), eventRecord('m1', 'asked', START))
    await work('process-batches', world.deps)
    await followPublished(other)
    const tag = { groupId: 'g', groupName: '价值', state: 'active' as const }
    await world.docs.wecomTags.put([
      { _id: 't1', name: '旧', ...tag },
      { _id: 't2', name: '新', ...tag },
    ])
    world.clock.set(new Date('2026-03-02T02:01:00Z'))
    const dry = { ...other, wecomSettings: { ...other.wecomSettings, writeback: 'dry' as const } }
    await work(
      'push-tags',
      around(
        dry,
        'writebacks',
        'find',
        once(() => world.publish(shown('价值/新'))),
      ),
    )
    expect((await world.docs.writebacks.find({})).map((w) => w.parked)).toEqual([
      { why: 'dry', add: ['价值/新'], remove: [] },
    ])
  })

  it('counts for a welcome', async () => {
    const sent: string[] = []
    const added = { kind: 'contact', why: 'added', externalUserId: 'wm-m1', userId: 'guide-1', welcomeCode: 'CODE' }
    other.wecom = {
      ...other.wecom,
      readEvent: () => ({ ...added, at: new Date(START) }) as ReturnType<typeof other.wecom.readEvent>,
      sendWelcome(code) {
        sent.push(code)
        return Promise.resolve({ kind: 'sent' })
      },
    }
    await world.publish({ contents: CONTENTS, welcome: [{ id: 'all', content: 'words' }] })
    await followPublished(other)
    const stored = { _id: 'c', seq: 1, state: 'urgent' as const, acceptedAt: new Date(START), message: '<xml/>' }
    await world.docs.callbacks.insert([stored])
    await work('answer-callbacks', around(other, 'callbacks', 'find', once(withdraw)))
    expect(sent).toEqual([])
    expect(await world.docs.welcomes.find({})).toEqual([
      expect.objectContaining({ state: 'dropped', reason: 'content_withdrawn' }),
    ])
  })

  it('counts for a refresh that somebody else has begun anew by it: it is not begun by the one before again', async () => {
    const names = ['m1', 'm2', 'm3', 'm4', 'm5', 'm6']
    await world.accept('a', ...names.map((name) => eventRecord(name, 'asked', START)))
    await world.run()
    const tag = (id: string) => ({ id, type: 'flag', when: { event: 'asked' } })
    await world.publish({ contents: CONTENTS, tags: [tag('first')] })
    await followPublished(other)
    const begunBy: unknown[] = []
    const request = { _id: 'operator:1', kind: 'all', cause: 'operator', size: 2 } as const
    await refreshNow(
      around(other, 'refreshes', 'find', async (n) => {
        begunBy.push((await world.docs.refreshes.get(request._id))?.definitions)
        if (n !== 2) return
        await world.publish({ contents: CONTENTS, tags: [tag('first'), tag('second')] })
        expect(await workRefreshes(world.deps)).toBe('more')
      }),
      request,
      atOnce,
    )
    const [, first, second, ...later] = begunBy
    expect(second).not.toBe(first)
    expect(new Set(later)).toEqual(new Set([second]))
    const tags = (await world.docs.profileTags.find({})).map((t) => Object.keys(t.tags).sort())
    expect(tags).toEqual(names.map(() => ['first', 'second']))
  })
})

describe('what names the publication it went by', () => {
  it('is a run, when it is let in and when it is moved, and the claim of a message', async () => {
    const contents = [...CONTENTS, { id: 'more', text: 'more' }]
    const steps = [{ wait: '1h' }, { send: { channel: 'wecom', content: 'words' } }]
    await world.publish({ contents: CONTENTS, journeys: [{ id: 'greet', enter: { on: 'asked' }, steps }] })
    await world.accept('a', contactRecord('m1', START), eventRecord('m1', 'asked', START))
    await world.run()
    const names = async () => (await world.docs.runs.find({})).map((run) => run.definitions)
    expect(await names()).toEqual([2])
    await publishDefinitions(
      world.deps,
      define({ contents, journeys: [{ id: 'greet', enter: { on: 'asked' }, steps }] }),
    )
    world.clock.set(new Date('2026-03-02T03:00:00Z'))
    for (const name of ['resume-runs', 'release-touches', 'send-dispatches']) await work(name)
    expect(await names()).toEqual([3])
    expect((await world.docs.dispatches.find({})).map((d) => d.claim?.definitions)).toEqual([3])
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
