import { messageOf } from '../errors.js'
import type { Log } from '../log.js'
import { type JobHandler, type JobQueue, nameOfShard, type Shard, WHOLE } from '../ports/job-queue.js'
import type { ServiceDeps } from '../services/runtime/deps.js'
import { lanes, shardsOf } from '../services/runtime/lanes.js'
import { type Leases, withLease } from '../services/runtime/with-lease.js'
import { agreedSplit } from './split.js'

export type LaneOptions = { leases: Leases; log: Log; onError?: (err: unknown) => void }
export type LaneRun = { signal?: AbortSignal | undefined; shard?: Shard }

/**
 * Works one lane, or one shard of it, now, unless it is being worked already, here or in another process. Resolves to
 * whether it was.
 */
export async function runLane(
  name: string,
  deps: ServiceDeps,
  leases: Leases,
  { signal, shard }: LaneRun = {},
): Promise<boolean> {
  const lane = lanes.find((l) => l.name === name)
  if (lane === undefined) throw new RangeError(`there is no lane "${name}"`)
  const part = lane.sharded === true ? (shard ?? WHOLE) : WHOLE
  return withLease(leases, nameOfShard(name, part), async ({ signal: lost, fence, isLate }) => {
    // A job of another split would work on what others hold under theirs.
    if (lane.sharded === true && !leases.alone && (await agreedSplit(leases.meta)) !== part.of) return
    const held = { ...deps, worker: { ...deps.worker, fence, isLate } }
    await lane.run(held, signal === undefined ? lost : AbortSignal.any([signal, lost]), part)
  })
}

/** One handler per lane. */
export function registerLanes(queue: JobQueue, deps: ServiceDeps, options: LaneOptions): void {
  for (const lane of lanes) {
    const work: JobHandler = async (_data, signal, shard) => {
      try {
        await runLane(lane.name, deps, options.leases, { signal, shard })
      } catch (err) {
        options.log.error('lane failed', { lane: nameOfShard(lane.name, shard), cause: messageOf(err) })
        options.onError?.(err)
        throw err
      }
    }
    queue.handle(lane.name, work, { group: lane.group })
  }
}

/** Adds a job to every shard of a lane: whose turn it is, only the documents know. */
export function hintLanes(queue: Pick<JobQueue, 'add'>, split: { readonly current: number }): Pick<JobQueue, 'add'> {
  return {
    async add(name, data, options) {
      const lane = lanes.find((l) => l.name === name) ?? {}
      for (const shard of shardsOf(lane, split.current)) await queue.add(name, data, { ...options, shard })
    },
  }
}
