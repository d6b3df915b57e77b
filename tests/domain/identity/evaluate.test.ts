import { describe, expect, it } from '@jest/globals'
import { computePairwise } from '../../../src/domain/identity/evaluate.js'

const truth = new Map([
  ['a1', 'a'],
  ['a2', 'a'],
  ['a3', 'a'],
  ['b1', 'b'],
  ['b2', 'b'],
  ['c1', 'c'],
])

describe('computePairwise', () => {
  it('is perfect when every person is one cluster', () => {
    expect(computePairwise(truth, truth)).toEqual({
      truePairs: 4,
      foundPairs: 4,
      correctPairs: 4,
      precision: 1,
      recall: 1,
    })
  })

  it('loses precision where two persons share a cluster', () => {
    const clusters = new Map([...truth].map(([id, person]) => [id, person === 'b' ? 1 : person === 'c' ? 1 : 2]))
    expect(computePairwise(clusters, truth)).toMatchObject({
      foundPairs: 6,
      correctPairs: 4,
      precision: 4 / 6,
      recall: 1,
    })
  })

  it('loses recall where a person is split, and counts a record without a cluster as alone', () => {
    const clusters = new Map([
      ['a1', 1],
      ['a2', 1],
      ['b1', 2],
      ['b2', 3],
      ['c1', 4],
    ])
    expect(computePairwise(clusters, truth)).toMatchObject({
      foundPairs: 1,
      correctPairs: 1,
      precision: 1,
      recall: 0.25,
    })
  })

  it('leaves out clustered records the truth does not name', () => {
    const clusters = new Map<string, string>([...truth, ['x1', 'a'], ['x2', 'a']])
    expect(computePairwise(clusters, truth)).toMatchObject({ foundPairs: 4, precision: 1 })
  })

  it('gives null instead of a ratio over nothing', () => {
    expect(computePairwise(new Map(), truth)).toMatchObject({ precision: null, recall: 0 })
    expect(computePairwise(new Map([['a1', 1]]), new Map([['a1', 'a']]))).toMatchObject({
      precision: null,
      recall: null,
    })
  })

  it('agrees with comparing every pair', () => {
    const records = Array.from({ length: 300 }, (_, i) => `r${i}`)
    const persons = new Map(records.map((id, i) => [id, `p${(i * 7) % 83}`]))
    const clusters = new Map(records.map((id, i) => [id, (i * 11) % 71]))
    let [truePairs, foundPairs, correctPairs] = [0, 0, 0]
    for (const [i, a] of records.entries()) {
      for (const b of records.slice(i + 1)) {
        const same = persons.get(a) === persons.get(b)
        const together = clusters.get(a) === clusters.get(b)
        truePairs += Number(same)
        foundPairs += Number(together)
        correctPairs += Number(same && together)
      }
    }
    expect(computePairwise(clusters, persons)).toMatchObject({ truePairs, foundPairs, correctPairs })
  })

  it('takes 100,000 records of one cluster without comparing pairs', () => {
    const records = new Map(Array.from({ length: 100_000 }, (_, i) => [`r${i}`, 'one']))
    expect(computePairwise(records, records).correctPairs).toBe((100_000 * 99_999) / 2)
  })
})
