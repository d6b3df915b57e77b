import { own } from '../../parse.js'
import { daysSince, INSTANT_SIGN } from './days.js'

/**
 * What rules compile to: a small tree over the figures of one profile. It is written out as SQL, or computed here for the
 * profiles just touched; both from the same tree, and a differential test holds the two to each other.
 */
export type Num =
  | { num: 'column'; column: string }
  | { num: 'minusColumn'; from: number; column: string }
  | { num: 'sum'; terms: { weight: number; column: string }[] }

/** Traits, stored tags and columns are had from `Build`, which notes what is read. */
export type Text =
  | { text: 'trait'; trait: string }
  | { text: 'stored'; tagId: string }
  | { text: 'column'; column: string }
  | { text: 'identifiers' }
  | { text: 'constant'; value: string }
  | { text: 'choice'; cases: { when: Bool; value: Text }[]; otherwise: Text }
  /** An instant as it is kept: see `days.ts`. */
  | { text: 'instant'; of: Num }
  /** Whole days from a kept instant to `nowMs`. */
  | { text: 'days'; of: Text; nowMs: number }
  /** Integer division by `per`, then bounded. */
  | { text: 'figure'; of: Num; per: number; min?: number; max?: number }

export type Sign = '>=' | '>' | '<=' | '<' | '='

export type Bool =
  | { bool: 'all' | 'any'; of: Bool[] }
  | { bool: 'not'; of: Bool }
  | { bool: 'hasIdentifier'; type: string }
  | { bool: 'compare'; of: Num; sign: Sign; to: number }
  /** Text that is no number compares false. */
  | { bool: 'compareText'; of: Text; sign: Sign; to: number }
  | { bool: 'equals'; of: Text; to: string }
  /** One entry of a list with commas. */
  | { bool: 'listed'; of: Text; entry: string }

/** Which events of one profile an aggregation looks at. Columns in `tests` are properties of the event. */
export type Condition = {
  event: string
  bounds: { sign: '>' | '<='; ms: number }[]
  where: { property: string; tests: Bool[] }[]
}

/**
 * What a column holds, over the events of one profile: how many, the instant of the last one (ms), the sum of a property,
 * or its text at the first or the last event.
 */
export type Aggregation =
  { of: 'count' | 'last'; on: Condition } | { of: 'sum' | 'atFirst' | 'atLast'; property: string; on: Condition }

/** The amount of an event is no property of its own, but is named like one. */
export const AMOUNT = 'amountMinor'

/** The figures of one profile. */
export type ProfileFigures = {
  traits: Readonly<Record<string, string>>
  identifierTypes: readonly string[]
  stored: Readonly<Record<string, string>>
  columns: Readonly<Record<string, number | string>>
}

export function evaluateBool(e: Bool, p: ProfileFigures): boolean {
  switch (e.bool) {
    case 'all':
      return e.of.every((x) => evaluateBool(x, p))
    case 'any':
      return e.of.some((x) => evaluateBool(x, p))
    case 'not':
      return !evaluateBool(e.of, p)
    case 'hasIdentifier':
      return p.identifierTypes.includes(e.type)
    case 'compare':
      return compare(evaluateNum(e.of, p), e.sign, e.to)
    case 'compareText': {
      const number = toNumber(evaluateText(e.of, p))
      return number !== undefined && compare(number, e.sign, e.to)
    }
    case 'equals':
      return evaluateText(e.of, p) === e.to
    case 'listed':
      return evaluateText(e.of, p).split(',').includes(e.entry)
  }
}

export function evaluateText(e: Text, p: ProfileFigures): string {
  switch (e.text) {
    case 'trait':
      return own(p.traits, e.trait) ?? ''
    case 'stored':
      return own(p.stored, e.tagId) ?? ''
    case 'column':
      return String(p.columns[e.column] ?? '')
    case 'identifiers':
      return [...p.identifierTypes].sort().join(' ')
    case 'constant':
      return e.value
    case 'choice':
      return evaluateText(e.cases.find((c) => evaluateBool(c.when, p))?.value ?? e.otherwise, p)
    case 'instant':
      return `${INSTANT_SIGN}${evaluateNum(e.of, p)}`
    case 'days':
      return daysSince(evaluateText(e.of, p), e.nowMs)
    case 'figure': {
      let n = Math.trunc(evaluateNum(e.of, p) / e.per)
      if (e.min !== undefined) n = Math.max(e.min, n)
      if (e.max !== undefined) n = Math.min(e.max, n)
      return String(n)
    }
  }
}

/** Columns of a profile without events are 0. */
function evaluateNum(e: Num, p: ProfileFigures): number {
  switch (e.num) {
    case 'column':
      return Number(p.columns[e.column] ?? 0)
    case 'minusColumn':
      return e.from - Number(p.columns[e.column] ?? 0)
    case 'sum':
      return e.terms.reduce((sum, t) => sum + t.weight * Number(p.columns[t.column] ?? 0), 0)
  }
}

function compare(a: number, sign: Sign, b: number): boolean {
  switch (sign) {
    case '>=':
      return a >= b
    case '>':
      return a > b
    case '<=':
      return a <= b
    case '<':
      return a < b
    case '=':
      return a === b
  }
}

/** As ClickHouse's `toFloat64OrNull` on decimal text: no blanks, no hexadecimal, and nothing infinite. */
function toNumber(text: string): number | undefined {
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) return undefined
  const number = Number(text)
  return Number.isFinite(number) ? number : undefined
}
