import { expect, it } from '@jest/globals'
import { Journey } from '../../../src/domain/journeys/definition.js'
import { journeyReferences } from '../../../src/domain/journeys/references.js'
import { parseInput } from '../../../src/parse.js'

it('references of a journey name who is used by it: entry, exit, goal, and every step of every arm', () => {
  const journey = parseInput(Journey, {
    id: 'a-journey',
    name: 'a journey',
    enter: { on: 'registered', if: { tag: 't' } },
    exit: { on: ['order_paid', 'left'] },
    goal: { event: 'order_paid', within: '7d' },
    steps: [
      { send: { channel: 'wecom', content: 'hello' } },
      {
        branch: [
          { if: { segment: 'seg' }, do: [{ task: { title: 'x', script: 'talk', due: '1d' } }] },
          { else: [{ wait: '1d' }, { send: { channel: 'coupon', content: 'gift' } }] },
        ],
      },
    ],
  })
  expect(journeyReferences(journey).map((r) => `${r.kind} ${r.name} @ ${r.path.join('.')}`)).toEqual([
    'event registered @ enter.on',
    'event order_paid @ exit.on',
    'event left @ exit.on',
    'event order_paid @ goal.event',
    'content hello @ steps.0.send.content',
    'content talk @ steps.1.branch.0.do.0.task.script',
    'content gift @ steps.1.branch.1.else.1.send.content',
    'tag t @ enter.if.tag',
    'segment seg @ steps.1.branch.0.if.segment',
  ])
})
