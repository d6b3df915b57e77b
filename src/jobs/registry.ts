import { ConflictError, messageOf } from '../errors.js'
import type { Log } from '../log.js'
import { type JobHandler, type JobQueue, nameOfShard, type Shard, WHOLE } from '../ports/job-queue.js'
import type { ServiceDeps } from '../services/runtime/deps.js'
import { lanes, shardsOf } from '../services/runtime/lanes.js'
import { trackLanes } from '../services/runtime/lane-progress.js'
import { type Leases, withLease } from '../services/runtime/with-lease.js'
import { elapsedMs, SECOND_MS } from '../time.js'
import { isPauseWished, watchForPause } from './pause.js'
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
  if (lane.yields === true && (await isPauseWished(leases))) return false
  return withLease(leases, nameOfShard(name, part), async ({ signal: lost, fence, isLate }) => {
    // A job of another split would work on what others hold under theirs.
    if (lane.sharded === true && !leases.alone && (await agreedSplit(leases.meta)) !== part.of) return
    const held = { ...deps, worker: { ...deps.worker, fence, isLate } }
    const wished = lane.yields === true ? watchForPause(leases) : undefined
    try {
      await lane.run(held, AbortSignal.any([signal, lost, wished?.signal].filter((s) => s !== undefined)), part)
    } finally {
      await wished?.stop()
    }
  })
}

/** One handler per lane. */
export function registerLanes(queue: JobQueue, deps: ServiceDeps, options: LaneOptions): void {
  const progress = trackLanes({ ...deps, elapsedMs: options.leases.elapsedMs })
  for (const lane of lanes) {
    const work: JobHandler = async (_data, signal, shard) => {
      const name = nameOfShard(lane.name, shard)
      try {
        if (await runLane(lane.name, deps, options.leases, { signal, shard })) await progress.worked(name)
      } catch (err) {
        // The process stops; what is left is in the documents, and nobody needs to be told.
        if (signal.aborted) return
        options.log.error('lane failed', { lane: name, cause: messageOf(err) })
        await progress.failed(name, err)
        options.onError?.(err)
        throw err
      }
    }
    queue.handle(lane.name, work, { group: lane.group })
  }
}

/** How long a hint is waited for. */
const HINT_WITHIN_MS = SECOND_MS
/** How long none is tried after one that failed. */
const AFTER_FAILURE_MS = 10 * SECOND_MS

/**
 * Adds a job to every shard of a lane: whose turn it is, only the documents know. A hint that cannot be given is no failure of
 * what it stands for, which is stored and found within a second by whoever looks for work.
 */
export function hintLanes(
  queue: Pick<JobQueue, 'add'>,
  split: { readonly current: number },
  log: Log,
): Pick<JobQueue, 'add'> {
  let quietUntilMs = -Infinity
  return {
    async add(name, data, options) {
      if (elapsedMs() < quietUntilMs) return
      const lane = lanes.find((l) => l.name === name) ?? {}
      const adding = shardsOf(lane, split.current).map((shard) => queue.add(name, data, { ...options, shard }))
      try {
        await within(HINT_WITHIN_MS, Promise.all(adding))
      } catch (err) {
        // A queue that closes takes no more: the process stops.
        if (err instanceof ConflictError) return
        quietUntilMs = elapsedMs() + AFTER_FAILURE_MS
        log.warn('no hint for work that is stored', { job: name, cause: messageOf(err) })
      }
    },
  }
}

async function within(ms: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${ms / SECOND_MS} s`)), ms)
  })
  await Promise.race([work, late]).finally(() => clearTimeout(timer))
}
