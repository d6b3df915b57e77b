import type { SourceRecordInput } from '../../src/domain/events/record.js'
import { SourceRecord } from '../../src/domain/events/record.js'
import { ConflictError } from '../../src/errors.js'
import { runLane } from '../../src/jobs/registry.js'
import { quietLog } from '../../src/log.js'
import { parseInput } from '../../src/parse.js'
import { acceptRecords } from '../../src/services/ingest/accept-records.js'
import { KnownEvents } from '../../src/services/ingest/known-events.js'
import { Facts } from '../../src/services/segments/facts.js'
import type { ServiceDeps } from '../../src/services/runtime/deps.js'
import { earliestOf } from '../../src/play/live.js'
import { workTimes } from '../../src/services/runtime/lanes.js'
import { createLeases, type Leases } from '../../src/services/runtime/with-lease.js'
import type { Shard } from '../../src/ports/job-queue.js'
import type { Collections } from '../../src/stored/collections.js'
import { EVENT_WRITES, type World, WRITES } from './build-deps.js'
import type { Teller } from './stories.js'

/** Holds a worker still at one moment: from then on nothing that it asks of the world is carried out until it is thawed. */
export class Freezer {
  /** Moments at which it might have been held: before and after each write and each request to the platform. */
  readonly moments: string[] = []
  /** Where it was held. */
  heldAt: string | undefined
  private thawed: Promise<void> | undefined
  private open: () => void = () => undefined
  private readonly frozen: Promise<void>
  private tell: () => void = () => undefined

  constructor(private readonly moment?: number) {
    this.frozen = new Promise((resolve) => (this.tell = resolve))
  }

  /** Resolves when it is held. */
  reached(): Promise<void> {
    return this.frozen
  }

  thaw(): void {
    this.open()
  }

  guard<T extends object>(name: string, target: T, writes: readonly string[]): T {
    return new Proxy(target, {
      get: (object, key) => {
        const value: unknown = Reflect.get(object, key)
        if (typeof value !== 'function') return value
        const bound = value.bind(object) as (...args: unknown[]) => unknown
        const isWrite = writes.includes(String(key))
        // Reads that stream are made of others; what waits is in this process.
        if (key === 'scan' || key === 'unread' || (isWrite === false && key === 'close')) return bound
        return async (...args: unknown[]) => {
          await this.thawed
          const what = `${name}.${String(key)}`
          if (isWrite) await this.pass(`before ${what}`)
          const result = await bound(...args)
          await this.thawed
          if (isWrite) await this.pass(`after ${what}`)
          return result
        }
      },
    })
  }

  private async pass(where: string): Promise<void> {
    if (this.moments.push(where) !== this.moment) return
    this.heldAt = where
    this.thawed = new Promise((resolve) => (this.open = resolve))
    this.tell()
    await this.thawed
  }
}

/** How long the virtual clock stands before somebody who finds everything taken looks again. */
const PATIENCE_MS = 10_000
/** A lease is taken over after 30 s, an open claim settled after 75 s. */
const MAX_LOOKS = 20
/** What is due after so many rounds at one instant waits for somebody. */
const MAX_ROUNDS = 50

/** What a worker says that finds itself late. */
const LATE = /^lost the lease|gone on elsewhere$|^(evaluated|entered) too slowly/

/** One process among those that share a world's stores: its own leases, its own way to everything. */
export class Worker implements Teller {
  readonly deps: ServiceDeps
  readonly docs: Collections
  private readonly leases: Leases

  constructor(
    readonly owner: string,
    private readonly world: World,
    freezer = new Freezer(),
  ) {
    const { deps } = world
    const elapsedMs = () => world.clock.now().getTime()
    this.docs = world.docs
    this.deps = {
      ...deps,
      docs: Object.fromEntries(
        Object.entries(deps.docs).map(([name, c]) => [name, freezer.guard(name, c as object, WRITES)]),
      ) as unknown as Collections,
      events: freezer.guard('events', deps.events, EVENT_WRITES),
      facts: new Facts(deps.events, deps.docs),
      knownEvents: new KnownEvents(deps.events, false),
      jobs: freezer.guard('jobs', deps.jobs, ['add']),
      channels: {
        wecom: freezer.guard('wecom', deps.channels.wecom, ['dispatch', 'cancel']),
        task: freezer.guard('task', deps.channels.task, ['dispatch', 'cancel']),
      },
      worker: { elapsedMs, alone: false, fence: 0, isLate: () => false },
    }
    this.leases = createLeases({ meta: this.deps.docs.meta, log: quietLog, owner, elapsedMs, alone: false })
  }

  get clock() {
    return this.world.clock
  }

  get wecom() {
    return this.world.wecom
  }

  accept(key: string, ...records: unknown[]): Promise<boolean> {
    const parsed = records.map((record, i) => {
      const given = { ref: `${key}:${i}`, source: 'shop', observedAt: this.clock.now(), ...(record as object) }
      return parseInput(SourceRecord, given as SourceRecordInput)
    })
    return acceptRecords(this.deps, key, parsed)
  }

  /** Works off what is due; where somebody holds it, or is at what it waits for, time passes until it can be taken over. */
  async run(): Promise<void> {
    let looks = 0
    let rounds = 0
    for (;;) {
      const now = this.deps.clock.now()
      const due = (await workTimes(this.deps)).filter(({ at }) => at <= now)
      if (due.length === 0) return
      let hasWorked = false
      for (const { name, shard } of due) hasWorked = (await this.work(name, shard)) || hasWorked
      if (hasWorked && ++rounds < MAX_ROUNDS) continue
      rounds = 0
      if (++looks > MAX_LOOKS) {
        const names = due.map(({ name }) => name)
        throw new Error(`${this.owner} waits for others in vain: ${names.join(', ')}`)
      }
      this.clock.set(new Date(this.clock.now().getTime() + PATIENCE_MS))
    }
  }

  async until(at: string | Date): Promise<void> {
    const end = new Date(at)
    await this.run()
    for (let next = await this.nextAt(); next !== undefined && next <= end; next = await this.nextAt()) {
      if (next > this.clock.now()) this.clock.set(next)
      await this.run()
    }
    if (end > this.clock.now()) this.clock.set(end)
  }

  private async nextAt(): Promise<Date | undefined> {
    return earliestOf(await workTimes(this.deps))
  }

  private async work(name: string, shard: Shard): Promise<boolean> {
    try {
      return await runLane(name, this.deps, this.leases, { shard })
    } catch (err) {
      // It slept too long; the work is found again by whoever looks next.
      if (err instanceof ConflictError && LATE.test(err.message)) return false
      throw err
    }
  }
}
