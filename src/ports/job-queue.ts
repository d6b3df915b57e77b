/** Kinds of work that never wait for each other. */
export const GROUPS = ['ingest', 'refresh', 'journeys', 'send', 'wecom'] as const
export type Group = (typeof GROUPS)[number]

/** A value for each group. */
export function eachGroup<T>(valueOf: (group: Group) => T): Record<Group, T> {
  return Object.fromEntries(GROUPS.map((group) => [group, valueOf(group)])) as Record<Group, T>
}

/** Jobs of each group at a time in this process. */
export type Concurrency = Readonly<Record<Group, number>>

/** WeCom's work waits for the platform most of its time: each of it beside the others. */
export const DEFAULT_CONCURRENCY: Concurrency = { ingest: 1, refresh: 1, journeys: 1, send: 1, wecom: 8 }

/** One of the parts among which work is split by profile. */
export type Shard = {
  /** From 0. */
  index: number
  of: number
}

/** Everything in one part. */
export const WHOLE: Shard = { index: 0, of: 1 }

/** `name#2/4`; the whole in one part has the name alone. */
export function nameOfShard(name: string, { index, of }: Shard): string {
  return of === 1 ? name : `${name}#${index}/${of}`
}

/** A handler may run twice or late: effects have keys of their own. `shard` is the one that was given when adding. */
export type JobHandler = (data: unknown, signal: AbortSignal, shard: Shard) => Promise<void>

export type JobOptions = {
  /** Two waiting jobs of one name and shard with one key are one job. A key is free again as soon as its job starts running. */
  key?: string
  delayMs?: number
  /** Runs in all, at least 1; default 3. A non-retryable AppError is not tried again. */
  attempts?: number
  /** Pause before the second attempt; doubles with each further one. Default 1,000. */
  backoffMs?: number
  /** The job is for this part only; default the whole. */
  shard?: Shard
}

export type JobCounts = { waiting: number; delayed: number; active: number; failed: number }

/** Hints to do work soon. Never the only place where work is known. Adapters: in process, Bull on Redis. */
export interface JobQueue {
  readonly kind: 'in-process' | 'bull'
  /**
   * Registers the handler of a name, in every process that adds or runs its jobs. A group has a queue of its own and as many
   * jobs at a time in one process as its concurrency says, but never two of one name (and shard) at once.
   */
  handle(name: string, handler: JobHandler, options: { group: Group }): void
  /** Starts taking jobs; before that they wait. */
  start(): Promise<void>
  /**
   * Jobs of a group run first in, first out, those of a name that runs already after it. With a key such a job may
   * fall behind others of its name.
   *
   * @throws {ConflictError} when no handler was registered, since only that tells the group
   */
  add(name: string, data?: unknown, options?: JobOptions): Promise<void>
  /** Resolves when nothing is waiting, active or due within this moment (delayed jobs do not count), in any group. */
  idle(): Promise<void>
  counts(): Promise<Readonly<Record<Group, JobCounts>>>
  ping(): Promise<void>
  /** Removes every job under this queue's prefix. */
  drop(): Promise<void>
  /** Stops taking jobs, lets running ones end (their signal aborts after `graceMs`, default 10,000). May be called twice. */
  close(graceMs?: number): Promise<void>
}
