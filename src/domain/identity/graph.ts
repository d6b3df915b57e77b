import type { TraitValue } from '../events/record.js'
import type { IdentityConfig } from './config.js'
import { entryOf, type Profile, typeName } from './profile.js'
import { addTraits } from './standing-traits.js'
import { compareSaid, compareSpoken, compareText, type Said, type Spoken } from './statement.js'

/** What decides who is one person: whoever may join whom, and when many are too many. */
export type PeopleRules = Pick<IdentityConfig, 'identifiers' | 'agree'> & {
  /** Traits that bear a weak identifier out where they say the same: only then are two cards with one phone one person. */
  confirm: readonly string[]
  /** An identifier that is named with more than this many of one type (and than its `max`) joins nobody. */
  sharedAfter: number
}

/**
 * An identifier, with what the records that are known by it say of the traits that decide who is who. `overused`: as
 * `isOverused` found, for one whose links are not all there.
 */
export type GraphNode = Spoken & { traits: Profile['traits']; overused?: true }

/** Two identifiers that a record names together, and the earliest that does. */
export type GraphLink = { a: string; b: string; said: Said }

/** What an operator decided. The latest wins where two contradict each other. */
export type Decision =
  | { kind: 'merge'; a: string; b: string; said: Said }
  | { kind: 'split'; a: string; b: string; said: Said }
  /** The identifier joins nobody. */
  | { kind: 'share'; id: string; said: Said }
  /** It is judged as others are, however many use it. */
  | { kind: 'free'; id: string; said: Said }
  /** It is this person's and nobody else's. */
  | { kind: 'give'; id: string; to: string; said: Said }

/** All that was said: a set, whose order is of no account. */
export type Graph = { nodes: readonly GraphNode[]; links: readonly GraphLink[]; decisions: readonly Decision[] }

export type Found = {
  /** In order of their anchors: the identifier by which each was first spoken of. Their identifiers in the order of text. */
  persons: { anchor: string; ids: string[] }[]
  /** In the order of text. */
  refusals: Refusal[]
  /** All that was said to belong together does, whatever part of it is looked at: identifiers that are overused aside. */
  isPlain: boolean
}

/** A link between strong identifiers that does not hold; or, without `b`, an identifier that joins nobody. */
export type Refusal = {
  kind: 'too_many' | 'contradiction' | 'split' | 'overused' | 'shared'
  a: string
  b?: string
  /** Type or trait that stops it; '' where an operator did, or all who use it. */
  by: string
}

/**
 * Who is one person: a function of the set of what was said.
 *
 * 1. What an operator decided holds, the latest first.
 * 2. Links between strong identifiers, the most trusted first, then the earliest: each holds unless it breaks a limit.
 * 3. Weak identifiers in the same order: each joins all that it is named with, or, where they contradict each other, nobody.
 *    Then those of them whose `confirm` traits say the same are joined nevertheless.
 *
 * Identifiers that too many are named with come nowhere into it.
 */
export function findPersons(config: PeopleRules, graph: Graph): Found {
  return new Search(rulesOf(config), config, graph).run()
}

export type Rule = { rank: number; isStrong: boolean; max: number }

/** By type. */
export function rulesOf(config: Pick<PeopleRules, 'identifiers'>): ReadonlyMap<string, Rule> {
  return new Map(
    config.identifiers.map(({ type, strength, max }, rank) => [type, { rank, isStrong: strength === 'strong', max }]),
  )
}

/** Whether too many identifiers of one type are named with it: whatever comes, it stays so. */
export function isOverused(
  rules: ReadonlyMap<string, Rule>,
  sharedAfter: number,
  id: string,
  links: readonly GraphLink[],
): boolean {
  if (links.length <= sharedAfter) return false
  const counts = new Map<string, number>()
  for (const link of links) {
    const type = typeName(otherEnd(link, id))
    counts.set(type, (counts.get(type) ?? 0) + 1)
  }
  return [...rules].some(([type, { max }]) => (counts.get(type) ?? 0) > Math.max(sharedAfter, max))
}

/** Identifiers that are one, as far as one knows. */
type Cluster = {
  ids: string[]
  counts: Map<string, number>
  /** Per trait of `agree` what counts. */
  agreed: Map<string, TraitValue>
  /** Per trait of `confirm` what any source says. */
  confirming: Map<string, Set<TraitValue>>
}

type Stop = { kind: 'too_many' | 'contradiction' | 'split'; by: string }

