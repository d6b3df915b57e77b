import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import axios from 'axios'
import Database from 'libsql'
import { openChdbEvents } from '../src/adapters/events/chdb.js'
import { openSqliteDocuments } from '../src/adapters/documents/sqlite.js'
import { eventsTable } from '../src/domain/events/tables.js'
import { bucketOf } from '../src/stored/buckets.js'
import { openCollections } from '../src/stored/collections.js'
import type { Run } from '../src/stored/journeys.js'
import { DAY_MS, elapsedMs, HOUR_MS, MINUTE_MS, SECOND_MS, systemClock } from '../src/time.js'
import { type BenchContext, type Benchmark, quantilesOf, type Scale, toCase } from './measure.js'
import type { CaseResult, Round } from './result.js'
import { cpuMsOf, rssMiBOf } from './process.js'
import { root } from './stand.js'
import { eventRecord, fill, hold, KEY, post, type Service, start, stop } from './versions.js'

type Plan = {
  people: number
  events: number
  /** Events a second, in requests of `BATCH`. */
  perSecond: number
  aloneSeconds: number
  timers: number
  duePerSecond: number
  timerSeconds: number
  /** Of the steady stream, whose memory is read after three tenths of it and at its end. */
  steadyMs: number
}
const PLANS: Record<Scale, Plan> = {
  full: {
    ...{ people: 1_000_000, events: 5_000_000, perSecond: 1_000, aloneSeconds: 60 },
    ...{ timers: 1_000_000, duePerSecond: 500, timerSeconds: 60, steadyMs: 10 * MINUTE_MS },
  },
  quick: {
    ...{ people: 20_000, events: 100_000, perSecond: 500, aloneSeconds: 10 },
    ...{ timers: 20_000, duePerSecond: 500, timerSeconds: 10, steadyMs: 20 * SECOND_MS },
  },
  tiny: {
    ...{ people: 200, events: 1_000, perSecond: 100, aloneSeconds: 1 },
    ...{ timers: 200, duePerSecond: 50, timerSeconds: 2, steadyMs: 2 * SECOND_MS },
  },
}
const BATCH = 50
const POLL_MS = 10
const TIMER = 'bench-timer'
/** More than the preparation takes between writing timers and the first that is due. */
const LEAD_MS = 15 * SECOND_MS

/** A service that does several things at once: what one of them costs the others. */
export const beside: Benchmark = {
  name: 'beside',
  title: { zh: '同时进行', en: 'Side by side' },
  unit: { zh: '个', en: 'item' },
  baseline: '',
  run: runBeside,
}

async function runBeside({ scale, dir, note }: BenchContext): Promise<CaseResult[]> {
  const plan = PLANS[scale]
  const home = join(dir, 'service')
  await fill(root, home, plan, note, [timerJourney])
  await addHistory(home, plan, note)
  let service = await start(root, home)
  try {
    note('the refresh that follows')
    await refresh(service)
    const quiet = await refresh(service)
    note(`a refresh alone: ${Math.round(quiet)} ms`)
    const events = new Stream(service, home, plan)
    const alone = await measured(service, `${plan.perSecond} events a second alone`, () =>
      events.run(() => sleep(plan.aloneSeconds * SECOND_MS)),
    )
    let took = 0
    const together = await measured(
      service,
      `${plan.perSecond} events a second beside a refresh of ${plan.people}`,
      async () => {
        const said = await events.run(async () => {
          took = await refresh(service)
        })
        return { ...said, refreshMs: took, refreshAloneMs: quiet, refreshRatio: took / quiet }
      },
    )
    const steady = await measured(service, `${plan.perSecond} events a second, memory`, async () => {
      let early = 0
      const said = await events.run(async () => {
        await sleep(plan.steadyMs * 0.3)
        early = rssMiBOf(service.child.pid)
        await sleep(plan.steadyMs * 0.7)
      })
      const late = rssMiBOf(service.child.pid)
      return { ...said, rssEarlyMiB: early, rssLateMiB: late, rssRatio: late / early }
    })
    events.close()
    await stop(service)
    await addTimers(home, plan, note)
    service = await start(root, home)
    const timers = await measured(service, `${plan.timers} timers, ${plan.duePerSecond} due a second`, () =>
      watchTimers(home, plan),
    )
    return [alone, together, steady, timers]
  } finally {
    await stop(service)
  }

  async function measured(of: Service, name: string, work: () => Promise<Record<string, number>>): Promise<CaseResult> {
    note(name)
    const from = { ms: elapsedMs(), cpuMs: cpuMsOf(of.child.pid) }
    const figures = await work()
    const round: Round = { wallMs: elapsedMs() - from.ms, cpuMs: cpuMsOf(of.child.pid) - from.cpuMs, figures }
    note(JSON.stringify(figures))
    return toCase({ name, items: Math.max(1, figures['items'] ?? 1) }, [round], [])
  }
}

