import { AppError, messageOf } from '../../errors.js'
import type { Columns, Row, Table } from '../../domain/events/tables.js'
import type { Log } from '../../log.js'
import type { Collection } from '../../ports/document-store.js'
import type { EventStore, WaitingRows } from '../../ports/event-store.js'
import { secretHex } from '../../random.js'
import { SECOND_MS } from '../../time.js'

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

/** Tokens that are remembered, as many as the engine remembers. */
const TOKENS = 10_000
const FLUSH = 'flush'

type Waiting = {
  id: string
  seq: number
  table: Table
  rows: readonly Row<Columns>[]
  token: string
  /** Whether its document is written. */
  isKept: boolean
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
  const byName = new Map(tables.map((table) => [table.name, table]))
  let queue: Waiting[] = []
  let rowsInQueue = 0
  /** The flush that was begun last, here or before a crash: its end, and the token of its inserts. */
  let { seq: upTo, token: flushToken = '' } = (await waiting.get(FLUSH)) ?? { seq: 0 }
  let lastSeq = upTo
  let flushing: Promise<void> | undefined
  let timer: NodeJS.Timeout | undefined
  let closing: Promise<void> | undefined

  for await (const docs of waiting.scan({ rows: { $exists: true }, refused: { $exists: false } })) {
    for (const { _id, seq, table: name = '', rows = [] } of docs) {
      const table = byName.get(name)
      lastSeq = Math.max(lastSeq, seq)
      if (table === undefined) throw new RangeError(`rows wait for the table "${name}", which is unknown here`)
      enqueue({
        id: _id,
        seq,
        table,
        rows: rows as readonly Row<Columns>[],
        token: _id.slice(name.length + 1),
        isKept: true,
      })
    }
  }
  queue.sort((a, b) => a.seq - b.seq)
  const [newest] = await waiting.find({ seq: { $gt: lastSeq } }, { sort: { seq: -1 }, limit: 1 })
  lastSeq = newest?.seq ?? lastSeq
  if (queue.length > 0) schedule()

  function enqueue(item: Waiting): void {
    queue.push(item)
    rowsInQueue += item.rows.length
  }

  function leave(item: Waiting): void {
    queue = queue.filter((other) => other !== item)
    rowsInQueue -= item.rows.length
  }

  function schedule(): void {
    timer ??= setTimeout(() => {
      timer = undefined
      flush().catch((err: unknown) => {
        log.error('rows wait for the event store, which does not take them', { cause: messageOf(err) })
        if (closing === undefined) schedule()
      })
    }, delayMs).unref()
  }

  function flush(): Promise<void> {
    flushing ??= flushQueue().finally(() => {
      flushing = undefined
    })
    return flushing
  }

  async function flushQueue(): Promise<void> {
    for (let kept = keptInQueue(); kept.length > 0; kept = keptInQueue()) {
      // One that was begun ends where it said. Whatever comes later has a higher place, so nothing joins it.
      if (kept[0]!.seq > upTo) {
        const end = kept.at(-1)!.seq
        const token = `flush ${secretHex(16)}`
        await waiting.put([{ _id: FLUSH, seq: end, token }])
        upTo = end
        flushToken = token
      }
      const due = kept.filter((item) => item.seq <= upTo)
      const refused = await insertAll(due)
      await waiting.put(
        due.map(({ id, seq, table, rows }) => {
          const reason = refused.get(id)
          return reason === undefined ? { _id: id, seq } : { _id: id, seq, table: table.name, rows, refused: reason }
        }),
      )
      queue = queue.slice(due.length)
      rowsInQueue -= due.reduce((sum, item) => sum + item.rows.length, 0)
      await waiting.delete({ seq: { $lte: upTo - TOKENS }, refused: { $exists: false }, _id: { $ne: FLUSH } })
    }
  }

  /** Those in front whose documents are written. */
  function keptInQueue(): Waiting[] {
    const first = queue.findIndex((item) => !item.isKept)
    return first === -1 ? queue : queue.slice(0, first)
  }

  /** @returns why, of those that the engine refuses, by id */
  async function insertAll(due: readonly Waiting[]): Promise<Map<string, string>> {
    const groups = new Map<Table, Waiting[]>()
    for (const item of due) groups.set(item.table, [...(groups.get(item.table) ?? []), item])
    const refused = new Map<string, string>()
    const outcomes = await Promise.allSettled(
      [...groups].map(async ([table, items]) => {
        try {
          const rows = items.flatMap((item) => item.rows)
          await store.insert(table, rows, flushToken)
        } catch (err) {
          if (!isRefusal(err)) throw err
          for (const item of items) {
            const reason = await insertOne(item)
            if (reason !== undefined) refused.set(item.id, reason)
          }
        }
      }),
    )
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
    return refused
  }

  async function insertOne({ table, rows, token }: Waiting): Promise<string | undefined> {
    try {
      await store.insert(table, rows, token)
      return undefined
    } catch (err) {
      if (!isRefusal(err)) throw err
      log.error('the event store refuses rows, they are kept aside', {
        table: table.name,
        token,
        cause: messageOf(err),
      })
      return messageOf(err)
    }
  }

  return {
    ...store,
    async insert(table, rows, token) {
      if (rows.length === 0) return
      if (rows.length >= large || token === '' || closing !== undefined) return store.insert(table, rows, token)
      const item: Waiting = { id: `${table.name} ${token}`, seq: ++lastSeq, table, rows, token, isKept: false }
      enqueue(item)
      try {
        const { refused } = await waiting.insert([{ _id: item.id, seq: item.seq, table: table.name, rows }])
        if (refused.length > 0) return leave(item)
      } catch (err) {
        leave(item)
        throw err
      }
      item.isKept = true
      if (rowsInQueue >= capacity) await flush()
      else schedule()
    },
    unread: <C extends Columns>(table: Table<C>) =>
      // Rows of this table, by its name.
      queue.flatMap((item) => (item.table.name === table.name ? item.rows : [])) as unknown as Row<C>[],
    async query(sql, row, lane, options) {
      if (options?.behind !== true) await flush()
      return store.query(sql, row, lane)
    },
    async command(sql) {
      await flush()
      await store.command(sql)
    },
    async drop() {
      await flushing
      queue = []
      rowsInQueue = 0
      upTo = 0
      await waiting.delete({})
      await store.drop()
    },
    close() {
      closing ??= (async () => {
        clearTimeout(timer)
        try {
          await flush()
        } finally {
          await store.close()
        }
      })()
      return closing
    },
  }
}

/** The engine read the rows and does not take them; trying again would not help. */
function isRefusal(err: unknown): boolean {
  return err instanceof AppError && !err.retryable
}
