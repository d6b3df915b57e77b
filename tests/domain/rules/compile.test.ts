import { describe, expect, it } from '@jest/globals'
import {
  compileDeltas,
  compileExplain,
  compileHolds,
  compileTouched,
  deepestChain,
  type Evaluable,
  type Knowledge,
  passesOf,
  readsOf,
} from '../../../src/domain/rules/compile.js'
import type { ProfileFigures } from '../../../src/domain/rules/expression.js'
import { describeRule, Rule } from '../../../src/domain/rules/rule.js'
import { Tag } from '../../../src/domain/tags/definition.js'
import { parseInput } from '../../../src/parse.js'
import { DAY_MS } from '../../../src/time.js'

const NOW_MS = Date.UTC(2026, 2, 10)
const rule = (input: unknown): Rule => parseInput(Rule, input)
const flag = (id: string, when: unknown): Evaluable => ({
  id,
  tag: parseInput(Tag, { id, name: id, category: 'model', owner: 'crm', purpose: 'test', type: 'flag', when }),
})
/** Flags of which each reads the one before; the first reads events. */
const chainOf = (n: number, when: (before: string) => unknown): Evaluable[] =>
  Array.from({ length: n }, (_, i) => flag(`c${i}_x`, i === 0 ? { event: 'order_paid' } : when(`c${i - 1}_x`)))
const segments = new Map([
  ['buyers', rule({ event: 'order_paid' })],
  ['outer', rule({ all: [{ segment: 'buyers' }, { trait: 'city' }] })],
])
const options = { nowMs: NOW_MS, scope: { kind: 'all' } as const, segments }
const figures = (more: Partial<ProfileFigures>): ProfileFigures => ({
  traits: {},
  identifierTypes: [],
  stored: {},
  columns: {},
  ...more,
})

describe('compileDeltas', () => {
  it('lets a tag read another one in the same pass, in whichever order they stand', () => {
    const [a, b] = [flag('aa', { tag: 'bb' }), flag('bb', { trait: 'city', is: '上海' })]
    for (const evaluables of [
      [a, b],
      [b, a],
    ]) {
      const query = compileTouched(evaluables, options)
      const deltas = query.deltas([
        { profileId: 1, figures: figures({ traits: { city: '上海' }, stored: { aa: '' } }) },
      ])
      expect(deltas).toEqual([
        { p: 1, id: 'aa', old: '', new: '1' },
        { p: 1, id: 'bb', old: '', new: '1' },
      ])
    }
  })

  it('computes a tag that others read once, below them: a chain of twelve stays a short query', () => {
    const chain = chainOf(12, (before) => ({ any: [{ tag: before }, { not: { tag: before } }, { event: 'asked' }] }))
    expect(compileDeltas(chain, options).length).toBeLessThan(6_000)
    expect(compileDeltas([...chain].reverse(), options).length).toBeLessThan(6_000)
    expect(deepestChain(chain, options)).toEqual({ id: 'c11_x', tags: 12 })
    const query = compileTouched(
      chainOf(40, (before) => ({ not: { tag: before } })),
      options,
    )
    const values = query.values(figures({ columns: { a0: 1 } }))
    expect(values.filter((v) => v.value === '1').map((v) => v.id)).toEqual(
      Array.from({ length: 20 }, (_, i) => `c${2 * i}_x`).sort(),
    )
  })

  it('takes as many levels in one pass as an engine plans at once', () => {
    const chain = chainOf(45, (before) => ({ not: { tag: before } }))
    const passes = passesOf([...chain, flag('aside', { event: 'asked' })], options)
    expect(passes.map((pass) => pass.length)).toEqual([21, 20, 5])
    expect(passes[0]).toContainEqual(expect.objectContaining({ id: 'aside' }))
    expect(passes[1]![0]!.id).toBe('c20_x')
  })

  it('reads a tag that is not in the pass from the stored state', () => {
    const query = compileTouched([flag('aa', { tag: 'bb' })], options)
    expect(query.stateSql).toContain("'bb'")
    const deltas = query.deltas([{ profileId: 1, figures: figures({ stored: { bb: '1' } }) }])
    expect(deltas.map((d) => d.new)).toEqual(['1'])
  })

  it.each<[string, Evaluable[], RegExp]>([
    ['a tag that reads itself', [flag('aa', { tag: 'aa' })], /circle: aa → aa/],
    [
      'three tags in a ring',
      [flag('aa', { tag: 'bb' }), flag('bb', { not: { tag: 'cc' } }), flag('cc', { tag: 'aa' })],
      /circle: aa → bb → cc → aa/,
    ],
  ])('refuses %s and names the circle', (_what, evaluables, message) => {
    expect(() => compileDeltas(evaluables, options)).toThrow(message)
  })

  it('refuses segments that name each other in a circle', () => {
    const circle = new Map([
      ['one', rule({ segment: 'two' })],
      ['two', rule({ any: [{ segment: 'one' }, { event: 'order_paid' }] })],
    ])
    expect(() => compileDeltas([flag('aa', { segment: 'one' })], { ...options, segments: circle })).toThrow(
      /circle: .*segment one → segment two → segment one/,
    )
  })

  it('refuses a segment that nobody defined', () => {
    expect(() => compileDeltas([flag('aa', { segment: 'none' })], options)).toThrow('there is no segment "none"')
  })

  it('computes an aggregate that two rules share once', () => {
    const query = compileTouched(
      [
        flag('aa', { event: 'order_paid', within: '7d', count: { gte: 3 } }),
        flag('bb', { not: { event: 'order_paid', within: '7d' } }),
        flag('cc', { event: 'order_paid', within: '8d' }),
      ],
      options,
    )
    expect(query.figures).toHaveLength(2)
  })

  it('asks no events when no rule reads any', () => {
    expect(compileTouched([flag('aa', { trait: 'city' })], options).figuresSql).toBeUndefined()
  })
})

