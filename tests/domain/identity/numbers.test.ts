import { describe, expect, it } from '@jest/globals'
import { assignNumbers, type Numbered, type Renumbering } from '../../../src/domain/identity/numbers.js'

/** `a b`: who is spoken of by `a` first, then by `b`. */
function assign(persons: string[], known: Numbered[], next = 10): Renumbering {
  const found = persons.map((text) => ({ anchor: text.split(' ')[0]!, ids: text.split(' ') }))
  return assignNumbers(found, known, next, (id) => id.charCodeAt(0))
}

describe('numbers of people', () => {
  it('are new for who is new', () => {
    expect(assign(['a', 'b'], [])).toEqual({
      numbers: [10, 11],
      changed: [
        { number: 10, home: 'a' },
        { number: 11, home: 'b' },
      ],
      nextNumber: 12,
    })
  })

  it('stay, and nothing is said of who is as before', () => {
    expect(assign(['a c'], [{ number: 1, home: 'a' }])).toEqual({ numbers: [1], changed: [], nextNumber: 10 })
  })

  it('are that of the older one when two become one', () => {
    const known = [
      { number: 1, home: 'b' },
      { number: 2, home: 'a' },
    ]
    expect(assign(['a b'], known)).toMatchObject({ numbers: [2], changed: [{ number: 1, home: 'b', mergedInto: 2 }] })
  })

  it('are those from before when they are parted again', () => {
    const before = [
      { number: 1, home: 'b' },
      { number: 2, home: 'a' },
    ]
    const merged = after(before, assign(['a b'], before))
    const parted = after(merged, assign(['a', 'b'], merged))
    expect(parted).toEqual(before)
  })

  it('are new for a part that never had one', () => {
    expect(assign(['a', 'b'], [{ number: 1, home: 'a' }])).toMatchObject({
      numbers: [1, 10],
      changed: [{ number: 10, home: 'b' }],
    })
  })

  it('stay with whoever is there when an earlier statement moves the anchor', () => {
    expect(assign(['a b'], [{ number: 1, home: 'b' }])).toMatchObject({
      numbers: [1],
      changed: [{ number: 1, home: 'a' }],
    })
  })

  it('that were merged away go on with where they are at home', () => {
    const known: Numbered[] = [
      { number: 1, home: 'a' },
      { number: 2, home: 'b', mergedInto: 1 },
      { number: 3, home: 'c', mergedInto: 1 },
    ]
    expect(assign(['a', 'b c'], known)).toEqual({
      numbers: [1, 2],
      changed: [
        { number: 2, home: 'b' },
        { number: 3, home: 'c', mergedInto: 2 },
      ],
      nextNumber: 10,
    })
  })

  it('of which nobody is left go with the first', () => {
    const known = [
      { number: 1, home: 'a' },
      { number: 2, home: 'z' },
    ]
    expect(assign(['a'], known).changed).toEqual([{ number: 2, home: 'z', mergedInto: 1 }])
  })
})

/** Numbers once a renumbering is carried out. */
function after(known: readonly Numbered[], { changed }: Renumbering): Numbered[] {
  const all = new Map([...known, ...changed].map((n) => [n.number, n]))
  return [...all.values()].sort((x, y) => x.number - y.number)
}
