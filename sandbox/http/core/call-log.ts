/** One call as it was answered. `errcode` is missing where no JSON went out. */
export type LoggedCall = {
  at: Date
  app: string
  ip: string
  path: string
  errcode?: number
  /** Kind of the injected fault. */
  fault?: string
}
export type CallCounts = {
  calls: number
  /** By errcode as text; `-` for calls that got no JSON. */
  byCode: Record<string, number>
  /** Refused by a block that was known already: 45009 after the first. */
  insideBlock: number
}

const KEPT = 1_000

/** The last calls, and how many of each path ended with which code since this process started. */
export class CallLog {
  private readonly ring: LoggedCall[] = []
  private readonly counts = new Map<string, CallCounts>()
  private ended = 0
  total = 0

  /** The number of this call among those of its path, from 0. */
  begin(path: string): number {
    this.total++
    return this.countsOf(path).calls++
  }

  end(call: LoggedCall, insideBlock: boolean): void {
    const counts = this.countsOf(call.path)
    const code = String(call.errcode ?? '-')
    counts.byCode[code] = (counts.byCode[code] ?? 0) + 1
    if (insideBlock) counts.insideBlock++
    this.ring[this.ended++ % KEPT] = call
  }

  /** The last calls, newest first. */
  last(limit = 100): LoggedCall[] {
    const newest = this.ended - 1
    const calls: LoggedCall[] = []
    for (let i = newest; i > newest - KEPT && calls.length < limit; i--) {
      const call = i < 0 ? undefined : this.ring[i % KEPT]
      if (call !== undefined) calls.push(call)
    }
    return calls
  }

  byPath(): Record<string, CallCounts> {
    return Object.fromEntries([...this.counts].sort(([a], [b]) => (a < b ? -1 : 1)))
  }

  private countsOf(path: string): CallCounts {
    let counts = this.counts.get(path)
    if (counts === undefined) {
      counts = { calls: 0, byCode: {}, insideBlock: 0 }
      this.counts.set(path, counts)
    }
    return counts
  }
}
