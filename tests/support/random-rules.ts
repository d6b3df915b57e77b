import type { RecordEvent } from '../../src/domain/events/record.js'
import { consentOf, type Profile, traitTexts } from '../../src/domain/identity/profile.js'
import type { Evaluable } from '../../src/domain/rules/compile.js'
import { STAGE_TAG } from '../../src/domain/rules/clauses/stage.js'
import type { Aggregate, Bounds, Comparators } from '../../src/domain/rules/fields.js'
import { Rule } from '../../src/domain/rules/rule.js'
import { Tag } from '../../src/domain/tags/definition.js'
import { parseInput } from '../../src/parse.js'
import { unitOf } from '../../src/random.js'
import { DAY_MS, HOUR_MS } from '../../src/time.js'

/** Draws from a seed, in order: the same seed gives the same rules and people. */
export class Dice {
  private drawn = 0
  constructor(private readonly seed: string) {}
  unit(): number {
    return unitOf(this.seed, this.drawn++)
  }
  below(n: number): number {
    return Math.floor(this.unit() * n)
  }
  chance(ratio: number): boolean {
    return this.unit() < ratio
  }
  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!
  }
}

/** Texts with something about them. */
export const TEXTS = [
  '上海',
  "O'Brien",
  'say "hi" \\ there',
  'two\nlines',
  'a,b',
  '',
  '42',
  '42.0',
  '4.2e1',
  '-7',
  '007',
  ' 5',
  '5 ',
  '1e3',
  '0x10',
  'Infinity',
  'inf',
  '1e999',
  '-inf',
  'nan',
  '+5',
  '.5',
  '5.',
  '1e',
  'true',
  '%',
  'nul\0nul',
  '🎁',
]
const NUMBERS = [0, 1, 2, 5, 42, 0.5, -7, 1000, 1e9]
const EVENTS = ['order_paid', 'product_viewed', 'registered']
export const TRAITS = ['city', 'level', 'note']
const PROPERTIES = ['category', 'quantity', 'amountMinor', "it's"]
const IDENTIFIERS = ['unionid', 'phone', 'openid']
const WINDOWS = ['1h', '24h', '7d', '30d']
const BETWEENS = [
  ['7d', '24h'],
  ['30d', '7d'],
  ['24h', '0s'],
  ['8d', '7d'],
]
/** Tags that are stored and in no evaluation. */
export const STORED_TAGS = ['imported', 'old_score', STAGE_TAG, 'last_order']
/** Of those, the one that counts days. */
export const LAST_ORDER = parseInput(Tag, {
  ...{ id: 'last_order', name: 'days since', category: 'model', owner: 'crm', purpose: 'test' },
  ...{ type: 'number', value: { event: 'order_paid', daysSince: true } },
})
export const SEGMENTS: ReadonlyMap<string, Rule> = new Map(
  Object.entries({
    buyers: { event: 'order_paid' },
    nested: { all: [{ segment: 'buyers' }, { not: { trait: 'city', is: '上海' } }] },
    tagged: { tag: 'imported', in: ['a', 3] },
  }).map(([id, rule]) => [id, parseInput(Rule, rule)]),
)

export function scalar(d: Dice): string | number | boolean {
  return d.chance(0.6) ? d.pick(TEXTS) : d.chance(0.8) ? d.pick(NUMBERS) : d.chance(0.5)
}

function comparators(d: Dice): Record<string, unknown> {
  const c: Record<string, unknown> = {}
  if (d.chance(0.35)) c['is'] = scalar(d)
  if (d.chance(0.2)) c['in'] = Array.from({ length: 1 + d.below(3) }, () => scalar(d))
  for (const key of ['gte', 'gt', 'lte', 'lt']) if (d.chance(0.15)) c[key] = d.pick(NUMBERS)
  return c
}

function bounds(d: Dice, values: readonly number[]): Record<string, number> {
  const b: Record<string, number> = {}
  for (const key of ['gte', 'gt', 'lte', 'lt', 'is']) if (d.chance(0.25)) b[key] = d.pick(values)
  return Object.keys(b).length > 0 ? b : { gte: d.pick(values) }
}

function windowed(d: Dice): Record<string, unknown> {
  const w: Record<string, unknown> = { event: d.pick(EVENTS) }
  const window = d.chance(0.4) ? 'within' : d.chance(0.4) ? 'between' : undefined
  if (window === 'within') w[window] = d.pick(WINDOWS)
  if (window === 'between') w[window] = d.pick(BETWEENS)
  if (d.chance(0.35)) {
    w['where'] = Object.fromEntries(
      Array.from({ length: 1 + d.below(2) }, () => [d.pick(PROPERTIES), d.chance(0.5) ? scalar(d) : comparators(d)]),
    )
  }
  return w
}

