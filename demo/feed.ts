import { type CsvReport, readCsvRecords } from '../connectors/csv/index.js'
import { loadCsvMapping } from '../connectors/csv/mapping.js'
import { SourceRecord } from '../src/domain/events/record.js'
import type { Problem } from '../src/errors.js'
import { parseInput } from '../src/parse.js'
import { MINUTE_MS } from '../src/time.js'

/** Records arrive gathered per this much virtual time. */
export const TICK_MS = 15 * MINUTE_MS

/** The tick at whose end something that happens at `at` arrives. */
export function tickOf(at: Date, from: Date, tickMs = TICK_MS): Date {
  return new Date(from.getTime() + Math.ceil((at.getTime() - from.getTime()) / tickMs) * tickMs)
}

/** The sources' records in the order of time, pulled as the clock goes on. */
export class Feed {
  private readonly streams: { iterator: AsyncIterator<SourceRecord[]>; waiting: SourceRecord[]; ended: boolean }[]

  private constructor(
    streams: AsyncIterable<SourceRecord[]>[],
    private readonly reports: CsvReport[],
  ) {
    this.streams = streams.map((s) => ({ iterator: s[Symbol.asyncIterator](), waiting: [], ended: false }))
  }

  static async open(mappingFiles: readonly string[], onProblem: (p: Problem) => void): Promise<Feed> {
    const reports: CsvReport[] = []
    const loaded = []
    for (const file of mappingFiles) loaded.push(await loadCsvMapping(file))
    const streams = loaded.map((mapping) =>
      parsed(readCsvRecords(mapping, { onProblem, onReport: (r) => reports.push(r) })),
    )
    return new Feed(streams, reports)
  }

  /** When the next record happened; `undefined` at the end of all sources. */
  async nextAt(): Promise<Date | undefined> {
    let next: Date | undefined
    for (const stream of this.streams) {
      const at = (await this.peek(stream))?.observedAt
      if (at !== undefined && (next === undefined || at < next)) next = at
    }
    return next
  }

  /** Takes what happened up to and including `until`: first source first, at most `limit` records. */
  async take(until: Date, limit: number): Promise<SourceRecord[]> {
    const taken: SourceRecord[] = []
    for (const stream of this.streams) {
      while (taken.length < limit) {
        const next = await this.peek(stream)
        if (next === undefined || next.observedAt > until) break
        taken.push(stream.waiting.shift()!)
      }
    }
    return taken
  }

  /** Reads to the end; resolves to what the passes over the files found. */
  async finish(): Promise<CsvReport[]> {
    const far = new Date(8.64e15)
    while ((await this.take(far, 500)).length > 0);
    return this.reports
  }

  private async peek(stream: Feed['streams'][number]): Promise<SourceRecord | undefined> {
    while (stream.waiting.length === 0 && !stream.ended) {
      const next = await stream.iterator.next()
      if (next.done === true) stream.ended = true
      else stream.waiting = next.value
    }
    return stream.waiting[0]
  }
}

async function* parsed(batches: AsyncIterable<unknown[]>): AsyncIterable<SourceRecord[]> {
  for await (const batch of batches) yield batch.map((record) => parseInput(SourceRecord, record))
}