class Search {
  private readonly nodes: ReadonlyMap<string, GraphNode>
  private readonly links: GraphLink[]
  private readonly linksOf = new Map<string, GraphLink[]>()
  private readonly clusterOf = new Map<string, Cluster>()
  private readonly refusals: Refusal[] = []
  /** They join nobody and are nobody's. */
  private readonly shared = new Set<string>()
  /** Weak ones whose place an operator decided: what else is said of them does not count. */
  private readonly given = new Set<string>()
  private readonly apart: { a: string; b: string }[] = []
  private isConfirmed = false

  constructor(
    private readonly rules: ReadonlyMap<string, Rule>,
    private readonly config: PeopleRules,
    private readonly graph: Graph,
  ) {
    this.nodes = new Map(graph.nodes.filter((n) => rules.has(typeName(n.id))).map((n) => [n.id, n]))
    this.links = graph.links.filter(({ a, b }) => this.nodes.has(a) && this.nodes.has(b))
  }

  run(): Found {
    for (const link of this.links) for (const id of [link.a, link.b]) push(this.linksOf, id, link)
    const latest = this.graph.decisions.toSorted(byLatest)
    this.mark(latest)
    for (const id of this.nodes.keys()) {
      if (!this.shared.has(id))
        this.clusterOf.set(id, { ids: [id], counts: new Map([[typeName(id), 1]]), ...nothing() })
    }
    this.decide(latest)
    this.joinStrong()
    const cores = [...new Set(this.clusterOf.values())]
    for (const core of cores) this.readTraits(core)
    const isDoubtful = this.isDoubtful(cores)
    this.joinWeak()
    return {
      persons: this.persons(),
      refusals: this.refusals.sort(byIds),
      isPlain:
        this.refusals.every((r) => r.kind === 'overused') &&
        !this.isConfirmed &&
        !isDoubtful &&
        this.graph.decisions.length === 0,
    }
  }

  /** Who joins nobody from the outset: because too many use it, or an operator says so. */
  private mark(latest: readonly Decision[]): void {
    const marks = new Map<string, Decision['kind']>()
    for (const d of latest) if ('id' in d && !marks.has(d.id)) marks.set(d.id, d.kind)
    for (const [id, { overused }] of this.nodes) {
      const mark = marks.get(id)
      if (mark === 'share') this.leaveOut({ kind: 'shared', a: id, by: '' })
      if (mark !== undefined) continue
      if (overused ?? isOverused(this.rules, this.config.sharedAfter, id, this.linksOf.get(id) ?? []))
        this.leaveOut({ kind: 'overused', a: id, by: '' })
    }
  }

  private leaveOut(refusal: Refusal): void {
    this.shared.add(refusal.a)
    this.refusals.push(refusal)
  }

  private decide(latest: readonly Decision[]): void {
    const isPlaced = new Set<string>()
    for (const d of latest) {
      if (d.kind === 'share' || d.kind === 'free') {
        isPlaced.add(d.id)
        continue
      }
      const [a, b] = d.kind === 'give' ? [d.id, d.to] : [d.a, d.b]
      if (d.kind === 'give' && isPlaced.has(a)) continue
      if (d.kind === 'give') isPlaced.add(a)
      const [x, y] = [this.clusterOf.get(a), this.clusterOf.get(b)]
      if (x === undefined || y === undefined) continue
      if (d.kind === 'split') {
        if (x !== y) this.apart.push({ a, b })
        continue
      }
      if (x !== y && this.partedBy(x, y)) continue
      if (x !== y) this.unite(x, y)
      for (const id of [a, b]) if (!this.ruleOf(id).isStrong) this.given.add(id)
    }
  }

  private joinStrong(): void {
    const strong = this.links.filter((l) => this.holds(l) && this.ruleOf(l.a).isStrong && this.ruleOf(l.b).isStrong)
    for (const { a, b } of strong.sort((x, y) => this.rankOf(x) - this.rankOf(y) || byLink(x, y))) {
      const [x, y] = [this.clusterOf.get(a)!, this.clusterOf.get(b)!] // `holds` says that there are
      if (x === y) continue
      const stop = this.whatStops(x, y)
      if (stop === undefined) this.unite(x, y)
      else this.refusals.push({ ...stop, a, b })
    }
  }

