import { z } from 'zod'
import { eventsTable, type RowOf, tagChangesTable, tagStateTable } from '../../domain/events/tables.js'
import type { RecordEvent } from '../../domain/events/record.js'
import { identifierTypes, type Profile, ruleTexts } from '../../domain/identity/profile.js'
import type { Touched, TouchedQuery } from '../../domain/rules/compile.js'
import { figuresOf, propertiesOf, type RuleEvent } from '../../domain/rules/figures.js'
import type { Span } from '../../domain/rules/crossings.js'
import { literals, SMALL_QUERY } from '../../domain/rules/sql.js'
import type { EventStore } from '../../ports/event-store.js'
import type { Collections } from '../../stored/collections.js'
import { askable } from './askable.js'
import { EVALUATIONS } from '../../stored/runtime.js'
import { Instants } from './instants.js'

/** What is kept, in about bytes. */
const BUDGET = 192 * 2 ** 20
const PERSON_BYTES = 400
const EVENT_BYTES = 250
const TAG_BYTES = 40
/** Of somebody with more events than this nothing is kept. */
const MAX_EVENTS = 2_000
/** Profiles whose facts are loaded by one query, merged ones too. */
const CHUNK = 2_000
/** Events that are loaded by one query; of people who have more together nothing is kept. */
const MAX_LOADED = 200_000
/** People with too many events who are remembered. */
const MAX_LARGE = 50_000
/** Of a store with no more people and events than this everybody is loaded at once. */
const FEW = { people: 20_000, events: 100_000 }

type Person = {
  events: RuleEvent[]
  /** Tag, value, tag, value …: there are many people, and most have few. */
  stored: string[]
  seq: number
  bytes: number
}

/** A load that is under way; what changes of its people meanwhile makes what it finds of them worthless. */
type Load = {
  /** Who is loaded, by their ids: those of merged profiles too. */
  owners: ReadonlyMap<number, number>
  changed: Set<number>
  isStale: boolean
}

/** The definitions whose tags are kept; other ones are another object. */
type Tagged = { readonly evaluables: readonly { id: string }[]; readonly tags: readonly { id: string }[] }

export type StateChange = { p: number; id: string; new: string }

/**
 * Events and tags of people in motion, as the event store has them, in memory: whoever was just here is likely to come
 * again, and what is at hand costs no query. Bounded; lost with the process and read anew.
 *
 * It is told of everything this process writes. What others write shows in the counter that numbers all groups of work:
 * once it has moved without us, nothing kept counts any more. (A refresh elsewhere takes its last number when it has written
 * everything.)
 */
export class Facts {
  /** In order of use. A merged profile's facts are its survivor's. */
  private readonly people = new Map<number, Person>()
  private bytes = 0
  private readonly loads = new Set<Load>()
  /** People of whom nothing is kept, since they have too many events. */
  private readonly large = new Set<number>()
  private definitions: Tagged | undefined
  private tagIds: ReadonlyMap<string, string> = new Map()
  private isWholeTried = false
  /** When events of everybody happened, as long as nobody is missing. Who was merged away since may still be named. */
  private instants: Instants | undefined
  /** Whether everybody has been loaded. */
  private isWhole = false
  private lastSeq: number | undefined
  /** Numbers that were asked for and have not arrived. */
  private asked = 0

  /** @param alone - whether no other process writes: what is at hand stays so */
  constructor(
    private readonly events: EventStore,
    private readonly docs: Pick<Collections, 'meta' | 'profiles'>,
    private readonly alone = false,
    private readonly budget = BUDGET,
  ) {}

  /** Takes a number that counts as ours. */
  async takeNumber<M extends { seq: number }>(take: () => Promise<M>): Promise<M> {
    this.asked++
    try {
      const moment = await take()
      if (this.lastSeq !== undefined && moment.seq > this.lastSeq + 1) this.clear()
      this.lastSeq = Math.max(this.lastSeq ?? 0, moment.seq)
      return moment
    } finally {
      this.asked--
    }
  }

  /** People of whom nothing is stored yet. */
  begin(profileIds: readonly number[], seq: number): void {
    for (const id of profileIds) this.keep(id, { events: [], stored: [], seq, bytes: PERSON_BYTES })
    this.evict()
  }

