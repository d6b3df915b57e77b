import { messageOf, UpstreamError } from '../../errors.js'
import type { Columns, Row, Table } from '../../domain/events/tables.js'
import type { Log } from '../../log.js'
import type { Collection } from '../../ports/document-store.js'
import type { EventStore, WaitingRows } from '../../ports/event-store.js'

export type SetAsideOptions = { store: EventStore; waiting: Collection<WaitingRows>; log: Log }

/**
 * An event store that rows which the engine refuses do not hold up: they are kept aside with the reason and said, and all others
 * arrive. Found by halving the insert, down to the row.
 */
export function settingAside(options: SetAsideOptions): EventStore {
  return { ...options.store, insert: (table, rows, token) => insertOrSetAside(options, table, rows, token) }
}

/** One such insert. A repeat after a crash halves in the same way, under the same tokens, so rows land once. */
export async function insertOrSetAside<C extends Columns>(
  options: SetAsideOptions,
  table: Table<C>,
  rows: readonly Row<C>[],
  token: string,
): Promise<void> {
  const { store, waiting, log } = options
  try {
    return await store.insert(table, rows, token)
  } catch (err) {
    if (!isRefusal(err)) throw err
    if (rows.length > 1) {
      const middle = Math.ceil(rows.length / 2)
      await insertOrSetAside(options, table, rows.slice(0, middle), `${token} <`)
      await insertOrSetAside(options, table, rows.slice(middle), `${token} >`)
      return
    }
    const refused = messageOf(err)
    // Kept for people to look at: it is at no place among those that wait.
    await waiting.put([{ _id: `refused ${table.name} ${token}`, seq: 0, table: table.name, rows, refused }])
    log.error('the event store refuses a row, it is kept aside', { table: table.name, token, cause: refused })
  }
}

/** Whether it speaks of the rows themselves. */
export function isRefusal(err: unknown): boolean {
  return err instanceof UpstreamError && err.about === 'input'
}
