import { describe, expect, it } from '@jest/globals'
import { estimateLeftMs, expectRecords, Forecast, type Part } from '../../demo/forecast.js'
import { DAY_MS, MINUTE_MS, SECOND_MS } from '../../src/time.js'

const part = (costMs: number, doneMs = 0, tookMs = 0, foundMs = 0): Part => ({ costMs, foundMs, doneMs, tookMs })

describe('estimateLeftMs', () => {
  it('does not know before some work is done', () => {
    expect(estimateLeftMs([part(10_000), part(100_000)])).toBeUndefined()
    expect(estimateLeftMs([part(10_000, 1_999, 60_000)])).toBeUndefined()
  })

  it('takes the pace of what is done for all that is left', () => {
    // Three times slower than where the costs were measured: 5 s and 100 s are left.
    expect(estimateLeftMs([part(10_000, 5_000, 15_000), part(100_000)])).toBeCloseTo(315_000)
  })

  it('follows a part that goes at a pace of its own, the more of it is done the more', () => {
    // History went as measured, live goes at half that speed.
    const leftAt = (doneMs: number) =>
      estimateLeftMs([part(10_000, 10_000, 10_000), part(100_000, doneMs, 2 * doneMs)])!
    expect(leftAt(0)).toBeCloseTo(100_000)
    expect(leftAt(10_000) / 90_000).toBeGreaterThan(1.5)
    expect(leftAt(50_000) / 50_000).toBeGreaterThan(1.9)
    expect(leftAt(50_000) / 50_000).toBeLessThan(2)
    expect(leftAt(100_000)).toBe(0)
  })

  it('does not come near to doubling at a stretch of a long part that is five times slower', () => {
    const before = estimateLeftMs([part(10_000, 10_000, 10_000), part(100_000, 1_000, 1_000)])!
    const after = estimateLeftMs([part(10_000, 10_000, 10_000), part(100_000, 2_000, 6_000)])!
    expect(after / before).toBeLessThan(1.7)
  })

  it('does not take what an earlier process did for our own speed', () => {
    expect(estimateLeftMs([part(10_000, 10_000, 0, 10_000), part(100_000, 50_000, 0, 50_000)])).toBeUndefined()
    expect(estimateLeftMs([part(10_000, 10_000, 0, 10_000), part(100_000, 60_000, 20_000, 50_000)])).toBeCloseTo(80_000)
  })

  it('is nothing for parts that cost nothing', () => {
    expect(estimateLeftMs([part(0), part(5_000, 5_000, 5_000)])).toBe(0)
  })
})

