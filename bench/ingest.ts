import { join } from 'node:path'
import { z } from 'zod'
import { eventIdsTable, eventsTable, type RowOf, tagChangesTable } from '../src/domain/events/tables.js'
import type { InboxRecord } from '../src/domain/identity/resolve.js'
import { intOf } from '../src/random.js'
import { acceptRecords } from '../src/services/ingest/accept-records.js'
import type { Deps } from '../src/services/runtime/deps.js'
import { processBatches } from '../src/services/ingest/process-batches.js'
import { ManualClock, MINUTE_MS } from '../src/time.js'
import { type BenchContext, type Benchmark, compare, type Scale } from './measure.js'
import type { CaseResult } from './result.js'
import { openStand } from './stand.js'

const START = new Date('2026-06-01T02:00:00Z')

/** Records a batch, batches that wait when work begins, events a round. */
const PLANS: Record<Scale, { people: number; cases: readonly { size: number; waiting: number; events: number }[] }> = {
  full: {
    people: 5_000,
    cases: [
      { size: 1, waiting: 1, events: 40 },
      { size: 1, waiting: 20, events: 200 },
      { size: 50, waiting: 1, events: 500 },
      { size: 500, waiting: 1, events: 2_500 },
      { size: 1_000, waiting: 1, events: 5_000 },
    ],
  },
  quick: {
    people: 1_000,
    cases: [
      { size: 1, waiting: 1, events: 5 },
      { size: 1, waiting: 20, events: 40 },
      { size: 50, waiting: 1, events: 100 },
      { size: 500, waiting: 1, events: 500 },
      { size: 1_000, waiting: 1, events: 1_000 },
    ],
  },
  tiny: { people: 50, cases: [{ size: 10, waiting: 2, events: 20 }] },
}

/** From an accepted batch to stored events, tags brought up to date and journeys entered. */
export const ingest: Benchmark = {
  name: 'ingest',
  title: { zh: '接入事件', en: 'Taking events in' },
  unit: { zh: '事件', en: 'event' },
  baseline:
    'the same events appended to the same event store, a group in one insert: no inbox, identity, tags or journeys',
  run: runIngest,
}

async function runIngest({ scale, dir, note }: BenchContext): Promise<CaseResult[]> {
  const clock = new ManualClock(START)
  const app = await openStand(join(dir, 'ingest'), clock)
  try {
    const { deps } = app
    await makeTwinTable(deps)
    const { people, cases } = PLANS[scale]
    note(`${people} people`)
    for (let first = 0; first < people; first += 500)
      await acceptRecords(deps, `people:${first}`, makePeople(first, Math.min(500, people - first), START))
    await drain(deps, clock)

    const results: CaseResult[] = []
    let made = 0
    for (const { size, waiting, events } of cases) {
      let groups: InboxRecord[][][] = []
      let changesBefore = 0
      const rounds = 3
      results.push(
        await compare(
          {
            name: waiting === 1 ? `batch ${size}` : `batch ${size}, ${waiting} waiting`,
            items: events,
            warmups: 1,
            rounds,
            prepare: async () => {
              clock.set(new Date(clock.now().getTime() + MINUTE_MS))
              const records = makeEvents(made, events, people, clock.now())
              made += events
              groups = chunk(chunk(records, size), waiting)
              changesBefore = await countTagChanges(deps)
            },
            product: async (round) => {
              for (const [g, group] of groups.entries()) {
                for (const [b, batch] of group.entries())
                  await acceptRecords(deps, `${size}:${waiting}:${round}:${g}:${b}`, batch)
                await processBatches(deps)
              }
              await drain(deps, clock)
            },
            baseline: async (round) => {
              for (const [g, group] of groups.entries())
                await deps.events.insert(twinTable, group.flat().map(toRow), `bench:${size}:${waiting}:${round}:${g}`)
            },
            figures: async () => ({ tagChanges: (await countTagChanges(deps)) - changesBefore }),
          },
          note,
        ),
      )
    }
    return results
  } finally {
    await app.close()
  }
}