/** A rule as operators write it. */
export function ruleInput(d: Dice, depth: number, tags: readonly string[]): Record<string, unknown> {
  const kind = depth > 0 ? d.below(14) : 3 + d.below(11)
  const inner = () => ruleInput(d, depth - 1, tags)
  if (kind === 0 || kind === 1) return { [kind === 0 ? 'all' : 'any']: Array.from({ length: 1 + d.below(3) }, inner) }
  if (kind === 2) return { not: inner() }
  if (kind === 3) {
    const listed = d.chance(0.2) ? { has: d.pick(['b', 'a', '上海', "O'Brien"]) } : {}
    return { trait: d.pick(TRAITS), ...listed, ...(d.chance(0.3) ? { exists: d.chance(0.5) } : comparators(d)) }
  }
  if (kind === 4) return { identifier: d.pick(IDENTIFIERS) }
  if (kind === 5) return { tag: d.pick([...tags, 'imported', 'last_order']), ...comparators(d) }
  if (kind === 6)
    return {
      score: d.pick([...tags, 'old_score', 'last_order']),
      ...(d.chance(0.7) ? { gte: d.pick(NUMBERS) } : { lt: d.pick(NUMBERS) }),
    }
  if (kind === 7) return { stage: d.chance(0.5) ? 'new' : ['new', 'dormant'] }
  if (kind === 8) return { segment: d.pick([...SEGMENTS.keys()]) }
  if (kind === 9) return { consent: d.pick(['opted_out', 'opted_in']) }
  const clause = windowed(d)
  const what = d.below(6)
  if (what === 0) clause['count'] = bounds(d, [0, 1, 2, 3])
  if (what === 1) clause['sum'] = { [d.pick(['amountMinor', 'quantity'])]: bounds(d, [0, 100, 5000, -50, 2.5]) }
  if (what === 2) clause['daysSince'] = bounds(d, [0, 1, 7, 30, 0.5])
  if (what === 3) clause['first'] = { property: d.pick(PROPERTIES), ...comparators(d) }
  if (what === 4) clause['last'] = { property: d.pick(PROPERTIES), ...comparators(d) }
  return clause
}

export function randomRule(d: Dice, depth: number, tags: readonly string[] = []): Rule {
  return parseInput(Rule, ruleInput(d, depth, tags))
}

/** Tags that read the events, the stored tags and the tags before them; then a few rules. */
export function randomEvaluables(d: Dice, count: number): Evaluable[] {
  const ids: string[] = []
  const out: Evaluable[] = []
  for (let i = 0; i < count; i++) {
    const id = `t${String(d.below(90) + 10)}_${i}`
    const input = randomTagInput(d, id, ids)
    out.push(
      input === undefined ? { id: `enter/j${i}`, rule: randomRule(d, 2, ids) } : { id, tag: parseInput(Tag, input) },
    )
    if (input !== undefined) ids.push(id)
  }
  return out
}

/** A tag of some kind as operators write it, one time in six none. @param ids - tags that it may read */
export function randomTagInput(d: Dice, id: string, ids: readonly string[]): object | undefined {
  const common = { id, name: 'a tag', category: 'model', owner: 'crm', purpose: 'test' }
  const rule = () => ruleInput(d, 2, ids)
  switch (d.below(6)) {
    case 0:
      return { ...common, type: 'flag', when: rule() }
    case 1:
      return { ...common, type: 'choice', cases: ['a', "b'", '3'].map((value) => ({ value, when: rule() })) }
    case 2:
      return { ...common, type: 'text', trait: d.pick(TRAITS) }
    case 3: {
      const what = [{ count: true }, { sum: 'amountMinor' }, { sum: 'quantity' }, { daysSince: true }]
      return { ...common, type: 'number', value: { ...windowed(d), ...d.pick<object>(what) } }
    }
    case 4: {
      const weight = () => d.pick([1, 5, 0.3, -2, 15])
      const points = Array.from({ length: 1 + d.below(3) }, () => ({ ...windowed(d), weight: weight() }))
      const unless = () => (d.chance(0.3) ? { unless: rule() } : {})
      return { ...common, type: 'number', score: { points, max: d.pick([10, 100]), ...unless() } }
    }
    default:
      return undefined
  }
}

export type Person = { profile: Profile; events: RecordEvent[]; stored: Record<string, string> }

