import { describe, expect, it } from '@jest/globals'
import { decide } from '../../../src/domain/journeys/decide.js'
import type { Decision } from '../../../src/domain/journeys/decision.js'
import { Journey } from '../../../src/domain/journeys/definition.js'
import { parseInput } from '../../../src/parse.js'

const send = (content: string) => ({ id: content, send: { channel: 'wecom', content } })

function journey(...steps: unknown[]): Journey {
  return parseInput(Journey, {
    id: 'a-journey',
    name: 'a journey',
    enter: { on: 'registered' },
    goal: { event: 'order_paid', within: '7d' },
    steps,
  })
}

function decideAt(
  j: Journey,
  path: string,
  {
    arrivedAt = '2026-03-02T10:00:00Z',
    now = arrivedAt,
    timeZone = 'Europe/London',
    rules,
  }: {
    arrivedAt?: string
    now?: string
    timeZone?: string
    rules?: boolean[]
  } = {},
): Decision {
  const facts = { now: new Date(now), timeZone, ...(rules === undefined ? {} : { rules }) }
  return decide(j, { path, arrivedAt: new Date(arrivedAt) }, facts)
}

describe('a wait for a time', () => {
  const j = journey({ wait: '2d' }, send('a'))

  it.each([
    ['2026-03-02T10:00:00.000Z', 'sleep'],
    ['2026-03-04T09:59:59.999Z', 'sleep'],
    ['2026-03-04T10:00:00.000Z', 'goto'],
    ['2026-03-09T00:00:00.000Z', 'goto'],
  ])('of two days after arrival: at %s it decides to %s', (now, kind) => {
    const decision = decideAt(j, '0', { now })
    expect(decision.kind).toBe(kind)
    if (decision.kind === 'sleep') expect(decision.until).toEqual(new Date('2026-03-04T10:00:00Z'))
    else expect(decision).toEqual({ kind: 'goto', path: '1' })
  })

  it('ends the run when nothing follows it', () => {
    expect(decideAt(journey({ wait: '1s' }), '0', { now: '2026-03-03T00:00:00Z' })).toEqual({ kind: 'end' })
  })

  it('goes on at once when it waits for nothing', () => {
    expect(decideAt(journey({ wait: '0s' }, send('a')), '0')).toEqual({ kind: 'goto', path: '1' })
  })
})

describe('a wait until a time of day', () => {
  it.each<[string, { until: string; afterDays?: number }, string, string, string]>([
    ['later the same day', { until: '10:00' }, 'Europe/London', '2026-01-05T08:00:00Z', '2026-01-05T10:00:00Z'],
    ['already past: tomorrow', { until: '10:00' }, 'Europe/London', '2026-01-05T10:00:01Z', '2026-01-06T10:00:00Z'],
    ['exactly now: tomorrow', { until: '10:00' }, 'Europe/London', '2026-01-05T10:00:00Z', '2026-01-06T10:00:00Z'],
    [
      'the next day, however early',
      { until: '10:00', afterDays: 1 },
      'Europe/London',
      '2026-01-05T00:00:00Z',
      '2026-01-06T10:00:00Z',
    ],
    [
      'the next day, just before midnight',
      { until: '00:00', afterDays: 1 },
      'Europe/London',
      '2026-01-05T23:59:59Z',
      '2026-01-06T00:00:00Z',
    ],
    [
      'the day as the brand counts it, not as UTC does',
      { until: '10:00' },
      'Asia/Shanghai',
      '2026-01-05T17:00:00Z',
      '2026-01-06T02:00:00Z',
    ],
    [
      'over the change to summer time: 10:00 on the wall, 23 hours later',
      { until: '10:00', afterDays: 1 },
      'Europe/London',
      '2026-03-28T10:00:00Z',
      '2026-03-29T09:00:00Z',
    ],
    [
      'over the change to winter time: 10:00 on the wall, 25 hours later',
      { until: '10:00', afterDays: 1 },
      'Europe/London',
      '2026-10-24T09:00:00Z',
      '2026-10-25T10:00:00Z',
    ],
    [
      'a time that the change to summer time skips: as far after the change',
      { until: '01:30', afterDays: 1 },
      'Europe/London',
      '2026-03-28T12:00:00Z',
      '2026-03-29T01:30:00Z',
    ],
    [
      'a time that the change to winter time shows twice: the first',
      { until: '01:30', afterDays: 1 },
      'Europe/London',
      '2026-10-24T12:00:00Z',
      '2026-10-25T00:30:00Z',
    ],
    ['over the end of a year', { until: '09:00', afterDays: 2 }, 'UTC', '2026-12-30T12:00:00Z', '2027-01-01T09:00:00Z'],
  ])('%s', (_what, wait, timeZone, arrivedAt, until) => {
    const j = journey({ wait }, send('a'))
    expect(decideAt(j, '0', { timeZone, arrivedAt })).toEqual({ kind: 'sleep', until: new Date(until) })
    expect(decideAt(j, '0', { timeZone, arrivedAt, now: until })).toEqual({ kind: 'goto', path: '1' })
  })

  it('counts from arrival, so that a late job agrees with a punctual one', () => {
    const j = journey({ wait: { until: '10:00' } }, send('a'))
    expect(decideAt(j, '0', { arrivedAt: '2026-01-05T08:00:00Z', now: '2026-01-09T08:00:00Z' }).kind).toBe('goto')
  })
})

