import { describe, expect, it } from '@jest/globals'
import type { z } from 'zod'
import { InvalidInputError, type Problem } from '../../../src/errors.js'
import { clauses, collectReads, Rule, walkRule } from '../../../src/domain/rules/rule.js'
import { parseInput } from '../../../src/parse.js'
import { DAY_MS, HOUR_MS } from '../../../src/time.js'

function problemsOf(input: unknown): Problem[] {
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

  it.each<[string, unknown, { path: string; message: RegExp }[]]>([
    ['an unknown field', { event: 'a', withn: '7d' }, [{ path: 'withn', message: /unknown field "withn"/ }]],
    ['a misspelt kind', { evnt: 'a', within: '7d' }, [{ path: 'evnt', message: /unknown field "evnt"/ }]],
    ['no kind', { all: [{ within: '7d' }] }, [{ path: 'all.0', message: /says which kind it is/ }]],
    ['two kinds', { event: 'a', tag: 'b' }, [{ path: '', message: /event and tag are a rule each/ }]],
    [
      'a name that is none',
      { not: { tag: 'X', gt: '1' } },
      [
        { path: 'not.tag', message: /snake_case/ },
        { path: 'not.gt', message: /number/ },
      ],
    ],
    ['no rule at all', { any: ['event a'] }, [{ path: 'any.0', message: /must be fields.*got "event a"/ }]],
  ])('says of %s what is wrong with the kind that is meant, and no more', (_what, input, expected) => {
    const problems = problemsOf(input)
    expect(problems.map((p) => p.path)).toEqual(expected.map((p) => p.path))
    expected.forEach(({ message }, i) => expect(problems[i]!.message).toMatch(message))
  })

  it('names the kinds there are where none is given', () => {
    expect(problemsOf({ within: '7d' })).toEqual([
      expect.objectContaining({
        hint: expect.stringMatching(
          /^可以写：all 全部满足；.*segment 人群 · one of: all all of; .*segment a segment$/,
        ) as unknown,
      }),
    ])
  })

  it('has no field that is the kind of another clause', () => {
    for (const [kind, { schema }] of Object.entries(clauses)) {
      const fields = Object.keys((schema as unknown as z.ZodObject).shape)
      expect(fields.filter((field) => field in clauses)).toEqual([kind])
    }
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

  it('is walked from the outside in; segments on request, each once', () => {
    const segments = new Map([
      ['inner', parseInput(Rule, { all: [{ tag: 'x' }, { segment: 'outer' }] })],
      ['outer', parseInput(Rule, { not: { segment: 'inner' } })],
    ])
    const rule = parseInput(Rule, { any: [{ segment: 'outer' }, { event: 'a' }, { segment: 'outer' }] })
    const shown = (walk: Iterable<{ rule: Rule; path: readonly (string | number)[] }>) =>
      [...walk].map(
        (at) =>
          `${Object.entries(at.rule)
            .map(([k, v]) => (typeof v === 'string' ? `${k} ${v}` : k))
            .join()} @ ${at.path.join('.')}`,
      )
    expect(shown(walkRule(rule, ['when']))).toEqual([
      'any @ when',
      'segment outer @ when.any.0',
      'event a @ when.any.1',
      'segment outer @ when.any.2',
    ])
    expect(shown(walkRule(rule, ['when'], segments)).map((line) => line.split(' @')[0])).toEqual([
      'any',
      'segment outer',
      'not',
      'segment inner',
      'all',
      'tag x',
      'segment outer',
      'event a',
      'segment outer',
    ])
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
