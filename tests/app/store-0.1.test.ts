import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { z } from 'zod'
import { loadGiftShop } from '../../demo/gift-shop.js'
import { openSqliteDocuments } from '../../src/adapters/documents/sqlite.js'
import { openChdbEvents } from '../../src/adapters/events/chdb.js'
import { type App, createApp } from '../../src/app/compose.js'
import { takeOverFiles } from '../../src/app/take-over-files.js'
import { loadConfig } from '../../src/config.js'
import { traitTexts } from '../../src/domain/identity/profile.js'
import { quietLog } from '../../src/log.js'
import { parseInput } from '../../src/parse.js'
import { wholeKinds } from '../../src/services/definitions/kinds.js'
import { findPerson } from '../../src/services/identity/find-person.js'
import { datePast, pastHorizon } from '../../src/services/runtime/date-past.js'
import { findMatching, MatchingQuery } from '../../src/services/segments/find-matching.js'
import { explainTouches } from '../../src/services/touches/explain-touches.js'
import { openCollections } from '../../src/stored/collections.js'
import { DAY_MS, ManualClock } from '../../src/time.js'
import { knownNow, readKnownAt } from '../support/known-at.js'

/** What version 0.1 read in its own store, when the fixture was made. */
const Expected = z.object({
  at: z.iso.datetime(),
  counts: z.record(z.string(), z.number()),
  people: z.record(z.string(), z.number()),
  tags: z.record(z.string(), z.string()),
  runs: z.record(z.string(), z.string()),
  touches: z.record(z.string(), z.string()),
  events: z.record(z.string(), z.number()),
})

let home: string
let expected: z.infer<typeof Expected>
let opened: Date
let app: App

function unpack(to: string): void {
  execFileSync('tar', ['-xzf', resolve('tests/fixtures/store-0.1.tar.gz'), '-C', to])
}

/** Opens the data directory of version 0.1, a day after it was left. */
async function open(): Promise<App> {
  const base = await loadConfig({ file: 'config/service.yaml', env: {} })
  const { paths, linkBase } = await loadGiftShop({})
  const config = {
    ...base,
    // It lived by these definitions.
    ...{ paths, linkBase },
    dataDir: join(home, 'data'),
    documents: { kind: 'sqlite' as const },
    events: { kind: 'chdb' as const },
    jobs: { ...base.jobs, kind: 'in-process' as const },
  }
  const app = await createApp({ config, log: quietLog, clock: new ManualClock(opened), fsync: false, hints: false })
  await takeOverFiles(app)
  return app
}

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'siyu-0.1-'))
  unpack(home)
  expected = Expected.parse(JSON.parse(readFileSync(join(home, 'expected.json'), 'utf8')))
  opened = new Date(Date.parse(expected.at) + DAY_MS)
  app = await open()
})
afterAll(async () => {
  await app.close()
  rmSync(home, { recursive: true, force: true })
})

const count = async (sql: string) => (await app.deps.events.query(sql, z.object({ n: z.number() })))[0]!.n
const rowsOf = async (tables: readonly string[]) =>
  Promise.all(tables.map(async (table) => [table, await count(`SELECT count() AS n FROM ${table}`)] as const))

