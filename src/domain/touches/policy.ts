import { z } from 'zod'
import { said } from '../../said.js'
import { DurationMs, TimeOfDay } from '../../parse.js'
import { atTimeOfDay, DAY_MS, MINUTE_MS, parseTimeOfDay, toDay, toWallTime } from '../../time.js'
import { needsContact } from './address.js'
import { channelKinds, type ChannelName } from './channels.js'
import type { SuppressReason } from './touch.js'

/** @see 提醒成员群发, developer.work.weixin.qq.com/document/path/97610 (read 2026-08) */
const REMINDERS_PER_DAY = 3

/** `config/policy.yaml`: what every touch must pass, whichever journey or hand it comes from. */
export const Policy = z.strictObject({
  quietHours: z
    .strictObject({ from: TimeOfDay, to: TimeOfDay })
    .describe(
      said(
        '业务时区里从 … 到 … 不发送，等到结束',
        'nothing is released from … to …, in the business time zone; it waits for the end',
      ),
    ),
  holidays: z
    .array(z.string().regex(/^\d{4}-\d{2}-\d{2}$/))
    .default([])
    .describe(said('这些天不发送', 'days on which nothing is released')),
  caps: z
    .array(z.strictObject({ max: z.number().int().min(1), per: DurationMs }))
    .default([])
    .describe(
      said(
        '一个人在任意 `per` 时间内最多 `max` 次，跨全部旅程',
        'at most `max` touches of one person in any rolling window of `per`, over all journeys',
      ),
    ),
  waitForSlot: DurationMs.default(2 * DAY_MS).describe(
    said(
      '频次或额度没有名额时顺延，从第一次没有名额时起最多这么久（不算 holidays 里的日子），之后不再发',
      'a touch for which a cap or the quota leaves no room waits so long for it, from when there was none first, days of `holidays` not counted; then it is dropped',
    ),
  ),
  wecomQuota: z
    .strictObject({ mode: z.enum(['month_days', 'week_7', 'day_1']), timeZone: z.string().default('Asia/Shanghai') })
    .describe(
      said(
        '企业微信后台设置的每客户群发次数',
        'the quota of mass messages per customer as set in the WeCom admin page',
      ),
    ),
  confirmWithin: DurationMs.describe(
    said(
      '群发多久没有导购确认就收回；任务没写期限时也按它',
      'a mass message that no guide confirmed for this long is taken back; a task is due after it, unless it says when',
    ),
  ),
  remindAfter: z
    .array(DurationMs)
    .default([])
    .superRefine((durations, ctx) => {
      const tooMany = durations.findIndex((after, i) => after - (durations[i - REMINDERS_PER_DAY] ?? -DAY_MS) < DAY_MS)
      if (durations.some((after, i) => after <= (durations[i - 1] ?? 0)))
        ctx.addIssue({
          code: 'custom',
          message: said('时长要从短到长，如 [4h, 1d]', 'durations must rise, e.g. [4h, 1d]'),
        })
      else if (tooMany !== -1)
        ctx.addIssue({
          code: 'custom',
          path: [tooMany],
          message: said(
            '企业微信 24 小时内最多提醒 3 次：隔开一些',
            'WeCom allows 3 reminders in 24 h: spread them wider',
          ),
        })
    })
    .describe(
      said(
        '群发建好多久后提醒导购点发送，避开静默时段',
        'this long after a mass message was created its guide is reminded to press send, outside quiet hours',
      ),
    ),
  priority: z
    .array(z.string())
    .default([])
    .describe(
      said(
        '旅程，最有价值的排最前：只剩一个名额时谁先',
        'journeys, most valuable first: who wins when a cap leaves one slot',
      ),
    ),
  tasksPerGuidePerMinute: z
    .number()
    .int()
    .min(1)
    .max(30)
    .default(20)
    .describe(
      said(
        '同一成员每分钟超过 30 条的应用消息，企业微信会悄悄丢掉',
        'WeCom drops app messages above 30 a minute to one member, silently',
      ),
    ),
})
export type Policy = z.infer<typeof Policy>

/** The first instant at or after `at` outside quiet hours and holidays. */
export function releaseAfter(policy: Policy, at: Date, timeZone: string): Date {
  let candidate = at
  // Bounded: at most a fortnight of holidays in a row.
  for (let i = 0; i < 30; i++) {
    const moved = afterQuiet(policy, candidate, timeZone)
    const open = policy.holidays.includes(toDay(moved, timeZone)) ? atTimeOfDay(moved, 0, timeZone, 1) : moved
    if (open.getTime() === candidate.getTime()) return candidate
    candidate = open
  }
  return candidate
}

export function isQuiet(policy: Policy, at: Date, timeZone: string): boolean {
  return releaseAfter(policy, at, timeZone).getTime() !== at.getTime()
}

function afterQuiet(policy: Policy, at: Date, timeZone: string): Date {
  const from = parseTimeOfDay(policy.quietHours.from)!
  const to = parseTimeOfDay(policy.quietHours.to)!
  const { hour, minute } = toWallTime(at, timeZone)
  const now = hour * 60 + minute
  if (from === to) return at
  if (from > to && now >= from) return atTimeOfDay(at, to, timeZone, 1)
  if (now >= to || (from < to && now < from)) return at
  const end = atTimeOfDay(at, to, timeZone)
  if (end > at) return end
  // The clock was put back and shows these hours a second time.
  return new Date((Math.floor(at.getTime() / MINUTE_MS) + to - now) * MINUTE_MS)
}

