import type { TagReading } from '../services/segments/ask-past.js'
import type { PastReason } from '../services/tags/explain-tag.js'
import { formatAt } from '../print/table.js'
import { bilingual } from '../said.js'

type Brand = { timeZone: string; locale: 'zh' | 'en' }

/** What was looked at, for people. */
export function sayPast(
  at: string,
  past: { asItHappened?: boolean | undefined } | undefined,
  { timeZone, locale }: Brand,
): string {
  const words = bilingual(locale)
  const when = `${formatAt(at, timeZone)} ${timeZone}`
  if (past === undefined) return words(`按此刻的数据（${when}）`, `as of ${when}`)
  return past.asItHappened === true
    ? words(`按到 ${when} 为止实际发生的，含后来才知道的`, `as it had happened by ${when}`)
    : words(`按 ${when} 知道的`, `as known at ${when}`)
}

/** Why there is no answer. */
export function sayUnknown(why: PastReason['why'], from: string | undefined, { timeZone, locale }: Brand): string {
  const words = bilingual(locale)
  const since = formatAt(from, timeZone)
  switch (why) {
    case 'before_horizon':
      return words(
        `不知道：过去从 ${since} 起才有记录（siyu doctor）`,
        `unknown: the past is kept from ${since} on only (siyu doctor)`,
      )
    case 'under_way':
      return words(
        '不知道：那一刻之前的数据还有一批在处理，稍后再问',
        'unknown: work from before that instant is not done yet, ask again',
      )
    default:
      return words('那时还没有关于这个人的任何数据', 'nothing was known of her then')
  }
}

/** How tags were read, where that is worth saying: those that were worked out. */
export function sayReadings(
  tags: Readonly<Record<string, TagReading>>,
  asItHappened: boolean,
  locale: 'zh' | 'en',
): string | undefined {
  const computed = Object.keys(tags).filter((id) => tags[id] === 'computed')
  if (computed.length === 0) return undefined
  const words = bilingual(locale)
  const why = asItHappened ? words('都重算', 'all are') : words('那时还没有这些标签', 'they did not exist then')
  return `${words(`按今天的规则算出来的标签（${why}）`, `tags worked out by today's rules (${why})`)}: ${computed.join(', ')}`
}
