import type { Effect } from '../src/domain/measures/newcombe.js'
import type { DemoReport, JourneyFigures } from './demo-report.js'
import { type Bilingual, both } from '../src/print/words.js'

export const IDENTITY_FIELDS = [
  'records',
  'profiles',
  'merges',
  'conflicts',
  'truePairs',
  'foundPairs',
  'correctPairs',
  'precision',
  'recall',
] as const
/** The sandbox's figures; a check passes at zero. */
export const SANDBOX_FIELDS = [
  ['messages', 'figure'],
  ['reads', 'figure'],
  ['replies', 'figure'],
  ['refusedByQuota', 'figure'],
  ['doubled', 'check'],
  ['withoutTouch', 'check'],
  ['overCap', 'check'],
  ['inQuietHours', 'check'],
] as const

export const TITLES = {
  siyu: both('siyu 私域', 'siyu'),
  days: both('天', 'days'),
  seed: both('种子', 'seed'),
  report: both('演示报告', 'demo report'),
  source: both('数据来源', 'Source'),
  identity: both('身份合一', 'OneID'),
  tags: both('标签覆盖', 'Tag coverage'),
  stages: both('生命周期流转', 'Stage flow'),
  journeys: both('旅程', 'Journeys'),
  touches: both('触达', 'Touches'),
  tasks: both('导购任务', "Guides' tasks"),
  sandbox: both('沙箱独立核对', 'Independent check of the sandbox'),
  byState: both('按状态', 'by state'),
  byChannel: both('按渠道', 'by channel'),
  byReason: both('未发出原因', 'suppressed by reason'),
  tag: both('标签', 'tag'),
  coverage: both('覆盖率', 'coverage'),
  guide: both('导购', 'guide'),
  total: both('合计', 'total'),
  fromTo: both('期初 ↓ 期末 →', 'from ↓ to →'),
  difference: both('实验组 − 对照组', 'treated − holdout'),
  interval: both('95% 区间', '95 % interval'),
  people: both('人', 'people'),
  touchUnit: both('触达', 'touches'),
} as const

/** Why an interval around zero is what one should see here. */
export const TRUTH = both(
  '订单只来自文件，文件里的买家从未收到这些消息，所以真实效果为零；区间按原样打印。',
  'Orders come only from the file and its buyers never received these messages, so the true effect is zero; the intervals are printed as they are.',
)

/** What an interval means, in one sentence. */
export function explainEffect({ estimate, low, high }: Effect): Bilingual {
  if (estimate === null) return both('有一组无人，无法比较。', 'One arm is empty: nothing to compare.')
  if (low <= 0 && high >= 0) {
    return both('区间含 0：没有证据表明有效果。', 'The interval contains 0: no evidence of an effect.')
  }
  return both(
    '区间不含 0，但真实效果为零：这样的区间每 100 个约有 5 个会错过真值。',
    'The interval leaves out 0 although the true effect is zero: about 5 in 100 such intervals miss the truth.',
  )
}

/** What the independent check says, in one sentence. */
export function explainCheck(sandbox: DemoReport['sandbox']): Bilingual {
  return checkPassed(sandbox)
    ? both(
        '核对通过：没有重复、没有台账外、没有超频、没有静默时段内的消息。',
        'Passed: no message twice, none outside the ledger, none over the cap, none in quiet hours.',
      )
    : both('核对未通过：见不为零的项。', 'Not passed: see the figures that are not zero.')
}

export function checkPassed(sandbox: DemoReport['sandbox']): boolean {
  return SANDBOX_FIELDS.every(([field, kind]) => kind === 'figure' || sandbox[field] === 0)
}

/** A journey as a funnel; the first and last step count people of the treated arm, the others touches. */
export function funnelOf(journey: JourneyFigures): { key: string; count: number; unit: 'people' | 'touchUnit' }[] {
  return [
    { key: 'treated', count: journey.entered - journey.heldOut, unit: 'people' },
    { key: 'planned', count: journey.planned, unit: 'touchUnit' },
    { key: 'created', count: journey.created, unit: 'touchUnit' },
    { key: 'confirmed', count: journey.confirmed, unit: 'touchUnit' },
    { key: 'delivered', count: journey.delivered, unit: 'touchUnit' },
    { key: 'bought', count: journey.bought - journey.boughtHeldOut, unit: 'people' },
  ]
}

/** Both arms with their share of buyers; `ratio` is `null` for an empty arm. */
export function armsOf(
  journey: JourneyFigures,
): { key: 'treated' | 'holdout'; n: number; x: number; ratio: number | null }[] {
  const arm = (key: 'treated' | 'holdout', n: number, x: number) => ({ key, n, x, ratio: n === 0 ? null : x / n })
  return [
    arm('treated', journey.entered - journey.heldOut, journey.bought - journey.boughtHeldOut),
    arm('holdout', journey.heldOut, journey.boughtHeldOut),
  ]
}

/** Entries of a record of counts, largest first, ties by key. */
export function byCount(counts: Record<string, number>): [string, number][] {
  return Object.entries(counts).sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1))
}

/** Stages in the report's order, with those the order forgot at the end. */
export function stagesOf({ order, atStart, atEnd, matrix }: DemoReport['stages']): string[] {
  return [
    ...new Set([
      ...order,
      ...Object.keys(atStart),
      ...Object.keys(atEnd),
      ...Object.keys(matrix),
      ...Object.values(matrix).flatMap((row) => Object.keys(row)),
    ]),
  ]
}

/** State columns of the guides' tables: the four every guide has, then whatever else occurs. */
export function taskStatesOf(tasks: DemoReport['tasks']): string[] {
  return [
    ...new Set([
      'open',
      'done',
      'interested',
      'expired',
      ...Object.values(tasks).flatMap((t) => Object.keys(t).sort()),
    ]),
  ]
}

/** Largest distance from zero any interval reaches, so that all are drawn to one scale; at least one point. */
export function effectReach(journeys: DemoReport['journeys']): number {
  return Math.max(
    0.01,
    ...Object.values(journeys).flatMap(({ effect: e }) => (e.estimate === null ? [] : [-e.low, e.high])),
  )
}

/** A difference of shares in percentage points, signed. */
export function formatPoints(difference: number): string {
  const text = (difference * 100).toFixed(2)
  return `${Number(text) === 0 ? '0.00' : difference > 0 ? `+${text}` : text.replace('-', '−')} pp`
}

export function formatEffect({ estimate, low, high }: Effect): string {
  return estimate === null ? '–' : `${formatPoints(estimate)} [${formatPoints(low)}, ${formatPoints(high)}]`
}
