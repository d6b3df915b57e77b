import type { Span } from '../../domain/rules/crossings.js'

type Instant = { ms: number; profileId: number }

/** When events happened, to be asked who has one in a span of time: by name, in order of time where that was asked for. */
export class Instants {
  private readonly byName = new Map<string, { instants: Instant[]; isSorted: boolean }>()

  add(profileId: number, { name, ms }: { name: string; ms: number }): void {
    const own = this.byName.get(name) ?? { instants: [], isSorted: true }
    own.isSorted &&= ms >= (own.instants.at(-1)?.ms ?? -Infinity)
    own.instants.push({ ms, profileId })
    this.byName.set(name, own)
  }

  /** Who has an event in one of the spans of its name. */
  within(spans: ReadonlyMap<string, readonly Span[]>): Set<number> {
    const found = new Set<number>()
    for (const [name, own] of spans) {
      const instants = this.sorted(name)
      for (const [from, to] of own)
        for (let i = firstFrom(instants, from); i < instants.length && instants[i]!.ms <= to; i++)
          found.add(instants[i]!.profileId)
    }
    return found
  }

  clear(): void {
    this.byName.clear()
  }

  private sorted(name: string): readonly Instant[] {
    const own = this.byName.get(name)
    if (own === undefined) return []
    if (!own.isSorted) own.instants.sort((a, b) => a.ms - b.ms)
    own.isSorted = true
    return own.instants
  }
}

/** Where the first one at `ms` or later stands. */
function firstFrom(instants: readonly Instant[], ms: number): number {
  let [low, high] = [0, instants.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if (instants[middle]!.ms < ms) low = middle + 1
    else high = middle
  }
  return low
}
