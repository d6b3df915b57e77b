import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { z } from 'zod'
import type { RecordEvent, SourceRecord } from '../../../src/domain/events/record.js'
import { identityUnit } from '../../../src/domain/identity/identity-unit.js'
import { typeName } from '../../../src/domain/identity/profile.js'
import { compileHolds, compileTouched } from '../../../src/domain/rules/compile.js'
import { Rule } from '../../../src/domain/rules/rule.js'
import { parseInput } from '../../../src/parse.js'
import { askPast, type Past } from '../../../src/services/segments/ask-past.js'
import { readPastFigures, testRules } from '../../../src/services/segments/test-rules.js'
import { HOUR_MS, MINUTE_MS } from '../../../src/time.js'
import { buildWorld, type EventHome, openEventHome, type World } from '../../support/build-deps.js'
import {
  Dice,
  meaningOf,
  type Person,
  randomEvent,
  randomTagInput,
  readMeant,
  ruleInput,
  scalar,
  STORED_TAGS,
  TRAITS,
  valueMeant,
} from '../../support/random-rules.js'
import { sized } from '../../support/sized.js'

const START = '2026-03-02T02:00:00Z'
const RULES = sized(200, 1_000)
const INSTANTS = sized(20, 60)
const TIMEOUT_MS = sized(600_000, 3_600_000)
const PEOPLE = 14
/** Rules of one query. */
const PIECE = 50
/** From this instant on there are the tags `late_0` … `late_9`. */
const LATE_FROM = Math.floor(INSTANTS / 2)
const LATE = 10

const dice = new Dice('as of')
const common = { name: 'a tag', category: 'model', owner: 'crm', purpose: 'test' }
const input = (tags: readonly string[] = []) => ruleInput(dice, 2, tags)

const IDENTITY = {
  identifiers: [
    { type: 'unionid', strength: 'strong', max: 1 },
    { type: 'member_id', strength: 'strong', max: 3 },
    { type: 'openid', strength: 'strong', max: 3 },
    { type: 'phone', strength: 'weak', max: 3, normalise: 'phone' },
  ],
}
const tags: object[] = [
  { ...common, id: 'imported', type: 'choice', cases: ['a', '3'].map((value) => ({ value, when: eventRule() })) },
  { ...common, id: 'last_order', type: 'number', value: { event: 'order_paid', daysSince: true } },
  { ...common, id: 'old_score', type: 'number', score: { points: [{ event: 'product_viewed', weight: 40 }] } },
]
const TAG_IDS: string[] = []
while (TAG_IDS.length < 8) {
  const id = `tag_${TAG_IDS.length}`
  const tag = randomTagInput(dice, id, TAG_IDS)
  if (tag === undefined) continue
  tags.push(tag)
  TAG_IDS.push(id)
}
const late = Array.from({ length: LATE }, (_, i) => ({
  ...common,
  id: `late_${i}`,
  type: 'flag',
  when: input(TAG_IDS),
}))
const lifecycle = {
  stages: [
    { id: 'dormant', name: 'dormant', when: eventRule() },
    { id: 'active', name: 'active', when: { event: 'order_paid', within: '7d' } },
    { id: 'new', name: 'new' },
  ],
}
const segments = {
  buyers: { event: 'order_paid' },
  nested: { all: [{ segment: 'buyers' }, { not: { trait: 'city', is: '上海' } }] },
  tagged: { tag: 'imported', in: ['a', 3] },
}
const definitions = { identity: IDENTITY, lifecycle, segments, tags }
const rules = Array.from({ length: RULES }, () => parseInput(Rule, input(TAG_IDS)))
const lateRules = late.map(({ id }) => parseInput(Rule, { tag: id }))
/** What the late tags say, for the time before they were there. */
const lateWhens = late.map(({ when }) => parseInput(Rule, when))

/** Every answer that a live run gave at an instant: per person, which rules held. */
type Lived = { at: Date; held: Map<number, boolean[]> }

