import { forCell } from '../escape.js'
import { toWallTime } from '../time.js'
import { displayWidth, padEnd, padStart, truncate } from './display-width.js'

export type Column = { title: string; align?: 'left' | 'right' }

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

/** The same, no wider than a terminal: its last column gives way. @param width - in cells; absent: nobody looks at a terminal */
export function fitTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  width: number | undefined,
): string {
  if (width === undefined) return renderTable(columns, rows)
  const fixed = columns
    .slice(0, -1)
    .map((c, i) => Math.max(displayWidth(c.title), ...rows.map((row) => displayWidth(row[i] ?? ''))) + GAP.length)
  const left = Math.max(displayWidth(columns.at(-1)!.title), width - fixed.reduce((sum, cells) => sum + cells, 0))
  return renderTable(
    columns,
    rows.map((row) => [...row.slice(0, -1), truncate(row.at(-1)!, left)]),
  )
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
