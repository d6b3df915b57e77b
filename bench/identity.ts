import { parseInput } from '../src/parse.js'
import { IdentityConfig } from '../src/domain/identity/config.js'
import type { PeopleRules } from '../src/domain/identity/graph.js'
import { People, type Statement } from '../src/domain/identity/people.js'
import { quickUnitOf } from '../src/random.js'
import { type BenchContext, type Benchmark, compare, type Scale } from './measure.js'
import type { CaseResult } from './result.js'

const PEOPLE: Record<Scale, number> = { full: 1_000_000, quick: 20_000, tiny: 200 }
/** Records that ingest works on together. */
const GROUP = 5_000
/** Coprime to every number of records here: one step after the other comes to each of them once. */
const STEP = 1_000_003

const config: PeopleRules = {
  ...parseInput(IdentityConfig, {
    identifiers: [
      { type: 'unionid', strength: 'strong', max: 1 },
      { type: 'external_userid', strength: 'strong', max: 3 },
      { type: 'phone', strength: 'weak', max: 3 },
    ],
    agree: ['birthday'],
  }),
  confirm: [],
  sharedAfter: 20,
}

/** Who is who, alone: no stores, no profiles. */
export const identity: Benchmark = {
  name: 'identity',
  title: { zh: '识别同一个人', en: 'Who is one person' },
  unit: { zh: '标识', en: 'identifier' },
  baseline: 'the same pairs united by a bare union-find, which refuses nothing and remembers nothing',
  run: runIdentity,
}

async function runIdentity({ scale, note }: BenchContext): Promise<CaseResult[]> {
  const people = PEOPLE[scale]
  let figures: Record<string, number> = {}
  return [
    await compare(
      {
        name: `${people} people in random order`,
        items: 3 * people,
        warmups: 0,
        rounds: scale === 'full' ? 1 : 3,
        product: () => {
          const graph = new People(config)
          for (const group of groups(people)) graph.take(group)
          const { components, identifiers } = graph.looks
          figures = { persons: graph.all().length, refusals: graph.refusals().length, components, identifiers }
          return Promise.resolve()
        },
        figures: () => Promise.resolve(figures),
        baseline: () => {
          const sets = new Sets()
          for (const group of groups(people))
            for (const { keys } of group) for (const key of keys.slice(1)) sets.join(keys[0]!, key)
          return Promise.resolve()
        },
      },
      note,
    ),
  ]
}

/** Each by three identifiers, which two records name. Of a hundred phones three are a relative's, one of 10,000 a till's. */
function* groups(people: number): Generator<Statement[]> {
  const records = 2 * people
  let group: Statement[] = []
  for (let i = 0, at = 0; i < records; i++, at = (at + STEP) % records) {
    const person = at >> 1
    const said = { at: new Date(1_700_000_000_000 + at), source: 'bench', ref: `r${at}` }
    const draw = quickUnitOf(1, 1, person)
    const phone = draw < 0.0001 ? 'till' : draw < 0.03 ? person ^ 1 : person
    const other = at % 2 === 0 ? `external_userid:e${person}` : `phone:${phone}`
    group.push({ said, keys: [`unionid:u${person}`, other], traits: {} })
    if (group.length < GROUP) continue
    yield group
    group = []
  }
  yield group
}

class Sets {
  private readonly indexes = new Map<string, number>()
  private readonly parents: number[] = []

  join(x: string, y: string): void {
    this.parents[this.rootOf(this.indexOf(x))] = this.rootOf(this.indexOf(y))
  }

  private indexOf(id: string): number {
    let index = this.indexes.get(id)
    if (index === undefined) {
      index = this.parents.length
      this.indexes.set(id, index)
      this.parents.push(index)
    }
    return index
  }

  private rootOf(index: number): number {
    let root = index
    while (this.parents[root] !== root) root = this.parents[root]!
    return root
  }
}
