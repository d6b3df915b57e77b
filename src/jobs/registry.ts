import { messageOf } from '../errors.js'
import type { Log } from '../log.js'
import type { JobQueue } from '../ports/job-queue.js'
import type { ServiceDeps } from '../services/runtime/deps.js'
import { lanes } from '../services/runtime/lanes.js'
import { type Leases, withLease } from '../services/runtime/with-lease.js'

export type LaneOptions = { leases: Leases; log: Log; onError?: (err: unknown) => void }

/** Works one lane now, unless it is being worked already, here or in another process. Resolves to whether it did. */
export async function runLane(name: string, deps: ServiceDeps, leases: Leases, signal?: AbortSignal): Promise<boolean> {
  const lane = lanes.find((l) => l.name === name)
  if (lane === undefined) throw new RangeError(`there is no lane "${name}"`)
  return withLease(leases, lane.lease ?? name, ({ signal: lost, fence }) =>
    lane.run(
      { ...deps, worker: { ...deps.worker, fence } },
      signal === undefined ? lost : AbortSignal.any([signal, lost]),
    ),
  )
}

/** One job per lane. */
export function registerLanes(queue: JobQueue, deps: ServiceDeps, options: LaneOptions): void {
  for (const lane of lanes) {
    queue.handle(lane.name, async (_data, signal) => {
      try {
        await runLane(lane.name, deps, options.leases, signal)
      } catch (err) {
        options.log.error('lane failed', { lane: lane.name, cause: messageOf(err) })
        options.onError?.(err)
        throw err
      }
    })
  }
}
