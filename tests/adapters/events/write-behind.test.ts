import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { z } from 'zod'
import { openSqliteDocuments } from '../../../src/adapters/documents/sqlite.js'
import { openChdbEvents } from '../../../src/adapters/events/chdb.js'
import { settingAside } from '../../../src/adapters/events/set-aside.js'
import { writeBehind, type WriteBehindOptions } from '../../../src/adapters/events/write-behind.js'
import { eventsTable, profilesTable, type RowOf, tables } from '../../../src/domain/events/tables.js'
import { UpstreamError } from '../../../src/errors.js'
import { type Log, quietLog } from '../../../src/log.js'
import type { Collection, DocumentStore } from '../../../src/ports/document-store.js'
import type { EventStore, WaitingRows } from '../../../src/ports/event-store.js'
import { openCollections } from '../../../src/stored/collections.js'
import { HOUR_MS } from '../../../src/time.js'
import { Faults } from '../../support/build-deps.js'
import { waitUntil } from '../../support/wait-until.js'

const AT = new Date('2026-06-01T00:00:00Z')
const home = mkdtempSync(join(tmpdir(), 'siyu-behind-'))
let engine: EventStore
let documents: DocumentStore
let waiting: Collection<WaitingRows>
/** What the engine was handed, as `table rows`. */
let inserts: string[]
let rounds = 0

beforeAll(async () => {
  engine = await openChdbEvents({ path: join(home, 'events'), memoryLimitMb: 512, maxThreads: 1 })
})
afterAll(async () => {
  await engine.close()
  rmSync(home, { recursive: true, force: true })
})
beforeEach(async () => {
  rounds++
  for (const { name } of tables) await engine.command(`TRUNCATE TABLE ${name}`)
  documents = openSqliteDocuments({ file: ':memory:', fsync: false })
  waiting = (await openCollections(documents)).waitingRows
  inserts = []
})

/** The engine, noting what it is handed; `fail` may refuse. */
function noted(
  fail: (table: string, token: string, rows: readonly object[]) => Error | undefined = () => undefined,
): EventStore {
  const round = rounds
  return {
    ...engine,
    async insert(table, rows, token) {
      const error = fail(table.name, token, rows)
      if (error !== undefined) throw error
      inserts.push(`${table.name} ${rows.length}`)
      await engine.insert(table, rows, `${round} ${token}`)
    },
    close: () => Promise.resolve(),
  }
}

const open = (store = noted(), options: Partial<WriteBehindOptions> = {}, docs = waiting) =>
  writeBehind(store, docs, { log: quietLog, tables, ...options })

function event(id: string): RowOf<typeof eventsTable> {
  const common = { name: 'x', occurred_at: AT, source: 's', amount_minor: 0, properties: '{"a":"b"}', batch: 1 }
  return { ...common, profile_id: 1, event_id: id, known_at: AT, seq: 1 }
}

function profile(id: number): RowOf<typeof profilesTable> {
  const common = { traits: { city: '上海' }, identifier_types: ['phone'], created_at: AT, merged_into: 0, version: 1 }
  return { ...common, profile_id: id, anchor: `a${id}`, known_at: AT, seq: 1 }
}

const Id = z.object({ event_id: z.string() })
const idsIn = async (store: EventStore) =>
  (await store.query('SELECT event_id FROM events ORDER BY event_id', Id)).map((row) => row.event_id)

