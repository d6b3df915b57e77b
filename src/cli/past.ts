import type { Command } from 'commander'
import { said } from '../said.js'
import { InvalidInputError } from '../errors.js'
import type { PastQuery } from '../services/segments/ask-past.js'
import { fromWallTime, MINUTE_MS } from '../time.js'

/** The options by which commands ask about an instant that has passed. */
export type PastOptions = { asOf?: string; asItHappened?: boolean }

/** Lets a command be asked about the past. */
export function pastOptions(command: Command): Command {
  return command
    .option(
      '--as-of <time>',
      '那一刻知道的，而不是现在；品牌时区，如 2026-11-01T10:00 · as of then, by what was known then; business time zone',
    )
    .option(
      '--as-it-happened',
      '与 --as-of 同用：按那时实际发生的算，后来才知道的也算 · with --as-of: by what had happened, whenever it was heard of',
    )
}

/** @throws {InvalidInputError} when it is no time */
export function parsePast({ asOf, asItHappened }: PastOptions, timeZone: string): PastQuery | undefined {
  if (asOf === undefined && asItHappened !== true) return undefined
  const at = asOf === undefined ? undefined : readTime(asOf, timeZone)
  if (at === undefined)
    throw new InvalidInputError(said('指哪一刻？', 'When?'), [
      {
        path: '--as-of',
        message:
          asOf === undefined
            ? said('没有给', 'it is missing')
            : said(`看不懂（写的是 ${asOf}）`, `it is no time (got ${asOf})`),
        hint: said(
          '写成 2026-11-01T10:00 或 2026-11-01T10:00:00+08:00',
          'write it as 2026-11-01T10:00 or 2026-11-01T10:00:00+08:00',
        ),
      },
    ])
  return { asOf: at.toISOString(), ...(asItHappened === true && { asItHappened }) }
}

const TIME = /^(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,3}))?)?(Z|[+-]\d\d:\d\d)?$/

/** With an offset an instant, without one what the wall clock of the zone shows. */
function readTime(text: string, timeZone: string): Date | undefined {
  const found = TIME.exec(text)
  if (found === null) return undefined
  const [year, month, day, hour, minute, second] = found.slice(1, 7).map((n = '0') => Number(n)) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ]
  const ms = Number((found[7] ?? '0').padEnd(3, '0'))
  const wall = new Date(Date.UTC(year, month - 1, day, hour, minute, second))
  // What no calendar or clock shows rolls over.
  if (!wall.toISOString().startsWith(`${found[1]}-${found[2]}-${found[3]}T${found[4]}:${found[5]}`) || second > 59)
    return undefined
  const offset = found[8]
  if (offset === undefined) {
    const at = fromWallTime({ year, month, day, hour, minute, second }, timeZone)
    return new Date(at.getTime() + ms)
  }
  const [hours, minutes] = offset === 'Z' ? [0, 0] : offset.slice(1).split(':').map(Number)
  const aheadMs = (offset.startsWith('-') ? -1 : 1) * ((hours ?? 0) * 60 + (minutes ?? 0)) * MINUTE_MS
  return new Date(wall.getTime() + ms - aheadMs)
}
