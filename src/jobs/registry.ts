import { messageOf } from '../errors.js'
import type { Log } from '../log.js'
import type { JobHandler, JobQueue } from '../ports/job-queue.js'
import type { ServiceDeps } from '../services/runtime/deps.js'
import { lanes } from '../services/runtime/lanes.js'
import { type LeaseDeps, withLease } from '../services/runtime/with-lease.js'

export type LaneOptions = { lease?: LeaseDeps; log: Log; onError?: (err: unknown) => void }

/** Works one lane now; with several processes it is worked by one of them at a time (`lease`). */
export async function runLane(name: string, deps: ServiceDeps, lease?: LeaseDeps, signal?: AbortSignal): Promise<void> {
  const lane = lanes.find((l) => l.name === name)
  if (lane === undefined) throw new RangeError(`there is no lane "${name}"`)
  if (lease === undefined) return lane.run(deps, signal)
  await withLease(lease, lane.lease ?? name, (lost) =>
    lane.run(deps, signal === undefined ? lost : AbortSignal.any([signal, lost])),
  )
}

/** One job per lane. */
export function registerLanes(queue: JobQueue, deps: ServiceDeps, options: LaneOptions): void {
  for (const lane of lanes) {
    const work: JobHandler = async (_data, signal) => {
      try {
        await runLane(lane.name, deps, options.lease, signal)
      } catch (err) {
        options.log.error('lane failed', { lane: lane.name, cause: messageOf(err) })
        options.onError?.(err)
        throw err
      }
    }
    queue.handle(lane.name, work, { group: lane.group })
  }
}
