import { z } from 'zod'
import { said } from '../../../said.js'
import type { Mistake } from '../../reference.js'
import { Consent } from '../../identity/profile.js'
import { DAY_MS } from '../../../time.js'
import { compareAll, within } from '../comparisons.js'
import type { Demand } from '../demands.js'
import type { Bool, Num } from '../expression.js'
import { Bounds, type Comparators, comparators, Name, sayFields, windowFields } from '../fields.js'
import { propertyMistakes } from '../known.js'
import { absentIfNone, countOf, daysSinceOf, edgesOf, numbersOf, propertyAt, sinceLast, sumOf } from '../windows.js'
import type { Clause } from './clause.js'

const EventClause = z
  .strictObject({
    event: Name,
    ...windowFields,
    count: Bounds.optional(),
    sum: z
      .record(z.string(), Bounds)
      .describe(
        said(
          '属性 → 上下限，如 { amountMinor: { gte: 50000 } }',
          'property → bounds, e.g. { amountMinor: { gte: 50000 } }',
        ),
      )
      .refine((r) => Object.keys(r).length === 1, said('只写一个要相加的属性', 'give exactly one property to add up'))
      .optional(),
    daysSince: Bounds.describe(said('距上一次这个事件的天数', 'days since the last such event')).optional(),
    first: z
      .strictObject({ property: z.string(), ...comparators })
      .describe(said('第一次这个事件时的值', 'value at the first such event'))
      .optional(),
    last: z
      .strictObject({ property: z.string(), ...comparators })
      .describe(said('最近一次这个事件时的值', 'value at the last such event'))
      .optional(),
  })
  .refine(
    (c) => c.within === undefined || c.between === undefined,
    said('within 和 between 只写一个', 'give within or between, not both'),
  )
  .refine(
    (c) => [c.count, c.sum, c.daysSince, c.first, c.last].filter((x) => x !== undefined).length <= 1,
    said('count、sum、daysSince、first、last 只写一个', 'give one of count, sum, daysSince, first, last'),
  )
  .refine(
    (c) => c.between === undefined || c.between[0] > c.between[1],
    said('between 先写更久以前的，如 [60d, 30d]', 'between starts longer ago than it ends'),
  )
type EventClause = z.infer<typeof EventClause>

/** Something that happened: that it did, how often, how much, how long ago, or what was said of it. */
export const event: Clause<EventClause> = {
  schema: EventClause,
  words: { zh: '发生过的事件', en: 'an event that happened' },
  say: sayFields,
  parts: () => [],
  refersTo: (clause) => [{ kind: 'event', name: clause.event, path: ['event'] }],
  lint: (clause, known) => {
    const read = [
      ...Object.keys(clause.sum ?? {}).map((property) => ({ property, path: ['sum', property] })),
      ...(['first', 'last'] as const).flatMap((at) =>
        clause[at] === undefined ? [] : [{ property: clause[at].property, path: [at, 'property'] }],
      ),
    ]
    return [...propertyMistakes(clause, read, known), ...wishMistakes(clause)]
  },
  demands,
  edges: (clause) => [edgesOf(clause, clause.daysSince)],

  test(clause, build) {
    const count = countOf(build, clause)
    if (clause.count !== undefined) return { bool: 'all', of: within(count, clause.count) }
    if (clause.sum !== undefined) {
      const [property, bounds] = Object.entries(clause.sum)[0]!
      return {
        bool: 'all',
        of: [isAny(numbersOf(build, clause, property)), ...within(sumOf(build, clause, property), bounds)],
      }
    }
    const tests = [isAny(count)]
    if (clause.daysSince !== undefined)
      return { bool: 'all', of: [...tests, ...within(sinceLast(build, clause), clause.daysSince, DAY_MS)] }
    const edge = clause.first ?? clause.last
    if (edge === undefined) return tests[0]!
    const at = clause.first === undefined ? 'last' : 'first'
    return { bool: 'all', of: [...tests, ...compareAll(propertyAt(build, clause, at, edge.property), edge)] }
  },

  figure(clause, build) {
    if (clause.sum !== undefined) {
      const property = Object.keys(clause.sum)[0]!
      const sum = { text: 'figure' as const, of: sumOf(build, clause, property), per: 1 }
      return { text: 'choice', cases: [absentIfNone(build, clause, property)], otherwise: sum }
    }
    if (clause.daysSince !== undefined) return daysSinceOf(build, clause)
    if (clause.first !== undefined) return propertyAt(build, clause, 'first', clause.first.property)
    if (clause.last !== undefined) return propertyAt(build, clause, 'last', clause.last.property)
    return { text: 'figure', of: countOf(build, clause), per: 1 }
  },
}

function demands({ event, where, within, between, count, sum, daysSince, first, last }: EventClause): Demand[] {
  const which = JSON.stringify({ event, where, within, between })
  const daysAgo = { ...(within !== undefined && { lt: within / DAY_MS }), ...(between && { lt: between[0] / DAY_MS }) }
  // Of what need not be there nothing is demanded.
  const mayBeNone = count !== undefined && (count.is ?? 0) === 0 && (count.gte ?? 0) <= 0 && (count.gt ?? -1) < 0
  const tested = Object.entries(mayBeNone ? {} : (where ?? {})).map(([property, test]): Demand => ({
    of: `${property} where ${which}`,
    tests: typeof test === 'object' ? test : { is: test },
  }))
  const edge = first ?? last
  const { property: _property, ...asked } = edge ?? {}
  return [
    { of: `count ${which}`, tests: count ?? { gt: 0 }, whole: true },
    ...tested,
    ...Object.entries(sum ?? {}).map(([property, bounds]): Demand => ({
      of: `sum ${property} ${which}`,
      tests: bounds,
    })),
    ...(daysSince === undefined
      ? []
      : [daysSince, { gte: (between?.[1] ?? 0) / DAY_MS, ...daysAgo }].map((tests): Demand => ({
          of: `days since ${which}`,
          tests: tests,
        }))),
    ...(edge === undefined
      ? []
      : [{ of: `${first === undefined ? 'last' : 'first'} ${edge.property} ${which}`, tests: asked as Comparators }]),
  ]
}

/** A wish that she may have changed since. */
function wishMistakes({ event, within, between, ...more }: EventClause): Mistake[] {
  const wish = Consent.safeParse(event)
  const isBare = Object.values({ within, between, ...more }).every((field) => field === undefined)
  if (!wish.success || !isBare) return []
  return [
    {
      path: ['event'],
      message: said('说过，后来可能又改了主意', 'was said once, and she may have changed her mind since'),
      hint: said(`要最后的意愿，写 { consent: ${event} }`, `for her last wish write { consent: ${event} }`),
      unsure: true,
    },
  ]
}

function isAny(of: Num): Bool {
  return { bool: 'compare', of, sign: '>', to: 0 }
}
