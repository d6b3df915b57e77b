import { UpstreamError } from '../../errors.js'
import { atTimeOfDay, DAY_MS, HOUR_MS, parseTimeOfDay, toDay } from '../../time.js'
import type { WecomDay } from '../../stored/wecom.js'
import { MAX_AHEAD_MS, pastInstant } from '../../stored/runtime.js'
import type { ServiceDeps } from '../runtime/deps.js'
import { eachUnlessRefused } from './skip-refused.js'

/** WeCom's days are Shanghai's, whatever the brand's are (page 92132). */
const ZONE = 'Asia/Shanghai'
const CURSOR = 'statistics'
/** Not before this instant: the platform did not answer. */
const PAUSE = 'statistics:pause'
/** Figures of a day may still grow on the next. */
const AGAIN_DAYS = 2
const FIRST_DAYS = 30
const OWNERS = 100
const AT_ONCE = 4

/** Once a day, when yesterday is counted. */
export async function nextStatisticsAt({ docs, clock, wecomSettings }: ServiceDeps): Promise<Date | undefined> {
  const now = clock.now()
  const minutes = parseTimeOfDay(wecomSettings.statisticsAt)
  if (minutes === undefined || (await docs.wecomMembers.findOne({ serves: true })) === undefined) return undefined
  const kept = (await docs.meta.get(CURSOR))?.at
  const last = kept === undefined ? new Date(0) : await pastInstant(docs.meta, { _id: CURSOR, at: kept }, now)
  const sameDay = atTimeOfDay(last, minutes, ZONE)
  const due = sameDay > last ? sameDay : atTimeOfDay(last, minutes, ZONE, 1)
  const paused = (await docs.meta.get(PAUSE))?.at
  if (paused === undefined) return due
  const pause = await pastInstant(docs.meta, { _id: PAUSE, at: paused }, now, HOUR_MS + MAX_AHEAD_MS)
  return pause > due ? pause : due
}

/**
 * Pulls what WeCom counted since the last time, per member and per owner of groups. Days are replaced as a whole, so
 * pulling them again is harmless; a platform that does not answer is asked again in an hour.
 */
export async function pullStatistics(deps: ServiceDeps, signal?: AbortSignal): Promise<void> {
  const { docs, wecomActions } = deps
  const now = deps.clock.now()
  const last = (await docs.meta.get(CURSOR))?.at
  const today = atTimeOfDay(now, 0, ZONE)
  const back = last === undefined ? FIRST_DAYS : Math.ceil((now.getTime() - last.getTime()) / DAY_MS) + AGAIN_DAYS
  const days = Array.from({ length: Math.min(FIRST_DAYS, back) }, (_, i) =>
    atTimeOfDay(today, 0, ZONE, -1 - i),
  ).reverse()
  const members = (await docs.wecomMembers.find({ serves: true, state: 'active' })).map((m) => m._id)
  try {
    await eachUnlessRefused(deps, members, AT_ONCE, async (userId) => {
      if (signal?.aborted === true) return
      const counted = await wecomActions.statistics.ofMember(userId, days[0]!, days.at(-1)!)
      await docs.wecomDays.put(counted.map(({ at, figures }) => day('member', userId, at, figures)))
    })
    const owners = [...new Set((await docs.wecomGroups.find({ state: 'active' })).map((g) => g.ownerUserId))].sort()
    for (let i = 0; i < owners.length; i += OWNERS) {
      for (const on of days) {
        if (signal?.aborted === true) return
        await pullOwners(deps, owners.slice(i, i + OWNERS), on)
      }
    }
  } catch (err) {
    if (!(err instanceof UpstreamError)) throw err
    deps.log.warn('WeCom statistics not pulled, tried again later', { cause: err.message })
    await keep(deps, PAUSE, new Date(now.getTime() + HOUR_MS))
    return
  }
  if (signal?.aborted === true) return
  await keep(deps, CURSOR, now)
  deps.log.info('WeCom statistics pulled', { members: members.length, days: days.length })
}

/** Owners are asked for together; where one of them makes it refused, each by herself. */
async function pullOwners(deps: ServiceDeps, owners: readonly string[], on: Date): Promise<void> {
  const pull = async (userIds: readonly string[]) => {
    const counted = await deps.wecomActions.statistics.ofOwners(userIds, on)
    await deps.docs.wecomDays.put(counted.map(({ userId, figures }) => day('groups', userId, on, figures)))
  }
  try {
    await pull(owners)
  } catch (err) {
    if (!(err instanceof UpstreamError) || err.retryable || owners.length === 1) throw err
    await eachUnlessRefused(deps, owners, AT_ONCE, (userId) => pull([userId]))
  }
}

async function keep({ docs }: ServiceDeps, id: string, at: Date): Promise<void> {
  await docs.meta.updateEach([{ id, update: { $max: { at } }, upsert: true }])
}

function day(kind: WecomDay['kind'], userId: string, at: Date, figures: WecomDay['figures']): WecomDay {
  const on = toDay(at, ZONE)
  return { _id: `${kind}:${userId}:${on}`, kind, userId, on, figures }
}
