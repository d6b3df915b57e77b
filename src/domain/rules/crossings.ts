import { eventsTable } from '../events/tables.js'
import { tagKindOf } from '../tags/definition.js'
import { clauseOf, walkRule } from './rule.js'
import { literal, SMALL_QUERY } from './sql.js'
import type { Evaluable, TreeOptions } from './tree.js'
import type { CountedFrom, TimeEdge } from './windows.js'

/** Milliseconds after an event of a name at which it crosses an edge. */
type Edges = Map<string, Set<number>>

/** From and to, both included, in ms. */
export type Span = readonly [fromMs: number, toMs: number]

export type Crossings = {
  /** SELECT of `p`: profiles with such an event, those merged away since among them. */
  sql: string
  /** When such events happened, by their name. */
  spans: ReadonlyMap<string, readonly Span[]>
}

/**
 * Events that crossed the edge of a window from `sinceMs` to `nowMs`: for nobody else can the passing of that time have
 * changed a rule. Only windows over events, and days since one, move by themselves. An event dated ahead of its arrival
 * crosses none: a full refresh finds it.
 *
 * @param profiles - only ids from `from` up to, not including, `to`
 * @returns undefined when none of the rules has a window
 */
export function compileCrossings(
  evaluables: readonly Evaluable[],
  defined: Pick<TreeOptions, 'segments' | 'tags'>,
  sinceMs: number,
  nowMs: number,
  profiles?: { from: number; to: number },
): Crossings | undefined {
  const edges: Edges = new Map()
  const countedFrom = countedFromOf(defined.tags)
  for (const e of evaluables) collectEdges(e, defined.segments, countedFrom, edges)
  const spans = new Map(
    [...edges].flatMap(([event, offsets]) => {
      const own = [...offsets].map((ms): Span => [sinceMs - ms, nowMs - ms])
      return own.length === 0 ? [] : [[event, own] as const]
    }),
  )
  if (spans.size === 0) return undefined
  const tests = [...spans].map(([event, own]) => {
    const inside = own.map(([from, to]) => `(ms >= ${from} AND ms <= ${to})`)
    return `(name = ${literal(event)} AND (${inside.join(' OR ')}))`
  })
  const range = profiles === undefined ? '' : ` WHERE profile_id >= ${profiles.from} AND profile_id < ${profiles.to}`
  const sql = `SELECT DISTINCT profile_id AS p FROM (
  SELECT profile_id, name, toUnixTimestamp64Milli(occurred_at) AS ms FROM ${eventsTable.name}${range}
) WHERE ${tests.join(' OR ')} ORDER BY p ${SMALL_QUERY}`
  return { sql, spans }
}

export function countedFromOf(tags: TreeOptions['tags']): CountedFrom {
  const events = new Map(tags.map((tag) => [tag.id, tagKindOf(tag).countedFrom(tag)]))
  return (tagId) => events.get(tagId)
}

function collectEdges(e: Evaluable, segments: TreeOptions['segments'], countedFrom: CountedFrom, edges: Edges): void {
  if ('tag' in e) for (const edge of tagKindOf(e.tag).edges(e.tag)) addEdge(edge, edges)
  const rules =
    'rule' in e
      ? [e.rule]
      : tagKindOf(e.tag)
          .rules(e.tag)
          .map((at) => at.rule)
  for (const rule of rules)
    for (const at of walkRule(rule, [], segments))
      for (const edge of clauseOf(at.rule).edges(at.rule, countedFrom)) addEdge(edge, edges)
}

function addEdge({ event, afterMs }: TimeEdge, edges: Edges): void {
  edges.set(event, new Set([...(edges.get(event) ?? []), ...afterMs]))
}
