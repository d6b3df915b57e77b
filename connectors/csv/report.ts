/** What a file of orders holds, counted over all of its rows, whatever becomes of them. */
export type SourceReport = {
  rows: number
  rowsWithoutCustomer: number
  /** Distinct customer numbers. */
  customers: number
  /** Invoices by kind of their number. */
  orders: number
  cancellations: number
  adjustments: number
  /** Rows equal in every column to an earlier one. */
  duplicateRows: number
  /** Sum of the lines above zero, each rounded half away from zero to the minor unit. */
  grossMinor: number
  /** Sum of all lines, rounded likewise. */
  netMinor: number
  /** ISO 4217. */
  currency: string
}

/** What people should know about a file; Chinese first, then English. */
export const FINDINGS = {
  unreadable_row: '无法读取的行，已跳过 · rows that cannot be read, left out',
  late_row: '时间顺序错乱的行，未入订单 · rows out of time order, not in any order',
  unknown_invoice: '单号类型未知的行，未入订单 · rows of an unknown kind of invoice, not in any order',
  row_without_identifier: '没有任何标识的行，已跳过 · rows without any identifier, left out',
  row_without_customer: '没有客户号的行 · rows without a customer number',
  invoice_without_customer: '没有客户号的单据，不归属任何人 · invoices without a customer, linked to nobody',
  bad_customer: '客户号格式不符的单据，不归属任何人 · invoices with an odd customer number, linked to nobody',
  second_customer: '与单据首行客户不同的行 · rows whose customer differs from their invoice’s',
  duplicate_dropped: '完全重复的行，已跳过 · exact duplicates, left out',
  duplicate_row: '完全重复的行，保留 · exact duplicates, kept',
  zero_price: '单价为 0 的行 · rows with a price of zero',
  negative_price: '单价为负的行 · rows with a negative price',
  unmarked_return: '数量为负但未标为取消的行 · negative quantities not marked as cancelled',
  empty_description: '商品描述为空的行 · rows without a description',
  not_goods: '非商品编码的行（邮费、折扣、手续费） · rows with codes that are no goods',
  outlier: '数量异常大的行 · rows with an outlying quantity',
  spread_invoice: '跨多个时刻的单据，按最早时刻计 · invoices spread over several times, counted at the earliest',
} as const
export type FindingId = keyof typeof FINDINGS

export type Finding = {
  id: FindingId
  label: string
  count: number
  /** Line of the file where it was first seen. */
  firstLine: number
}

/** Counts findings; remembers where each was first seen. */
export class Findings {
  private readonly byId = new Map<FindingId, Finding>()

  add(id: FindingId, fileLine: number): void {
    const finding = this.byId.get(id)
    if (finding === undefined) this.byId.set(id, { id, label: FINDINGS[id], count: 1, firstLine: fileLine })
    else finding.count++
  }

  /** In the order of `FINDINGS`, those that were seen. */
  list(): Finding[] {
    return (Object.keys(FINDINGS) as FindingId[]).flatMap((id) => this.byId.get(id) ?? [])
  }
}

/**
 * Tells rows that were seen before, by 53-bit hashes: 8 bytes a row. Two different rows among a million are taken for
 * equal with a probability below 1 in 10,000.
 */
export class SeenRows {
  private readonly hashes = new Set<number>()

  /** True when an equal row was added before. */
  add(row: readonly string[]): boolean {
    const before = this.hashes.size
    this.hashes.add(hashRow(row))
    return this.hashes.size === before
  }
}

// A local name: looking `Math` up for each character costs tens of seconds in a VM context such as jest's.
const { imul } = Math

/** Two 32-bit multiplicative hashes with different odd factors, joined to 53 bits. */
function hashRow(row: readonly string[]): number {
  let a = 0x2545f491
  let b = 0x6c62272e
  for (const cell of row) {
    for (let i = 0; i < cell.length; i++) {
      const unit = cell.charCodeAt(i)
      a = imul(a ^ unit, 0x9e3779b1)
      b = imul(b ^ unit, 0x85ebca77)
      // Multiplication carries upwards only: the turn brings high bits back down to meet the next unit.
      a = (a << 13) | (a >>> 19)
      b = (b << 11) | (b >>> 21)
    }
    // The end of a cell, so that ["a", "b"] differs from ["ab", ""]; no UTF-16 unit has this value.
    a = imul(a ^ 0x10001, 0x9e3779b1)
    b = imul(b ^ 0x10001, 0x85ebca77)
  }
  a ^= a >>> 15
  b ^= b >>> 16
  return (a >>> 0) * 2 ** 21 + (b >>> 11)
}