describe('a data directory of version 0.1', () => {
  it('has every document it had', async () => {
    const counts: Record<string, number> = {}
    for (const [name, collection] of Object.entries(app.deps.docs))
      if (name in expected.counts) {
        counts[name] = 0
        // Read, not only counted: what does not fit is refused.
        for await (const docs of collection.scan({})) counts[name] += docs.length
      }
    const before = expected.counts
    expect(counts).toEqual({
      ...before,
      // Folded: a document had one tag, now it has all of a person.
      profileTags: new Set(Object.keys(expected.tags).map((key) => key.split(':')[0])).size,
      // The files of each other kind, which are published too.
      published: before['published']! + wholeKinds.length,
      // The instant from which the past is kept, how many rows the audit has, and which events these documents go with.
      meta: before['meta']! + 3,
    })
  })

  it('finds everybody by every identifier', async () => {
    const found = Object.fromEntries((await app.deps.docs.identifiers.find({})).map((l) => [l._id, l.profileId]))
    expect(found).toEqual(expected.people)
    for (const value of ['m0', 'm61', 'm81'])
      expect((await findPerson(app.deps, { identifier: { type: 'member_id', value } }))._id).toBe(
        expected.people[`member_id:${value}`],
      )
  })

  it('has the tags, runs and touches they had, and says why', async () => {
    const Tag = z.object({ k: z.string(), v: z.string() })
    const tags = await app.deps.events.query(
      `SELECT concat(toString(profile_id), ':', tag_id) AS k, value AS v FROM tag_state FINAL
       WHERE value != '' AND NOT startsWith(tag_id, 'journey:')
       AND profile_id IN (SELECT profile_id FROM profiles FINAL WHERE merged_into = 0)`,
      Tag,
    )
    expect(Object.fromEntries(tags.map((t) => [t.k, t.v]))).toEqual(expected.tags)
    const runs = await app.deps.docs.runs.find({})
    expect(Object.fromEntries(runs.map((r) => [r._id, `${r.profileId} ${r.state} ${r.path}`]))).toEqual(expected.runs)
    const touches = await app.deps.docs.touches.find({})
    expect(Object.fromEntries(touches.map((t) => [t._id, `${t.profileId} ${t.state}`]))).toEqual(expected.touches)
    const why = await explainTouches(app.deps, { profileId: touches[0]!.profileId })
    expect(JSON.stringify(why)).toContain(touches[0]!._id)
  })

  it('has its events, dated by the acceptance of their batch', async () => {
    const Row = z.object({ id: z.string(), p: z.number(), unit: z.string(), batch: z.number(), ms: z.number() })
    const rows = await app.deps.events.query(
      'SELECT event_id AS id, profile_id AS p, unit, batch, toUnixTimestamp64Milli(known_at) AS ms FROM events',
      Row,
    )
    expect(Object.fromEntries(rows.map((r) => [r.id, r.p]))).toEqual(expected.events)
    const accepted = new Map((await app.deps.docs.batches.find({})).map((b) => [b.seq, b.acceptedAt.getTime()]))
    expect(rows.map((r) => r.ms)).toEqual(rows.map((r) => accepted.get(r.batch)))
    expect(rows.map((r) => r.unit)).toEqual(rows.map((r) => `p${r.p}`))
  })

  it('keeps the past from now on: what is known now, and nothing of before', async () => {
    expect(await pastHorizon(app.deps)).toEqual({ from: opened, by: 'upgrade' })
    const known = await readKnownAt(app.deps.events, opened)
    expect(known).toEqual(await knownNow(app.deps.docs))
    expect(Object.keys(known.traits).length).toBeGreaterThan(100)
    expect(Object.keys(known.consents).length).toBeGreaterThan(1)
    expect(await readKnownAt(app.deps.events, new Date(opened.getTime() - 1))).toEqual({
      owners: {},
      types: {},
      traits: {},
      consents: {},
    })
  })

  it('works off what was half applied and what waited', async () => {
    await app.runLane('process-batches')
    expect(await app.deps.docs.batches.count({ state: { $ne: 'done' } })).toBe(0)
    expect(await count(`SELECT count() AS n FROM events WHERE event_id = 'half'`)).toBe(1)
    const half = await findPerson(app.deps, { identifier: { type: 'member_id', value: 'm300' } })
    expect(half._id).toBe(expected.people['member_id:m3'])
    expect(traitTexts(half)).toMatchObject({ city: '成都' })
    expect(await readKnownAt(app.deps.events, new Date(opened.getTime() + DAY_MS))).toEqual(
      await knownNow(app.deps.docs),
    )
  })

  it('says of its own past who was in a segment from the upgrade on, and that it does not know of before', async () => {
    const who = (segment: string, past?: { asOf: string }) =>
      findMatching(app.deps, parseInput(MatchingQuery, { of: { segment }, limit: 10_000, ...(past && { past }) }))
    let people = 0
    for (const segment of app.deps.definitions.current.segments.keys()) {
      const [now, then] = [await who(segment), await who(segment, { asOf: opened.toISOString() })]
      if (now.result === 'unknown' || then.result === 'unknown') throw new Error(`nothing is known of ${segment}`)
      expect([segment, then.profileIds]).toEqual([segment, now.profileIds])
      people += now.people
      const before = { asOf: new Date(opened.getTime() - 1).toISOString() }
      expect(await who(segment, before)).toMatchObject({ reason: 'before_horizon', from: opened.toISOString() })
    }
    expect(people).toBeGreaterThan(50)
  })

  it('opens again as it is', async () => {
    const tables = ['events', 'tag_state', 'trait_changes', 'consent_changes', 'identity_changes', 'schema_migrations']
    const before = await rowsOf(tables)
    await app.close()
    app = await open()
    expect(await rowsOf(tables)).toEqual(before)
    expect(await pastHorizon(app.deps)).toEqual({ from: opened, by: 'upgrade' })
  })

  it('is dated with one instant, wherever the work died', async () => {
    await app.close()
    const copy = join(home, 'copy')
    mkdirSync(copy)
    unpack(copy)
    const store = openSqliteDocuments({ file: join(copy, 'data', 'documents.sqlite'), fsync: false })
    const docs = await openCollections(store)
    const events = await openChdbEvents({ path: join(copy, 'data', 'events'), memoryLimitMb: 1024 })
    let attempts = 0
    for (let done = false; !done; attempts++) {
      let writes = 0
      const dying = { ...events }
      for (const write of ['insert', 'command'] as const)
        dying[write] = (...args: unknown[]) =>
          writes++ < attempts
            ? (events[write] as (...all: unknown[]) => Promise<void>)(...args)
            : Promise.reject(new Error('died'))
      const clock = new ManualClock(new Date(opened.getTime() + attempts * DAY_MS))
      done = await datePast({ docs, events: dying, clock, log: quietLog }).then(
        () => true,
        (err: Error) => err.message !== 'died' && Promise.reject(err),
      )
    }
    expect(attempts).toBeGreaterThan(5)
    expect(await pastHorizon({ docs })).toEqual({ from: opened, by: 'upgrade' })
    expect(await readKnownAt(events, opened)).toEqual(await knownNow(docs))
    const { n } = (
      await events.query(
        'SELECT count() AS n FROM (SELECT unit, profile_id, count() AS c FROM identity_changes GROUP BY unit, profile_id HAVING c > 1)',
        z.object({ n: z.number() }),
      )
    )[0]!
    expect(n).toBe(0)
    await events.close()
    await store.close()
  })
})
