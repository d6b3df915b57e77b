import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import type { Collections } from '../../src/stored/collections.js'
import { processBatches } from '../../src/services/ingest/process-batches.js'
import { resumeRuns } from '../../src/services/journeys/resume-runs.js'
import type { ServiceDeps } from '../../src/services/runtime/deps.js'
import { collectResults } from '../../src/services/touches/collect-results.js'
import { releaseTouches } from '../../src/services/touches/release-touches.js'
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from '../../src/time.js'
import {
  buildWorld,
  contactRecord,
  type EventHome,
  eventRecord,
  openEventHome,
  type World,
} from '../support/build-deps.js'

/** Lanes of different groups work at the same time: what one does between two steps of another. */
let home: EventHome
let world: World
const START = '2026-03-02T02:00:00Z' // 10:00 in Shanghai

beforeAll(async () => {
  home = await openEventHome()
})
afterAll(() => home.close())
beforeEach(async () => {
  world = await buildWorld(home, {
    at: START,
    definitions: {
      journeys: [
        {
          id: 'welcome',
          enter: { on: 'registered' },
          exit: { on: 'order_paid' },
          steps: [{ send: { channel: 'wecom', content: 'hello' } }, { wait: '30d' }],
        },
        {
          id: 'call',
          enter: { on: 'asked' },
          exit: { on: 'order_paid' },
          steps: [{ task: { title: 'call', script: 'hello', due: '1d' } }, { wait: '30d' }],
        },
      ],
      contents: [{ id: 'hello', text: 'hello' }],
    },
  })
})
afterEach(() => world.close())

/** The dependencies of one lane, for which `first` happens right before its first call of that method. */
function before(name: keyof Collections, method: string, first: () => Promise<unknown>): ServiceDeps {
  let isDone = false
  const collection = new Proxy(world.deps.docs[name], {
    get: (target, key) => {
      const value: unknown = Reflect.get(target, key)
      if (key !== method) return value
      return async (...args: unknown[]) => {
        if (!isDone) {
          isDone = true
          await first()
        }
        return (value as (...args: unknown[]) => unknown)(...args)
      }
    },
  })
  return { ...world.deps, docs: { ...world.deps.docs, [name]: collection } }
}

async function begin(event: string, ...names: string[]): Promise<void> {
  const at = world.clock.now()
  await world.accept('begin', ...names.flatMap((n) => [contactRecord(n, START), eventRecord(n, event, at)]))
  await processBatches(world.deps)
}

async function pays(name: string, afterMs = MINUTE_MS): Promise<void> {
  world.clock.set(new Date(world.clock.now().getTime() + afterMs))
  await world.accept(`pays:${name}`, eventRecord(name, 'order_paid', world.clock.now()))
  await processBatches(world.deps)
}

const touches = async () =>
  (await world.docs.touches.find({})).map((t) => [t.state, ...(t.reason === undefined ? [] : [t.reason])])
const dispatches = async () => (await world.docs.dispatches.find({})).map((d) => d.state)
const receivers = () => world.wecom.sent.map((d) => d.recipients.map((r) => r.to))

function waitForGuides(): void {
  world.wecom.result = (d) => ({
    final: false,
    recipients: d.recipients.map((r) => ({ to: r.to, state: 'waiting' })),
  })
}

/** The writes by which touches are released. */
const RELEASE = [
  ['dispatches', 'insert'],
  ['touches', 'updateEach'],
  ['dispatches', 'updateEach'],
] as const

