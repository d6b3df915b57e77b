import cron from 'node-cron'
import { messageOf } from '../errors.js'
import type { Log } from '../log.js'
import type { JobQueue } from '../ports/job-queue.js'
import type { ServiceDeps } from '../services/runtime/deps.js'
import { dueLanes } from '../services/runtime/lanes.js'

/** Looks every second which lanes have work and adds a job for each: timers are kept to the second, lost jobs are found again. */
export function startWaking(queue: JobQueue, deps: ServiceDeps, log: Log): { stop(): Promise<void> } {
  let running: Promise<void> | undefined
  const wake = async () => {
    for (const name of await dueLanes(deps)) await queue.add(name, undefined, { key: name })
  }
  const task = cron.schedule('* * * * * *', () => {
    running ??= wake()
      .catch((err: unknown) => log.error('waking failed', { cause: messageOf(err) }))
      .finally(() => (running = undefined))
  })
  return {
    stop: async () => {
      await task.destroy()
      await running
    },
  }
}
