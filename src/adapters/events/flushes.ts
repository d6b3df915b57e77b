import type { Table } from '../../domain/events/tables.js'
import type { Log } from '../../log.js'
import type { Collection } from '../../ports/document-store.js'
import type { EventStore, WaitingRows } from '../../ports/event-store.js'
import { secretHex } from '../../random.js'
import { insertOrSetAside, isRefusal } from './set-aside.js'
import type { Waiting, WaitingQueue } from './waiting-queue.js'

/** Tokens that are remembered, as many as the engine remembers. */
const TOKENS = 10_000
/** The document of the flush that was begun last. */
export const FLUSH = 'flush'

export type FlushParts = {
  store: EventStore
  waiting: Collection<WaitingRows>
  queue: WaitingQueue
  log: Log
  /** Rows of one flush, about. */
  capacity: number
}

/** Carries what waits to the event store, in flushes that are named before they begin and repeated by that name. */
export class Flushes {
  private upTo: number
  private token: string
  /** Tables of which the flush that was begun last goes insert by insert. */
  private singly: Set<string>

  /** @param begun - the flush that was begun last, here or before a crash: its end, and the token of its inserts */
  constructor(
    private readonly parts: FlushParts,
    begun: Pick<WaitingRows, 'seq' | 'token' | 'singly'>,
  ) {
    this.upTo = begun.seq
    this.token = begun.token ?? ''
    this.singly = new Set(begun.singly)
  }

  /** One flush, of about `capacity` rows at most. */
  async flushSome(): Promise<void> {
    const { queue, waiting } = this.parts
    const kept = queue.kept()
    if (kept.length === 0) return
    // One that was begun ends where it said. Whatever comes later has a higher place, so nothing joins it.
    if (kept[0]!.seq > this.upTo) await this.begin(kept[this.endOf(kept)]!.seq)
    const due = kept.filter((item) => item.seq <= this.upTo)
    await this.insertAll(due)
    await waiting.put(due.map(({ id, seq }) => ({ _id: id, seq })))
    queue.removeFirst(due)
    const isOld = { seq: { $lte: this.upTo - TOKENS }, _id: { $ne: FLUSH } }
    await waiting.delete({ ...isOld, rows: { $exists: false } })
  }

  /** Everything is dropped: no flush is under way. */
  reset(): void {
    this.upTo = 0
  }

  private async begin(end: number): Promise<void> {
    const token = `flush ${secretHex(16)}`
    await this.parts.waiting.put([{ _id: FLUSH, seq: end, token }])
    this.upTo = end
    this.token = token
    this.singly = new Set()
  }

  private endOf(kept: readonly Waiting[]): number {
    let rows = 0
    const end = kept.findIndex((item) => (rows += item.rows.length) >= this.parts.capacity)
    return end === -1 ? kept.length - 1 : end
  }

  private async insertAll(due: readonly Waiting[]): Promise<void> {
    const groups = new Map<Table, Waiting[]>()
    for (const item of due) {
      const group = groups.get(item.table)
      if (group === undefined) groups.set(item.table, [item])
      else group.push(item)
    }
    const outcomes = await Promise.allSettled(
      [...groups].map(async ([table, items]) => {
        if (await this.insertTogether(table, items)) return
        for (const { rows, token } of items) await insertOrSetAside(this.parts, table, rows, `${this.token} ${token}`)
      }),
    )
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
  }

  /** @returns whether that is done; if not, they are to go one by one */
  private async insertTogether(table: Table, items: readonly Waiting[]): Promise<boolean> {
    if (this.singly.has(table.name)) return false
    try {
      const rows = items.flatMap((item) => item.rows)
      await this.parts.store.insert(table, rows, this.token)
      return true
    } catch (err) {
      if (!isRefusal(err)) throw err
    }
    // From here on it is repeated in this way only: a part of it may land under tokens of its own.
    this.singly.add(table.name)
    await this.parts.waiting.put([{ _id: FLUSH, seq: this.upTo, token: this.token, singly: [...this.singly] }])
    return false
  }
}
