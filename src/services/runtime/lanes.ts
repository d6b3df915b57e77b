import { followPublished } from '../definitions/follow-published.js'
import { answerCallbacks } from '../wecom/answer-callbacks.js'
import { collectResults } from '../touches/collect-results.js'
import { UnfitDocumentError } from '../../errors.js'
import type { ServiceDeps } from './deps.js'
import type { Touch } from '../../domain/touches/touch.js'
import type { Filter } from '../../ports/document-language.js'
import type { DispatchDoc } from '../../stored/touches.js'
import { type Group, nameOfShard, type Shard } from '../../ports/job-queue.js'
import { inShard } from '../../stored/buckets.js'
import { handleCallbacks } from '../wecom/handle-callbacks.js'
import { processBatches, waitingAt } from '../ingest/process-batches.js'
import { nextReconciliationAt, reconcileWecom } from '../wecom/reconcile-wecom.js'
import { nextPushAt, pushTags } from '../tags/push-tags.js'
import { nextStatisticsAt, pullStatistics } from '../wecom/pull-statistics.js'
import { OF_KNOWN_CHANNELS } from '../touches/held-touches.js'
import { releaseTouches } from '../touches/release-touches.js'
import { nextSettlingAt, sendDispatches } from '../touches/send-dispatches.js'
import { resumeRuns } from '../journeys/resume-runs.js'
import { nextRedoAt, redoReactions } from '../tags/reactions/redo-reactions.js'
import { nextScheduleAt, runSchedules } from './run-schedules.js'
import { nextStaffingAt, staffWays } from '../wecom/staff-ways.js'
import { isStopped } from '../touches/switch-sending.js'
import { UNMARKED } from '../touches/write-dispatches.js'
import { nextChatSweepAt, sweepChats } from '../ingest/take-chats.js'
import { followTransfers, nextTransferAt } from '../wecom/transfer-customers.js'

/** The lane that refreshes, beside whatever ingest does (`workRefreshes`): whoever refreshes holds its lease. */
export const REFRESH_LANE = 'run-schedules'

type Lane = {
  name: string
  /** Lanes of one group share a queue; groups never wait for each other. */
  group: Group
  /** Split by `bucket` among workers: each shard is a job and a lease of its own, and reads its own documents only. */
  sharded?: true
  /** Is due with this one, too: what that brings goes on in the same round. */
  follows?: string
  /** Ends between two pieces of its work where somebody is about to copy the stores; see `createPause`. */
  yields?: true
  /** Its work is timers, any number of which may end at any moment of a second. */
  timed?: true
  run(deps: ServiceDeps, signal: AbortSignal | undefined, shard: Shard): Promise<void>
  /** The earliest instant at which this lane has work, in the past when it has some now. */
  dueAt(deps: ServiceDeps, shard: Shard): Promise<Date | undefined>
}

const LONG_AGO = new Date(0)
/** What cannot be used is nobody's work: it holds up nothing else, and is said. */
const USABLE = { skipUnfit: true }