/** People with events on and around every window's edge; some are merged into others. Survivors hold their followers' ids. */
export function randomPeople(d: Dice, count: number, now: Date): Person[] {
  const people = Array.from({ length: count }, (_, i): Person => {
    const traits = Object.fromEntries(
      TRAITS.filter(() => d.chance(0.6)).map((t) => [t, { shop: { value: scalar(d), at: now } }]),
    )
    const identifiers = IDENTIFIERS.filter(() => d.chance(0.5)).map((type) => ({
      type,
      value: `${type}-${i}`,
      source: 'shop',
      since: now,
    }))
    const events = Array.from({ length: d.below(12) }, (_, n) => randomEvent(d, `e${i}-${n}`, now))
    return {
      profile: {
        _id: i + 1,
        anchor: `member_id:${i}`,
        createdAt: now,
        identifiers,
        traits,
        contacts: [],
        mergedIds: [],
        ...randomConsent(d, now),
      },
      events,
      stored: Object.fromEntries(
        STORED_TAGS.filter(() => d.chance(0.5)).map((t) => [t, storedValue(d, t, events, now)]),
      ),
    }
  })
  for (let i = count - 1; i > 2; i -= 5) {
    const from = people[i]!
    const to = people[d.below(3)]!
    from.profile.mergedInto = to.profile._id
    to.profile.mergedIds.push(from.profile._id)
  }
  return people
}

function randomConsent(d: Dice, now: Date): Pick<Profile, 'optedInAt' | 'optedOutAt'> {
  return { ...(d.chance(0.3) && { optedInAt: now }), ...(d.chance(0.3) && { optedOutAt: now }) }
}

function storedValue(d: Dice, tagId: string, events: readonly RecordEvent[], now: Date): string {
  if (tagId === STAGE_TAG) return d.pick(['new', 'dormant', 'active'])
  if (tagId !== LAST_ORDER.id) return d.pick(['a', '3', '3.0', '80', ''])
  if (d.chance(0.2)) return d.pick(['7', '12', '']) // as version 0.1 kept it
  const orders = events.filter((e) => e.name === 'order_paid' && e.occurredAt <= now)
  return orders.length === 0 ? '' : `@${Math.max(...orders.map((e) => e.occurredAt.getTime()))}`
}

/** One of the events that rules ask for, on or around a window's edge before `now`. */
export function randomEvent(d: Dice, id: string, now: Date): RecordEvent {
  const edgeMs = d.pick([0, HOUR_MS, DAY_MS, 7 * DAY_MS, 8 * DAY_MS, 30 * DAY_MS, DAY_MS / 2])
  const agoMs = d.chance(0.7) ? edgeMs + d.pick([-1, 0, 0, 1]) : d.below(40 * DAY_MS)
  const properties: Record<string, unknown> = {}
  if (d.chance(0.7)) properties['category'] = d.pick<unknown>([...TEXTS, 42, 1.5, true, null, ['a'], { b: 1 }])
  if (d.chance(0.6)) properties['quantity'] = d.pick<unknown>([0, 1, 5, 42, -7, 1000, '5', 'many'])
  if (d.chance(0.3)) properties["it's"] = d.pick(TEXTS)
  return {
    id,
    name: d.pick(EVENTS),
    occurredAt: new Date(now.getTime() - agoMs),
    ...(d.chance(0.7) ? { amountMinor: d.pick([0, 100, 5000, -50, 42]) } : {}),
    properties,
  }
}

/** What a rule means, said once more and plainly: every clause looks at its events one by one. */
export function meaningOf(rule: Rule, person: Person, now: Date, tagOf: (id: string) => string): boolean {
  const again = (r: Rule) => meaningOf(r, person, now, tagOf)
  if ('all' in rule) return rule.all.every(again)
  if ('any' in rule) return rule.any.some(again)
  if ('not' in rule) return !again(rule.not)
  if ('segment' in rule) return again(SEGMENTS.get(rule.segment)!)
  if ('identifier' in rule) return person.profile.identifiers.some((i) => i.type === rule.identifier)
  if ('consent' in rule) return consentOf(person.profile) === rule.consent
  if ('stage' in rule) return [rule.stage].flat().includes(tagOf(STAGE_TAG))
  if ('tag' in rule) return isTrueOf(tagOf(rule.tag), rule)
  if ('score' in rule) return isTrueOf(tagOf(rule.score), rule)
  if ('trait' in rule) {
    const text = traitTexts(person.profile)[rule.trait] ?? ''
    if (rule.has !== undefined && !text.split(',').includes(rule.has)) return false
    if (rule.exists === false) return text === '' && isTrueOf(text, rule, true)
    return (rule.exists !== true || text !== '') && isTrueOf(text, rule)
  }
  const events = eventsIn(rule, person, now)
  if (rule.count !== undefined) return isWithin(events.length, rule.count)
  if (events.length === 0) return false
  if (rule.sum !== undefined) {
    const [property, limits] = Object.entries(rule.sum)[0]!
    return events.some((e) => saysNumber(e, property)) && isWithin(sumOf(events, property), limits)
  }
  const last = events.at(-1)!
  if (rule.daysSince !== undefined)
    return isWithin((now.getTime() - last.occurredAt.getTime()) / DAY_MS, rule.daysSince)
  if (rule.first !== undefined) return isTrueOf(textIn(events[0]!, rule.first.property), rule.first, true)
  if (rule.last !== undefined) return isTrueOf(textIn(last, rule.last.property), rule.last, true)
  return true
}

