import { answerCallbacks } from '../wecom/answer-callbacks.js'
import { collectResults } from '../touches/collect-results.js'
import type { ServiceDeps } from './deps.js'
import { handleCallbacks } from '../wecom/handle-callbacks.js'
import { processBatches, waitingAt } from '../ingest/process-batches.js'
import { nextReconciliationAt, reconcileWecom } from '../wecom/reconcile-wecom.js'
import { nextPushAt, pushTags } from '../tags/push-tags.js'
import { nextStatisticsAt, pullStatistics } from '../wecom/pull-statistics.js'
import { releaseTouches } from '../touches/release-touches.js'
import { resumeRuns } from '../journeys/resume-runs.js'
import { nextScheduleAt, runSchedules } from '../tags/run-schedules.js'
import { nextStaffingAt, staffWays } from '../wecom/staff-ways.js'
import { nextSettlingAt } from '../touches/send-dispatches.js'
import { isStopped } from '../touches/switch-sending.js'
import { nextChatSweepAt, sweepChats } from '../ingest/take-chats.js'
import { followTransfers, nextTransferAt } from '../wecom/transfer-customers.js'

/** Held by whoever evaluates profiles: two at once, and an older value could overwrite a newer one. */
export const EVALUATION_LEASE = 'evaluation'

type Lane = {
  name: string
  /** Lanes with one lease never work at the same time; default: the lane's own name. */
  lease?: string
  /** Works beside the other lanes instead of after them: it waits for the platform, or the platform for it. */
  beside?: true
  run(deps: ServiceDeps, signal?: AbortSignal): Promise<void>
  /** The earliest instant at which this lane has work, in the past when it has some now. */
  dueAt(deps: ServiceDeps): Promise<Date | undefined>
}

const LONG_AGO = new Date(0)

/**
 * The service's work, in the order in which an instant is worked off. Each lane finds its work in the documents, so a job
 * is only a hint, and a lane that died is simply run again.
 */
export const lanes: readonly Lane[] = [
  {
    name: 'answer-callbacks',
    beside: true,
    run: answerCallbacks,
    dueAt: async ({ docs }) =>
      (await docs.callbacks.findOne({ state: 'urgent' })) === undefined ? undefined : LONG_AGO,
  },
  {
    name: 'handle-callbacks',
    beside: true,
    run: handleCallbacks,
    dueAt: async ({ docs }) =>
      (await docs.callbacks.findOne({ state: 'accepted' })) === undefined ? undefined : LONG_AGO,
  },
  {
    name: 'process-batches',
    lease: EVALUATION_LEASE,
    run: processBatches,
    dueAt: async ({ docs, clock }) => {
      const now = clock.now()
      const ready = (await docs.batches.findOne({ state: 'planned' })) ?? (await docs.batches.findOne(waitingAt(now)))
      if (ready !== undefined) return LONG_AGO
      return (await docs.batches.findOne({ state: 'accepted' })) === undefined ? undefined : new Date(now.getTime() + 1)
    },
  },
  { name: 'run-schedules', lease: EVALUATION_LEASE, run: runSchedules, dueAt: nextScheduleAt },
  {
    name: 'resume-runs',
    run: resumeRuns,
    dueAt: async ({ docs }) => (await docs.runs.find({ state: 'waiting' }, { sort: { dueAt: 1 }, limit: 1 }))[0]?.dueAt,
  },
  {
    name: 'release-touches',
    run: releaseTouches,
    dueAt: async (deps) => {
      if (await isStopped(deps)) return undefined
      const planned = (
        await deps.docs.touches.find(
          { state: 'planned', releaseAt: { $exists: true } },
          { sort: { releaseAt: 1 }, limit: 1 },
        )
      )[0]?.releaseAt
      const ready = (await deps.docs.dispatches.find({ state: 'ready' }, { sort: { nextAt: 1 }, limit: 1 }))[0]?.nextAt
      return earliest([await nextSettlingAt(deps), planned, ready])
    },
  },
  {
    name: 'collect-results',
    run: collectResults,
    dueAt: async ({ docs }) =>
      (await docs.dispatches.find({ state: 'created' }, { sort: { nextAt: 1 }, limit: 1 }))[0]?.nextAt,
  },
  { name: 'push-tags', beside: true, run: pushTags, dueAt: nextPushAt },
  { name: 'follow-transfers', beside: true, run: followTransfers, dueAt: nextTransferAt },
  { name: 'pull-statistics', beside: true, run: pullStatistics, dueAt: nextStatisticsAt },
  { name: 'staff-ways', beside: true, run: staffWays, dueAt: nextStaffingAt },
  { name: 'reconcile-wecom', beside: true, run: reconcileWecom, dueAt: nextReconciliationAt },
  { name: 'sweep-chats', run: sweepChats, dueAt: nextChatSweepAt },
]

/** When each lane has work, in the order of the lanes; lanes without any are left out. */
export async function workTimes(deps: ServiceDeps): Promise<Map<string, Date>> {
  const times = new Map<string, Date>()
  for (const lane of lanes) {
    const at = await lane.dueAt(deps)
    if (at !== undefined) times.set(lane.name, at)
  }
  return times
}

/** Names of the lanes that have work now, in order. */
export async function dueLanes(deps: ServiceDeps): Promise<string[]> {
  const now = deps.clock.now()
  return [...(await workTimes(deps))].flatMap(([name, at]) => (at <= now ? [name] : []))
}

/** The earliest instant at which any lane, but those named, has work. */
export async function nextWorkAt(deps: ServiceDeps, but: readonly string[] = []): Promise<Date | undefined> {
  return earliest([...(await workTimes(deps))].flatMap(([name, at]) => (but.includes(name) ? [] : [at])))
}

function earliest(times: readonly (Date | undefined)[]): Date | undefined {
  const known = times.filter((t) => t !== undefined).map((t) => t.getTime())
  return known.length === 0 ? undefined : new Date(Math.min(...known))
}
