import type { Effect } from '../../domain/measures/newcombe.js'
import type { DemoReport, JourneyFigures } from '../../domain/measures/demo-report.js'

/** One text for people, in both languages. */
export type Bilingual = { zh: string; en: string }

/** Names of the report's fields and of the words the ledger uses; a word without an entry is shown as it is. */
const NAMES: Record<string, Bilingual> = {
  rows: both('行数', 'rows'),
  rowsWithoutCustomer: both('无客户号的行', 'rows without a customer'),
  customers: both('客户', 'customers'),
  orders: both('订单', 'orders'),
  cancellations: both('取消单', 'cancellations'),
  adjustments: both('调账单', 'adjustments'),
  duplicateRows: both('重复行（保留）', 'duplicate rows (kept)'),
  grossMinor: both('销售总额', 'gross sales'),
  netMinor: both('净额', 'net sales'),
  records: both('来源记录', 'source records'),
  profiles: both('档案', 'profiles'),
  merges: both('合并', 'merges'),
  conflicts: both('冲突', 'conflicts'),
  precision: both('精确率', 'precision'),
  recall: both('召回率', 'recall'),
  truePairs: both('真实成对', 'true pairs'),
  foundPairs: both('找到成对', 'found pairs'),
  correctPairs: both('正确成对', 'correct pairs'),
  entered: both('进入', 'entered'),
  heldOut: both('对照组', 'held out'),
  treated: both('实验组', 'treated'),
  holdout: both('对照组', 'holdout'),
  planned: both('计划', 'planned'),
  created: both('已创建', 'created'),
  confirmed: both('导购已确认', 'confirmed'),
  delivered: both('已送达', 'delivered'),
  bought: both('成交', 'bought'),
  suppressed: both('未发出', 'suppressed'),
  expired: both('已过期', 'expired'),
  unknown: both('结果未知', 'unknown'),
  open: both('待办', 'open'),
  done: both('完成', 'done'),
  interested: both('有意向', 'interested'),
  messages: both('消息', 'messages'),
  doubled: both('重复发送', 'sent twice'),
  withoutTouch: both('台账中没有', 'not in the ledger'),
  overCap: both('超出频次上限', 'over the cap'),
  inQuietHours: both('静默时段内', 'in quiet hours'),
  refusedByQuota: both('被额度拒绝', 'refused by quota'),
  reads: both('已读', 'read'),
  replies: both('回复', 'replies'),
  opted_out: both('已退订', 'opted out'),
  not_a_contact: both('不是好友', 'not a contact'),
  cap: both('频次上限', 'over the cap'),
  quota: both('企业微信额度', 'WeCom quota'),
  exited: both('已离开旅程', 'left the journey'),
  dry_mode: both('演练模式', 'dry mode'),
  not_on_allow_list: both('不在白名单', 'not on the allow-list'),
  coupon_stock: both('券已发完', 'no coupon left'),
  refused: both('平台拒绝', 'refused by the platform'),
  no_content: both('内容已删除', 'content is gone'),
  sending_off: both('已停发', 'sending is off'),
  wecom: both('企业微信', 'WeCom'),
  coupon: both('优惠券', 'coupon'),
  task: both('导购任务', 'guide task'),
  '(none)': both('（尚无）', '(none)'),
}

export const SOURCE_FIELDS = [
  'rows',
  'rowsWithoutCustomer',
  'customers',
  'orders',
  'cancellations',
  'adjustments',
  'duplicateRows',
  'grossMinor',
  'netMinor',
] as const
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

export function nameOf(key: string): Bilingual {
  return Object.hasOwn(NAMES, key) ? NAMES[key]! : both(key, key)
}

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

const integers = new Intl.NumberFormat('en-US')

export function formatCount(count: number): string {
  return integers.format(count)
}

export function formatRatio(ratio: number | null, digits = 1): string {
  return ratio === null ? '–' : `${(ratio * 100).toFixed(digits)} %`
}

/** A difference of shares in percentage points, signed. */
export function formatPoints(difference: number): string {
  const text = (difference * 100).toFixed(2)
  return `${Number(text) === 0 ? '0.00' : difference > 0 ? `+${text}` : text.replace('-', '−')} pp`
}

export function formatEffect({ estimate, low, high }: Effect): string {
  return estimate === null ? '–' : `${formatPoints(estimate)} [${formatPoints(low)}, ${formatPoints(high)}]`
}

/** Minor units as an amount in the currency, e.g. `GBP 8,187.36`. */
export function formatMinor(amountMinor: number, currency: string): string {
  const format = new Intl.NumberFormat('en-US', { style: 'currency', currency, currencyDisplay: 'code' })
  const amount = amountMinor / 10 ** (format.resolvedOptions().maximumFractionDigits ?? 2)
  return format.format(amount).replace(/\u00a0/g, ' ')
}

function both(zh: string, en: string): Bilingual {
  return { zh, en }
}
