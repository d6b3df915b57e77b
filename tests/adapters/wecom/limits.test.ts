import { describe, expect, it } from '@jest/globals'
import { createLimiter } from '../../../src/adapters/wecom/limits.js'
import { HOUR_MS, ManualClock, MINUTE_MS } from '../../../src/time.js'

const START = new Date('2026-08-03T02:00:00Z') // 10:00 in Shanghai

describe('token buckets', () => {
  it('let a burst through at once and then keep every minute and hour within its limit, fixed or sliding', () => {
    const clock = new ManualClock(START)
    const limiter = createLimiter(clock)
    const sentAtMs: number[] = []
    // A caller that never rests, for an hour and a half.
    while (clock.now().getTime() < START.getTime() + 1.5 * HOUR_MS) {
      const atMs = clock.now().getTime() + limiter.reserveMs('externalcontact/get')
      sentAtMs.push(atMs)
      clock.set(new Date(atMs))
    }
    expect(sentAtMs.filter((ms) => ms <= START.getTime() + 1)).toHaveLength(1_000)
    expect(mostWithin(sentAtMs, MINUTE_MS)).toBeLessThanOrEqual(10_000)
    expect(mostWithin(sentAtMs, HOUR_MS)).toBeLessThanOrEqual(150_000)
    expect(mostWithin(sentAtMs, HOUR_MS)).toBeGreaterThan(145_000)
  })

  it('count every API by itself, and do not count app messages', () => {
    const limiter = createLimiter(new ManualClock(START))
    for (let i = 0; i < 1_000; i++) limiter.reserveMs('user/get')
    expect(limiter.reserveMs('user/get')).toBeGreaterThan(0)
    expect(limiter.reserveMs('user/list')).toBe(0)
    for (let i = 0; i < 20_000; i++) expect(limiter.reserveMs('message/send')).toBe(0)
  })
})

describe('blocks', () => {
  it('last a minute, then an hour, then until the next day in Shanghai', () => {
    const clock = new ManualClock(START)
    const limiter = createLimiter(clock)
    expect(limiter.blocked('a')).toBe(MINUTE_MS)
    clock.set(new Date(clock.now().getTime() + MINUTE_MS))
    expect(limiter.blockedMs('a')).toBe(0)
    expect(limiter.blocked('a')).toBe(HOUR_MS)
    clock.set(new Date(clock.now().getTime() + HOUR_MS))
    expect(limiter.blocked('a')).toBe(new Date('2026-08-03T16:00:00Z').getTime() - clock.now().getTime())
    expect(limiter.blockedMs('b')).toBe(0)
  })

  it('do not grow by answers that were under way, nor end by them', () => {
    const clock = new ManualClock(START)
    const limiter = createLimiter(clock)
    limiter.blocked('a')
    clock.set(new Date(clock.now().getTime() + 10_000))
    expect(limiter.blocked('a')).toBe(50_000)
    limiter.passed('a')
    expect(limiter.blockedMs('a')).toBe(50_000)
  })

  it('begin with a minute again after an answer', () => {
    const clock = new ManualClock(START)
    const limiter = createLimiter(clock)
    limiter.blocked('a')
    clock.set(new Date(clock.now().getTime() + MINUTE_MS))
    limiter.passed('a')
    expect(limiter.blocked('a')).toBe(MINUTE_MS)
  })
})

/** Most calls in any window of this length; `atMs` ascending. */
function mostWithin(atMs: readonly number[], windowMs: number): number {
  let most = 0
  let first = 0
  atMs.forEach((ms, last) => {
    while (atMs[first]! <= ms - windowMs) first++
    most = Math.max(most, last - first + 1)
  })
  return most
}
