import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import Database from 'libsql'
import { openChdbEvents } from '../src/adapters/events/chdb.js'
import { openSqliteDocuments } from '../src/adapters/documents/sqlite.js'
import { eventsTable } from '../src/domain/events/tables.js'
import { bucketOf } from '../src/stored/buckets.js'
import { type Collections, openCollections } from '../src/stored/collections.js'
import type { Run } from '../src/stored/journeys.js'
import { DAY_MS, elapsedMs, MINUTE_MS, SECOND_MS, systemClock } from '../src/time.js'
import { addContacts, openCompany } from './company.js'
import { buildOf, KeptRounds } from './kept.js'
import { load } from './machine.js'
import { type BenchContext, type Benchmark, quantilesOf, type Scale, toCase } from './measure.js'
import type { CaseResult } from './result.js'
import { cpuMsOf, rssMiBOf } from './process.js'
import { root } from './stand.js'
import {
  addPeople,
  eventRecord,
  hold,
  madeOnce,
  operate,
  post,
  type Service,
  start,
  stop,
  writeDefinitions,
} from './service.js'

type Plan = {
  people: number
  events: number
  /** Events a second, in requests of `BATCH`. */
  perSecond: number
  aloneSeconds: number
  timers: number
  duePerSecond: number
  timerSeconds: number
  /** Who can be written to, each once a stage. */
  customers: number
  sendsPerSecond: number
  /** Of the steady stream, whose memory is read after three tenths of it and at its end. */
  steadyMs: number
}
const PLANS: Record<Scale, Plan> = {
  full: {
    ...{
      people: 1_000_000,
      events: 5_000_000,
      perSecond: 1_000,
      aloneSeconds: 60,
      customers: 60_000,
      sendsPerSecond: 100,
    },
    ...{ timers: 1_000_000, duePerSecond: 500, timerSeconds: 60, steadyMs: 10 * MINUTE_MS },
  },
  quick: {
    ...{ people: 20_000, events: 100_000, perSecond: 500, aloneSeconds: 10, customers: 3_000, sendsPerSecond: 50 },
    ...{ timers: 20_000, duePerSecond: 500, timerSeconds: 10, steadyMs: 20 * SECOND_MS },
  },
  tiny: {
    ...{ people: 200, events: 1_000, perSecond: 100, aloneSeconds: 3, customers: 200, sendsPerSecond: 20 },
    ...{ timers: 200, duePerSecond: 50, timerSeconds: 2, steadyMs: 2 * SECOND_MS },
  },
}
const BATCH = 50
const POLL_MS = 10
const RULES = 100
const TIMER = 'bench-timer'
const SENDER = 'bench-sender'
const WAIT = '30d'
const WAIT_MS = 30 * DAY_MS
/** Begins the keys of batches, which are stored under `STORED`. */
const KEY = 'beside-'
const STORED = `key:${KEY}`
/** Nothing waits so long. */
const TOO_LATE_MS = 10 * MINUTE_MS
/** More than the preparation takes between writing timers and the first that is due. */
const LEAD_MS = 15 * SECOND_MS
/** From the first send that is due until as many leave as become due. */
const UNDER_WAY_MS = 5 * SECOND_MS

/** A service that does several things at once: what one of them costs the others. */
export const beside: Benchmark = {
  name: 'beside',
  title: { zh: '同时进行', en: 'Side by side' },
  unit: { zh: '个', en: 'item' },
  baseline: '',
  keeps: true,
  run: runBeside,
}

