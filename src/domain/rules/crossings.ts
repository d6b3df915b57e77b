import type { Evaluable } from './compile.js'
import { type EventClause, type Rule } from './rule.js'
import { literal, SMALL_QUERY } from './sql.js'

const DAY_MS = 86_400_000

/**
 * SELECT of `p`: the profiles for which the passing of time from `sinceMs` to `nowMs` can have changed a rule, because an
 * event of theirs crossed the edge of a window. Only windows over events move by themselves.
 *
 * @returns undefined when none of the rules has a window
 */
export function compileCrossings(
  evaluables: readonly Evaluable[],
  segments: ReadonlyMap<string, Rule>,
  sinceMs: number,
  nowMs: number,
): string | undefined {
  const edges = new Map<string, Set<number>>()
  for (const e of evaluables) if ('rule' in e) collectEdges(e.rule, segments, edges)
  const tests = [...edges].flatMap(([event, offsets]) => {
    const inside = [...offsets].map((ms) => `(ms >= ${sinceMs - ms} AND ms <= ${nowMs - ms})`)
    return inside.length === 0 ? [] : [`(name = ${literal(event)} AND (${inside.join(' OR ')}))`]
  })
  if (tests.length === 0) return undefined
  return `SELECT DISTINCT if(m.merged_into = 0, profile_id, m.merged_into) AS p
FROM (SELECT profile_id, name, toUnixTimestamp64Milli(occurred_at) AS ms FROM events WHERE ${tests.join(' OR ')}) AS e
LEFT ANY JOIN (SELECT profile_id, merged_into FROM profiles FINAL WHERE merged_into != 0) AS m USING (profile_id)
ORDER BY p ${SMALL_QUERY}`
}

function collectEdges(rule: Rule, segments: ReadonlyMap<string, Rule>, edges: Map<string, Set<number>>): void {
  if ('all' in rule) rule.all.forEach((r) => collectEdges(r, segments, edges))
  else if ('any' in rule) rule.any.forEach((r) => collectEdges(r, segments, edges))
  else if ('not' in rule) collectEdges(rule.not, segments, edges)
  else if ('segment' in rule) {
    const behind = segments.get(rule.segment)
    if (behind !== undefined) collectEdges(behind, segments, edges)
  } else if ('event' in rule) {
    const offsets = edges.get(rule.event) ?? new Set()
    for (const ms of edgesOf(rule)) offsets.add(ms)
    edges.set(rule.event, offsets)
  }
}

function edgesOf({ within, between, daysSince }: EventClause): number[] {
  return [
    0, // an event dated ahead of its arrival
    ...(within === undefined ? [] : [within]),
    ...(between ?? []),
    ...Object.values(daysSince ?? {}).map((days) => days * DAY_MS),
  ]
}