/** What journeys add to the inbox belongs to the work too; it is taken up at a later instant. */
async function drain(deps: Deps, clock: ManualClock): Promise<void> {
  for (let turn = 0; turn < 20; turn++) {
    await processBatches(deps)
    if ((await deps.docs.batches.findOne({ state: { $in: ['planned', 'accepted'] } })) === undefined) return
    clock.set(new Date(clock.now().getTime() + 1))
  }
  throw new Error('the inbox does not become empty')
}

const twinTable = { ...eventsTable, name: 'bench_events' }
const twinIdsTable = { ...eventIdsTable, name: 'bench_event_ids' }

/** Tables as the product's own, so that neither side reads what the other wrote. */
async function makeTwinTable({ events }: Deps): Promise<void> {
  await events.command(`CREATE TABLE ${twinTable.name} AS ${eventsTable.name}`)
  await events.command(`CREATE TABLE ${twinIdsTable.name} AS ${eventIdsTable.name}`)
  await events.command(
    `CREATE MATERIALIZED VIEW ${twinIdsTable.name}_fill TO ${twinIdsTable.name} AS SELECT source, event_id, batch FROM ${twinTable.name}`,
  )
}

async function countTagChanges({ events }: Deps): Promise<number> {
  const [row] = await events.query(`SELECT count() AS n FROM ${tagChangesTable.name}`, z.object({ n: z.number() }))
  return row!.n
}

function makePeople(first: number, count: number, at: Date): InboxRecord[] {
  return Array.from({ length: count }, (_, i) => person(first + i, at))
}

function person(n: number, at: Date): InboxRecord {
  return {
    ref: `people:${n}`,
    source: 'bench',
    observedAt: at,
    identifiers: [
      { type: 'member_id', value: `m${n}` },
      { type: 'unionid', value: `u${n}` },
    ],
    traits: { city: `city-${intOf(40, 'bench city', n)}` },
    events: [],
  }
}

/** Names in parts of 100: much looking, some buying. */
const MIX: readonly [name: string, upTo: number][] = [
  ['product_viewed', 60],
  ['link_clicked', 70],
  ['added_to_cart', 82],
  ['product_favourited', 88],
  ['consulted', 90],
  ['order_paid', 98],
  ['registered', 100],
]

/** One event a record; one record in twenty is about somebody new. */
function makeEvents(first: number, count: number, people: number, at: Date): InboxRecord[] {
  return Array.from({ length: count }, (_, i) => {
    const n = first + i
    const draw = intOf(100, 'bench name', n)
    const name = MIX.find(([, upTo]) => draw < upTo)![0]
    const about = n % 20 === 0 ? person(people + n, at) : { ...person(intOf(people, 'bench who', n), at), traits: {} }
    const isOrder = name === 'order_paid'
    return {
      ...about,
      ref: `events:${n}`,
      identifiers: about.identifiers.slice(0, n % 20 === 0 ? 2 : 1),
      events: [
        {
          id: `bench:${n}`,
          name,
          occurredAt: new Date(at.getTime() - intOf(MINUTE_MS, 'bench when', n)),
          ...(isOrder ? { amountMinor: 500 + intOf(60_000, 'bench amount', n) } : {}),
          properties: isOrder
            ? { country: 'United Kingdom', quantity: 1 + intOf(600, 'bench quantity', n), lines: 3 }
            : { productId: `p${intOf(4_000, 'bench product', n)}` },
        },
      ],
    }
  })
}

function toRow({ source, identifiers, events }: InboxRecord): RowOf<typeof eventsTable> {
  const event = events[0]!
  return {
    profile_id: Number(identifiers[0]!.value.slice(1)),
    name: event.name,
    occurred_at: event.occurredAt,
    event_id: event.id,
    source,
    amount_minor: event.amountMinor ?? 0,
    properties: JSON.stringify(event.properties),
    batch: 0,
    known_at: event.occurredAt,
    seq: 0,
  }
}

function chunk<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size))
}
