import type { Columns, Row, Table } from '../../domain/events/tables.js'

/** An insert that waits. */
export type Waiting = {
  id: string
  seq: number
  table: Table
  rows: readonly Row<Columns>[]
  token: string
  /** Whether its document is written, and when that is known. */
  isKept: boolean
  written: Promise<unknown>
}

/** Inserts that wait, in the order of their numbers. */
export class WaitingQueue {
  private items: Waiting[]
  private count: number

  /** @param lastSeq - the highest number that was given out */
  constructor(
    items: readonly Waiting[],
    private lastSeq: number,
  ) {
    this.items = items.toSorted((a, b) => a.seq - b.seq)
    this.count = rowsOf(items)
  }

  /** Rows in all of them. */
  get rows(): number {
    return this.count
  }

  get first(): Waiting | undefined {
    return this.items[0]
  }

  get last(): number {
    return this.lastSeq
  }

  nextSeq(): number {
    return ++this.lastSeq
  }

  add(item: Waiting): void {
    this.items.push(item)
    this.count += item.rows.length
  }

  remove(item: Waiting): void {
    this.items = this.items.filter((other) => other !== item)
    this.count -= item.rows.length
  }

  /** @param due - those in front */
  removeFirst(due: readonly Waiting[]): void {
    this.items = this.items.slice(due.length)
    this.count -= rowsOf(due)
  }

  clear(): void {
    this.items = []
    this.count = 0
  }

  /** Those in front whose documents are written. */
  kept(): readonly Waiting[] {
    const first = this.items.findIndex((item) => !item.isKept)
    return first === -1 ? this.items : this.items.slice(0, first)
  }

  /** Whether the same insert is in the queue once more. */
  hasTwin(item: Waiting): boolean {
    return this.items.some((other) => other !== item && other.id === item.id)
  }

  unread<C extends Columns>(table: Table<C>): Row<C>[] {
    // Rows of this table, by its name.
    return this.items.flatMap((item) => (item.table.name === table.name ? item.rows : [])) as unknown as Row<C>[]
  }
}

function rowsOf(items: readonly Waiting[]): number {
  return items.reduce((sum, item) => sum + item.rows.length, 0)
}