/** Everybody's tags, asked for by the operation. @returns how long it took, in ms */
async function refresh({ url }: Service): Promise<number> {
  const from = elapsedMs()
  const headers = { Authorization: `Bearer ${KEY}` }
  const { data } = await axios.post<string>(
    `${url}/v1/tags/refresh`,
    {},
    { headers, timeout: HOUR_MS, responseType: 'text' },
  )
  if (data.includes('"error"')) throw new Error(data.trim().split('\n').at(-1))
  return elapsedMs() - from
}

/** Events at a fixed rate; of every request, how long it takes from its due time until what it changes is stored. */
class Stream {
  private readonly db: Database.Database
  private next = 1

  constructor(
    private readonly service: Service,
    home: string,
    private readonly plan: Plan,
  ) {
    this.db = new Database(join(home, 'data/documents.sqlite'), { readonly: true })
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
        const key = `beside-${from}`
        const records = Array.from({ length: BATCH }, (_, i) => eventRecord('beside', from + i, people))
        under.push(
          post(this.service, key, records).then(
            () => void waiting.set(key, dueMs),
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

/** Nobody enters by it: runs are written as if they had been waiting for long. */
const timerJourney = {
  id: TIMER,
  name: 'timers',
  purpose: 'benchmark',
  enter: { on: 'registered' },
  goal: { event: 'order_paid', within: '90d' },
  steps: [
    { wait: '30d' },
    { branch: [{ if: { tag: 'bench_0' }, do: [{ wait: '30d' }] }, { else: [{ wait: '60d' }] }] },
  ],
}

async function addTimers(home: string, plan: Plan, note: (text: string) => void): Promise<void> {
  note(`${plan.timers} timers`)
  const store = openSqliteDocuments({ file: join(home, 'data/documents.sqlite') })
  try {
    const docs = await openCollections(store)
    const now = systemClock.now()
    const soon = now.getTime() + LEAD_MS + (plan.timers / 10_000) * SECOND_MS
    for (let from = 0; from < plan.timers; from += 1_000) {
      await docs.runs.insert(
        Array.from({ length: Math.min(1_000, plan.timers - from) }, (_, i): Run => {
          const profileId = from + i + 1
          return {
            ...{ _id: `${TIMER}:${profileId}:0`, journeyId: TIMER, version: 1, profileId, bucket: bucketOf(profileId) },
            ...{ anchor: `member_id:m${profileId}`, n: 0, path: '0', arm: 'treated', state: 'waiting' },
            ...{ arrivedAt: now, enteredAt: now, dueAt: new Date(soon + (profileId * SECOND_MS) / plan.duePerSecond) },
          }
        }),
      )
    }
    writeFileSync(join(home, 'first-due'), String(soon))
  } finally {
    await store.close()
  }
}

/** How late the timer is that waits the longest, looked at all the time: nobody is later. */
async function watchTimers(home: string, { duePerSecond, timerSeconds }: Plan): Promise<Record<string, number>> {
  const db = new Database(join(home, 'data/documents.sqlite'), { readonly: true })
  try {
    const soon = Number(readFileSync(join(home, 'first-due'), 'utf8'))
    const first = db.prepare(
      `SELECT doc ->> '$.dueAt."$date"' AS dueAt FROM "c:runs" WHERE "f:state" = 'waiting' ORDER BY "f:dueAt" LIMIT 1`,
    )
    const late: number[] = []
    while (systemClock.now().getTime() < soon) await sleep(POLL_MS)
    const until = soon + timerSeconds * SECOND_MS
    while (systemClock.now().getTime() < until) {
      const { dueAt } = first.get() as { dueAt: number }
      late.push(Math.max(0, systemClock.now().getTime() - dueAt))
      await sleep(POLL_MS)
    }
    const at = quantilesOf(late)
    return { items: duePerSecond * timerSeconds, lateP50Ms: at(0.5), lateP99Ms: at(0.99), lateMaxMs: at(1) }
  } finally {
    db.close()
  }
}
