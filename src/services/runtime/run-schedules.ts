import { messageOf } from '../../errors.js'
import { isCron, nextAt } from '../../domain/schedule.js'
import { ENTRY_PREFIX } from '../../domain/journeys/definition.js'
import { type Evaluable, readsOf } from '../../domain/rules/compile.js'
import { countedFromOf } from '../../domain/rules/crossings.js'
import type { Refresh } from '../../stored/tags.js'
import { pastInstant } from '../../stored/runtime.js'
import { holdPublished } from '../definitions/follow-published.js'
import { FULL } from '../definitions/refresh-when-changed.js'
import type { Deps } from './deps.js'
import { isRefreshing, openRefresh, workRefreshes } from '../tags/refresh-profiles.js'

/** When the passing of time is worked into tags that follow every change: for those for whom a window's edge passed. */
const NIGHTLY = '0 2 * * *'
/** When everything is computed for everybody, whatever has been found by then. */
const WEEKLY = '0 3 * * 0'
const HOURLY = '0 * * * *'
export type Schedule = {
  id: string
  cron: string
  /** Opens what is to be worked off. @param since - when it last was; `occasion`: how often it was by then */
  run: (since: Date, occasion: number) => Promise<void>
}

/** Entry rules on the hour, tags at their own times, recurring journeys at theirs. A missed time is caught up once. */
export function schedulesOf(deps: Deps): Schedule[] {
  const { tags, evaluables, journeys } = deps.definitions.current
  const refresh =
    (_id: string, kind: Refresh['kind'], ids?: readonly string[]): Schedule['run'] =>
    (since, occasion) =>
      openRefresh(deps, {
        _id,
        kind,
        cause: 'schedule',
        occasion,
        ...(kind === 'crossed' && { since }),
        ...(ids !== undefined && { ids: [...ids] }),
      })
  const idsOf = (chosen: readonly Evaluable[]) => chosen.map((e) => e.id)
  const { segments } = deps.definitions.current
  const countedFrom = countedFromOf(tags)
  const isEntry = (e: Evaluable) => e.id.startsWith(ENTRY_PREFIX)
  const refreshOf = new Map(tags.map((t) => [t.id, t.refresh]))
  // An entry rule over other tags alone changes when a tag does; only windows over events, and days since one, move by themselves.
  const entries = evaluables.filter((e) => {
    const reads = readsOf(e, segments)
    return isEntry(e) && (reads.events.size > 0 || [...reads.tags].some((id) => countedFrom(id) !== undefined))
  })
  const realtime = evaluables.filter((e) => isEntry(e) || refreshOf.get(e.id) === 'realtime')
  const schedules: Schedule[] = [
    { id: 'nightly', cron: NIGHTLY, run: refresh('nightly', 'crossed', idsOf(realtime)) },
    { id: FULL, cron: WEEKLY, run: refresh(FULL, 'all') },
  ]
  if (entries.length > 0) {
    schedules.unshift({ id: 'entries', cron: HOURLY, run: refresh('entries', 'crossed', idsOf(entries)) })
  }
  const byCron = new Map<string, Evaluable[]>()
  for (const e of evaluables) {
    const refresh = refreshOf.get(e.id)
    if (refresh !== undefined && refresh !== 'realtime') byCron.set(refresh, [...(byCron.get(refresh) ?? []), e])
  }
  for (const [cron, chosen] of [...byCron].sort(([a], [b]) => (a < b ? -1 : 1))) {
    schedules.push({ id: `refresh ${cron}`, cron, run: refresh(`refresh ${cron}`, 'all', idsOf(chosen)) })
  }
  for (const [journeyId, { journey }] of journeys) {
    if (!('every' in journey.enter)) continue
    schedules.push({
      id: `every ${journeyId}`,
      cron: journey.enter.every,
      run: refresh(`every ${journeyId}`, 'enter', [journeyId]),
    })
  }
  return schedules
}

/**
 * Opens a refresh for every schedule whose time has come since it last did, in a fixed order, then works on what is open:
 * a range, and the job is there again for the next. A schedule that fails keeps no other from its work; it is tried again.
 *
 * @throws what the first that failed threw, when all else is done
 */
export async function runSchedules(deps: Deps, signal?: AbortSignal): Promise<void> {
  const now = deps.clock.now()
  const held = await holdPublished(deps)
  if (held === undefined) return
  const schedules = schedulesOf(held)
  const lastRunAt = await lastRuns(deps, schedules, now)
  const failures: unknown[] = []
  for (const schedule of schedules) {
    if (signal?.aborted === true) return
    try {
      await openIfDue(deps, schedule, lastRunAt.get(schedule.id)!, now)
    } catch (err) {
      deps.log.error('schedule failed', { schedule: schedule.id, cause: messageOf(err) })
      failures.push(err)
    }
  }
  const left = await workRefreshes(deps, signal)
  // While ingest is at the rest, its own job is the next.
  if (left === 'more') await deps.jobs.add('run-schedules', undefined, { key: 'run-schedules' })
  if (failures.length > 0) throw failures[0]
}

async function openIfDue(deps: Deps, schedule: Schedule, last: Date, now: Date): Promise<void> {
  if (nextAt(schedule.cron, last, deps.brand.timeZone) > now) return
  const asked = (await deps.docs.meta.get(`schedule:${schedule.id}`))?.value
  await schedule.run(last, asked ?? 0)
  // The one before is still open: this occasion is due when that is done.
  if ((await deps.docs.refreshes.get(schedule.id))?.occasion !== (asked ?? 0)) return
  // Asked for again while it ran, it is still due: what it did was under the definitions before.
  const unchanged = { value: asked ?? { $exists: false } }
  await deps.docs.meta.update(`schedule:${schedule.id}`, { $set: { at: now }, $inc: { value: 1 } }, unchanged)
}

/** When the earliest schedule is due next; in the past while a refresh is open. */
export async function nextScheduleAt(deps: Deps): Promise<Date | undefined> {
  if (await isRefreshing(deps)) return new Date(0)
  // What another version published may have times that this one cannot read; they are told of whenever the others are worked.
  const schedules = schedulesOf(deps).filter(({ cron }) => isCron(cron))
  if (schedules.length === 0) return undefined
  const lastRunAt = await lastRuns(deps, schedules, deps.clock.now())
  const times = schedules.map(({ id, cron }) => nextAt(cron, lastRunAt.get(id)!, deps.brand.timeZone).getTime())
  return new Date(Math.min(...times))
}

/** When each of them ran last, by id. One seen for the first time counts from now. */
async function lastRuns({ docs }: Deps, schedules: readonly Schedule[], now: Date): Promise<Map<string, Date>> {
  const keyOf = ({ id }: Schedule) => `schedule:${id}`
  const stored = new Map((await docs.meta.getMany(schedules.map(keyOf))).map((doc) => [doc._id, doc.at]))
  const unseen = schedules.map(keyOf).filter((key) => stored.get(key) === undefined)
  if (unseen.length > 0)
    await docs.meta.updateEach(
      unseen.map((id) => ({ id, update: { $set: { at: now } }, where: { at: { $exists: false } }, upsert: true })),
    )
  const times = schedules.map(async (schedule) => {
    const at = stored.get(keyOf(schedule))
    return [
      schedule.id,
      at === undefined ? now : await pastInstant(docs.meta, { _id: keyOf(schedule), at }, now),
    ] as const
  })
  return new Map(await Promise.all(times))
}
