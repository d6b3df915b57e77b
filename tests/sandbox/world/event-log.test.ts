import { describe, expect, it } from '@jest/globals'
import { EventLog } from '../../../sandbox/world/event-log.js'

const at = (ms: number) => new Date(ms)
const hashOf = (...lines: [number, string, ...string[]][]) => {
  const log = new EventLog()
  for (const [ms, kind, ...keys] of lines) log.add(at(ms), kind, keys)
  return log.hash
}

describe('the event log', () => {
  it('has the same hash for the same events, whatever their order within an instant', () => {
    expect(hashOf([1, 'a', 'x'], [2, 'b', 'y'], [2, 'c'])).toBe(hashOf([1, 'a', 'x'], [2, 'c'], [2, 'b', 'y']))
    expect(hashOf()).toMatch(/^[0-9a-f]{32}$/)
  })

  it.each([
    ['another key', hashOf([1, 'a', 'y'])],
    ['another kind', hashOf([1, 'b', 'x'])],
    ['another instant', hashOf([2, 'a', 'x'])],
    ['keys cut elsewhere', hashOf([1, 'ax'])],
    ['one more', hashOf([1, 'a', 'x'], [1, 'a', 'x'])],
    ['none', hashOf()],
  ])('has another hash for %s', (_name, other) => {
    expect(other).not.toBe(hashOf([1, 'a', 'x']))
  })

  it('tells the order of instants', () => {
    expect(hashOf([1, 'a'], [2, 'b'])).not.toBe(hashOf([1, 'b'], [2, 'a']))
  })

  it('goes on from where it was stored', () => {
    const whole = new EventLog()
    whole.add(at(1), 'a', [])
    const stored = new EventLog()
    stored.restore(whole.toText())
    for (const log of [whole, stored]) log.add(at(1), 'b', ['x'])
    expect([stored.hash, stored.events]).toEqual([whole.hash, 2])
  })
})
