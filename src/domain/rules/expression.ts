import { toDays } from '../tags/instants.js'
import { literal } from './sql.js'

/**
 * What rules compile to: a small tree over the figures of one profile. It is written out as SQL, or computed here for the
 * profiles just touched; both from the same tree, and a differential test holds the two to each other.
 */
export type Num =
  | { num: 'column'; column: string }
  | { num: 'minusColumn'; from: number; column: string }
  | { num: 'sum'; terms: { weight: number; column: string }[] }

export type Text =
  | { text: 'trait'; trait: string }
  | { text: 'stored'; tagId: string }
  | { text: 'column'; column: string }
  | { text: 'identifiers' }
  | { text: 'constant'; value: string }
  | { text: 'choice'; cases: { when: Bool; value: Text }[]; otherwise: Text }
  /** Whole days from an instant (milliseconds as text) to `nowMs`; '' of ''. */
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

/** The figures of one profile. */
export type ProfileFigures = {
  traits: Readonly<Record<string, string>>
  identifierTypes: readonly string[]
  stored: Readonly<Record<string, string>>
  columns: Readonly<Record<string, number | string>>
}

export function boolSql(e: Bool): string {
  switch (e.bool) {
    case 'all':
    case 'any':
      return `(${e.of.map(boolSql).join(e.bool === 'all' ? ' AND ' : ' OR ')})`
    case 'not':
      return `NOT ${boolSql(e.of)}`
    case 'hasIdentifier':
      return `has(identifier_types, ${literal(e.type)})`
    case 'compare':
      return `${numSql(e.of)} ${e.sign} ${literal(e.to)}`
    case 'compareText': {
      const number = `toFloat64OrNull(${textSql(e.of)})`
      // It reads "inf" as a number, which a city or a note is not.
      const finite = e.sign !== '=' && isFreeText(e.of) ? `isFinite(${number}) AND ` : ''
      return `ifNull(${finite}${number} ${e.sign} ${literal(e.to)}, 0)`
    }
    case 'equals':
      return `${textSql(e.of)} = ${literal(e.to)}`
    case 'listed':
      return `has(splitByChar(',', ${textSql(e.of)}), ${literal(e.entry)})`
  }
}

/** Whether it may hold any words, not only figures of ours. */
function isFreeText(e: Text): boolean {
  if (e.text === 'choice') return isFreeText(e.otherwise) || e.cases.some((c) => isFreeText(c.value))
  return e.text === 'constant' ? e.value !== '' : e.text !== 'figure' && e.text !== 'days'
}

export function textSql(e: Text): string {
  switch (e.text) {
    case 'trait':
      return `traits[${literal(e.trait)}]`
    case 'stored':
      return `st[${literal(e.tagId)}]`
    case 'column':
      return e.column
    case 'identifiers':
      return `arrayStringConcat(arraySort(identifier_types), ' ')`
    case 'constant':
      return literal(e.value)
    case 'choice':
      return `multiIf(${e.cases.map((c) => `${boolSql(c.when)}, ${textSql(c.value)}`).join(', ')}, ${textSql(e.otherwise)})`
    case 'days': {
      const instant = textSql(e.of)
      return `if(${instant} = '', '', toString(intDiv(${e.nowMs} - toInt64OrZero(${instant}), 86400000)))`
    }
    case 'figure': {
      const divided = e.per === 1 ? numSql(e.of) : `intDiv(${numSql(e.of)}, ${e.per})`
      const atLeast = e.min === undefined ? divided : `greatest(${e.min}, ${divided})`
      return `toString(${e.max === undefined ? atLeast : `least(${e.max}, ${atLeast})`})`
    }
  }
}

function numSql(e: Num): string {
  switch (e.num) {
    case 'column':
      return e.column
    case 'minusColumn':
      return `(${e.from} - ${e.column})`
    case 'sum':
      return `(${e.terms.map((t) => `${t.weight} * toInt64(${t.column})`).join(' + ')})`
  }
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
      return p.traits[e.trait] ?? ''
    case 'stored':
      return p.stored[e.tagId] ?? ''
    case 'column':
      return String(p.columns[e.column] ?? '')
    case 'identifiers':
      return [...p.identifierTypes].sort().join(' ')
    case 'constant':
      return e.value
    case 'choice':
      return evaluateText(e.cases.find((c) => evaluateBool(c.when, p))?.value ?? e.otherwise, p)
    case 'days':
      return toDays(evaluateText(e.of, p), e.nowMs)
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
