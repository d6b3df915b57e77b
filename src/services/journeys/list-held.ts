import type { Filter } from '../../ports/document-language.js'
import type { Run } from '../../stored/journeys.js'
import type { Deps } from '../runtime/deps.js'

/** Runs that stand at the same place for the same reason. */
export type HeldRuns = { journeyId: string; version: number; reason: string; runs: number; since: string }

const HELD: Filter<Run> = { state: 'waiting', 'held.since': { $gte: new Date(0) } }
const SHOWN_MAX = 20

/** How many runs nobody can decide. */
export async function countHeld({ runs }: Pick<Deps['docs'], 'runs'>): Promise<number> {
  return runs.count(HELD)
}

/** Why runs cannot go on, those that stand for most first, 20 reasons at most; `since` is ISO 8601. */
export async function listHeld({ docs }: Pick<Deps, 'docs'>): Promise<{ runs: number; groups: HeldRuns[] }> {
  const groups = new Map<string, HeldRuns>()
  let runs = 0
  for await (const batch of docs.runs.scan(HELD, undefined, { skipUnfit: true })) {
    for (const { journeyId, version, held } of batch) {
      if (held === undefined) continue
      const key = JSON.stringify([journeyId, version, held.reason])
      const since = held.since.toISOString()
      const group = groups.get(key) ?? { journeyId, version, reason: held.reason, runs: 0, since }
      groups.set(key, { ...group, runs: group.runs + 1, since: since < group.since ? since : group.since })
      runs++
    }
  }
  const order = [...groups.values()].sort((a, b) => b.runs - a.runs || (a.since < b.since ? -1 : 1))
  return { runs, groups: order.slice(0, SHOWN_MAX) }
}
