import { describe, expect, it } from '@jest/globals'
import { armFor, armOf } from '../../../src/domain/experiments/arm.js'

const run = (arm: 'treated' | 'holdout', day: number, _id = `care:${day}:0`) => ({
  _id,
  arm,
  enteredAt: new Date(Date.UTC(2026, 2, day)),
})

describe('the arm of a person', () => {
  it('is drawn when she comes first', () => {
    expect(armFor([], () => 'holdout')).toBe('holdout')
  })

  it('is that of her first entry ever after, whatever would be drawn now', () => {
    expect(armFor([run('treated', 1)], () => 'holdout')).toBe('treated')
    expect(armFor([run('treated', 5), run('holdout', 2)], () => 'treated')).toBe('holdout')
  })

  it('is that of the lower id of two entries at one instant, in whatever order they are read', () => {
    const both = [run('holdout', 1, 'care:2:0'), run('treated', 1, 'care:1:0')]
    for (const runs of [both, [...both].reverse()]) expect(armFor(runs, () => 'holdout')).toBe('treated')
  })

  it('keeps those held out who were, when the ratio is raised', () => {
    const people = Array.from({ length: 500 }, (_, i) => `member_id:${i}`)
    const at = (ratio: number) => new Set(people.filter((p) => armOf(1, 'care', p, ratio) === 'holdout'))
    const [few, more] = [at(0.1), at(0.3)]
    expect(few.size).toBeGreaterThan(0)
    expect([...few].filter((p) => !more.has(p))).toEqual([])
  })
})
