import { quickUnitOf } from '../../src/random.js'
import { DAY_MS } from '../../src/time.js'
import type { LifeKind } from '../population.js'
import type { State } from '../state.js'
import { squeezeIntoDay, stretchOverDay } from './calendar.js'
import type { People } from './people.js'

const YEAR_MS = 365 * DAY_MS
/** An event beyond it never happens. */
const NEVER_MS = Date.UTC(3000, 0, 1)
/** Purposes of draws, told apart from those of `people.ts` and `deeds.ts`. */
const INTERVAL = 101
const KIND = 102

export type LifeEvent = { customer: number; kind: LifeKind | 'arrival'; atMs: number; n: number }

/**
 * What the customers of a population do of themselves: each is a Poisson process of his own rate, of which only the
 * next event is known. It follows from the seed, his number and how many there were, so only those counts are stored;
 * in memory a customer costs 28 bytes.
 */
export class Life {
  /** Where each process stands, in days of 24 hours. */
  private readonly rawMs: Float64Array
  /** The same within waking hours: when the next event happens. */
  private readonly atMs: Float64Array
  private readonly done: Uint32Array
  /** Customers, the earliest first. */
  private readonly heap: Int32Array
  private readonly kinds: readonly (readonly [LifeKind, number])[]
  private readonly perYear: number
  private readonly changed = new Set<number>()

  constructor(
    private readonly seed: number,
    private readonly people: People,
  ) {
    this.kinds = Object.entries(people.settings.perYear) as [LifeKind, number][]
    this.perYear = this.kinds.reduce((sum, [, rate]) => sum + rate, 0)
    this.rawMs = new Float64Array(people.customers)
    this.atMs = new Float64Array(people.customers)
    this.done = new Uint32Array(people.customers)
    this.heap = new Int32Array(people.customers)
  }

  /** Puts everybody where the stored counts say. */
  restore(state: State): void {
    this.changed.clear()
    this.done.fill(0)
    const fromMs = stretchOverDay(this.people.startAt.getTime(), this.people.wakingHours)
    for (let c = 0; c < this.people.customers; c++) {
      this.rawMs[c] = this.people.arrivesLater(c) ? this.people.addedAtMs(c) : fromMs + this.intervalMs(c, 0)
    }
    for (const row of state.all<{ customer: number; done: number; raw_ms: number }>('SELECT * FROM life')) {
      this.done[row.customer] = row.done
      this.rawMs[row.customer] = row.raw_ms
    }
    for (let c = 0; c < this.people.customers; c++) {
      this.place(c)
      this.heap[c] = c
    }
    for (let i = (this.heap.length >> 1) - 1; i >= 0; i--) this.sink(i)
  }

  get nextAtMs(): number | undefined {
    const nextMs = this.heap.length === 0 ? NEVER_MS : this.atMs[this.heap[0]!]!
    return nextMs < NEVER_MS ? nextMs : undefined
  }

  /** Takes the earliest event; its customer's next one takes its place. */
  take(): LifeEvent | undefined {
    if (this.nextAtMs === undefined) return undefined
    const customer = this.heap[0]!
    const n = this.done[customer]!
    const kind = n === 0 && this.people.arrivesLater(customer) ? 'arrival' : this.kindOf(customer, n)
    const event: LifeEvent = { customer, kind, atMs: this.atMs[customer]!, n }
    this.done[customer] = n + 1
    this.rawMs[customer]! += this.intervalMs(customer, n + 1)
    this.place(customer)
    this.sink(0)
    this.changed.add(customer)
    return event
  }

  get isChanged(): boolean {
    return this.changed.size > 0
  }

  /** Stores the counts that changed since the last time. */
  flush(state: State): void {
    if (this.changed.size === 0) return
    const rows = [...this.changed].map((c) => [c, this.done[c]!, this.rawMs[c]!])
    state.run(
      'INSERT OR REPLACE INTO life SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?)',
      JSON.stringify(rows),
    )
    this.changed.clear()
  }

  private place(customer: number): void {
    const rawMs = this.rawMs[customer]!
    this.atMs[customer] = rawMs < NEVER_MS ? squeezeIntoDay(rawMs, this.people.wakingHours) : NEVER_MS
  }

  /** Until his event number `n`. */
  private intervalMs(customer: number, n: number): number {
    if (this.perYear === 0) return NEVER_MS
    const waits = -Math.log(1 - quickUnitOf(this.seed, INTERVAL, customer, n))
    return Math.ceil((waits * YEAR_MS) / (this.perYear * this.people.liveliness(customer)))
  }

  private kindOf(customer: number, n: number): LifeKind {
    let left = quickUnitOf(this.seed, KIND, customer, n) * this.perYear
    return (this.kinds.find(([, rate]) => (left -= rate) < 0) ?? this.kinds[0]!)[0]
  }

  private sink(from: number): void {
    const { heap } = this
    const customer = heap[from]!
    let at = from
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && this.isBefore(heap[child + 1]!, heap[child]!)) child++
      if (!this.isBefore(heap[child]!, customer)) break
      heap[at] = heap[child]!
      at = child
    }
    heap[at] = customer
  }

  private isBefore(a: number, b: number): boolean {
    return this.atMs[a]! < this.atMs[b]! || (this.atMs[a] === this.atMs[b] && a < b)
  }
}
