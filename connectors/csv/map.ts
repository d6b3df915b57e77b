import { createHash } from 'node:crypto'
import { fromWallTime, type Identifier, type SourceRecordInput } from '../../src/connector.js'
import type { OrdersMapping, PeopleMapping } from './mapping.js'

/** One line of an invoice, read. */
export type OrderLine = { sku: string; description: string; quantity?: number; amountMinor: number }

/** Lines that share an invoice number. */
export type Invoice = {
  number: string
  event: string | undefined
  /** The cell of the customer number; empty where no column has it. */
  customer: string
  /** Those of columns of their own, without empty cells. */
  identifiers: Identifier[]
  country: string | undefined
  /** Line of the file on which its first line stands. */
  fileLine: number
  /** Earliest of its lines. */
  occurredAt: Date
  /** Over all lines. */
  amountMinor: number
  /** Where a column has it. */
  quantity: number | undefined
  lineCount: number
  /** The first `linesKept` of them, where articles are named. */
  lines: OrderLine[]
}

/** The event of an invoice as a statement about its customer; `undefined` when nobody can be told from it. */
export function toOrderRecord(invoice: Invoice, mapping: OrdersMapping, ref: string): SourceRecordInput | undefined {
  const identifiers = [...customerOf(invoice.customer, mapping), ...invoice.identifiers]
  if (identifiers.length === 0 || invoice.event === undefined) return undefined
  const { number, country, quantity, lineCount, lines } = invoice
  return {
    ref,
    source: mapping.source,
    observedAt: invoice.occurredAt,
    identifiers,
    events: [
      {
        id: `${mapping.source}:${number}`,
        name: invoice.event,
        occurredAt: invoice.occurredAt,
        amountMinor: invoice.amountMinor,
        properties: {
          invoice: number,
          ...(country !== undefined && { country }),
          ...(quantity !== undefined && { quantity }),
          lineCount,
          ...(mapping.columns.sku !== undefined && { lines }),
        },
      },
    ],
  }
}

function customerOf(cell: string, { customer }: OrdersMapping): Identifier[] {
  const found = customer === undefined ? null : new RegExp(customer.pattern).exec(cell)
  return customer === undefined || found === null ? [] : [{ type: customer.identifier, value: found[1] ?? found[0] }]
}

/** The identifiers that a row holds, without empty cells. */
export function identifiersOf(
  cell: (column: string) => string,
  columns: Readonly<Record<string, string>>,
): Identifier[] {
  return Object.entries(columns)
    .map(([type, column]) => ({ type, value: cell(column).trim() }))
    .filter(({ value }) => value !== '')
}

/** A person as one system knows them; `undefined` when the row holds no identifier. */
export function toPersonRecord(
  cell: (column: string) => string,
  observedAt: Date,
  mapping: PeopleMapping,
  ref: string,
): SourceRecordInput | undefined {
  const identifiers = identifiersOf(cell, mapping.identifiers)
  const [first] = identifiers
  if (first === undefined) return undefined
  const traits = Object.entries(mapping.traits)
    .map(([trait, column]) => [trait, cell(column).trim()] as const)
    .filter(([, value]) => value !== '')
  const system = mapping.columns.system === undefined ? '' : cell(mapping.columns.system)
  const { recordId: idColumn } = mapping.columns
  // An identifier may be a phone number: an id that is made from it tells nobody.
  const recordId =
    idColumn === undefined
      ? createHash('sha256').update(`${first.type}:${first.value}`).digest('hex').slice(0, 24)
      : cell(idColumn)
  const properties = { recordId, ...(system === '' ? {} : { system }) }
  return {
    ref,
    source: system === '' ? mapping.source : system,
    observedAt,
    identifiers,
    traits: Object.fromEntries(traits),
    events:
      mapping.event === undefined
        ? []
        : [{ id: `${mapping.source}:${recordId}`, name: mapping.event, occurredAt: observedAt, properties }],
  }
}

/**
 * quantity × unitPrice in minor units, exact in decimal and rounded half away from zero.
 *
 * @param unitPrice - decimal number in the major unit, as text: `2.55`, `-11062.06`
 * @param minorDigits - decimals of the currency: 2 for GBP
 * @returns `undefined` when either text is no such number or the amount is not a safe integer
 */
