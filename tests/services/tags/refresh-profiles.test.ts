import { tagChangesTable } from '../../../src/domain/events/tables.js'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { z } from 'zod'
import { processBatches } from '../../../src/services/ingest/process-batches.js'
import {
  listFailedRefreshes,
  openRefresh,
  refreshNow,
  workRefreshes,
} from '../../../src/services/tags/refresh-profiles.js'
import { runSchedules } from '../../../src/services/runtime/run-schedules.js'
import { UpstreamError } from '../../../src/errors.js'
import { replayRejected } from '../../../src/services/ingest/rejected.js'
import { HOUR_MS, MINUTE_MS } from '../../../src/time.js'
import { around } from '../../support/around.js'
import { sized } from '../../support/sized.js'
import { buildWorld, type EventHome, eventRecord, openEventHome, type World } from '../../support/build-deps.js'
import { atOnce } from '../../../src/services/runtime/with-lease.js'

const START = '2026-03-02T02:00:00Z'
const BUYER = { id: 'buyer', type: 'flag', when: { event: 'order_paid' } }
const SPENT = { id: 'spent', type: 'number', value: { event: 'order_paid', sum: 'amountMinor' } }
const NAMES = ['m1', 'm2', 'm3', 'm4', 'm5', 'm6']

let home: EventHome
let world: World
beforeAll(async () => {
  home = await openEventHome()
})
afterAll(() => home.close())
/** Six people with an order each, and a tag that nobody has a value of yet. */
beforeEach(async () => {
  world = await buildWorld(home, { at: START })
  await world.accept('a', ...NAMES.map((name) => eventRecord(name, 'order_paid', START, { amountMinor: 10 })))
  await world.run()
  await world.publish({ tags: [BUYER] })
})
afterEach(() => world.close())

const all = { _id: 'all', kind: 'all', cause: 'schedule', size: 2 } as const
const Change = z.object({ p: z.number(), id: z.string(), v: z.string(), at: z.number(), cause: z.string() })
/** What was recorded, in order of the evaluations. */
const changes = () =>
  world.query(
    `SELECT profile_id AS p, tag_id AS id, new_value AS v, toUnixTimestamp64Milli(changed_at) AS at, cause
     FROM tag_changes ORDER BY version, p, id`,
    Change,
  )
const shown = async (profileId: number) =>
  Object.entries((await world.docs.profileTags.get(profileId))?.tags ?? {}).map(([id, { v }]) => `${id}=${v}`)

