import { closedNumbersTable, tagChangesTable } from '../events/tables.js'
import { own } from '../../parse.js'
import { tagReads } from '../tags/definition.js'
import { evaluateBool, evaluateText, type ProfileFigures } from './expression.js'
import { boolSql, textSql } from './expression-sql.js'
import type { Figure } from './figures.js'
import { figuresSql, peopleSql, type SourceOptions, sourceSql, stateSql } from './figures-sql.js'
import { collectReads, describeRule, partsOf, type Reads, type Rule, rulesBehind } from './rule.js'
import type { Scope } from './scope.js'
import type { Knowledge } from './source.js'
import { literal, SMALL_QUERY } from './sql.js'
import { type Evaluable, Tree, type TreeOptions } from './tree.js'

export type { Evaluable, Knowledge, Scope }

export type CompileOptions = TreeOptions & SourceOptions

/** Every event, trait, identifier and tag an evaluable looks at, segments followed. */
export function readsOf(evaluable: Evaluable, segments: ReadonlyMap<string, Rule>): Reads {
  const reads = 'tag' in evaluable ? tagReads(evaluable.tag) : collectReads(evaluable.rule)
  for (const segment of reads.segments) {
    const rule = segments.get(segment)
    if (rule !== undefined) collectReads(rule, reads) // a Set grows while it is walked, so nested segments are followed too
  }
  return reads
}

/** What their values follow from, as text: the evaluables, and the rules of all segments that they read. */
export function textOfRules(evaluables: readonly Evaluable[], segments: ReadonlyMap<string, Rule>): string {
  const names = new Set(evaluables.flatMap((e) => [...readsOf(e, segments).segments]))
  const read = [...names].sort().map((name) => [name, segments.get(name)])
  return JSON.stringify(read.length === 0 ? evaluables : [evaluables, read])
}

/**
 * SELECT of what changed: columns `p` (profile id), `id`, `old`, `new`; one row per difference from the stored state,
 * ordered by p, id. Everything is decided in one pass over the events of the scope: equal aggregates share a column.
 */
export function compileDeltas(evaluables: readonly Evaluable[], options: CompileOptions): string {
  const tree = treeOf(evaluables, options)
  return `${deltasSql(tree, evaluables, options)}
ORDER BY p, id
${analyzerFor(evaluables.length, tree.levels.length)}`
}

/** Tags that read tags, one above the other, in one query: planning grows with their square. */
const LEVELS_A_PASS = 20

/**
 * What is appended together. Tags on more levels than one query takes are appended in several passes, in order: a later one
 * reads what an earlier one recorded.
 */
export function passesOf(evaluables: readonly Evaluable[], options: TreeOptions): Evaluable[][] {
  const tree = treeOf(evaluables, options)
  const passes: Evaluable[][] = []
  for (const e of evaluables) (passes[Math.floor(tree.levelOf(e) / LEVELS_A_PASS)] ??= []).push(e)
  return passes
}

/** What a range of profiles is appended to the log as. */
export type AppendOptions = TreeOptions & {
  range: { from: number; to: number }
  /** Number of the evaluation: nothing that a higher one brought is read, and nothing is appended once it is closed. */
  seq: number
  knownAtMs: number
  cause: string
  /** Profiles of the range that are left out. */
  without: readonly number[]
}

/** SELECT of rows of `tag_changes`: the differences of `compileDeltas`, of a range. */
export function compileAppend(evaluables: readonly Evaluable[], options: AppendOptions): string {
  const { range, seq, nowMs, knownAtMs, cause, without } = options
  const scope = { kind: 'all', fromProfileId: range.from, toProfileId: range.to, upTo: seq } as const
  const row: { [K in keyof (typeof tagChangesTable)['columns']]: string } = {
    tag_id: 'id',
    profile_id: 'p',
    changed_at: instant(nowMs),
    old_value: 'old',
    new_value: 'new',
    cause: literal(cause),
    version: literal(seq),
    known_at: instant(knownAtMs),
    seq: literal(seq),
  }
  const columns = Object.keys(tagChangesTable.columns) as (keyof typeof row)[]
  const tree = treeOf(evaluables, options)
  return `SELECT ${columns.map((column) => row[column]).join(', ')}
FROM (${deltasSql(tree, evaluables, { scope }, notAmong(without, range))})
WHERE (SELECT count() FROM ${closedNumbersTable.name} WHERE ${closedNumbersTable.name}.seq >= ${seq}) = 0
${analyzerFor(evaluables.length, tree.levels.length)}`
}

