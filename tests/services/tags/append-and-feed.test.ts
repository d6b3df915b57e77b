import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { z } from 'zod'
import { compileAppend } from '../../../src/domain/rules/compile.js'
import { UpstreamError } from '../../../src/errors.js'
import { tagChangesTable } from '../../../src/domain/events/tables.js'
import type { ServiceDeps } from '../../../src/services/runtime/deps.js'
import { processBatches } from '../../../src/services/ingest/process-batches.js'
import { openRefresh, workRefreshes } from '../../../src/services/tags/refresh-profiles.js'
import { sized } from '../../support/sized.js'
import {
  buildWorld,
  contactRecord,
  type EventHome,
  eventRecord,
  openEventHome,
  type World,
} from '../../support/build-deps.js'

const START = '2026-03-02T02:00:00Z'
const BEFORE = '2026-03-02T01:00:00Z'
const NAMES = ['m1', 'm2', 'm3', 'm4', 'm5', 'm6']
const VIP = { id: 'vip', type: 'flag', when: { event: 'order_paid' }, writeback: '价值/高价值' }
const RECENT = { id: 'recent', type: 'flag', when: { event: 'order_paid', within: '7d' } }
const SPENT = { id: 'spent', type: 'number', value: { event: 'order_paid', sum: 'amountMinor' } }
const THANKS = {
  id: 'thanks',
  enter: { when: { all: [{ tag: 'vip' }, { not: { event: 'order_cancelled' } }] } },
  reenter: { after: '1s', max: 9 },
  steps: [{ wait: '9d' }],
}
const DEFINITIONS = { tags: [VIP, RECENT], journeys: [THANKS] }

let home: EventHome
beforeAll(async () => {
  home = await openEventHome()
})
afterAll(() => home.close())

/** Six contacts with an order each, and definitions under which nobody has a value yet. */
async function open(): Promise<World> {
  const world = await buildWorld(home, { at: START })
  const records = NAMES.flatMap((name) => [contactRecord(name, BEFORE), order(name, BEFORE)])
  await world.accept('a', ...records)
  await world.run()
  await world.publish(DEFINITIONS)
  await openRefresh(world.deps, { _id: 'all', kind: 'all', cause: 'schedule', size: 4 })
  return world
}

function order(name: string, at: string): object {
  return eventRecord(name, 'order_paid', at, { amountMinor: 10 })
}

async function workOff(deps: ServiceDeps): Promise<void> {
  for (let left = await workRefreshes(deps); left !== 'idle'; left = await workRefreshes(deps))
    expect(left).toBe('more')
}

const Row = z.record(z.string(), z.unknown())

/** Everything that a refresh leaves, but for numbers: they only have to rise. */
async function stateOf(world: World): Promise<Record<string, unknown>> {
  const { docs } = world
  return {
    profileTags: (await docs.profileTags.find({})).map((doc) => ({ ...doc, seq: 0 })),
    runs: await docs.runs.find({}),
    refusals: await docs.refusals.find({}),
    writebacks: (await docs.writebacks.find({})).map((w) => ({ ...w, rev: 0 })),
    entered: (await docs.batches.find({})).filter((b) => b.own === true).map((b) => b._id),
    openReactions: await docs.openReactions.find({}),
    overtaken: await docs.overtaken.find({}),
    refreshes: (await docs.refreshes.find({})).map((r) => ({ ...r, rev: 0, seq: 0 })),
    changes: await world.query(
      'SELECT * EXCEPT (version, seq, known_at) FROM tag_changes ORDER BY profile_id, tag_id',
      Row,
    ),
    state: await world.query('SELECT * EXCEPT version FROM tag_state FINAL ORDER BY profile_id, tag_id', Row),
  }
}

/** The same, with a write held until it is let go. */
function holding(world: World, collection: 'events' | 'profileTags' | 'runs', method: string) {
  let [letGo, tell] = [() => {}, () => {}]
  const free = new Promise<void>((resolve) => (letGo = resolve))
  const reached = new Promise<void>((resolve) => (tell = resolve))
  const guard = <T extends object>(target: T): T =>
    new Proxy(target, {
      get: (object, key) => {
        const value: unknown = Reflect.get(object, key)
        if (typeof value !== 'function') return value
        const bound = value.bind(object) as (...args: unknown[]) => unknown
        if (key !== method) return bound
        return async (...args: unknown[]) => {
          tell()
          await free
          return bound(...args)
        }
      },
    })
  const { deps } = world
  const held: ServiceDeps =
    collection === 'events'
      ? { ...deps, events: guard(deps.events) }
      : { ...deps, docs: { ...deps.docs, [collection]: guard(deps.docs[collection] as object) } }
  return { held, reached, letGo }
}

