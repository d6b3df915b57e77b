import { z } from 'zod'
import type { Table } from '../../domain/events/tables.js'
import type { EventSnapshot, EventStore } from '../../ports/event-store.js'

/** Of one page, before it is compressed. */
const PAGE_BYTES = 8 * 2 ** 20
const PAGE_ROWS = 100_000

const Part = z.object({ name: z.string(), rows: z.number(), bytes: z.number() })
type Part = z.infer<typeof Part>

/** Rows of a part, by their place in it. */
type Piece = { part: string; from: number; to: number }

/**
 * Clones tables, which copies no data: a clone has the parts that its table had, and nothing merges or joins them. They are read
 * while the tables go on.
 *
 * @param read - gives what a SELECT with a format answers
 */
export async function takeSnapshot(
  store: Pick<EventStore, 'command' | 'query'>,
  read: (sql: string) => Promise<Buffer>,
  tables: readonly Table[],
): Promise<EventSnapshot> {
  const drop = async () => {
    for (const table of tables) await store.command(`DROP TABLE IF EXISTS ${cloneOf(table)} SYNC`)
  }
  await drop() // of a copy that died
  try {
    for (const table of tables) {
      await store.command(`CREATE TABLE ${cloneOf(table)} AS ${table.name}`)
      await store.command(`SYSTEM STOP MERGES ${cloneOf(table)}`)
    }
    for (const table of tables)
      await store.command(`ALTER TABLE ${cloneOf(table)} ATTACH PARTITION tuple() FROM ${table.name}`)
  } catch (err) {
    await drop()
    throw err
  }
  let isOpen = true
  return {
    async *pages(table) {
      const parts = await store.query(
        `SELECT name, rows, data_uncompressed_bytes AS bytes FROM system.parts
         WHERE database = currentDatabase() AND table = '${cloneOf(table)}' AND active ORDER BY name`,
        Part,
      )
      const columns = Object.keys(table.columns).join(', ')
      for (const pieces of toPages(parts)) {
        const where = pieces
          .map(({ part, from, to }) => `(_part = '${part}' AND _part_offset >= ${from} AND _part_offset < ${to})`)
          .join(' OR ')
        const file = await read(`SELECT ${columns} FROM ${cloneOf(table)} WHERE ${where} FORMAT Parquet`)
        yield { rows: pieces.reduce((sum, { from, to }) => sum + to - from, 0), file }
      }
    },
    async close() {
      if (isOpen) await drop()
      isOpen = false
    },
  }
}

function cloneOf({ name }: Table): string {
  return `${name}_copied`
}

/** Large parts are cut, small ones go together. */
function toPages(parts: readonly Part[]): Piece[][] {
  const pages: Piece[][] = []
  let [open, left]: [Piece[], number] = [[], 0]
  for (const { name, rows, bytes } of parts) {
    const most = Math.max(1, Math.min(PAGE_ROWS, Math.floor((PAGE_BYTES * rows) / Math.max(1, bytes))))
    for (let from = 0; from < rows; from += most) {
      const to = Math.min(rows, from + most)
      const share = (to - from) / most
      if (open.length === 0 || share > left) {
        pages.push((open = []))
        left = 1
      }
      open.push({ part: name, from, to })
      left -= share
    }
  }
  return pages
}
