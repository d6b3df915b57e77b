import { atTimeOfDay, DAY_MS, parseTimeOfDay, SECOND_MS, toDay, toWallTime } from '../../src/time.js'

/** The platform counts customers' quotas on Beijing's calendar wherever the company is. */
export const PLATFORM_TIME_ZONE = 'Asia/Shanghai'

export type QuotaMode = 'month_days' | 'week_7' | 'day_1'

/** The calendar period an instant falls into, and how many mass messages a customer may get in it (page 92135, 2025-11-17). */
export function quotaPeriod(mode: QuotaMode, at: Date): { period: string; limit: number } {
  const day = toDay(at, PLATFORM_TIME_ZONE)
  if (mode === 'day_1') return { period: day, limit: 1 }
  const { year, month } = toWallTime(at, PLATFORM_TIME_ZONE)
  if (mode === 'month_days') return { period: day.slice(0, 7), limit: new Date(Date.UTC(year, month, 0)).getUTCDate() }
  const noonMs = Date.parse(`${day}T12:00:00Z`)
  const sinceMonday = (new Date(noonMs).getUTCDay() + 6) % 7
  return { period: `week of ${toDay(new Date(noonMs - sinceMonday * DAY_MS), 'UTC')}`, limit: 7 }
}

export type DailyHours = { from: string; to: string; timeZone: string }

/**
 * The instant after `delayMs` of open hours have passed since `at`, in whole seconds: somebody who works from 9 to 18
 * and takes an hour over what came at 17:30 is done at 9:30.
 */
export function addOpenMs(at: Date, delayMs: number, hours: DailyHours): Date {
  let leftMs = delayMs
  for (let day = 0; ; day++) {
    const opens = atTimeOfDay(at, parseTimeOfDay(hours.from)!, hours.timeZone, day).getTime()
    const closes = atTimeOfDay(at, parseTimeOfDay(hours.to)!, hours.timeZone, day).getTime()
    const fromMs = Math.max(at.getTime(), opens)
    if (closes - fromMs > leftMs) return new Date(Math.floor((fromMs + leftMs) / SECOND_MS) * SECOND_MS)
    leftMs -= Math.max(0, closes - fromMs)
  }
}