describe('an exit', () => {
  it.each([
    ['touches', 'insert'],
    ['runs', 'updateEach'],
    ['runs', 'getMany'],
  ] as const)('before %s.%s of her run takes its new touch back', async (name, method) => {
    await begin('registered', 'm1')
    await resumeRuns(before(name, method, () => pays('m1')))
    await world.run()
    expect(await touches()).toEqual([['suppressed', 'exited']])
    expect((await world.docs.runs.find({})).map((r) => [r.state, r.outcome])).toEqual([['ended', 'exited']])
    expect(receivers()).toEqual([])
  })

  it.each(RELEASE)('before %s.%s of the release takes her out, and others get theirs', async (name, method) => {
    await begin('registered', 'm1', 'm2')
    await resumeRuns(world.deps)
    await releaseTouches(before(name, method, () => pays('m1')))
    await world.run()
    expect(await touches()).toEqual([['suppressed', 'exited'], ['created']])
    expect(receivers()).toEqual([['wm-m2']])
  })

  it.each(RELEASE)('of the only one before %s.%s leaves no message behind', async (name, method) => {
    await begin('registered', 'm1')
    await resumeRuns(world.deps)
    await releaseTouches(before(name, method, () => pays('m1')))
    await world.run()
    expect(await dispatches()).toEqual(['refused'])
    expect(receivers()).toEqual([])
  })

  it('while her task is being released closes it', async () => {
    await begin('asked', 'm1')
    await resumeRuns(world.deps)
    await releaseTouches(before('dispatches', 'insert', () => pays('m1')))
    await world.run()
    expect(world.task.sent).toEqual([])
    expect((await world.docs.tasks.find({})).map((t) => [t.state, t.outcome])).toEqual([['expired', 'exited']])
  })

  it('while the message waits for another attempt takes her out of it', async () => {
    world.wecom.answer = () => ({ kind: 'later', afterMs: HOUR_MS, reason: 'busy' })
    await begin('registered', 'm1', 'm2')
    await world.run()
    expect(await dispatches()).toEqual(['ready'])
    await pays('m1')
    world.wecom.answer = (d) => ({ kind: 'created', remoteId: d.id, refused: [] })
    await world.until(new Date(Date.parse(START) + 2 * HOUR_MS))
    expect(await touches()).toEqual([['suppressed', 'exited'], ['created']])
    expect(receivers()).toEqual([['wm-m2']])
  })

  it('while the message is being asked for has it taken back', async () => {
    waitForGuides()
    await begin('registered', 'm1')
    await resumeRuns(world.deps)
    const plain = world.wecom.dispatch.bind(world.wecom)
    world.wecom.dispatch = async (dispatch, isLate) => {
      await pays('m1', SECOND_MS)
      return plain(dispatch, isLate)
    }
    await world.run()
    await world.until(new Date(Date.parse(START) + 4 * HOUR_MS))
    expect(world.wecom.cancelled).toHaveLength(1)
    expect(await touches()).toEqual([['suppressed', 'exited']])
  })

  it.each([[['m1']], [['m1', 'm2']]])('while the message is being put off takes it back: %j', async (names) => {
    await begin('registered', ...names)
    await resumeRuns(world.deps)
    world.wecom.answer = () => ({ kind: 'later', afterMs: MINUTE_MS, reason: 'busy' })
    const plain = world.wecom.dispatch.bind(world.wecom)
    world.wecom.dispatch = async (dispatch, isLate) => {
      const outcome = await plain(dispatch, isLate)
      await pays('m1', SECOND_MS)
      return outcome
    }
    await world.run()
    world.wecom.dispatch = plain
    world.wecom.answer = (d) => ({ kind: 'created', remoteId: d.id, refused: [] })
    await world.until(new Date(Date.parse(START) + HOUR_MS))
    expect(receivers()).toEqual(names.length === 1 ? [] : [['wm-m2']])
    expect((await touches())[0]).toEqual(['suppressed', 'exited'])
  })

  it('while the results are being looked at is not put off to the next look', async () => {
    waitForGuides()
    await begin('registered', 'm1')
    await world.run()
    world.clock.set(new Date(Date.parse(START) + DAY_MS))
    await collectResults(before('touches', 'getMany', () => pays('m1')))
    await world.run()
    expect(world.wecom.cancelled).toHaveLength(1)
    expect(await touches()).toEqual([['suppressed', 'exited']])
  })
})

describe('a merge', () => {
  it.each([
    ['touches', 'insert'],
    ['runs', 'getMany'],
  ] as const)('before %s.%s of her run takes its new touch along', async (name, method) => {
    await world.accept('a', {
      observedAt: new Date('2026-01-01T00:00:00Z'),
      identifiers: [{ type: 'unionid', value: 'u' }],
    })
    await begin('registered', 'm1')
    const merge = async () => {
      const identifiers = [
        { type: 'unionid', value: 'u' },
        { type: 'member_id', value: 'm1' },
      ]
      await world.accept('merge', { identifiers })
      await processBatches(world.deps)
    }
    const [before1] = await world.docs.runs.find({})
    await resumeRuns(before(name, method, merge))
    const [run] = await world.docs.runs.find({})
    expect(run!.profileId).not.toBe(before1!.profileId)
    expect((await world.docs.touches.find({})).map((t) => t.profileId)).toEqual([run!.profileId])
  })
})

describe('a worker that was frozen', () => {
  it.each(RELEASE)('before %s.%s of its release sends nothing a second time', async (name, method) => {
    await begin('registered', 'm1', 'm2')
    await resumeRuns(world.deps)
    const meanwhile = async () => {
      await releaseTouches(world.deps)
      await world.run()
      world.clock.set(new Date(world.clock.now().getTime() + MINUTE_MS))
    }
    await releaseTouches(before(name, method, meanwhile))
    await world.run()
    expect(receivers()).toEqual([['wm-m1', 'wm-m2']])
    expect(await touches()).toEqual([['created'], ['created']])
  })
})
