import { type Identifier, type Problem, said, type SourceRecordInput } from '../../src/connector.js'
import {
  amountMinorOf,
  identifiersOf,
  type Invoice,
  lineAmountMinor,
  minorDigitsOf,
  timestampReader,
  toOrderRecord,
} from './map.js'
import type { OrdersMapping } from './mapping.js'
import { type Findings, SeenRows, type SourceReport } from './report.js'

export type OrderReader = {
  /** Takes a row; gives the records of the invoices that are complete by it. */
  push(row: readonly string[], fileLine: number): SourceRecordInput[]
  /** The records of the invoices that are still open. */
  end(): SourceRecordInput[]
  report(): SourceReport
}

type Kind = OrdersMapping['kinds'][number]['is']
type Field = keyof OrdersMapping['columns']

/**
 * Gathers lines into invoices while a file goes by; records come out in order of time, then of number. Rows in any order are
 * held to the end. In a file that is in order of time an invoice is complete once the file has moved on by
 * `invoiceSpanMinutes` since its first line: so only the invoices of the last minutes are held, and a row that is later than its
 * neighbours by more than that span is reported and not imported.
 */
export function createOrderReader(
  mapping: OrdersMapping,
  header: readonly string[],
  findings: Findings,
  place: { name: string; onProblem: (problem: Problem) => void },
): OrderReader {
  const { columns, duplicateRows: onDuplicate } = mapping
  const isAnyOrder = mapping.rowOrder === 'any'
  const columnAt = new Map(header.map((column, index) => [column, index]))
  const kinds = mapping.kinds.map((k) => ({ ...k, regexp: new RegExp(k.pattern) }))
  const kindOf = (invoice: string): (typeof kinds)[number] | undefined => kinds.find((k) => k.regexp.test(invoice))
  const readTime = timestampReader(mapping.timestampFormat, mapping.timeZone)
  const minorDigits = minorDigitsOf(mapping.currency)
  const notGoods = new Set(mapping.checks.notGoods)
  const spanMs = mapping.invoiceSpanMinutes * 60_000

  const seenRows = new SeenRows()
  const customers = new Set<string>()
  const invoices = new Set<string>()
  const invoicesByKind: Record<Kind, number> = { order: 0, cancellation: 0, adjustment: 0 }
  let [rows, rowsWithoutCustomer, duplicateRows, grossMinor, netMinor] = [0, 0, 0, 0, 0]

  const open = new Map<string, Invoice & { spread: boolean }>()
  let latestMs = -Infinity

  const problem = (fileLine: number, path: string, message: string, hint: string): void =>
    place.onProblem({ file: place.name, line: fileLine, path, message, hint })

  function push(row: readonly string[], fileLine: number): SourceRecordInput[] {
    rows++
    const named = (column: string): string => row[columnAt.get(column) ?? -1] ?? ''
    const cell = (field: Field): string => (columns[field] === undefined ? '' : named(columns[field]))
    const unreadable = (path: string, message: string, hint: string): SourceRecordInput[] => {
      findings.add('unreadable_row', fileLine)
      problem(fileLine, path, message, hint)
      return []
    }
    if (row.length !== header.length) {
      const hint = said(
        `改成 ${header.length} 格；单元格里有逗号或换行时加引号`,
        `give it ${header.length}, and put quotes around cells that hold a comma or a line break`,
      )
      return unreadable(
        '',
        said(
          `这一行有 ${row.length} 格，表头有 ${header.length} 格`,
          `the row has ${row.length} cells, the header ${header.length}`,
        ),
        hint,
      )
    }
    const number = cell('invoice')
    if (number === '')
      return unreadable(columns.invoice, said('单号是空的', 'the invoice number is empty'), said('填上', 'fill it in'))
    const occurredAt = readTime(cell('occurredAt'))
    if (occurredAt === undefined) {
      const at = shorten(cell('occurredAt'))
      const message = said(
        `"${at}" 不是 ${mapping.timestampFormat} 格式的时间`,
        `"${at}" is no time in the format ${mapping.timestampFormat}`,
      )
      return unreadable(
        columns.occurredAt,
        message,
        said('改正它，或改映射的 timestampFormat', 'correct it, or timestampFormat in the mapping'),
      )
    }
    const amountMinor =
      columns.amount === undefined
        ? lineAmountMinor(cell('quantity'), cell('unitPrice'), minorDigits)
        : amountMinorOf(cell('amount'), minorDigits)
    if (amountMinor === undefined) {
      if (columns.amount !== undefined)
        return unreadable(
          columns.amount,
          said(`"${shorten(cell('amount'))}" 不是金额`, `"${shorten(cell('amount'))}" is no amount`),
          said('写成如 199.00', 'write a number such as 199.00'),
        )
      const product = `"${shorten(cell('quantity'))}" × "${shorten(cell('unitPrice'))}"`
      const message = said(`${product} 不是金额`, `${product} is no amount`)
      const hint = said('件数写整数，单价写成如 2.55', 'write a whole number of pieces and a price such as 2.55')
      return unreadable(`${columns.quantity} × ${columns.unitPrice}`, message, hint)
    }
    const quantity = columns.quantity === undefined ? undefined : Number(cell('quantity'))
    if (quantity !== undefined && !Number.isSafeInteger(quantity))
      return unreadable(
        columns.quantity!,
        said(`"${shorten(cell('quantity'))}" 不是整数`, `"${shorten(cell('quantity'))}" is no whole number`),
        said('写件数', 'write a number of pieces'),
      )

    const customer = cell('customer')
    const identifiers = identifiersOf(named, mapping.identifiers ?? {})
    const kind = kindOf(number)
    if (seenRows.add(row)) {
      duplicateRows++
      if (onDuplicate === 'problem')
        problem(
          fileLine,
          '',
          said('这一行前面有了', 'the row is there before'),
          said('删掉它，或写 duplicateRows: keep', 'remove it, or say duplicateRows: keep'),
        )
      if (onDuplicate !== 'keep') {
        findings.add('duplicate_dropped', fileLine)
        return []
      }
      findings.add('duplicate_row', fileLine)
    }
    const who = [customer, ...identifiers.map(({ value }) => value)].find((value) => value !== '')
    if (who === undefined) {
      rowsWithoutCustomer++
      findings.add('row_without_customer', fileLine)
    } else customers.add(who)
    netMinor += amountMinor
    if (amountMinor > 0) grossMinor += amountMinor
    inspect(cell, quantity, kind?.is, fileLine)
    const known = invoices.has(number)
    if (!known) {
      invoices.add(number)
      if (kind !== undefined) invoicesByKind[kind.is]++
    }

    if (kind === undefined) {
      findings.add('unknown_invoice', fileLine)
      const hint = said('改正它，或在映射里加一类', 'correct it, or add a kind to the mapping')
      problem(
        fileLine,
        columns.invoice,
        said(`"${shorten(number)}" 不属于任何一类单据`, `"${shorten(number)}" matches no kind of invoice`),
        hint,
      )
      return []
    }
    const complete = !isAnyOrder && occurredAt.getTime() > latestMs ? advance(occurredAt.getTime()) : []
    let invoice = open.get(number)
    if (invoice === undefined) {
      if (known || occurredAt.getTime() < latestMs - spanMs) {
        findings.add('late_row', fileLine)
        const message = said(
          `这一行比它的单据或位置晚了 ${mapping.invoiceSpanMinutes} 分钟以上`,
          `the row comes more than ${mapping.invoiceSpanMinutes} minutes too late for its invoice or place`,
        )
        problem(
          fileLine,
          columns.occurredAt,
          message,
          said('写 rowOrder: any，或加大 invoiceSpanMinutes', 'write rowOrder: any, or raise invoiceSpanMinutes'),
        )
        return complete
      }
      invoice = {
        number,
        event: kind.event,
        customer,
        identifiers,
        country: columns.country === undefined ? undefined : cell('country'),
        fileLine,
        occurredAt,
        amountMinor: 0,
        quantity: quantity === undefined ? undefined : 0,
        lineCount: 0,
        lines: [],
        spread: false,
      }
      open.set(number, invoice)
    }
    if (invoice.customer !== customer || !isSamePerson(invoice.identifiers, identifiers)) {
      findings.add('second_customer', fileLine)
      const message = said(
        `单据 ${shorten(number)} 的客户与第 ${invoice.fileLine} 行不同；按第一个算`,
        `invoice ${shorten(number)} names another customer than on line ${invoice.fileLine}; the first counts`,
      )
      problem(fileLine, columns.customer ?? '', message, said('一单只写一个客户', 'give each invoice one customer'))
    }
    if (occurredAt.getTime() !== invoice.occurredAt.getTime() && !invoice.spread) {
      invoice.spread = true
      findings.add('spread_invoice', fileLine)
    }
    if (occurredAt < invoice.occurredAt) invoice.occurredAt = occurredAt
    invoice.amountMinor += amountMinor
    if (quantity !== undefined) invoice.quantity = (invoice.quantity ?? 0) + quantity
    invoice.lineCount++
    if (columns.sku !== undefined && invoice.lines.length < mapping.linesKept) {
      invoice.lines.push({
        sku: cell('sku'),
        description: cell('description').trim(),
        ...(quantity !== undefined && { quantity }),
        amountMinor,
      })
    }
    return complete
  }

  /** Figures for people; they change nothing. */
  function inspect(
    cell: (field: Field) => string,
    quantity: number | undefined,
    kind: Kind | undefined,
    fileLine: number,
  ): void {
    const price = columns.unitPrice === undefined ? undefined : Number(cell('unitPrice'))
    if (price === 0) findings.add('zero_price', fileLine)
    if (price !== undefined && price < 0) findings.add('negative_price', fileLine)
    if (columns.description !== undefined && cell('description').trim() === '')
      findings.add('empty_description', fileLine)
    if (notGoods.has(cell('sku'))) findings.add('not_goods', fileLine)
    if (quantity === undefined) return
    if (quantity < 0 && kind !== 'cancellation') findings.add('unmarked_return', fileLine)
    if (Math.abs(quantity) >= mapping.checks.quantityAtLeast) findings.add('outlier', fileLine)
  }

  function advance(toMs: number): SourceRecordInput[] {
    latestMs = toMs
    return close((invoice) => invoice.occurredAt.getTime() < toMs - spanMs)
  }

  function close(isComplete: (invoice: Invoice) => boolean): SourceRecordInput[] {
    const complete = [...open.values()].filter(isComplete).sort(byTimeThenNumber)
    return complete.flatMap((invoice) => {
      open.delete(invoice.number)
      return toRecord(invoice) ?? []
    })
  }

  function toRecord(invoice: Invoice): SourceRecordInput | undefined {
    if (invoice.event === undefined) return undefined
    const { fileLine } = invoice
    if (invoice.customer === '' && invoice.identifiers.length === 0) {
      findings.add('invoice_without_customer', fileLine)
      if (mapping.withoutCustomer === 'problem') {
        const message = said(
          `单据 ${shorten(invoice.number)} 没有客户，不归任何人`,
          `invoice ${shorten(invoice.number)} has no customer and reaches no profile`,
        )
        problem(fileLine, columns.customer ?? '', message, said('填上是谁下的单', 'fill in who ordered'))
      }
      return undefined
    }
    const record = toOrderRecord(invoice, mapping, `${place.name}:${fileLine}`)
    if (record === undefined) {
      findings.add('bad_customer', fileLine)
      const message = said(
        `"${shorten(invoice.customer)}" 不符合 ${mapping.customer?.pattern ?? ''}`,
        `"${shorten(invoice.customer)}" does not match ${mapping.customer?.pattern ?? ''}`,
      )
      problem(
        fileLine,
        columns.customer ?? '',
        message,
        said('改正它，或改映射的 customer.pattern', 'correct it, or customer.pattern in the mapping'),
      )
    }
    return record
  }

  return {
    push,
    end: () => close(() => true),
    report: () => ({
      rows,
      rowsWithoutCustomer,
      customers: customers.size,
      orders: invoicesByKind.order,
      cancellations: invoicesByKind.cancellation,
      adjustments: invoicesByKind.adjustment,
      duplicateRows,
      grossMinor,
      netMinor,
      currency: mapping.currency,
    }),
  }
}

function byTimeThenNumber(a: Invoice, b: Invoice): number {
  return a.occurredAt.getTime() - b.occurredAt.getTime() || (a.number < b.number ? -1 : a.number > b.number ? 1 : 0)
}

function isSamePerson(one: readonly Identifier[], other: readonly Identifier[]): boolean {
  return (
    one.length === other.length &&
    one.every(({ type, value }, i) => type === other[i]!.type && value === other[i]!.value)
  )
}

function shorten(text: string): string {
  return text.length > 40 ? `${text.slice(0, 39)}…` : text
}