describe('a refresh in ranges', () => {
  it('lets ingest in between two of them, and leaves to it whom it overtook', async () => {
    await openRefresh(world.deps, all)
    await world.accept('b', eventRecord('m6', 'order_paid', '2026-03-02T01:00:00Z', { amountMinor: 5 }))
    expect(await workRefreshes(world.deps)).toBe('more')
    await processBatches(world.deps)
    expect((await changes()).map(({ p, cause }) => [p, cause])).toEqual([
      [1, 'schedule'],
      [2, 'schedule'],
      [6, 'realtime'],
    ])
    let left: Awaited<ReturnType<typeof workRefreshes>>
    do left = await workRefreshes(world.deps)
    while (left === 'more')
    expect(left).toBe('idle')
    expect((await changes()).map(({ p, cause }) => [p, cause])).toEqual([
      [1, 'schedule'],
      [2, 'schedule'],
      // The next range had its number by then.
      [3, 'schedule'],
      [4, 'schedule'],
      [6, 'realtime'],
      [5, 'schedule'],
    ])
    expect(await world.docs.overtaken.count({})).toBe(0)
    expect(await world.docs.refreshes.count({ phase: { $ne: 'done' } })).toBe(0)
  })

  it('goes on from its cursor, at the instant at which it began', async () => {
    await openRefresh(world.deps, all)
    expect(await workRefreshes(world.deps)).toBe('more')
    world.clock.set(new Date('2026-03-02T09:00:00Z'))
    expect(await workRefreshes(world.deps)).toBe('more')
    expect(await workRefreshes(world.deps)).toBe('idle')
    const found = await changes()
    expect(found.map(({ p }) => p)).toEqual([1, 2, 3, 4, 5, 6])
    expect(new Set(found.map(({ at }) => at))).toEqual(new Set([Date.parse(START)]))
  })

  it('is one refresh however often it is asked for before it is done', async () => {
    await openRefresh(world.deps, all)
    await workRefreshes(world.deps)
    await openRefresh(world.deps, all)
    expect(await world.docs.refreshes.find({})).toEqual([expect.objectContaining({ from: 3, phase: 'ranges' })])
  })

  it('is opened once for an occasion, and not for one that is over', async () => {
    const open = (occasion: number) => openRefresh(world.deps, { ...all, occasion })
    const phase = async () => (await world.docs.refreshes.get(all._id))!.phase
    await open(3)
    while ((await workRefreshes(world.deps)) === 'more');
    for (const occasion of [3, 2]) {
      await open(occasion)
      expect(await phase()).toBe('done')
    }
    await open(4)
    expect(await phase()).toBe('waiting')
  })

  it('takes no step from where somebody else has gone on', async () => {
    await openRefresh(world.deps, all)
    await workRefreshes(world.deps)
    let isFirst = true
    const refreshes = new Proxy(world.deps.docs.refreshes, {
      get: (target, key) => {
        const value: unknown = Reflect.get(target, key)
        if (key !== 'update') return value
        return async (...args: Parameters<typeof target.update>) => {
          if (isFirst) {
            isFirst = false
            while ((await workRefreshes(world.deps)) === 'more');
          }
          return target.update(...args)
        }
      },
    })
    const late = { ...world.deps, docs: { ...world.deps.docs, refreshes } }
    await expect(workRefreshes(late)).rejects.toThrow('has gone on elsewhere')
    expect(await world.docs.refreshes.get(all._id)).toMatchObject({ phase: 'done' })
  })

  it('begins anew when what it evaluates has changed', async () => {
    await openRefresh(world.deps, all)
    await workRefreshes(world.deps)
    await world.publish({ tags: [BUYER, SPENT] })
    for (let state = await workRefreshes(world.deps); state !== 'idle'; state = await workRefreshes(world.deps))
      expect(state).toBe('more')
    expect(await Promise.all(NAMES.map((_, i) => shown(i + 1)))).toEqual(NAMES.map(() => ['buyer=1', 'spent=10']))
  })

  it('begins anew when a segment has changed that it reads, by another one', async () => {
    const segments = (event: string) => ({ met: { event }, known: { all: [{ segment: 'met' }] } })
    const tags = [{ id: 'known', type: 'flag', when: { segment: 'known' } }]
    await world.publish({ tags, segments: segments('order_paid') })
    await openRefresh(world.deps, all)
    await workRefreshes(world.deps)
    expect(await shown(1)).toEqual(['known=1'])
    await world.publish({ tags, segments: segments('seen') })
    for (let state = await workRefreshes(world.deps); state !== 'idle'; state = await workRefreshes(world.deps))
      expect(state).toBe('more')
    expect(await Promise.all(NAMES.map((_, i) => shown(i + 1)))).toEqual(NAMES.map(() => []))
  })

  it('asked for by an operator, tells how far it is and what came of it', async () => {
    const done: number[] = []
    const request = { _id: 'operator:1', kind: 'all', cause: 'operator', size: 4 } as const
    expect(await refreshNow(world.deps, request, atOnce, (n) => done.push(n))).toEqual({ changes: 6 })
    expect(done).toEqual([4, 6])
  })

  it('waits with those whom a group of ingest is at, and evaluates them once more when it is done', async () => {
    await world.accept('b', eventRecord('m2', 'order_paid', '2026-03-02T01:00:00Z', { amountMinor: 5 }))
    await world.publish({ tags: [BUYER, SPENT] })
    // The group dies at its last write: its events are in, its state is not recorded.
    const dies = { ...world.deps.events, insert: dieAt(tagChangesTable.name) }
    await expect(processBatches({ ...world.deps, events: dies })).rejects.toThrow('dies')
    const request = { _id: 'operator:1', kind: 'all', cause: 'operator' } as const
    await refreshNow(world.deps, request, atOnce)
    expect(await workRefreshes(world.deps)).toBe('waiting')
    expect((await changes()).map(({ p }) => p)).not.toContain(2)
    world.clock.set(new Date('2026-03-02T09:00:00Z'))
    await processBatches(world.deps)
    expect(await workRefreshes(world.deps)).toBe('more')
    expect(await workRefreshes(world.deps)).toBe('idle')
    expect(await shown(2)).toEqual(['buyer=1', 'spent=15'])
    expect(await world.docs.overtaken.count({})).toBe(0)
  })
})

