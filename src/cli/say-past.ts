import type { TagReading } from '../services/segments/ask-past.js'
import type { PastReason } from '../services/tags/explain-tag.js'
import { formatAt } from '../print/table.js'

/** What was looked at, for people. */
export function sayPast(
  at: string,
  past: { asItHappened?: boolean | undefined } | undefined,
  timeZone: string,
): string {
  const when = `${formatAt(at, timeZone)} ${timeZone}`
  if (past === undefined) return `按此刻的数据 as of ${when}`
  return past.asItHappened === true
    ? `按到那一刻为止实际发生的（含后来才知道的）as it had happened by ${when}`
    : `按那一刻知道的 as known at ${when}`
}

/** Why there is no answer. */
export function sayUnknown(why: PastReason['why'], from: string | undefined, timeZone: string): string {
  switch (why) {
    case 'before_horizon':
      return `不知道：过去从 ${formatAt(from, timeZone)} 起才有记录（siyu doctor）· unknown: the past is kept from then on only`
    case 'under_way':
      return '不知道：那一刻之前的数据还有一批在处理，稍后再问 · unknown: work from before that instant is not done yet, ask again'
    default:
      return '那时还没有关于这个人的任何数据 · nothing was known of her then'
  }
}

/** How tags were read, where that is worth saying: those that were worked out. */
export function sayReadings(tags: Readonly<Record<string, TagReading>>, asItHappened: boolean): string | undefined {
  const computed = Object.keys(tags).filter((id) => tags[id] === 'computed')
  if (computed.length === 0) return undefined
  const why = asItHappened ? '都重算 all are' : '那时还没有这些标签 they did not exist then'
  return `按今天的规则算出来的标签 tags worked out by today's rules（${why}）: ${computed.join(', ')}`
}
