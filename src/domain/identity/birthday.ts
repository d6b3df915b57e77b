/** The trait of which `canonicalBirthday` is the writing. */
export const BIRTHDAY = 'birthday'

const YMD =
  /^(\d{4})(?:[-/.](\d{1,2})[-/.](\d{1,2})|(\d{2})(\d{2})|年(\d{1,2})月(\d{1,2})日?)(?:T00:00:00(?:\.0+)?Z?| 00:00:00)?$/
/** Of whom the year is not known. */
const MD = /^(?:(?:--)?(\d{1,2})[-/.](\d{1,2})|(\d{1,2})月(\d{1,2})日?)$/

/** What programs write where they have no date. Whoever was really born on one of these days is asked the year by nobody. */
const NO_DATE: ReadonlySet<string> = new Set(['0001-01-01', '1900-01-01'])

/**
 * A birthday in its one form: `1990-01-31`, or `--01-31` where the year is not known. A time at midnight is left out; one that is
 * not at midnight may be of another day, depending on who wrote it.
 *
 * @returns `undefined` when it is no day of a calendar, or one that stands for none
 */
export function canonicalBirthday(written: string): string | undefined {
  const text = written.normalize('NFKC').replace(/\s+/g, ' ').trim()
  const ymd = YMD.exec(text)
  if (ymd !== null) {
    const [, year, ...rest] = ymd
    const [month, day] = rest.filter((part) => part !== undefined)
    const date = dayOf(Number(year), Number(month), Number(day))
    return date === undefined || NO_DATE.has(date) ? undefined : date
  }
  const md = MD.exec(text)
  if (md === null) return undefined
  const [month, day] = md.slice(1).filter((part) => part !== undefined)
  // A year in which February has 29 days.
  const date = dayOf(2000, Number(month), Number(day))
  return date === undefined ? undefined : `--${date.slice(5)}`
}

function dayOf(year: number, month: number, day: number): string | undefined {
  const date = new Date(0)
  date.setUTCFullYear(year, month - 1, day)
  const isReal = year > 0 && date.getUTCMonth() === month - 1 && date.getUTCDate() === day
  return isReal ? date.toISOString().slice(0, 10) : undefined
}
