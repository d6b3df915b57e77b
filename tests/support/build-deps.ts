import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { openChdbEvents } from '../../src/adapters/events/chdb.js'
import { writeBehind } from '../../src/adapters/events/write-behind.js'
import { openSqliteDocuments } from '../../src/adapters/documents/sqlite.js'
import { refusing } from '../../src/app/refusing.js'
import { openInProcessQueue } from '../../src/adapters/queue/in-process.js'
import { tables } from '../../src/domain/events/tables.js'
import { SourceRecord } from '../../src/domain/events/record.js'
import { Journey } from '../../src/domain/journeys/definition.js'
import { CouponPool } from '../../src/domain/content/content.js'
import { readCallbackEvent } from '../../src/adapters/wecom/port/callback-event.js'
import { parseMessage } from '../../src/adapters/wecom/transport/callback.js'
import { quietLog } from '../../src/log.js'
import { parseInput } from '../../src/parse.js'
import type { DocumentStore } from '../../src/ports/document-store.js'
import type { EventStore } from '../../src/ports/event-store.js'
import type { WecomPort } from '../../src/ports/wecom.js'
import { KnownEvents } from '../../src/services/ingest/known-events.js'
import { Facts } from '../../src/services/segments/facts.js'
import { acceptRecords } from '../../src/services/ingest/accept-records.js'
import { type Collections, openCollections } from '../../src/stored/collections.js'
import type { ServiceDeps } from '../../src/services/runtime/deps.js'
import type { OperationDeps } from '../../src/services/runtime/operations.js'
import { earliestOf, live, workOff } from '../../src/play/live.js'
import { lanes, type Work } from '../../src/services/runtime/lanes.js'
import { type LoadedDefinitions, parseFiles, type RawFiles } from '../../src/services/definitions/load-definitions.js'
import { publishDefinitions } from '../../src/services/definitions/publish-definitions.js'
import { liveDefinitions } from '../../src/services/definitions/read-published.js'
import { ManualClock, MINUTE_MS } from '../../src/time.js'
import { FakeChannel } from './fake-channel.js'
import { atOnce } from '../../src/services/runtime/with-lease.js'

/** One chDB for a test file: a process holds one directory at a time. */
export type EventHome = {
  /** Reads what worlds have written behind, too. */
  store: EventStore
  /** The store itself, and those that write behind it. */
  engine: EventStore
  behind: Set<EventStore>
  close(): Promise<void>
}

export async function openEventHome(): Promise<EventHome> {
  const home = mkdtempSync(join(tmpdir(), 'siyu-services-'))
  // Within the time a test has: what the engine does not answer is told by name.
  const path = join(home, 'events')
  const engine = await openChdbEvents({ path, memoryLimitMb: 1024, maxThreads: 1, silentAfterMs: 3 * MINUTE_MS })
  // A world empties the tables before it begins; nothing that runs in the background is waited for then.
  await engine.command('SYSTEM STOP MERGES')
  const behind = new Set<EventStore>()
  const store: EventStore = {
    ...engine,
    async query(sql, row, queue, options) {
      for (const events of behind) await events.query('SELECT 1 AS one', z.object({ one: z.number() }))
      return engine.query(sql, row, queue, options)
    },
  }
  return {
    store,
    engine,
    behind,
    close: async () => {
      await engine.close()
      rmSync(home, { recursive: true, force: true })
    },
  }
}

export type Definitions = {
  tags?: readonly unknown[]
  segments?: Readonly<Record<string, unknown>>
  journeys?: readonly object[]
  contents?: readonly unknown[]
  coupons?: readonly unknown[]
  policy?: object
  identity?: object
  welcome?: readonly unknown[]
  lifecycle?: object
}

const IDENTITY = {
  identifiers: [
    { type: 'unionid', strength: 'strong', max: 1 },
    { type: 'external_userid', strength: 'strong', max: 3 },
    { type: 'member_id', strength: 'strong', max: 3 },
    { type: 'openid', strength: 'strong', max: 3 },
    { type: 'phone', strength: 'weak', max: 3, normalise: 'phone' },
  ],
}
const POLICY = {
  quietHours: { from: '21:00', to: '09:00' },
  wecomQuota: { mode: 'month_days' },
  confirmWithin: '3d',
}

/** Definitions as the loader would give them, from what an operator would write. */
export function define(d: Definitions): LoadedDefinitions {
  const files = filesOf(d)
  return {
    ...parseFiles(files),
    files,
    couponPools: (d.coupons ?? []).map((c) => parseInput(CouponPool, c)),
    journeyFiles: (d.journeys ?? []).map((j) => {
      const raw = { name: 'a journey', goal: { event: 'order_paid', within: '14d' }, ...j }
      return { journey: parseInput(Journey, raw), raw }
    }),
  }
}

