import type { z } from 'zod'
import type { Columns, Row, Table } from '../domain/events/tables.js'

/**
 * Keeps what happened, and the columnar copy of profile state that rules read. Adapters: chDB (in this process) and
 * ClickHouse, both through `@clickhouse/client`, with the same SQL; only ENGINE and ON CLUSTER clauses differ.
 */
export interface EventStore {
  readonly kind: 'chdb' | 'clickhouse'
  /**
   * Appends rows as one block. Acknowledged rows survive a kill. A `token` that was used for this table among its last
   * 10,000 inserts makes the call a no-op. An empty batch is a no-op.
   */
  insert<C extends Columns>(table: Table<C>, rows: readonly Row<C>[], token: string): Promise<void>
  /**
   * Appends what a SELECT gives, inside the engine: the table's columns in their order. Without a token: after a failure some
   * of it may have arrived, and what a repeat appends is what its SELECT gives then.
   */
  append<C extends Columns>(table: Table<C>, select: string): Promise<void>
  /**
   * Runs a SELECT and parses every row. 64-bit integers arrive as numbers (all of ours stay below 2^53). The queue says
   * who waits for whom: `serving` (small, quick) never queues behind `scan` (large).
   */
  query<S extends z.ZodType>(
    sql: string,
    row: S,
    queue?: 'serving' | 'scan',
    /** `behind`: acknowledged rows may be missing, for who reads them from `unread`, before. */
    options?: { behind?: true },
  ): Promise<z.infer<S>[]>
  /** Acknowledged rows that a query `behind` may not see. It may see some of them, too. */
  unread<C extends Columns>(table: Table<C>): readonly Row<C>[]
  /** All that was acknowledged is in it. One at a time: another one ends those before. */
  snapshot(tables: readonly Table[]): Promise<EventSnapshot>
  /** Appends the rows of a Parquet file that has these columns of the table; others get their defaults. `token` as in `insert`. */
  load(table: Table, columns: readonly string[], file: Buffer, token: string): Promise<void>
  /** Runs a statement that returns nothing (DDL, ALTER … DELETE). */
  command(sql: string): Promise<void>
  ping(): Promise<void>
  /** Removes everything this store holds under its database. */
  drop(): Promise<void>
  /** May be called twice; waits for what runs. */
  close(): Promise<void>
}

/** Tables as they stood when it was made, for whoever copies them. */
export interface EventSnapshot {
  /** Every row, the superseded ones too, in Parquet files of some MiB with all columns of the table. */
  pages(table: Table): AsyncIterable<{ rows: number; file: Buffer }>
  /** May be called twice. */
  close(): Promise<void>
}

/**
 * Rows on their way to an event store, kept as a document, `_id` by table and token. Without `rows` they have arrived, and
 * only the token is remembered. With `refused` it is a row that the store does not take, and why.
 */
export type WaitingRows = {
  _id: string
  /** Their place among all. */
  seq: number
  /** Of the last flush: the token of what it inserts. */
  token?: string
  /** Of the last flush: tables of which the store refused a part, so that it is repeated insert by insert. */
  singly?: readonly string[]
  table?: string
  rows?: readonly Readonly<Record<string, unknown>>[]
  refused?: string
}
