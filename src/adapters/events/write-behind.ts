import { AppError, messageOf, UpstreamError } from '../../errors.js'
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
  /** Whether its document is written, and when that is known. */
  isKept: boolean
  written: Promise<unknown>
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
  const begun: Pick<WaitingRows, 'seq' | 'token' | 'singly'> = (await waiting.get(FLUSH)) ?? { seq: 0 }
  let { seq: upTo, token: flushToken = '' } = begun
  /** Tables of which that flush goes insert by insert. */
  let singly = new Set(begun.singly)
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
        written: Promise.resolve(),
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
    if (closing !== undefined) return
    timer ??= setTimeout(() => {
      timer = undefined
      flush().catch((err: unknown) => {
        log.error('rows wait for the event store, which does not take them', { cause: messageOf(err) })
        schedule()
      })
    }, delayMs).unref()
  }

  /** Resolves when all that was acknowledged by now has arrived. */
  async function flush(): Promise<void> {
    const last = lastSeq
    for (let first = queue[0]; first !== undefined && first.seq <= last; first = queue[0]) {
      if (first.isKept)
        await (flushing ??= flushSome().finally(() => {
          flushing = undefined
        }))
      else await first.written
    }
    if (queue.length > 0) schedule()
  }

  /** One flush, of about `capacity` rows at most. */
  async function flushSome(): Promise<void> {
    const kept = keptInQueue()
    if (kept.length === 0) return
    // One that was begun ends where it said. Whatever comes later has a higher place, so nothing joins it.
    if (kept[0]!.seq > upTo) {
      const end = kept[endOf(kept)]!.seq
      const token = `flush ${secretHex(16)}`
      await waiting.put([{ _id: FLUSH, seq: end, token }])
      upTo = end
      flushToken = token
      singly = new Set()
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
    const isOld = { seq: { $lte: upTo - TOKENS }, _id: { $ne: FLUSH } }
    await waiting.delete({ ...isOld, rows: { $exists: false } })
  }

  /** Those in front whose documents are written. */
  function keptInQueue(): Waiting[] {
    const first = queue.findIndex((item) => !item.isKept)
    return first === -1 ? queue : queue.slice(0, first)
  }

  function endOf(kept: readonly Waiting[]): number {
    let rows = 0
    const end = kept.findIndex((item) => (rows += item.rows.length) >= capacity)
    return end === -1 ? kept.length - 1 : end
  }

  /** @returns why, of those that the engine refuses, by id */
  async function insertAll(due: readonly Waiting[]): Promise<Map<string, string>> {
    const groups = new Map<Table, Waiting[]>()
    for (const item of due) {
      const group = groups.get(item.table)
      if (group === undefined) groups.set(item.table, [item])
      else group.push(item)
    }
    const refused = new Map<string, string>()
    const outcomes = await Promise.allSettled(
      [...groups].map(async ([table, items]) => {
        if (!singly.has(table.name)) {
          try {
            const rows = items.flatMap((item) => item.rows)
            return await store.insert(table, rows, flushToken)
          } catch (err) {
            if (!isRefusal(err)) throw err
          }
          // From here on it is repeated in this way only: a part of it may land under tokens of its own.
          singly.add(table.name)
          await waiting.put([{ _id: FLUSH, seq: upTo, token: flushToken, singly: [...singly] }])
        }
        for (const item of items) {
          const reason = await insertOne(item)
          if (reason !== undefined) refused.set(item.id, reason)
        }
      }),
    )
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
    return refused
  }

  async function insertOne({ table, rows, token }: Waiting): Promise<string | undefined> {
    try {
      await store.insert(table, rows, `${flushToken} ${token}`)
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

  /** What is kept without being in the queue: its write was reported as failed, and had taken place. */
  async function adopt(item: Waiting): Promise<boolean> {
    if (queue.some((other) => other !== item && other.id === item.id)) return false
    const stored = await waiting.get(item.id)
    if (stored?.rows === undefined || stored.refused !== undefined) return false
    await waiting.put([{ _id: item.id, seq: item.seq, table: item.table.name, rows: item.rows }])
    return true
  }

  return {
    ...store,
    async insert(table, rows, token) {
      if (rows.length === 0) return
      if (rows.length >= large || token === '' || closing !== undefined) return store.insert(table, rows, token)
      // The engine has not taken anything for long: who has more to say waits, and keeps it.
      if (rowsInQueue >= 10 * capacity) await flush()
      const item: Waiting = {
        id: `${table.name} ${token}`,
        seq: ++lastSeq,
        table,
        rows,
        token,
        isKept: false,
        written: Promise.resolve(),
      }
      enqueue(item)
      const write = (async () => {
        const { refused } = await waiting.insert([{ _id: item.id, seq: item.seq, table: table.name, rows }])
        return refused.length === 0 || (await adopt(item))
      })()
      item.written = write.then(
        (isOurs) => {
          if (isOurs) item.isKept = true
          else leave(item)
        },
        () => leave(item), // the caller is told below
      )
      await write
      await item.written
      if (!item.isKept) return
      if (rowsInQueue >= capacity) await flush()
      else schedule()
    },
    unread: <C extends Columns>(table: Table<C>) =>
      // Rows of this table, by its name.
      queue.flatMap((item) => (item.table.name === table.name ? item.rows : [])) as unknown as Row<C>[],
    async append(table, select) {
      await flush()
      await store.append(table, select)
    },
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
        } catch (err) {
          // They are kept, and arrive when the next process opens this store.
          log.error('rows wait for the event store, which does not take them', { cause: messageOf(err) })
        }
        await store.close()
      })()
      return closing
    },
  }
}

/**
 * Errors that speak of the rows themselves, so that trying again would not help: what cannot be parsed, converted or held by its
 * column. Everything else may pass: memory, a full disk, rights, an engine that stops.
 *
 * @see ClickHouse, src/Common/ErrorCodes.cpp
 */
const REFUSALS = new Set(['6', '25', '26', '27', '33', '38', '41', '53', '69', '70', '72', '117', '131', '321', '349'])

function isRefusal(err: unknown): boolean {
  return err instanceof AppError && (!(err instanceof UpstreamError) || REFUSALS.has(err.upstreamCode))
}
