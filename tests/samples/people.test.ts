import { beforeAll, describe, expect, it } from '@jest/globals'
import { type Buyer, inventPeople, type People } from '../../samples/people.js'
import { HOUR_MS } from '../../src/time.js'

/** As many as the order file has: the difficult cases are a fixed number of them. */
const BUYERS = 4_372

/** tests/e2e/samples.test.ts says what the shipped people are, who come from the whole order file. */
describe('people who are invented for buyers', () => {
  const buyers: Buyer[] = Array.from({ length: BUYERS }, (_, i) => ({
    customer: String(12_346 + i),
    firstAt: new Date(Date.parse('2010-12-01T08:26:00Z') + i * 2 * HOUR_MS),
  }))
  let people: People

  beforeAll(() => {
    people = inventPeople(buyers)
  })

  it('are one person for each customer number, and some who never bought', () => {
    expect(people.counts).toMatchObject({ buyers: BUYERS, persons: people.counts.buyers + people.counts.neverBought })
    const members = new Set(people.members.split('\n').flatMap((line) => line.split(',')))
    expect(buyers.filter((b) => !members.has(b.customer))).toEqual([])
  })

  it('do not depend on the order in which buyers are given', () => {
    expect(inventPeople(buyers.toReversed())).toEqual(people)
  })

  it('have record ids unique over both files, each with its person', () => {
    const idsOf = (csv: string, column: string) => {
      const [header = '', ...lines] = csv.trimEnd().split('\n')
      const at = header.split(',').indexOf(column)
      return lines.map((line) => line.split(',')[at])
    }
    const ids = [...idsOf(people.members, 'record_id'), ...idsOf(people.contacts, 'external_userid')]
    expect(new Set(ids).size).toBe(ids.length)
    expect(idsOf(people.truth, 'record_id').sort()).toEqual(ids.sort())
  })
})
