import { channelKinds } from '../domain/touches/channels.js'

/** One text for people, in both languages. */
export type Bilingual = { zh: string; en: string }

/** Names of the fields of reports and of the words the ledger uses; a word without an entry is shown as it is. */
const NAMES: Record<string, Bilingual> = {
  rows: both('行数', 'rows'),
  rowsWithoutCustomer: both('无客户号的行', 'rows without a customer'),
  customers: both('客户', 'customers'),
  orders: both('订单', 'orders'),
  cancellations: both('取消单', 'cancellations'),
  adjustments: both('调账单', 'adjustments'),
  duplicateRows: both('重复行', 'duplicate rows'),
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
  changedArms: both('换过组，不计入', 'in both arms, left out'),
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
  no_address: both('没有地址', 'no address'),
  cap: both('频次上限', 'over the cap'),
  quota: both('企业微信额度', 'WeCom quota'),
  exited: both('已离开旅程', 'left the journey'),
  dry_mode: both('演练模式', 'dry mode'),
  not_on_allow_list: both('不在白名单', 'not on the allow-list'),
  coupon_stock: both('券已发完', 'no coupon left'),
  lost_contact: both('好友关系已结束', 'contact lost'),
  refused: both('平台拒绝', 'refused by the platform'),
  no_content: both('内容已删除', 'content is gone'),
  content_withdrawn: both('内容已撤回', 'content was withdrawn'),
  sending_off: both('已停发', 'sending is off'),
  ...Object.fromEntries(Object.entries(channelKinds).map(([name, { words }]) => [name, words])),
  '(none)': both('尚无', '(none)'),
}

/** What an import tells of its source. */
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

export function nameOf(key: string): Bilingual {
  return Object.hasOwn(NAMES, key) ? NAMES[key]! : both(key, key)
}

export function both(zh: string, en: string): Bilingual {
  return { zh, en }
}
