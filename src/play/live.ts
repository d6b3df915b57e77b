import type { ServiceDeps } from '../services/runtime/deps.js'
import { type Work, workTimes } from '../services/runtime/lanes.js'

/** What lives through virtual time, instant by instant. */
export type Life = {
  /** The first instant. */
  from: Date
  /** Comes to an instant: the clock, and whatever happens outside the service until then. */
  arrive: (at: Date) => Promise<void>
  /** Works off one lane, or one shard of it. */
  work: (due: Work) => Promise<void>
  /** The next instant, after `at`; undefined: it is over. @param later - when each lane has work again */
  next: (at: Date, later: readonly Work[]) => Promise<Date | undefined> | Date | undefined
  but?: readonly string[]
  signal?: AbortSignal | undefined
}

/** Lives from instant to instant: arrive, work off, look when there is work again. */
export async function live(deps: ServiceDeps, { from, arrive, work, next, but, signal }: Life): Promise<void> {
  for (let at: Date | undefined = from; at !== undefined;) {
    signal?.throwIfAborted()
    await arrive(at)
    at = await next(at, await workOff(deps, work, { ...(but !== undefined && { but }) }))
  }
}

const MAX_ROUNDS = 1_000

/**
 * Works an instant of virtual time off, one lane after the other: those that are due in the order of the lanes, then those
 * that are due after that, until none is. Whoever lives through virtual time does so by this order, so that the same
 * input gives the same figures.
 *
 * @param options - `but`: lanes that are left alone; `shards`: into how many parts work is split
 * @returns when each lane has work again
 */
export async function workOff(
  deps: ServiceDeps,
  work: (due: Work) => Promise<void>,
  { but = [], shards = 1 }: { but?: readonly string[]; shards?: number } = {},
): Promise<Work[]> {
  const now = deps.clock.now()
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const times = await workTimes(deps, shards)
    const due = times.filter(({ name, at }) => at <= now && !but.includes(name))
    if (due.length === 0) return times
    for (const one of due) await work(one)
  }
  const names = (await workTimes(deps, shards)).flatMap(({ name, at }) => (at <= now ? [name] : []))
  throw new Error(`work at ${now.toISOString()} does not come to an end: ${names.join(', ')}`)
}

/** The earliest of some instants at which lanes have work, but those named. */
export function earliestOf(times: readonly Work[], but: readonly string[] = []): Date | undefined {
  const known = times.filter(({ name }) => !but.includes(name)).map(({ at }) => at.getTime())
  return known.length === 0 ? undefined : new Date(Math.min(...known))
}