export function lineAmountMinor(quantity: string, unitPrice: string, minorDigits: number): number | undefined {
  const price = /^(-?)(\d+)(?:\.(\d*))?$/.exec(unitPrice)
  if (price === null || !/^-?\d{1,15}$/.test(quantity)) return undefined
  const [, sign, whole, fraction = ''] = price
  const digits = fraction.padEnd(minorDigits, '0')
  const unit = 10n ** BigInt(digits.length - minorDigits)
  const exact = BigInt(`${sign}${whole}${digits}`) * BigInt(quantity)
  const half = exact < 0n ? -unit : unit
  // BigInt division cuts towards zero, so half a unit more of the same sign rounds half away from it.
  const minor = Number((2n * exact + half) / (2n * unit))
  return Number.isSafeInteger(minor) ? minor : undefined
}

/**
 * An amount in minor units, rounded half away from zero.
 *
 * @param text - decimal number in the major unit, with or without a currency sign and commas between thousands: `¥1,299.00`
 * @returns `undefined` when it is none
 */
export function amountMinorOf(text: string, minorDigits: number): number | undefined {
  const bare = /^(-?)\s*[¥￥$€£]?\s*(-?)(\d{1,3}(?:,\d{3})+|\d+)(\.\d*)?\s*元?$/.exec(text.trim())
  if (bare === null) return undefined
  const [, before, after, whole = '', fraction = ''] = bare
  if (before !== '' && after !== '') return undefined
  return lineAmountMinor('1', `${before}${after}${whole.replaceAll(',', '')}${fraction}`, minorDigits)
}

/** Decimals of a currency's minor unit: 2 for GBP, 0 for JPY. */
export function minorDigitsOf(currency: string): number {
  return new Intl.NumberFormat('en', { style: 'currency', currency }).resolvedOptions().maximumFractionDigits ?? 2
}

const FORMAT_TOKENS = {
  yyyy: '(?<year>\\d{4})',
  MM: '(?<month>\\d{2})',
  M: '(?<month>\\d{1,2})',
  dd: '(?<day>\\d{2})',
  d: '(?<day>\\d{1,2})',
  HH: '(?<hour>\\d{2})',
  H: '(?<hour>\\d{1,2})',
  mm: '(?<minute>\\d{2})',
  ss: '(?<second>\\d{2})',
} as const

/**
 * A reader of timestamps in the mapping's format and zone; it gives `undefined` for what is none. A reading that a
 * clock change repeats is the earlier instant.
 */
export function timestampReader(format: string, timeZone: string): (text: string) => Date | undefined {
  const read = format === 'iso' ? readIso : wallReader(format, timeZone)
  // Neighbouring rows mostly share their time, and zone arithmetic is the dearest step of a row.
  let [lastText, lastAt] = ['', undefined as Date | undefined]
  return (text) => {
    if (text !== lastText) [lastText, lastAt] = [text, read(text)]
    return lastAt
  }
}

function readIso(text: string): Date | undefined {
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d)$/.test(text)) return undefined
  const at = new Date(text)
  return Number.isNaN(at.getTime()) ? undefined : at
}

function wallReader(format: string, timeZone: string): (text: string) => Date | undefined {
  const literal = format.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  const pattern = new RegExp(`^${literal.replace(/yyyy|MM?|dd?|HH?|mm|ss/g, (t) => FORMAT_TOKENS[t as 'dd'])}$`)
  return (text) => {
    const groups = pattern.exec(text)?.groups
    if (groups === undefined) return undefined
    const part = (name: string): number => Number(groups[name] ?? 0)
    const [year, month, day] = [part('year'), part('month'), part('day')]
    const [hour, minute, second] = [part('hour'), part('minute'), part('second')]
    const asUtc = new Date(Date.UTC(year, month - 1, day))
    const exists = asUtc.getUTCMonth() === month - 1 && asUtc.getUTCDate() === day
    if (!exists || hour > 23 || minute > 59 || second > 59) return undefined
    return fromWallTime({ year, month, day, hour, minute, second }, timeZone)
  }
}
