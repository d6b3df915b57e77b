import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import path from 'node:path'
import { pipeline } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { CsvError, parse, type Parser } from 'csv-parse'
import { CSV_BOUNDS, InvalidInputError, type Problem, said, type SourceRecordInput } from '../../src/connector.js'
import { decodeStream, type Encoding, UndecodableError } from './decode.js'
import { type FileForm, formOf, isPacked, LINE_ENDS } from './form.js'
import { timestampReader, toPersonRecord } from './map.js'
import {
  checkColumns,
  type CsvMapping,
  type LoadedMapping,
  type Mapped,
  mappedColumns,
  type PeopleMapping,
} from './mapping.js'
import { createOrderReader } from './orders.js'
import { type Finding, Findings, type SourceReport } from './report.js'

/** What a whole pass over a file found. */
export type CsvReport = {
  /** How the file was read. */
  encoding: Encoding
  delimiter: string
  rows: number
  records: number
  findings: Finding[]
  /** Only for files of orders. */
  source?: SourceReport
}

export type ReadOptions = {
  /** Called for each row that cannot be used as it is; its neighbours go through. */
  onProblem: (problem: Problem) => void
  /** Called once, after the last batch was taken. */
  onReport?: (report: CsvReport) => void
  signal?: AbortSignal
}

const BATCH_SIZE = 500

/** Where rows come from. `changedAt`: when somebody last wrote to the file. */
type Place = { name: string; onProblem: (problem: Problem) => void; changedAt: Date }

/** What a reader of rows must do; orders and people each have one. */
type RowReader = {
  push(row: readonly string[], fileLine: number): SourceRecordInput[]
  end(): SourceRecordInput[]
  report?(): SourceReport
}

/**
 * Reads a file through its mapping in one streaming pass: at most 500 records a batch, the next one read when the
 * last was taken; rows of orders in any order are gathered before the first. Orders come in ascending time, ties by invoice
 * number (as text); people in the order of the file.
 * The file is closed when the consumer stops early.
 *
 * @throws {InvalidInputError} before the first batch when the file is missing or lacks a mapped column; later only
 *   when its compression or quoting breaks off
 */
export async function* readCsvRecords(
  loaded: LoadedMapping,
  options: ReadOptions,
): AsyncGenerator<SourceRecordInput[]> {
  const name = displayName(loaded)
  const findings = new Findings()
  let [rows, records] = [0, 0]
  let reader: RowReader | undefined
  let batch: SourceRecordInput[] = []
  let fileLine = 1
  const form = await readForm(loaded, columnsOf(loaded))
  for await (const row of openRows(loaded, form, options.signal)) {
    options.signal?.throwIfAborted()
    if (row.length === 1 && row[0]!.trim() === '') {
      // A line with nothing in it is no row; parsed rows have a cell.
    } else if (reader === undefined) {
      requireColumns(loaded, row)
      const changedAt = new Date(Math.floor((await stat(loaded.dataFile)).mtimeMs))
      reader = createReader(loaded, row, findings, { name, onProblem: options.onProblem, changedAt })
    } else {
      rows++
      batch.push(...reader.push(row, fileLine))
      while (batch.length >= BATCH_SIZE) {
        const full = batch.splice(0, BATCH_SIZE)
        records += full.length
        yield full
      }
    }
    fileLine += linesOf(row)
  }
  if (reader === undefined) requireColumns(loaded, [])
  batch = batch.concat(reader?.end() ?? [])
  for (let start = 0; start < batch.length; start += BATCH_SIZE) {
    const part = batch.slice(start, start + BATCH_SIZE)
    records += part.length
    yield part
  }
  options.onReport?.({ ...form, rows, records, findings: findings.list(), source: reader?.report?.() })
}

/** What keeps a mapping from its file, read no further than the header: for checks before anything is imported. */
export async function checkCsvFile(loaded: NamedFile & { mapping: Mapped }): Promise<Problem[]> {
  try {
    for await (const header of openRows(loaded, await readForm(loaded, columnsOf(loaded)), undefined, 1))
      return checkColumns(loaded, header)
    return checkColumns(loaded, [])
  } catch (err) {
    if (err instanceof InvalidInputError) return [...err.problems]
    throw err
  }
}

function createReader(loaded: LoadedMapping, header: readonly string[], findings: Findings, place: Place): RowReader {
  return loaded.mapping.rows === 'orders'
    ? createOrderReader(loaded.mapping, header, findings, place)
    : createPeopleReader(loaded.mapping, header, findings, place)
}