/** The same service, in which something fails for one of them, whatever is done about her. */
type Bad = (deps: World['deps']) => World['deps']

/** The engine refuses what is said of a range with this profile in it. */
const refusedFor =
  (isRefused: (from: number, to: number) => boolean, about: 'input' | 'system' = 'input'): Bad =>
  (deps) => ({
    ...deps,
    events: {
      ...deps.events,
      append: (table, select) => {
        const [, from, to] = /profile_id >= (\d+) AND profile_id < (\d+)/.exec(select)!
        return isRefused(Number(from), Number(to))
          ? Promise.reject(new UpstreamError('events', '43', false, 'it is refused', {}, about))
          : deps.events.append(table, select)
      },
    },
  })

/** A collection whose method fails where it is about this profile. */
const failsFor =
  (name: 'profiles' | 'profileTags', methods: readonly string[], p: number): Bad =>
  (deps) => {
    const isAbout = (item: unknown) =>
      item === p || (typeof item === 'object' && item !== null && Object.values(item).includes(p))
    return methods.reduce(
      (bad, method) =>
        around(bad, name, method, (_n, [items]) =>
          Array.isArray(items) && items.some(isAbout) ? Promise.reject(new TypeError('no')) : Promise.resolve(),
        ),
      deps,
    )
  }

async function workOff(deps: World['deps']): Promise<void> {
  for (let state = await workRefreshes(deps); state !== 'idle'; state = await workRefreshes(deps))
    expect(state).toBe('more')
}

const rejected = async () => (await world.docs.rejected.find({})).map(({ _id, reason }) => [_id, reason])
const tagged = async () => (await Promise.all(NAMES.map((_, i) => shown(i + 1)))).map((tags) => tags.length)
const OTHERS = [1, 1, 0, 1, 1, 1]

