import { createHash } from 'node:crypto'
import { z } from 'zod'
import { eventKey } from '../../domain/events/record.js'
import { eventIdsTable, eventsTable } from '../../domain/events/tables.js'
import { literals, SMALL_QUERY } from '../../domain/rules/sql.js'
import type { EventStore } from '../../ports/event-store.js'

/** Ids that are read at a time. */
const SLICE = 500_000
/** Of ids in one question: the engine reads 256 KiB of a query. */
const QUESTION_CHARS = 100_000
const BITS_PER_ID = 16
/** 128 MiB; above 80 million ids it errs more often than one time in 1,000, and the event store is asked more. */
const MAX_BITS = 2 ** 30
const MIN_BITS = 2 ** 20
const PROBES = 4

type Identified = { source: string; id: string }

/**
 * Which event ids are stored already. Where this process alone stores events, a Bloom filter in memory says of nearly every new
 * id that it is new; only of the others the event store is asked. It is made from the store when it is first needed, and anew
 * when it has become too small. Where others store events, too, the event store is always asked.
 *
 * @see Bloom, Space/Time Trade-offs in Hash Coding, 1970; two hashes for all probes: Kirsch and Mitzenmacher, 2006
 */
export class KnownEvents {
  private bits: Uint32Array | undefined
  private ids = 0

  constructor(
    private readonly events: EventStore,
    private readonly alone: boolean,
    private readonly maxBits = MAX_BITS,
  ) {}

  /** Which of these are stored, by `eventKey`. The others count as stored from now on: whoever asks is about to store them. */
  async find(events: readonly Identified[]): Promise<Set<string>> {
    const unique = new Map(events.map((e) => [eventKey(e.source, e.id), e]))
    if (unique.size === 0 || !this.alone) return this.ask(unique)
    const bits = this.bits ?? (this.bits = await this.load(unique.size))
    const hashes = [...unique.keys()].map((key) => createHash('sha256').update(key).digest())
    const possible = new Map([...unique].filter((_, i) => isIn(bits, hashes[i]!, 0)))
    for (const hash of hashes) put(bits, hash, 0)
    this.ids += unique.size
    if (this.ids > (bits.length * 32) / (BITS_PER_ID / 2) && bits.length * 32 < this.maxBits) this.bits = undefined
    return this.ask(possible)
  }

  private async ask(events: ReadonlyMap<string, Identified>): Promise<Set<string>> {
    if (events.size === 0) return new Set()
    const ids = [...new Set([...events.values()].map((e) => e.id))]
    // First what waits: what is stored meanwhile is in both.
    const waiting = this.events.unread(eventsTable).map((row) => eventKey(row.source, row.event_id))
    const known = new Set(waiting.filter((key) => events.has(key)))
    for (let from = 0, to = 0; from < ids.length; from = to) {
      for (let chars = 0; to < ids.length && chars < QUESTION_CHARS; to++) chars += literals([ids[to]!]).length + 2
      const rows = await this.events.query(
        `SELECT DISTINCT source, event_id FROM ${eventIdsTable.name} WHERE event_id IN (${literals(ids.slice(from, to))}) ${SMALL_QUERY}`,
        z.object({ source: z.string(), event_id: z.string() }),
        'serving',
        { behind: true },
      )
      for (const row of rows) {
        const key = eventKey(row.source, row.event_id)
        if (events.has(key)) known.add(key)
      }
    }
    return known
  }

  private async load(more: number): Promise<Uint32Array> {
    const slices = await this.events.query(
      `SELECT min(batch) AS first, max(batch) AS last, sum(n) AS ids FROM (
        SELECT batch, n, intDiv(sum(n) OVER (ORDER BY batch), ${SLICE}) AS slice
        FROM (SELECT batch, count() AS n FROM ${eventIdsTable.name} GROUP BY batch))
      GROUP BY slice ORDER BY slice`,
      z.object({ first: z.number(), last: z.number(), ids: z.number() }),
      'scan',
    )
    this.ids = slices.reduce((sum, slice) => sum + slice.ids, 0)
    const wanted = 2 ** Math.ceil(Math.log2((this.ids + more) * BITS_PER_ID))
    const bits = new Uint32Array(Math.min(this.maxBits, Math.max(MIN_BITS, wanted)) / 32)
    for (const { first, last } of slices) {
      const [row] = await this.events.query(
        `SELECT base64Encode(arrayStringConcat(groupArray(substring(SHA256(concat(source, ' ', event_id)), 1, 8)))) AS hashes
        FROM ${eventIdsTable.name} WHERE batch BETWEEN ${first} AND ${last}`,
        z.object({ hashes: z.string() }),
        'scan',
      )
      const hashes = Buffer.from(row!.hashes, 'base64') // an aggregate is one row
      for (let at = 0; at < hashes.length; at += 8) put(bits, hashes, at)
    }
    return bits
  }
}

function put(bits: Uint32Array, hash: Buffer, at: number): void {
  const [first, step] = [hash.readUInt32LE(at), hash.readUInt32LE(at + 4) | 1]
  for (let i = 0; i < PROBES; i++) {
    const bit = positionOf(bits, first, step, i)
    bits[bit >>> 5]! |= 1 << (bit & 31) // within the array by its mask
  }
}

function isIn(bits: Uint32Array, hash: Buffer, at: number): boolean {
  const [first, step] = [hash.readUInt32LE(at), hash.readUInt32LE(at + 4) | 1]
  for (let i = 0; i < PROBES; i++) {
    const bit = positionOf(bits, first, step, i)
    if ((bits[bit >>> 5]! & (1 << (bit & 31))) === 0) return false // within the array by its mask
  }
  return true
}

/** The number of bits is a power of two. */
function positionOf(bits: Uint32Array, first: number, step: number, i: number): number {
  return (first + Math.imul(step, i)) & (bits.length * 32 - 1)
}
