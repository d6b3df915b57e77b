import cron from 'node-cron'
import { messageOf } from '../errors.js'
import type { Log } from '../log.js'

/** Once a minute lets `follow` take over what another process has published, for a process that takes up no work. */
export function watchPublished(follow: () => Promise<void>, log: Log): { stop(): Promise<void> } {
  let running: Promise<void> | undefined
  const task = cron.schedule('0 * * * * *', () => {
    running ??= follow()
      .catch((err: unknown) => log.error('published definitions cannot be read', { cause: messageOf(err) }))
      .finally(() => (running = undefined))
  })
  return {
    stop: async () => {
      await task.destroy()
      await running
    },
  }
}
