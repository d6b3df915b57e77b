import { CONSENT } from '../identity/profile.js'
import { DAY_MS } from '../../time.js'
import { INSTANT_SIGN } from './days.js'
import type { Bool, Num, Text } from './expression.js'
import { literal } from './sql.js'

type ColumnSql = (column: string) => string
const asNamed: ColumnSql = (column) => column

/** @param columnSql - how a column is written; default by its name */
export function boolSql(e: Bool, columnSql: ColumnSql = asNamed): string {
  switch (e.bool) {
    case 'all':
    case 'any':
      return `(${e.of.map((x) => boolSql(x, columnSql)).join(e.bool === 'all' ? ' AND ' : ' OR ')})`
    case 'not':
      return `NOT ${boolSql(e.of, columnSql)}`
    case 'hasIdentifier':
      return `has(identifier_types, ${literal(e.type)})`
    case 'compare':
      return `${numSql(e.of)} ${e.sign} ${literal(e.to)}`
    case 'compareText': {
      const number = `toFloat64OrNull(${textSql(e.of, columnSql)})`
      // It reads "inf" as a number, which a city or a note is not.
      const finite = e.sign !== '=' && isFreeText(e.of) ? `isFinite(${number}) AND ` : ''
      return `ifNull(${finite}${number} ${e.sign} ${literal(e.to)}, 0)`
    }
    case 'equals':
      return `${textSql(e.of, columnSql)} = ${literal(e.to)}`
    case 'listed':
      return `has(splitByChar(',', ${textSql(e.of, columnSql)}), ${literal(e.entry)})`
  }
}

/** Whether it may hold any words, not only figures of ours. */
function isFreeText(e: Text): boolean {
  if (e.text === 'choice') return isFreeText(e.otherwise) || e.cases.some((c) => isFreeText(c.value))
  if (e.text === 'days') return isFreeText(e.of)
  return e.text === 'constant' ? e.value !== '' : e.text !== 'figure' && e.text !== 'instant'
}

export function textSql(e: Text, columnSql: ColumnSql = asNamed): string {
  switch (e.text) {
    case 'trait':
      return e.trait === CONSENT ? 'consent' : `traits[${literal(e.trait)}]`
    case 'stored':
      return `st[${literal(e.tagId)}]`
    case 'column':
      return columnSql(e.column)
    case 'identifiers':
      return `arrayStringConcat(arraySort(identifier_types), ' ')`
    case 'constant':
      return literal(e.value)
    case 'choice':
      return `multiIf(${e.cases.map((c) => `${boolSql(c.when, columnSql)}, ${textSql(c.value, columnSql)}`).join(', ')}, ${textSql(e.otherwise, columnSql)})`
    case 'instant':
      return `concat(${literal(INSTANT_SIGN)}, toString(${numSql(e.of)}))`
    case 'days': {
      const kept = textSql(e.of, columnSql)
      const ms = `toInt64OrZero(substring(${kept}, ${INSTANT_SIGN.length + 1}))`
      return `if(startsWith(${kept}, ${literal(INSTANT_SIGN)}), toString(intDiv(${e.nowMs} - ${ms}, ${DAY_MS})), ${kept})`
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
