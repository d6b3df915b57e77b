import { eventsTable, profilesTable, tagStateTable } from '../events/tables.js'
import { type Aggregation, AMOUNT, type Condition } from './expression.js'
import { boolSql } from './expression-sql.js'
import { literal, literals } from './sql.js'
import type { Tree } from './tree.js'

/** Whom to look at. Merged profiles' events count for their survivor. */
export type Scope =
  | { kind: 'all'; fromProfileId?: number; toProfileId?: number }
  /** `aliases` are the ids of profiles that were merged into this one. */
  | { kind: 'profiles'; profiles: readonly { profileId: number; aliases: readonly number[] }[] }

/** The joined source with `p`, `traits`, `identifier_types`, `st` and the columns of the tree, whose expressions are all built. */
export function sourceSql(tree: Tree, scope: Scope): string {
  const profiles = `SELECT profile_id AS p, traits, identifier_types FROM ${profilesTable.name} FINAL WHERE merged_into = 0${profileFilter(scope, 'profile_id')}`
  const state = `SELECT profile_id AS p, mapFromArrays(groupArray(tag_id), groupArray(value)) AS st FROM ${tagStateTable.name} FINAL WHERE ${stateFilter(tree, scope)} GROUP BY p`
  const base = `(SELECT p, traits, identifier_types, st FROM (${profiles}) AS b LEFT JOIN (${state}) AS s USING (p))`
  const { figures } = tree
  if (figures.length === 0) return base
  return `(SELECT p, traits, identifier_types, st, ${figures.map((f) => f.column).join(', ')} FROM ${base} AS bs
    LEFT JOIN (${figuresSql(tree, scope)}) AS e USING (p))`
}

/** SELECT of `p` and the columns of the tree, of those who have events. */
export function figuresSql({ figures, nowMs }: Tree, scope: Scope): string {
  const columns = figures.map(({ column, aggregation }) => `${aggregationSql(aggregation)} AS ${column}`)
  const aggregations = figures.map((f) => f.aggregation)
  return `SELECT p, ${columns.join(',\n      ')}\n    FROM (${eventRowsSql(aggregations, nowMs, scope)}) GROUP BY p`
}

/** SELECT of `p`, `id`, `value`: the stored values of the tree's tags. */
export function stateSql(tree: Tree, scope: Scope): string {
  return `SELECT profile_id AS p, tag_id AS id, value FROM ${tagStateTable.name} FINAL WHERE ${stateFilter(tree, scope)}`
}

function stateFilter({ storedTags }: Tree, scope: Scope): string {
  return `tag_id IN (${literals(storedTags.size === 0 ? [''] : [...storedTags])})${profileFilter(scope, 'profile_id')}`
}

function eventRowsSql(aggregations: readonly Aggregation[], nowMs: number, scope: Scope): string {
  const names = [...new Set(aggregations.map((a) => a.on.event))]
  const columns = `name, toUnixTimestamp64Milli(occurred_at) AS ms, event_id, amount_minor${aggregations.some(readsProperties) ? ', properties' : ''}`
  const where = `name IN (${literals(names)}) AND occurred_at <= fromUnixTimestamp64Milli(${nowMs}, 'UTC')`
  if (scope.kind === 'profiles') {
    const ids = scope.profiles.flatMap((s) => [s.profileId, ...s.aliases])
    const pairs = scope.profiles.flatMap((s) => s.aliases.map((alias) => [alias, s.profileId] as const))
    const p =
      pairs.length === 0
        ? 'profile_id'
        : `transform(profile_id, [${pairs.map((x) => x[0]).join(', ')}], [${pairs.map((x) => x[1]).join(', ')}], profile_id)`
    return `SELECT ${p} AS p, ${columns} FROM ${eventsTable.name} WHERE ${where} AND profile_id IN (${ids.length === 0 ? '0' : ids.join(', ')})`
  }
  const merged = `SELECT profile_id, merged_into FROM ${profilesTable.name} FINAL WHERE merged_into != 0${profileFilter(scope, 'merged_into')}`
  const range = profileFilter(scope, 'profile_id')
  const owned = range === '' ? '' : ` AND ((${range.slice(5)}) OR profile_id IN (SELECT profile_id FROM (${merged})))`
  return `SELECT if(m.merged_into = 0, profile_id, m.merged_into) AS p, ${columns}
      FROM ${eventsTable.name} LEFT ANY JOIN (${merged}) AS m USING (profile_id) WHERE ${where}${owned}`
}

/** Over the rows of `eventRowsSql`; equal instants are decided by the event id. */
function aggregationSql(a: Aggregation): string {
  const on = conditionSql(a.on)
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
      return `argMinIf(${propertySql(a.property)}, (ms, event_id), ${on})`
    case 'atLast':
      return `argMaxIf(${propertySql(a.property)}, (ms, event_id), ${on})`
  }
}

function conditionSql({ event, bounds, where }: Condition): string {
  return [
    `name = ${literal(event)}`,
    ...bounds.map(({ sign, ms }) => `ms ${sign} ${ms}`),
    ...where.flatMap(({ tests }) => tests.map((test) => boolSql(test, propertySql))),
  ].join(' AND ')
}

/** A property as text, '' when it is missing: strings without quotes, everything else as in JSON. */
function propertySql(property: string): string {
  if (property === AMOUNT) return 'toString(amount_minor)'
  const key = literal(property)
  return `if(JSONType(properties, ${key}) = 'String', JSONExtractString(properties, ${key}), JSONExtractRaw(properties, ${key}))`
}

function readsProperties(a: Aggregation): boolean {
  const named = a.on.where.map((w) => w.property)
  return [...named, ...('property' in a ? [a.property] : [])].some((property) => property !== AMOUNT)
}

/** Survivors of the scope; merged profiles have no row of their own there. */
function profileFilter(scope: Scope, column: string): string {
  if (scope.kind === 'profiles') {
    const ids = scope.profiles.map((s) => s.profileId)
    return ` AND ${column} IN (${ids.length === 0 ? '0' : ids.join(', ')})`
  }
  return [
    scope.fromProfileId === undefined ? '' : ` AND ${column} >= ${scope.fromProfileId}`,
    scope.toProfileId === undefined ? '' : ` AND ${column} < ${scope.toProfileId}`,
  ].join('')
}