  /** Events that were stored a moment ago, once each. */
  add(events: readonly (RecordEvent & { profileId: number; source: string })[]): void {
    this.markChanged(events.map((e) => e.profileId))
    for (const { profileId, name, occurredAt, id, source, amountMinor, properties } of events) {
      const person = this.people.get(profileId)
      if (person === undefined) {
        this.instants = undefined
        continue
      }
      const ms = occurredAt.getTime()
      const event = { name, ms, id: idOf(id, source), amountMinor, properties: propertiesOf(properties) }
      this.addEvent(profileId, person, event)
    }
    this.evict()
  }

  /** Those of whom something is at hand, or may be soon: of the others `record` need not be told. */
  concerned<R extends { p: number }>(rows: readonly R[]): readonly R[] {
    return this.loads.size > 0 ? rows : rows.filter((row) => this.people.has(row.p))
  }

  /** Values that were stored a moment ago, under a number. */
  record(changes: readonly StateChange[], seq: number): void {
    this.markChanged(changes.map((c) => c.p))
    for (const change of changes) {
      const person = this.people.get(change.p)
      if (person === undefined) continue
      // A later evaluation has written, of this tag or of another: the store knows.
      if (seq < person.seq) this.forget([change.p])
      else {
        person.seq = seq
        this.setTag(person, change.id, change.new)
      }
    }
  }

  /** Two turned out to be one: events are of both, tags are the survivor's. */
  merge(from: number, to: number): void {
    const [gone, person] = [this.people.get(from), this.people.get(to)]
    if (gone === undefined || person === undefined) return this.forget([from, to])
    this.markChanged([from, to])
    this.people.delete(from)
    this.bytes -= gone.bytes
    for (const event of gone.events) if (this.people.has(to)) this.hold(to, person, event)
  }

  forget(profileIds: readonly number[]): void {
    if (profileIds.length > 0) this.instants = undefined
    this.markChanged(profileIds)
    for (const id of profileIds) {
      this.bytes -= this.people.get(id)?.bytes ?? 0
      this.people.delete(id)
    }
  }

  clear(): void {
    for (const load of this.loads) load.isStale = true
    this.instants = undefined
    this.people.clear()
    this.bytes = 0
  }

  /**
   * Figures of profiles that stand for themselves. What is not at hand is left out, or with `load` read and kept.
   *
   * @returns in order of the profiles
   */
  async read(
    definitions: Tagged,
    query: TouchedQuery,
    profiles: readonly Profile[],
    { load }: { load: boolean },
  ): Promise<Touched[]> {
    const counter = await this.counter()
    const last = this.lastSeq ?? -1
    // Ours or somebody else's: that shows when it arrives.
    if (counter > last && this.asked > 0) return []
    if (counter !== last || definitions !== this.definitions) {
      this.clear()
      this.lastSeq = counter
      this.definitions = definitions
      const ids = [...definitions.evaluables, ...definitions.tags].map((e) => e.id)
      this.tagIds = new Map(ids.map((id) => [id, id]))
      this.isWholeTried = false
    }
    if ([...query.storedTags].some((id) => !this.tagIds.has(id))) return []
    if (load) {
      if (this.alone && !this.isWholeTried) await this.loadWhole(definitions, counter)
      const missing = profiles.filter((p) => !this.people.has(p._id) && !this.large.has(p._id))
      for (const people of askable(missing, CHUNK)) {
        await this.load(people, counter)
        // What was loaded meanwhile has the tags of other definitions.
        if (this.definitions !== definitions) return []
      }
    }
    const compute = figuresOf(query.figures, query.nowMs)
    const touched = profiles.flatMap((profile): Touched[] => {
      const person = this.people.get(profile._id)
      const columns = person && compute(person.events)
      if (person === undefined || columns === undefined) return []
      this.people.delete(profile._id)
      this.people.set(profile._id, person)
      const known = { traits: ruleTexts(profile), identifierTypes: identifierTypes(profile) }
      return [{ profileId: profile._id, figures: { ...known, stored: valuesOf(person), columns } }]
    })
    this.evict()
    return touched
  }

