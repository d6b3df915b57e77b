import { keyed } from '../../parse.js'
import type { TraitValue } from '../events/record.js'
import {
  byIds,
  decidedOn,
  type Decision,
  findPersons,
  type Graph,
  type GraphLink,
  otherEnd,
  isOverused,
  type PeopleRules,
  type Refusal,
  type Rule,
  rulesOf,
} from './graph.js'
import { isPlainUnion } from './plain-union.js'
import type { Profile } from './profile.js'
import { evidencePairs } from './resolve.js'
import { addTraits } from './standing-traits.js'
import { compareSaid, compareSpoken, compareText, type Said, type Spoken } from './statement.js'

/** A record, as far as it says who somebody is. `keys`: its usable identifiers in order of trust, the first of which it is known by. */
export type Statement = { said: Said; keys: readonly string[]; traits: Readonly<Record<string, TraitValue | null>> }

export type Person = { anchor: Spoken; places: Place[]; agreed: ReadonlyMap<string, TraitValue> }

/** An identifier. `overused` ones are not followed. */
export type Place = Spoken & {
  traits: Profile['traits']
  links: GraphLink[]
  person?: Person
  /** What is new of it, or of those it is named with, may change who is who there. */
  isOpen: boolean
  overused?: true
  refusals?: Refusal[]
  /** Whether all is here that was said of it. */
  isRead: boolean
}

/** What is kept of an identifier, beside what was said of it. */
export type KnownPlace = Pick<Place, 'spoken' | 'isOpen' | 'overused'>

/** All that was said of an identifier. */
export type Surroundings = Pick<Place, 'traits' | 'links'> & { decisions: readonly Decision[] }

/** What is said together at one time, and touches each other; people and identifiers that have no person, some repeated. */
type Touched = { people: Person[]; fresh: Place[]; statements: Statement[]; isOpen: boolean; into?: Touched }

const NO_TRAITS: Profile['traits'] = Object.freeze(keyed<Profile['traits'][string]>())
const NOTHING_AGREED: Person['agreed'] = new Map()
const NOTHING_SAID: Surroundings = { traits: NO_TRAITS, links: [], decisions: [] }

/**
 * Who is who, group by group: what `findPersons` finds of all that was said so far. Where nothing is refused or doubtful, people
 * grow by mere union, which needs no look at what was said before; elsewhere all that hangs together is looked at anew.
 */
export class People {
  /** Those of whom something is to be kept that was not. */
  readonly changed = new Set<Place>()
  private readonly places = new Map<string, Place>()
  private open: Place[] = []
  private readonly strangers = new Set<string>()
  private readonly decisions = new Map<string, Decision[]>()
  private readonly rules: ReadonlyMap<string, Rule>
  private readonly decisive: readonly string[]
  /** How often, and how many identifiers, were looked at anew. */
  readonly looks = { components: 0, identifiers: 0 }

  constructor(private readonly config: PeopleRules) {
    this.rules = rulesOf(config)
    this.decisive = [...new Set([...config.agree, ...config.confirm])]
  }

  /** Where everything that was ever said was said here. */
  take(statements: readonly Statement[], decisions: readonly Decision[] = []): void {
    this.begin(statements, decisions)
    for (let ids = this.unread(); ids.length > 0; ids = this.unread()) for (const id of ids) this.read(id, NOTHING_SAID)
    this.end()
  }

  /** What is kept of an identifier that is going to be spoken of, or was come upon. Of others nothing is known so far. */
  know(id: string, { spoken, isOpen, overused }: KnownPlace): void {
    const place = this.stub(id)
    if (spoken !== undefined && (place.spoken === undefined || compareSaid(spoken, place.spoken) < 0))
      place.spoken = spoken
    place.isOpen = isOpen
    if (overused !== undefined && !this.decisions.has(id)) place.overused = overused
  }

  /** Somebody who may be spoken of, as her profile has her. */
  knowPerson(anchor: Spoken, ids: readonly string[], agreed: Person['agreed']): void {
    const person: Person = { anchor, places: ids.map((id) => this.stub(id)), agreed }
    for (const place of person.places) place.person = person
  }

  /** People who are beyond doubt grow at once; `unread` says what it takes to tell of the others. */
  begin(statements: readonly Statement[], decisions: readonly Decision[] = []): void {
    const touched = new Map<Person | Place, Touched>()
    for (const statement of statements) this.note(statement, touched)
    for (const decision of decisions) this.open.push(...this.decide(decision))
    const groups = new Set<Touched>()
    for (const group of touched.values()) groups.add(rootOf(group))
    for (const group of groups) {
      group.people = once(group.people)
      group.fresh = once(group.fresh)
      if (group.isOpen || !this.isPlain(group)) {
        for (const person of group.people) this.open.push(...person.places)
        this.open.push(...group.fresh)
      } else this.join(group)
    }
  }

