import { compareValues, type Filter, isOperators, isPlain, refused, type Plain, type Update } from './language.js'
import { mongoQuery } from './mongo-query.js'

/**
 * Applies an update to a document of our own, in place, as MongoDB does. `checkUpdate` has read the update before.
 * Values of the update are never shared with the document, so either may change later.
 *
 * @throws {InvalidInputError} when the document's value does not fit the operator, e.g. `$inc` on a text
 */
export function applyUpdate(doc: Plain, update: Update, inserting = false): void {
  for (const op of Object.keys(update) as (keyof Update)[]) {
    if (op === '$setOnInsert' && !inserting) continue
    for (const [path, value] of Object.entries(update[op] ?? {})) applyOne(doc, op, path, value)
  }
}

/** What an upsert starts from: the filter's equalities, as in MongoDB. */
export function fromEqualities(filter: Filter): Plain {
  const doc: Plain = {}
  for (const [key, condition] of Object.entries(filter)) {
    if (key === '$and') for (const branch of condition as Filter[]) Object.assign(doc, fromEqualities(branch))
    if (key.startsWith('$')) continue
    const value = isOperators(condition) ? condition.$eq : condition
    if (value === undefined) continue
    if (key === '_id') doc._id = value
    else applyUpdate(doc, { $set: { [key]: value } })
  }
  return doc
}

function applyOne(doc: Plain, op: keyof Update, path: string, value: unknown): void {
  const keys = path.split('.')
  const last = keys.pop()!
  const holder = holderOf(doc, keys, path, op !== '$unset' && op !== '$pull')
  if (holder === undefined) return
  if (Array.isArray(holder) && !isPosition(last)) {
    if (op === '$unset' || op === '$pull') return
    throw refused(path, `"${last}" is no position in a list`)
  }
  const at = holder as Plain // a list is written by position just as an object by name
  const old = Object.hasOwn(holder, last) ? at[last] : undefined
  switch (op) {
    case '$set':
    case '$setOnInsert':
      return put(holder, last, structuredCopy(value))
    case '$unset':
      if (Array.isArray(holder)) {
        if (Number(last) < holder.length) at[last] = null
      } else delete at[last]
      return
    case '$inc':
      if (old !== undefined && typeof old !== 'number') throw refused(path, '$inc needs a number in the document')
      return put(holder, last, (old ?? 0) + (value as number))
    case '$min':
      if (old === undefined || compareValues(value, old) < 0) put(holder, last, structuredCopy(value))
      return
    case '$max':
      if (old === undefined || compareValues(value, old) > 0) put(holder, last, structuredCopy(value))
      return
    case '$push': {
      const list = listOf(old, path, op)
      list.push(...itemsOf(value))
      const slice = isOperators(value) ? (value.$slice as number | undefined) : undefined
      if (slice !== undefined)
        list.splice(slice < 0 ? 0 : slice, slice < 0 ? Math.max(0, list.length + slice) : list.length)
      return put(holder, last, list)
    }
    case '$addToSet': {
      const list = listOf(old, path, op)
      for (const item of itemsOf(value)) if (!list.some((have) => compareValues(have, item) === 0)) list.push(item)
      return put(holder, last, list)
    }
    case '$pull': {
      if (old === undefined) return
      const goes = toPredicate(value)
      return put(
        holder,
        last,
        listOf(old, path, op).filter((item) => !goes(item)),
      )
    }
  }
}

/** The object or list that holds the last key; made on the way when `build`. */
function holderOf(doc: Plain, keys: readonly string[], path: string, build: boolean): Plain | unknown[] | undefined {
  let holder: Plain | unknown[] = doc
  for (const key of keys) {
    let next: unknown = Object.hasOwn(holder, key) ? (holder as Plain)[key] : undefined
    if (next === undefined) {
      if (!build) return undefined
      if (Array.isArray(holder) && !isPosition(key)) throw refused(path, `"${key}" is no position in a list`)
      next = {}
      put(holder, key, next)
    }
    if (!Array.isArray(next) && !isPlain(next)) {
      if (!build) return undefined
      throw refused(path, `"${key}" holds no object in the document`)
    }
    holder = next
  }
  return holder
}

function put(holder: Plain | unknown[], key: string, value: unknown): void {
  if (Array.isArray(holder)) {
    if (Number(key) > holder.length + 1_500_000)
      throw refused(key, 'the position is too far behind the end of the list')
    while (holder.length < Number(key)) holder.push(null)
  }
  ;(holder as Plain)[key] = value
}

function isPosition(key: string): boolean {
  return /^(0|[1-9]\d*)$/.test(key)
}

function listOf(value: unknown, path: string, op: string): unknown[] {
  if (value === undefined) return []
  if (!Array.isArray(value)) throw refused(path, `${op} needs a list in the document`)
  return value as unknown[]
}

function itemsOf(value: unknown): unknown[] {
  return structuredCopy(isOperators(value) ? (value.$each as unknown[]) : [value])
}

function toPredicate(condition: unknown): (item: unknown) => boolean {
  if (!isPlain(condition)) return (item) => compareValues(item, condition) === 0
  if (isOperators(condition)) {
    const query = mongoQuery({ item: condition })
    return (item) => query.test({ item })
  }
  const query = mongoQuery(condition)
  return (item) => isPlain(item) && query.test(item)
}

function structuredCopy<V>(value: V): V {
  if (value instanceof Date) return new Date(value.getTime()) as V
  if (Array.isArray(value)) return value.map(structuredCopy) as V
  if (!isPlain(value)) return value
  const copy: Plain = {}
  for (const key of Object.keys(value)) {
    const item = structuredCopy(value[key])
    // A field of this name would be taken for the prototype.
    if (key === '__proto__')
      Object.defineProperty(copy, key, { value: item, enumerable: true, configurable: true, writable: true }) // prettier-ignore
    else copy[key] = item
  }
  return copy as V
}