describe('a branch', () => {
  const j = journey(
    { branch: [{ if: { tag: 'x' }, do: [send('a')] }, { if: { tag: 'y' }, do: [send('b')] }, { else: [send('c')] }] },
    send('d'),
  )
  const withoutElse = journey({ branch: [{ if: { tag: 'x' }, do: [send('a')] }] }, send('d'))

  it('asks for its rules first, in the order of its arms', () => {
    expect(decideAt(j, '0')).toEqual({ kind: 'ask', rules: [{ tag: 'x' }, { tag: 'y' }] })
  })

  it.each([
    [[true, true], '0.0.0'],
    [[false, true], '0.1.0'],
    [[false, false], '0.2.0'],
  ])('with the answers %j goes to %s', (rules, path) => {
    expect(decideAt(j, '0', { rules })).toEqual({ kind: 'goto', path })
  })

  it('without else goes past when no arm holds, and ends when nothing follows', () => {
    expect(decideAt(withoutElse, '0', { rules: [false] })).toEqual({ kind: 'goto', path: '1' })
    const alone = journey({ branch: [{ if: { tag: 'x' }, do: [send('a')] }] })
    expect(decideAt(alone, '0', { rules: [false] })).toEqual({ kind: 'end' })
  })

  it('with nothing but else asks nobody', () => {
    expect(decideAt(journey({ branch: [{ else: [send('a')] }] }), '0')).toEqual({ kind: 'goto', path: '0.0.0' })
  })

  it('goes on after itself from the end of every arm', () => {
    for (const path of ['0.0.0', '0.1.0', '0.2.0']) expect(decideAt(j, path)).toMatchObject({ kind: 'send', then: '1' })
  })

  it('inside a branch goes on after the inner one, then after the outer one', () => {
    const nested = journey(
      { branch: [{ else: [{ branch: [{ else: [send('deep')] }] }, send('inner')] }] },
      send('outer'),
    )
    expect(decideAt(nested, '0.0.0.0.0')).toMatchObject({ stepId: 'deep', then: '0.0.1' })
    expect(decideAt(nested, '0.0.1')).toMatchObject({ stepId: 'inner', then: '1' })
    expect(decideAt(nested, '1')).toMatchObject({ stepId: 'outer', then: undefined })
  })

  it('at the very end of everything leads nowhere', () => {
    const last = journey({ branch: [{ else: [{ branch: [{ else: [send('deep')] }] }] }] })
    expect(decideAt(last, '0.0.0.0.0')).toMatchObject({ stepId: 'deep', then: undefined })
  })
})

describe('other steps', () => {
  it('a send says what, through which channel, and what comes after', () => {
    const j = journey({ send: { channel: 'coupon', content: 'gift' } }, { exit: true })
    expect(decideAt(j, '0')).toEqual({ kind: 'send', stepId: '0', channel: 'coupon', contentId: 'gift', then: '1' })
  })

  it('a task carries its step', () => {
    const j = journey({ id: 'call', task: { title: 'Call', script: 'talk', due: '24h' } })
    expect(decideAt(j, '0')).toMatchObject({
      kind: 'task',
      stepId: 'call',
      step: { task: { script: 'talk' } },
      then: undefined,
    })
  })

  it('an exit ends the run, whatever follows', () => {
    expect(decideAt(journey({ exit: true }, send('a')), '0')).toEqual({ kind: 'end' })
  })

  it.each(['0', '0.1.3'])('one that only a newer version knows holds the run, also at the place %s inside', (path) => {
    const j = { ...journey(send('a')), steps: [{ id: 'draw', unknown: 'unknown field "lottery"' }] }
    expect(decideAt(j, path)).toEqual({ kind: 'hold', stepId: 'draw', reason: 'unknown field "lottery"' })
  })

  it('a place that this version does not have ends the run', () => {
    expect(decideAt(journey(send('a')), '7')).toEqual({ kind: 'end' })
  })
})