async function runBeside({ scale, dir, note, only }: BenchContext): Promise<CaseResult[]> {
  const plan = PLANS[scale]
  const kept = KeptRounds.open(dir, { scale, build: buildOf(root) })
  const home = join(dir, 'service')
  await madeOnce(home, async (part) => {
    note(`${plan.people} people, ${plan.customers} of whom are customers of a guide`)
    writeDefinitions(root, part, { rules: RULES, journeys: [timerJourney, sendJourney] })
    const company = await openCompany(part, plan.customers)
    try {
      const service = await start(root, part, company)
      await addPeople(service, plan.people)
        .then(() => addContacts(service))
        .finally(() => stop(service))
    } finally {
      await stop(company)
    }
    await addHistory(part, plan, note)
  })

  const { perSecond, aloneSeconds, people, sendsPerSecond, timers, duePerSecond } = plan
  const stages: { name: string; work: (service: Service) => Promise<Figures>; timers?: 'all' | 'sends' }[] = [
    {
      name: 'a refresh alone',
      work: async (service) => {
        await refresh(service)
        return { items: people, refreshMs: await refresh(service) }
      },
    },
    {
      name: `${perSecond} events and ${sendsPerSecond} sends a second`,
      timers: 'sends',
      work: (service) => withSends(service, () => sleep(aloneSeconds * SECOND_MS)),
    },
    {
      name: `${perSecond} events and ${sendsPerSecond} sends a second beside a refresh of ${people}`,
      timers: 'sends',
      work: async (service) => {
        let refreshMs = 0
        const said = await withSends(service, async () => {
          refreshMs = await refresh(service)
        })
        const alone = figuresOf(stages[0]!.name)['refreshMs']
        const rate = figuresOf(stages[1]!.name)['sentPerSecond']
        return {
          ...said,
          refreshMs,
          ...(alone !== undefined && { refreshRatio: refreshMs / alone }),
          ...(rate !== undefined && rate > 0 && { sendsRatio: said['sentPerSecond']! / rate }),
        }
      },
    },
    {
      name: `${perSecond} events a second, memory`,
      work: (service) => streaming(service, (events) => remember(service, events)),
    },
    {
      name: `${timers} timers, ${duePerSecond} due a second`,
      timers: 'all',
      work: () => watchTimers(home, plan),
    },
  ]
  const figuresOf = (name: string): Figures => kept.of(name).product[0]?.figures ?? {}
  const results: CaseResult[] = []
  for (const { name, work, timers } of only(stages)) {
    if (kept.of(name).product.length === 0) {
      note(name)
      const round = await oneStage(timers, work)
      note(JSON.stringify(round.figures))
      kept.add(name, 'product', round)
    }
    const { product } = kept.of(name)
    results.push(toCase({ name, items: Math.max(1, figuresOf(name)['items'] ?? 1) }, product, []))
  }
  return results

  /** A service that has just started; what waits for its time is written before, while nobody has the stores open. */
  async function oneStage(timers: 'all' | 'sends' | undefined, work: (service: Service) => Promise<Figures>) {
    await putTimers(home, plan, timers, note)
    const company = await openCompany(home, plan.customers)
    try {
      const service = await start(root, home, company)
      try {
        const [busy] = load()
        const from = { ms: elapsedMs(), cpuMs: cpuMsOf(service.child.pid) }
        const figures = { ...(await work(service)), load: busy }
        return { wallMs: elapsedMs() - from.ms, cpuMs: cpuMsOf(service.child.pid) - from.cpuMs, figures }
      } finally {
        await stop(service)
      }
    } finally {
      await stop(company)
    }
  }

  async function streaming(service: Service, work: (events: Stream) => Promise<Figures>): Promise<Figures> {
    const events = new Stream(service, home, plan, await nextKey(home))
    try {
      return await work(events)
    } finally {
      events.close()
    }
  }

  /** Events at their rate, and messages that were due at theirs, while `work` goes on. */
  async function withSends(service: Service, work: () => Promise<unknown>): Promise<Figures> {
    return streaming(service, async (events) => {
      const watch = new SendWatch(home)
      try {
        await until(firstDueOf(home) + UNDER_WAY_MS)
        const sent = { before: 0, after: 0, ms: 0 }
        const said = await events.run(async () => {
          const from = elapsedMs()
          sent.before = watch.sent()
          await work()
          sent.after = watch.sent()
          sent.ms = elapsedMs() - from
        })
        return { ...said, sentPerSecond: ((sent.after - sent.before) / sent.ms) * SECOND_MS }
      } finally {
        watch.close()
      }
    })
  }

  async function remember(service: Service, events: Stream): Promise<Figures> {
    let early = 0
    const said = await events.run(async () => {
      await sleep(plan.steadyMs * 0.3)
      early = rssMiBOf(service.child.pid)
      await sleep(plan.steadyMs * 0.7)
    })
    const late = rssMiBOf(service.child.pid)
    return { ...said, rssEarlyMiB: early, rssLateMiB: late, rssRatio: late / early }
  }
}

type Figures = Record<string, number>

/** Everybody's tags, asked for by the operation. @returns how long it took, in ms */
async function refresh(service: Service): Promise<number> {
  const from = elapsedMs()
  await operate(service, 'tags/refresh')
  return elapsedMs() - from
}

/** Events at a fixed rate; of every request, how long it takes from its due time until what it changes is stored. */
class Stream {
  private readonly db: Database.Database

  /** @param next - events of earlier streams have lower numbers */
  constructor(
    private readonly service: Service,
    home: string,
    private readonly plan: Plan,
    private next: number,
  ) {
    this.db = openDocuments(home)
  }

  close(): void {
    this.db.close()
  }

