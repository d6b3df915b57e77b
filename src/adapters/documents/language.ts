/** What both document adapters hold to: which queries, updates and documents the port allows, and how values compare. */
import { ConfigError, InvalidInputError } from '../../errors.js'
import type { CollectionDefinition, Doc, IndexDefinition } from '../../ports/document-store.js'

export type Scalar = string | number | boolean | Date
export type Plain = Record<string, unknown>

// The port's language, whatever the documents are: that it fits them is known where it is written.
export type Filter = Plain
export type Update = {
  [op in '$set' | '$unset' | '$inc' | '$min' | '$max' | '$push' | '$addToSet' | '$pull' | '$setOnInsert']?: Plain
}
export type Sort = Record<string, 1 | -1>
export type FindOptions = { sort?: Sort; limit?: number; skip?: number }
export type Definition = Omit<CollectionDefinition<Doc>, 'schema' | 'indexes'> & {
  indexes?: readonly IndexDefinition[]
}

export function isScalar(value: unknown): value is Scalar {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' || value instanceof Date
}

export function isPlain(value: unknown): value is Plain {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date)
}

/** Is this `{ $gt: 1, … }` rather than a value? */
export function isOperators(value: unknown): value is Plain {
  return isPlain(value) && Object.keys(value).some((key) => key.startsWith('$'))
}

/** The value at a dotted path; arrays are entered by number only. */
export function valueAt(doc: unknown, keys: readonly string[]): unknown {
  let value = doc
  for (const key of keys) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined
    value = (value as Plain)[key]
  }
  return value
}

/** @throws {InvalidInputError} naming the path of what the port does not allow, so that no adapter ever ignores it. */
export function checkFilter(filter: Filter, at = ''): void {
  for (const [key, value] of Object.entries(filter)) {
    const path = at === '' ? key : `${at}.${key}`
    if (key === '$and' || key === '$or' || key === '$nor') {
      if (!Array.isArray(value) || value.length === 0) throw refused(path, `${key} takes a non-empty list of filters`)
      value.forEach((branch: unknown, i) => {
        if (!isPlain(branch)) throw refused(`${path}.${i}`, `${key} takes a list of filters`)
        checkFilter(branch, `${path}.${i}`)
      })
    } else if (key.startsWith('$')) {
      throw refused(path, `unknown operator ${key}`)
    } else {
      checkCondition(value, path)
    }
  }
}

function checkCondition(condition: unknown, at: string): void {
  if (!isOperators(condition)) return checkEqual(condition, at)
  for (const [op, value] of Object.entries(condition)) {
    const path = `${at}.${op}`
    switch (op) {
      case '$eq':
      case '$ne':
        checkEqual(value, path)
        break
      case '$gt':
      case '$gte':
      case '$lt':
      case '$lte':
        if (!isScalar(value)) throw refused(path, `${op} takes a string, number, boolean or Date`)
        break
      case '$in':
      case '$nin':
        if (!Array.isArray(value)) throw refused(path, `${op} takes a list`)
        for (const item of value) checkEqual(item, path)
        break
      case '$exists':
        if (typeof value !== 'boolean') throw refused(path, '$exists takes true or false')
        break
      case '$not':
        if (!isOperators(value)) throw refused(path, '$not takes operators, e.g. { $not: { $gt: 5 } }')
        checkCondition(value, path)
        break
      case '$elemMatch':
        if (!isPlain(value)) throw refused(path, '$elemMatch takes a filter')
        if (isOperators(value) && !Object.keys(value).every((key) => ['$and', '$or', '$nor'].includes(key))) {
          checkCondition(value, path)
        } else {
          checkFilter(value, path)
        }
        break
      default:
        throw refused(path, `unknown operator ${op}`)
    }
  }
}

/** MongoDB compares whole objects by the order of their keys, which nobody means: fields are compared instead. */
function checkEqual(value: unknown, path: string): void {
  if (value === undefined) throw refused(path, 'the value is undefined; leave the condition out or use null')
  if (isPlain(value)) throw refused(path, 'whole objects are not compared; compare their fields by dotted path')
}

const UPDATE_OPERATORS = ['$set', '$unset', '$inc', '$min', '$max', '$push', '$addToSet', '$pull', '$setOnInsert']

