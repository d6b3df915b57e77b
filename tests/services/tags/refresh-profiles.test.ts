import { tagChangesTable } from '../../../src/domain/events/tables.js'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { z } from 'zod'
import { processBatches } from '../../../src/services/ingest/process-batches.js'
import { openRefresh, refreshNow, workRefreshes } from '../../../src/services/tags/refresh-profiles.js'
import { runSchedules } from '../../../src/services/runtime/run-schedules.js'
import { UpstreamError } from '../../../src/errors.js'
import { HOUR_MS } from '../../../src/time.js'
import { around } from '../../support/around.js'
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
    expect(await refreshNow(world.deps, request, atOnce, (n) => done.push(n))).toBe(6)
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
