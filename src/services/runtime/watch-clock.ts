import type { Log } from '../../log.js'
import { MAX_AHEAD_MS } from '../../stored/runtime.js'
import { type Clock, MINUTE_MS } from '../../time.js'

/** A clock of the day that stays ahead for this long is right: it was the machine that slept, or was set before. */
const BELIEVED_AFTER_MS = 10 * MINUTE_MS

/**
 * Watches the clock of the day by one that nobody sets. While it is much further ahead than time has passed since it was looked
 * at last, it may be wrong for a moment, and what is done then would be dated so: work waits.
 *
 * @returns whether it is ahead now
 */
export function watchClock(clock: Clock, elapsedMs: () => number, log: Log): () => boolean {
  const offsetMs = () => clock.now().getTime() - elapsedMs()
  let believedMs = offsetMs()
  let aheadSinceMs: number | undefined
  return () => {
    const aheadMs = offsetMs() - believedMs
    if (aheadMs > MAX_AHEAD_MS) {
      const nowMs = elapsedMs()
      if (aheadSinceMs === undefined)
        log.error('the clock has leapt ahead, work waits', { minutes: Math.round(aheadMs / MINUTE_MS) })
      aheadSinceMs ??= nowMs
      if (nowMs - aheadSinceMs < BELIEVED_AFTER_MS) return true
      log.warn('the clock has stayed ahead, work goes on by it', { minutes: Math.round(aheadMs / MINUTE_MS) })
    }
    believedMs += aheadMs
    aheadSinceMs = undefined
    return false
  }
}
