import { atTimeOfDay, instantsOf, MINUTE_MS, toWallTime } from '../time.js'

/**
 * A five-field cron expression, read: minute, hour, day of the month, month, day of the week, each with `*`, `a`, `a-b`, `a,b` and
 * steps (every 15th: a star, a slash, 15; from the 5th on: `5/15`); `?` stands for any day; months and days of the week also by their English names, Sunday as 0 or 7.
 */
type Cron = {
  minutes: readonly number[]
  hours: readonly number[]
  days: ReadonlySet<number>
  months: ReadonlySet<number>
  weekdays: ReadonlySet<number>
  /** It goes by the hours that pass, not by what the clock shows: an hour that is shown twice counts twice. */
  everyHour: boolean
  /** Both days are limited: one of the two is enough, as cron has always had it. */
  eitherDay: boolean
}

const MONTHS = ['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC']
const WEEKDAYS = ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT']

/** Whether it is a cron expression that comes due: the 31st of February never does. */
export function isCron(text: string): boolean {
  const cron = parse(text)
  return cron !== undefined && [...cron.months].some((month) => hasDay(cron, month))
}

/** The first instant of a five-field cron expression strictly after `after`, in a time zone. Pure; the latest answers are kept. */
export function nextAt(cron: string, after: Date, timeZone: string): Date {
  const question = `${cron}|${after.getTime()}|${timeZone}`
  let answer = answers.get(question)
  if (answer === undefined) {
    answer = findNext(cron, after, timeZone).getTime()
    if (answers.size >= MAX_ANSWERS) answers.clear()
    answers.set(question, answer)
  }
  return new Date(answer)
}

const MAX_ANSWERS = 1_000
const answers = new Map<string, number>()

/** The 29th of February may be eight years away, and fall on a given day of the week after forty. */
const MAX_DAYS = 41 * 366

function findNext(text: string, after: Date, timeZone: string): Date {
  const cron = parse(text)
  if (cron === undefined || !isCron(text)) throw new RangeError(`"${text}" is no cron expression that comes due`)
  // From a day before and with the day after: a reading that a clock change skips may come due on the day after its own.
  for (let ahead = -1; ahead < MAX_DAYS; ahead++) {
    const times = [ahead, ahead + 1]
      .map((days) => atTimeOfDay(after, 12 * 60, timeZone, days))
      .flatMap((day) => (matchesDay(cron, day, timeZone) ? timesOn(cron, day, timeZone) : []))
      .filter((ms) => ms > after.getTime())
    if (times.length > 0) return new Date(Math.min(...times))
  }
  throw new RangeError(`"${text}" does not come due in ${MAX_DAYS} days`)
}

function matchesDay(cron: Cron, day: Date, timeZone: string): boolean {
  const { year, month, day: date } = toWallTime(day, timeZone)
  if (!cron.months.has(month)) return false
  const onDate = cron.days.has(date)
  const onWeekday = cron.weekdays.has(new Date(Date.UTC(year, month - 1, date)).getUTCDay())
  return cron.eitherDay ? onDate || onWeekday : onDate && onWeekday
}

/** The instants of a day, in milliseconds. */
function timesOn({ hours, minutes, everyHour }: Cron, day: Date, timeZone: string): number[] {
  const { year, month, day: date } = toWallTime(day, timeZone)
  const shownAt = (minuteOfDay: number): number[] => {
    const [hour, minute] = [Math.floor(minuteOfDay / 60), minuteOfDay % 60]
    return instantsOf({ year, month, day: date, hour, minute, second: 0 }, timeZone).map((at) => at.getTime())
  }
  const [start, ...startsAgain] = shownAt(0)
  const [end, ...endsAgain] = shownAt(LAST_MINUTE)
  const isOnce = startsAgain.length === 0 && endsAgain.length === 0
  const isPlain = isOnce && end === start! + LAST_MINUTE * MINUTE_MS
  return hours.flatMap((hour) =>
    minutes.flatMap((minute) => {
      const minuteOfDay = hour * 60 + minute
      // Asking the time zone costs a hundred times as much, and on most days the clock does not change.
      if (isPlain) return [start! + minuteOfDay * MINUTE_MS]
      const shown = shownAt(minuteOfDay)
      // What names its hours comes due once a day each, also where the clock leaves the reading out or shows it twice.
      return everyHour ? shown : [shown[0] ?? atTimeOfDay(day, minuteOfDay, timeZone).getTime()]
    }),
  )
}

const LAST_MINUTE = 23 * 60 + 59

const DAYS_IN_MONTH = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

function hasDay(cron: Cron, month: number): boolean {
  return cron.eitherDay || [...cron.days].some((day) => day <= DAYS_IN_MONTH[month - 1]!)
}

function parse(text: string): Cron | undefined {
  const fields = text.trim().split(/\s+/)
  const [minute = '', hour = '', day = '', month = '', weekday = ''] = fields
  const minutes = valuesOf(minute, 0, 59)
  const hours = valuesOf(hour, 0, 23)
  const days = valuesOf(day === '?' ? '*' : day, 1, 31)
  const months = valuesOf(month, 1, 12, MONTHS)
  const weekdays = valuesOf(weekday === '?' ? '*' : weekday, 0, 7, WEEKDAYS)
  if (fields.length !== 5 || !minutes || !hours || !days || !months || !weekdays) return undefined
  return {
    minutes,
    hours,
    days: new Set(days),
    months: new Set(months),
    weekdays: new Set(weekdays.map((d) => d % 7)),
    everyHour: hour.startsWith('*'),
    eitherDay: !/^[*?]/.test(day) && !/^[*?]/.test(weekday),
  }
}

/** What a field stands for, ascending; `undefined`: it is none. @param names - words for the numbers from `min` on */
function valuesOf(field: string, min: number, max: number, names: readonly string[] = []): number[] | undefined {
  const values = new Set<number>()
  for (const part of field.split(',')) {
    const match = /^(\*|([A-Za-z0-9]+)(?:-([A-Za-z0-9]+))?)(?:\/(\d{1,2}))?$/.exec(part)
    if (match === null) return undefined
    const [, , low, high, every] = match
    const from = low === undefined ? min : numberOf(low, min, names)
    const isOpen = low === undefined || (high === undefined && every !== undefined)
    const to = isOpen ? max : numberOf(high ?? low, min, names)
    const step = every === undefined ? 1 : Number(every)
    if (!(from >= min && from <= to && to <= max && step >= 1)) return undefined
    for (let value = from; value <= to; value += step) values.add(value)
  }
  return [...values].sort((a, b) => a - b)
}

/** NaN where it is neither a number nor a name. */
function numberOf(word: string, min: number, names: readonly string[]): number {
  if (/^\d{1,2}$/.test(word)) return Number(word)
  const at = names.indexOf(word.toUpperCase())
  return at === -1 ? NaN : at + min
}
