import { setTimeout as sleep } from 'node:timers/promises'
import { Counter, type Registry } from 'prom-client'
import { type Log, type ThrottledLog, throttled } from '../log.js'
import { elapsedMs } from '../time.js'
import { HTTP_BOUNDS } from '../bounds.js'
import { HttpError } from './error-middleware.js'

/** Requests that did not show whose they are (a key, a session, a signature), by address, for a minute. */
export class FailedAttempts {
  private readonly byAddress = new Map<string, { sinceMs: number; attempts: number }>()
  private readonly log: ThrottledLog
  private readonly refused: Counter<'by'>
  private waiting = 0

  constructor(log: Log, registry: Registry) {
    this.log = throttled(log)
    this.refused = new Counter({
      name: 'siyu_http_refused_total',
      help: 'Requests without a key, a session or a signature of ours',
      labelNames: ['by'],
      registers: [registry],
    })
  }

  /**
   * Resolves at once for the first few of a minute, and after a pause for each further one.
   *
   * @param by - what it should have had
   * @param what - method and path; what it had instead of a key is told to nobody
   * @throws {HttpError} 429, when too many wait already
   */
  async note(address: string, by: 'key' | 'signature', what: string): Promise<void> {
    const { freeAttempts, attemptsMs, addresses, pauseMs, pausing } = HTTP_BOUNDS.failed
    const nowMs = elapsedMs()
    const known = this.byAddress.get(address)
    const entry = known !== undefined && nowMs - known.sinceMs < attemptsMs ? known : { sinceMs: nowMs, attempts: 0 }
    entry.attempts++
    this.byAddress.delete(address)
    this.byAddress.set(address, entry)
    // The oldest goes: it is forgiven.
    if (this.byAddress.size > addresses) this.byAddress.delete(this.byAddress.keys().next().value!)
    this.refused.inc({ by })
    // One line may stand for many: how many addresses there were tells whether it is one that tries.
    this.log.warn(FACTS[by], {
      from: address,
      what: what.slice(0, WHAT_CHARS),
      attempts: entry.attempts,
      addresses: this.byAddress.size,
    })
    if (entry.attempts <= freeAttempts) return
    if (this.waiting >= pausing)
      throw new HttpError(429, 'too_many', 'too many requests that do not show whose they are: try again later')
    this.waiting++
    try {
      await sleep(pauseMs, undefined, { ref: false })
    } finally {
      this.waiting--
    }
  }

  /** Tells what is not in the log yet. */
  close(): void {
    this.log.flush()
  }
}

const FACTS = {
  key: 'request without a key or a session of ours',
  signature: 'callback that WeCom has not signed, or that cannot be read',
}
const WHAT_CHARS = 200
