import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { z } from 'zod'
import type { App } from '../src/app/compose.js'
import { eventsTable, profilesTable, tagChangesTable } from '../src/domain/events/tables.js'
import type { Deps } from '../src/services/runtime/deps.js'
import { atOnce } from '../src/services/runtime/with-lease.js'
import { refreshNow } from '../src/services/tags/refresh-profiles.js'
import { DAY_MS, elapsedMs, ManualClock } from '../src/time.js'
import { PRODUCTS, ruleTags } from './fixtures/rules.js'
import { type BenchContext, type Benchmark, compare, type Scale } from './measure.js'
import type { CaseResult } from './result.js'
import { openStand } from './stand.js'

const START = new Date('2026-06-01T18:00:00Z')
const RULES = 100

type Size = { profiles: number; events: number }
const SIZES: Record<Scale, Size> = {
  full: { profiles: 1_000_000, events: 20_000_000 },
  quick: { profiles: 200_000, events: 4_000_000 },
  tiny: { profiles: 300, events: 6_000 },
}
/** Events that are made by one statement. */
const PIECE = 2_000_000

/** Everybody's tags, of the rules that `versions` has: from nothing, and a day later. */
export const tagRefreshLarge: Benchmark = {
  name: 'tag-refresh-large',
  title: { zh: '百万人全量标签刷新', en: 'Refreshing the tags of a million' },
  unit: { zh: '档案', en: 'profile' },
  baseline: '',
  run: runLarge,
}

async function runLarge({ scale, dir, note }: BenchContext): Promise<CaseResult[]> {
  const size = SIZES[scale]
  const clock = new ManualClock(START)
  const app = await openStand(join(dir, 'data'), clock, { paths: definitionsIn(join(dir, 'definitions')) })
  try {
    note(`making ${size.profiles} people and ${size.events} events`)
    await fill(app.deps, size, note)
    const first = await refresh('first time', app, size, note)
    clock.set(new Date(START.getTime() + DAY_MS))
    return [first, await refresh('a night later', app, size, note)]
  } finally {
    await app.close()
  }
}

/** One round: the first time is there once. Where the time goes is told beside. */
async function refresh(name: string, { deps }: App, { profiles, events }: Size, note: (text: string) => void) {
  const spentMs = { append: 0, read: 0, documents: 0 }
  let [changes, documents] = [0, 0]
  const timed = async <T>(what: keyof typeof spentMs, work: Promise<T>): Promise<T> => {
    const from = elapsedMs()
    try {
      return await work
    } finally {
      spentMs[what] += elapsedMs() - from
    }
  }
  const { profileTags } = deps.docs
  const watched: Deps = {
    ...deps,
    events: {
      ...deps.events,
      append: (...args) => timed('append', deps.events.append(...args)),
      query: (...args) => timed('read', deps.events.query(...args)),
    },
    docs: {
      ...deps.docs,
      profileTags: {
        ...profileTags,
        insert(docs) {
          documents += docs.length
          return timed('documents', profileTags.insert(docs))
        },
        updateEach: (items) => timed('documents', profileTags.updateEach(items)),
      },
    },
  }
  const request = { _id: name, kind: 'all', cause: 'operator' } as const
  return compare(
    {
      name,
      items: profiles,
      warmups: 0,
      rounds: 1,
      product: async () => {
        changes = (await refreshNow(watched, request, atOnce, (done) => note(`${name}: ${done} profiles`))).changes
      },
      figures: async () => {
        const sql = `SELECT count() AS n FROM ${tagChangesTable.name}`
        const [log] = await deps.events.query(sql, z.object({ n: z.number() }))
        const { append: appendMs, read: readMs, documents: documentsMs } = spentMs
        return { events, rules: RULES, changes, documents, logged: log!.n, appendMs, readMs, documentsMs } // one row
      },
    },
    note,
  )
}

function definitionsIn(folder: string) {
  for (const name of ['tags', 'journeys', 'content', 'wecom']) mkdirSync(join(folder, name), { recursive: true })
  writeFileSync(join(folder, 'tags/bench.yaml'), stringify({ tags: ruleTags(RULES) }))
  const everybody = { id: 'everybody', name: 'everybody', purpose: 'benchmark', when: { identifier: 'member_id' } }
  writeFileSync(join(folder, 'segments.yaml'), stringify({ segments: [everybody] }))
  const of = (name: string) => join(folder, name)
  return {
    tags: of('tags'),
    journeys: of('journeys'),
    content: of('content'),
    segments: of('segments.yaml'),
    welcome: of('welcome.yaml'),
    wecom: of('wecom'),
  }
}

/** People who differ in how much they do; a year of events, drawn by hashes in the engine. */
async function fill(deps: Deps, { profiles, events }: Size, note: (text: string) => void): Promise<void> {
  await deps.events.append(
    profilesTable,
    `SELECT number + 1, concat('member_id:m', toString(number)), map('city', concat('city-', toString(cityHash64(number, 'city') % 40))),
      ['member_id', 'unionid'], fromUnixTimestamp64Milli(${START.getTime() - 365 * DAY_MS}, 'UTC'), 0, 1,
      fromUnixTimestamp64Milli(${START.getTime() - 365 * DAY_MS}, 'UTC'), 1
    FROM numbers(${profiles})`,
  )
  for (let from = 0; from < events; from += PIECE) {
    note(`events from ${from}`)
    await deps.events.append(
      eventsTable,
      `WITH (cityHash64(number, 'who') % 1000003) / 1000003 AS u, cityHash64(number, 'name') % 100 AS draw,
        multiIf(draw < 60, 'product_viewed', draw < 70, 'link_clicked', draw < 80, 'added_to_cart', draw < 86, 'product_favourited',
          draw < 90, 'consulted', 'order_paid') AS kind,
        fromUnixTimestamp64Milli(toInt64(${START.getTime()} - cityHash64(number, 'when') % ${365 * DAY_MS}), 'UTC') AS at
      SELECT 1 + toUInt64(floor(${profiles} * u * u)), kind, at, concat('bench:', toString(number)), 'bench',
        if(kind = 'order_paid', 500 + toInt64(cityHash64(number, 'amount') % 60000), 0),
        concat('{"productId":"p', toString(cityHash64(number, 'product') % ${PRODUCTS}), '"}'), 1,
        concat('p', toString(1 + toUInt64(floor(${profiles} * u * u)))), at, 1
      FROM numbers(${from}, ${Math.min(PIECE, events - from)})`,
    )
  }
  await deps.docs.meta.updateEach([{ id: 'counter:profile', update: { $set: { value: profiles } }, upsert: true }])
}