const LANES: readonly Lane[] = [
  {
    name: 'answer-callbacks',
    group: 'wecom',
    run: answerCallbacks,
    dueAt: async ({ docs }) =>
      (await docs.callbacks.findOne({ state: 'urgent' }, USABLE)) === undefined ? undefined : LONG_AGO,
  },
  {
    name: 'handle-callbacks',
    group: 'wecom',
    run: handleCallbacks,
    dueAt: async ({ docs }) =>
      (await docs.callbacks.findOne({ state: 'accepted' }, USABLE)) === undefined ? undefined : LONG_AGO,
  },
  {
    name: 'process-batches',
    group: 'ingest',
    yields: true,
    run: processBatches,
    dueAt: async ({ docs, clock }) => {
      const now = clock.now()
      const ready =
        (await docs.batches.findOne({ state: 'planned' })) ?? (await docs.batches.findOne(waitingAt(now), USABLE))
      if (ready !== undefined) return LONG_AGO
      return (await docs.batches.findOne({ state: 'accepted' }, USABLE)) === undefined
        ? undefined
        : new Date(now.getTime() + 1)
    },
  },
  {
    name: REFRESH_LANE,
    group: 'refresh',
    run: runSchedules,
    dueAt: nextScheduleAt,
  },
  { name: 'redo-reactions', group: 'refresh', run: redoReactions, dueAt: nextRedoAt },
  {
    name: 'resume-runs',
    group: 'journeys',
    sharded: true,
    timed: true,
    run: resumeRuns,
    dueAt: async ({ docs }, shard) =>
      (await docs.runs.findOne({ state: 'waiting', ...inShard(shard) }, { sort: { dueAt: 1 }, ...USABLE }))?.dueAt,
  },
  {
    // Whole: what one guide sends to many with the same words is one message, and her cards a minute are counted.
    name: 'release-touches',
    group: 'send',
    run: releaseTouches,
    dueAt: async (deps) => ((await isStopped(deps)) ? undefined : nextReleaseAt(deps)),
  },
  {
    name: 'send-dispatches',
    group: 'send',
    sharded: true,
    follows: 'release-touches',
    run: sendDispatches,
    dueAt: async (deps, shard) => {
      if (await isStopped(deps)) return undefined
      const { dispatches } = deps.docs
      const part = { ...OF_KNOWN_CHANNELS, ...inShard(shard) }
      const ready = (await dispatches.findOne({ state: 'ready', ...part }, { sort: { nextAt: 1 }, ...USABLE }))?.nextAt
      return earliest([await nextSettlingAt(deps, shard), ready])
    },
  },
  {
    name: 'collect-results',
    group: 'send',
    sharded: true,
    run: collectResults,
    dueAt: async ({ docs }, shard) => {
      const open: Filter<DispatchDoc> = { state: 'created', ...OF_KNOWN_CHANNELS, ...inShard(shard) }
      return (await docs.dispatches.findOne(open, { sort: { nextAt: 1 }, ...USABLE }))?.nextAt
    },
  },
  { name: 'push-tags', group: 'wecom', run: pushTags, dueAt: nextPushAt },
  { name: 'follow-transfers', group: 'wecom', run: followTransfers, dueAt: nextTransferAt },
  { name: 'pull-statistics', group: 'wecom', run: pullStatistics, dueAt: nextStatisticsAt },
  { name: 'staff-ways', group: 'wecom', run: staffWays, dueAt: nextStaffingAt },
  { name: 'reconcile-wecom', group: 'wecom', run: reconcileWecom, dueAt: nextReconciliationAt },
  { name: 'sweep-chats', group: 'wecom', run: sweepChats, dueAt: nextChatSweepAt },
]

/**
 * The service's work, in the order in which an instant is worked off. Each lane finds its work in the documents, so a job
 * is only a hint, and a lane that died is simply run again. Each begins with the definitions that are published then; a
 * process that cannot read them leaves its work to others.
 */
export const lanes: readonly Lane[] = LANES.map((lane) => ({
  ...lane,
  run: async (deps, signal, shard) => {
    if (await followPublished(deps)) await lane.run(deps, signal, shard)
  },
}))

async function nextReleaseAt({ docs }: ServiceDeps): Promise<Date | undefined> {
  const unmarked = await docs.dispatches.findOne(UNMARKED, { sort: { nextAt: 1 }, ...USABLE })
  const waiting: Filter<Touch> = { state: 'planned', releaseAt: { $exists: true } }
  const released = (await docs.touches.findOne(waiting, { sort: { releaseAt: 1 }, ...USABLE }))?.releaseAt
  return earliest([unmarked && (unmarked.nextAt ?? LONG_AGO), released])
}

/** A lane that has work, or one shard of it. */
export type Work = { name: string; shard: Shard; at: Date; timed: boolean }

/**
 * When each lane has work, in the order of the lanes; those without any are left out.
 *
 * @param onFailure - told of a lane that cannot tell, which then keeps no other from its work; without it that is thrown
 */
export async function workTimes(
  deps: ServiceDeps,
  shards = 1,
  onFailure?: (lane: string, err: unknown) => void,
): Promise<Work[]> {
  const times: Work[] = []
  for (const lane of lanes) {
    const followed = times.filter(({ name }) => name === lane.follows).map(({ at }) => at)
    for (const shard of shardsOf(lane, shards)) {
      const own = await lane.dueAt(deps, shard).catch((err: unknown) => {
        // It is run, fails and says what cannot be used.
        if (err instanceof UnfitDocumentError) return LONG_AGO
        if (onFailure === undefined) throw err
        onFailure(nameOfShard(lane.name, shard), err)
        return undefined
      })
      const at = earliest([own, ...followed])
      if (at !== undefined) times.push({ name: lane.name, shard, at, timed: lane.timed === true })
    }
  }
  return times
}

/** The parts of a lane, when what can be split is split into `shards`. */
export function shardsOf({ sharded }: Pick<Lane, 'sharded'>, shards: number): Shard[] {
  const of = sharded === true ? shards : 1
  return Array.from({ length: of }, (_, index) => ({ index, of }))
}

function earliest(times: readonly (Date | undefined)[]): Date | undefined {
  const known = times.filter((t) => t !== undefined).map((t) => t.getTime())
  return known.length === 0 ? undefined : new Date(Math.min(...known))
}