  /**
   * Who has an event in one of the spans of its name, those merged away since among them.
   *
   * @returns undefined unless everybody is at hand
   */
  async within(spans: ReadonlyMap<string, readonly Span[]>): Promise<Set<number> | undefined> {
    return (await this.counter()) === this.lastSeq && this.isWhole ? this.instants?.within(spans) : undefined
  }

  private async counter(): Promise<number> {
    return (await this.docs.meta.get(`counter:${EVALUATIONS}`))?.value ?? 0
  }

  /** A query costs nearly the same for one person as for thousands: where all are few, all are loaded. */
  private async loadWhole(definitions: Tagged, seq: number): Promise<void> {
    this.isWholeTried = true
    if (((await this.docs.meta.get('counter:profile'))?.value ?? 0) > FEW.people) return
    const waiting = this.events.unread(eventsTable).length
    const [stored] = await this.events.query(`SELECT count() AS n FROM ${eventsTable.name}`, CountRow, 'serving', {
      behind: true,
    })
    if (waiting + (stored?.n ?? 0) > FEW.events) return
    if (this.large.size > 0) return
    this.isWhole = false
    this.instants = new Instants()
    for (const [id, { events }] of this.people) for (const event of events) this.instants.add(id, event)
    for await (const batch of this.docs.profiles.scan({ mergedInto: { $exists: false } }, CHUNK)) {
      const missing = batch.filter((p) => !this.people.has(p._id) && !this.large.has(p._id))
      for (const people of askable(missing, CHUNK)) await this.load(people, seq)
      if (this.definitions !== definitions) return
    }
    this.isWhole = true
    this.evict()
  }

  private async load(profiles: readonly Profile[], seq: number): Promise<void> {
    if (profiles.length === 0) return
    const owners = new Map(profiles.flatMap((p) => [p._id, ...p.mergedIds].map((id) => [id, p._id] as const)))
    const load: Load = { owners, changed: new Set(), isStale: false }
    this.loads.add(load)
    try {
      const ids = profiles.map((p) => p._id)
      // First what waits: what arrives meanwhile is in both.
      const [waitingEvents, waitingChanges] = [this.events.unread(eventsTable), this.events.unread(tagChangesTable)]
      const [events, states] = await Promise.all([this.queryEvents([...owners.keys()]), this.queryTags(ids)])
      if (load.isStale || load.changed.size > 0 || events.length === MAX_LOADED) this.instants = undefined
      if (load.isStale || events.length === MAX_LOADED) return
      for (const id of ids)
        if (!load.changed.has(id)) this.keep(id, { events: [], stored: [], seq, bytes: PERSON_BYTES })
      this.takeEvents(load, events, waitingEvents)
      this.takeTags(load, states, waitingChanges)
    } finally {
      this.loads.delete(load)
    }
  }

  private queryEvents(ids: readonly number[]): Promise<z.infer<typeof EventRow>[]> {
    return this.events.query(
      `SELECT profile_id AS p, name, toUnixTimestamp64Milli(occurred_at) AS ms, event_id AS id, source, amount_minor AS amount, has_amount AS hasAmount, properties
      FROM ${eventsTable.name} WHERE profile_id IN (${literals(ids)}) LIMIT ${MAX_EVENTS + 1} BY profile_id LIMIT ${MAX_LOADED} ${SMALL_QUERY}`,
      EventRow,
      'serving',
      { behind: true },
    )
  }

  private queryTags(ids: readonly number[]): Promise<z.infer<typeof StateRow>[]> {
    return this.events.query(
      `SELECT profile_id AS p, tag_id AS id, value, version FROM ${tagStateTable.name} FINAL
      WHERE tag_id IN (${literals(['', ...this.tagIds.keys()])}) AND profile_id IN (${literals(ids)}) ${SMALL_QUERY}`,
      StateRow,
      'serving',
      { behind: true },
    )
  }

