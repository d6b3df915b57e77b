/** Seeded documents, filters, sorts and updates for comparing two ways of doing the same. */
import { intOf } from '../../src/random.js'
import type { Filter, Sort, Update } from '../../src/adapters/documents/language.js'
import type { CollectionDefinition, Doc } from '../../src/ports/document-store.js'
import { anyDocument } from './any-document.js'

export type RandomDoc = Doc & Record<string, unknown>

/** `s`, `x`, `d`, `b` and `o.p` are indexed and hold one value; `n`, `t`, `l` and `o.q` are not and hold anything. */
export const RANDOM_DOCS: CollectionDefinition<RandomDoc> = {
  name: 'random',
  version: 1,
  schema: anyDocument(),
  indexes: [
    { fields: ['s', 'x'] },
    { fields: ['x'] },
    { fields: ['d'] },
    { fields: ['b'] },
    { fields: ['o.p'], sparse: true },
  ],
}

type Draw = (below: number) => number

/** Draws that depend on nothing but the parts. */
export function drawsOf(...parts: readonly (string | number)[]): Draw {
  let i = 0
  return (below) => intOf(below, ...parts, (i += 1))
}

const pick = <V>(draw: Draw, values: readonly V[]): V => values[draw(values.length)]!
const WORDS = ['', 'a', 'ab', 'b', '上海', '杭州', '𠮷']
const NUMBERS = [-3, 0, 0.5, 1, 2, 10]
const dateOf = (draw: Draw) => new Date(Date.UTC(1969, 11, 30 + draw(6)))
const scalarOf = (draw: Draw): unknown =>
  pick<() => unknown>(draw, [
    () => pick(draw, WORDS),
    () => pick(draw, NUMBERS),
    () => draw(2) === 0,
    () => dateOf(draw),
    () => null,
  ])()

export function randomDoc(draw: Draw, id: number): RandomDoc {
  const doc: RandomDoc = { _id: id }
  const maybe = (field: string, value: () => unknown) => {
    if (draw(4) > 0) doc[field] = value()
  }
  maybe('s', () => pick(draw, [...WORDS, null]))
  maybe('x', () => scalarOf(draw))
  maybe('d', () => dateOf(draw))
  maybe('b', () => draw(2) === 0)
  maybe('n', () => scalarOf(draw))
  maybe('t', () => Array.from({ length: draw(4) }, () => scalarOf(draw)))
  maybe('l', () => Array.from({ length: draw(3) }, () => ({ k: pick(draw, WORDS), v: pick(draw, NUMBERS) })))
  maybe('o', () => ({ ...(draw(2) === 0 && { p: pick(draw, WORDS) }), ...(draw(2) === 0 && { q: scalarOf(draw) }) }))
  return doc
}

const PATHS = ['s', 'x', 'd', 'b', 'n', 't', 'o.p', 'o.q', 'l.k', 'l.v', '_id', 'none']

function randomCondition(draw: Draw, depth = 0): unknown {
  const bound = () =>
    pick<() => unknown>(draw, [
      () => pick(draw, WORDS),
      () => pick(draw, NUMBERS),
      () => draw(2) === 0,
      () => dateOf(draw),
    ])()
  const list = () => Array.from({ length: draw(4) }, () => scalarOf(draw))
  return pick<() => unknown>(draw, [
    () => scalarOf(draw),
    () => ({ $eq: scalarOf(draw) }),
    () => ({ $ne: scalarOf(draw) }),
    () => ({ [pick(draw, ['$gt', '$gte', '$lt', '$lte'])]: bound() }),
    () => ({ $gte: bound(), $lt: bound() }),
    () => ({ $in: list() }),
    () => ({ $nin: list() }),
    () => ({ $exists: draw(2) === 0 }),
    () => (depth > 0 ? { $eq: scalarOf(draw) } : { $not: asOperators(randomCondition(draw, 1)) }),
  ])()
}

function asOperators(condition: unknown): unknown {
  return typeof condition === 'object' && condition !== null && !(condition instanceof Date)
    ? condition
    : { $eq: condition }
}

export function randomFilter(draw: Draw, depth = 0): Filter {
  const filter: Filter = {}
  for (let i = draw(3) + (depth > 0 ? 1 : 0); i > 0; i--) {
    const path = pick(draw, PATHS)
    const condition = path === 't' ? onList(randomCondition(draw)) : randomCondition(draw)
    // Through a list, servers do not agree on what a missing field is: values only.
    filter[path] = path.startsWith('l.') ? pick(draw, [...WORDS, ...NUMBERS]) : condition
  }
  if (depth < 2 && draw(3) === 0) {
    filter[pick(draw, ['$and', '$or', '$nor'])] = Array.from({ length: 1 + draw(3) }, () =>
      randomFilter(draw, depth + 1),
    )
  }
  if (draw(8) === 0) filter.l = { $elemMatch: { k: pick(draw, WORDS), v: { $gte: pick(draw, NUMBERS) } } }
  return filter
}

/** MongoDB lets different items of a list meet the two bounds; mongo-java-server wants one item to meet both. */
function onList(condition: unknown): unknown {
  return JSON.stringify(condition)?.includes('$gte') && JSON.stringify(condition).includes('$lt')
    ? { $exists: true }
    : condition
}

/** Over fields that hold one value. */
export function randomSort(draw: Draw): Sort {
  const sort: Sort = {}
  for (let i = draw(3); i > 0; i--)
    sort[pick(draw, ['s', 'x', 'd', 'b', 'n', 'o.p', 'o.q', '_id'])] = draw(2) === 0 ? 1 : -1
  return sort
}

/** Several operators on different paths, such as fit `randomDoc`. */
export function randomUpdate(draw: Draw): Update {
  const update: Record<string, Record<string, unknown>> = {}
  const paths = ['s', 'x', 'd', 'b', 'n', 't', 'o.p', 'o.q', 'l', 'c', 'w', 'u']
  for (let i = 1 + draw(3); i > 0; i--) {
    const path = paths.splice(draw(paths.length), 1)[0]!
    const [op, value] = operationOn(draw, path)
    ;(update[op] ??= {})[path] = value
  }
  return update
}

function operationOn(draw: Draw, path: string): [string, unknown] {
  if (path === 'c') return [pick(draw, ['$inc', '$min', '$max']), pick(draw, NUMBERS)]
  if (path === 'u') return ['$addToSet', { $each: [pick(draw, WORDS), pick(draw, NUMBERS)] }]
  if (path === 'w') return ['$push', { $each: [pick(draw, NUMBERS)], $slice: pick(draw, [-2, 1, 3]) }]
  if (path === 'l') {
    const item = { k: pick(draw, WORDS), v: pick(draw, NUMBERS) }
    return pick<[string, unknown]>(draw, [
      ['$push', item],
      ['$pull', { k: item.k }],
      ['$pull', { v: { $gte: item.v } }],
    ])
  }
  if (path === 't') {
    const value = pick(draw, [...WORDS, ...NUMBERS])
    return pick<[string, unknown]>(draw, [
      ['$push', value],
      ['$push', { $each: [value, 1] }],
      ['$pull', value],
      ['$pull', { $in: [value, 'a', 1] }],
      ['$set', [value]],
    ])
  }
  if (path === 'd') return [pick(draw, ['$set', '$min', '$max']), dateOf(draw)]
  if (path === 's' || path === 'o.p')
    return pick<[string, unknown]>(draw, [
      ['$set', pick(draw, WORDS)],
      ['$unset', ''],
    ])
  return pick<[string, unknown]>(draw, [
    ['$set', scalarOf(draw)],
    ['$unset', ''],
  ])
}
