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
   * Runs a SELECT and parses every row. 64-bit integers arrive as numbers (all of ours stay below 2^53). The lane says
   * who waits for whom: `serving` (small, quick) never queues behind `scan` (large).
   */
  query<S extends z.ZodType>(sql: string, row: S, lane?: 'serving' | 'scan'): Promise<z.infer<S>[]>
  /** Runs a statement that returns nothing (DDL, ALTER … DELETE). */
  command(sql: string): Promise<void>
  ping(): Promise<void>
  /** Removes everything this store holds under its database. */
  drop(): Promise<void>
  /** May be called twice; waits for what runs. */
  close(): Promise<void>
}
