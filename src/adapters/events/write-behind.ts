import { messageOf } from '../../errors.js'
import type { Columns, Row, Table } from '../../domain/events/tables.js'
import type { Log } from '../../log.js'
import type { Collection } from '../../ports/document-store.js'
import type { EventStore, WaitingRows } from '../../ports/event-store.js'
import { SECOND_MS } from '../../time.js'
import { FLUSH, Flushes, type FlushParts } from './flushes.js'
import { insertOrSetAside } from './set-aside.js'
import { type Waiting, WaitingQueue } from './waiting-queue.js'

export type WriteBehindOptions = {
  log: Log
  /** The tables rows may be for. */
  tables: readonly Table[]
  /** An insert of this many rows goes straight to the event store. Default 500. */
  large?: number
  /** Rows that wait together at most. Default 10,000. */
  capacity?: number
  /** The longest that rows wait, in ms of real time. Default 5 s. */
  delayMs?: number
}

/**
 * An event store whose small inserts wait together. The columnar engine makes a part of every insert, which costs some 10 ms
 * of CPU whatever its size; so rows are first kept in documents, where they survive a power cut just as well, and go to the
 * engine many at a time: when there are enough of them, after a while, and before anything is read.
 *
 * One process alone may write behind: others would not see what waits. A flush is named by where it ends before it begins,
 * and repeated by that name after a crash, so its rows land once. Rows that the engine refuses hold nobody up: they are
 * kept, and said.
 */
export async function writeBehind(
  store: EventStore,
  waiting: Collection<WaitingRows>,
  { log, tables, large = 500, capacity = 10_000, delayMs = 5 * SECOND_MS }: WriteBehindOptions,
): Promise<EventStore> {
  const begun = (await waiting.get(FLUSH)) ?? { seq: 0 }
  const queue = await readQueue(waiting, tables, begun.seq)
  const parts = { store, waiting, queue, log, capacity, large, delayMs }
  const behind = new Behind(parts, new Flushes(parts, begun))
  return {
    ...store,
    insert: (table, rows, token) => behind.insert(table, rows, token),
    unread: (table) => queue.unread(table),
    async append(table, select) {
      await behind.flush()
      await store.append(table, select)
    },
    async query(sql, row, lane, options) {
      if (options?.behind !== true) await behind.flush()
      return store.query(sql, row, lane)
    },
    async command(sql) {
      await behind.flush()
      await store.command(sql)
    },
    async snapshot(copied) {
      await behind.flush()
      return store.snapshot(copied)
    },
    drop: () => behind.drop(),
    close: () => behind.close(),
  }
}

/** What waits since before: its documents are written. */
async function readQueue(
  waiting: Collection<WaitingRows>,
  tables: readonly Table[],
  begunSeq: number,
): Promise<WaitingQueue> {
  const byName = new Map(tables.map((table) => [table.name, table]))
  const items: Waiting[] = []
  for await (const docs of waiting.scan({ rows: { $exists: true }, refused: { $exists: false } })) {
    for (const { _id, seq, table: name = '', rows = [] } of docs) {
      const table = byName.get(name)
      if (table === undefined) throw new RangeError(`rows wait for the table "${name}", which is unknown here`)
      const token = _id.slice(name.length + 1)
      items.push({ id: _id, seq, table, rows: rows as readonly Row<Columns>[], token, isKept: true, written: Promise.resolve() }) // prettier-ignore
    }
  }
  const lastSeq = items.reduce((last, { seq }) => Math.max(last, seq), begunSeq)
  const [newest] = await waiting.find({ seq: { $gt: lastSeq } }, { sort: { seq: -1 }, limit: 1 })
  return new WaitingQueue(items, newest?.seq ?? lastSeq)
}

/** Takes inserts, and says when they go on. */
class Behind {
  private flushing: Promise<void> | undefined
  private timer: NodeJS.Timeout | undefined
  private closing: Promise<void> | undefined

  constructor(
    private readonly parts: FlushParts & { large: number; delayMs: number },
    private readonly flushes: Flushes,
  ) {
    if (parts.queue.first !== undefined) this.schedule()
  }

  async insert(table: Table, rows: readonly Row<Columns>[], token: string): Promise<void> {
    const { queue, large, capacity } = this.parts
    if (rows.length === 0) return
    if (rows.length >= large || token === '' || this.closing !== undefined)
      return insertOrSetAside(this.parts, table, rows, token)
    // The engine has not taken anything for long: who has more to say waits, and keeps it.
    if (queue.rows >= 10 * capacity) await this.flush()
    const id = `${table.name} ${token}`
    const item: Waiting = { id, seq: queue.nextSeq(), table, rows, token, isKept: false, written: Promise.resolve() }
    queue.add(item)
    const write = this.write(item)
    item.written = write.then(
      (isOurs) => {
        if (isOurs) item.isKept = true
        else queue.remove(item)
      },
      () => queue.remove(item), // the caller is told below
    )
    await write
    await item.written
    if (!item.isKept) return
    if (queue.rows >= capacity) await this.flush()
    else this.schedule()
  }

  /** Resolves when all that was acknowledged by now has arrived. */
  async flush(): Promise<void> {
    const { queue } = this.parts
    const last = queue.last
    for (let { first } = queue; first !== undefined && first.seq <= last; first = queue.first) {
      if (first.isKept)
        await (this.flushing ??= this.flushes.flushSome().finally(() => {
          this.flushing = undefined
        }))
      else await first.written
    }
    if (queue.first !== undefined) this.schedule()
  }

  async drop(): Promise<void> {
    const { store, waiting, queue } = this.parts
    await this.flushing
    queue.clear()
    this.flushes.reset()
    await waiting.delete({})
    await store.drop()
  }

  close(): Promise<void> {
    this.closing ??= this.end()
    return this.closing
  }

  private async end(): Promise<void> {
    clearTimeout(this.timer)
    try {
      await this.flush()
    } catch (err) {
      // They are kept, and arrive when the next process opens this store.
      this.sayThatTheyWait(err)
    }
    await this.parts.store.close()
  }

  private schedule(): void {
    if (this.closing !== undefined) return
    this.timer ??= setTimeout(() => {
      this.timer = undefined
      this.flush().catch((err: unknown) => {
        this.sayThatTheyWait(err)
        this.schedule()
      })
    }, this.parts.delayMs).unref()
  }

  private sayThatTheyWait(err: unknown): void {
    this.parts.log.error('rows wait for the event store, which does not take them', { cause: messageOf(err) })
  }

  /** @returns whether the item is kept, and not one of the same id before it */
  private async write(item: Waiting): Promise<boolean> {
    const { id, seq, table, rows } = item
    const { refused } = await this.parts.waiting.insert([{ _id: id, seq, table: table.name, rows }])
    return refused.length === 0 || (await this.adopt(item))
  }

  /** What is kept without being in the queue: its write was reported as failed, and had taken place. */
  private async adopt(item: Waiting): Promise<boolean> {
    const { waiting, queue } = this.parts
    if (queue.hasTwin(item)) return false
    const stored = await waiting.get(item.id)
    if (stored?.rows === undefined || stored.refused !== undefined) return false
    await waiting.put([{ _id: item.id, seq: item.seq, table: item.table.name, rows: item.rows }])
    return true
  }
}
