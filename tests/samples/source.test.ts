import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type CsvReport, readCsvRecords } from '../../connectors/csv/index.js'
import { SourceRecord } from '../../src/domain/events/record.js'
import { countOnlineRetail } from '../support/count-online-retail.js'
import { orderMappingOf, withoutLines, writeFirstOrders } from '../support/order-file.js'

const ROWS = 20_000

/** A part of the file; tests/e2e/samples.test.ts says the same and more of the whole. */
describe('the first rows of the Online Retail file', () => {
  const records: SourceRecord[] = []
  const batchSizes: number[] = []
  const problems: unknown[] = []
  let report: CsvReport | undefined
  let dir: string
  let file: string

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'siyu-orders-'))
    file = join(dir, 'online-retail.csv')
    await writeFirstOrders(file, ROWS)
    const options = { onProblem: (p: unknown) => problems.push(p), onReport: (r: CsvReport) => (report = r) }
    for await (const batch of readCsvRecords(await orderMappingOf(file), options)) {
      batchSizes.push(batch.length)
      for (const record of batch) records.push(withoutLines(SourceRecord.parse(record)))
    }
  })
  afterAll(() => rm(dir, { recursive: true }))

  it('give the figures that a plain count gives', () => {
    expect(report?.source).toEqual(countOnlineRetail(file))
    expect(report?.source?.rows).toBe(ROWS)
    expect(problems).toEqual([])
  })

  it('link every invoice of a customer, in ascending time and then number, in batches of at most 500', () => {
    expect(records.length).toBeGreaterThan(700)
    expect(report?.records).toBe(records.length)
    expect(Math.max(...batchSizes)).toBeLessThanOrEqual(500)
    const keys = records.map((r) => `${r.observedAt.toISOString()} ${r.events[0]!.id}`)
    expect(keys).toEqual([...keys].sort())
    expect(new Set(records.map((r) => r.events[0]!.id)).size).toBe(records.length)
  })

  it('add up an order over all its lines and count it at its earliest minute', () => {
    const byInvoice = new Map(records.map((r) => [r.events[0]!.id, r]))
    expect(byInvoice.get('online_retail:536365')?.events[0]).toMatchObject({
      occurredAt: new Date('2010-12-01T08:26:00Z'),
      amountMinor: 13_912,
      properties: { country: 'United Kingdom', quantity: 40, lineCount: 7, lines: 7 },
    })
    expect(byInvoice.get('online_retail:536591')?.observedAt.toISOString()).toBe('2010-12-01T16:57:00.000Z')
  })
})
