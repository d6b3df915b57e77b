/**
 * Whose turn it is in one group: first come, first served, at most `concurrency` at a time, and of one name one at a
 * time. Who waits for a name that is busy holds up nobody else.
 */
export class Turns<T> {
  private readonly queues = new Map<string, Fifo<{ turn: number; item: T }>>()
  private readonly busy = new Set<string>()
  private lastTurn = 0
  private size = 0

  constructor(private readonly concurrency: number) {}

  get waiting(): number {
    return this.size
  }

  get active(): number {
    return this.busy.size
  }

  isBusy(name: string): boolean {
    return this.busy.has(name)
  }

  push(name: string, item: T): void {
    let queue = this.queues.get(name)
    if (queue === undefined) this.queues.set(name, (queue = new Fifo()))
    queue.push({ turn: ++this.lastTurn, item })
    this.size++
  }

  /** The next that may run now; its name is busy until `leave`. */
  take(): T | undefined {
    if (this.busy.size >= this.concurrency) return undefined
    let next: { name: string; turn: number } | undefined
    for (const [name, queue] of this.queues) {
      const { turn } = queue.first!
      if (!this.busy.has(name) && (next === undefined || turn < next.turn)) next = { name, turn }
    }
    if (next === undefined) return undefined
    const queue = this.queues.get(next.name)!
    const { item } = queue.take()!
    if (queue.size === 0) this.queues.delete(next.name)
    this.busy.add(next.name)
    this.size--
    return item
  }

  leave(name: string): void {
    this.busy.delete(name)
  }

  /** Forgets who waits. */
  clear(): void {
    this.queues.clear()
    this.size = 0
  }
}

/** First in, first out, in constant time however long it gets. */
class Fifo<T> {
  private items: T[] = []
  private head = 0

  get size(): number {
    return this.items.length - this.head
  }

  get first(): T | undefined {
    return this.items[this.head]
  }

  push(item: T): void {
    this.items.push(item)
  }

  take(): T | undefined {
    if (this.size === 0) return undefined
    const item = this.items[this.head++]
    if (this.head > 1_000 && this.head * 2 > this.items.length) {
      this.items = this.items.slice(this.head)
      this.head = 0
    }
    return item
  }
}