let home: EventHome
let world: World
const lived: Lived[] = []
/** Every record there was, without its identifiers. */
const said: (Pick<SourceRecord, 'ref' | 'source' | 'observedAt' | 'traits'> & { events: RecordEvent[] })[] = []

beforeAll(async () => {
  home = await openEventHome()
  world = await buildWorld(home, { at: START, definitions })
  for (let i = 0; i < INSTANTS; i++) {
    for (let group = 0; group < 3; group++) {
      const at = new Date(world.clock.now().getTime() + (20 + dice.below(600)) * MINUTE_MS)
      await world.until(at)
      if (i === LATE_FROM && group === 0) await world.publish({ ...definitions, tags: [...tags, ...late] })
      await world.accept(
        `${i}:${group}`,
        ...Array.from({ length: 1 + dice.below(4) }, (_, n) => drawn(`${i}:${group}:${n}`, at)),
      )
      await world.run()
    }
    const at = world.clock.now()
    lived.push({ at, held: await live([...rules, ...(i < LATE_FROM ? lateWhens : lateRules)], at) })
  }
  await world.until(new Date(world.clock.now().getTime() + 48 * HOUR_MS))
}, TIMEOUT_MS)
afterAll(async () => {
  await world.close()
  await home.close()
})

describe('as of an instant', () => {
  it('a story was lived with late news, merges and withdrawn traits', async () => {
    const count = async (sql: string) =>
      (await world.query(`SELECT count() AS n FROM ${sql}`, z.object({ n: z.number() })))[0]!.n
    expect(await world.docs.merges.count({})).toBeGreaterThan(3)
    expect(await count(`trait_changes WHERE said = '' AND source != ''`)).toBeGreaterThan(5)
    expect(await count('trait_changes WHERE NOT won')).toBeGreaterThan(5)
    expect(await count('events WHERE occurred_at < known_at - INTERVAL 1 DAY')).toBeGreaterThan(20)
    expect(await count('events WHERE said_at > occurred_at')).toBeGreaterThan(0)
    const moved = await world.query('SELECT DISTINCT tag_id AS id FROM tag_changes', z.object({ id: z.string() }))
    const ids = moved.map((row) => row.id)
    expect(ids).toEqual(expect.arrayContaining(STORED_TAGS))
    expect(TAG_IDS.filter((id) => ids.includes(id)).length).toBeGreaterThan(4)
    expect(late.filter(({ id }) => ids.includes(id)).length).toBeGreaterThan(4)
  })

  it(
    'every rule says what the live run said then',
    async () => {
      for (const { at, held } of lived) {
        const past = await asked(at)
        expect(differences(at, await holds([...rules, ...lateRules], past), held)).toEqual([])
      }
    },
    TIMEOUT_MS,
  )

  it(
    'also where a few people are asked, and their figures compared here',
    async () => {
      for (const { at, held } of lived.filter((_, i) => i % 4 === 1)) {
        const past = await asked(at)
        const some = [...held.keys()].filter((id) => id % 3 !== 0)
        const scope = { kind: 'profiles' as const, profiles: some.map((profileId) => ({ profileId, aliases: [] })) }
        for (const piece of pieces([...rules, ...lateRules])) {
          const query = compileTouched([], { ...past.options, scope }, piece.rules)
          const touched = await readPastFigures(world.deps, query)
          const answers = new Map(touched.map((t) => [t.profileId, query.holds(t.figures)]))
          const expected = new Map(some.map((id) => [id, held.get(id)!.slice(piece.from, piece.to)]))
          expect(differences(at, answers, expected, piece.from)).toEqual([])
        }
      }
    },
    TIMEOUT_MS,
  )

  it(
    'and as it happened what is meant, read word by word from everything that was ever said',
    async () => {
      let apart = 0
      for (const { at, held } of lived.filter((_, i) => i % 7 === 2)) {
        const past = await asked(at, true)
        const people = await everybodyBy(at)
        const meant = new Map(
          people.map((p) => [p.profile._id, [...rules, ...lateRules].map((rule) => isMeant(rule, p, at))]),
        )
        expect(differences(at, await holds([...rules, ...lateRules], past), meant)).toEqual([])
        for (const [id, answers] of held) apart += answers.filter((yes, i) => yes !== meant.get(id)?.[i]).length
      }
      expect(apart).toBeGreaterThan(100)
    },
    TIMEOUT_MS,
  )

  it(
    'which is not what today says of that instant',
    async () => {
      let apart = 0
      for (const { at, held } of lived.filter((_, i) => i % 9 === 1)) {
        const { options } = await asked(at)
        const today = await holds(rules, { options: { ...options, knowledge: 'now', computed: [] }, tags: {} })
        for (const [id, answers] of held)
          apart += answers.slice(0, RULES).filter((yes, i) => yes !== (today.get(id)?.[i] ?? false)).length
      }
      expect(apart).toBeGreaterThan(100)
    },
    TIMEOUT_MS,
  )
})