/** What those files would hold, as written. */
function filesOf({
  tags = [],
  segments = {},
  contents = [],
  welcome,
  policy,
  identity,
  lifecycle,
}: Definitions): RawFiles {
  const tag = { name: 'a tag', category: 'model', owner: 'crm', purpose: 'test' }
  const rules = Object.entries(segments).map(([id, when]) => ({ id, name: 'a segment', purpose: 'test', when }))
  return {
    identity: [{ ...IDENTITY, ...identity }],
    policy: [{ ...POLICY, ...policy }],
    tags: tags.length === 0 ? [] : [{ tags: tags.map((t) => ({ ...tag, ...(t as object) })) }],
    contents: contents.length === 0 ? [] : [{ contents }],
    segments: rules.length === 0 ? [] : [{ segments: rules }],
    welcome: welcome === undefined ? [] : [{ rules: welcome }],
    lifecycle: lifecycle === undefined ? [] : [lifecycle],
  }
}

/**
 * Throws at the n-th write that anything does, and at every one that follows until it is revived: the dead do not handle
 * errors. A read that dies is the death before the next write.
 */
export class Faults {
  writes = 0
  failAt: number | undefined
  private death: Error | undefined
  private at(what: string): void {
    if (this.death === undefined && ++this.writes === this.failAt)
      this.death = new Error(`crash at write ${this.writes}: ${what}`)
    if (this.death !== undefined) throw this.death
  }
  revive(): void {
    this.death = undefined
  }
  guard<T extends object>(name: string, target: T, methods: readonly string[]): T {
    return new Proxy(target, {
      get: (object, key) => {
        const value: unknown = Reflect.get(object, key)
        if (typeof value !== 'function') return value
        const bound = value.bind(object) as (...args: unknown[]) => unknown
        if (!methods.includes(String(key))) return bound
        return async (...args: unknown[]) => {
          this.at(`${name}.${String(key)}`)
          return bound(...args)
        }
      },
    })
  }
}

/** Of a collection. */
export const WRITES = ['insert', 'put', 'update', 'updateEach', 'updateMany', 'findOneAndUpdate', 'delete']

/** Of an event store. */
export const EVENT_WRITES = ['insert', 'append']

export type World = {
  deps: ServiceDeps
  /** The same collections, without faults. */
  docs: Collections
  documents: DocumentStore
  clock: ManualClock
  wecom: FakeChannel
  task: FakeChannel
  closedCards: string[]
  faults: Faults
  /** Takes records as a source gives them. */
  accept(key: string, ...records: unknown[]): Promise<boolean>
  /** Works off everything that is due now. */
  run(): Promise<void>
  /** Moves the clock from due instant to due instant up to `at`, and works everything off. */
  until(at: string | Date): Promise<void>
  publish(d: Definitions): Promise<void>
  query<S extends z.ZodType>(sql: string, row: S): Promise<z.infer<S>[]>
  close(): Promise<void>
}

let worlds = 0