function createPeopleReader(
  mapping: PeopleMapping,
  header: readonly string[],
  findings: Findings,
  place: Place,
): RowReader {
  const columnAt = new Map(header.map((column, index) => [column, index]))
  const readTime = timestampReader(mapping.timestampFormat, mapping.timeZone)
  const recordIds = new Set<string>()
  return {
    push(row, fileLine) {
      let isUsable = true
      // Cells of people are personal data: problems name the column and never repeat what stands in it.
      const unusable = (
        id: 'unreadable_row' | 'row_without_identifier',
        path: string,
        message: string,
        hint: string,
      ) => {
        if (isUsable) findings.add(id, fileLine)
        isUsable = false
        place.onProblem({ file: place.name, line: fileLine, path, message, hint })
        return []
      }
      const cell = (column: string): string => row[columnAt.get(column) ?? -1] ?? ''
      const { recordId, observedAt, system } = mapping.columns
      if (row.length !== header.length) {
        const hint = said(
          `改成 ${header.length} 格；单元格里有逗号或换行时加引号`,
          `give it ${header.length}, and put quotes around cells that hold a comma or a line break`,
        )
        return unusable(
          'unreadable_row',
          '',
          said(
            `这一行有 ${row.length} 格，表头有 ${header.length} 格`,
            `the row has ${row.length} cells, the header ${header.length}`,
          ),
          hint,
        )
      }
      if (recordId !== undefined) {
        const id = cell(recordId)
        if (id === '')
          unusable(
            'unreadable_row',
            recordId,
            said('编号是空的', 'the record id is empty'),
            said('每一行用自己的编号', 'give each row an id of its own'),
          )
        else if (recordIds.has(id)) {
          if (mapping.duplicateRows === 'drop') {
            findings.add('duplicate_dropped', fileLine)
            return []
          }
          if (mapping.duplicateRows === 'problem') {
            const hint = said(
              '每一行用自己的编号，或写 duplicateRows: keep 或 drop',
              'give each row an id of its own, or say duplicateRows: keep or drop',
            )
            unusable('unreadable_row', recordId, said('编号前面用过了', 'the record id was used before'), hint)
          }
        }
        recordIds.add(id)
      }
      const at = observedAt === undefined ? place.changedAt : readTime(cell(observedAt))
      if (at === undefined) {
        const hint = said('改正它，或改映射的 timestampFormat', 'correct it, or timestampFormat in the mapping')
        unusable(
          'unreadable_row',
          observedAt ?? '',
          said(`不是 ${mapping.timestampFormat} 格式的时间`, `no time in the format ${mapping.timestampFormat}`),
          hint,
        )
      }
      if (system !== undefined && !/^([a-z][a-z0-9_-]*)?$/.test(cell(system))) {
        unusable(
          'unreadable_row',
          system,
          said('系统名不是小写的短名称', 'the system is no short lower-case name'),
          said('写成如 crm 或 store_pos', 'write e.g. crm or store_pos'),
        )
      }
      const record = toPersonRecord(cell, at ?? place.changedAt, mapping, `${place.name}:${fileLine}`)
      if (record !== undefined) return isUsable ? [record] : []
      const columns = Object.values(mapping.identifiers)
      const hint = said(`填上其中一个：${columns.join('、')}`, `fill in one of ${columns.join(', ')}`)
      return unusable('row_without_identifier', '', said('这一行没有任何身份标识', 'the row holds no identifier'), hint)
    },
    end: () => [],
  }
}

/** The header and the first rows of a file that has no mapping yet. @throws {InvalidInputError} when it cannot be read */
export async function readFirstRows(dataFile: string, rows: number): Promise<string[][]> {
  const unmapped = { dataFile, mappingFile: dataFile, mapping: { file: dataFile }, lineOf: () => undefined }
  const found: string[][] = []
  for await (const row of openRows(unmapped, await readForm(unmapped, []), undefined, rows + 1)) found.push(row)
  return found
}

/** A CSV file, where it was named, and what was said of how it is written. */
type NamedFile = Omit<LoadedMapping, 'mapping'> & {
  mapping: Pick<CsvMapping, 'file'> & Partial<Pick<CsvMapping, 'encoding' | 'delimiter'>>
}

function columnsOf({ mapping }: { mapping: Mapped }): string[] {
  return mappedColumns(mapping).map(({ column }) => column)
}

