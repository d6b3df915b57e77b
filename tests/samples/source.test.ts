import { beforeAll, describe, expect, it } from '@jest/globals'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { type CsvReport, readCsvRecords } from '../../connectors/csv/index.js'
import { loadCsvMapping } from '../../connectors/csv/mapping.js'
import { countOnlineRetail } from '../support/count-online-retail.js'
import { SourceRecord } from '../../src/domain/events/record.js'

const FILE = 'samples/online-retail.csv.gz'

describe('the Online Retail file', () => {
  const records: SourceRecord[] = []
  const batchSizes: number[] = []
  const problems: unknown[] = []
  let report: CsvReport | undefined
  let grewBytes = Infinity

  beforeAll(async () => {
    const loaded = await loadCsvMapping('config/sources/online-retail.yaml')
    const bytesBefore = process.memoryUsage().heapUsed
    let mostBytes = bytesBefore
    const options = { onProblem: (p: unknown) => problems.push(p), onReport: (r: CsvReport) => (report = r) }
    for await (const batch of readCsvRecords(loaded, options)) {
      batchSizes.push(batch.length)
      mostBytes = Math.max(mostBytes, process.memoryUsage().heapUsed)
      // Without their lines, so that what the test keeps is small beside what the reader needs.
      for (const record of batch) records.push(strip(SourceRecord.parse(record)))
    }
    grewBytes = mostBytes - bytesBefore
  })

  it('gives the known figures', () => {
    expect(report?.source).toMatchObject({
      rows: 541_909,
      rowsWithoutCustomer: 135_080,
      customers: 4_372,
      orders: 22_061,
      cancellations: 3_836,
      adjustments: 3,
      duplicateRows: 5_268,
      currency: 'GBP',
    })
  })

  it('gives the figures that a plain count of the file gives', () => {
    expect(report?.source).toEqual(countOnlineRetail(FILE))
  })

  it('says what is wrong in it', () => {
    expect(problems).toEqual([])
    const counts = Object.fromEntries(report?.findings.map((f) => [f.id, f.count]) ?? [])
    expect(counts).toEqual({
      row_without_customer: 135_080,
      invoice_without_customer: 3_707,
      duplicate_row: 5_268,
      zero_price: 2_515,
      negative_price: 2,
      unmarked_return: 1_336,
      empty_description: 1_454,
      not_goods: 2_916,
      outlier: 5,
      spread_invoice: 43,
    })
  })

  it('links every invoice of a customer, in ascending time and then number, in batches of at most 500', () => {
    expect(records).toHaveLength(22_190)
    expect(Math.max(...batchSizes)).toBeLessThanOrEqual(500)
    const keys = records.map((r) => `${r.observedAt.toISOString()} ${r.events[0]!.id}`)
    expect(keys).toEqual([...keys].sort())
    expect(new Set(records.map((r) => r.events[0]!.id)).size).toBe(records.length)
    expect(new Set(records.map((r) => r.identifiers[0]!.value)).size).toBe(4_372)
    expect(report?.records).toBe(records.length)
  })

  it('adds up an order over all its lines and counts it at its earliest minute', () => {
    const byInvoice = new Map(records.map((r) => [r.events[0]!.id, r]))
    expect(byInvoice.get('online_retail:536365')).toEqual({
      ref: 'online-retail.csv:2',
      source: 'online_retail',
      observedAt: new Date('2010-12-01T08:26:00Z'),
      identifiers: [{ type: 'member_id', value: '17850' }],
      traits: {},
      events: [
        {
          id: 'online_retail:536365',
          name: 'order_paid',
          occurredAt: new Date('2010-12-01T08:26:00Z'),
          amountMinor: 13_912,
          properties: { invoice: '536365', country: 'United Kingdom', quantity: 40, lineCount: 7, lines: 7 },
        },
      ],
    })
    expect(byInvoice.get('online_retail:536591')?.observedAt.toISOString()).toBe('2010-12-01T16:57:00.000Z')
    expect(byInvoice.get('online_retail:581483')?.events[0]).toMatchObject({ amountMinor: 16_846_960 })
    expect(byInvoice.get('online_retail:C581484')?.events[0]).toMatchObject({
      name: 'order_cancelled',
      amountMinor: -16_846_960,
    })
    const lines = records.map((r) => r.events[0]!.properties as { lines: number; lineCount: number })
    expect(Math.max(...lines.map((p) => p.lines))).toBe(50)
    expect(Math.max(...lines.map((p) => p.lineCount))).toBe(542)
  })

  it('holds the open invoices and the hashes of rows, not the file', () => {
    expect(grewBytes).toBeLessThan(300e6)
  })

  it('is the file that samples/README.md describes', () => {
    const sha256 = createHash('sha256').update(readFileSync(FILE)).digest('hex')
    expect(readFileSync('samples/README.md', 'utf8')).toContain(sha256)
  })
})

/** The record with the number of its kept lines in place of them. */
function strip(record: SourceRecord): SourceRecord {
  const events = record.events.map((event) => {
    const { lines, ...properties } = event.properties
    return { ...event, properties: { ...properties, lines: (lines as unknown[]).length } }
  })
  return { ...record, events }
}