function deltasSql(tree: Tree, evaluables: readonly Evaluable[], options: SourceOptions, where = ''): string {
  // Old values stand in the array too: a column that the function reads from outside is copied for each of its items.
  const values = evaluables.map((e) => `(${literal(e.id)}, ${textSql(tree.valueOf(e))}, st[${literal(e.id)}])`)
  return `SELECT p, tupleElement(o, 1) AS id, tupleElement(o, 3) AS old, tupleElement(o, 2) AS new
FROM (
  SELECT p, arrayJoin(arrayFilter(x -> x.2 != x.3, [${values.join(',\n    ')}])) AS o
  FROM ${sourceSql(tree, options)}${where}
)`
}

/** With all of them built: only then it is known who is read. */
function treeOf(evaluables: readonly Evaluable[], options: TreeOptions): Tree {
  const tree = new Tree(evaluables, options)
  for (const e of evaluables) tree.valueOf(e)
  return tree
}

/** ` WHERE …` for ids of a range. A bit each, since a list of them all may be longer than a query is allowed to be. */
function notAmong(ids: readonly number[], { from, to }: { from: number; to: number }): string {
  if (ids.length === 0) return ''
  const bits = Buffer.alloc(Math.ceil((to - from) / 8))
  for (const id of ids) bits[(id - from) >> 3]! |= 1 << ((id - from) & 7) // of the range, so there is such a byte
  const byte = `reinterpretAsUInt8(substring(unhex('${bits.toString('hex')}'), 1 + intDiv(p - ${from}, 8), 1))`
  return ` WHERE NOT bitTest(${byte}, (p - ${from}) % 8)`
}

function instant(ms: number): string {
  return `fromUnixTimestamp64Milli(toInt64(${ms}), 'UTC')`
}

/**
 * How many of the others each reads one behind the other, by id.
 *
 * @throws {RangeError} when tags or segments read each other in a circle
 */
export function levelsOf(evaluables: readonly Evaluable[], options: TreeOptions): Map<string, number> {
  const tree = treeOf(evaluables, options)
  return new Map(evaluables.map((e) => [e.id, tree.levelOf(e)]))
}

/** Planning dominates small queries: the new analyzer plans few expressions quicker, and deep queries, the old one many. */
const analyzerFor = (expressions: number, levels = 0) =>
  `SETTINGS enable_analyzer = ${expressions <= 5 || levels > 4 ? 1 : 0}`

/** SELECT of `p` and `holds`, 0 or 1 for each of the rules in order: everybody of the scope, ordered by p. */
export function compileHolds(rules: readonly Rule[], options: CompileOptions): string {
  const tree = new Tree([], options)
  const tests = rules.map((rule) => boolSql(tree.test(rule)))
  return `SELECT p, [${tests.join(',\n    ')}] AS holds
FROM ${sourceSql(tree, options)}
ORDER BY p
${analyzerFor(rules.length)}`
}

/** SELECT of one row: `n`, of how many people of the scope the rule holds, and `first`, at most `limit` of their ids, ascending. */
export function compileMatching(rule: Rule, options: CompileOptions, limit: number): string {
  const tree = new Tree([], options)
  const test = boolSql(tree.test(rule))
  return `SELECT count() AS n, arraySlice(arraySort(groupArray(p)), 1, ${limit}) AS first
FROM ${sourceSql(tree, options)}
WHERE ${test}
${analyzerFor(1)}`
}

/** What is known of a touched profile outside its events. */
export type KnownProfile = {
  profileId: number
  /** Her consent among them: `CONSENT`. */
  traits: Readonly<Record<string, string>>
  identifierTypes: readonly string[]
}

