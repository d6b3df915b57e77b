import { describe, expect, it } from '@jest/globals'
import { InvalidInputError } from '../../../src/errors.js'
import { collectReads, Rule } from '../../../src/domain/rules/rule.js'
import { parseInput } from '../../../src/parse.js'
import { DAY_MS, HOUR_MS } from '../../../src/time.js'

function problemsOf(input: unknown): { path: string; message: string }[] {
  try {
    parseInput(Rule, input)
  } catch (err) {
    if (err instanceof InvalidInputError) return [...err.problems]
    throw err
  }
  return []
}

describe('the rule grammar', () => {
  it('reads durations as milliseconds', () => {
    expect(parseInput(Rule, { event: 'order_paid', between: ['7d', '24h'] })).toEqual({
      event: 'order_paid',
      between: [7 * DAY_MS, 24 * HOUR_MS],
    })
  })

  it.each<[string, unknown, string, RegExp]>([
    ['a window that is none', { event: 'order_paid', within: '7 days' }, 'within', /not a duration/],
    ['an unknown field', { event: 'order_paid', withn: '7d' }, 'withn', /unknown field "withn"/],
    ['a name with a capital', { event: 'OrderPaid' }, 'event', /snake_case/],
    ['a bound that is text', { event: 'order_paid', count: { gte: '3' } }, 'count.gte', /number/],
    ['an unknown bound', { event: 'order_paid', count: { min: 3 } }, 'count.min', /unknown field "min"/],
    ['no bound', { event: 'order_paid', count: {} }, 'count', /at least one of/],
    ['a sum of two properties', { event: 'a', sum: { x: { gte: 1 }, y: { gte: 1 } } }, 'sum', /exactly one property/],
    ['an empty list', { trait: 'city', in: [] }, 'in', /.+/],
    ['a mistake deep inside', { all: [{ any: [{ not: { tag: 'x', gte: 'y' } }] }] }, 'all.0.any.0.not.gte', /number/],
    ['a first without its property', { event: 'a', first: { is: 'x' } }, 'first.property', /.+/],
  ])('names the field of %s', (_what, input, path, message) => {
    const problems = problemsOf(input)
    expect(problems.map((p) => p.path)).toContain(path)
    expect(problems.find((p) => p.path === path)?.message).toMatch(message)
  })

  it.each<[string, unknown]>([
    ['nothing', {}],
    ['a list', []],
    ['an empty all', { all: [] }],
    ['two clauses in one', { all: [{ event: 'a' }], any: [{ event: 'b' }] }],
    ['within and between', { event: 'a', within: '7d', between: ['7d', '1d'] }],
    ['between that ends before it starts', { event: 'a', between: ['1d', '7d'] }],
    ['count and sum', { event: 'a', count: { gte: 1 }, sum: { x: { gte: 1 } } }],
  ])('refuses %s', (_what, input) => {
    expect(problemsOf(input).length).toBeGreaterThan(0)
  })

  it('reads what it looks at, through every nesting, and names segments without following them', () => {
    const reads = collectReads(
      parseInput(Rule, {
        all: [
          { any: [{ event: 'a' }, { not: { event: 'b' } }] },
          { trait: 'city', is: 'x' },
          { identifier: 'phone' },
          { tag: 't' },
          { score: 's', gte: 1 },
          { stage: 'new' },
          { segment: 'seg' },
        ],
      }),
    )
    expect(reads).toEqual({
      events: new Set(['a', 'b']),
      traits: new Set(['city']),
      identifiers: new Set(['phone']),
      tags: new Set(['t', 's', 'lifecycle_stage']),
      segments: new Set(['seg']),
    })
  })
})