/** @throws {InvalidInputError} when the update uses what the port does not have, touches `_id`, or contradicts itself. */
export function checkUpdate(update: Update, definition: Definition): void {
  const paths: string[] = []
  for (const [op, fields] of Object.entries(update)) {
    if (!UPDATE_OPERATORS.includes(op)) throw refused(op, `unknown update operator; use ${UPDATE_OPERATORS.join(' ')}`)
    for (const [path, value] of Object.entries(fields)) {
      const at = `${op}.${path}`
      if (path === '_id' || path.startsWith('_id.')) throw refused(at, '_id never changes')
      if (path === '' || path.split('.').some((key) => key === '' || key.startsWith('$') || key === '__proto__')) {
        throw refused(at, 'a path is names (or list positions) joined by dots')
      }
      if (value === undefined && op !== '$unset')
        throw refused(at, 'the value is undefined; use $unset to remove a field')
      if (op === '$inc' && typeof value !== 'number') throw refused(at, '$inc takes a number')
      if (op === '$push' || op === '$addToSet') checkEach(op, value, at)
      if (op === '$pull' && isPlain(value)) {
        if (isOperators(value)) checkCondition(value, at)
        else checkFilter(value, at)
      }
      if (op === '$unset' || ((op === '$set' || op === '$setOnInsert') && value === null)) {
        const unique = definition.indexes?.some(
          (i) => i.unique && i.fields.includes(path) && !(i.sparse && op === '$unset'),
        )
        if (unique) throw refused(at, 'a unique key must have a value')
      }
      paths.push(path)
    }
  }
  if (paths.length < 2) return
  const seen = new Set<string>()
  for (const path of paths) {
    if (seen.has(path)) throw refused(path, `is updated twice in one update (also as "${path}")`)
    seen.add(path)
  }
  for (const path of paths) {
    for (let end = path.indexOf('.'); end !== -1; end = path.indexOf('.', end + 1)) {
      const above = path.slice(0, end)
      if (seen.has(above)) throw refused(path, `is updated twice in one update (also as "${above}")`)
    }
  }
}

function checkEach(op: '$push' | '$addToSet', value: unknown, at: string): void {
  if (!isOperators(value)) return
  const allowed = op === '$push' ? ['$each', '$slice'] : ['$each']
  const unknown = Object.keys(value).find((key) => !allowed.includes(key))
  if (unknown !== undefined) throw refused(`${at}.${unknown}`, `${op} takes ${allowed.join(' and ')}`)
  if (!Array.isArray(value.$each)) throw refused(`${at}.$each`, `${op} needs $each, a list`)
  if (value.$slice !== undefined && !Number.isSafeInteger(value.$slice))
    throw refused(`${at}.$slice`, 'must be an integer')
}

/** @throws {InvalidInputError} unless `_id` is usable and the indexed fields hold what an index can order. */
export function checkDoc(doc: Doc, definition: Definition): void {
  checkId(doc._id, definition.name)
  for (const { fields, unique = false, sparse = false } of definition.indexes ?? []) {
    for (const field of fields) checkIndexed(doc, field, unique, sparse, definition.name)
  }
}

/** What `unlessNewer` compares by. @throws {InvalidInputError} when the document has no number or Date there */
export function newnessOf(doc: Doc, field: string): number | Date {
  const value: unknown = (doc as Record<string, unknown>)[field]
  if (typeof value === 'number' || value instanceof Date) return value
  throw refused(field, 'unlessNewer takes a field that holds a number or a Date')
}

/** Ends a key, or makes two of one, where a driver hands it to its engine. */
const NO_KEY = /[\0\p{Surrogate}]/u

export function checkId(id: unknown, collection: string): void {
  if (typeof id === 'string' && NO_KEY.test(id))
    throw refused(`${collection}._id`, 'must hold neither NUL nor half a surrogate pair')
  if ((typeof id === 'string' && id !== '') || (Number.isSafeInteger(id) && (id as number) > 0)) return
  throw refused(`${collection}._id`, 'must be a non-empty string or a positive integer')
}

function checkIndexed(doc: Doc, field: string, unique: boolean, sparse: boolean, collection: string): void {
  let value: unknown = doc
  for (const key of field.split('.')) {
    if (Array.isArray(value)) break
    value = isPlain(value) ? value[key] : undefined
  }
  if (value === undefined || value === null) {
    // MongoDB takes a missing unique key for null and lets one document have it; we let none.
    if (unique && (value === null || !sparse)) throw refused(`${collection}.${field}`, 'a unique key must have a value')
  } else if (!isScalar(value)) {
    throw refused(
      `${collection}.${field}`,
      'an indexed field holds a string, number, boolean or Date, never a list or object',
    )
  }
}

