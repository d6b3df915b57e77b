import type { Evaluable } from './compile.js'
import { type EventClause, type Rule } from './rule.js'
import { literal, SMALL_QUERY } from './sql.js'

const DAY_MS = 86_400_000

/**
 * SELECT of `p`: the profiles (those merged away since among them) for which the passing of time from `sinceMs` to `nowMs`
 * can have changed a rule, because an event of theirs crossed the edge of a window. Only windows over events move by
 * themselves. An event dated ahead of its arrival crosses none: a full refresh finds it.
 *
 * @param profiles - only ids from `from` up to, not including, `to`
 * @returns undefined when none of the rules has a window
 */
export function compileCrossings(
  evaluables: readonly Evaluable[],
  segments: ReadonlyMap<string, Rule>,
  sinceMs: number,
  nowMs: number,
  profiles?: { from: number; to: number },
): string | undefined {
  const edges = new Map<string, Set<number>>()
  for (const e of evaluables) collectOf(e, segments, edges)
  const tests = [...edges].flatMap(([event, offsets]) => {
    const inside = [...offsets].map((ms) => `(ms >= ${sinceMs - ms} AND ms <= ${nowMs - ms})`)
    return inside.length === 0 ? [] : [`(name = ${literal(event)} AND (${inside.join(' OR ')}))`]
  })
  if (tests.length === 0) return undefined
  const range = profiles === undefined ? '' : ` WHERE profile_id >= ${profiles.from} AND profile_id < ${profiles.to}`
  return `SELECT DISTINCT profile_id AS p FROM (
  SELECT profile_id, name, toUnixTimestamp64Milli(occurred_at) AS ms FROM events${range}
) WHERE ${tests.join(' OR ')} ORDER BY p ${SMALL_QUERY}`
}

/** A number of days since something grows by itself for everybody: no edge tells when. */
export function countsDays(e: Evaluable): boolean {
  return 'tag' in e && e.tag.type === 'number' && e.tag.value?.daysSince === true
}

function collectOf(e: Evaluable, segments: ReadonlyMap<string, Rule>, edges: Map<string, Set<number>>): void {
  if ('rule' in e) return collectEdges(e.rule, segments, edges)
  const { tag } = e
  if (tag.type === 'flag') collectEdges(tag.when, segments, edges)
  else if (tag.type === 'choice') tag.cases.forEach((c) => collectEdges(c.when, segments, edges))
  else if (tag.type === 'number') {
    if (tag.value !== undefined) addEdges(tag.value, edges)
    tag.score?.points.forEach((p) => addEdges(p, edges))
    if (tag.score?.unless !== undefined) collectEdges(tag.score.unless, segments, edges)
  }
}

function collectEdges(rule: Rule, segments: ReadonlyMap<string, Rule>, edges: Map<string, Set<number>>): void {
  if ('all' in rule) rule.all.forEach((r) => collectEdges(r, segments, edges))
  else if ('any' in rule) rule.any.forEach((r) => collectEdges(r, segments, edges))
  else if ('not' in rule) collectEdges(rule.not, segments, edges)
  else if ('segment' in rule) {
    const behind = segments.get(rule.segment)
    if (behind !== undefined) collectEdges(behind, segments, edges)
  } else if ('event' in rule) addEdges(rule, edges)
}

function addEdges(
  {
    event,
    within,
    between,
    daysSince,
  }: Pick<EventClause, 'event' | 'within' | 'between'> & { daysSince?: EventClause['daysSince'] | true },
  edges: Map<string, Set<number>>,
): void {
  const days = typeof daysSince === 'object' ? Object.values(daysSince) : []
  const offsets = edges.get(event) ?? new Set<number>()
  for (const ms of [...(within === undefined ? [] : [within]), ...(between ?? []), ...days.map((d) => d * DAY_MS)])
    offsets.add(ms)
  edges.set(event, offsets)
}
