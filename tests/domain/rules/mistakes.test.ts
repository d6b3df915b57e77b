import { describe, expect, it } from '@jest/globals'
import { clauses, Rule } from '../../../src/domain/rules/rule.js'
import { ruleMistakes } from '../../../src/domain/rules/mistakes.js'
import type { Known } from '../../../src/domain/rules/known.js'

const known: Known = {
  properties: new Map([['order_paid', new Set(['country', 'quantity'])]]),
  traits: new Set(['city', 'birthday']),
  identifiers: new Set(['unionid', 'openid']),
  tags: new Map<string, readonly string[] | 'number' | 'text'>([
    ['rfm_class', ['champions', 'loyal', 'at_risk']],
    ['vip', ['1']],
    ['intent', 'number'],
    ['home_city', 'text'],
    ['lifecycle_stage', ['new', 'active', 'dormant']],
  ]),
}

function mistakesOf(rule: unknown, given?: unknown) {
  const demands = given === undefined ? undefined : clauses.event.demands(given as never, known)
  const mistakes = ruleMistakes({ rule: Rule.parse(rule), path: [], ...(demands && { given: demands }) }, known)
  return mistakes.map(
    ({ path, message, hint, unsure }) => [path.join('.'), `${message} ${hint}`, unsure === true] as const,
  )
}

describe('what a rule names and no list has', () => {
  it.each<[string, unknown, string, RegExp]>([
    ['a property of a test', { event: 'order_paid', where: { contry: 'UK' } }, 'where.contry', /"country"/],
    ['a property that is added up', { event: 'order_paid', sum: { qantity: { gte: 1 } } }, 'sum.qantity', /"quantity"/],
    ['the amount', { event: 'order_paid', sum: { amountMinr: { gte: 1 } } }, 'sum.amountMinr', /"amountMinor"/],
    [
      'a property of the last',
      { event: 'order_paid', last: { property: 'contry', is: 'UK' } },
      'last.property',
      /"country"/,
    ],
    ['a trait', { trait: 'ctiy', is: '上海' }, 'trait', /"city"/],
    ['an identifier', { identifier: 'uniond' }, 'identifier', /"unionid"/],
    ['a value', { tag: 'rfm_class', is: 'champins' }, 'is', /"champions"/],
    ['one of several values', { tag: 'rfm_class', in: ['loyal', 'at_rsk'] }, 'in.1', /"at_risk"/],
    ['a value like none', { tag: 'rfm_class', is: 'gold' }, 'is', /champions, loyal, at_risk/],
    ['a value of a flag', { tag: 'vip', is: true }, 'is', /\{ tag: vip \}/],
    ['a text where there are numbers', { tag: 'intent', is: 'high' }, 'is', /number/],
  ])('%s', (_what, rule, path, said) => {
    const [mistake, ...others] = mistakesOf({ all: [{ event: 'registered' }, rule] })
    expect(others).toEqual([])
    expect(mistake).toEqual([`all.1.${path}`, expect.stringMatching(said), false])
  })

  it.each<[string, unknown]>([
    ['a property like none that is listed', { event: 'order_paid', where: { sku: 'A' } }],
    ['a trait like none that is listed', { trait: 'store', is: '0012' }],
  ])('is not sure of %s', (_what, rule) => {
    expect(mistakesOf(rule)).toEqual([[expect.anything(), expect.stringContaining('config/events.yaml'), true]])
  })

  it.each<[string, unknown]>([
    ['the amount of an event', { event: 'order_paid', where: { amountMinor: { gte: 1 } } }],
    ['properties of an event that lists none', { event: 'viewed', where: { anything: 1 } }],
    ['an openid of an app', { identifier: 'openid:wx1' }],
    ['the value of a flag', { tag: 'vip', is: 1 }],
    ['any text of a text', { tag: 'home_city', is: '上海' }],
  ])('takes %s', (_what, rule) => {
    expect(mistakesOf(rule)).toEqual([])
  })
})

