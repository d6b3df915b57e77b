import {
  byIds,
  decidedOn,
  type Decision,
  type GraphLink,
  type PeopleRules,
  type Refusal,
} from '../../src/domain/identity/graph.js'
import { type KnownPlace, People, type Person, type Statement } from '../../src/domain/identity/people.js'
import type { Profile } from '../../src/domain/identity/profile.js'
import { evidencePairs } from '../../src/domain/identity/resolve.js'
import { addTraits } from '../../src/domain/identity/standing-traits.js'
import { compareSaid, compareSpoken, compareText, type Spoken } from '../../src/domain/identity/statement.js'

type KeptPlace = KnownPlace & { refusals: readonly Refusal[]; person?: KeptPerson }
type KeptPerson = { anchor: Spoken; ids: string[]; agreed: Person['agreed'] }

/** People as stores keep them: for each group somebody is asked who knows no more than is read for it. */
export class Shelf {
  private readonly places = new Map<string, KeptPlace>()
  private readonly links = new Map<string, GraphLink>()
  private readonly traits = new Map<string, Profile['traits']>()
  private readonly decisions: Decision[] = []

  constructor(private readonly config: PeopleRules) {}

  take(statements: readonly Statement[], decisions: readonly Decision[]): void {
    const people = new People(this.config)
    const told = new Set<KeptPerson>()
    for (const id of [...statements.flatMap((s) => s.keys), ...decisions.flatMap(decidedOn)])
      this.tell(people, id, told)
    people.begin(statements, decisions)
    for (let ids = people.unread(); ids.length > 0; ids = people.unread()) {
      for (const id of ids) {
        const kept = this.places.get(id)
        const hers = [...this.decisions, ...decisions].filter((d) => decidedOn(d).includes(id))
        const links = [...this.links.values()].filter((l) => l.a === id || l.b === id)
        if (kept !== undefined) people.know(id, kept)
        if (kept?.overused === undefined || hers.length > 0)
          people.read(id, { traits: this.traits.get(id) ?? {}, links: copies(links), decisions: hers })
      }
    }
    people.end()
    for (const statement of statements) this.log(statement)
    this.decisions.push(...decisions)
    for (const id of decisions.flatMap(decidedOn))
      if (!this.places.has(id)) this.places.set(id, { isOpen: true, refusals: [] })
    this.keep(people)
  }

  all(): { anchor: string; ids: string[] }[] {
    return [...new Set([...this.places.values()].flatMap((p) => p.person ?? []))]
      .sort((x, y) => compareSpoken(x.anchor, y.anchor))
      .map(({ anchor, ids }) => ({ anchor: anchor.id, ids: [...ids].sort(compareText) }))
  }

  refusals(): Refusal[] {
    return [...this.places.values()].flatMap((p) => p.refusals).sort(byIds)
  }

  private tell(people: People, id: string, told: Set<KeptPerson>): void {
    const kept = this.places.get(id)
    if (kept === undefined) return
    people.know(id, kept)
    if (kept.person === undefined || told.has(kept.person)) return
    told.add(kept.person)
    people.knowPerson(kept.person.anchor, kept.person.ids, kept.person.agreed)
  }

  private log({ said, keys, traits }: Statement): void {
    for (const pair of evidencePairs(keys)) {
      const [a, b] = [...pair].sort() as [string, string]
      const known = this.links.get(`${a} ${b}`)
      if (known === undefined || compareSaid(said, known.said) < 0) this.links.set(`${a} ${b}`, { a, b, said })
    }
    const unit = keys[0]!
    const standing = this.traits.get(unit) ?? {}
    for (const [trait, value] of Object.entries(traits))
      addTraits(standing, { [trait]: { [said.source]: { value, at: said.at } } })
    this.traits.set(unit, standing)
  }

  private keep(people: People): void {
    const kept = new Map<Person, KeptPerson>()
    for (const { id, spoken, isOpen, overused, refusals = [], person } of people.changed) {
      const before = this.places.get(id)?.spoken
      const first = before === undefined || (spoken !== undefined && compareSaid(spoken, before) < 0) ? spoken : before
      this.places.set(id, {
        isOpen,
        refusals: [...refusals],
        ...(first !== undefined && { spoken: first }),
        ...(overused !== undefined && { overused }),
      })
      if (person === undefined || kept.has(person)) continue
      const { anchor, places, agreed } = person
      const spokenFirst = anchor.spoken === undefined ? {} : { spoken: anchor.spoken }
      kept.set(person, { anchor: { id: anchor.id, ...spokenFirst }, ids: places.map((p) => p.id), agreed })
    }
    for (const person of kept.values()) for (const id of person.ids) this.places.get(id)!.person = person
  }
}

/** Nobody may change what is kept. */
function copies(links: readonly GraphLink[]): GraphLink[] {
  return links.map((link) => ({ ...link }))
}
