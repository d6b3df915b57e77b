import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { z } from 'zod'
import { openChdbEvents } from '../../../src/adapters/events/chdb.js'
import { consentChangesTable, eventsTable, profilesTable, tagChangesTable } from '../../../src/domain/events/tables.js'
import { consentOf, identifierTypes, ruleTexts, traitTexts } from '../../../src/domain/identity/profile.js'
import { compileDeltas, compileTouched, type Delta, type Evaluable } from '../../../src/domain/rules/compile.js'
import { compileCrossings } from '../../../src/domain/rules/crossings.js'
import { figuresOf, propertiesOf } from '../../../src/domain/rules/figures.js'
import type { Rule } from '../../../src/domain/rules/rule.js'
import { Tag } from '../../../src/domain/tags/definition.js'
import { parseInput } from '../../../src/parse.js'
import type { EventStore } from '../../../src/ports/event-store.js'
import { HOUR_MS } from '../../../src/time.js'
import { Instants } from '../../../src/services/segments/instants.js'
import { readFigures, scopeOf } from '../../../src/services/segments/test-rules.js'
import {
  Dice,
  LAST_ORDER,
  meaningOf,
  type Person,
  randomEvaluables,
  randomPeople,
  randomRule,
  ruleInput,
  readMeant,
  SEGMENTS,
  TEXTS,
  valueMeant,
} from '../../support/random-rules.js'
import { sized } from '../../support/sized.js'

const NOW = new Date('2026-03-29T10:00:00.500Z')
const optionsOf = (evaluables: readonly Evaluable[]) => ({
  nowMs: NOW.getTime(),
  segments: SEGMENTS,
  tags: [LAST_ORDER, ...tagsIn(evaluables)],
})
const tagsIn = (evaluables: readonly Evaluable[]) => evaluables.flatMap((e) => ('tag' in e ? [e.tag] : []))
const DeltaRow = z.object({ p: z.number(), id: z.string(), old: z.string(), new: z.string() })
const PEOPLE = 60
const SETS = sized(40, 1_000)

const home = mkdtempSync(join(tmpdir(), 'siyu-differential-'))
let events: EventStore
/** Survivors, with the events of everybody who was merged into them. */
let people: Person[]

beforeAll(async () => {
  events = await openChdbEvents({ path: join(home, 'events'), memoryLimitMb: 1024, maxThreads: 1 })
  const all = randomPeople(new Dice('people'), PEOPLE, NOW)
  await store(events, all)
  people = all
    .filter((p) => p.profile.mergedInto === undefined)
    .map((p) => ({
      ...p,
      events: [...p.events, ...all.filter((o) => o.profile.mergedInto === p.profile._id).flatMap((o) => o.events)],
    }))
})
afterAll(async () => {
  await events.close()
  rmSync(home, { recursive: true, force: true })
})