/** What is known of a person when a touch of hers is due. */
export type ReleaseFacts = {
  now: Date
  /** When there was no room for it first; now, if that was not before. */
  noRoomSince: Date
  /** The brand's. */
  timeZone: string
  optedOut: boolean
  /** Whether the channel has an address of hers. */
  reachable: boolean
  /** Release times of her earlier touches (created, confirmed, delivered, unknown), any order. */
  releasedAt: readonly Date[]
  /** Of those, the mass messages: they use the customer's quota. */
  massReleasedAt: readonly Date[]
  sending: 'off' | 'dry' | 'allow_list' | 'live'
  onAllowList: boolean
}

export type ReleaseDecision =
  | { kind: 'release' }
  | { kind: 'suppress'; reason: SuppressReason }
  /** There is no room for it before `until`. */
  | { kind: 'wait'; until: Date; reason: 'cap' | 'quota' }

/** May this touch go out now? Quiet hours are decided before (they only put it off). */
export function decideRelease(policy: Policy, channel: ChannelName, facts: ReleaseFacts): ReleaseDecision {
  if (facts.optedOut) return { kind: 'suppress', reason: 'opted_out' }
  if (!facts.reachable)
    return { kind: 'suppress', reason: needsContact(channelKinds[channel]) ? 'not_a_contact' : 'no_address' }
  const room = [
    { reason: 'cap' as const, at: roomInCaps(policy, facts) },
    { reason: 'quota' as const, at: channelKinds[channel].usesQuota ? roomInQuota(policy, facts) : facts.now },
  ].sort((a, b) => b.at.getTime() - a.at.getTime())[0]!
  if (room.at > facts.now) {
    const { at: until, reason } = room
    if (until > waitsUntil(policy, facts)) return { kind: 'suppress', reason }
    return { kind: 'wait', until, reason }
  }
  if (facts.sending === 'off') return { kind: 'suppress', reason: 'sending_off' }
  if (facts.sending === 'dry') return { kind: 'suppress', reason: 'dry_mode' }
  if (facts.sending === 'allow_list' && !facts.onAllowList) return { kind: 'suppress', reason: 'not_on_allow_list' }
  return { kind: 'release' }
}

/** Until when a touch waits for room: on holidays nothing goes, so they do not count. */
function waitsUntil({ waitForSlot, holidays }: Policy, { noRoomSince, timeZone }: ReleaseFacts): Date {
  let end = new Date(noRoomSince.getTime() + waitForSlot)
  for (const day of [...new Set(holidays)].sort()) {
    if (day < toDay(noRoomSince, timeZone)) continue
    if (day > toDay(end, timeZone)) break
    end = new Date(end.getTime() + DAY_MS)
  }
  return end
}

/** When every cap leaves room for one more; now, if they all do. */
function roomInCaps({ caps }: Policy, { now, releasedAt }: ReleaseFacts): Date {
  const newestFirst = releasedAt.map((at) => at.getTime()).sort((a, b) => b - a)
  // Those after `now` count too: another worker's clock may be ahead of ours, or ours was set back.
  const freeAt = caps.map(({ max, per }) => (newestFirst[max - 1] ?? -Infinity) + per)
  return new Date(Math.max(now.getTime(), ...freeAt))
}

/** When this customer may get one more mass message; those released and not yet confirmed count. */
function roomInQuota({ wecomQuota: { mode, timeZone } }: Policy, { now, massReleasedAt }: ReleaseFacts): Date {
  const [year, month, day] = toDay(now, timeZone).split('-').map(Number)
  const date = new Date(Date.UTC(year!, month! - 1, day))
  const daysInMonth = new Date(Date.UTC(year!, month, 0)).getUTCDate()
  const weekday = (date.getUTCDay() + 6) % 7
  const { allowed, passed, days } = {
    day_1: { allowed: 1, passed: 0, days: 1 },
    week_7: { allowed: 7, passed: weekday, days: 7 },
    month_days: { allowed: daysInMonth, passed: day! - 1, days: daysInMonth },
  }[mode]
  // What another worker's clock puts into the next period was released by now.
  const used = massReleasedAt.filter((at) => at >= atTimeOfDay(now, 0, timeZone, -passed)).length
  return used < allowed ? now : atTimeOfDay(now, 0, timeZone, days - passed)
}

/**
 * When the sender of a mass message is reminded next, if she has still not confirmed it.
 *
 * @param reminders - how often she was reminded of it
 */
export function nextReminderAt(
  policy: Policy,
  releasedAt: Date,
  reminders: number,
  timeZone: string,
): Date | undefined {
  const after = policy.remindAfter[reminders]
  if (after === undefined || after >= policy.confirmWithin) return undefined
  return releaseAfter(policy, new Date(releasedAt.getTime() + after), timeZone)
}

/** Results are looked at on the half hour: nobody needs them to the second, and together they cost less. */
export function lookAt(at: Date, gridMs = 30 * MINUTE_MS): Date {
  return new Date(Math.ceil(at.getTime() / gridMs) * gridMs)
}

/** Minutes to the first look at the results of a dispatch, and from each to the next: soon at first, when most guides press send. */
const LOOKS_MIN = [10, 20, 30, 60, 180, 480, 720]

/** When results are looked at next, after `looks` of them. */
export function nextLookAt(now: Date, looks: number): Date {
  return onGrid(now, now.getTime() + (LOOKS_MIN[looks] ?? 24 * 60) * MINUTE_MS)
}

/** Within the hour on every tenth minute, later on the half hour. */
export function onGrid(now: Date, atMs: number): Date {
  return lookAt(new Date(atMs), (atMs - now.getTime() < 60 * MINUTE_MS ? 10 : 30) * MINUTE_MS)
}