  /** Identifiers of which all that was said is needed next; of those that are overused what is kept is enough. */
  unread(): string[] {
    return this.reach().unread
  }

  read(id: string, { traits, links, decisions }: Surroundings): void {
    const place = this.stub(id)
    place.isRead = true
    if (place.traits === NO_TRAITS) place.traits = keyed()
    addTraits(place.traits, traits)
    for (const { a, b, said } of links) note(this.stub(a), this.stub(b), said)
    for (const decision of decisions) this.remember(decision)
    if (this.decisions.has(id)) delete place.overused
    if (place.links.length > 0 || place.spoken !== undefined) return
    // Nobody ever named it: an operator spoke of what there is not, or not yet.
    this.places.delete(id)
    this.strangers.add(id)
    this.open = this.open.filter((other) => other !== place)
  }

  /** Once nothing is unread. */
  end(): void {
    for (const { component, aside } of this.reach().components) this.settle(component, aside)
    this.open = []
  }

  /** In order of their anchors. */
  all(): { anchor: string; ids: string[] }[] {
    const people = new Set([...this.places.values()].flatMap((p) => p.person ?? []))
    return [...people]
      .sort((x, y) => compareSpoken(x.anchor, y.anchor))
      .map(({ anchor, places }) => ({ anchor: anchor.id, ids: places.map((p) => p.id).sort(compareText) }))
  }

  /** What does not hold of what was said, in the order of text. */
  refusals(): Refusal[] {
    return [...this.places.values()].flatMap((p) => p.refusals ?? []).sort(byIds)
  }

  private note(statement: Statement, touched: Map<Person | Place, Touched>): void {
    const { said, keys, traits } = statement
    const places = keys.map((key) => this.place(key))
    const [unit] = places
    if (unit === undefined) return
    let isNews = places.some((p) => p.person === undefined && p.links.length === 0)
    for (const [a, b] of evidencePairs(places)) isNews = note(a, b, said) || isNews
    if (unit.spoken === undefined || compareSaid(said, unit.spoken) < 0) {
      unit.spoken = said
      isNews = true
    }
    for (const trait of this.decisive) {
      if (!Object.hasOwn(traits, trait)) continue
      if (unit.traits === NO_TRAITS) unit.traits = keyed()
      const bySource = keyed([[said.source, { value: traits[trait]!, at: said.at }]])
      addTraits(unit.traits, keyed([[trait, bySource]]))
      isNews = true
    }
    if (!isNews) return
    this.changed.add(unit)
    let group: Touched = { people: [], fresh: [], statements: [statement], isOpen: false }
    for (const place of places) {
      if (place.person === undefined) group.fresh.push(place)
      else group.people.push(place.person)
      group.isOpen ||= place.isOpen
      const key = place.person ?? place
      const other = touched.get(key)
      if (other === undefined) touched.set(key, group)
      else group = merge(rootOf(other), rootOf(group))
    }
  }

  private decide(decision: Decision): Place[] {
    this.remember(decision)
    const places = decidedOn(decision).flatMap((id) => this.places.get(id) ?? [])
    for (const place of places) {
      // Who was left aside because of it is looked at with it again.
      if (place.overused !== undefined) delete place.overused
    }
    return places
  }

  private remember(decision: Decision): void {
    for (const id of decidedOn(decision)) {
      const known = this.decisions.get(id)
      if (known === undefined) this.decisions.set(id, [decision])
      else if (!known.includes(decision)) known.push(decision)
    }
  }

  private isPlain({ people, statements }: Touched): boolean {
    return isPlainUnion(this.rules, this.config.agree, people, statements)
  }

  private join({ people, fresh, statements }: Touched): void {
    const [largest, ...parts] = people.toSorted((x, y) => y.places.length - x.places.length)
    const person: Person = largest ?? { anchor: fresh[0]!, places: [], agreed: NOTHING_AGREED } // somebody or something is touched
    const isMore = (place: Place) => {
      place.person = person
      person.places.push(place)
      this.changed.add(place)
    }
    for (const part of parts) {
      for (const place of part.places) isMore(place)
      for (const [trait, value] of part.agreed) agree(person, trait, value)
      if (compareSpoken(part.anchor, person.anchor) < 0) person.anchor = part.anchor
    }
    for (const place of fresh) isMore(place)
    for (const { keys, traits } of statements) {
      const unit = this.place(keys[0]!)
      if (compareSpoken(unit, person.anchor) < 0) person.anchor = unit
      for (const trait of this.config.agree) {
        const value = Object.hasOwn(traits, trait) ? traits[trait] : undefined
        if (value !== undefined && value !== null) agree(person, trait, value)
      }
    }
  }

