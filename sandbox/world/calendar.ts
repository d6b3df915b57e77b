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

type Window = { opensMs: number; closesMs: number }
/** Worked out once for each day, since a world asks millions of times. */
const windows = new Map<string, Map<number, Window>>()

/**
 * The instant after `delayMs` of open hours have passed since `at`, in whole seconds: somebody who works from 9 to 18
 * and takes an hour over what came at 17:30 is done at 9:30.
 *
 * @param isClosed - takes whole days out; they are numbered on their own calendar since 1970-01-01
 */
export function addOpenMs(
  at: Date,
  delayMs: number,
  hours: DailyHours,
  isClosed: (day: number) => boolean = () => false,
): Date {
  const atMs = at.getTime()
  let leftMs = delayMs
  for (let day = Math.floor(atMs / DAY_MS) - 1; ; day++) {
    if (isClosed(day)) continue
    const { opensMs, closesMs } = windowOf(day, hours)
    const fromMs = Math.max(atMs, opensMs)
    if (closesMs - fromMs > leftMs) return new Date(Math.floor((fromMs + leftMs) / SECOND_MS) * SECOND_MS)
    leftMs -= Math.max(0, closesMs - fromMs)
  }
}

/** Where an instant falls when every day of 24 hours (UTC) is pressed into its open hours: the order is kept. Whole seconds. */
export function squeezeIntoDay(atMs: number, hours: DailyHours): number {
  const day = Math.floor(atMs / DAY_MS)
  const { opensMs, closesMs } = windowOf(day, hours)
  const ms = opensMs + (atMs / DAY_MS - day) * (closesMs - opensMs)
  return Math.floor(ms / SECOND_MS) * SECOND_MS
}

/** The inverse of `squeezeIntoDay` but for the rounding; before opening it is the day's beginning, after closing its end. */
export function stretchOverDay(atMs: number, hours: DailyHours): number {
  const day = Math.floor(atMs / DAY_MS)
  const { opensMs, closesMs } = windowOf(day, hours)
  return (day + Math.min(1, Math.max(0, (atMs - opensMs) / (closesMs - opensMs)))) * DAY_MS
}

function windowOf(day: number, hours: DailyHours): Window {
  const key = `${hours.from} ${hours.to} ${hours.timeZone}`
  let days = windows.get(key)
  if (days === undefined) windows.set(key, (days = new Map<number, Window>()))
  let window = days.get(day)
  if (window === undefined) {
    const noon = new Date((day + 0.5) * DAY_MS)
    const instant = (time: string) => atTimeOfDay(noon, parseTimeOfDay(time)!, hours.timeZone).getTime()
    days.set(day, (window = { opensMs: instant(hours.from), closesMs: instant(hours.to) }))
  }
  return window
}