describe('Forecast', () => {
  const SIZES = { records: 28_000, contacts: 3_600, liveMs: 30 * DAY_MS }

  /** A run of which every part takes `slowness` times what it costs; resolves to what was forecast, beside the truth. */
  function run(slowness: number, more: { liveSlowness?: number } = {}) {
    let nowMs = 0
    const forecast = new Forecast(SIZES, () => nowMs)
    const costs = new Forecast(SIZES, () => 0)
    const seen: { atMs: number; leftMs: number | undefined }[] = []
    const go = (ms: number) => {
      nowMs += ms
      seen.push({ atMs: nowMs, leftMs: forecast.leftMs() })
    }
    expect(costs.leftMs()).toBeUndefined()
    forecast.begin('history')
    for (let records = 500; records <= SIZES.records; records += 500) {
      nowMs += slowness * (records <= 10_000 ? 180 : 275)
      forecast.reach('history', records)
      go(0)
    }
    forecast.begin('contacts')
    for (let contacts = 100; contacts <= SIZES.contacts; contacts += 100) {
      nowMs += slowness * 70
      forecast.reach('contacts', contacts)
      go(0)
    }
    forecast.begin('evaluation')
    for (let i = 0; i < 26; i++) go(slowness * 100)
    forecast.begin('live')
    const live = slowness * (more.liveSlowness ?? 1)
    nowMs += live * 1_000
    for (let hours = 0; hours <= 720; hours++) {
      if (hours > 0) nowMs += live * (4_900 / 24)
      forecast.reach('live', (hours * DAY_MS) / 24)
      go(0)
    }
    forecast.begin('report')
    go(slowness * 1_000)
    return { seen, endMs: nowMs }
  }

  it.each([0.5, 1, 10])('is right from its first word on a machine %d times slower in everything', (slowness) => {
    const { seen, endMs } = run(slowness)
    const known = seen.filter(({ leftMs }) => leftMs !== undefined)
    expect(known[0]!.atMs).toBeLessThan(endMs / 20)
    for (const { atMs, leftMs } of known) expect(Math.abs(atMs + leftMs! - endMs)).toBeLessThan(endMs / 50)
  })

  it('comes to be right where live is twice as slow as history tells, without a jump', () => {
    const { seen, endMs } = run(1, { liveSlowness: 2 })
    const known = seen.flatMap(({ atMs, leftMs }) => (leftMs === undefined ? [] : [{ atMs, leftMs }]))
    for (const { atMs, leftMs } of known.filter((one) => one.atMs > endMs / 3))
      expect(Math.abs(atMs + leftMs - endMs)).toBeLessThan(endMs / 8)
    for (const [i, { leftMs }] of known.slice(1).entries())
      expect(Math.abs(leftMs - known[i]!.leftMs)).toBeLessThan(endMs / 15)
  })

  it('goes down while nothing is heard, and never below nothing', () => {
    let nowMs = 0
    const forecast = new Forecast(SIZES, () => nowMs)
    forecast.begin('history')
    nowMs = 10 * SECOND_MS
    forecast.reach('history', 10_000)
    const leftMs = forecast.leftMs()!
    nowMs += SECOND_MS
    expect(forecast.leftMs()).toBeCloseTo(leftMs - SECOND_MS)
    nowMs += 60 * MINUTE_MS
    expect(forecast.leftMs()).toBe(0)
  })

  it('forecasts a run that goes on in the middle of history by the new records alone', () => {
    let nowMs = 0
    const forecast = new Forecast(SIZES, () => nowMs)
    forecast.begin('history')
    for (let records = 500; records <= 15_000; records += 500) {
      nowMs += 1
      forecast.find('history', records)
    }
    expect(forecast.leftMs()).toBeUndefined()
    nowMs += 5_500
    forecast.reach('history', 20_000)
    const fresh = run(2).seen.filter(({ leftMs }) => leftMs !== undefined)
    const first = fresh[0]!
    // Twice as slow as measured: all of it, without the 20,000 records of history that are there.
    expect(forecast.leftMs()! / (first.atMs + first.leftMs!)).toBeCloseTo(
      1 - (2 * (3_600 + 5_500)) / fresh.at(-1)!.atMs,
      1,
    )
  })

  it('forecasts a run that goes on in its live days from there', () => {
    let nowMs = 0
    const forecast = new Forecast(SIZES, () => nowMs)
    forecast.begin('live')
    nowMs += 7_000
    forecast.find('live', 20 * DAY_MS)
    expect(forecast.leftMs()).toBeUndefined()
    nowMs += 3 * 4_900
    forecast.reach('live', 21 * DAY_MS)
    // Nine days and a report, three times slower than measured.
    expect(forecast.leftMs()).toBeCloseTo(3 * (9 * 4_900 + 1_000))
  })
})

describe('expectRecords', () => {
  it.each([
    [3, 31_893],
    [30, 28_465],
    [90, 22_284],
  ])('knows to one per cent what lies before the last %d days', (days, counted) => {
    expect(Math.abs(expectRecords(days) / counted - 1)).toBeLessThan(0.01)
  })

  it('never expects less than nothing', () => {
    expect(expectRecords(400)).toBe(0)
  })
})
