import { describe, expect, it } from '@jest/globals'
import { IdentityConfig } from '../../../src/domain/identity/config.js'
import type { Decision, PeopleRules, Refusal } from '../../../src/domain/identity/graph.js'
import { People, type Statement } from '../../../src/domain/identity/people.js'
import { parseInput } from '../../../src/parse.js'

const config: PeopleRules = {
  ...parseInput(IdentityConfig, {
    identifiers: [
      { type: 'unionid', strength: 'strong', max: 1 },
      { type: 'external_userid', strength: 'strong', max: 3 },
      { type: 'member_id', strength: 'strong', max: 3 },
      { type: 'email', strength: 'weak', max: 3 },
      { type: 'phone', strength: 'weak', max: 3 },
    ],
    agree: ['birthday'],
  }),
  confirm: ['birthday', 'name'],
  sharedAfter: 5,
}

/** `1 unionid:u phone:p birthday=1990`: said on that day of March, the most trusted first. */
function says(text: string): Statement {
  const [day, ...words] = text.split(' ')
  return {
    said: { at: new Date(Date.UTC(2026, 2, Number(day))), source: 'crm', ref: text },
    keys: words.filter((w) => w.includes(':')),
    traits: Object.fromEntries(words.filter((w) => w.includes('=')).map((w) => w.split('='))) as Statement['traits'],
  }
}

function permutations<T>(items: readonly T[]): T[][] {
  if (items.length < 2) return [[...items]]
  return items.flatMap((item, i) => permutations(items.filter((_, j) => j !== i)).map((rest) => [item, ...rest]))
}

type Outcome = { persons: string[]; refusals: string[] }

/** The one outcome of all orders, one record after the other. Each person with her anchor first. */
function outcome(texts: readonly string[], decisions: readonly Decision[] = []): Outcome {
  const outcomes = permutations(texts).map((order) => {
    const people = new People(config)
    for (const text of order) people.take([says(text)])
    people.take([], decisions)
    return {
      persons: people.all().map(({ anchor, ids }) => [anchor, ...ids.filter((id) => id !== anchor)].join(' ')),
      refusals: people.refusals().map(written),
    }
  })
  for (const other of outcomes) expect(other).toEqual(outcomes[0])
  return outcomes[0]!
}

function written({ kind, a, b, by }: Refusal): string {
  return [kind, a, b ?? '', by].filter((part) => part !== '').join(' ')
}

