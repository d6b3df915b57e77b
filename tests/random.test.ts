import { createHash } from 'node:crypto'
import { describe, expect, it } from '@jest/globals'
import { hashKey, intOf, secretHex, unitOf } from '../src/random.js'

describe('unitOf', () => {
  it('is the first 51 bits and more of the SHA-256 of its parts, as a fraction of one', () => {
    const digest = createHash('sha256').update('[1,"holdout","welcome","member_id:7"]').digest('hex')
    expect(unitOf(1, 'holdout', 'welcome', 'member_id:7')).toBeCloseTo(parseInt(digest.slice(0, 12), 16) / 2 ** 48, 12)
  })

  it('stays the same for ever: people keep their arm', () => {
    expect(unitOf(1, 'holdout', 'welcome', 'member_id:7')).toBe(unitOf(1, 'holdout', 'welcome', 'member_id:7'))
    expect(unitOf(1, 'a')).not.toBe(unitOf(2, 'a'))
  })

  it('tells parts apart that read the same when put together', () => {
    expect(unitOf('ab', 'c')).not.toBe(unitOf('a', 'bc'))
    expect(unitOf('1')).not.toBe(unitOf(1))
  })

  it('is spread evenly over [0, 1)', () => {
    const n = 20_000
    const bins = Array.from({ length: 10 }, () => 0)
    for (let i = 0; i < n; i++) {
      const u = unitOf('even', i)
      expect(u >= 0 && u < 1).toBe(true)
      bins[Math.floor(u * 10)]!++
    }
    // Chi-squared with 9 degrees of freedom: above 27.9 once in a thousand seeds.
    expect(bins.reduce((sum, b) => sum + (b - n / 10) ** 2 / (n / 10), 0)).toBeLessThan(27.9)
  })
})

describe('intOf', () => {
  it('gives every value below the limit, and no other', () => {
    const seen = new Set(Array.from({ length: 200 }, (_, i) => intOf(5, 'x', i)))
    expect([...seen].sort()).toEqual([0, 1, 2, 3, 4])
  })
})

describe('hashKey', () => {
  it('is the first hex digits of a hash', () => {
    expect(hashKey(20, 'a', 1)).toBe(createHash('sha256').update('["a",1]').digest('hex').slice(0, 20))
  })
})

describe('secretHex', () => {
  it('is new every time, two digits a byte', () => {
    expect(secretHex(16)).toMatch(/^[0-9a-f]{32}$/)
    expect(secretHex(16)).not.toBe(secretHex(16))
  })
})
