import { readFileSync } from 'node:fs'
import { describe, expect, it } from '@jest/globals'
import { parse } from 'csv-parse/sync'
import { computeEffect, computeWilson } from '../../../src/domain/measures/newcombe.js'

/** Rows of statsmodels' published test results; each names its source. */
type Anchor = { id: string; inputs: string; quantity: 'low' | 'high'; expected: string; tolerance: string }
const anchors: Anchor[] = parse(readFileSync('tests/fixtures/proportion-anchors.csv', 'utf8'), { columns: true })

function intervalOf(inputs: string): { low: number | null; high: number | null } | undefined {
  const [a, b, c, d] = inputs.match(/\d+/g)!.map(Number) as [number, number, number, number]
  return inputs.includes(' vs ')
    ? computeEffect({ treated: { n: b, x: a }, holdout: { n: d, x: c } })
    : computeWilson({ n: b, x: a })
}

describe('computeWilson and computeEffect', () => {
  it.each(anchors)('agree with the published $quantity of $id', ({ inputs, quantity, expected, tolerance }) => {
    const value = intervalOf(inputs)?.[quantity]
    expect(Math.abs(Number(value) - Number(expected))).toBeLessThanOrEqual(Number(tolerance))
  })
  it('has anchors for both methods', () => {
    expect(anchors.map((a) => a.id)).toEqual(expect.arrayContaining(['binom-18-20-wilson', 'diff-7-34-1-34-newcombe']))
  })
})

describe('computeEffect', () => {
  // Newcombe, Statistics in Medicine 17 (1998), Table II, examples (a) to (h), method 10.
  it.each([
    [56, 70, 48, 80, 0.0524, 0.3339],
    [9, 10, 3, 10, 0.1705, 0.809],
    [6, 7, 2, 7, 0.0582, 0.8062],
    [5, 56, 0, 29, -0.0381, 0.1926],
    [0, 10, 0, 20, -0.1611, 0.2775],
    [0, 10, 0, 10, -0.2775, 0.2775],
    [10, 10, 0, 20, 0.6791, 1],
    [10, 10, 0, 10, 0.6075, 1],
  ])('gives the published interval of %i/%i against %i/%i', (x, n, y, m, low, high) => {
    const effect = computeEffect({ treated: { n, x }, holdout: { n: m, x: y } })
    expect(effect.estimate).toBeCloseTo(x / n - y / m, 12)
    expect(Number(effect.low).toFixed(4)).toBe(low.toFixed(4))
    expect(Number(effect.high).toFixed(4)).toBe(high.toFixed(4))
  })

  it.each([
    [
      { n: 0, x: 0 },
      { n: 10, x: 3 },
    ],
    [
      { n: 10, x: 3 },
      { n: 0, x: 0 },
    ],
    [
      { n: 0, x: 0 },
      { n: 0, x: 0 },
    ],
  ])('says nothing when an arm is empty: %j against %j', (treated, holdout) => {
    expect(computeEffect({ treated, holdout })).toEqual({ estimate: null, low: null, high: null })
  })

  it('changes sign and swaps its ends when the arms change places', () => {
    const [a, b] = [
      { n: 361, x: 33 },
      { n: 41, x: 4 },
    ]
    const [there, back] = [computeEffect({ treated: a, holdout: b }), computeEffect({ treated: b, holdout: a })]
    expect(Number(back.low)).toBeCloseTo(-Number(there.high), 12)
    expect(Number(back.high)).toBeCloseTo(-Number(there.low), 12)
  })

  it('stays within −1 and 1 and around its estimate for every small table', () => {
    for (let n = 1; n <= 6; n++) {
      for (let m = 1; m <= 6; m++) {
        for (let x = 0; x <= n; x++) {
          for (let y = 0; y <= m; y++) {
            const { estimate, low, high } = computeEffect({ treated: { n, x }, holdout: { n: m, x: y } })
            expect(low).toBeGreaterThanOrEqual(-1)
            expect(high).toBeLessThanOrEqual(1)
            expect(Number(low)).toBeLessThanOrEqual(Number(estimate))
            expect(Number(high)).toBeGreaterThanOrEqual(Number(estimate))
          }
        }
      }
    }
  })

  it('is wider at 99 %', () => {
    const arms = { treated: { n: 361, x: 33 }, holdout: { n: 41, x: 4 } }
    const [narrow, wide] = [computeEffect(arms), computeEffect(arms, 2.5758293035489)]
    expect(Number(wide.low)).toBeLessThan(Number(narrow.low))
    expect(Number(wide.high)).toBeGreaterThan(Number(narrow.high))
  })

  it.each([
    { n: 3, x: 4 },
    { n: 3, x: -1 },
    { n: 2.5, x: 1 },
    { n: Number.NaN, x: 0 },
  ])('refuses %j as an arm', (arm) => {
    expect(() => computeEffect({ treated: arm, holdout: { n: 1, x: 1 } })).toThrow(RangeError)
  })
})
