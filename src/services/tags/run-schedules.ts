import { z } from 'zod'
import { hashKey } from '../../random.js'
import { nextAt } from '../../domain/schedule.js'
import { ENTRY_PREFIX } from '../../domain/journeys/definition.js'
import { type Evaluable, readsOf } from '../../domain/rules/compile.js'
import { compileCrossings, countsDays } from '../../domain/rules/crossings.js'
import { evaluateProfiles, evaluateTouched } from './evaluate-profiles.js'
import { enterJourneys } from '../journeys/enter-journeys.js'
import { testRules } from '../segments/test-rules.js'
import type { Deps } from '../runtime/deps.js'

/** When the passing of time is worked into tags that follow every change: for those for whom a window's edge passed. */
const NIGHTLY = '0 2 * * *'
/** When everything is computed for everybody, whatever has been found by then. */
const WEEKLY = '0 3 * * 0'
const HOURLY = '0 * * * *'
/** The schedule that computes everything for everybody. */
const FULL = 'weekly'

export type Schedule = {
  id: string
  cron: string
  /** `since` is when it last ran. */ run: (now: Date, since: Date) => Promise<void>
}

/** Entry rules on the hour, tags at their own times, recurring journeys at theirs. A missed time is caught up once. */
export function schedulesOf(deps: Deps): Schedule[] {
  const { tags, evaluables, journeys } = deps.definitions.current
  const evaluate = (chosen: readonly Evaluable[], key: string) => async (now: Date) => {
    await evaluateProfiles(deps, {
      evaluables: chosen,
      now,
      cause: 'schedule',
      key: `${key}:${now.getTime()}`,
    })
  }
  const { segments } = deps.definitions.current
  const isEntry = (e: Evaluable) => e.id.startsWith(ENTRY_PREFIX)
  const refreshOf = new Map(tags.map((t) => [t.id, t.refresh]))
  // An entry rule over tags alone changes when a tag does; only windows over events move by themselves.
  const entries = evaluables.filter((e) => isEntry(e) && readsOf(e, segments).events.size > 0)
  const realtime = evaluables.filter((e) => isEntry(e) || refreshOf.get(e.id) === 'realtime')
  const schedules: Schedule[] = [
    { id: 'nightly', cron: NIGHTLY, run: (now, since) => refreshCrossed(deps, realtime, now, since, 'nightly') },
    { id: FULL, cron: WEEKLY, run: evaluate(evaluables, FULL) },
  ]
  if (entries.length > 0) {
    schedules.unshift({
      id: 'entries',
      cron: HOURLY,
      run: (now, since) => refreshCrossed(deps, entries, now, since, 'entries'),
    })
  }
  const byCron = new Map<string, Evaluable[]>()
  for (const e of evaluables) {
    const refresh = refreshOf.get(e.id)
    const cron = refresh !== undefined && refresh !== 'realtime' ? refresh : countsDays(e) ? NIGHTLY : undefined
    if (cron !== undefined) byCron.set(cron, [...(byCron.get(cron) ?? []), e])
  }
  for (const [cron, chosen] of [...byCron].sort(([a], [b]) => (a < b ? -1 : 1))) {
    schedules.push({ id: `refresh ${cron}`, cron, run: evaluate(chosen, `refresh:${cron}`) })
  }
  for (const [journeyId, { journey }] of journeys) {
    if (!('every' in journey.enter)) continue
    const { every, when } = journey.enter
    schedules.push({
      id: `every ${journeyId}`,
      cron: every,
      run: async (now) => {
        for await (const batch of deps.docs.profiles.scan({ mergedInto: { $exists: false } }, 2_000)) {
          const holds = await testRules(
            deps,
            [when],
            batch.map((p) => p._id),
            now,
          )
          const entering = batch
            .filter((p) => holds.get(p._id)?.[0] === true)
            .map((p) => ({ profileId: p._id, journeyId }))
          await enterJourneys(deps, entering, now, `every:${journeyId}:${now.getTime()}`)
        }
      },
    })
  }
  return schedules
}

/** Evaluates for those profiles only for whom an edge of a window has passed. */
async function refreshCrossed(
  deps: Deps,
  evaluables: readonly Evaluable[],
  now: Date,
  since: Date,
  key: string,
): Promise<void> {
  const sql = compileCrossings(evaluables, deps.definitions.current.segments, since.getTime(), now.getTime())
  if (sql === undefined) return
  const crossed = await deps.events.query(sql, z.object({ p: z.number() }))
  const profiles = await deps.docs.profiles.getMany(crossed.map((row) => row.p))
  await evaluateTouched(deps, {
    profileIds: [...new Set(profiles.map((p) => p.mergedInto ?? p._id))].sort((a, b) => a - b),
    evaluables,
    tests: [],
    now,
    cause: 'schedule',
    key: `${key}:${now.getTime()}`,
  })
}

/** After a change of tags or of entry rules everybody is due for a full refresh: nobody has a value under the new ones. */
export async function refreshWhenChanged({ docs, definitions }: Deps): Promise<void> {
  const hash = hashKey(32, JSON.stringify(definitions.current.evaluables))
  if ((await docs.meta.get('evaluated'))?.text === hash) return
  await docs.meta.updateEach([
    { id: `schedule:${FULL}`, update: { $set: { at: new Date(0) } }, upsert: true },
    { id: 'evaluated', update: { $set: { text: hash } }, upsert: true },
  ])
}

/** Runs every schedule whose time has come since its last run, in a fixed order. The cursor moves after the work. */
export async function runSchedules(deps: Deps, signal?: AbortSignal): Promise<void> {
  const now = deps.clock.now()
  const schedules = schedulesOf(deps)
  const lastRunAt = await lastRuns(deps, schedules, now)
  for (const schedule of schedules) {
    if (signal?.aborted === true) return
    const last = lastRunAt.get(schedule.id)!
    if (nextAt(schedule.cron, last, deps.brand.timeZone) > now) continue
    await schedule.run(now, last)
    await deps.docs.meta.updateEach([{ id: `schedule:${schedule.id}`, update: { $max: { at: now } }, upsert: true }])
  }
}

/** When the earliest schedule is due next. */
export async function nextScheduleAt(deps: Deps): Promise<Date | undefined> {
  const schedules = schedulesOf(deps)
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
    await docs.meta.updateEach(unseen.map((id) => ({ id, update: { $set: { at: now } }, upsert: true })))
  return new Map(schedules.map((schedule) => [schedule.id, stored.get(keyOf(schedule)) ?? now]))
}