  /** Sends while `work` goes on, then waits for the rest. */
  async run(work: () => Promise<unknown>): Promise<Record<string, number>> {
    const { people, perSecond } = this.plan
    const everyMs = (BATCH * SECOND_MS) / perSecond
    const waiting = new Map<string, number>()
    const latencies: number[] = []
    const failed: unknown[] = []
    let isOver = false
    const first = this.next
    const watch = async () => {
      while (!isOver || waiting.size > 0) {
        const now = elapsedMs()
        for (const key of this.done([...waiting.keys()])) {
          latencies.push(now - waiting.get(key)!)
          waiting.delete(key)
        }
        const [oldest] = waiting
        if (oldest !== undefined && now - oldest[1] > TOO_LATE_MS) throw new Error(`${oldest[0]} is not worked off`)
        await sleep(POLL_MS)
      }
    }
    const send = async () => {
      const startMs = elapsedMs()
      const under: Promise<void>[] = []
      for (let n = 0; !isOver; n++) {
        const dueMs = startMs + n * everyMs
        await sleep(Math.max(0, dueMs - elapsedMs()))
        const from = this.next
        this.next += BATCH
        const key = `${KEY}${from}`
        const records = Array.from({ length: BATCH }, (_, i) => eventRecord('beside', from + i, people))
        under.push(
          post(this.service, key, records).then(
            () => void waiting.set(`key:${key}`, dueMs),
            (err: unknown) => void failed.push(err),
          ),
        )
      }
      await Promise.all(under)
    }
    const sending = send()
    const watching = watch()
    try {
      await work()
    } finally {
      isOver = true
      await sending
      await watching
    }
    if (failed.length > 0) throw failed[0]
    const at = quantilesOf(latencies)
    await hold(this.service, 0)
    return { items: this.next - first, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) }
  }

  /** Those of the batches that are worked off: identity, events, tags. */
  private done(keys: readonly string[]): string[] {
    if (keys.length === 0) return []
    const sql = `SELECT k FROM "c:batches" WHERE k IN (SELECT value FROM json_each(?)) AND doc ->> '$.state' = 'done'`
    return (this.db.prepare(sql).all(JSON.stringify(keys)) as { k: string }[]).map((row) => row.k)
  }
}

/** A year of events, drawn by hashes in the engine, in stores that nobody has open. */
async function addHistory(home: string, { people, events }: Plan, note: (text: string) => void): Promise<void> {
  note(`${events} events`)
  const store = await openChdbEvents({ path: join(home, 'data/events') })
  const start = systemClock.now().getTime()
  try {
    await store.command(`INSERT INTO ${eventsTable.name} (profile_id, name, occurred_at, event_id, source, amount_minor, properties, batch, known_at, seq)
    WITH (cityHash64(number, 'who') % 1000003) / 1000003 AS u, cityHash64(number, 'name') % 100 AS draw,
      multiIf(draw < 60, 'product_viewed', draw < 75, 'link_clicked', draw < 88, 'added_to_cart', 'order_paid') AS kind,
      fromUnixTimestamp64Milli(toInt64(${start} - cityHash64(number, 'when') % ${365 * DAY_MS}), 'UTC') AS at
    SELECT 1 + toUInt64(floor(${people} * u * u)), kind, at, concat('history:', toString(number)), 'bench',
      if(kind = 'order_paid', 500 + toInt64(cityHash64(number, 'amount') % 60000), 0),
      concat('{"productId":"p', toString(cityHash64(number, 'product') % 4000), '"}'), 1, at, 1
    FROM numbers(${events})`)
  } finally {
    await store.close()
  }
}

/** Nobody enters by them: runs are written as if they had been waiting for long. */
const timerJourney = {
  id: TIMER,
  name: 'timers',
  purpose: 'benchmark',
  enter: { on: 'registered' },
  goal: { event: 'order_paid', within: '90d' },
  steps: [{ wait: WAIT }, { branch: [{ if: { tag: 'bench_0' }, do: [{ wait: '30d' }] }, { else: [{ wait: '60d' }] }] }],
}
const sendJourney = {
  ...timerJourney,
  id: SENDER,
  steps: [{ wait: WAIT }, { id: 'hello', send: { channel: 'wecom', content: 'hello' } }],
}

