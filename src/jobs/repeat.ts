import cron from 'node-cron'
import { elapsedMs } from '../time.js'

/**
 * Does something at every wall-clock time of a cron expression, and never twice at once. A clock that is set back leaves
 * cron waiting for a time that has been: then the monotonic clock takes over.
 *
 * @param everyMs - how far apart the times are, in milliseconds
 * @param work - is expected to catch its own errors
 */
export function repeat(expression: string, everyMs: number, work: () => Promise<void>): { stop(): Promise<void> } {
  let running: Promise<void> | undefined
  let lastMs = elapsedMs()
  const tick = () => {
    lastMs = elapsedMs()
    running ??= work().finally(() => (running = undefined))
  }
  const task = cron.schedule(expression, tick)
  const guard = setInterval(() => {
    if (elapsedMs() - lastMs > 1.5 * everyMs) tick()
  }, everyMs)
  return {
    stop: async () => {
      clearInterval(guard)
      await task.destroy()
      await running
    },
  }
}