/** Everything a service is handed, on embedded stores that are empty. */
export async function buildWorld(
  home: EventHome,
  options: {
    at: string
    definitions?: Definitions | LoadedDefinitions
    sending?: ServiceDeps['sending']
    timeZone?: string
    seed?: number
    /** Default: SQLite in memory. Whoever gives one closes it. */
    documents?: DocumentStore
    /** What WeCom answers, where a test cares. */
    wecom?: Partial<WecomPort>
    wecomSettings?: Partial<ServiceDeps['wecomSettings']>
  },
): Promise<World> {
  const world = ++worlds
  for (const { name } of tables) await home.store.command(`TRUNCATE TABLE ${name}`)
  const faults = new Faults()
  const store = options.documents ?? openSqliteDocuments({ file: ':memory:', fsync: false })
  const docs = await openCollections(store)
  const clock = new ManualClock(new Date(options.at))
  const jobs = openInProcessQueue()
  for (const lane of lanes) jobs.handle(lane.name, () => Promise.resolve(), lane)
  const wecom = new FakeChannel('wecom', clock)
  const task = new FakeChannel('task', clock)
  const closedCards: string[] = []
  const port: WecomPort = {
    readEvent: (message) => readCallbackEvent(parseMessage(message)),
    servingMembers: () => Promise.resolve([]),
    relationPage: () => Promise.resolve({ relations: [] }),
    customersOf: () => Promise.resolve([]),
    relationsOf: () => Promise.resolve([]),
    departments: () => Promise.resolve([]),
    membersOf: () => Promise.resolve([]),
    tags: () => Promise.resolve([]),
    async *groupIds() {},
    group: () => Promise.resolve(undefined),
    sendWelcome: () => Promise.resolve({ kind: 'sent' }),
    uploadImage: (file) => Promise.resolve(`media-${file}`),
    tell: () => Promise.resolve(),
    closeCard: ({ responseCode }) => Promise.resolve(closedCards.push(responseCode) > 0),
    ...options.wecom,
  }
  const engine: EventStore = {
    ...home.engine,
    // Emptied tables still remember the tokens of earlier tests.
    insert: (table, rows, token) => home.engine.insert(table, rows, `${world}/${token}`),
    // The file's, not the world's.
    close: () => Promise.resolve(),
  }
  const guarded = Object.fromEntries(
    Object.entries(docs).map(([name, c]) => [name, faults.guard(name, c, WRITES)]),
  ) as unknown as Collections
  const events = await writeBehind(engine, guarded.waitingRows, { log: quietLog, tables })
  home.behind.clear()
  home.behind.add(events)
  const given = options.definitions ?? {}
  let loaded = 'couponPools' in given ? given : define(given)
  const deps: ServiceDeps = {
    clock,
    log: quietLog,
    docs: guarded,
    events: faults.guard('events', events, EVENT_WRITES),
    facts: new Facts(events, docs, true),
    knownEvents: new KnownEvents(events, true),
    jobs: faults.guard('jobs', jobs, ['add']),
    definitions: {
      current: {
        ...loaded,
        version: 0,
        pins: {},
        corrected: new Map(),
        withdrawn: new Set(),
        journeys: new Map(),
        pinned: new Map(),
        evaluables: [],
      },
    },
    channels: {
      wecom: faults.guard('wecom', wecom, ['dispatch', 'cancel']),
      task: faults.guard('task', task, ['dispatch', 'cancel']),
    },
    brand: { name: 'Brand', timeZone: options.timeZone ?? 'Asia/Shanghai', locale: 'zh' },
    ingest: { aheadMs: 5 * MINUTE_MS },
    sending: options.sending ?? { mode: 'live', allowList: [] },
    linkBase: 'https://m.example.com/t',
    seed: options.seed ?? 1,
    worker: { elapsedMs: () => 0, alone: true, fence: 0, isLate: () => false },
    wecom: port,
    wecomActions: refusing(new Error('this test changes nothing in WeCom')),
    wecomSettings: {
      reconcileAt: 'off',
      lostNotice: { guide: false, userIds: [] },
      writeback: 'off',
      statisticsAt: 'off',
      ...options.wecomSettings,
    },
  }
  const publish = async () => {
    await publishDefinitions({ docs, clock }, loaded)
    deps.definitions.current = await liveDefinitions(deps, loaded)
  }
  await publish()
  const work = ({ name, shard }: Work) => lanes.find((l) => l.name === name)!.run(deps, undefined, shard)
  const run = async () => void (await workOff(deps, work))
  return {
    deps,
    docs,
    documents: store,
    clock,
    wecom,
    task,
    closedCards,
    faults,
    accept: (key, ...records) =>
      acceptRecords(
        deps,
        key,
        records.map((r, i) =>
          parseInput(SourceRecord, { ref: `${key}:${i}`, source: 'shop', observedAt: clock.now(), ...(r as object) }),
        ),
      ),
    run,
    until: async (at) => {
      const end = new Date(at)
      await live(deps, {
        from: clock.now(),
        work,
        arrive: (instant) => Promise.resolve(clock.set(instant)),
        next: (_at, later) => {
          const next = earliestOf(later)
          return next === undefined || next > end
            ? undefined
            : new Date(Math.max(next.getTime(), clock.now().getTime()))
        },
      })
      if (end > clock.now()) clock.set(end)
    },
    publish: async (d) => {
      loaded = define(d)
      await publish()
    },
    query: (sql, row) => home.store.query(sql, row),
    close: async () => {
      home.behind.delete(events)
      await jobs.close()
      // What waits would arrive seconds later, in the tables of the next world.
      faults.failAt = undefined
      faults.revive()
      await events.close()
      if (options.documents === undefined) await store.close()
    },
  }
}

/** What operations are run with in a world, where nothing works beside them and nothing is read from files. */
export function operationsOf(world: World): OperationDeps {
  const publish = () => Promise.reject(new Error('this world has no files'))
  const copying = refusing<OperationDeps['copying']>(new Error('this world copies nothing'))
  return { deps: world.deps, documents: world.documents, publish, alone: atOnce, copying }
}

/** A record about a contact of a guide: enough to write to her. */
export function contactRecord(name: string, at: string | Date, guide = 'guide-1', more: object = {}): object {
  const occurredAt = new Date(at)
  return {
    observedAt: occurredAt,
    identifiers: [
      { type: 'external_userid', value: `wm-${name}` },
      { type: 'member_id', value: name },
    ],
    events: [
      {
        id: `contact:${name}`,
        name: 'contact_added',
        occurredAt,
        properties: { userId: guide, externalUserId: `wm-${name}` },
      },
    ],
    ...more,
  }
}

export function eventRecord(name: string, event: string, at: string | Date, more: object = {}): object {
  const occurredAt = new Date(at)
  return {
    observedAt: occurredAt,
    identifiers: [{ type: 'member_id', value: name }],
    events: [{ id: `${event}:${name}:${occurredAt.toISOString()}`, name: event, occurredAt, ...more }],
  }
}