/** Runs that wait: `all` is timers whose end sends nothing, `sends` is one message each. Those of an earlier stage are taken away. */
async function putTimers(
  home: string,
  plan: Plan,
  kind: 'all' | 'sends' | undefined,
  note: (text: string) => void,
): Promise<void> {
  const store = openSqliteDocuments({ file: join(home, 'data/documents.sqlite') })
  try {
    const docs = await openCollections(store)
    await docs.runs.delete({ journeyId: { $in: [TIMER, SENDER] } })
    if (kind === undefined) return
    const isSends = kind === 'sends'
    const [count, perSecond] = isSends ? [plan.customers, plan.sendsPerSecond] : [plan.timers, plan.duePerSecond]
    note(`${count} runs that wait`)
    const idOf = isSends ? await customersOf(docs) : (i: number) => i + 1
    const now = systemClock.now()
    const soon = now.getTime() + LEAD_MS + (count / 10_000) * SECOND_MS
    // A run of its own for each stage: what one has sent, no later one sends.
    const n = Math.floor(now.getTime() / SECOND_MS)
    const journeyId = isSends ? SENDER : TIMER
    for (let from = 0; from < count; from += 1_000) {
      await docs.runs.insert(
        Array.from({ length: Math.min(1_000, count - from) }, (_, i): Run => {
          const profileId = idOf(from + i)
          const dueAt = new Date(soon + ((from + i + 1) * SECOND_MS) / perSecond)
          const arrivedAt = new Date(dueAt.getTime() - WAIT_MS)
          return {
            ...{ _id: `${journeyId}:${profileId}:${n}`, journeyId, version: 1, profileId, bucket: bucketOf(profileId) },
            ...{ anchor: `member_id:m${profileId}`, n, path: '0', arm: 'treated', state: 'waiting' },
            ...{ arrivedAt, enteredAt: arrivedAt, dueAt },
          }
        }),
      )
    }
    writeFileSync(join(home, 'first-due'), String(soon))
  } finally {
    await store.close()
  }
}

/** The profile of each customer, by her number. */
async function customersOf(docs: Collections): Promise<(i: number) => number> {
  const ids: number[] = []
  for await (const batch of docs.profiles.scan({ 'contacts.0': { $exists: true } }))
    ids.push(...batch.map(({ _id }) => _id))
  return (i) => {
    const id = ids[i]
    if (id === undefined) throw new Error(`${ids.length} people are customers of a guide: fewer than were made`)
    return id
  }
}

function firstDueOf(home: string): number {
  return Number(readFileSync(join(home, 'first-due'), 'utf8'))
}

async function until(atMs: number): Promise<void> {
  while (systemClock.now().getTime() < atMs) await sleep(POLL_MS)
}

/** Batches are keyed: those of an earlier stage must not stand for new ones. */
async function nextKey(home: string): Promise<number> {
  const db = openDocuments(home)
  try {
    const { last } = db
      .prepare(
        `SELECT max(CAST(substr(k, ${STORED.length + 1}) AS INTEGER)) AS last FROM "c:batches" WHERE k LIKE '${STORED}%'`,
      )
      .get() as { last: number | null }
    return (last ?? 1 - BATCH) + BATCH
  } finally {
    db.close()
  }
}

function openDocuments(home: string): Database.Database {
  return new Database(join(home, 'data/documents.sqlite'), { readonly: true })
}

/** How many messages WeCom has taken so far. */
class SendWatch {
  private readonly db: Database.Database

  constructor(home: string) {
    this.db = openDocuments(home)
  }

  sent(): number {
    const sql = `SELECT count(*) AS n FROM "c:touches" WHERE doc ->> '$.journeyId' = '${SENDER}' AND doc ->> '$.state' = 'created'`
    return (this.db.prepare(sql).get() as { n: number }).n
  }

  close(): void {
    this.db.close()
  }
}

/**
 * How late each timer was, at most: the one that waits the longest is looked at all the time, and those before it went between
 * the last two looks.
 */
async function watchTimers(home: string, { duePerSecond, timerSeconds }: Plan): Promise<Figures> {
  const db = openDocuments(home)
  try {
    const soon = firstDueOf(home)
    const everyMs = SECOND_MS / duePerSecond
    const first = db.prepare(
      `SELECT doc ->> '$.dueAt."$date"' AS dueAt FROM "c:runs" WHERE "f:state" = 'waiting' ORDER BY "f:dueAt" LIMIT 1`,
    )
    const late: number[] = []
    const count = duePerSecond * timerSeconds
    await until(soon)
    for (let next = soon + everyMs; late.length < count; await sleep(POLL_MS)) {
      const { dueAt } = first.get() as { dueAt: number }
      const now = systemClock.now().getTime()
      for (; next < dueAt && late.length < count; next += everyMs) late.push(Math.max(0, now - next))
    }
    const at = quantilesOf(late)
    return { items: count, lateP50Ms: at(0.5), lateP99Ms: at(0.99), lateMaxMs: at(1) }
  } finally {
    db.close()
  }
}
