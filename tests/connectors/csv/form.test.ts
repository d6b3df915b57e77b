import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { checkCsvFile, type CsvReport, readCsvRecords } from '../../../connectors/csv/index.js'
import { loadCsvMapping } from '../../../connectors/csv/mapping.js'
import type { SourceRecordInput } from '../../../src/connector.js'
import { InvalidInputError, type Problem } from '../../../src/errors.js'

const HEADER = 'id,at,member,phone,name,city'
const row = (n: number) => `${n},2026-01-02 10:00:00,M${n},1000000000${n},张三,上海`
const MAPPING = `rows: people
source: crm
file: in.csv
timeZone: Asia/Shanghai
timestampFormat: yyyy-MM-dd HH:mm:ss
columns: { recordId: id, observedAt: at }
identifiers: { member_id: member, phone: phone }
traits: { name: name, city: city }
`
/** 张三 and 上海, and all ASCII, as GBK has them. */
const gbk = (text: string) =>
  Buffer.from(text.replace(/张三/g, '\xd5\xc5\xc8\xfd').replace(/上海/g, '\xc9\xcf\xba\xa3'), 'latin1')
const wide = (text: string) => Buffer.from(`\ufeff${text}`, 'utf16le')

describe('a CSV file', () => {
  let dir: string
  beforeAll(async () => void (dir = await mkdtemp(path.join(tmpdir(), 'csv-form-'))))
  afterAll(() => rm(dir, { recursive: true }))

  async function open(content: string | Buffer, mapping = MAPPING) {
    await writeFile(path.join(dir, 'in.csv'), content)
    await writeFile(path.join(dir, 'map.yaml'), mapping)
    return loadCsvMapping(path.join(dir, 'map.yaml'))
  }
  async function read(content: string | Buffer, mapping = MAPPING) {
    const records: SourceRecordInput[] = []
    const problems: Problem[] = []
    const reports: CsvReport[] = []
    const options = { onProblem: (p: Problem) => problems.push(p), onReport: (r: CsvReport) => reports.push(r) }
    for await (const batch of readCsvRecords(await open(content, mapping), options)) records.push(...batch)
    return { records, problems, report: reports[0]! }
  }
  const lines = (...rows: string[]) => [HEADER, ...rows, ''].join('\n')

  it.each<[string, Buffer, string]>([
    ['UTF-8', Buffer.from(lines(row(1), row(2))), 'utf-8'],
    ['UTF-8 with a mark', Buffer.from(`\ufeff${lines(row(1), row(2))}`), 'utf-8'],
    ['UTF-16', wide(lines(row(1), row(2))), 'utf-16le'],
    ['UTF-16 without a mark', wide(lines(row(1), row(2))).subarray(2), 'utf-16le'],
    ['UTF-16 the other way round', Buffer.from(wide(lines(row(1), row(2)))).swap16(), 'utf-16be'],
    ['GBK', gbk(lines(row(1), row(2))), 'gb18030'],
  ])('is read when it is %s, and the report says so', async (_what, content, encoding) => {
    const { records, problems, report } = await read(content)
    expect(records.map((r) => r.traits)).toEqual([
      { name: '张三', city: '上海' },
      { name: '张三', city: '上海' },
    ])
    expect(problems).toEqual([])
    expect(report).toMatchObject({ encoding, delimiter: ',', rows: 2, records: 2 })
  })

  it('is found to be GBK where that shows late', async () => {
    const plain = (n: number) => `${n},2026-01-02 10:00:00,M${n},,plain name that fills the row,city`
    const many = Array.from({ length: 24_000 }, (_, n) => plain(n + 10))
    const { records, report } = await read(gbk(lines(...many, row(1))))
    expect(report.rows).toBe(24_001)
    expect(records.at(-1)?.traits).toEqual({ name: '张三', city: '上海' })
  })

  it('is read as the mapping states, or refused with the line', async () => {
    const stated = MAPPING.replace('file: in.csv', 'file: in.csv\nencoding: gbk')
    expect((await read(gbk(lines(row(1))), stated)).records).toHaveLength(1)
    const utf8 = MAPPING.replace('file: in.csv', 'file: in.csv\nencoding: utf-8')
    const err: unknown = await read(gbk(lines(row(1), row(2))), utf8).catch((e: unknown) => e)
    expect(err).toBeInstanceOf(InvalidInputError)
    expect((err as InvalidInputError).problems).toMatchObject([{ file: 'in.csv', line: 2 }])
  })

  it.each<[string, string]>([
    ['CRLF at first and LF later', `${HEADER}\r\n${row(1)}\n${row(2)}\n${row(3)}\n`],
    ['LF at first and CRLF later', `${HEADER}\n${row(1)}\r\n${row(2)}\r\n${row(3)}`],
    ['CR alone', `${HEADER}\r${row(1)}\r${row(2)}\r${row(3)}\r`],
    ['empty lines between', `${HEADER}\r\n\r\n${row(1)}\n\n${row(2)}\r\n${row(3)}\n\n`],
  ])('may end its lines by %s', async (_what, content) => {
    const { records, problems, report } = await read(content)
    expect(records.map((r) => r.identifiers[0]?.value)).toEqual(['M1', 'M2', 'M3'])
    expect([problems, report.rows]).toEqual([[], 3])
  })

  it('counts its lines whichever way they end', async () => {
    const { problems } = await read(`${HEADER}\r\n\n${row(1)}\r\n2,2026-01-02,M2,,"a\r\nb",c\n3,never,M3,,a,b\n`)
    expect(problems.map((p) => [p.line, p.path])).toEqual([
      [4, 'at'],
      [6, 'at'],
    ])
  })

  it('has all that is wrong with a row told at once, in both languages', async () => {
    const { records, problems, report } = await read(lines(row(1), ',never,M2,,a,b', ',never,,,a,b'))
    expect(records).toHaveLength(1)
    expect(problems.map((p) => [p.line, p.path])).toEqual([
      [3, 'id'],
      [3, 'at'],
      [4, 'id'],
      [4, 'at'],
      [4, ''],
    ])
    for (const { message, hint } of problems) expect(`${message} ${hint}`).toMatch(/[\u4e00-\u9fff].* · .* · /)
    expect(report.findings).toMatchObject([{ id: 'unreadable_row', count: 2, firstLine: 3 }])
  })

  it.each<[string, string]>([
    ['semicolons', ';'],
    ['tabs', '\t'],
    ['bars', '|'],
  ])('may have %s between its cells', async (_what, delimiter) => {
    const { records, report } = await read(lines(row(1)).replaceAll(',', delimiter))
    expect(records[0]?.traits).toEqual({ name: '张三', city: '上海' })
    expect(report.delimiter).toBe(delimiter)
  })

  it('has what stands between its cells from the mapping, where that says it', async () => {
    const stated = MAPPING.replace('file: in.csv', 'file: in.csv\ndelimiter: "~"')
    expect((await read(lines(row(1)).replaceAll(',', '~'), stated)).records).toHaveLength(1)
  })

  it('is refused where a column that the mapping names is there twice; others may be', async () => {
    const content = `${HEADER},phone,note,note\n${row(1)},10000000099,a,b\n`
    const loaded = await open(content)
    expect(await checkCsvFile(loaded)).toMatchObject([
      {
        file: loaded.mappingFile,
        line: 7,
        path: 'identifiers.phone',
        message: expect.stringMatching(/2 columns "phone" \(columns 4 and 7\)/) as unknown,
      },
    ])
    await expect(read(content)).rejects.toThrow(/columns "phone"/)
  })
})