/** @throws {ConfigError} when the definition cannot be kept by every adapter. */
export function checkDefinition({ name, version, indexes = [], migrations = {} }: Definition): void {
  const wrong = (path: string, message: string, hint: string) =>
    new ConfigError(`Collection "${name}" is badly defined`, [{ path, message, hint }])
  if (!/^[a-z][a-z0-9_-]*$/.test(name)) throw wrong('name', `"${name}" is no collection name`, 'use a-z, 0-9, _ and -')
  if (!Number.isSafeInteger(version) || version < 1) throw wrong('version', `${version} is no version`, 'use 1, 2, 3 …')
  for (const [i, { fields, unique, sparse }] of indexes.entries()) {
    if (fields.length === 0 || new Set(fields).size < fields.length || fields.includes('_id')) {
      throw wrong(`indexes.${i}.fields`, `[${fields.join(', ')}]`, 'name each field once; _id is indexed anyway')
    }
    if (unique && sparse && fields.length > 1) {
      throw wrong(
        `indexes.${i}`,
        'MongoDB indexes a document that has any of the fields',
        'give a sparse unique key one field',
      )
    }
  }
  for (const from of Object.keys(migrations).map(Number)) {
    if (from < 1 || from >= version)
      throw wrong(`migrations.${from}`, 'is never used', `versions 1 to ${version - 1} migrate`)
  }
}

/** A stored version against the program's. @throws {ConfigError} when the store is newer, or a step is missing. */
export function checkVersion({ name, version, migrations = {} }: Definition, stored: number, where: string): void {
  if (stored > version) {
    throw new ConfigError(
      `${where}: collection "${name}" was written by a newer program (its version is ${stored}, this program knows ${version}); ` +
        'install that program again, or restore a backup made before the upgrade',
    )
  }
  for (let from = stored; from < version; from++) {
    if (migrations[from] === undefined) {
      throw new ConfigError(
        `${where}: collection "${name}" has version ${stored} and no migration from ${from} to ${from + 1}`,
      )
    }
  }
}

/** Brings one stored document to the definition's version; `_id` stays. */
export function migrateDoc({ version, migrations = {} }: Definition, doc: Doc, from: number): Doc {
  let migrated: Plain = doc
  for (let v = from; v < version; v++) migrated = migrations[v]!(migrated) // checkVersion saw every step
  return { ...migrated, _id: doc._id }
}

const RANKS = { null: 1, number: 2, string: 3, object: 4, array: 5, boolean: 6, date: 7 }

/** MongoDB's order of values: null (and missing) < numbers < strings < objects < arrays < booleans < dates. */
export function compareValues(a: unknown, b: unknown): number {
  const kind = kindOf(a)
  const byKind = RANKS[kind] - RANKS[kindOf(b)]
  if (byKind !== 0 || kind === 'null') return byKind
  if (kind === 'string') return compareText(a as string, b as string)
  if (kind === 'array') return compareLists(a as unknown[], b as unknown[])
  if (kind === 'object') return compareLists(Object.entries(a as Plain).flat(), Object.entries(b as Plain).flat())
  return Number(a) - Number(b)
}

function kindOf(value: unknown): keyof typeof RANKS {
  if (value === undefined || value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  if (value instanceof Date) return 'date'
  const type = typeof value
  return type === 'number' || type === 'string' || type === 'boolean' ? type : 'object'
}

function compareLists(a: readonly unknown[], b: readonly unknown[]): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const order = compareValues(a[i], b[i])
    if (order !== 0) return order
  }
  return a.length - b.length
}

/** By code point, as UTF-8 bytes order; `<` on strings goes by UTF-16 unit and puts emoji before some Chinese characters. */
function compareText(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i)
    const y = b.charCodeAt(i)
    if (x !== y) return byCodePoint(x) - byCodePoint(y)
  }
  return a.length - b.length
}

function byCodePoint(unit: number): number {
  if (unit >= 0xe000) return unit - 0x800
  return unit >= 0xd800 ? unit + 0x2000 : unit
}

export function refused(path: string, message: string): InvalidInputError {
  return new InvalidInputError('The document store refused this', [{ path, message }])
}
