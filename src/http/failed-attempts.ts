import { setTimeout as sleep } from 'node:timers/promises'
import type { Log } from '../log.js'
import { elapsedMs } from '../time.js'
import { HTTP_BOUNDS } from '../bounds.js'
import { HttpError } from './error-middleware.js'

/** Who tries keys that are none, by address, for a minute. */
export class FailedAttempts {
  private readonly byAddress = new Map<string, { sinceMs: number; attempts: number }>()
  private waiting = 0

  constructor(private readonly log: Log) {}

  /**
   * Resolves at once for the first few of a minute, and after a pause for each further one.
   *
   * @param what - method and path
   * @param hasKey - it came with a key that is none of ours; the key itself is told to nobody
   * @throws {HttpError} 429, when too many wait already
   */
  async note(address: string, what: string, hasKey: boolean): Promise<void> {
    const { freeAttempts, attemptsMs, addresses, pauseMs, pausing } = HTTP_BOUNDS.failed
    const nowMs = elapsedMs()
    const known = this.byAddress.get(address)
    const entry = known !== undefined && nowMs - known.sinceMs < attemptsMs ? known : { sinceMs: nowMs, attempts: 0 }
    entry.attempts++
    this.byAddress.delete(address)
    this.byAddress.set(address, entry)
    // The oldest goes: it is forgiven.
    if (this.byAddress.size > addresses) this.byAddress.delete(this.byAddress.keys().next().value!)
    this.log.warn('request without a key of ours', { from: address, what, hasKey, attempts: entry.attempts })
    if (entry.attempts <= freeAttempts) return
    if (this.waiting >= pausing)
      throw new HttpError(429, 'too_many', 'too many requests without a key: try again later')
    this.waiting++
    try {
      await sleep(pauseMs, undefined, { ref: false })
    } finally {
      this.waiting--
    }
  }
}
