import { AppError, ConflictError, InvalidInputError, messageOf, type Problem } from '../../errors.js'
import type { Log } from '../../log.js'
import { type Group, type JobHandler, type JobOptions, nameOfShard, type Shard, WHOLE } from '../../ports/job-queue.js'

/** How long a handler may go on after its signal has aborted; then the queue closes without it. */
const AFTER_ABORT_MS = 5_000

export type JobPlan = {
  /** Of the name and shard: which of the waiting jobs this is. */
  key: string | undefined
  delayMs: number
  attempts: number
  backoffMs: number
  /** Absent for the whole. */
  shard?: Shard
}

/** Options with their defaults. @throws {InvalidInputError} */
export function planJob(name: string, options: JobOptions = {}): JobPlan {
  const { key, delayMs = 0, attempts = 3, backoffMs = 1_000, shard } = options
  const problems: Problem[] = []
  if (key === '') problems.push({ path: 'key', message: 'is empty', hint: 'leave it out or give it a name' })
  if (!Number.isInteger(attempts) || attempts < 1) {
    problems.push({ path: 'attempts', message: `must be a whole number from 1 (got ${attempts})` })
  }
  for (const [path, value] of Object.entries({ delayMs, backoffMs })) {
    if (!Number.isFinite(value) || value < 0) {
      problems.push({ path, message: `must be milliseconds from 0 (got ${value})` })
    }
  }
  if (shard !== undefined && !isShard(shard)) {
    problems.push({ path: 'shard', message: `must be a part from 0 of at least 1 (got ${shard.index} of ${shard.of})` })
  }
  if (problems.length > 0) throw new InvalidInputError(`Job "${name}" cannot be added`, problems)
  const plan = {
    key: key === undefined ? undefined : `${turnName(name, { shard })}:${key}`,
    delayMs,
    attempts,
    backoffMs,
  }
  return shard === undefined || shard.of === 1 ? plan : { ...plan, shard }
}

/** What never runs twice at once in a process: a name, or its shard. */
export function turnName(name: string, { shard = WHOLE }: { shard?: Shard | undefined }): string {
  return nameOfShard(name, shard)
}

function isShard({ index, of }: Shard): boolean {
  return Number.isInteger(index) && Number.isInteger(of) && index >= 0 && index < of
}

/** Pause after the failed attempt number `attempt` (1-based), or `undefined` when that was the last one. */
export function pauseAfter(err: unknown, attempt: number, { attempts, backoffMs }: JobPlan): number | undefined {
  if (attempt >= attempts || (err instanceof AppError && !err.retryable)) return undefined
  return backoffMs * 2 ** (attempt - 1)
}

export function reportFailure(
  log: Log,
  name: string,
  attempt: number,
  pauseMs: number | undefined,
  err: unknown,
): void {
  if (pauseMs === undefined) log.error('job failed', { job: name, attempt, cause: messageOf(err) })
  else log.warn('job will be tried again', { job: name, attempt, pauseMs, cause: messageOf(err) })
}

export function closedError(): ConflictError {
  return new ConflictError('the job queue is closed: this process is stopping')
}

/** The handlers of one process and what they are doing now. */
export class RunningJobs {
  private readonly handlers = new Map<string, { handler: JobHandler; group: Group }>()
  private readonly running = new Map<Promise<void>, AbortController>()

  constructor(private readonly log: Log) {}

  get size(): number {
    return this.running.size
  }

  /** @throws {ConflictError} when the name has a handler already. */
  handle(name: string, handler: JobHandler, { group }: { group: Group }): void {
    if (this.handlers.has(name)) throw new ConflictError(`job "${name}" has a handler already: register each name once`)
    this.handlers.set(name, { handler, group })
  }

  /** @throws {ConflictError} when the name has no handler. */
  groupOf(name: string): Group {
    const known = this.handlers.get(name)
    if (known === undefined) throw new ConflictError(`job "${name}" has no handler here: register it before adding`)
    return known.group
  }

  /** Rejects as the handler does. A missing handler is worth another attempt: a newer process may know the name. */
  async run(name: string, data: unknown, { shard = WHOLE }: JobPlan): Promise<void> {
    const known = this.handlers.get(name)
    if (known === undefined) throw new Error(`no handler for job "${name}" in this process`)
    const abort = new AbortController()
    const run = (async () => known.handler(data, abort.signal, shard))()
    this.running.set(run, abort)
    try {
      await run
    } finally {
      this.running.delete(run)
    }
  }

  /** Lets running handlers end: their signals abort after `graceMs`, and a while later they are given up. */
  async settle(graceMs: number): Promise<void> {
    if (await this.endedWithin(graceMs)) return
    for (const abort of this.running.values()) abort.abort(closedError())
    if (await this.endedWithin(AFTER_ABORT_MS)) return
    this.log.error('jobs did not stop when asked', { jobs: this.running.size })
  }

  private async endedWithin(ms: number): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<boolean>((resolve) => (timer = setTimeout(() => resolve(false), ms)))
    const ended = Promise.allSettled(this.running.keys()).then(() => true)
    return Promise.race([ended, late]).finally(() => clearTimeout(timer))
  }
}