describe('a compiled rule means one thing', () => {
  it.each(Array.from({ length: SETS }, (_, i) => i))(
    'in SQL over everybody, in SQL over some, computed here on figures of SQL and on events, and read word by word (set %i)',
    async (set) => {
      const evaluables = randomEvaluables(new Dice(`set ${set}`), 14)
      const everybody = await bySql(evaluables)
      expect(everybody).toEqual(meant(evaluables, people))

      const some = people.filter((_, i) => (i + set) % 3 !== 0)
      const ids = new Set(some.map((p) => p.profile._id))
      const ofSome = everybody.filter((d) => ids.has(d.p))
      expect(await bySql(evaluables, some)).toEqual(ofSome)
      expect(await touched(evaluables, some)).toEqual(ofSome)
      expect(atHand(evaluables, some)).toEqual(ofSome.filter((d) => !unclear.has(d.p)))
      expect(unclear.size).toBeLessThan(some.length * 0.75)

      const range = { kind: 'all', fromProfileId: 5, toProfileId: 30 } as const
      const sql = compileDeltas(evaluables, { ...optionsOf(evaluables), scope: range })
      expect(await events.query(sql, DeltaRow)).toEqual(everybody.filter((d) => d.p >= 5 && d.p < 30))
    },
  )

  it('and so do rules that are asked beside, on the values just computed', async () => {
    const dice = new Dice('beside')
    for (let round = 0; round < 10; round++) {
      const evaluables = randomEvaluables(dice, 5)
      const ids = evaluables.map((e) => e.id).filter((id) => !id.includes('/'))
      const rules = Array.from({ length: 6 }, () => randomRule(dice, 2, ids))
      const query = compileTouched(
        evaluables,
        { ...optionsOf(evaluables), scope: scopeOf(people.map((p) => p.profile)) },
        rules,
      )
      const figures = await readFigures(
        { events },
        query,
        people.map((p) => p.profile),
      )
      expect(figures.map((f) => query.holds(f.figures))).toEqual(
        people.map((p) => rules.map((rule) => meaningOf(rule, p, NOW, freshTags(evaluables, p)))),
      )
    }
  })

  it('and so do tags that read each other twenty deep', async () => {
    const dice = new Dice('chain')
    const base = { name: 'a tag', category: 'model', owner: 'crm', purpose: 'test' }
    const chain = Array.from({ length: 20 }, (_, i): Evaluable => {
      const before = i === 0 ? { event: 'order_paid' } : { tag: `chain_${i - 1}` }
      const when = {
        any: [{ all: [before, ruleInput(dice, 1, [])] }, { not: { any: [before, ruleInput(dice, 1, [])] } }],
      }
      return { id: `chain_${i}`, tag: parseInput(Tag, { ...base, id: `chain_${i}`, type: 'flag', when }) }
    })
    const everybody = await bySql(chain)
    expect(everybody).toEqual(meant(chain, people))
    expect(await touched(chain, people)).toEqual(everybody)
  })

  it('and the differences, once stored, are no differences any more', async () => {
    const evaluables = randomEvaluables(new Dice('stored'), 20)
    const deltas = await bySql(evaluables)
    expect(deltas.length).toBeGreaterThan(100)
    await storeState(events, deltas, 5_000)
    expect(await bySql(evaluables)).toEqual([])
    expect(await touched(evaluables, people)).toEqual([])
  })

  it('and whoever it changes for by the passing of time alone has an event that crossed an edge', async () => {
    const dice = new Dice('crossings')
    const since = new Date(NOW.getTime() - HOUR_MS)
    let changed = 0
    for (let round = 0; round < 120; round++) {
      const days = { [dice.pick(['gte', 'gt', 'lte', 'lt', 'is'])]: dice.pick([0, 0.5, 1, 7, 8, 30]) }
      const rules: Rule[] = [{ tag: 'last_order', ...days }, ...Array.from({ length: 4 }, () => randomRule(dice, 2))]
      const evaluables = rules.map((rule, i): Evaluable => ({ id: `enter/r${i}`, rule }))
      const crossings = compileCrossings(evaluables, optionsOf(evaluables), since.getTime(), NOW.getTime())
      const rows = crossings === undefined ? [] : await events.query(crossings.sql, z.object({ p: z.number() }))
      const crossed = new Set(rows.map((r) => r.p))
      for (const person of people) {
        // What happened within the hour was seen when it arrived.
        if (person.events.some((e) => e.occurredAt > since && e.occurredAt <= NOW)) continue
        const holds = (rule: Rule, at: Date) => meaningOf(rule, person, at, freshTags([], person, at))
        const moved = rules.filter((rule) => holds(rule, since) !== holds(rule, NOW))
        changed += moved.length
        const isCrossed = [person.profile._id, ...person.profile.mergedIds].some((id) => crossed.has(id))
        if (!isCrossed) expect(moved).toEqual([])
        const instants = new Instants()
        for (const e of person.events) instants.add(1, { name: e.name, ms: e.occurredAt.getTime() })
        expect(instants.within(crossings?.spans ?? new Map()).size).toBe(isCrossed ? 1 : 0)
      }
    }
    expect(changed).toBeGreaterThan(30)
  })

  it('and every text equals itself and no other', async () => {
    const named = TEXTS.filter((t) => t !== '').map((text, i): Person => ({
      profile: {
        _id: 1001 + i,
        anchor: `member_id:${1001 + i}`,
        createdAt: NOW,
        identifiers: [],
        traits: { note: { shop: { value: text, at: NOW } } },
        contacts: [],
        mergedIds: [],
      },
      events: [],
      stored: {},
    }))
    await store(events, named)
    const evaluables = named.map((p, i): Evaluable => ({
      id: `text${String(i).padStart(3, '0')}`,
      rule: { trait: 'note', is: traitTexts(p.profile)['note']! },
    }))
    const own = named.map((p, i) => ({ p: p.profile._id, id: evaluables[i]!.id, old: '', new: '1' }))
    expect(await bySql(evaluables, named)).toEqual(own)
    expect(await touched(evaluables, named)).toEqual(own)
  })
})

/** People of whom SQL is to be asked: an event has a property that is not read here. */
const unclear = new Set<number>()