describe('what cannot hold', () => {
  it.each<[string, unknown, string]>([
    ['bounds that exclude each other', { score: 'intent', gte: 70, lt: 30 }, ''],
    ['bounds that leave nothing between', { score: 'intent', gt: 5, lt: 5 }, ''],
    ['a number outside the bounds', { tag: 'intent', is: 5, gte: 10 }, ''],
    ['a negative count', { event: 'order_paid', count: { lt: 0 } }, ''],
    ['a broken count', { event: 'order_paid', count: { is: 1.5 } }, ''],
    ['no whole number between', { event: 'order_paid', count: { gt: 1, lt: 2 } }, ''],
    ['a test of a property', { event: 'order_paid', where: { quantity: { gte: 5, lte: 3 } } }, ''],
    ['longer ago than the window', { event: 'order_paid', within: '7d', daysSince: { gte: 30 } }, ''],
    ['outside a window between', { event: 'order_paid', between: ['60d', '30d'], daysSince: { lt: 10 } }, ''],
    ['words compared as numbers', { tag: 'rfm_class', gte: 3 }, ''],
    ['there and not there', { trait: 'city', exists: false, is: '上海' }, ''],
    [
      'two values at once',
      {
        all: [
          { tag: 'rfm_class', is: 'loyal' },
          { tag: 'rfm_class', is: 'at_risk' },
        ],
      },
      'all.1',
    ],
    ['two stages at once', { all: [{ stage: 'new' }, { all: [{ tag: 'vip' }, { stage: 'dormant' }] }] }, 'all.1.all.1'],
    ['a rule and its opposite', { all: [{ tag: 'vip' }, { not: { tag: 'vip' } }] }, 'all.1'],
    ['some and none', { all: [{ event: 'order_paid', count: { gte: 2 } }, { not: { event: 'order_paid' } }] }, 'all.1'],
    ['one of several ways', { all: [{ stage: 'new' }, { any: [{ stage: 'active' }, { tag: 'vip' }] }] }, 'all.1.any.0'],
    ['inside a not', { not: { score: 'intent', gte: 70, lt: 30 } }, 'not'],
  ])('%s', (_what, rule, path) => {
    // The whole can hold without a part of `any` or inside `not`: it is said, and is in nobody's way.
    expect(mistakesOf(rule)).toEqual([[path, expect.stringMatching(/never hold/), /any|not/.test(path)]])
  })

  it('is what an entry by an event excludes', () => {
    const rule = { all: [{ tag: 'vip' }, { not: { event: 'order_paid' } }] }
    expect(mistakesOf(rule, { event: 'order_paid' })).toEqual([['all.1', expect.stringMatching(/never hold/), false]])
    expect(mistakesOf(rule, { event: 'viewed' })).toEqual([])
    expect(mistakesOf({ event: 'order_paid', count: { is: 1 } }, { event: 'order_paid' })).toEqual([])
  })

  it.each<[string, unknown]>([
    ['a range', { event: 'order_paid', daysSince: { gte: 30, lte: 60 } }],
    ['exactly a bound', { score: 'intent', gte: 70, lte: 70 }],
    ['none so far', { event: 'order_paid', count: { is: 0 } }],
    ['within, and a while ago', { event: 'order_paid', within: '365d', daysSince: { gte: 30 } }],
    [
      'the same of other events',
      { all: [{ event: 'order_paid', within: '7d' }, { not: { event: 'order_paid', within: '1d' } }] },
    ],
    [
      'the last and another',
      { all: [{ event: 'order_paid' }, { not: { event: 'order_paid', last: { property: 'country', is: 'UK' } } }] },
    ],
    [
      'events that may be none, whatever is asked of them',
      { event: 'viewed', where: { depth: { gt: 5, lt: 3 } }, count: { is: 0 } },
    ],
    ['one of two, one of them held', { all: [{ tag: 'vip' }, { any: [{ tag: 'vip' }, { stage: 'new' }] }] }],
    ['a text compared as a number', { tag: 'home_city', gte: 3 }],
  ])('is not %s', (_what, rule) => {
    expect(mistakesOf(rule)).toEqual([])
  })
})