  private joinWeak(): void {
    const waiting = [...this.clusterOf.keys()]
      .filter((id) => !this.ruleOf(id).isStrong && !this.given.has(id))
      .map((id) => ({ id, links: (this.linksOf.get(id) ?? []).filter((l) => this.holds(l)).sort(byLink) }))
      .map(({ id, links }) => ({ id, links, first: firstOf(this.nodes.get(id)?.spoken, links[0]?.said) }))
      .sort((x, y) => this.ruleOf(x.id).rank - this.ruleOf(y.id).rank || byFirst(x, y) || compareText(x.id, y.id))
    const isWaiting = new Set(waiting.map((w) => w.id))
    for (const { id, links } of waiting) {
      isWaiting.delete(id)
      const others = links.map((l) => otherEnd(l, id)).filter((o) => !isWaiting.has(o) && this.clusterOf.has(o))
      this.joinBy(id, [...new Set(others.map((o) => this.clusterOf.get(o)!))])
    }
  }

  /** @param claimants - in the order in which they were named with it */
  private joinBy(id: string, claimants: readonly Cluster[]): void {
    let all = copyOf(this.clusterOf.get(id)!)
    const stops: Stop[] = []
    for (const claimant of claimants) {
      const stop = this.whatStopsWeak(all, claimant)
      if (stop !== undefined) stops.push(stop)
      all = add(all, claimant)
    }
    // What would stop it anyhow is said first: splitting who was never one changes nothing.
    const stop = stops.find((s) => s.kind !== 'split') ?? stops[0]
    if (stop !== undefined) {
      this.clusterOf.delete(id)
      this.leaveOut({ ...stop, a: id })
      this.joinConfirmed(claimants)
      return
    }
    for (const claimant of claimants) this.unite(this.clusterOf.get(id)!, claimant)
  }

  /** Of those who use one identifier, which therefore joins nobody, some may be known to be one nevertheless. */
  private joinConfirmed(claimants: readonly Cluster[]): void {
    for (const [i, first] of claimants.entries()) {
      for (const second of claimants.slice(i + 1)) {
        const [x, y] = [this.clusterOf.get(first.ids[0]!)!, this.clusterOf.get(second.ids[0]!)!]
        if (x === y || !isConfirmed(x, y) || this.whatStopsWeak(x, y) !== undefined) continue
        this.isConfirmed = true
        this.unite(x, y)
      }
    }
  }

  private whatStops(x: Cluster, y: Cluster): Stop | undefined {
    return this.limitBroken(x, y) ?? (this.partedBy(x, y) ? { kind: 'split', by: '' } : undefined)
  }

  /** A weak identifier does not tell that two cards are one person's; that they say the same does. */
  private whatStopsWeak(x: Cluster, y: Cluster): Stop | undefined {
    const broken = this.limitBroken(x, y)
    if (broken !== undefined) return broken
    for (const trait of this.config.agree) {
      const [said, theirs] = [x.agreed.get(trait), y.agreed.get(trait)]
      if (said !== undefined && theirs !== undefined && said !== theirs) return { kind: 'contradiction', by: trait }
    }
    for (const [type, { isStrong }] of this.rules) {
      if (!isStrong || !x.counts.has(type) || !y.counts.has(type)) continue
      if (!isConfirmed(x, y)) return { kind: 'contradiction', by: type }
      this.isConfirmed = true
    }
    return this.partedBy(x, y) ? { kind: 'split', by: '' } : undefined
  }

  private limitBroken(x: Cluster, y: Cluster): Stop | undefined {
    for (const [type, { max }] of this.rules) {
      const [n, m] = [x.counts.get(type) ?? 0, y.counts.get(type) ?? 0]
      if (n > 0 && m > 0 && n + m > max) return { kind: 'too_many', by: type }
    }
    return undefined
  }

  private partedBy(x: Cluster, y: Cluster): boolean {
    const holds = ({ ids }: Cluster, a: string) => ids.includes(a)
    return this.apart.some(({ a, b }) => (holds(x, a) && holds(y, b)) || (holds(x, b) && holds(y, a)))
  }

  private unite(x: Cluster, y: Cluster): void {
    const [to, from] = x.ids.length >= y.ids.length ? [x, y] : [y, x]
    add(to, from)
    for (const id of from.ids) this.clusterOf.set(id, to)
  }