/** As `touched`, on figures that are computed here. */
function atHand(evaluables: readonly Evaluable[], some: readonly Person[]): Delta[] {
  const query = compileTouched(evaluables, { ...optionsOf(evaluables), scope: scopeOf(some.map((p) => p.profile)) })
  const compute = figuresOf(query.figures, query.nowMs)
  unclear.clear()
  return query.deltas(
    some.flatMap(({ profile, events: own, stored }) => {
      const columns = compute(
        own.map((e) => ({
          name: e.name,
          ms: e.occurredAt.getTime(),
          id: e.id,
          amountMinor: e.amountMinor,
          properties: propertiesOf(e.properties),
        })),
      )
      if (columns === undefined) unclear.add(profile._id)
      const known = { traits: ruleTexts(profile), identifierTypes: identifierTypes(profile), stored }
      return columns === undefined ? [] : [{ profileId: profile._id, figures: { ...known, columns } }]
    }),
  )
}

async function bySql(evaluables: readonly Evaluable[], some?: readonly Person[]): Promise<Delta[]> {
  const scope = some === undefined ? ({ kind: 'all' } as const) : scopeOf(some.map((p) => p.profile))
  return events.query(compileDeltas(evaluables, { ...optionsOf(evaluables), scope }), DeltaRow)
}

async function touched(evaluables: readonly Evaluable[], some: readonly Person[]): Promise<Delta[]> {
  const profiles = some.map((p) => p.profile)
  const query = compileTouched(evaluables, { ...optionsOf(evaluables), scope: scopeOf(profiles) })
  return query.deltas(await readFigures({ events }, query, profiles))
}

/** Values as rules read them: computed where they are evaluated, else as stored; days since something are counted. */
function freshTags(evaluables: readonly Evaluable[], person: Person, at = NOW): (id: string) => string {
  const { tags } = optionsOf(evaluables)
  const known = new Map<string, string>()
  const tagOf = (id: string): string => {
    const value = known.get(id) ?? read(id)
    known.set(id, value)
    return value
  }
  const read = (id: string): string => {
    const e = evaluables.find((x) => x.id === id)
    const kept = e === undefined ? (person.stored[id] ?? '') : valueMeant(e, person, at, tagOf)
    return readMeant(
      tags.find((tag) => tag.id === id),
      kept,
      at,
    )
  }
  return tagOf
}

function meant(evaluables: readonly Evaluable[], some: readonly Person[]): Delta[] {
  const sorted = [...evaluables].sort((a, b) => (a.id < b.id ? -1 : 1))
  return some.flatMap((person) =>
    sorted.flatMap((e) => {
      const now = valueMeant(e, person, NOW, freshTags(evaluables, person))
      const old = person.stored[e.id] ?? ''
      return now === old ? [] : [{ p: person.profile._id, id: e.id, old, new: now }]
    }),
  )
}

async function store(to: EventStore, all: readonly Person[]): Promise<void> {
  await to.insert(
    profilesTable,
    all.map(({ profile: p }) => ({
      profile_id: p._id,
      anchor: p.anchor,
      traits: traitTexts(p),
      identifier_types: p.identifiers.map((i) => i.type),
      created_at: p.createdAt,
      merged_into: p.mergedInto ?? 0,
      version: 1,
      known_at: NOW,
      seq: 1,
    })),
    `profiles from ${all[0]?.profile._id}`,
  )
  await to.insert(
    eventsTable,
    all.flatMap((p) =>
      p.events.map((e) => ({
        profile_id: p.profile._id,
        name: e.name,
        occurred_at: e.occurredAt,
        event_id: e.id,
        source: 'shop',
        amount_minor: e.amountMinor ?? 0,
        has_amount: e.amountMinor !== undefined,
        properties: JSON.stringify(e.properties),
        batch: 1,
        known_at: NOW,
        seq: 1,
      })),
    ),
    `events from ${all[0]?.profile._id}`,
  )
  await to.insert(
    consentChangesTable,
    all.flatMap(({ profile }) => {
      const value = consentOf(profile)
      if (value === undefined) return []
      const by = { source: 'shop', observed_at: NOW, ref: 'r', won: true, known_at: NOW, seq: 1 }
      return [{ profile_id: profile._id, unit: `p${profile._id}`, said: value, value, ...by }]
    }),
    `consents from ${all[0]?.profile._id}`,
  )
  await storeState(
    to,
    all.flatMap((p) => Object.entries(p.stored).map(([id, value]) => ({ p: p.profile._id, id, old: '', new: value }))),
    all[0]?.profile._id ?? 0,
  )
}

async function storeState(to: EventStore, deltas: readonly Delta[], version: number): Promise<void> {
  await to.insert(
    tagChangesTable,
    deltas.map((d) => ({
      tag_id: d.id,
      profile_id: d.p,
      changed_at: NOW,
      old_value: d.old,
      new_value: d.new,
      cause: 'operator',
      version,
    })),
    `state ${version}`,
  )
}
