import cron from 'node-cron'
import { messageOf } from '../errors.js'
import type { Log } from '../log.js'
import type { JobQueue } from '../ports/job-queue.js'
import type { ServiceDeps } from '../services/runtime/deps.js'
import { dueWork } from '../services/runtime/lanes.js'

export type WakeOptions = { log: Log; /** Into how many shards work is split. */ split: { readonly current: number } }

/**
 * Looks every second which lanes have work and adds a job for each to its group, where a burst delays no other: timers are
 * kept to the second, lost jobs are found again.
 */
export function startWaking(queue: JobQueue, deps: ServiceDeps, options: WakeOptions): { stop(): Promise<void> } {
  const { log, split } = options
  let running: Promise<void> | undefined
  const wake = async () => {
    for (const { name, shard } of await dueWork(deps, split.current))
      await queue.add(name, undefined, { key: name, shard })
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
