import type { CompileOptions, Evaluable } from './compile.js'
import { type Comparators, type EventClause, type Rule } from './rule.js'
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
  { segments, instants }: Pick<CompileOptions, 'segments' | 'instants'>,
  sinceMs: number,
  nowMs: number,
  profiles?: { from: number; to: number },
): string | undefined {
  const edges = new Map<string, Set<number>>()
  const read = { segments, instants, edges }
  for (const e of evaluables) collectOf(e, read)
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

/** What is being read, and the edges found so far: by event, how long ago. */
type Reading = Pick<CompileOptions, 'segments' | 'instants'> & { edges: Map<string, Set<number>> }

function collectOf(e: Evaluable, read: Reading): void {
  if ('rule' in e) return collectEdges(e.rule, read)
  const { tag } = e
  if (tag.type === 'flag') collectEdges(tag.when, read)
  else if (tag.type === 'choice') tag.cases.forEach((c) => collectEdges(c.when, read))
  else if (tag.type === 'number') {
    if (tag.value !== undefined) addEdges(tag.value, read.edges)
    tag.score?.points.forEach((p) => addEdges(p, read.edges))
    if (tag.score?.unless !== undefined) collectEdges(tag.score.unless, read)
  }
}

function collectEdges(rule: Rule, read: Reading): void {
  if ('all' in rule) rule.all.forEach((r) => collectEdges(r, read))
  else if ('any' in rule) rule.any.forEach((r) => collectEdges(r, read))
  else if ('not' in rule) collectEdges(rule.not, read)
  else if ('segment' in rule) {
    const behind = read.segments.get(rule.segment)
    if (behind !== undefined) collectEdges(behind, read)
  } else if ('event' in rule) addEdges(rule, read.edges)
  else if ('tag' in rule) addDays(rule.tag, rule, read)
  else if ('score' in rule) addDays(rule.score, rule, read)
}

/** A tag of whole days passes a bound when the bound, or the day after it, is reached. */
function addDays(tagId: string, c: Comparators, { instants, edges }: Reading): void {
  const aggregate = instants.get(tagId)
  if (aggregate === undefined) return
  const bounds = [c.is, ...(c.in ?? []), c.gte, c.gt, c.lte, c.lt].map(Number).filter(Number.isFinite)
  const offsets = edges.get(aggregate.event) ?? new Set<number>()
  for (const days of bounds) for (const edge of [Math.ceil(days), Math.floor(days) + 1]) offsets.add(edge * DAY_MS)
  edges.set(aggregate.event, offsets)
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
