import type { Query } from 'mingo/query'
import { type Filter, isOperators, isScalar, type Plain, type Scalar } from './language.js'
import { mongoQuery } from './mongo-query.js'

type Test = (doc: Plain) => boolean

/** Whether a document matches a filter, as MongoDB has it. */
export function toMatcher(filter: Filter): Test {
  const tests = conditionsOf(filter).map(([key, condition]) => directTest(key, condition))
  let query: Query<Plain> | undefined
  const byMingo: Test = (doc) => (query ??= mongoQuery(filter)).test(doc)
  if (tests.some((test) => test === undefined)) return byMingo
  return (doc) => {
    for (const test of tests) {
      const holds = test!(doc) // none is undefined
      if (holds === undefined) return byMingo(doc)
      if (!holds) return false
    }
    return true
  }
}

/** What must hold at once. */
function conditionsOf(filter: Filter): [string, unknown][] {
  return Object.entries(filter).flatMap(([key, condition]) =>
    key === '$and' ? (condition as Filter[]).flatMap(conditionsOf) : [[key, condition] as [string, unknown]],
  )
}

/**
 * Most conditions compare a field of the document itself with scalars, and need no interpreter. Undefined where that is not
 * enough: of the condition, or of a document whose field holds a list or an object.
 */
function directTest(key: string, condition: unknown): ((doc: Plain) => boolean | undefined) | undefined {
  if (key.startsWith('$') || key.includes('.')) return undefined
  const operators = Object.entries(isOperators(condition) ? condition : { $eq: condition })
  const compares = operators.map(([op, operand]) => compare(op, operand))
  if (compares.some((c) => c === undefined)) return undefined
  return (doc) => {
    const value = Object.hasOwn(doc, key) ? doc[key] : undefined
    if (value !== undefined && !isScalar(value)) return undefined
    return compares.every((holds) => holds!(value)) // none is undefined
  }
}

function compare(op: string, operand: unknown): ((value: Scalar | undefined) => boolean) | undefined {
  if (op === '$exists') return (value) => (value !== undefined) === operand
  if (op === '$in') {
    if (!(operand as unknown[]).every(isScalar)) return undefined
    return (value) => (operand as Scalar[]).some((one) => isSame(value, one))
  }
  if (!isScalar(operand)) return undefined
  if (op !== '$eq' && op !== '$ne' && typeof operand !== 'number' && !(operand instanceof Date)) return undefined
  switch (op) {
    case '$eq':
      return (value) => isSame(value, operand)
    case '$ne':
      return (value) => !isSame(value, operand)
    case '$gt':
      return (value) => isComparable(value, operand) && value > operand
    case '$gte':
      return (value) => isComparable(value, operand) && value >= operand
    case '$lt':
      return (value) => isComparable(value, operand) && value < operand
    case '$lte':
      return (value) => isComparable(value, operand) && value <= operand
    default:
      return undefined
  }
}

function isSame(value: Scalar | undefined, other: Scalar): boolean {
  if (value instanceof Date && other instanceof Date) return value.getTime() === other.getTime()
  return value === other
}

/** Of one type; how texts order is the interpreter's to say. */
function isComparable(value: Scalar | undefined, operand: Scalar): value is number | Date {
  if (value instanceof Date) return operand instanceof Date
  return typeof value === 'number' && typeof operand === 'number'
}