describe('a range that is appended, and fed from the log', () => {
  it('leaves what an undisturbed pass leaves, whichever write it dies at (every fourth; the long form takes them all)', async () => {
    const calm = await open()
    const before = calm.faults.writes
    await workOff(calm.deps)
    const writes = calm.faults.writes - before
    const expected = await stateOf(calm)
    await calm.close()
    expect(expected['runs']).toHaveLength(6)
    expect(expected['writebacks']).toHaveLength(6)
    expect(expected['changes']).toHaveLength(18)
    expect(writes).toBeGreaterThan(20)
    const bad: string[] = []
    for (let k = 1; k <= writes; k += sized(4, 1)) {
      const world = await open()
      world.faults.failAt = before + k
      const crash = await workOff(world.deps).then(
        () => 'lived',
        (err: unknown) => String(err),
      )
      world.faults.revive()
      await workOff(world.deps)
      const state = await stateOf(world)
      await world.close()
      const differing = Object.keys(state).filter((key) => JSON.stringify(state[key]) !== JSON.stringify(expected[key]))
      if (!crash.includes('crash at write') || differing.length > 0) bad.push(`${crash}: ${differing.join()}`)
    }
    expect(bad).toEqual([])
  })

  it.each([
    ['events', 'append'],
    ['events', 'insert'],
    ['profileTags', 'insert'],
    ['runs', 'insert'],
  ] as const)(
    'is not disturbed by a worker that was held before %s.%s and goes on late',
    async (collection, method) => {
      const world = await open()
      const { held, reached, letGo } = holding(world, collection, method)
      const late = workRefreshes(held)
      await reached
      await workOff(world.deps)
      // A week later everybody but one has bought again, and the order of that one is old.
      world.clock.set(new Date('2026-03-10T02:00:00Z'))
      await world.accept('b', ...NAMES.slice(1).map((name) => order(name, '2026-03-10T01:00:00Z')))
      await world.accept('c', eventRecord('m2', 'order_cancelled', BEFORE))
      await world.run()
      await openRefresh(world.deps, { _id: 'all', kind: 'all', cause: 'schedule', size: 4 })
      await workOff(world.deps)
      await world.run()
      const expected = await stateOf(world)
      expect(expected['changes']).toEqual(
        expect.arrayContaining([expect.objectContaining({ profile_id: 1, tag_id: 'recent', new_value: '' })]),
      )
      letGo()
      await expect(late).rejects.toThrow('gone on elsewhere')
      expect(await stateOf(world)).toEqual(expected)
      await world.close()
    },
  )

  it('is acted on to the end before other definitions begin it anew', async () => {
    const world = await open()
    const dead = { ...world.deps.docs, profileTags: { ...world.deps.docs.profileTags, insert: dies } }
    await expect(workRefreshes({ ...world.deps, docs: dead })).rejects.toThrow('dies')
    expect(await world.docs.runs.count({})).toBe(0)
    await world.publish({ ...DEFINITIONS, tags: [VIP, RECENT, SPENT] })
    await workOff(world.deps)
    await world.run()
    const { runs, writebacks, refusals } = await stateOf(world)
    expect(runs).toHaveLength(6)
    expect(writebacks).toEqual(
      NAMES.map((name) => expect.objectContaining({ _id: `guide-1/wm-${name}`, tagIds: ['vip'] })),
    )
    expect(refusals).toEqual([])
    const shown = (await world.docs.profileTags.find({})).map((doc) => Object.keys(doc.tags).sort())
    expect(shown).toEqual(NAMES.map(() => ['recent', 'spent', 'vip']))
    await world.close()
  })

  it('owes those whom ingest overtakes before it acts, and makes good what is true when they are evaluated again', async () => {
    const world = await open()
    const { held, reached, letGo } = holding(world, 'events', 'insert')
    // Appended, and not closed yet.
    const work = workRefreshes(held)
    await reached
    await world.accept('b', order('m2', START), eventRecord('m3', 'order_cancelled', BEFORE))
    await processBatches(world.deps)
    // The group found nothing for the first of them to change, and of the second that it is true no more.
    expect(await world.docs.runs.count({})).toBe(0)
    expect(await world.docs.writebacks.count({})).toBe(0)
    letGo()
    expect(await work).toBe('more')
    world.clock.set(new Date('2026-03-02T03:00:00Z'))
    await workOff(world.deps)
    await world.run()
    const { runs, writebacks, refusals, overtaken } = await stateOf(world)
    expect(runs).toEqual(
      [1, 2, 4, 5, 6].map((profileId) => expect.objectContaining({ profileId, enteredAt: new Date(START) })),
    )
    expect(writebacks).toHaveLength(6)
    expect([refusals, overtaken]).toEqual([[], []])
    expect((await world.docs.profileTags.find({})).map((doc) => Object.keys(doc.tags).sort())).toEqual(
      NAMES.map(() => ['recent', 'vip']),
    )
    await world.close()
  })

  it('acts once on what the log holds twice', async () => {
    const world = await open()
    const { held, reached, letGo } = holding(world, 'profileTags', 'insert')
    const work = workRefreshes(held)
    await reached
    await world.deps.events.append(tagChangesTable, 'SELECT * FROM tag_changes')
    letGo()
    expect(await work).toBe('more')
    await workOff(world.deps)
    await world.run()
    const { runs, refusals, refreshes } = await stateOf(world)
    expect(runs).toHaveLength(6)
    expect(refusals).toEqual([])
    expect(refreshes).toEqual([expect.objectContaining({ changes: 18 })])
    await world.close()
  })

  it('computes tags that read tags on more levels than one statement takes', async () => {
    const world = await open()
    const chain = Array.from({ length: 25 }, (_, i) => ({
      ...{ id: `level_${i}`, type: 'flag' },
      when: i === 0 ? { event: 'order_paid' } : { not: { tag: `level_${i - 1}` } },
    }))
    await world.publish({ tags: [...chain].reverse() })
    await workOff(world.deps)
    const shown = (await world.docs.profileTags.find({})).map((doc) => Object.keys(doc.tags).sort())
    const even = Array.from({ length: 13 }, (_, i) => `level_${2 * i}`).sort()
    expect(shown).toEqual(NAMES.map(() => even))
    // What ingest makes of the same rules differs in nothing.
    const before = await world.query('SELECT count() AS n FROM tag_changes', Row)
    await world.accept('b', ...NAMES.map((name) => order(name, START)))
    await world.run()
    expect(await world.query('SELECT count() AS n FROM tag_changes', Row)).toEqual(before)
    await world.close()
  })

  it('appends nothing under a number that is closed, and reads nothing that later groups brought', async () => {
    const world = await open()
    const { definitions, events } = world.deps
    const { evaluables, segments, tags } = definitions.current
    const range = { from: 1, to: 20_001 }
    const append = (seq: number, without: readonly number[] = []) =>
      compileAppend(evaluables, {
        ...{ range, seq, without, segments, tags, cause: 'schedule' },
        nowMs: Date.parse(START),
        knownAtMs: Date.parse(START),
      })
    const peopleOf = async (sql: string) => {
      const rows = await world.query(`SELECT DISTINCT p FROM (${sql})`, z.object({ p: z.number() }))
      return rows.map((row) => row.p).sort((a, b) => a - b)
    }
    expect(await peopleOf(append(10))).toEqual([1, 2, 3, 4, 5, 6])
    expect(await peopleOf(append(10, [2, 5]))).toEqual([1, 3, 4, 6])
    // Every other of many thousand: as a list it would be longer than the engine reads.
    const odd = Array.from({ length: 10_000 }, (_, i) => 2 * i + 1)
    expect(await peopleOf(append(10, odd))).toEqual([2, 4, 6])
    expect(await peopleOf(append(0))).toEqual([])
    await events.append(tagChangesTable, append(10, [1]))
    expect(await peopleOf(append(11))).toEqual([1])
    await workOff(world.deps)
    expect(await peopleOf(append(1))).toEqual([])
    await world.close()
  })
})

function dies(): Promise<never> {
  return Promise.reject(new UpstreamError('documents', 'gone', true, 'dies'))
}