  /** Each event once, though it may be in both. */
  private takeEvents(
    { owners, changed }: Load,
    stored: readonly z.infer<typeof EventRow>[],
    waiting: readonly RowOf<typeof eventsTable>[],
  ): void {
    const seen = new Set<string>()
    const take = (
      id: number,
      { properties, source, amount, hasAmount, ...read }: Omit<z.infer<typeof EventRow>, 'p'>,
    ) => {
      const event = { ...read, id: idOf(read.id, source), amountMinor: hasAmount ? amount : undefined }
      const owner = owners.get(id)
      const person = owner === undefined ? undefined : this.people.get(owner)
      if (owner === undefined || person === undefined || changed.has(owner) || seen.has(event.id)) return
      seen.add(event.id)
      const said = propertiesOf(JSON.parse(properties) as Record<string, unknown>)
      this.addEvent(owner, person, { ...event, properties: said })
    }
    for (const { p, ...event } of stored) take(p, event)
    for (const row of waiting) {
      const { profile_id, name, occurred_at, event_id: id, source, amount_minor: amount, has_amount, properties } = row
      take(profile_id, {
        name,
        ms: occurred_at.getTime(),
        id,
        source,
        amount,
        hasAmount: has_amount ?? true,
        properties,
      })
    }
  }

  /** Of every tag the value of the highest version. */
  private takeTags(
    { owners, changed }: Load,
    stored: readonly z.infer<typeof StateRow>[],
    waiting: readonly RowOf<typeof tagChangesTable>[],
  ): void {
    const versions = new Map<string, number>()
    const take = (id: number, tag: string, value: string, version: number) => {
      if (version < (versions.get(`${id} ${tag}`) ?? 0)) return
      versions.set(`${id} ${tag}`, version)
      const person = this.people.get(id)
      if (person !== undefined && owners.get(id) === id && !changed.has(id)) this.setTag(person, tag, value)
    }
    for (const { p, id, value, version } of stored) take(p, id, value, version)
    for (const row of waiting) take(row.profile_id, row.tag_id, row.new_value, row.version)
  }

  private addEvent(profileId: number, person: Person, event: RuleEvent): void {
    this.instants?.add(profileId, event)
    this.hold(profileId, person, event)
  }

  private hold(profileId: number, person: Person, event: RuleEvent): void {
    if (person.events.length >= MAX_EVENTS) {
      if (this.large.size >= MAX_LARGE) this.large.clear()
      this.large.add(profileId)
      return this.forget([profileId])
    }
    person.events.push(event)
    const bytes = EVENT_BYTES + bytesOf(event.properties)
    person.bytes += bytes
    this.bytes += bytes
  }

  private setTag(person: Person, id: string, value: string): void {
    const { stored } = person
    let at = 0
    while (at < stored.length && stored[at] !== id) at += 2
    // Of the many copies of an id one is enough.
    if (at === stored.length) {
      stored.push(this.tagIds.get(id) ?? id, value)
      person.bytes += TAG_BYTES
      this.bytes += TAG_BYTES
    } else stored[at + 1] = value
  }

  private keep(profileId: number, person: Person): void {
    this.bytes += person.bytes - (this.people.get(profileId)?.bytes ?? 0)
    this.people.set(profileId, person)
  }

  private markChanged(profileIds: readonly number[]): void {
    for (const { changed } of this.loads) for (const id of profileIds) changed.add(id)
  }

  private evict(): void {
    for (const [id, { bytes }] of this.people) {
      if (this.bytes <= this.budget) return
      this.instants = undefined
      this.people.delete(id)
      this.bytes -= bytes
    }
  }
}

/** As `RuleEvent` has it. No id holds NUL. */
function idOf(id: string, source: string): string {
  return `${id}\0${source}`
}

function bytesOf(properties: RuleEvent['properties'] = {}): number {
  let bytes = 0
  for (const value of Object.values(properties)) bytes += 30 + (typeof value === 'string' ? 2 * value.length : 0)
  return bytes
}

function valuesOf({ stored }: Person): Record<string, string> {
  const values: Record<string, string> = {}
  for (let i = 0; i < stored.length; i += 2) values[stored[i]!] = stored[i + 1]! // pairs
  return values
}

const CountRow = z.object({ n: z.number() })
const EventRow = z.object({
  p: z.number(),
  name: z.string(),
  ms: z.number(),
  id: z.string(),
  source: z.string(),
  amount: z.number(),
  hasAmount: z.boolean(),
  properties: z.string(),
})
const StateRow = z.object({ p: z.number(), id: z.string(), value: z.string(), version: z.number() })
