import type { Problem, SourceRecordInput } from '../../src/connector.js'
import { type Invoice, lineAmountMinor, minorDigitsOf, timestampReader, toOrderRecord } from './map.js'
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

/**
 * Gathers lines into invoices while a file goes by. An invoice is complete once the file has moved on by
 * `invoiceSpanMinutes` since its first line; complete ones leave in order of time, then of number. So only the invoices
 * of the last minutes are held, and records come out in ascending time for any file in which no row is later than its
 * neighbours by more than that span; a row that is, is reported and not imported.
 */
export function createOrderReader(
  mapping: OrdersMapping,
  header: readonly string[],
  findings: Findings,
  place: { name: string; onProblem: (problem: Problem) => void },
): OrderReader {
  const at = Object.fromEntries(Object.entries(mapping.columns).map(([k, column]) => [k, header.indexOf(column)])) as {
    [K in keyof OrdersMapping['columns']]: number
  }
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
    const cell = (column: keyof OrdersMapping['columns']): string => row[at[column]] ?? ''
    const unreadable = (path: string, message: string, hint: string): SourceRecordInput[] => {
      findings.add('unreadable_row', fileLine)
      problem(fileLine, path, message, hint)
      return []
    }
    if (row.length !== header.length) {
      const hint = `give it ${header.length}, and put quotes around cells that hold a comma or a line break`
      return unreadable('', `the row has ${row.length} cells, the header ${header.length}`, hint)
    }
    const number = cell('invoice')
    if (number === '') return unreadable(mapping.columns.invoice, 'the invoice number is empty', 'fill it in')
    const occurredAt = readTime(cell('occurredAt'))
    if (occurredAt === undefined) {
      const message = `"${shorten(cell('occurredAt'))}" is no time in the format ${mapping.timestampFormat}`
      return unreadable(mapping.columns.occurredAt, message, 'correct it, or timestampFormat in the mapping')
    }
    const amountMinor = lineAmountMinor(cell('quantity'), cell('unitPrice'), minorDigits)
    if (amountMinor === undefined) {
      const message = `"${shorten(cell('quantity'))}" × "${shorten(cell('unitPrice'))}" is no amount`
      const hint = 'write a whole number of pieces and a price such as 2.55'
      return unreadable(`${mapping.columns.quantity} × ${mapping.columns.unitPrice}`, message, hint)
    }

    const customer = cell('customer')
    const quantity = Number(cell('quantity'))
    const kind = kindOf(number)
    if (seenRows.add(row)) {
      duplicateRows++
      findings.add('duplicate_row', fileLine)
    }
    if (customer === '') {
      rowsWithoutCustomer++
      findings.add('row_without_customer', fileLine)
    } else customers.add(customer)
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
      const hint = 'correct it, or add a kind to the mapping'
      problem(fileLine, mapping.columns.invoice, `"${shorten(number)}" matches no kind of invoice`, hint)
      return []
    }
    const complete = occurredAt.getTime() > latestMs ? advance(occurredAt.getTime()) : []
    let invoice = open.get(number)
    if (invoice === undefined) {
      if (known || occurredAt.getTime() < latestMs - spanMs) {
        findings.add('late_row', fileLine)
        const message = `the row comes more than ${mapping.invoiceSpanMinutes} minutes too late for its invoice or place`
        problem(fileLine, mapping.columns.occurredAt, message, 'sort the file by time, or raise invoiceSpanMinutes')
        return complete
      }
      invoice = {
        number,
        event: kind.event,
        customer,
        country: cell('country'),
        fileLine,
        occurredAt,
        amountMinor: 0,
        quantity: 0,
        lineCount: 0,
        lines: [],
        spread: false,
      }
      open.set(number, invoice)
    }
    if (invoice.customer !== customer) {
      findings.add('second_customer', fileLine)
      const message = `invoice ${shorten(number)} names another customer than on line ${invoice.fileLine}; the first counts`
      problem(fileLine, mapping.columns.customer, message, 'give each invoice one customer')
    }
    if (occurredAt.getTime() !== invoice.occurredAt.getTime() && !invoice.spread) {
      invoice.spread = true
      findings.add('spread_invoice', fileLine)
    }
    if (occurredAt < invoice.occurredAt) invoice.occurredAt = occurredAt
    invoice.amountMinor += amountMinor
    invoice.quantity += quantity
    invoice.lineCount++
    if (invoice.lines.length < mapping.linesKept) {
      invoice.lines.push({ sku: cell('sku'), description: cell('description').trim(), quantity, amountMinor })
    }
    return complete
  }

  /** Figures for people; they change nothing. */
  function inspect(
    cell: (column: keyof OrdersMapping['columns']) => string,
    quantity: number,
    kind: Kind | undefined,
    fileLine: number,
  ): void {
    const price = Number(cell('unitPrice'))
    if (price === 0) findings.add('zero_price', fileLine)
    if (price < 0) findings.add('negative_price', fileLine)
    if (quantity < 0 && kind !== 'cancellation') findings.add('unmarked_return', fileLine)
    if (cell('description').trim() === '') findings.add('empty_description', fileLine)
    if (notGoods.has(cell('sku'))) findings.add('not_goods', fileLine)
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
    if (invoice.customer === '') {
      findings.add('invoice_without_customer', fileLine)
      if (mapping.withoutCustomer === 'problem') {
        const message = `invoice ${shorten(invoice.number)} has no customer and reaches no profile`
        problem(fileLine, mapping.columns.customer, message, 'fill in the customer number')
      }
      return undefined
    }
    const record = toOrderRecord(invoice, mapping, `${place.name}:${fileLine}`)
    if (record === undefined) {
      findings.add('bad_customer', fileLine)
      const message = `"${shorten(invoice.customer)}" does not match ${mapping.customer.pattern}`
      problem(fileLine, mapping.columns.customer, message, 'correct it, or customer.pattern in the mapping')
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

function shorten(text: string): string {
  return text.length > 40 ? `${text.slice(0, 39)}…` : text
}