async function live(all: readonly Rule[], at: Date): Promise<Map<number, boolean[]>> {
  const people = (await world.docs.profiles.find({ mergedInto: { $exists: false } }))
    .map((p) => p._id)
    .sort((a, b) => a - b)
  const held = new Map<number, boolean[]>(people.map((id) => [id, []]))
  for (const piece of pieces(all))
    for (const [id, answers] of await testRules(world.deps, piece.rules, people, at)) held.get(id)!.push(...answers)
  return held
}

const Holds = z.object({ p: z.number(), holds: z.array(z.number()) })

async function holds(all: readonly Rule[], { options }: Past): Promise<Map<number, boolean[]>> {
  const held = new Map<number, boolean[]>()
  for (const piece of pieces(all))
    for (const { p, holds } of await world.query(
      compileHolds(piece.rules, { ...options, scope: { kind: 'all' } }),
      Holds,
    ))
      held.set(p, [...(held.get(p) ?? []), ...holds.map((n) => n === 1)])
  return held
}

async function asked(at: Date, asItHappened = false): Promise<Past> {
  const all: Rule = { any: [...rules, ...lateRules] }
  const past = await askPast(world.deps, { asOf: at.toISOString(), asItHappened }, { id: 'all', rule: all })
  if ('reason' in past) throw new Error(`unknown: ${past.reason}`)
  return past
}

/** Who there is today, with what of her had been said and had happened by an instant; those with nothing left out. */
async function everybodyBy(at: Date): Promise<Person[]> {
  const owners = new Map(
    (await world.docs.identifiers.find({})).map((link) => [identityUnit(link._id), link.profileId]),
  )
  const Unit = z.object({ id: z.string(), unit: z.string() })
  const unitsOf = async (sql: string) =>
    new Map((await world.query(sql, Unit)).map(({ id, unit }) => [id, owners.get(unit)]))
  const saying = await unitsOf(`SELECT DISTINCT ref AS id, unit FROM trait_changes WHERE source != ''`)
  const doing = await unitsOf('SELECT event_id AS id, unit FROM events')
  const statements = said
    .filter((record) => record.observedAt <= at)
    .sort((a, b) => a.observedAt.getTime() - b.observedAt.getTime() || (a.ref < b.ref ? -1 : 1))
  const alive = await world.docs.profiles.find({ mergedInto: { $exists: false } })
  return alive.flatMap((profile): Person[] => {
    const own = statements.filter((record) => saying.get(record.ref) === profile._id)
    const events = said.flatMap((r) => r.events).filter((e) => e.occurredAt <= at && doing.get(e.id) === profile._id)
    const traits: Person['profile']['traits'] = {}
    for (const { source, observedAt, traits: values } of own)
      for (const [trait, value] of Object.entries(values)) {
        // What is said to be empty is withdrawn.
        if (value === null || value === '') delete traits[trait]?.[source]
        else (traits[trait] ??= {})[source] = { value, at: observedAt }
      }
    // Rules know the kind of an identifier, whatever app it is of.
    const identifiers = profile.identifiers.map((i) => ({ ...i, type: typeName(i.type) }))
    const isKnown = profile.createdAt <= at || own.length > 0 || events.length > 0
    return isKnown ? [{ profile: { ...profile, identifiers, traits }, events, stored: {} }] : []
  })
}

