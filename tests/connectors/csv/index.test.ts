import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { gzipSync } from 'node:zlib'
import { type CsvReport, readCsvRecords } from '../../../connectors/csv/index.js'
import { type LoadedMapping, loadCsvMapping } from '../../../connectors/csv/mapping.js'
import { CSV_BOUNDS } from '../../../src/bounds.js'
import type { Problem } from '../../../src/errors.js'
import { SourceRecord } from '../../../src/domain/events/record.js'

const ORDERS = 'InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n'
const PEOPLE = 'record_id,system,registered_at,member_id,phone,unionid,name,city,birthday,consent\n'

describe('readCsvRecords', () => {
  let dir: string
  beforeAll(async () => void (dir = await mkdtemp(path.join(tmpdir(), 'csv-records-'))))
  afterAll(() => rm(dir, { recursive: true }))

  async function open(
    kind: 'online-retail' | 'members',
    content: string | Buffer,
    name = 'it.csv',
  ): Promise<LoadedMapping> {
    await writeFile(path.join(dir, name), content)
    return {
      ...(await loadCsvMapping(`examples/gift-shop/config/sources/${kind}.yaml`)),
      dataFile: path.join(dir, name),
    }
  }
  async function read(
    loaded: LoadedMapping,
  ): Promise<{ records: SourceRecord[]; problems: Problem[]; report: CsvReport }> {
    const records: SourceRecord[] = []
    const problems: Problem[] = []
    const reports: CsvReport[] = []
    const options = { onProblem: (p: Problem) => problems.push(p), onReport: (r: CsvReport) => reports.push(r) }
    for await (const batch of readCsvRecords(loaded, options)) records.push(...batch.map((r) => SourceRecord.parse(r)))
    expect(reports).toHaveLength(1)
    return { records, problems, report: reports[0]! }
  }
  const orders = async (rows: string) => read(await open('online-retail', ORDERS + rows))
  const people = async (rows: string) => read(await open('members', PEOPLE + rows))
  const eventIds = (records: SourceRecord[]): string[] => records.map((r) => r.events[0]!.id)

  /** Through a mapping of its own, which says no more than it must. */
  async function mapped(mapping: string, content: string) {
    await writeFile(path.join(dir, 'own.csv'), content)
    const file = path.join(dir, 'own.yaml')
    await writeFile(file, `source: shop\nfile: own.csv\ntimeZone: Asia/Shanghai\n${mapping}`)
    return read(await loadCsvMapping(file))
  }
  const BARE = `rows: orders
currency: CNY
timestampFormat: yyyy-M-d H:mm
columns: { invoice: no, occurredAt: at, amount: sum }
identifiers: { member_id: member, phone: tel }
`
  const HEAD = 'no,at,sum,member,tel\n'

  it('needs no more than number, time, amount and who, with rows in any order', async () => {
    const rows =
      'B,2026-3-5 9:07,"¥1,299.50",M1,13800000001\nA,2026-2-1 10:00,20,,13800000002\nC,2026-3-1 0:00,5,M3,\nA,2026-2-1 10:00,1.5,,13800000002\n'
    const { records, problems, report } = await mapped(BARE, HEAD + rows)
    expect(problems).toEqual([])
    expect(records.map((r) => [r.events[0]!.id, r.events[0]!.amountMinor, r.identifiers])).toEqual([
      ['shop:A', 2_150, [{ type: 'phone', value: '13800000002' }]],
      ['shop:C', 500, [{ type: 'member_id', value: 'M3' }]],
      ['shop:B', 129_950, [{ type: 'member_id', value: 'M1' }, { type: 'phone', value: '13800000001' }]], // prettier-ignore
    ])
    expect(records[0]!.events[0]!.properties).toEqual({ invoice: 'A', lineCount: 2 })
    expect(report.source).toMatchObject({ orders: 3, customers: 3, netMinor: 132_600 })
  })

  it.each([
    ['keep', 4_000, ['duplicate_row'], 0],
    ['drop', 2_000, ['duplicate_dropped'], 0],
    ['problem', 2_000, ['duplicate_dropped'], 1],
  ])('with duplicateRows: %s counts a row that is there twice as %d', async (policy, netMinor, findings, listed) => {
    const row = 'A,2026-2-1 10:00,20,M1,\n'
    const { records, problems, report } = await mapped(`${BARE}duplicateRows: ${policy}\n`, HEAD + row + row)
    expect(records.map((r) => r.events[0]!.amountMinor)).toEqual([netMinor])
    expect(report.findings.map((f) => f.id)).toEqual(findings)
    expect([report.source!.netMinor, report.source!.duplicateRows, problems.length]).toEqual([netMinor, 1, listed])
  })

  it('takes no amount that could be another one', async () => {
    const { records, problems } = await mapped(BARE, `${HEAD}A,2026-2-1 10:00,"1.299,50",M1,\nB,2026-2-1 10:00,,M1,\n`)
    expect(records).toEqual([])
    expect(problems.map((p) => [p.line, p.path])).toEqual([[2, 'sum'], [3, 'sum']]) // prettier-ignore
  })

  it('takes people without an id or a time of their own, as known when the file was written', async () => {
    const mapping = 'rows: people\ntimestampFormat: iso\nidentifiers: { phone: tel }\ntraits: { name: name }\n'
    const { records } = await mapped(mapping, 'name,tel\n甲,13800000001\n乙,13800000002\n')
    expect(records.map((r) => [r.traits['name'], r.events])).toEqual([['甲', []], ['乙', []]]) // prettier-ignore
    expect(records[0]!.observedAt).toEqual(records[1]!.observedAt)
  })

  it('says what a mapping lacks', async () => {
    const without = (line: RegExp) => mapped(BARE.replace(line, ''), HEAD)
    await expect(without(/, amount: sum/)).rejects.toThrow('columns.amount')
    await expect(without(/identifiers.*\n/)).rejects.toThrow('identifiers')
    await expect(mapped(`${BARE}customer: { identifier: member_id, pattern: x }\n`, HEAD)).rejects.toThrow(
      'columns.customer',
    )
  })

  it('joins lines that are not neighbours and span two minutes, at the earlier minute', async () => {
    const { records, report } = await orders(
      '10,A,a,2,2011-06-01 10:00:00,1.25,17850.0,UK\n' +
        '11,A,a,1,2011-06-01 10:00:00,1.00,17851.0,UK\n' +
        '10,X,b,1,2011-06-01 10:01:00,0.005,17850.0,UK\n',
    )
    expect(eventIds(records)).toEqual(['online_retail:10', 'online_retail:11'])
    expect(records[0]).toMatchObject({ ref: 'it.csv:2', observedAt: new Date('2011-06-01T09:00:00Z') })
    expect(records[0]!.events[0]).toMatchObject({
      amountMinor: 251,
      properties: {
        quantity: 3,
        lineCount: 2,
        lines: [
          { sku: 'A', description: 'a', quantity: 2, amountMinor: 250 },
          { sku: 'X', description: 'b', quantity: 1, amountMinor: 1 },
        ],
      },
    })
    expect(report.findings.map((f) => [f.id, f.count, f.firstLine])).toEqual([['spread_invoice', 1, 4]])
  })

  it('gives ascending times even where rows are a little out of order, ties by number', async () => {
    const { records, problems } = await orders(
      '12,A,a,1,2011-06-01 10:05:00,1,1.0,UK\n11,A,a,1,2011-06-01 10:04:00,1,1.0,UK\n' +
        'C13,A,a,-1,2011-06-01 10:30:00,1,1.0,UK\n10,A,a,1,2011-06-01 10:30:00,1,1.0,UK\n',
    )
    expect(eventIds(records)).toEqual(['online_retail:11', 'online_retail:12', 'online_retail:10', 'online_retail:C13'])
    expect(problems).toEqual([])
  })

  it('leaves out rows far out of order and says so; the others go through', async () => {
    const { records, problems, report } = await orders(
      '10,A,a,1,2011-06-01 10:00:00,1,1.0,UK\n11,A,a,1,2011-06-01 12:00:00,1,1.0,UK\n' +
        '10,A,a,1,2011-06-01 12:00:00,1,1.0,UK\n9,A,a,1,2011-06-01 09:00:00,1,1.0,UK\n',
    )
    expect(eventIds(records)).toEqual(['online_retail:10', 'online_retail:11'])
    expect(problems.map((p) => [p.line, p.path])).toEqual([
      [4, 'InvoiceDate'],
      [5, 'InvoiceDate'],
    ])
    expect(report.source).toMatchObject({ rows: 4, orders: 3, netMinor: 400 })
  })

  it('counts what reaches nobody instead of making records of it', async () => {
    const { records, problems, report } = await orders(
      '10,A,a,1,2011-06-01 10:00:00,1,,UK\nA11,B,a,1,2011-06-01 10:00:00,-5,,UK\n' +
        '12,A,a,1,2011-06-01 10:00:00,1,alice,UK\nX13,A,a,1,2011-06-01 10:00:00,1,1.0,UK\n',
    )
    expect(records).toEqual([])
    expect(problems.map((p) => [p.line, p.path])).toEqual([
      [5, 'InvoiceNo'],
      [4, 'CustomerID'],
    ])
    expect(report.source).toMatchObject({
      rows: 4,
      rowsWithoutCustomer: 2,
      customers: 2,
      orders: 2,
      adjustments: 1,
      netMinor: -200,
    })
    expect(report.findings.map((f) => f.id)).toContain('invoice_without_customer')
  })

  it('lists invoices without a customer when the mapping asks for it', async () => {
    const loaded = await open('online-retail', `${ORDERS}10,A,a,1,2011-06-01 10:00:00,1,,UK\n`)
    if (loaded.mapping.rows !== 'orders') throw new Error('not a mapping of orders')
    loaded.mapping.withoutCustomer = 'problem'
    expect((await read(loaded)).problems).toMatchObject([{ line: 2, path: 'CustomerID' }])
  })

  it('lists bad rows with line, column and fix; line breaks inside quotes count as lines', async () => {
    const { records, problems, report } = await orders(
      '10,A,"two\nlines, ""quoted""",1,2011-06-01 10:00:00,1,1.0,UK\n' +
        '11,A,a,many,2011-06-01 10:00:00,1,1.0,UK\n' +
        '12,A,a,1,01/06/2011,1,1.0,UK\n' +
        '13,A,a\n' +
        ',A,a,1,2011-06-01 10:00:00,1,1.0,UK\n' +
        '14,A,a,1,2011-06-01 10:00:00,1,1.0,UK\n',
    )
    expect(eventIds(records)).toEqual(['online_retail:10', 'online_retail:14'])
    expect(records[1]!.ref).toBe('it.csv:8')
    expect(problems.map((p) => [p.file, p.line, p.path])).toEqual([
      ['it.csv', 4, 'Quantity × UnitPrice'],
      ['it.csv', 5, 'InvoiceDate'],
      ['it.csv', 6, ''],
      ['it.csv', 7, 'InvoiceNo'],
    ])
    expect(problems.every((p) => p.hint !== undefined && p.hint !== '')).toBe(true)
    expect(report).toMatchObject({ rows: 6, records: 2, source: { rows: 6, orders: 2 } })
  })

  it('keeps exact duplicates, counts them, and points out what is odd', async () => {
    const row = '10,POST,,-20000,2011-06-01 10:00:00,0,1.0,UK\n'
    const { records, report } = await orders(row + row)
    expect(records[0]!.events[0]!.properties).toMatchObject({ lineCount: 2, quantity: -40_000 })
    expect(report.source).toMatchObject({ duplicateRows: 1 })
    expect(Object.fromEntries(report.findings.map((f) => [f.id, f.count]))).toEqual({
      duplicate_row: 1,
      zero_price: 2,
      unmarked_return: 2,
      empty_description: 2,
      not_goods: 2,
      outlier: 2,
    })
  })

  it('keeps 50 lines of a long order and the sum of all', async () => {
    const rows = Array.from({ length: 700 }, (_, i) => `10,S${i},a,1,2011-06-01 10:00:00,0.10,1.0,UK\n`).join('')
    const { records } = await orders(rows)
    const { amountMinor, properties } = records[0]!.events[0]!
    expect([amountMinor, properties.lineCount, (properties.lines as unknown[]).length]).toEqual([7_000, 700, 50])
  })

  it('cuts batches at 500, also of invoices that close together', async () => {
    const rows = Array.from({ length: 1_201 }, (_, i) => `${1000 + i},A,a,1,2011-06-01 10:00:00,1,1.0,UK\n`).join('')
    const sizes: number[] = []
    const loaded = await open('online-retail', gzipSync(ORDERS + rows), 'many.csv.gz')
    for await (const batch of readCsvRecords(loaded, { onProblem: () => undefined })) sizes.push(batch.length)
    expect(sizes).toEqual([500, 500, 201])
  })

  it('makes a row of people one record of its system, without empty cells', async () => {
    const { records } = await people('m1,store_pos,2011-06-01T10:00:00Z,,10000000001,,客户 1,,,yes\n')
    expect(records).toEqual([
      {
        ref: 'it.csv:2',
        source: 'store_pos',
        observedAt: new Date('2011-06-01T10:00:00Z'),
        identifiers: [{ type: 'phone', value: '10000000001' }],
        traits: { name: '客户 1', consent: 'yes' },
        events: [
          {
            id: 'members:m1',
            name: 'registered',
            occurredAt: new Date('2011-06-01T10:00:00Z'),
            properties: { recordId: 'm1', system: 'store_pos' },
          },
        ],
      },
    ])
  })

  it('never repeats a cell of a person in a problem', async () => {
    const { records, problems } = await people(
      'm1,crm,2011-06-01T10:00:00Z,,,,客户 1,,,yes\nm2,crm,10000000002,7,,,,,,\nm3,10000000003,2011-06-01T10:00:00Z,7,,,,,,\n' +
        'm4,crm,2011-06-01T10:00:00Z,8,,,,,,\nm4,crm,2011-06-01T10:00:00Z,10000000004,,,,,,\n',
    )
    expect(records.map((r) => r.ref)).toEqual(['it.csv:5'])
    expect(problems.map((p) => p.line)).toEqual([2, 3, 4, 6])
    expect(JSON.stringify(problems)).not.toMatch(/100000000|客户/)
  })

  it('says when the compression or the quoting of a file breaks off', async () => {
    const packed = gzipSync(ORDERS + '10,A,a,1,2011-06-01 10:00:00,1,1.0,UK\n'.repeat(2_000))
    const torn = await open('online-retail', packed.subarray(0, packed.length - 20), 'torn.csv.gz')
    await expect(read(torn)).rejects.toThrow(/torn\.csv.*\n.*fetch the file again/)
    const unquoted = await open('online-retail', `${ORDERS}10,A,"a,1,2011-06-01 10:00:00,1,1.0,UK\n`)
    await expect(read(unquoted)).rejects.toThrow(/close every quote/)
    // Of a long file no more is held than a row may have.
    const row = (cell: string) => `10,A,"${cell}",1,2011-06-01 10:00:00,1,1.0,UK\n`
    const most = CSV_BOUNDS.rowBytes - row('').length
    await expect(read(await open('online-retail', ORDERS + row('x'.repeat(most))))).resolves.toBeDefined()
    const more = await open('online-retail', ORDERS + row('x'.repeat(most + 100)))
    await expect(read(more)).rejects.toThrow(/close every quote/)
    await expect(read(await open('online-retail', ''))).rejects.toThrow(/has no column "InvoiceNo"/)
  })

  it('stops when it is told to', async () => {
    const loaded = await loadCsvMapping('examples/gift-shop/config/sources/online-retail.yaml')
    const abort = new AbortController()
    let batches = 0
    const reading = (async () => {
      for await (const _ of readCsvRecords(loaded, { onProblem: () => undefined, signal: abort.signal })) {
        if (++batches === 2) abort.abort()
      }
    })()
    await expect(reading).rejects.toThrow(/abort/i)
    expect(batches).toBe(2)
  })
})