/** For the profiles just touched: SQL gives the figures, the same compiled rules are computed here. */
export type TouchedQuery = {
  /** SELECT of `p`, `traits`, `identifier_types`, `consent`; absent for what is known now, which documents tell. */
  peopleSql: string | undefined
  /** SELECT of `p` and the aggregate columns; absent when no rule reads events. */
  figuresSql: string | undefined
  /** SELECT of `p`, `id`, `value`: the stored state of the evaluated and the read tags; absent when none is needed. */
  stateSql: string | undefined
  /** The same figures and tags, for who has events and state at hand. */
  figures: readonly Figure[]
  storedTags: ReadonlySet<string>
  nowMs: number
}

export type Delta = { p: number; id: string; old: string; new: string }

/** As `compileDeltas`, in small queries and code; `tests` are rules that are wanted beside, on the fresh values. */
export function compileTouched(
  evaluables: readonly Evaluable[],
  options: CompileOptions,
  tests: readonly Rule[] = [],
): TouchedQuery & {
  deltas: (profiles: readonly Touched[]) => Delta[]
  /** Of every evaluable, in order of the ids. */
  values: (figures: ProfileFigures) => { id: string; value: string }[]
  holds: (figures: ProfileFigures) => boolean[]
} {
  const tree = treeOf(evaluables, options)
  const compiledTests = tests.map((rule) => tree.test(rule))
  const complete = completing(tree)
  const values = evaluables.map((e) => ({ id: e.id, value: tree.valueOf(e) })).sort((a, b) => (a.id < b.id ? -1 : 1))
  return {
    ...touchedQuery(tree, options),
    holds: (figures) => {
      const whole = complete(figures)
      return compiledTests.map((test) => evaluateBool(test, whole))
    },
    values: (figures) => {
      const whole = complete(figures)
      return values.map(({ id, value }) => ({ id, value: evaluateText(value, whole) }))
    },
    deltas: (profiles) =>
      profiles.flatMap((t) => {
        const whole = complete(t.figures)
        return values.flatMap(({ id, value }) => {
          const old = own(whole.stored, id) ?? ''
          const now = evaluateText(value, whole)
          return now === old ? [] : [{ p: t.profileId, id, old, new: now }]
        })
      }),
  }
}

/** Computes the columns of tags that others read, beside those of figures. */
function completing({ levels }: Tree): (figures: ProfileFigures) => ProfileFigures {
  const steps = levels.flat()
  if (steps.length === 0) return (figures) => figures
  return (figures) => {
    const columns = { ...figures.columns }
    const whole = { ...figures, columns }
    for (const { column, value } of steps) columns[column] = evaluateText(value, whole)
    return whole
  }
}

export type Touched = { profileId: number; figures: ProfileFigures }

/** A rule with, per clause, whether it held and the figure behind it. */
export type Explanation = { clause: string; holds: boolean; figure?: string; parts?: Explanation[] }

/** Why a rule holds or not for one profile; what a segment says is explained as part of the clause that names it. */
export function compileExplain(
  rule: Rule,
  options: CompileOptions,
): TouchedQuery & { explain: (figures: ProfileFigures) => Explanation } {
  const tree = new Tree([], options)
  const build = (r: Rule): ((f: ProfileFigures) => Explanation) => {
    const test = tree.test(r)
    const figure = tree.figure(r)
    const parts = [...partsOf(r).map((p) => p.rule), ...rulesBehind(r, options.segments)].map(build)
    return (f) => ({
      clause: describeRule(r),
      holds: evaluateBool(test, f),
      ...(parts.length > 0 ? { parts: parts.map((p) => p(f)) } : { figure: evaluateText(figure, f) }),
    })
  }
  const explain = build(rule)
  const complete = completing(tree)
  return { ...touchedQuery(tree, options), explain: (figures) => explain(complete(figures)) }
}

/** The small queries for touched profiles, once all expressions are built. */
function touchedQuery(tree: Tree, options: SourceOptions): TouchedQuery {
  const { figures, storedTags, nowMs } = tree
  const { knowledge = 'now' } = options
  return {
    peopleSql: knowledge === 'now' ? undefined : `${peopleSql(tree, options)} ${SMALL_QUERY}`,
    figuresSql: figures.length === 0 ? undefined : `${figuresSql(tree, options)} ${SMALL_QUERY}`,
    stateSql: storedTags.size === 0 ? undefined : `${stateSql(tree, options)} ${SMALL_QUERY}`,
    figures,
    storedTags,
    nowMs,
  }
}
