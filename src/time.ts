/** The one home of the clock. Everything else takes a `Clock` or a `now`. */
export const SECOND_MS = 1_000
export const MINUTE_MS = 60_000
export const HOUR_MS = 3_600_000
export const DAY_MS = 86_400_000

export interface Clock {
  now(): Date
}

export const systemClock: Clock = { now: () => new Date() }

/** A clock that stands where it is put: tests, the demo, the sandbox. */
export class ManualClock implements Clock {
  constructor(private current: Date) {}
  now(): Date {
    return new Date(this.current.getTime())
  }
  /** @throws {RangeError} when `to` lies before the present: time never runs backwards. */
  set(to: Date): void {
    if (to < this.current)
      throw new RangeError(`clock cannot go back from ${this.current.toISOString()} to ${to.toISOString()}`)
    this.current = new Date(to.getTime())
  }
}

export function fixedClock(at: string | Date): Clock {
  return { now: () => new Date(at) }
}

/** Milliseconds since an arbitrary start, by a clock that nobody sets: for deadlines, progress bars and metrics. */
export function elapsedMs(): number {
  return performance.now()
}

const UNIT_MS = { s: SECOND_MS, m: MINUTE_MS, h: HOUR_MS, d: DAY_MS, w: 7 * DAY_MS } as const

/** `90s`, `15m`, `24h`, `7d`, `2w` as milliseconds; `undefined` when the text is no duration. */
export function parseDurationMs(text: string): number | undefined {
  const match = /^(\d+)\s*(s|m|h|d|w)$/.exec(text.trim())
  if (match === null) return undefined
  return Number(match[1]) * UNIT_MS[match[2] as keyof typeof UNIT_MS]
}

type WallTime = { year: number; month: number; day: number; hour: number; minute: number; second: number }

const formatters = new Map<string, Intl.DateTimeFormat>()

function formatterOf(timeZone: string): Intl.DateTimeFormat {
  let formatter = formatters.get(timeZone)
  if (formatter === undefined) {
    formatter = new Intl.DateTimeFormat('en-US', {
      timeZone,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    })
    formatters.set(timeZone, formatter)
  }
  return formatter
}

/** Whether `name` is an IANA time zone this machine knows. */
export function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name })
    return true
  } catch {
    return false // the only way Intl has to say no
  }
}

/** Wall-clock reading of an instant in a time zone. */
export function toWallTime(at: Date, timeZone: string): WallTime {
  const atMs = at.getTime()
  // Since 2012 every zone changes at full quarters of an hour, so within one the offset is the same.
  if (atMs < STEADY_SINCE_MS) return readWallTime(at, timeZone)
  const quarter = Math.floor(atMs / QUARTER_MS)
  const key = `${timeZone} ${quarter}`
  let offset = offsets.get(key)
  if (offset === undefined) {
    if (offsets.size >= MAX_OFFSETS) offsets.clear()
    const startMs = quarter * QUARTER_MS
    offset = wallMs(readWallTime(new Date(startMs), timeZone)) - startMs
    offsets.set(key, offset)
  }
  const shifted = new Date(atMs + offset)
  return {
    year: shifted.getUTCFullYear(),
    month: shifted.getUTCMonth() + 1,
    day: shifted.getUTCDate(),
    hour: shifted.getUTCHours(),
    minute: shifted.getUTCMinutes(),
    second: shifted.getUTCSeconds(),
  }
}

const QUARTER_MS = 15 * MINUTE_MS
const STEADY_SINCE_MS = Date.UTC(2012, 0, 1)
const MAX_OFFSETS = 20_000
/** By zone and quarter of an hour; asking `Intl` costs fifty times as much. */
const offsets = new Map<string, number>()

function readWallTime(at: Date, timeZone: string): WallTime {
  const wall: WallTime = { year: 0, month: 0, day: 0, hour: 0, minute: 0, second: 0 }
  for (const part of formatterOf(timeZone).formatToParts(at)) {
    if (part.type in wall) wall[part.type as keyof WallTime] = Number(part.value)
  }
  return wall
}

/** Calendar day `YYYY-MM-DD` of an instant in a time zone. */
export function toDay(at: Date, timeZone: string): string {
  const { year, month, day } = toWallTime(at, timeZone)
  return `${year}-${String(month).padStart(2, '0')}-${String(day).padStart(2, '0')}`
}

/**
 * The instant at which a zone's wall clock shows the given reading. A reading skipped by a clock change gives the
 * instant as far after the change as the reading was; one shown twice gives the earlier.
 */
export function fromWallTime(wall: WallTime, timeZone: string): Date {
  const asUtcMs = wallMs(wall)
  return instantsOf(wall, timeZone)[0] ?? new Date(asUtcMs - offsetMs(asUtcMs - DAY_MS, timeZone))
}

/** Every instant at which a zone's wall clock shows the reading, ascending: none when a change skips it, two when it is shown twice. */
export function instantsOf(wall: WallTime, timeZone: string): Date[] {
  const asUtcMs = wallMs(wall)
  const offsets = new Set([asUtcMs - DAY_MS, asUtcMs + DAY_MS].map((ms) => offsetMs(ms, timeZone)))
  return [...offsets]
    .map((offset) => asUtcMs - offset)
    .filter((ms) => ms + offsetMs(ms, timeZone) === asUtcMs)
    .sort((a, b) => a - b)
    .map((ms) => new Date(ms))
}

function offsetMs(atMs: number, timeZone: string): number {
  return wallMs(toWallTime(new Date(atMs), timeZone)) - Math.floor(atMs / SECOND_MS) * SECOND_MS
}

/** A reading as if it were of UTC. */
function wallMs({ year, month, day, hour, minute, second }: WallTime): number {
  return Date.UTC(year, month - 1, day, hour, minute, second)
}

/** `HH:MM` as minutes since midnight; `undefined` when it is no time of day. */
export function parseTimeOfDay(text: string): number | undefined {
  const match = /^([01]\d|2[0-3]):([0-5]\d)$/.exec(text)
  return match === null ? undefined : Number(match[1]) * 60 + Number(match[2])
}

/** The instant of a time of day (minutes since midnight) on the calendar day `daysLater` days after `at`'s. */
export function atTimeOfDay(at: Date, minutesOfDay: number, timeZone: string, daysLater = 0): Date {
  const wall = toWallTime(at, timeZone)
  const shifted = new Date(Date.UTC(wall.year, wall.month - 1, wall.day + daysLater))
  return fromWallTime(
    {
      year: shifted.getUTCFullYear(),
      month: shifted.getUTCMonth() + 1,
      day: shifted.getUTCDate(),
      hour: Math.floor(minutesOfDay / 60),
      minute: minutesOfDay % 60,
      second: 0,
    },
    timeZone,
  )
}
