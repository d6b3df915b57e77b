import { parse } from 'csv-parse/sync'
import { decodeSample, type Encoding, findEncoding, readSample } from './decode.js'
import type { CsvMapping } from './mapping.js'

/** How a file is written. */
export type FileForm = { encoding: Encoding; delimiter: string }

/** Between lines, whichever of them a file uses, and however it mixes them. */
export const LINE_ENDS = ['\r\n', '\n', '\r']

/** What shops and spreadsheets put between cells. */
const DELIMITERS = [',', ';', '\t', '|']

/**
 * How a file is written: as the mapping states, else as its beginning shows. Of the delimiters the one by which most columns of the
 * mapping are there.
 *
 * @returns `undefined` when its bytes are text in no encoding that is known here
 */
export async function formOf(
  file: string,
  { encoding: stated, delimiter }: Pick<Partial<CsvMapping>, 'encoding' | 'delimiter'>,
  columns: readonly string[],
): Promise<FileForm | undefined> {
  const sample = await readSample(file, isPacked(file))
  const encoding = stated === 'gbk' ? 'gb18030' : (stated ?? findEncoding(sample))
  if (encoding === undefined) return undefined
  const text = decodeSample(sample, encoding)
  return { encoding, delimiter: delimiter ?? findDelimiter(text, columns) }
}

export function isPacked(file: string): boolean {
  return file.endsWith('.gz')
}

function findDelimiter(text: string, columns: readonly string[]): string {
  const found = DELIMITERS.map((delimiter) => {
    const header = headerOf(text, delimiter)
    // Of a file without a mapping nobody knows a column: the one that makes most of the header.
    const known = columns.length === 0 ? header : columns.filter((column) => header.includes(column))
    return { delimiter, found: known.length }
  })
  return found.reduce((best, one) => (one.found > best.found ? one : best)).delimiter
}

function headerOf(text: string, delimiter: string): readonly string[] {
  const options = { delimiter, to: 1, relax_column_count: true, relax_quotes: true, record_delimiter: LINE_ENDS }
  const rows: string[][] = parse(text.slice(0, 65_536), options)
  const [header] = rows
  return header ?? []
}