  private readTraits(core: Cluster): void {
    const traits: Profile['traits'] = {}
    for (const id of core.ids) addTraits(traits, this.nodes.get(id)!.traits)
    for (const trait of this.config.agree) {
      const value = entryOf(traits[trait])?.value
      if (value !== undefined) core.agreed.set(trait, value)
    }
    for (const trait of this.config.confirm) {
      const values = Object.values(traits[trait] ?? {}).flatMap(({ value }) => value ?? [])
      if (values.length > 0) core.confirming.set(trait, new Set(values))
    }
  }

  /** Whether somebody said of a trait that must agree what another did not, or took it back: then it matters who is counted in. */
  private isDoubtful(cores: readonly Cluster[]): boolean {
    const nodes = cores.flatMap((core) => core.ids.map((id) => this.nodes.get(id)!))
    return this.config.agree.some((trait) => {
      const values = nodes.flatMap((n) => Object.values(n.traits[trait] ?? {}).map((said) => said.value))
      return values.includes(null) || new Set(values).size > 1
    })
  }

  private persons(): Found['persons'] {
    return [...new Set(this.clusterOf.values())]
      .flatMap(({ ids }) => {
        const first = ids.map((id) => this.nodes.get(id)!).reduce((x, y) => (compareSpoken(x, y) <= 0 ? x : y))
        return first.spoken === undefined ? [] : [{ first, ids: ids.sort(compareText) }]
      })
      .sort((x, y) => compareSpoken(x.first, y.first))
      .map(({ first, ids }) => ({ anchor: first.id, ids }))
  }

  private holds({ a, b }: GraphLink): boolean {
    return this.clusterOf.has(a) && this.clusterOf.has(b) && !this.given.has(a) && !this.given.has(b)
  }

  private rankOf({ a, b }: GraphLink): number {
    return Math.max(this.ruleOf(a).rank, this.ruleOf(b).rank)
  }

  private ruleOf(id: string): Rule {
    return this.rules.get(typeName(id))! // others are no nodes
  }
}

/** The identifiers that it speaks of. */
export function decidedOn(d: Decision): string[] {
  if (d.kind === 'merge' || d.kind === 'split') return [d.a, d.b]
  return d.kind === 'give' ? [d.id, d.to] : [d.id]
}

export function byIds(x: Refusal, y: Refusal): number {
  return compareText(x.a, y.a) || compareText(x.b ?? '', y.b ?? '')
}

export function otherEnd({ a, b }: GraphLink, id: string): string {
  return a === id ? b : a
}

function nothing(): Pick<Cluster, 'agreed' | 'confirming'> {
  return { agreed: new Map(), confirming: new Map() }
}

function copyOf({ ids, counts, agreed, confirming }: Cluster): Cluster {
  return {
    ids: [...ids],
    counts: new Map(counts),
    agreed: new Map(agreed),
    confirming: new Map([...confirming].map(([trait, values]) => [trait, new Set(values)])),
  }
}

function add(to: Cluster, from: Cluster): Cluster {
  for (const id of from.ids) to.ids.push(id)
  for (const [type, n] of from.counts) to.counts.set(type, (to.counts.get(type) ?? 0) + n)
  for (const [trait, value] of from.agreed) to.agreed.set(trait, value)
  for (const [trait, values] of from.confirming)
    to.confirming.set(trait, new Set([...(to.confirming.get(trait) ?? []), ...values]))
  return to
}

function isConfirmed(x: Cluster, y: Cluster): boolean {
  return [...x.confirming].some(([trait, values]) => {
    const theirs = y.confirming.get(trait)
    return theirs !== undefined && [...values].some((value) => theirs.has(value))
  })
}

function byLink(x: GraphLink, y: GraphLink): number {
  return compareSaid(x.said, y.said) || compareText(x.a, y.a) || compareText(x.b, y.b)
}

function byLatest(x: Decision, y: Decision): number {
  return compareSaid(y.said, x.said) || compareText(textOf(x), textOf(y))
}

function textOf(d: Decision): string {
  return [d.kind, ...decidedOn(d)].join('\n')
}

function byFirst(x: { first?: Said | undefined }, y: { first?: Said | undefined }): number {
  if (x.first === undefined || y.first === undefined)
    return Number(x.first === undefined) - Number(y.first === undefined)
  return compareSaid(x.first, y.first)
}

function firstOf(x: Said | undefined, y: Said | undefined): Said | undefined {
  return x === undefined || (y !== undefined && compareSaid(y, x) < 0) ? y : x
}

function push<V>(lists: Map<string, V[]>, key: string, value: V): void {
  const list = lists.get(key)
  if (list === undefined) lists.set(key, [value])
  else list.push(value)
}