describe('what is asked of the past', () => {
  const then = { ...options, knowledge: 'then' } as const

  it('is read from the logs alone, and of what is known now from the tables that hold it', () => {
    const rules = [rule({ all: [{ event: 'order_paid' }, { trait: 'city' }, { tag: 'bb' }] })]
    const sqlOf = (knowledge: Knowledge) => compileHolds(rules, { ...options, knowledge })
    for (const log of ['identity_changes', 'trait_changes', 'tag_changes']) {
      expect(sqlOf('then')).toContain(`FROM ${log}`)
      expect(sqlOf('now')).not.toContain(log)
    }
    for (const table of ['profiles', 'tag_state']) {
      expect(sqlOf('then')).not.toContain(`FROM ${table} `)
      expect(sqlOf('now')).toContain(`FROM ${table} `)
    }
    expect(sqlOf('now')).toBe(compileHolds(rules, options))
  })

  it('asks the logs of traits for those that a rule reads, tags that are worked out among them', () => {
    const computed = [flag('bb', { trait: 'city', is: '上海' })]
    expect(compileHolds([rule({ tag: 'bb' })], { ...then, computed })).toContain("trait IN ('city')")
    expect(compileHolds([rule({ event: 'order_paid' })], then)).not.toContain('trait_changes')
  })

  it('takes who there was from the logs too, where documents tell it of now', () => {
    expect(compileTouched([], then, [rule({ trait: 'city' })]).peopleSql).toContain('identity_changes')
    expect(compileTouched([], options, [rule({ trait: 'city' })]).peopleSql).toBeUndefined()
  })

  it('works a tag out where it is told to, and then reads no stored value', () => {
    const query = compileTouched([], { ...then, computed: [flag('bb', { trait: 'city', is: '上海' })] }, [
      rule({ tag: 'bb' }),
    ])
    expect(query.stateSql).toBeUndefined()
    expect(query.holds(figures({ traits: { city: '上海' } }))).toEqual([true])
    expect(query.holds(figures({ traits: { city: '杭州' }, stored: { bb: '1' } }))).toEqual([false])
  })
})

describe('readsOf', () => {
  it('follows segments into segments', () => {
    const reads = readsOf({ id: 'enter/x', rule: rule({ segment: 'outer' }) }, segments)
    expect([...reads.events]).toEqual(['order_paid'])
    expect([...reads.traits]).toEqual(['city'])
  })

  it('ends on segments in a circle', () => {
    const circle = new Map([
      ['one', rule({ segment: 'two' })],
      ['two', rule({ any: [{ segment: 'one' }, { event: 'order_paid' }] })],
    ])
    expect([...readsOf({ id: 'enter/x', rule: rule({ segment: 'one' }) }, circle).events]).toEqual(['order_paid'])
  })
})

describe('compileExplain', () => {
  it('gives every clause with its answer and the figure behind it', () => {
    const { explain, figures: asked } = compileExplain(
      rule({
        all: [
          { event: 'order_paid', within: '7d', count: { gte: 3 } },
          { not: { event: 'order_paid', daysSince: { gt: 30 } } },
          { any: [{ tag: 'tier', is: 'gold' }, { trait: 'city', is: '上海' }, { identifier: 'phone' }] },
        ],
      }),
      options,
    )
    const [inWindow, ever, lastAt, ...more] = asked.map((f) => f.column) as [string, string, string]
    expect(more).toEqual([])
    const explanation = explain(
      figures({
        traits: { city: '杭州' },
        identifierTypes: ['unionid', 'phone'],
        stored: { tier: 'silver' },
        columns: { [inWindow]: 4, [ever]: 9, [lastAt]: NOW_MS - 40 * DAY_MS },
      }),
    )
    expect(explanation).toEqual({
      clause: 'all',
      holds: false,
      parts: [
        { clause: 'event order_paid, within 7d, count {"gte":3}', holds: true, figure: '4' },
        {
          clause: 'not',
          holds: false,
          parts: [{ clause: 'event order_paid, daysSince {"gt":30}', holds: true, figure: '40' }],
        },
        {
          clause: 'any',
          holds: true,
          parts: [
            { clause: 'tag tier, is gold', holds: false, figure: 'silver' },
            { clause: 'trait city, is 上海', holds: false, figure: '杭州' },
            { clause: 'identifier phone', holds: true, figure: 'phone unionid' },
          ],
        },
      ],
    })
  })

  it.each([
    [{ event: 'a', within: '90s' }, 'event a, within 90s'],
    [{ event: 'a', between: ['7d', '24h'] }, 'event a, between 7d and 1d ago'],
    [{ event: 'a', within: '36h' }, 'event a, within 36h'],
  ])('says %j in the words of the rule file', (input, words) => {
    expect(describeRule(rule(input))).toBe(words)
  })
})
