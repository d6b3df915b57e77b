import { describe, expect, it } from '@jest/globals'
import { RECORD_BOUNDS } from '../../../src/bounds.js'
import { findBoundProblem } from '../../../src/domain/events/bounds.js'
import { SourceRecord } from '../../../src/domain/events/record.js'
import { inLanguage } from '../../../src/said.js'
import { toProblems } from '../../../src/parse.js'

const AT = new Date('2026-03-02T02:00:00Z')
const text = (chars: number) => 'x'.repeat(chars)
const many = <T>(n: number, of: (i: number) => T) => Array.from({ length: n }, (_, i) => of(i))
const identifier = (i: number, value = `v${i}`) => ({ type: 'member_id', value })
const event = (i: number, more: object = {}) => ({ id: `e${i}`, name: 'visited', occurredAt: AT, ...more })
const record = (more: object) => ({ ref: 'r', source: 'shop', observedAt: AT, identifiers: [identifier(0)], ...more })
const withProperties = (properties: object) => record({ events: [event(0, { properties })] })

/** Objects inside each other, the innermost with a value. */
function nested(levels: number): object {
  return levels === 1 ? { v: 1 } : { v: nested(levels - 1) }
}

/** What a record looks like that holds so much, and where it is refused with more. Requests have a test of their own. */
const CASES: Record<Exclude<keyof typeof RECORD_BOUNDS, 'records'>, [(n: number) => object, path: RegExp][]> = {
  identifiers: [[(n) => record({ identifiers: many(n, identifier) }), /^identifiers$/]],
  traits: [[(n) => record({ traits: Object.fromEntries(many(n, (i) => [`t${i}`, 1])) }), /^traits$/]],
  events: [[(n) => record({ events: many(n, event) }), /^events$/]],
  nameChars: [
    [(n) => record({ traits: { [text(n)]: 1 } }), /^traits\.x+$/],
    [(n) => withProperties({ [text(n)]: 1 }), /^events\.0\.properties\.x+$/],
    [(n) => record({ events: [event(0, { name: text(n) })] }), /^events\.0\.name$/],
    [(n) => record({ source: text(n) }), /^source$/],
    [(n) => record({ identifiers: [{ type: text(n), value: 'v' }] }), /^identifiers\.0\.type$/],
  ],
  valueChars: [[(n) => record({ identifiers: [identifier(0, text(n))] }), /^identifiers\.0\.value$/]],
  idChars: [[(n) => record({ events: [event(0, { id: text(n) })] }), /^events\.0\.id$/]],
  refChars: [[(n) => record({ ref: text(n) }), /^ref$/]],
  traitChars: [[(n) => record({ traits: { note: text(n) } }), /^traits\.note$/]],
  depth: [[(n) => withProperties(nested(n)), /^events\.0\.properties(\.v)+$/]],
  // 8 for the object itself, 1 for the name.
  propertiesChars: [[(n) => withProperties({ v: text(n - 9) }), /^events\.0\.properties$/]],
}

describe.each(Object.entries(CASES))('a record with %s', (name, shapes) => {
  const most = RECORD_BOUNDS[name as keyof typeof CASES]

  it.each(shapes)('at the bound is taken, and one more is refused by name', (of, path) => {
    expect(problemsOf(of(most))).toEqual([])
    const [problem] = problemsOf(of(most + 1))
    expect(problem?.path).toMatch(path)
    expect(inLanguage(problem!.message, 'en')).not.toBe('')
  })
})

function problemsOf(given: object) {
  const tooMuch = findBoundProblem(given)
  if (tooMuch !== undefined) return [tooMuch]
  const { error } = SourceRecord.safeParse(given)
  return error === undefined ? [] : toProblems(error, given)
}
