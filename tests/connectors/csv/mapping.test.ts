import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { z } from 'zod'
import { checkCsvFile, readCsvRecords } from '../../../connectors/csv/index.js'
import { CsvMapping, loadCsvMapping } from '../../../connectors/csv/mapping.js'
import { InvalidInputError, type Problem } from '../../../src/errors.js'

describe('a CSV mapping', () => {
  let dir: string
  let shipped: string

  beforeAll(async () => {
    dir = await mkdtemp(path.join(tmpdir(), 'csv-mapping-'))
    shipped = await readFile('examples/gift-shop/config/sources/online-retail.yaml', 'utf8')
    await writeFile(path.join(dir, 'orders.csv'), 'Invoice,Sku\n1,A\n')
  })
  afterAll(() => rm(dir, { recursive: true }))

  async function write(text: string): Promise<string> {
    const file = path.join(dir, 'mapping.yaml')
    await writeFile(file, text)
    return file
  }
  async function problemsOf(text: string): Promise<readonly Problem[]> {
    const err: unknown = await loadCsvMapping(await write(text)).catch((e: unknown) => e)
    if (err instanceof InvalidInputError) return err.problems
    throw new Error('the mapping was accepted')
  }
  const lineWith = (text: string, part: string): number => text.split('\n').findIndex((l) => l.includes(part)) + 1

  it.each(['online-retail', 'members'])('%s.yaml fits its file', async (name) => {
    expect(await checkCsvFile(await loadCsvMapping(`examples/gift-shop/config/sources/${name}.yaml`))).toEqual([])
  })

  it('cannot make events that only siyu itself writes', async () => {
    const text = shipped.replace('event: order_paid', 'event: touch_delivered')
    expect(await problemsOf(text)).toMatchObject([
      {
        line: lineWith(text, 'event: touch_delivered'),
        path: 'kinds.0.event',
        message: expect.stringContaining(
          'is an event that only siyu itself writes; give it another name (got "touch_delivered")',
        ) as unknown,
      },
    ])
  })

  it('cannot be of a source that only siyu itself writes under', async () => {
    const text = shipped.replace('source: online_retail', 'source: wecom')
    expect(await problemsOf(text)).toMatchObject([
      {
        line: lineWith(text, 'source: wecom'),
        path: 'source',
        message: expect.stringContaining('is a source that only siyu itself writes under; give it another') as unknown,
      },
    ])
  })

  it('that names a column the file lacks says where, and which columns there are, before anything is read', async () => {
    const text = shipped
      .replace('../../../../samples/online-retail.csv.gz', path.resolve('samples/online-retail.csv.gz'))
      .replace('customer: CustomerID', 'customer: CustomerId')
      .replace('sku: StockCode', 'sku: Article')
    const file = await write(text)
    const loaded = await loadCsvMapping(file)
    const hint = expect.stringContaining(
      'it has: InvoiceNo, StockCode, Description, Quantity, InvoiceDate, UnitPrice, CustomerID, Country',
    ) as unknown
    const expected = [
      {
        file,
        line: lineWith(text, 'sku: Article'),
        path: 'columns.sku',
        message: expect.stringContaining('online-retail.csv.gz has no column "Article"') as unknown,
        hint,
      },
      {
        file,
        line: lineWith(text, 'CustomerId'),
        path: 'columns.customer',
        message: expect.stringContaining('online-retail.csv.gz has no column "CustomerId"') as unknown,
        hint,
      },
    ]
    expect(await checkCsvFile(loaded)).toEqual(expected)
    const options = {
      onProblem: () => {
        throw new Error('a row was read')
      },
    }
    await expect(readCsvRecords(loaded, options).next()).rejects.toMatchObject({ problems: expected })
  })

  it('of people checks identifiers and traits too', async () => {
    const members = await readFile('examples/gift-shop/config/sources/members.yaml', 'utf8')
    const text = members.replace('../../../../samples/members.csv', 'orders.csv')
    const paths = (await checkCsvFile(await loadCsvMapping(await write(text)))).map((p) => p.path)
    expect(paths).toEqual([
      'columns.recordId',
      'columns.observedAt',
      'columns.system',
      'identifiers.member_id',
      'identifiers.phone',
      'identifiers.unionid',
      'traits.name',
      'traits.city',
      'traits.birthday',
      'traits.consent',
    ])
  })

  it('reports every wrong field at once, with its line', async () => {
    const text = shipped
      .replace('Europe/London', 'Europe/Londinium')
      .replace('currency: GBP', 'currency: POUNDS')
      .replace('linesKept: 50', 'linesKept: 50\nlinesKeep: 50')
      .replace('pattern: ^C', 'pattern: "^(C"')
    const problems = await problemsOf(text)
    expect(problems.map((p) => [p.path, p.line])).toEqual(
      expect.arrayContaining([
        ['timeZone', lineWith(text, 'Londinium')],
        ['currency', lineWith(text, 'POUNDS')],
        ['linesKeep', lineWith(text, 'linesKeep:')],
        ['kinds.1.pattern', lineWith(text, '^(C')],
      ]),
    )
    expect(problems).toHaveLength(4)
    expect(problems.every((p) => p.file?.endsWith('mapping.yaml'))).toBe(true)
  })

  it('says where its YAML breaks', async () => {
    expect(await problemsOf('rows: orders\ncolumns: {invoice: A\nfile: x\n')).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ hint: expect.stringContaining('close it') as unknown, line: 2 }),
      ]),
    )
  })

  it('that does not exist, or names a file that does not, says so', async () => {
    await expect(loadCsvMapping(path.join(dir, 'none.yaml'))).rejects.toThrow(/none\.yaml .*file not found/)
    const text = shipped.replace('../../../../samples/online-retail.csv.gz', 'gone.csv')
    expect(await checkCsvFile(await loadCsvMapping(await write(text)))).toEqual([
      expect.objectContaining({
        path: 'file',
        line: lineWith(text, 'gone.csv'),
        message: expect.stringContaining('gone.csv: ENOENT') as unknown,
      }),
    ])
  })

  it('describes each of its fields', () => {
    const missing: string[] = []
    const walk = (schema: unknown, at: string): void => {
      if (typeof schema !== 'object' || schema === null) return
      for (const [name, field] of Object.entries((schema as { properties?: object }).properties ?? {})) {
        if (!('description' in (field as object))) missing.push(`${at}.${name}`)
        walk(field, `${at}.${name}`)
      }
      walk((schema as { items?: unknown }).items, `${at}[]`)
      for (const option of (schema as { oneOf?: unknown[] }).oneOf ?? []) walk(option, at)
    }
    const schema = z.toJSONSchema(CsvMapping)
    walk(schema, '')
    expect(JSON.stringify(schema)).toContain('invoiceSpanMinutes')
    expect(missing).toEqual([])
  })
})
