import type { State } from '../state.js'
import type { ReplyKind } from './draws.js'
import type { Answered, Unread } from './messages.js'

/** A member and a customer who become friends. */
export type Adding = {
  userId: string
  externalUserId: string
  addWay: number
  state?: string
  remarkMobiles: string[]
  tagIds: string[]
}

/** What can be going to happen, and what must be known then. Stored. */
export type DueData = {
  add: Adding
  customer_deletes: { userId: string; externalUserId: string }
  confirm: { msgid: string; userId: string }
  read: Unread
  reply: Answered & { reply: ReplyKind }
  click: Answered
  buy: Answered
  own_send: { userId: string; n: number }
  press: { msgid: string; userId: string; key: string }
  takeover: { seq: number }
  resign: { userId: string }
}
export type DueKind = keyof DueData

/** What somebody will do at some instant. */
export type Due<K extends DueKind = DueKind> = {
  atMs: number
  kind: K
  /** Ties at one instant are played in the order of kind and key. */
  key: string
  data: DueData[K]
  /** False: kept elsewhere in the state by whoever put it here, and put back by him after a restart. */
  stored: boolean
}

/**
 * What the world will do, in time order: a heap in memory, with the rows of `due` behind it. What was played is taken
 * out of the table once for a whole batch.
 */
export class Agenda {
  private readonly heap: Due[] = []
  /** Stored events of the latest instant taken, for `forget`. */
  private takenNow: Due[] = []
  private takenMs = -Infinity
  /** Counts changes, so that whoever rolls back knows whether memory has to be read again. */
  changes = 0

  constructor(private readonly state: State) {}

  get nextAtMs(): number | undefined {
    return this.heap[0]?.atMs
  }

  /** Stored with the running transaction; what is there already under the same instant, kind and key is not doubled. */
  schedule<K extends DueKind>(at: Date, kind: K, key: string, data: DueData[K]): void {
    const atMs = at.getTime()
    const added = this.state.run('INSERT OR IGNORE INTO due VALUES (?, ?, ?, ?)', atMs, kind, key, JSON.stringify(data))
    if (added > 0) this.push({ atMs, kind, key, data, stored: true })
  }

  push(due: Due): void {
    this.changes++
    const { heap } = this
    let at = heap.push(due) - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!isBefore(due, heap[parent]!)) break
      heap[at] = heap[parent]!
      at = parent
    }
    heap[at] = due
  }

  /** Takes the earliest. */
  take(): Due | undefined {
    const { heap } = this
    const first = heap[0]
    const last = heap.pop()
    if (first === undefined || last === undefined) return undefined
    this.changes++
    if (first !== last) this.sink(last)
    if (first.atMs > this.takenMs) {
      this.takenMs = first.atMs
      this.takenNow = []
    }
    if (first.stored && first.atMs === this.takenMs) this.takenNow.push(first)
    return first
  }

  /** Removes from the table what was taken since the last time: all before the latest instant, and those of it. */
  forget(): void {
    if (this.takenMs === -Infinity) return
    this.state.run('DELETE FROM due WHERE at_ms < ?', this.takenMs)
    for (const { atMs, kind, key } of this.takenNow)
      this.state.run('DELETE FROM due WHERE at_ms = ? AND kind = ? AND key = ?', atMs, kind, key)
    this.takenNow = []
    this.takenMs = -Infinity
  }

  /** Reads the stored part again; the others are to be put back by their owners. */
  restore(): void {
    this.heap.length = 0
    this.takenNow = []
    this.takenMs = -Infinity
    // In order, so every push stays where it is put.
    const rows = this.state.all<{ at_ms: number; kind: DueKind; key: string; data: string }>(
      'SELECT at_ms, kind, key, data FROM due ORDER BY at_ms, kind, key',
    )
    for (const { at_ms: atMs, kind, key, data } of rows)
      this.heap.push({ atMs, kind, key, data: JSON.parse(data) as Due['data'], stored: true })
  }

  private sink(due: Due): void {
    const { heap } = this
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++
      if (!isBefore(heap[child]!, due)) break
      heap[at] = heap[child]!
      at = child
    }
    heap[at] = due
  }
}

function isBefore(a: Due, b: Due): boolean {
  if (a.atMs !== b.atMs) return a.atMs < b.atMs
  if (a.kind !== b.kind) return a.kind < b.kind
  return a.key < b.key
}