  /** Everything that hangs together with what is open, through what is not overused. */
  private reach(): { components: { component: Place[]; aside: Set<Place> }[]; unread: string[] } {
    const seen = new Set<Place>()
    const unread: string[] = []
    const components = []
    // It may grow on the way.
    for (const start of this.open) {
      if (seen.has(start)) continue
      const component: Place[] = []
      const waiting = [start]
      const aside = new Set<Place>()
      for (let place = waiting.pop(); place !== undefined; place = waiting.pop()) {
        if (seen.has(place) || aside.has(place)) continue
        if (this.isAside(place)) {
          aside.add(place)
          continue
        }
        seen.add(place)
        component.push(place)
        if (!place.isRead) unread.push(place.id)
        for (const link of place.links) waiting.push(this.stub(otherEnd(link, place.id)))
        for (const d of this.decisions.get(place.id) ?? [])
          for (const id of decidedOn(d)) if (!this.strangers.has(id)) waiting.push(this.stub(id))
      }
      seen.add(start)
      components.push({ component, aside })
    }
    return { components, unread }
  }

  /** Those who were looked at with it before it was are looked at again. */
  private isAside(place: Place): boolean {
    if (place.overused === true) return true
    if (this.decisions.has(place.id) || !place.isRead) return false
    if (!isOverused(this.rules, this.config.sharedAfter, place.id, place.links)) return false
    place.overused = true
    for (const link of place.links) this.open.push(this.stub(otherEnd(link, place.id)))
    return true
  }

  private settle(component: readonly Place[], aside: ReadonlySet<Place>): void {
    const places = [...component, ...aside]
    const graph: Graph = {
      nodes: places,
      links: [...new Set(component.flatMap((p) => p.links))],
      decisions: [...new Set(places.flatMap((p) => this.decisions.get(p.id) ?? []))],
    }
    const found = findPersons(this.config, graph)
    this.looks.components++
    this.looks.identifiers += places.length
    // What is left of a record whose most trusted identifier is overused may be nobody.
    const isOpen = !found.isPlain || found.persons.length !== 1
    for (const place of places) {
      delete place.person
      delete place.refusals
      place.isOpen = isOpen || place.overused !== undefined
      this.changed.add(place)
    }
    for (const refusal of found.refusals) (this.place(refusal.a).refusals ??= []).push(refusal)
    for (const { anchor, ids } of found.persons) {
      const person: Person = {
        anchor: this.place(anchor),
        places: ids.map((id) => this.place(id)),
        agreed: NOTHING_AGREED,
      }
      for (const place of person.places) {
        place.person = person
        for (const trait of this.config.agree)
          for (const { value } of Object.values(place.traits[trait] ?? {}))
            if (value !== null) agree(person, trait, value)
      }
    }
  }

  /** One that is stored, of which more may have been said than is here. */
  private stub(id: string): Place {
    let place = this.places.get(id)
    if (place === undefined) {
      place = { id, traits: NO_TRAITS, links: [], isOpen: false, isRead: false }
      this.places.set(id, place)
    }
    return place
  }

  private place(id: string): Place {
    let place = this.places.get(id)
    if (place === undefined) {
      place = { id, traits: NO_TRAITS, links: [], isOpen: this.decisions.has(id), isRead: true }
      this.places.set(id, place)
      this.strangers.delete(id)
    }
    return place
  }
}

function agree(person: Person, trait: string, value: TraitValue): void {
  if (person.agreed.get(trait) !== value) person.agreed = new Map(person.agreed).set(trait, value)
}

function once<T>(items: T[]): T[] {
  return items.length < 2 ? items : [...new Set(items)]
}

/** @returns whether it is new that they are named together, or that they were so early */
function note(x: Place, y: Place, said: Said): boolean {
  const [few, other] = x.links.length <= y.links.length ? [x, y] : [y, x]
  const known = few.links.find((l) => otherEnd(l, few.id) === other.id)
  if (known !== undefined) {
    if (compareSaid(said, known.said) >= 0) return false
    known.said = said
    return true
  }
  const [a, b] = x.id < y.id ? [x, y] : [y, x]
  const link = { a: a.id, b: b.id, said }
  a.links.push(link)
  b.links.push(link)
  return true
}

function rootOf(group: Touched): Touched {
  let root = group
  while (root.into !== undefined) root = root.into
  return root
}

function merge(x: Touched, y: Touched): Touched {
  if (x === y) return x
  const [to, from] = x.statements.length >= y.statements.length ? [x, y] : [y, x]
  for (const person of from.people) to.people.push(person)
  for (const place of from.fresh) to.fresh.push(place)
  for (const statement of from.statements) to.statements.push(statement)
  to.isOpen ||= from.isOpen
  from.into = to
  return to
}
