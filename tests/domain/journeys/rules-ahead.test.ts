import { describe, expect, it } from '@jest/globals'
import { PublishedJourney } from '../../../src/domain/journeys/definition.js'
import { rulesAhead } from '../../../src/domain/journeys/rules-ahead.js'

const ask = (event: string, ...inside: object[]) => ({ if: { event }, do: [{ wait: '1h' }, ...inside] })
const journey = PublishedJourney.parse({
  id: 'a-journey',
  name: 'a',
  enter: { on: 'asked' },
  goal: { event: 'order_paid', within: '7d' },
  steps: [
    { branch: [ask('first', { branch: [ask('inner')] }), ask('second')] },
    { wait: '1h' },
    { of: 'a newer program' },
    { branch: [ask('last')] },
  ],
})

describe('rules ahead of a run', () => {
  it.each([
    ['at the first step', '0', ['first', 'second', 'inner', 'last']],
    ['in an arm, not those of the branch it is in, nor of the other arm', '0.0.0', ['inner', 'last']],
    ['at a branch inside', '0.0.1', ['inner', 'last']],
    ['in the arm inside', '0.0.1.0.0', ['last']],
    ['in the second arm', '0.1.0', ['last']],
    ['behind the branch', '1', ['last']],
    ['inside a step that is unknown', '2.0.0', ['last']],
    ['at the last branch', '3', ['last']],
    ['in its arm', '3.0.0', []],
  ])('%s', (_where, path, events) => {
    const rules = rulesAhead(journey, path).map((rule) => ('event' in rule ? rule.event : ''))
    expect([...rules].sort()).toEqual([...events].sort())
  })
})