/** @throws {InvalidInputError} when the file cannot be read, or is no text */
async function readForm(loaded: NamedFile, columns: readonly string[]): Promise<FileForm> {
  let form: FileForm | undefined
  try {
    form = await formOf(loaded.dataFile, loaded.mapping, columns)
  } catch (err) {
    throw unreadable(loaded, [toProblem(loaded, err)], err)
  }
  if (form !== undefined) return form
  const message = said('认不出文件的编码', 'the encoding of the file is not known')
  const hint = said('另存为 UTF-8，或在映射里写 encoding', 'save it as UTF-8, or give encoding in the mapping')
  throw unreadable(loaded, [{ file: displayName(loaded), path: '', message, hint }])
}

function unreadable(loaded: NamedFile, problems: readonly Problem[], cause?: unknown): InvalidInputError {
  const name = displayName(loaded)
  return new InvalidInputError(said(`文件 ${name} 读不了`, `The file ${name} cannot be read`), problems, { cause })
}

/** The rows of a file, the header first. Streams are closed when the consumer stops. */
async function* openRows(
  loaded: NamedFile,
  { encoding, delimiter }: FileForm,
  signal?: AbortSignal,
  maxRows?: number,
): AsyncGenerator<string[]> {
  // Without a bound the rest of a file is one row behind a quote that nobody closes.
  const max_record_size = CSV_BOUNDS.rowBytes
  const options = { delimiter, record_delimiter: LINE_ENDS, relax_column_count: true, max_record_size, to: maxRows }
  const parser: Parser = parse(options)
  const file = createReadStream(loaded.dataFile, { signal })
  const text = decodeStream(encoding, loaded.mapping.encoding !== undefined)
  // A failure of any part destroys the parser with it, so the loop below throws it.
  const ignore = (): void => undefined
  if (isPacked(loaded.dataFile)) pipeline(file, createGunzip(), text, parser, ignore)
  else pipeline(file, text, parser, ignore)
  try {
    for await (const row of parser) yield row as string[]
  } catch (err) {
    if (signal?.aborted === true) throw err
    throw unreadable(loaded, [toProblem(loaded, err)], err)
  } finally {
    file.destroy()
    parser.destroy()
  }
}

function toProblem(loaded: NamedFile, err: unknown): Problem {
  if (err instanceof CsvError) {
    const hint = said('引号成对；引号里的引号写两个', 'close every quote, and double quotes inside quoted cells')
    return {
      file: displayName(loaded),
      line: (err as { lines?: number }).lines,
      path: '',
      message: said(`引号或分隔有误：${err.code}`, err.message),
      hint,
    }
  }
  if (err instanceof UndecodableError) {
    const message = said(`这一行不是 ${err.encoding} 编码`, `this line is not ${err.encoding}`)
    const hint = said(
      '整个文件另存为 UTF-8，或在映射里写 encoding',
      'save the whole file as UTF-8, or give encoding in the mapping',
    )
    return { file: displayName(loaded), line: err.line, path: '', message, hint }
  }
  const code = (err as NodeJS.ErrnoException).code
  const message = err instanceof Error ? err.message : String(err)
  if (code?.startsWith('Z_') === true) {
    return {
      file: displayName(loaded),
      path: '',
      message,
      hint: said('压缩包坏了：重新取一份', 'fetch the file again: its compression is broken'),
    }
  }
  const { mappingFile, mapping, lineOf, dataFile } = loaded
  const hint = said(
    '写一个存在且读得了的 CSV 文件，相对于映射',
    'name a CSV file that exists and can be read, relative to the mapping',
  )
  // Another one may be read through the mapping.
  const isIts = dataFile === path.resolve(path.dirname(mappingFile), mapping.file)
  const what = `${isIts ? mapping.file : dataFile}: ${code ?? message}`
  return {
    file: mappingFile,
    line: lineOf('file'),
    path: 'file',
    message: said(`读不了 ${what}`, `cannot read ${what}`),
    hint,
  }
}

function requireColumns(loaded: LoadedMapping, header: readonly string[]): void {
  const problems = checkColumns(loaded, header)
  if (problems.length > 0)
    throw new InvalidInputError(
      said(`映射 ${loaded.mappingFile} 和文件对不上`, `The CSV mapping ${loaded.mappingFile} does not fit`),
      problems,
    )
}

/** `online-retail.csv` for `…/online-retail.csv.gz`: lines are counted in the unpacked file. */
function displayName(loaded: Pick<LoadedMapping, 'dataFile'>): string {
  return path.basename(loaded.dataFile).replace(/\.gz$/, '')
}

/** Lines of the file that a row takes: cells in quotes may hold line breaks. */
function linesOf(row: readonly string[]): number {
  let lines = 1
  for (const cell of row) if (/[\r\n]/.test(cell)) lines += cell.split(/\r\n|\n|\r/).length - 1
  return lines
}
