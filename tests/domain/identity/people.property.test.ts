import { describe, expect, it } from '@jest/globals'
import { IdentityConfig } from '../../../src/domain/identity/config.js'
import {
  type Decision,
  type Found,
  findPersons,
  type Graph,
  type GraphLink,
  type GraphNode,
  type PeopleRules,
} from '../../../src/domain/identity/graph.js'
import { People, type Statement } from '../../../src/domain/identity/people.js'
import { evidencePairs } from '../../../src/domain/identity/resolve.js'
import { addTraits } from '../../../src/domain/identity/standing-traits.js'
import { compareSaid } from '../../../src/domain/identity/statement.js'
import { parseInput } from '../../../src/parse.js'
import { Dice } from '../../support/random-rules.js'
import { referencePersons } from '../../support/person-reference.js'
import { Shelf } from '../../support/people-shelf.js'
import { sized } from '../../support/sized.js'

const config: PeopleRules = {
  ...parseInput(IdentityConfig, {
    identifiers: [
      { type: 'unionid', strength: 'strong', max: 1 },
      { type: 'external_userid', strength: 'strong', max: 3 },
      { type: 'member_id', strength: 'strong', max: 2 },
      { type: 'openid', strength: 'strong', max: 3 },
      { type: 'email', strength: 'weak', max: 2 },
      { type: 'phone', strength: 'weak', max: 2 },
    ],
    agree: ['birthday'],
  }),
  confirm: ['name'],
  sharedAfter: 3,
}
const PARTS = 20
const PERMUTATIONS = 5

describe('who is one person', () => {
  it.each(Array.from({ length: PARTS }, (_, i) => i))(
    'is the same in any order and any groups, as all at once, and as the plain reference says (part %i)',
    (part) => {
      for (let n = 0; n < sized(2_000, 10_000) / PARTS; n++) {
        const dice = new Dice(`people ${part} ${n}`)
        const { statements, decisions } = history(dice)
        const expected = referencePersons(config, statements, decisions)
        const { persons: found, refusals } = findPersons(config, graphOf(statements, decisions))
        expect({ part, n, persons: textsOf(found, statements) }).toEqual({ part, n, persons: expected })
        for (let k = 0; k < PERMUTATIONS; k++) {
          // The last of them remembers no more from group to group than is kept of people.
          const home = k === PERMUTATIONS - 1 ? new Shelf(config) : new People(config)
          expect({ part, n, k, ...grown(home, dice, statements, decisions) }).toEqual({
            part,
            n,
            k,
            persons: found,
            refusals,
          })
        }
      }
    },
  )

  it.each(Array.from({ length: PARTS }, (_, i) => i))(
    'is as before when who was merged is split again (part %i)',
    (part) => {
      for (let n = 0; n < sized(2_000, 10_000) / PARTS; n++) {
        const dice = new Dice(`undone ${part} ${n}`)
        const { statements, decisions } = history(dice)
        const before = findPersons(config, graphOf(statements, decisions))
        if (before.persons.length < 2) continue
        const [x, y] = [dice.pick(before.persons), dice.pick(before.persons)]
        if (x === y) continue
        const [a, b] = [dice.pick(x.ids), dice.pick(y.ids)]
        const at = (ms: number) => ({ at: new Date(ms), source: 'operator', ref: 'd' })
        const undone: Decision[] = [
          ...decisions,
          { kind: 'merge', a, b, said: at(100) },
          { kind: 'split', a, b, said: at(101) },
        ]
        const { persons, refusals } = before
        expect({ part, n, ...grown(new People(config), dice, statements, undone) }).toEqual({
          part,
          n,
          persons,
          refusals,
        })
      }
    },
  )

  it('is looked at anew only where something is refused or doubtful', () => {
    const people = new People(config)
    for (let n = 0; n < 500; n++) {
      const ids = [`unionid:u${n}`, `member_id:m${n}`, `phone:p${n}`]
      people.take([statement(n, [ids[0]!, ids[2]!]), statement(n + 1, [ids[1]!, ids[2]!]), statement(n + 2, ids)])
    }
    expect(people.all()).toHaveLength(500)
    expect(people.looks.components).toBe(0)
  })
})

type History = { statements: Statement[]; decisions: Decision[] }

