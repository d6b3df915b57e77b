import { messageOf } from '../errors.js'
import type { Log } from '../log.js'
import { MINUTE_MS } from '../time.js'
import { repeat } from './repeat.js'

/** Once a minute lets `follow` take over what another process has published, for a process that takes up no work. */
export function watchPublished(follow: () => Promise<void>, log: Log): { stop(): Promise<void> } {
  return repeat(MINUTE_MS, () =>
    follow().catch((err: unknown) => log.error('published definitions cannot be read', { cause: messageOf(err) })),
  )
}