describe('writing behind', () => {
  it('hands many small inserts to the engine as one a table, before anything is read', async () => {
    const store = await open()
    for (let i = 0; i < 20; i++) {
      await store.insert(eventsTable, [event(`e${10 + i}`)], `t${i}`)
      await store.insert(profilesTable, [profile(i + 1)], `t${i}`)
    }
    expect(inserts).toEqual([])
    expect(store.unread(eventsTable)).toHaveLength(20)
    expect(await idsIn(store)).toEqual(Array.from({ length: 20 }, (_, i) => `e${10 + i}`))
    expect(inserts.sort()).toEqual(['events 20', 'profiles 20'])
    expect(store.unread(eventsTable)).toEqual([])
    const [row] = await store.query(
      `SELECT traits['city'] AS city, identifier_types AS types FROM profiles WHERE profile_id = 7`,
      z.object({ city: z.string(), types: z.array(z.string()) }),
    )
    expect(row).toEqual({ city: '上海', types: ['phone'] })
    await store.close()
  })

  it('lets who reads behind see what waits', async () => {
    const store = await open()
    await store.insert(eventsTable, [event('e1')], 't1')
    expect(await store.query('SELECT event_id FROM events', Id, 'serving', { behind: true })).toEqual([])
    expect(store.unread(eventsTable).map((row) => row.event_id)).toEqual(['e1'])
    expect(inserts).toEqual([])
    await store.close()
    expect(inserts).toEqual(['events 1'])
  })

  it('hands over by itself after a while, when there are many, and at once what is large', async () => {
    const store = await open(noted(), { delayMs: 1, capacity: 30, large: 10 })
    await store.insert(eventsTable, [event('e1')], 't1')
    await waitUntil(() => inserts.length === 1, { what: 'the rows to arrive' })
    await store.close()

    const patient = await open(noted(), { capacity: 3, large: 10 })
    for (let i = 2; i < 5; i++) await patient.insert(eventsTable, [event(`e${i}`)], `t${i}`)
    expect(inserts).toEqual(['events 1', 'events 3'])
    await patient.insert(
      eventsTable,
      Array.from({ length: 10 }, (_, i) => event(`f${i}`)),
      'large',
    )
    expect(inserts.at(-1)).toBe('events 10')
    await patient.close()
  })

  it('takes a token once: while its rows wait, when they have arrived, and after a restart', async () => {
    const first = await open(noted(), { delayMs: HOUR_MS })
    await first.insert(eventsTable, [event('e1')], 't1')
    await first.insert(eventsTable, [event('e1')], 't1')
    expect(await idsIn(first)).toEqual(['e1'])
    await first.insert(eventsTable, [event('e1')], 't1')
    await first.insert(eventsTable, [event('e2')], 't2')
    // It dies here. What was acknowledged arrives.
    const second = await open()
    await second.insert(eventsTable, [event('e1')], 't1')
    await second.insert(eventsTable, [event('e2')], 't2')
    expect(await idsIn(second)).toEqual(['e1', 'e2'])
    await second.close()
  })

  it('loses and doubles nothing by a death at any of its writes', async () => {
    const work = async (store: EventStore) => {
      for (let i = 0; i < 6; i++) {
        const both = await Promise.allSettled([
          store.insert(eventsTable, [event(`e${i}a`)], `a${i}`),
          store.insert(eventsTable, [event(`e${i}b`)], `b${i}`),
        ])
        for (const one of both) if (one.status === 'rejected') throw one.reason
        if (i % 2 === 1) await idsIn(store)
      }
    }
    const expected = Array.from({ length: 6 }, (_, i) => [`e${i}a`, `e${i}b`]).flat()
    const counting = new Faults()
    await work(await open(counting.guard('engine', noted(), ['insert']), {}, guardedBy(counting)))
    expect(counting.writes).toBeGreaterThan(20)
    for (let failAt = 1; failAt <= counting.writes; failAt++) {
      rounds++
      await engine.command('TRUNCATE TABLE events')
      await waiting.delete({})
      const faults = new Faults()
      faults.failAt = failAt
      // The dead do nothing later.
      const dead = { delayMs: HOUR_MS }
      const dying = await open(faults.guard('engine', noted(), ['insert']), dead, guardedBy(faults))
      await expect(work(dying)).rejects.toThrow('crash')
      const next = await open()
      await work(next)
      expect([failAt, await idsIn(next)]).toEqual([failAt, expected])
    }
  })

  const guardedBy = (faults: Faults) => faults.guard('waiting', waiting, ['insert', 'put', 'delete'])

  /** An engine that cannot read an insert in which `e2` is. */
  const refusesE2 = (_table: string, _token: string, rows: readonly object[]) =>
    rows.some((row) => 'event_id' in row && row.event_id === 'e2')
      ? new UpstreamError('engine', '27', false, 'cannot parse', {}, 'input')
      : undefined

  it.each([
    ['few', 3, 500],
    ['many', 9, 9],
  ])('holds nobody up by a row among %s that the engine refuses, keeps it and says so', async (_name, rows, large) => {
    const said: string[] = []
    const log: Log = { ...quietLog, error: (fact) => void said.push(fact) }
    const store = await open(noted(refusesE2), { log, large })
    const events = Array.from({ length: rows }, (_, i) => event(`e${i + 1}`))
    await store.insert(eventsTable, [event('e0')], 'good')
    await store.insert(eventsTable, events, 'bad')
    const others = [event('e0'), ...events].map((row) => row.event_id).filter((id) => id !== 'e2')
    expect(await idsIn(store)).toEqual(others)
    expect(said).toHaveLength(1)
    const kept = await waiting.find({ refused: { $exists: true } })
    expect(kept).toHaveLength(1)
    expect(kept[0]).toMatchObject({ table: 'events', refused: expect.stringContaining('cannot parse') })
    expect(kept[0]?.rows).toEqual([event('e2')])
    await store.close()
    const next = await open()
    expect(await idsIn(next)).toEqual(others)
    await next.close()
  })

  it('halves in the same way after a death in between, and lands every row once', async () => {
    const events = Array.from({ length: 9 }, (_, i) => event(`e${i + 1}`))
    const others = events.map((row) => row.event_id).filter((id) => id !== 'e2')
    const counting = new Faults()
    const guarded = (faults: Faults) => {
      const store = faults.guard('engine', noted(refusesE2), ['insert'])
      return settingAside({ store, waiting: faults.guard('waiting', waiting, ['put']), log: quietLog })
    }
    await guarded(counting).insert(eventsTable, events, 'bad')
    expect(counting.writes).toBeGreaterThan(5)
    for (let failAt = 1; failAt <= counting.writes; failAt++) {
      rounds++
      await engine.command('TRUNCATE TABLE events')
      await waiting.delete({})
      const faults = new Faults()
      faults.failAt = failAt
      await expect(guarded(faults).insert(eventsTable, events, 'bad')).rejects.toThrow('crash')
      await guarded(new Faults()).insert(eventsTable, events, 'bad')
      expect([failAt, await idsIn(engine)]).toEqual([failAt, others])
      expect(await waiting.count({ refused: { $exists: true } })).toBe(1)
    }
  })

  it.each([
    ['unreachable', true],
    ['241', false],
    ['243', false],
    ['closed', false],
  ])('says to readers that the engine takes nothing (%s), and goes on when it does', async (code, retryable) => {
    let isDown = true
    const down = () => (isDown ? new UpstreamError('engine', code, retryable, 'no answer') : undefined)
    const store = await open(noted(down))
    await store.insert(eventsTable, [event('e1')], 't1')
    await expect(idsIn(store)).rejects.toThrow('no answer')
    await store.insert(eventsTable, [event('e2')], 't2')
    isDown = false
    expect(await idsIn(store)).toEqual(['e1', 'e2'])
    await store.close()
  })

  it('repeats insert by insert what was begun so, and nothing of the other tables', async () => {
    let tries = 0
    // The flush of events is refused, then its second row cannot be stored for now: that is where it dies.
    const dies = (table: string, token: string) => {
      if (table !== 'events') return undefined
      if (/^flush \w+$/.test(token)) return new UpstreamError('engine', '27', false, 'cannot parse', {}, 'input')
      return ++tries === 2 ? new UpstreamError('engine', '241', false, 'memory') : undefined
    }
    const dying = await open(noted(dies), { delayMs: HOUR_MS })
    for (const id of ['e1', 'e2', 'e3']) await dying.insert(eventsTable, [event(id)], id)
    await dying.insert(profilesTable, [profile(1)], 'p')
    await expect(idsIn(dying)).rejects.toThrow('memory')
    const next = await open()
    expect(await idsIn(next)).toEqual(['e1', 'e2', 'e3'])
    const rows = await next.query('SELECT profile_id AS id FROM profiles', z.object({ id: z.number() }))
    expect(rows).toEqual([{ id: 1 }])
    await next.close()
  })

  it('hands over what was acknowledged, and does not wait for what comes after', async () => {
    const store = await open(noted(), { capacity: 2 })
    for (let i = 0; i < 7; i++) {
      await waiting.insert([{ _id: `events t${i}`, seq: i + 1, table: 'events', rows: [event(`e${i}`)] }])
    }
    await store.close()
    const many = await open(noted(), { capacity: 2 })
    expect(await idsIn(many)).toHaveLength(7)
    expect(inserts).toEqual(['events 2', 'events 2', 'events 2', 'events 1'])
    await many.close()
  })

  it('takes up rows whose write was reported as failed and had taken place', async () => {
    let isLost = true
    const unsure: Collection<WaitingRows> = {
      ...waiting,
      async insert(docs) {
        const answer = await waiting.insert(docs)
        if (isLost) throw new UpstreamError('sqlite', 'sync', false, 'the log cannot be synced')
        return answer
      },
    }
    const store = await open(noted(), {}, unsure)
    await expect(store.insert(eventsTable, [event('e1')], 't1')).rejects.toThrow('synced')
    isLost = false
    await store.insert(eventsTable, [event('e1')], 't1')
    expect(await idsIn(store)).toEqual(['e1'])
    await store.insert(eventsTable, [event('e1')], 't1')
    expect(await idsIn(store)).toEqual(['e1'])
    await store.close()
  })

  it('keeps what the engine does not take when it is closed, and lets the rest be closed', async () => {
    const down = () => new UpstreamError('engine', 'unreachable', true, 'no answer')
    const store = await open(noted(down))
    await store.insert(eventsTable, [event('e1')], 't1')
    await store.close()
    const next = await open()
    expect(await idsIn(next)).toEqual(['e1'])
    await next.close()
  })
})
