import { describe, expect, it } from '@jest/globals'
import { firstEvents } from '../../demo/first-events.js'
import { Journey } from '../../src/domain/journeys/definition.js'
import { Rule } from '../../src/domain/rules/rule.js'
import { Tag } from '../../src/domain/tags/definition.js'
import { DAY_MS } from '../../src/time.js'

const entry = (enter: unknown) => ({ enter: Journey.shape.enter.parse(enter) })
const known = {
  segments: new Map([['keen', Rule.parse({ event: 'product_viewed', count: { gte: 2 } })]]),
  tags: [
    Tag.parse({
      ...{ id: 'vip', name: 'VIP', category: 'value', owner: 'crm', purpose: 'test', type: 'flag' },
      when: { event: 'order_paid', daysSince: { gte: 30, lte: 60 } },
    }),
  ],
}
const seen = (enter: unknown) =>
  firstEvents(entry(enter), known).map(({ name, agoMs, properties }) => [name, agoMs / DAY_MS, properties['category']])

describe('firstEvents', () => {
  it.each<[string, unknown, [string, number][]]>([
    ['the event it begins with', { on: 'registered' }, [['registered', 0]]],
    ['that event once, where it is counted too', { on: 'order_paid', if: { event: 'order_paid', count: { is: 1 } } }, [['order_paid', 0]]], // prettier-ignore
    ['earlier ones, where more are asked for', { on: 'order_paid', if: { event: 'order_paid', count: { gte: 2 } } }, [['order_paid', 0], ['order_paid', 0]]], // prettier-ignore
    ['one long ago, inside a window', { when: { all: [{ event: 'registered', between: ['8d', '7d'] }, { not: { event: 'order_paid' } }] } }, [['registered', 7 + 1 / 24]]], // prettier-ignore
    ['what a tag asks for', { when: { tag: 'vip' } }, [['order_paid', 30]]],
    ['what a segment asks for', { when: { segment: 'keen' } }, [['product_viewed', 0], ['product_viewed', 0]]], // prettier-ignore
    ['nothing, where only WeCom can tell', { on: 'contact_added' }, []],
  ])('is %s', (_what, enter, events) => {
    expect(seen(enter)).toEqual(events.map(([name, days]) => [name, days, undefined]))
  })

  it('has the properties that are asked for', () => {
    expect(seen({ when: { event: 'product_viewed', where: { category: '精华' } } })).toEqual([
      ['product_viewed', 0, '精华'],
    ])
  })
})
