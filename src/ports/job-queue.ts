/** A handler may run twice or late: effects have keys of their own. */
export type JobHandler = (data: unknown, signal: AbortSignal) => Promise<void>

export type JobOptions = {
  /** Two waiting jobs with one key are one job. A key is free again as soon as its job starts running. */
  key?: string
  delayMs?: number
  /** Runs in all, at least 1; default 3. A non-retryable AppError is not tried again. */
  attempts?: number
  /** Pause before the second attempt; doubles with each further one. Default 1,000. */
  backoffMs?: number
}

export type JobCounts = { waiting: number; delayed: number; active: number; failed: number }

/** Hints to do work soon. Never the only place where work is known. Adapters: in process, Bull on Redis. */
export interface JobQueue {
  readonly kind: 'in-process' | 'bull'
  /** Registers the handler of a name. Jobs of one process run one at a time, first in first out over all names, unless `concurrency` was raised when opening. */
  handle(name: string, handler: JobHandler): void
  /** Starts taking jobs; before that they wait. */
  start(): Promise<void>
  add(name: string, data?: unknown, options?: JobOptions): Promise<void>
  /** Resolves when nothing is waiting, active or due within this moment (delayed jobs do not count). */
  idle(): Promise<void>
  counts(): Promise<JobCounts>
  ping(): Promise<void>
  /** Removes every job under this queue's prefix. */
  drop(): Promise<void>
  /** Stops taking jobs, lets running ones end (their signal aborts after `graceMs`, default 10,000). May be called twice. */
  close(graceMs?: number): Promise<void>
}
