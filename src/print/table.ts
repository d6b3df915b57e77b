import { forCell } from '../escape.js'
import type { Words } from '../said.js'
import { toWallTime } from '../time.js'
import { displayWidth, padEnd, padStart, truncate } from './display-width.js'

/** `whole`: its cells are there to be copied, and are never cut. */
export type Column = { title: string; align?: 'left' | 'right'; whole?: boolean }

const GAP = '  '

/** Rows under titles, aligned by terminal cells; ends in a line break. What cells hold is words, whoever wrote them. */
export function renderTable(columns: readonly Column[], given: readonly (readonly string[])[]): string {
  const rows = given.map((cells) => cells.map(forCell))
  const widths = columns.map((c, i) =>
    Math.max(displayWidth(c.title), ...rows.map((row) => displayWidth(row[i] ?? ''))),
  )
  const line = (cells: readonly string[]) =>
    columns
      .map((c, i) => (c.align === 'right' ? padStart : padEnd)(cells[i] ?? '', widths[i]!))
      .join(GAP)
      .trimEnd()
  return [line(columns.map((c) => c.title)), widths.map((w) => '─'.repeat(w)).join(GAP), ...rows.map(line), ''].join(
    '\n',
  )
}

/** Fewer cells than this say nothing. */
const LEAST = 6

/**
 * The same, no wider than a terminal: the widest columns give way, but for those whose cells are copied.
 *
 * @param width - in cells; absent: nobody looks at a terminal
 */
export function fitTable(
  columns: readonly Column[],
  given: readonly (readonly string[])[],
  width: number | undefined,
): string {
  const rows = given.map((cells) => cells.map(forCell))
  if (width === undefined) return renderTable(columns, rows)
  const widths = columns.map((c, i) =>
    Math.max(displayWidth(c.title), ...rows.map((row) => displayWidth(row[i] ?? ''))),
  )
  const least = columns.map((c, i) => (c.whole === true ? widths[i]! : Math.max(LEAST, displayWidth(c.title))))
  for (let over = sumOf(widths) + GAP.length * (columns.length - 1) - width; over > 0; over--) {
    const widest = widths.reduce((at, cells, i) => (cells - least[i]! > 0 && cells >= (widths[at] ?? 0) ? i : at), -1)
    if (widest === -1) break
    widths[widest]!--
  }
  return renderTable(
    columns,
    rows.map((row) => row.map((cell, i) => truncate(cell, widths[i]!))),
  )
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, n) => sum + n, 0)
}

/** Columns with their titles in one language. */
export function columnsIn(
  words: Words,
  ...titles: readonly [zh: string, en: string, more?: Omit<Column, 'title'>][]
): Column[] {
  return titles.map(([zh, en, more]) => ({ title: words(zh, en), ...more }))
}

/** An instant as the business clock shows it, to the second. */
export function formatClock(at: Date, timeZone: string): string {
  const { second } = toWallTime(at, timeZone)
  return `${formatAt(at, timeZone)}:${String(second).padStart(2, '0')}`
}

/** An instant as the business clock shows it, to the minute. */
export function formatAt(at: string | Date | undefined, timeZone: string): string {
  if (at === undefined) return ''
  const { year, month, day, hour, minute } = toWallTime(new Date(at), timeZone)
  const two = (n: number) => String(n).padStart(2, '0')
  return `${year}-${two(month)}-${two(day)} ${two(hour)}:${two(minute)}`
}
