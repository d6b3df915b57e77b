import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'

export type PlainCount = {
  rows: number
  rowsWithoutCustomer: number
  customers: number
  orders: number
  cancellations: number
  adjustments: number
  duplicateRows: number
  grossMinor: number
  netMinor: number
  currency: string
}

/**
 * Counts the Online Retail file the plain way, sharing no code with the connector: unpack, walk the characters, keep
 * everything in sets, add up in thousandths of a pound (the file has no finer price).
 */
export function countOnlineRetail(file: string): PlainCount {
  const bytes = readFileSync(file)
  const text = (file.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8')
  const [header, ...rows] = parseQuotedCsv(text)
  const expected = 'InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country'
  if (header?.join(',') !== expected) throw new Error(`${file}: unexpected header ${String(header)}`)
  const customers = new Set<string>()
  const invoices = new Set<string>()
  const distinctRows = new Set<string>()
  let rowsWithoutCustomer = 0
  let gross = 0n
  let net = 0n
  for (const row of rows) {
    const [invoice = '', , , quantity = '', , price = '', customer = ''] = row
    distinctRows.add(JSON.stringify(row))
    invoices.add(invoice)
    if (customer === '') rowsWithoutCustomer++
    else customers.add(customer)
    const pence = roundToTen(BigInt(quantity) * toThousandths(price)) / 10n
    net += pence
    if (pence > 0n) gross += pence
  }
  const countInvoices = (isKind: (invoice: string) => boolean): number => [...invoices].filter(isKind).length
  return {
    rows: rows.length,
    rowsWithoutCustomer,
    customers: customers.size,
    orders: countInvoices((invoice) => [...invoice].every((c) => c >= '0' && c <= '9')),
    cancellations: countInvoices((invoice) => invoice.startsWith('C')),
    adjustments: countInvoices((invoice) => invoice.startsWith('A')),
    duplicateRows: rows.length - distinctRows.size,
    grossMinor: Number(gross),
    netMinor: Number(net),
    currency: 'GBP',
  }
}

function parseQuotedCsv(text: string): string[][] {
  const rows: string[][] = []
  let row: string[] = []
  let cell = ''
  let quoted = false
  for (let i = 0; i < text.length; i++) {
    const c = text[i]!
    if (quoted) {
      if (c !== '"') cell += c
      else if (text[i + 1] === '"') {
        cell += '"'
        i++
      } else quoted = false
    } else if (c === '"') quoted = true
    else if (c === ',' || c === '\n') {
      row.push(cell)
      cell = ''
      if (c === '\n') {
        rows.push(row)
        row = []
      }
    } else cell += c
  }
  if (cell !== '' || row.length > 0) rows.push([...row, cell])
  return rows
}

/** `2.55` → 2550n, `-11062.06` → -11062060n. */
function toThousandths(price: string): bigint {
  const [whole = '', fraction = ''] = price.split('.')
  if (fraction.length > 3) throw new Error(`price ${price} is finer than a thousandth`)
  return BigInt(whole + fraction.padEnd(3, '0'))
}

/** Half away from zero to a multiple of ten. */
function roundToTen(value: bigint): bigint {
  const size = value < 0n ? -value : value
  const rounded = size % 10n >= 5n ? size - (size % 10n) + 10n : size - (size % 10n)
  return value < 0n ? -rounded : rounded
}
