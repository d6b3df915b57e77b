import { elapsedMs } from '../time.js'

/**
 * Does something again and again, and never twice at once. It goes by a clock that nobody sets: whatever the clock of the day
 * does meanwhile (a leap ahead, an hour back, 1970 until it is set), the next time comes as it would have, and finds what is due
 * by then. Times that pass while it is still at work, or while the process stood still, are made up for by one.
 *
 * @param everyMs - how far apart the times are, in milliseconds
 * @param work - is expected to catch its own errors
 */
export function repeat(everyMs: number, work: () => Promise<void>): { stop(): Promise<void> } {
  let running: Promise<void> | undefined
  let stopped = false
  let dueMs = elapsedMs() + everyMs
  let timer: NodeJS.Timeout
  const arm = () => {
    if (!stopped) timer = setTimeout(tick, Math.max(0, dueMs - elapsedMs()))
  }
  const tick = () => {
    const [nextMs, nowMs] = [dueMs + everyMs, elapsedMs()]
    dueMs = nextMs > nowMs ? nextMs : nowMs + everyMs
    running = work().finally(() => {
      running = undefined
      arm()
    })
  }
  arm()
  return {
    stop: async () => {
      stopped = true
      clearTimeout(timer)
      await running
    },
  }
}
