import { createReadStream } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { createGunzip } from 'node:zlib'
import { loadCsvMapping } from '../../connectors/csv/mapping.js'
import type { SourceRecord } from '../../src/domain/events/record.js'

const FILE = 'samples/online-retail.csv.gz'

/** Writes the header and the first rows of the order file to `target`; nothing behind them is unpacked. */
export async function writeFirstOrders(target: string, rows: number): Promise<void> {
  const lines: string[] = []
  const source = createReadStream(FILE)
  for await (const line of createInterface({ input: source.pipe(createGunzip()) })) {
    if (lines.push(line) > rows) break
  }
  source.destroy()
  await writeFile(target, `${lines.join('\n')}\n`)
}

/** The mapping of the order file, for a part of it. */
export async function orderMappingOf(file: string): ReturnType<typeof loadCsvMapping> {
  return { ...(await loadCsvMapping('examples/gift-shop/config/sources/online-retail.yaml')), dataFile: file }
}

/** The record with the number of its kept lines in place of them, so that a test can keep many. */
export function withoutLines(record: SourceRecord): SourceRecord {
  const events = record.events.map((event) => {
    const { lines, ...properties } = event.properties
    return { ...event, properties: { ...properties, lines: (lines as unknown[]).length } }
  })
  return { ...record, events }
}
