import { messageOf } from '../../errors.js'
import { MINUTE_MS, SECOND_MS } from '../../time.js'
import type { Deps } from './deps.js'

type ProgressDeps = Pick<Deps, 'docs' | 'clock' | 'log'> & { elapsedMs: () => number }

/** How often a lane that works says so to those for whom it failed. */
const TELL_MS = 10 * SECOND_MS
/** A lane stands still when it has failed this often, for this long, without working once. */
const STILL_TIMES = 3
const STILL_MS = MINUTE_MS
/** A failure that nobody has repeated for this long is of a process that is gone. */
const FORGOTTEN_MS = 15 * MINUTE_MS

/** Tells everybody, in the documents, which lanes fail and which work. */
export type LaneProgress = {
  worked(lane: string): Promise<void>
  /** Never throws: what failed is thrown by whoever calls. */
  failed(lane: string, err: unknown): Promise<void>
}

/** One per process. */
export function trackLanes({ docs, clock, log, elapsedMs }: ProgressDeps): LaneProgress {
  const toldMs = new Map<string, number>()
  return {
    async worked(lane) {
      const nowMs = elapsedMs()
      if (nowMs - (toldMs.get(lane) ?? -Infinity) < TELL_MS) return
      toldMs.set(lane, nowMs)
      await docs.laneFailures.delete({ _id: lane })
    },
    async failed(lane, err) {
      // What works next says so at once.
      toldMs.delete(lane)
      const at = clock.now()
      const update = { $set: { lastAt: at, cause: messageOf(err) }, $inc: { times: 1 }, $setOnInsert: { since: at } }
      try {
        await docs.laneFailures.updateEach([{ id: lane, update, upsert: true }])
      } catch (second) {
        log.warn('the failure of a lane could not be noted', { lane, cause: messageOf(second) })
      }
    },
  }
}

/** A lane, or a shard of it, that makes no progress. Instants are ISO 8601. */
export type StillLane = { lane: string; since: string; times: number; cause: string }

/** Lanes that fail again and again, the longest first. */
export async function listStillLanes({ docs, clock }: Pick<Deps, 'docs' | 'clock'>): Promise<StillLane[]> {
  const now = clock.now()
  const still = await docs.laneFailures.find(
    {
      times: { $gte: STILL_TIMES },
      since: { $lte: new Date(now.getTime() - STILL_MS) },
      lastAt: { $gte: new Date(now.getTime() - FORGOTTEN_MS) },
    },
    { sort: { since: 1, _id: 1 } },
  )
  return still.map(({ _id, since, times, cause }) => ({ lane: _id, since: since.toISOString(), times, cause }))
}

/** How many batches wait. */
export function countOpenBatches({ docs }: Pick<Deps, 'docs'>): Promise<number> {
  return docs.batches.count({ state: { $in: ['accepted', 'planned'] } })
}

/** The inbox: how many batches wait, and since when (ISO 8601) the oldest of them does. */
export async function inboxAge({ docs }: Pick<Deps, 'docs'>): Promise<{ waiting: number; oldestAt?: string }> {
  const waiting = await countOpenBatches({ docs })
  if (waiting === 0) return { waiting }
  const [planned, accepted] = [
    await docs.batches.findOne({ state: 'planned' }, { sort: { seq: 1 }, skipUnfit: true }),
    await docs.batches.findOne({ state: 'accepted' }, { sort: { seq: 1 }, skipUnfit: true }),
  ]
  const times = [planned, accepted].flatMap((batch) => batch?.acceptedAt.getTime() ?? [])
  return { waiting, ...(times.length > 0 && { oldestAt: new Date(Math.min(...times)).toISOString() }) }
}
