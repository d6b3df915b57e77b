import { DAY_MS } from '../../time.js'
import type { Build } from './build.js'
import { ABSENT, compareAll } from './comparisons.js'
import type { Bool, Condition, Num, Text } from './expression.js'
import type { Bounds, Comparators, Windowed } from './fields.js'

/** An event of this name leaves or enters a window, or is this many days ago, `afterMs` after it happened. */
export type TimeEdge = { event: string; afterMs: readonly number[] }

export function edgesOf({ event, within, between }: Windowed, daysSince: Bounds = {}): TimeEdge {
  const days = Object.values(daysSince).map((d) => d * DAY_MS)
  return { event, afterMs: [...(within === undefined ? [] : [within]), ...(between ?? []), ...days] }
}

/** The event since which a tag counts the days; nothing for any other tag. */
export type CountedFrom = (tagId: string) => string | undefined

/** Of a value that is whole days since such an event: a test passes when a bound, or the day after it, is reached. */
export function dayEdges(event: string | undefined, { is, in: anyOf = [], gte, gt, lte, lt }: Comparators): TimeEdge[] {
  if (event === undefined) return []
  const bounds = [is, ...anyOf, gte, gt, lte, lt].map(Number).filter(Number.isFinite)
  return [{ event, afterMs: bounds.flatMap((days) => [Math.ceil(days) * DAY_MS, (Math.floor(days) + 1) * DAY_MS]) }]
}

/** How many events of the window there are. */
export function countOf(build: Build, windowed: Windowed): Extract<Num, { num: 'column' }> {
  return { num: 'column', column: build.column({ of: 'count', on: conditionOf(build, windowed) }) }
}

/** The instant of the last of them, in milliseconds. */
export function lastOf(build: Build, windowed: Windowed): Extract<Num, { num: 'column' }> {
  return { num: 'column', column: build.column({ of: 'last', on: conditionOf(build, windowed) }) }
}

/** Milliseconds since the last of them. */
export function sinceLast(build: Build, windowed: Windowed): Num {
  return { num: 'minusColumn', from: build.nowMs, column: lastOf(build, windowed).column }
}

/** How many of them say a number there: where none does, there is no sum. */
export function numbersOf(build: Build, windowed: Windowed, property: string): Extract<Num, { num: 'column' }> {
  const on = conditionOf(build, windowed)
  const isNumber = compareAll({ text: 'column', column: property }, { gte: -Number.MAX_VALUE })
  const where = [...on.where, { property, tests: isNumber }]
  return { num: 'column', column: build.column({ of: 'count', on: { ...on, where } }) }
}

export function sumOf(build: Build, windowed: Windowed, property: string): Num {
  return { num: 'column', column: build.column({ of: 'sum', property, on: conditionOf(build, windowed) }) }
}

/** A property at the first or last of them; equal instants are decided by the event id. */
export function propertyAt(build: Build, windowed: Windowed, at: 'first' | 'last', property: string): Text {
  const of = at === 'first' ? 'atFirst' : 'atLast'
  return { text: 'column', column: build.column({ of, property, on: conditionOf(build, windowed) }) }
}

/** Whole days since the last of them; absent where there is none. */
export function daysSinceOf(build: Build, windowed: Windowed): Text {
  return {
    text: 'choice',
    cases: [absentIfNone(build, windowed)],
    otherwise: { text: 'figure', of: sinceLast(build, windowed), per: DAY_MS },
  }
}

/** The first case of figures that are absent where there is no such event, or none that says a number there. */
export function absentIfNone(build: Build, windowed: Windowed, property?: string): { when: Bool; value: Text } {
  const count = property === undefined ? countOf(build, windowed) : numbersOf(build, windowed, property)
  return { when: { bool: 'compare', of: count, sign: '=', to: 0 }, value: ABSENT }
}

function conditionOf({ nowMs }: Build, { event, where, within, between }: Windowed): Condition {
  const bounds: Condition['bounds'] = []
  if (within !== undefined) bounds.push({ sign: '>', ms: nowMs - within })
  if (between !== undefined) bounds.push({ sign: '>', ms: nowMs - between[0] }, { sign: '<=', ms: nowMs - between[1] })
  const tests = Object.entries(where ?? {}).map(([property, test]) => ({
    property,
    tests: compareAll({ text: 'column', column: property }, typeof test === 'object' ? test : { is: test }),
  }))
  return { event, bounds, where: tests.filter((t) => t.tests.length > 0) }
}