describe('a profile that makes a refresh fail', () => {
  it.each<[string, Bad, string]>([
    ['in the engine', refusedFor((from, to) => from <= 3 && 3 < to), 'events: it is refused (43)'],
    [
      'when it is acted on, and when she is evaluated again',
      failsFor('profileTags', ['insert', 'updateEach'], 3),
      'no',
    ],
  ])('is set aside, and all others are done, also of those behind it: %s', async (_where, bad, reason) => {
    await openRefresh(world.deps, { ...all, size: 4 })
    await openRefresh(world.deps, { ...all, _id: 'next' })
    await workOff(bad(world.deps))
    expect(await tagged()).toEqual(OTHERS)
    expect(await rejected()).toEqual([['profile:3', reason]])
    expect(await world.docs.refreshes.find({}, { sort: { _id: 1 } })).toEqual([
      expect.objectContaining({ _id: 'all', phase: 'done' }),
      expect.objectContaining({ _id: 'next', phase: 'done' }),
    ])
    expect(await world.docs.overtaken.count({})).toBe(0)
    expect(await listFailedRefreshes(world.deps)).toEqual([])
    // Mended, she is evaluated when what was set aside is tried again.
    await replayRejected(world.deps, { items: [{ id: 'profile:3' }] })
    await world.run()
    expect(await tagged()).toEqual(NAMES.map(() => 1))
  })

  it('for a moment, gets what was found of her before the refresh closes', async () => {
    let times = 0
    const once = around(world.deps, 'profileTags', 'insert', (_n, [items]) => {
      const isHers = (items as { _id: number }[]).some(({ _id }) => _id === 3)
      return isHers && times++ < 3 ? Promise.reject(new TypeError('no')) : Promise.resolve()
    })
    await openRefresh(world.deps, { ...all, size: 4 })
    await workOff(once)
    expect(times).toBeGreaterThan(3)
    expect(await tagged()).toEqual(NAMES.map(() => 1))
    expect(await rejected()).toEqual([])
  })

  it('is set aside where windows pass and where a journey begins by the clock', async () => {
    const rule = { all: [{ event: 'order_paid' }, { not: { event: 'order_paid', within: '3h' } }] }
    const daily = { every: '0 12 * * *', when: { event: 'order_paid' } }
    await world.publish({
      tags: [{ id: 'idle', type: 'flag', when: rule }],
      journeys: [{ id: 'daily', enter: daily, steps: [{ wait: '1d' }] }],
    })
    world.clock.set(new Date(Date.parse(START) + 4 * HOUR_MS))
    const since = new Date(START)
    await openRefresh(world.deps, { _id: 'nightly', kind: 'crossed', cause: 'schedule', ids: ['idle'], since })
    await openRefresh(world.deps, { _id: 'every', kind: 'enter', cause: 'schedule', ids: ['daily'] })
    await workOff(failsFor('profiles', ['getMany'], 3)(world.deps))
    expect(await tagged()).toEqual(OTHERS)
    expect((await world.docs.runs.find({})).map((r) => r.profileId)).toEqual([1, 2, 4, 5, 6])
    expect(await rejected()).toEqual([['profile:3', 'no']])
  })

  it('leaves what it leaves whichever write the process dies at', async () => {
    const calm = await openAnew()
    const bad = refusedFor((from, to) => from <= 3 && 3 < to)
    const before = calm.faults.writes
    await workOff(bad(calm.deps))
    const writes = calm.faults.writes - before
    expect(writes).toBeGreaterThan(10)
    for (let n = 1; n <= writes; n += sized(3, 1)) {
      const dying = await openAnew()
      dying.faults.failAt = dying.faults.writes + n
      await expect(workOff(bad(dying.deps))).rejects.toThrow('crash at write')
      dying.faults.revive()
      await workOff(bad(dying.deps))
      expect({ n, tagged: await tagged(), rejected: (await rejected()).map(([id]) => id) }).toEqual({
        ...{ n, tagged: OTHERS },
        rejected: ['profile:3'],
      })
    }
  })
})

/** The same six people anew, and a refresh that is open. */
async function openAnew(): Promise<World> {
  await world.close()
  world = await buildWorld(home, { at: START })
  await world.accept('a', ...NAMES.map((name) => eventRecord(name, 'order_paid', START, { amountMinor: 10 })))
  await world.run()
  await world.publish({ tags: [BUYER] })
  await openRefresh(world.deps, { ...all, size: 4 })
  return world
}