/** The value of a tag as it is kept, from its definition. @param tagOf - values as rules read them */
export function valueMeant(e: Evaluable, person: Person, now: Date, tagOf: (id: string) => string): string {
  const test = (rule: Rule) => meaningOf(rule, person, now, tagOf)
  if ('rule' in e) return test(e.rule) ? '1' : ''
  const { tag } = e
  if (tag.type === 'flag') return test(tag.when) ? '1' : ''
  if (tag.type === 'choice') return tag.cases.find((c) => test(c.when))?.value ?? ''
  if (tag.type === 'text') return traitTexts(person.profile)[tag.trait] ?? ''
  if (tag.value !== undefined) {
    const events = eventsIn(tag.value, person, now)
    if (events.length === 0) return ''
    const { sum } = tag.value
    if (sum !== undefined) return events.some((e) => saysNumber(e, sum)) ? String(sumOf(events, sum)) : ''
    if (tag.value.daysSince === true) return `@${events.at(-1)!.occurredAt.getTime()}`
    return String(events.length)
  }
  const { points, max, unless } = tag.score!
  const counts = points.map((p) => eventsIn(p, person, now).length)
  if (counts.every((n) => n === 0)) return ''
  if (unless !== undefined && test(unless)) return '0'
  const thousandths = points.reduce((sum, p, i) => sum + Math.round(p.weight * 1000) * counts[i]!, 0)
  return String(Math.min(max, Math.max(0, Math.trunc(thousandths / 1000))))
}

/** A kept value as rules read it. */
export function readMeant(tag: Tag | undefined, kept: string, now: Date): string {
  const counts = tag?.type === 'number' && tag.value?.daysSince === true
  if (!counts || !kept.startsWith('@')) return kept
  return String(Math.floor((now.getTime() - Number(kept.slice(1))) / DAY_MS))
}

type Window = Pick<Aggregate, 'event' | 'where' | 'within' | 'between'>

/** Events of the window in order of time; after its start, up to its end. */
function eventsIn(w: Window, person: Person, now: Date): RecordEvent[] {
  return person.events
    .filter((e) => {
      const agoMs = now.getTime() - e.occurredAt.getTime()
      if (e.name !== w.event || agoMs < 0) return false
      if (w.within !== undefined && agoMs >= w.within) return false
      if (w.between !== undefined && (agoMs >= w.between[0] || agoMs < w.between[1])) return false
      return Object.entries(w.where ?? {}).every(([property, test]) =>
        isTrueOf(textIn(e, property), typeof test === 'object' ? test : { is: test }, true),
      )
    })
    .sort((a, b) => a.occurredAt.getTime() - b.occurredAt.getTime() || (a.id < b.id ? -1 : 1))
}

function textIn(e: RecordEvent, property: string): string {
  if (property === 'amountMinor') return e.amountMinor === undefined ? '' : String(e.amountMinor)
  const value = e.properties[property]
  return value === undefined ? '' : typeof value === 'string' ? value : JSON.stringify(value)
}

/** An event that says nothing there adds nothing; where none says a number, there is no sum. */
function saysNumber(e: RecordEvent, property: string): boolean {
  return isTrueOf(textIn(e, property), { gte: -Number.MAX_VALUE })
}

function sumOf(events: readonly RecordEvent[], property: string): number {
  return events.reduce((sum, e) => {
    const value = property === 'amountMinor' ? (e.amountMinor ?? 0) : Number(e.properties[property] ?? 0)
    return sum + (Number.isInteger(value) ? value : 0)
  }, 0)
}

/** `emptyHolds`: whether a test without a comparator holds of absent text too. */
function isTrueOf(text: string, c: Comparators, emptyHolds = false): boolean {
  const number = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? finite(Number(text)) : NaN
  const equals = (v: string | number | boolean) => (typeof v === 'number' ? number === v : text === String(v))
  const tests = [
    ...(c.is === undefined ? [] : [equals(c.is)]),
    ...(c.in === undefined ? [] : [c.in.some(equals)]),
    ...(c.gte === undefined ? [] : [number >= c.gte]),
    ...(c.gt === undefined ? [] : [number > c.gt]),
    ...(c.lte === undefined ? [] : [number <= c.lte]),
    ...(c.lt === undefined ? [] : [number < c.lt]),
  ]
  return tests.length === 0 ? emptyHolds || text !== '' : tests.every(Boolean)
}

function finite(n: number): number {
  return Number.isFinite(n) ? n : NaN
}

function isWithin(n: number, b: Bounds): boolean {
  return isTrueOf(String(n), b)
}
