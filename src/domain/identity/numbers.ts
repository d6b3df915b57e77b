import type { Found } from './graph.js'

/**
 * A number that was given out. `home`: the identifier that was its person's anchor when it last stood for one. `mergedInto`: the
 * number in which it went on, which stands for somebody.
 */
export type Numbered = { number: number; home: string; mergedInto?: number }

export type Renumbering = {
  /** Per person, in order. */
  numbers: number[]
  /** All that stood or now stands for somebody, and what has become of it; those that are as before are left out. */
  changed: Numbered[]
  nextNumber: number
}

/**
 * Which number each of those keeps who were found among the people of some numbers. A person goes on under the number that is at
 * home with her anchor, else under the one at home with the earliest of her identifiers that any is; one that stands for somebody
 * goes before one that was merged away. So whoever is parted again gets back the number that she had, and only who never had one
 * gets a new one. A number nobody goes on under is merged into that of the person where its home is.
 *
 * @param persons - as `findPersons` orders them, with all identifiers that the numbers are at home with or that belong to nobody
 * @param known - every number, merged away or not, of those people; numbers whose home is nobody's now go with the first
 * @param order - the place of an identifier among those that were spoken of: lower is earlier
 */
export function assignNumbers(
  persons: Found['persons'],
  known: readonly Numbered[],
  nextNumber: number,
  order: (id: string) => number,
): Renumbering {
  const personOf = new Map(persons.flatMap(({ ids }, i) => ids.map((id) => [id, i] as const)))
  const byClaim = known.toSorted(
    (x, y) =>
      Number(x.mergedInto !== undefined) - Number(y.mergedInto !== undefined) ||
      order(x.home) - order(y.home) ||
      x.number - y.number,
  )
  const numbers: (number | undefined)[] = persons.map(
    ({ anchor }) => byClaim.find((n) => n.home === anchor && n.mergedInto === undefined)?.number,
  )
  for (const { number, home } of byClaim) {
    const i = personOf.get(home)
    if (i !== undefined && numbers[i] === undefined) numbers[i] = number
  }
  let next = nextNumber
  const given = numbers.map((number) => number ?? next++)
  const changed: Numbered[] = []
  const before = new Map(known.map((n) => [n.number, n]))
  for (const [i, number] of given.entries()) {
    const home = persons[i]!.anchor
    const was = before.get(number)
    if (was?.home !== home || was.mergedInto !== undefined) changed.push({ number, home })
  }
  for (const { number, home, mergedInto } of known) {
    if (given.includes(number)) continue
    const into = given[personOf.get(home) ?? 0]
    if (into !== undefined && into !== mergedInto) changed.push({ number, home, mergedInto: into })
  }
  return { numbers: given, changed: changed.sort((x, y) => x.number - y.number), nextNumber: next }
}
