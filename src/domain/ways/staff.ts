import { atTimeOfDay, DAY_MS, parseTimeOfDay, toDay } from '../../time.js'
import { type Staff, WEEKDAYS } from './definition.js'

/**
 * The members who receive customers at an instant: those always on duty and those of the shifts that run, without who is
 * away. With nobody left the backup stands in; with no backup either, everybody named stays, since a code needs somebody.
 *
 * @param unavailable - members who left or are disabled
 * @returns sorted, each once; empty only where departments are on duty
 */
export function onDuty(
  staff: Staff,
  at: Date,
  timeZone: string,
  unavailable: ReadonlySet<string> = new Set(),
): string[] {
  const today = toDay(at, timeZone)
  const away = new Set(staff.away.filter((a) => a.from <= today && today <= a.to).map((a) => a.user))
  const present = (users: readonly string[]) => sorted(users.filter((u) => !away.has(u) && !unavailable.has(u)))
  const now = present([...staff.users, ...staff.shifts.filter((s) => runs(s, at, timeZone)).flatMap((s) => s.users)])
  if (now.length > 0 || staff.departments.length > 0) return now
  const backup = present(staff.backup)
  if (backup.length > 0) return backup
  return sorted([...staff.users, ...staff.shifts.flatMap((s) => s.users), ...staff.backup])
}

/** When somebody comes on duty, goes off, leaves or comes back next; `undefined` when the files foresee no change. */
export function nextChangeAt(staff: Staff, at: Date, timeZone: string): Date | undefined {
  const times = staff.shifts.flatMap((s) => [s.from, s.to].map((t) => parseTimeOfDay(t)!))
  const boundaries = [0, 1].flatMap((days) => times.map((minutes) => atTimeOfDay(at, minutes, timeZone, days)))
  for (const { from, to } of staff.away) {
    boundaries.push(midnightOf(from, timeZone), atTimeOfDay(midnightOf(to, timeZone), 0, timeZone, 1))
  }
  const next = boundaries.map((b) => b.getTime()).filter((ms) => ms > at.getTime())
  return next.length === 0 ? undefined : new Date(Math.min(...next))
}

/** A shift runs on the days it names, from the minute it begins to the minute before it ends, perhaps past midnight. */
function runs(shift: Staff['shifts'][number], at: Date, timeZone: string): boolean {
  const [from, to] = [parseTimeOfDay(shift.from)!, parseTimeOfDay(shift.to)!]
  return [0, -1].some((daysAgo) => {
    const begins = atTimeOfDay(at, from, timeZone, daysAgo)
    const ends = atTimeOfDay(at, to, timeZone, from < to ? daysAgo : daysAgo + 1)
    return shift.days.includes(weekdayOf(toDay(begins, timeZone))) && begins <= at && at < ends
  })
}

function weekdayOf(day: string): (typeof WEEKDAYS)[number] {
  return WEEKDAYS[new Date(`${day}T00:00:00Z`).getUTCDay()]!
}

function midnightOf(day: string, timeZone: string): Date {
  // Noon in UTC is the same calendar day from −12 h to +11 h; further east it is the evening before.
  const noon = new Date(`${day}T12:00:00Z`)
  const isDay = [0, -1].find((days) => toDay(new Date(noon.getTime() + days * DAY_MS), timeZone) === day) ?? 0
  return atTimeOfDay(new Date(noon.getTime() + isDay * DAY_MS), 0, timeZone)
}

function sorted(users: readonly string[]): string[] {
  return [...new Set(users)].sort()
}