describe('a refresh that cannot go on', () => {
  const minutesIn = (minutes: number) => new Date(Date.parse(START) + minutes * MINUTE_MS)
  /** From the second range on. */
  const refused = refusedFor((from) => from >= 3)

  it.each(['input', 'system'] as const)(
    'is given up after ten minutes, what it has recorded is acted on, and the next begins (%s)',
    async (about) => {
      const bad = refusedFor((from) => from >= 3, about)(world.deps)
      await openRefresh(world.deps, all)
      expect(await workRefreshes(bad)).toBe('more')
      await world.accept('b', eventRecord('m2', 'order_paid', '2026-03-02T01:00:00Z', { amountMinor: 5 }))
      await processBatches(world.deps)
      expect(await world.docs.overtaken.count({})).toBe(1)
      await openRefresh(world.deps, { ...all, _id: 'next' })
      for (const minutes of [0, 5, 9]) {
        world.clock.set(minutesIn(minutes))
        await expect(workRefreshes(bad)).rejects.toThrow('it is refused')
      }
      expect(await listFailedRefreshes(world.deps)).toEqual([])
      world.clock.set(minutesIn(10))
      expect(await workRefreshes(bad)).toBe('more')
      expect(await workRefreshes(bad)).toBe('more')
      expect(await world.docs.overtaken.count({})).toBe(0)
      expect(await listFailedRefreshes(world.deps)).toEqual([
        { refresh: 'all', at: minutesIn(10).toISOString(), reason: 'events: it is refused (43)' },
      ])
      expect(await rejected()).toEqual([])
      await workOff(world.deps)
      expect(await tagged()).toEqual(NAMES.map(() => 1))
      // Its schedule opens it anew, and then it has not failed.
      await openRefresh(world.deps, all)
      expect(await listFailedRefreshes(world.deps)).toEqual([])
    },
  )

  it('is not given up because the stores do not answer', async () => {
    const down = {
      ...world.deps.events,
      append: () => Promise.reject(new UpstreamError('events', '210', true, 'down')),
    }
    await openRefresh(world.deps, all)
    for (const minutes of [0, 100, 1_000]) {
      world.clock.set(minutesIn(minutes))
      await expect(workRefreshes({ ...world.deps, events: down })).rejects.toThrow('down')
    }
    await workOff(world.deps)
    expect(await tagged()).toEqual(NAMES.map(() => 1))
    expect(await listFailedRefreshes(world.deps)).toEqual([])
  })

  it('is told to who asked for it', async () => {
    const request = { _id: 'operator:1', kind: 'all', cause: 'operator', size: 2 } as const
    await expect(refreshNow(refused(world.deps), request, atOnce)).rejects.toThrow('it is refused')
    world.clock.set(minutesIn(10))
    expect(await refreshNow(refused(world.deps), request, atOnce)).toEqual({
      ...{ changes: 2, failed: 'events: it is refused (43)' },
    })
  })

  it('where it fails for so many that it cannot lie in them, ends at once, and those whom ingest overtook wait for the next', async () => {
    const names = Array.from({ length: 30 }, (_, i) => `n${i}`)
    await world.accept('n', ...names.map((name) => eventRecord(name, 'order_paid', START)))
    await world.run()
    const allBad = around(world.deps, 'profiles', 'getMany', () => Promise.reject(new TypeError('no')))
    await openRefresh(world.deps, { ...all, kind: 'crossed', since: new Date(0), size: 50 })
    const ids = [...NAMES, ...names].map((_, i) => ({ _id: i + 1, seq: 1, times: 1 }))
    await world.docs.overtaken.insert(ids)
    expect(await workRefreshes(allBad)).toBe('idle')
    expect(await listFailedRefreshes(world.deps)).toEqual([
      { refresh: 'all', at: START.replace('Z', '.000Z'), reason: 'no' },
    ])
    expect((await rejected()).length).toBe(21)
    expect(await world.docs.overtaken.count({})).toBe(36)
    await openRefresh(world.deps, { ...all, _id: 'next' })
    await workOff(world.deps)
    expect(await world.docs.overtaken.count({})).toBe(0)
    expect(await tagged()).toEqual(NAMES.map(() => 1))
  })
})

function dieAt(table: string): World['deps']['events']['insert'] {
  return (into, ...rest) =>
    into.name === table
      ? Promise.reject(new UpstreamError('events', 'gone', true, `dies before ${table}`))
      : world.deps.events.insert(into, ...rest)
}

describe('an occasion that comes while the refresh of the one before is open', () => {
  it('is due when that is done, and misses nobody', async () => {
    const rule = { all: [{ event: 'seen' }, { not: { event: 'seen', within: '3h' } }] }
    await world.close()
    world = await buildWorld(home, {
      at: START,
      definitions: { journeys: [{ id: 'idle', enter: { when: rule }, steps: [{ wait: '1d' }] }] },
    })
    const hoursIn = (hours: number) => new Date(Date.parse(START) + hours * HOUR_MS)
    await world.accept('a', eventRecord('m1', 'seen', hoursIn(0)))
    await world.until(hoursIn(0.5))
    await world.accept('b', eventRecord('m1', 'seen', hoursIn(0.4))) // three hours later, between two occasions
    await world.run()
    await world.until(hoursIn(2.5))
    world.clock.set(hoursIn(3))
    let died = false
    const dying = around(world.deps, 'refreshes', 'update', (_n, [, update]) => {
      if (died || !JSON.stringify(update).includes('"done"')) return Promise.resolve()
      died = true
      return Promise.reject(new Error('died'))
    })
    await expect(runSchedules(dying)).rejects.toThrow('died')
    world.clock.set(hoursIn(4))
    await world.until(hoursIn(4.5))
    expect((await world.docs.runs.find({})).map((r) => [r._id, r.enteredAt])).toEqual([['idle:1:0', hoursIn(4)]])
  })
})
