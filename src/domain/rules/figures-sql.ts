import { CONSENT } from '../identity/profile.js'
import { type Aggregation, AMOUNT, type Condition } from './expression.js'
import { boolSql, textSql } from './expression-sql.js'
import { nowSource } from './now-source.js'
import { happenedSource, thenSource } from './past-source.js'
import type { Scope } from './scope.js'
import type { Knowledge, Source } from './source.js'
import { literal, literals } from './sql.js'
import type { Tree } from './tree.js'

/** Of whom, and of what. Default: of what is known now. */
export type SourceOptions = { scope: Scope; knowledge?: Knowledge }

const sources: { [K in Knowledge]: Source } = { now: nowSource, then: thenSource, happened: happenedSource }

/**
 * The joined source with `p`, `traits`, `identifier_types`, `st` and the columns of the tree, whose expressions are all built.
 * Each level of tags that are read is a SELECT around the one before.
 */
export function sourceSql(tree: Tree, options: SourceOptions): string {
  return tree.levels.reduce(
    (source, level) => {
      const columns = level.map(({ column, value }) => `${textSql(value)} AS ${column}`)
      return `(SELECT *, ${columns.join(',\n      ')}\n    FROM ${source})`
    },
    joinedSql(tree, options),
  )
}

function joinedSql(tree: Tree, options: SourceOptions): string {
  const { source, asked } = sourceOf(tree, options)
  const { p, id, value, from } = source.state(asked, tree.storedTags)
  const state = `SELECT ${named(p, 'p')}, mapFromArrays(groupArray(${id}), groupArray(${value})) AS st FROM ${from} GROUP BY p`
  const known = ['p', 'traits', 'identifier_types', ...(tree.traits.has(CONSENT) ? ['consent'] : []), 'st'].join(', ')
  const base = `(SELECT ${known} FROM (${source.people(asked, tree.traits)}) AS b LEFT JOIN (${state}) AS s USING (p))`
  const { figures } = tree
  if (figures.length === 0) return base
  return `(SELECT ${known}, ${figures.map((f) => f.column).join(', ')} FROM ${base} AS bs
    LEFT JOIN (${figuresSql(tree, options)}) AS e USING (p))`
}

/** SELECT of `p` and the columns of the tree, of those who have events. */
export function figuresSql(tree: Tree, options: SourceOptions): string {
  const { source, asked } = sourceOf(tree, options)
  const aggregations = tree.figures.map((f) => f.aggregation)
  const names = [...new Set(aggregations.map((a) => a.on.event))]
  const properties = propertiesOf(aggregations)
  const texts = [...properties.values()].map(
    ({ property, column, events }) =>
      `if(name IN (${literals([...events])}), ${propertySql(property)}, '') AS ${column}`,
  )
  const whole = aggregations.some((a) => a.of === 'sum' && a.property !== AMOUNT) ? ['properties'] : []
  const read = [
    'name',
    'toUnixTimestamp64Milli(occurred_at) AS ms',
    'event_id',
    'source',
    'amount_minor',
    'has_amount',
    ...whole,
    ...texts,
  ].join(', ')
  const where = `name IN (${literals(names)}) AND occurred_at <= fromUnixTimestamp64Milli(${tree.nowMs}, 'UTC')`
  const textOf: TextOf = (property) => properties.get(property)?.column ?? "if(has_amount, toString(amount_minor), '')"
  const columns = tree.figures.map(({ column, aggregation }) => `${aggregationSql(aggregation, textOf)} AS ${column}`)
  return `SELECT p, ${columns.join(',\n      ')}\n    FROM (${source.events(asked, read, where)}) GROUP BY p`
}

/** SELECT of `p`, `id`, `value`: the stored values of the tree's tags. */
export function stateSql(tree: Tree, options: SourceOptions): string {
  const { source, asked } = sourceOf(tree, options)
  const { p, id, value, from } = source.state(asked, tree.storedTags)
  return `SELECT ${named(p, 'p')}, ${named(id, 'id')}, ${value} FROM ${from}`
}

/** SELECT of `p`, `traits` (all of them), `identifier_types`, `consent`: the people of the scope. */
export function peopleSql(tree: Tree, options: SourceOptions): string {
  const { source, asked } = sourceOf(tree, options)
  return source.people(asked)
}

function sourceOf({ nowMs }: Tree, { scope, knowledge = 'now' }: SourceOptions) {
  return { source: sources[knowledge], asked: { nowMs, scope } }
}

function named(column: string, name: string): string {
  return column === name ? name : `${column} AS ${name}`
}

/** Where the text of a property stands. */
type TextOf = (property: string) => string

/** Over the rows of the events; equal instants are decided by the event id and its source. */
function aggregationSql(a: Aggregation, textOf: TextOf): string {
  const on = conditionSql(a.on, textOf)
  switch (a.of) {
    case 'count':
      return `countIf(${on})`
    case 'last':
      return `maxIf(ms, ${on})`
    case 'sum':
      return a.property === AMOUNT
        ? `sumIf(amount_minor, ${on})`
        : `sumIf(JSONExtractInt(properties, ${literal(a.property)}), ${on})`
    case 'atFirst':
      return `argMinIf(${textOf(a.property)}, (ms, event_id, source), ${on})`
    case 'atLast':
      return `argMaxIf(${textOf(a.property)}, (ms, event_id, source), ${on})`
  }
}

function conditionSql({ event, bounds, where }: Condition, textOf: TextOf): string {
  return [
    `name = ${literal(event)}`,
    ...bounds.map(({ sign, ms }) => `ms ${sign} ${ms}`),
    ...where.flatMap(({ tests }) => tests.map((test) => boolSql(test, textOf))),
  ].join(' AND ')
}

/** A property as text, '' when it is missing: strings without quotes, everything else as in JSON. */
function propertySql(property: string): string {
  const key = literal(property)
  return `if(JSONType(properties, ${key}) = 'String', JSONExtractString(properties, ${key}), JSONExtractRaw(properties, ${key}))`
}

/** Properties that are read as text, each taken out of the JSON once, of the events of which it is read. */
function propertiesOf(aggregations: readonly Aggregation[]) {
  const properties = new Map<string, { property: string; column: string; events: Set<string> }>()
  for (const a of aggregations) {
    const at = a.of === 'atFirst' || a.of === 'atLast' ? [a.property] : []
    for (const property of [...at, ...a.on.where.map((w) => w.property)]) {
      if (property === AMOUNT) continue
      const known = properties.get(property) ?? { property, column: `q${properties.size}`, events: new Set() }
      known.events.add(a.on.event)
      properties.set(property, known)
    }
  }
  return properties
}