describe('in every order', () => {
  it('a chain is one person, whose anchor spoke first', () => {
    expect(
      outcome(['1 member_id:m', '2 unionid:u', '3 unionid:u external_userid:e', '4 external_userid:e member_id:m']),
    ).toEqual({
      persons: ['member_id:m external_userid:e unionid:u'],
      refusals: [],
    })
  })

  it('a family phone joins neither of two members, and is nobody’s', () => {
    expect(outcome(['1 member_id:m1 phone:p', '2 member_id:m2 phone:p', '3 phone:p', '4 email:e phone:p'])).toEqual({
      persons: ['member_id:m1', 'member_id:m2', 'email:e'],
      refusals: ['contradiction phone:p member_id'],
    })
  })

  it('two birthdays are two people, whatever phone they give', () => {
    expect(
      outcome(['1 member_id:m phone:p birthday=1990', '2 email:e phone:p birthday=1991', '3 unionid:u phone:p']),
    ).toEqual({
      persons: ['member_id:m', 'email:e', 'unionid:u'],
      refusals: ['contradiction phone:p birthday'],
    })
  })

  it('two UnionIDs are two people: the more trusted, then the earlier link holds', () => {
    expect(
      outcome(['1 unionid:u1 member_id:m', '2 external_userid:e member_id:m', '3 unionid:u2 external_userid:e']),
    ).toEqual({
      persons: ['unionid:u1 member_id:m', 'external_userid:e unionid:u2'],
      refusals: ['too_many external_userid:e member_id:m unionid'],
    })
  })

  it('a correction lifts what it contradicted', () => {
    const before = ['1 member_id:m phone:p birthday=1990', '2 unionid:u phone:p birthday=1991']
    expect(outcome(before).persons).toHaveLength(2)
    expect(outcome([...before, '3 unionid:u birthday=1990'])).toEqual({
      persons: ['member_id:m phone:p unionid:u'],
      refusals: [],
    })
  })

  it('a strong join lets the phone of both be theirs again', () => {
    const before = ['1 member_id:m1 phone:p', '2 member_id:m2 phone:p', '3 phone:p']
    expect(outcome(before).persons).toEqual(['member_id:m1', 'member_id:m2'])
    expect(outcome([...before, '4 unionid:u member_id:m1', '5 unionid:u member_id:m2'])).toEqual({
      persons: ['member_id:m1 member_id:m2 phone:p unionid:u'],
      refusals: [],
    })
  })

  it('a later statement parts whom an earlier one joined', () => {
    const before = ['1 member_id:m phone:p', '2 unionid:u1 phone:p']
    expect(outcome(before).persons).toHaveLength(1)
    expect(outcome([...before, '3 unionid:u2 phone:p'])).toEqual({
      persons: ['member_id:m', 'unionid:u1', 'unionid:u2'],
      refusals: ['too_many phone:p unionid'],
    })
  })

  it('two cards with one phone are one person who gives one name, also in a family', () => {
    const hers = ['1 member_id:m1 phone:p name=A', '2 member_id:m2 phone:p name=A']
    expect(outcome(hers)).toEqual({ persons: ['member_id:m1 member_id:m2 phone:p'], refusals: [] })
    expect(outcome([...hers, '3 member_id:m2 name=B']).persons).toEqual(['member_id:m1', 'member_id:m2'])
    expect(outcome([...hers, '3 member_id:m3 phone:p name=B', '4 phone:p'])).toEqual({
      persons: ['member_id:m1 member_id:m2', 'member_id:m3'],
      refusals: ['contradiction phone:p member_id'],
    })
  })

  it('what a till gives for everybody joins nobody, and whom it had joined are looked at again', () => {
    const people = new People(config)
    const names = () => people.all().map((p) => p.ids.join(' '))
    people.take(['1 member_id:m1 phone:till name=A', '2 member_id:m2 phone:till name=A'].map(says))
    people.take(['3 member_id:m3 phone:till', '4 member_id:m4 phone:till', '5 member_id:m5 phone:till'].map(says))
    expect(names()).toEqual(['member_id:m1 member_id:m2', 'member_id:m3', 'member_id:m4', 'member_id:m5'])
    people.take([says('6 member_id:m6 phone:till')])
    expect(names()).toEqual([1, 2, 3, 4, 5, 6].map((n) => `member_id:m${n}`))
    expect(people.refusals().map(written)).toEqual(['overused phone:till'])
  })
})

describe('what an operator decides holds', () => {
  const said = { at: new Date(Date.UTC(2026, 3, 1)), source: 'operator', ref: '1' }
  const later = { ...said, ref: '2' }

  it('a merge, though a limit speaks against it; taken back, all is as before', () => {
    const texts = ['1 unionid:u1 phone:p', '2 unionid:u2']
    const merge: Decision = { kind: 'merge', a: 'unionid:u1', b: 'unionid:u2', said }
    expect(outcome(texts, [merge]).persons).toEqual(['unionid:u1 phone:p unionid:u2'])
    expect(outcome(texts, [merge, { ...merge, kind: 'split', said: later }])).toEqual(outcome(texts))
  })

  it('a split, where everything that was said joins them', () => {
    const texts = ['1 unionid:u member_id:m1', '2 member_id:m2 unionid:u', '3 member_id:m1 phone:p']
    expect(outcome(texts, [{ kind: 'split', a: 'member_id:m1', b: 'member_id:m2', said }])).toEqual({
      persons: ['unionid:u member_id:m1 phone:p', 'member_id:m2'],
      refusals: ['split member_id:m2 unionid:u'],
    })
  })

  it('a shared phone is given to one, and to none', () => {
    const texts = ['1 member_id:m1 phone:p', '2 member_id:m2 phone:p', '3 phone:p']
    expect(outcome(texts, [{ kind: 'give', id: 'phone:p', to: 'member_id:m2', said }]).persons).toEqual([
      'member_id:m1',
      'member_id:m2 phone:p',
    ])
    expect(outcome(texts.slice(0, 1), [{ kind: 'share', id: 'phone:p', said }])).toEqual({
      persons: ['member_id:m1'],
      refusals: ['shared phone:p'],
    })
  })

  it('a phone that many use is judged as others are', () => {
    const texts = ['1 email:a phone:p', '2 email:b phone:p', '3 email:c phone:p']
    const people = new People({
      ...config,
      sharedAfter: 2,
      identifiers: config.identifiers.map((i) => ({ ...i, max: 2 })),
    })
    people.take(texts.map(says))
    expect(people.refusals().map(written)).toEqual(['overused phone:p'])
    people.take([], [{ kind: 'free', id: 'phone:p', said }])
    expect(people.refusals().map(written)).toEqual(['too_many phone:p email'])
  })
})