/** Few identifiers, so that they meet: families, cards passed on, two cards, chains, corrections, clocks that stand still. */
function history(dice: Dice): History {
  // A till's phone, in everybody's records.
  const till = dice.chance(0.1)
  const people = 1 + dice.below(till ? 7 : 4)
  const statements: Statement[] = []
  const own = (type: string, person: number) => `${type}:${person}${dice.chance(0.25) ? 'b' : ''}`
  const types = config.identifiers.map((i) => i.type)
  const wild = dice.chance(0.4)
  for (let n = 3 + dice.below(14); n > 0; n--) {
    const person = dice.below(people)
    const keys = new Set<string>()
    for (let k = 1 + dice.below(dice.chance(0.1) ? 6 : 3); k > 0; k--) {
      const type = dice.pick(types)
      const isShared = wild ? dice.chance(0.25) : (type === 'phone' || type === 'email') && dice.chance(0.4)
      keys.add(isShared ? `${type}:${dice.pick(['x', 'y'])}` : own(type, person))
    }
    if (till) keys.add('phone:x')
    const birthday = dice.chance(0.85) ? `19${80 + person}` : dice.pick(['1980', '1981', null])
    const traits = {
      ...(dice.chance(0.35) && { birthday }),
      ...(dice.chance(0.35) && {
        name: dice.chance(0.8) ? `name ${till ? person % 2 : person}` : dice.pick(['name 0', null, 7]),
      }),
    }
    statements.push({
      said: { at: new Date(dice.below(6)), source: dice.pick(['crm', 'pos']), ref: `r${dice.below(30)}` },
      keys: [...keys].sort((x, y) => rank(x) - rank(y) || (x < y ? -1 : 1)),
      traits,
    })
  }
  if (dice.chance(0.15)) statements.push(...statements.slice(0, dice.below(3)))
  const ids = [...new Set(statements.flatMap((s) => s.keys))]
  const weak = ids.filter((id) => id.startsWith('phone') || id.startsWith('email'))
  const decisions: Decision[] = []
  for (let n = dice.chance(0.4) ? 1 + dice.below(3) : 0; n > 0; n--) {
    const said = { at: new Date(dice.below(4)), source: 'operator', ref: `d${dice.below(3)}` }
    const [a, b, id] = [dice.pick(ids), dice.pick(ids), weak.length > 0 ? dice.pick(weak) : undefined]
    const kind = dice.pick(['merge', 'split', 'share', 'free', 'give'] as const)
    if (kind === 'merge' || kind === 'split') {
      if (a !== b) decisions.push({ kind, a, b, said })
    } else if (id !== undefined && kind === 'give') {
      if (id !== a) decisions.push({ kind, id, to: a, said })
    } else if (id !== undefined) decisions.push({ kind: kind as 'share', id, said })
  }
  return { statements, decisions }
}

function rank(id: string): number {
  return config.identifiers.findIndex((i) => id.startsWith(`${i.type}:`))
}

function statement(at: number, keys: string[]): Statement {
  return { said: { at: new Date(at), source: 'crm', ref: `r${at}` }, keys, traits: {} }
}

/** In an order that the dice choose, in groups that they choose. */
function grown(
  people: People | Shelf,
  dice: Dice,
  statements: readonly Statement[],
  decisions: readonly Decision[],
): Pick<Found, 'persons' | 'refusals'> {
  const said = [...statements.map((s) => ({ s })), ...decisions.map((d) => ({ d }))]
  for (let i = said.length - 1; i > 0; i--) {
    const j = dice.below(i + 1)
    ;[said[i], said[j]] = [said[j]!, said[i]!]
  }
  for (let from = 0; from < said.length;) {
    const to = from + 1 + dice.below(dice.chance(0.3) ? said.length : 3)
    const group = said.slice(from, to)
    people.take(
      group.flatMap((x) => ('s' in x ? x.s : [])),
      group.flatMap((x) => ('d' in x ? x.d : [])),
    )
    from = to
  }
  return { persons: people.all(), refusals: people.refusals() }
}

function graphOf(statements: readonly Statement[], decisions: readonly Decision[]): Graph {
  const nodes = new Map<string, GraphNode>()
  const links = new Map<string, GraphLink>()
  for (const { said, keys, traits } of statements) {
    for (const id of keys) if (!nodes.has(id)) nodes.set(id, { id, traits: {} })
    const unit = nodes.get(keys[0]!)!
    if (unit.spoken === undefined || compareSaid(said, unit.spoken) < 0) unit.spoken = said
    for (const [trait, value] of Object.entries(traits))
      addTraits(unit.traits, { [trait]: { [said.source]: { value, at: said.at } } })
    for (const pair of evidencePairs(keys)) {
      const [a, b] = [...pair].sort() as [string, string]
      const known = links.get(`${a} ${b}`)
      if (known === undefined || compareSaid(said, known.said) < 0) links.set(`${a} ${b}`, { a, b, said })
    }
  }
  return { nodes: [...nodes.values()], links: [...links.values()], decisions }
}

/** As the reference writes them, which does not tell who of several that spoke first at once is the anchor. */
function textsOf(persons: Found['persons'], statements: readonly Statement[]): string[] {
  const orderOf = ({ said }: Statement) => `${said.at.getTime()} ${said.source} ${said.ref}`
  return persons
    .map(({ anchor, ids }) => {
      const first = statements
        .filter((s) => ids.includes(s.keys[0]!))
        .sort((x, y) => compareSaid(x.said, y.said))
        .map((s) => ({ id: s.keys[0]!, order: orderOf(s) }))
      const tied = new Set(first.filter((f) => f.order === first[0]?.order).map((f) => f.id))
      return `${tied.size > 1 && tied.has(anchor) ? 'tie' : anchor}: ${ids.join(' ')}`
    })
    .sort()
}