function isMeant(rule: Rule, person: Person, at: Date): boolean {
  const { tags } = world.deps.definitions.current
  const tagOf = (id: string): string => {
    const tag = tags.find((t) => t.id === id)
    return tag === undefined ? '' : readMeant(tag, valueMeant({ id, tag }, person, at, tagOf), at)
  }
  return meaningOf(rule, person, at, tagOf)
}

/** Where two runs do not agree: instant, person, rule, what each said. */
function differences(at: Date, said: ReadonlyMap<number, boolean[]>, lived: ReadonlyMap<number, boolean[]>, from = 0) {
  const people = [...new Set([...said.keys(), ...lived.keys()])].sort((a, b) => a - b)
  return people.flatMap((id) => {
    const [then, now] = [said.get(id), lived.get(id)]
    if (then === undefined || now === undefined)
      return [`${at.toISOString()} ${id}: ${then === undefined ? 'nobody' : 'there'} as of then, not so lived`]
    return now.flatMap((yes, i) =>
      yes === then[i]
        ? []
        : [
            `${at.toISOString()} ${id}: ${then[i]}, lived ${yes}: ${JSON.stringify([...rules, ...lateRules][from + i])}`,
          ],
    )
  })
}

function pieces(all: readonly Rule[]): { rules: readonly Rule[]; from: number; to: number }[] {
  return Array.from({ length: Math.ceil(all.length / PIECE) }, (_, i) => ({
    rules: all.slice(i * PIECE, (i + 1) * PIECE),
    from: i * PIECE,
    to: Math.min(all.length, (i + 1) * PIECE),
  }))
}

function eventRule(): object {
  return { event: dice.pick(['order_paid', 'product_viewed']), within: dice.pick(['24h', '7d']) }
}

/** A record about one of a few people who may turn out to be fewer, from one of three sources, now or late. */
function drawn(ref: string, now: Date): object {
  const who = dice.below(PEOPLE)
  const identifiers = [
    dice.pick([
      { type: 'member_id', value: `m${who}` },
      { type: 'phone', value: `138000000${String(who).padStart(2, '0')}` },
      { type: 'openid:wx1', value: `o${who}` },
    ]),
  ]
  if (dice.chance(0.25)) identifiers.push({ type: 'unionid', value: `u${dice.below(PEOPLE)}` })
  if (dice.chance(0.15)) identifiers.push({ type: 'member_id', value: `m${dice.below(PEOPLE)}` })
  const values = TRAITS.filter(() => dice.chance(0.4)).map(
    (trait) => [trait, dice.chance(0.25) ? null : scalar(dice)] as const,
  )
  const events = Array.from({ length: dice.below(4) }, (_, n) => randomEvent(dice, `${ref}:${n}`, now))
  if (dice.chance(0.1))
    events.push({
      ...randomEvent(dice, `${ref}:ahead`, now),
      occurredAt: new Date(now.getTime() + dice.below(48) * HOUR_MS),
    })
  const record = {
    ref,
    source: dice.pick(['shop', 'crm', 'app']),
    observedAt: new Date(now.getTime() - (dice.chance(0.3) ? dice.below(200) * HOUR_MS : 0)),
    traits: Object.fromEntries(values),
    events,
  }
  // What lies ahead of our clock counts as now.
  said.push({ ...record, events: events.map((e) => (e.occurredAt > now ? { ...e, occurredAt: now } : e)) })
  return { ...record, identifiers }
}
