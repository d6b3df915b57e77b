import { type Filter, isOperators, isScalar, refused, type Scalar, type Sort } from './language.js'

export type Bind = string | number | Buffer | null
export type Sql = { text: string; params: Bind[] }

/** `where` narrows in SQL; `rest` is what SQL could not decide, for an interpreter, `undefined` when it decided everything. */
export type SqlFilter = { where: Sql; rest: Filter | undefined }

/** Indexed paths and `_id` to their quoted columns. */
export type Columns = ReadonlyMap<string, string>

export function compileFilter(filter: Filter, columns: Columns): SqlFilter {
  const { sql, rest } = split(filter, columns)
  return { where: conjunction(sql), rest: rest.length === 0 ? undefined : rest.length === 1 ? rest[0] : { $and: rest } }
}

/** ORDER BY of a sort, ties by `_id`; `undefined` when a path has no column. */
export function compileSort(sort: Sort, columns: Columns): string | undefined {
  const terms: string[] = []
  for (const [path, direction] of Object.entries(sort)) {
    const column = columns.get(path)
    if (column === undefined) return undefined
    terms.push(direction === 1 ? column : `${column} DESC`)
    if (path === '_id') return terms.join(', ')
  }
  return [...terms, columns.get('_id')!].join(', ')
}

/**
 * A field's value as its column holds it. SQLite orders NULL < numbers < texts < blobs, so booleans and dates are blobs
 * whose first byte is their kind: order and type brackets are MongoDB's, without a second column.
 */
export function toColumnValue(value: Scalar | null | undefined): Bind {
  if (value === undefined || value === null) return null
  if (typeof value === 'boolean') return Buffer.from([BOOLEAN, value ? 1 : 0])
  if (!(value instanceof Date)) return value
  // Shifted by 2^53, so that bytes order as instants do; in halves, as the sum would lose its last bit.
  const high = Math.floor(value.getTime() / 2 ** 32)
  const blob = Buffer.allocUnsafe(9)
  blob[0] = DATE
  blob.writeUInt32BE(high + 2 ** 21, 1)
  blob.writeUInt32BE(value.getTime() - high * 2 ** 32, 5)
  return blob
}

const BOOLEAN = 1
const DATE = 2

type Split = { sql: Sql[]; rest: Filter[] }

function split(filter: Filter, columns: Columns): Split {
  const sql: Sql[] = []
  const rest: Filter[] = []
  for (const [key, value] of Object.entries(filter)) {
    if (key === '$and') {
      for (const part of (value as Filter[]).map((branch) => split(branch, columns))) {
        sql.push(...part.sql)
        rest.push(...part.rest)
      }
      continue
    }
    if (key === '$or' || key === '$nor') {
      const branches = (value as Filter[]).map((branch) => split(branch, columns))
      const decided = branches.every((branch) => branch.rest.length === 0)
      const either = join(branches.map(conjunctionOf), ' OR ', '0')
      if (!decided) rest.push({ [key]: value })
      // Branches that SQL decides in part still narrow: a row outside all of them cannot match.
      if (key === '$or' && branches.every((branch) => branch.sql.length > 0)) sql.push(either)
      else if (decided) sql.push(key === '$or' ? either : { ...either, text: `${either.text} IS NOT TRUE` })
      continue
    }
    const column = columns.get(key)
    const operators = isOperators(value) ? value : { $eq: value }
    const left: [string, unknown][] = []
    for (const [op, operand] of Object.entries(operators)) {
      const part = column === undefined ? undefined : compare(column, op, operand)
      if (part === undefined) left.push([op, operand])
      else sql.push(part)
    }
    if (left.length > 0) rest.push({ [key]: Object.fromEntries(left) })
  }
  return { sql, rest }
}

function conjunctionOf({ sql }: Split): Sql {
  return conjunction(sql)
}

function conjunction(parts: readonly Sql[]): Sql {
  return join(parts, ' AND ', '1')
}

function join(parts: readonly Sql[], by: string, empty: string): Sql {
  if (parts.length === 0) return { text: empty, params: [] }
  if (parts.length === 1) return parts[0]!
  return { text: `(${parts.map((p) => p.text).join(by)})`, params: parts.flatMap((p) => p.params) }
}

/** One operator on one column; `undefined` when the column cannot decide it. Columns hold scalars or NULL only. */
function compare(column: string, op: string, operand: unknown): Sql | undefined {
  switch (op) {
    case '$eq':
      if (operand === null) return { text: `${column} IS NULL`, params: [] }
      return isScalar(operand) ? { text: `${column} = ?`, params: [toColumnValue(operand)] } : undefined
    case '$ne':
      if (operand === null) return { text: `${column} IS NOT NULL`, params: [] }
      return isScalar(operand) ? { text: `${column} IS NOT ?`, params: [toColumnValue(operand)] } : undefined
    case '$in':
      return isIn(column, operand as unknown[])
    case '$nin':
      return negated(isIn(column, operand as unknown[]))
    case '$gt':
    case '$gte':
    case '$lt':
    case '$lte':
      return range(column, op, operand as Scalar)
    case '$not': {
      const parts = Object.entries(operand as Filter).map(([inner, value]) => compare(column, inner, value))
      return parts.every((part) => part !== undefined) ? negated(conjunction(parts)) : undefined
    }
    default:
      return undefined
  }
}

function negated(sql: Sql | undefined): Sql | undefined {
  return sql && { ...sql, text: `(${sql.text}) IS NOT TRUE` }
}

function isIn(column: string, values: readonly unknown[]): Sql | undefined {
  const given = values.filter((value) => value !== null)
  if (!given.every(isScalar)) return undefined
  const ids = given.map(toColumnValue)
  // One text for any number of values keeps the prepared statement; blobs are no JSON.
  const listed: Sql = ids.some((id) => typeof id === 'object')
    ? { text: `${column} IN (${ids.map(() => '?').join(', ')})`, params: ids }
    : { text: `${column} IN (SELECT value FROM json_each(?))`, params: [JSON.stringify(ids)] }
  if (ids.length > 1_000 && listed.params.length > 1) throw refused('$in', 'takes at most 1,000 dates or booleans')
  return given.length < values.length ? { ...listed, text: `(${listed.text} OR ${column} IS NULL)` } : listed
}

const SIGNS = { $gt: '>', $gte: '>=', $lt: '<', $lte: '<=' }

/** A comparison holds among values of one type only: each side is bounded by where its type begins and ends. */
function range(column: string, op: keyof typeof SIGNS, operand: Scalar): Sql {
  const limit: Sql = { text: `${column} ${SIGNS[op]} ?`, params: [toColumnValue(operand)] }
  const upward = op === '$gt' || op === '$gte'
  const bound = (text: string): Sql => ({ text: `${column} ${text}`, params: [] })
  if (typeof operand === 'number') return upward ? join([limit, bound("< ''")], ' AND ', '1') : limit
  if (typeof operand === 'string') return join([limit, bound(upward ? "< x''" : ">= ''")], ' AND ', '1')
  if (typeof operand === 'boolean') return join([limit, bound(upward ? "< x'02'" : ">= x'01'")], ' AND ', '1')
  return upward ? limit : join([limit, bound(">= x'02'")], ' AND ', '1')
}
