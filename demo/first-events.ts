import type { Journey } from '../src/domain/journeys/definition.js'
import { isReservedEvent } from '../src/domain/events/system-events.js'
import type { Rule } from '../src/domain/rules/rule.js'
import type { Tag } from '../src/domain/tags/definition.js'
import { DAY_MS, HOUR_MS } from '../src/time.js'

/** Something that happens to the test customer: `agoMs` before now. */
export type FirstEvent = { name: string; agoMs: number; properties: Record<string, string | number> }

/** In the minor unit: more than most rules ask of an order. */
const AMOUNT_MINOR = 99_900
/** An event just outside a bound is inside it by this much. */
const INSIDE_MS = HOUR_MS
/** Of one clause, at most so many. */
const MOST = 20

/**
 * What must have happened to somebody so that she enters, as far as that can be read off the entry: the event it begins with, and
 * the events that its rule counts. A guess: rules can ask for what nobody can make up.
 */
export function firstEvents(
  { enter }: Pick<Journey, 'enter'>,
  known: { segments: ReadonlyMap<string, Rule>; tags: readonly Tag[] },
): FirstEvent[] {
  const rule = 'on' in enter ? enter.if : enter.when
  const begins: FirstEvent[] = 'on' in enter && !isReservedEvent(enter.on) ? [eventOf(enter.on, 0)] : []
  const asked = rule === undefined ? [] : eventsOf(rule, known, new Set())
  // The event that lets her in comes last, and is one of those that are counted.
  const before = 'on' in enter ? withoutOne(asked, enter.on) : asked
  return [...before.sort((a, b) => b.agoMs - a.agoMs), ...begins]
}

type Known = Parameters<typeof firstEvents>[1]

function eventsOf(rule: Rule, known: Known, followed: Set<unknown>): FirstEvent[] {
  if (followed.has(rule)) return []
  followed.add(rule)
  const of = (inner: Rule | undefined) => (inner === undefined ? [] : eventsOf(inner, known, followed))
  if ('all' in rule) return rule.all.flatMap(of)
  if ('any' in rule) return of(rule.any[0])
  if ('segment' in rule) return of(known.segments.get(rule.segment))
  if ('tag' in rule) {
    const tag = known.tags.find(({ id }) => id === rule.tag)
    if (tag?.type === 'flag') return of(tag.when)
    if (tag?.type === 'choice')
      return of(tag.cases.find(({ value }) => rule.is === undefined || value === rule.is)?.when)
    return []
  }
  if (!('event' in rule) || isReservedEvent(rule.event)) return []
  const { count = {}, daysSince = {}, where = {} } = rule
  const least = count.is ?? count.gte ?? (count.gt === undefined ? 1 : count.gt + 1)
  const days = daysSince.is ?? daysSince.gte ?? (daysSince.gt === undefined ? 0 : daysSince.gt + 1)
  const agoMs =
    rule.between === undefined
      ? days * DAY_MS
      : rule.between[1] + Math.min(INSIDE_MS, (rule.between[0] - rule.between[1]) / 2)
  const asked = Object.entries(where).flatMap(([property, test]) => {
    const value = typeof test === 'object' ? (test.is ?? test.in?.[0] ?? test.gte ?? test.lte) : test
    return typeof value === 'string' || typeof value === 'number' ? [[property, value] as const] : []
  })
  const edge = rule.last ?? rule.first
  if (edge?.is !== undefined) asked.push([edge.property, edge.is as string | number])
  const event = eventOf(rule.event, agoMs, Object.fromEntries(asked))
  return Array.from({ length: Math.min(MOST, Math.max(0, least)) }, () => event)
}

function eventOf(name: string, agoMs: number, properties: FirstEvent['properties'] = {}): FirstEvent {
  return { name, agoMs, properties: { amountMinor: AMOUNT_MINOR, ...properties } }
}

function withoutOne(events: readonly FirstEvent[], name: string): FirstEvent[] {
  const at = events.findIndex((event) => event.name === name && event.agoMs < DAY_MS)
  return events.filter((_, i) => i !== at)
}
