import { messageOf } from '../errors.js'
import type { Log } from '../log.js'
import type { JobQueue } from '../ports/job-queue.js'
import { lanes, type ServiceDeps } from '../services/lanes.js'
import { type LeaseDeps, withLease } from '../services/with-lease.js'

/**
 * One job per lane. With several processes a lane is worked by one of them at a time (`lease`); with one process there is
 * nobody to share with.
 */
export function registerLanes(
  queue: JobQueue,
  deps: ServiceDeps,
  options: { lease?: LeaseDeps; log: Log; onError?: (err: unknown) => void },
): void {
  for (const lane of lanes) {
    queue.handle(lane.name, async (_data, signal) => {
      try {
        if (options.lease === undefined) await lane.run(deps, signal)
        else await withLease(options.lease, lane.name, (lost) => lane.run(deps, AbortSignal.any([signal, lost])))
      } catch (err) {
        options.log.error('lane failed', { lane: lane.name, cause: messageOf(err) })
        options.onError?.(err)
        throw err
      }
    })
  }
}
