import { z } from 'zod'
import { keyedUnion } from '../../parse.js'
import { said } from '../../said.js'
import type { Path, Reference } from '../reference.js'
import { all, type All } from './clauses/all.js'
import { any, type Any } from './clauses/any.js'
import type { Clause } from './clauses/clause.js'
import { consent } from './clauses/consent.js'
import { event } from './clauses/event.js'
import { identifier } from './clauses/identifier.js'
import { not, type Not } from './clauses/not.js'
import { score } from './clauses/score.js'
import { segment } from './clauses/segment.js'
import { stage, STAGE_TAG } from './clauses/stage.js'
import { tag } from './clauses/tag.js'
import { trait } from './clauses/trait.js'

/** The kinds that hold no rules. */
const simple = { event, trait, consent, identifier, tag, stage, score, segment }
type Simple = { [K in keyof typeof simple]: z.infer<(typeof simple)[K]['schema']> }[keyof typeof simple]

/** A statement that is true or false of one profile at one instant. Missing data makes a comparison false, never an error. */
export type Rule = All<Rule> | Any<Rule> | Not<Rule> | Simple

export const Rule: z.ZodType<Rule> = z.lazy(() => keyedUnion(said('一条规则', 'a rule'), clauses))

export type ClauseKind = 'all' | 'any' | 'not' | keyof typeof simple

/** Every kind of clause, by the field that tells it. */
export const clauses: { [K in ClauseKind]: Clause<Extract<Rule, { [k in K]: unknown }>, Rule> } = {
  all: all(Rule),
  any: any(Rule),
  not: not(Rule),
  ...simple,
}

const kinds = Object.keys(clauses) as ClauseKind[]

/** The kind of a rule's outermost clause. */
export function clauseOf(rule: Rule): Clause<Rule, Rule> {
  const kind = kinds.find((k) => k in rule)!
  // The kind was chosen by the clause's own field, so it is the one that reads it.
  return clauses[kind]
}

export type PlacedRule = { rule: Rule; path: Path }

/** The rules directly inside, in the order of the file. */
export function partsOf(rule: Rule, path: Path = []): PlacedRule[] {
  return clauseOf(rule)
    .parts(rule)
    .map((p) => ({ rule: p.rule, path: [...path, ...p.path] }))
}

/** The rules of the segments that the outermost clause names. */
export function rulesBehind(rule: Rule, segments: ReadonlyMap<string, Rule>): Rule[] {
  return clauseOf(rule)
    .refersTo(rule)
    .flatMap((r) => (r.kind === 'segment' ? (segments.get(r.name) ?? []) : []))
}

/**
 * The rule and every rule inside it, outer ones first, in the order of the file. With `segments` also those of the segments
 * that are named, each segment once.
 */
export function* walkRule(
  rule: Rule,
  path: Path = [],
  segments: ReadonlyMap<string, Rule> = new Map(),
  followed = new Set<Rule>(),
): Generator<PlacedRule> {
  yield { rule, path }
  for (const part of partsOf(rule, path)) yield* walkRule(part.rule, part.path, segments, followed)
  for (const behind of rulesBehind(rule, segments)) {
    if (followed.has(behind)) continue
    followed.add(behind)
    yield* walkRule(behind, path, segments, followed)
  }
}

/** What a rule names, in the order of the file. */
export function ruleRefersTo(rule: Rule, path: Path = []): Reference[] {
  return [...walkRule(rule, path)].flatMap((at) =>
    clauseOf(at.rule)
      .refersTo(at.rule)
      .map((r) => ({ ...r, path: [...at.path, ...r.path] })),
  )
}

/** A segment that the rule needs, through other segments perhaps, and that is not defined. */
export function missingSegment(rule: Rule, segments: ReadonlyMap<string, Rule>): string | undefined {
  for (const at of walkRule(rule, [], segments))
    for (const { kind, name } of clauseOf(at.rule).refersTo(at.rule))
      if (kind === 'segment' && !segments.has(name)) return name
  return undefined
}

/** One clause in the words of the rule file. */
export function describeRule(rule: Rule): string {
  return clauseOf(rule).say(rule)
}

/** What a rule depends on: a change to one of these may change its value. */
export type Reads = {
  events: Set<string>
  traits: Set<string>
  identifiers: Set<string>
  tags: Set<string>
  segments: Set<string>
}

export function emptyReads(): Reads {
  return { events: new Set(), traits: new Set(), identifiers: new Set(), tags: new Set(), segments: new Set() }
}

/** Adds to `reads` everything `rule` looks at. Segments are named, not followed. */
export function collectReads(rule: Rule, reads: Reads = emptyReads()): Reads {
  return readsFrom(ruleRefersTo(rule), reads)
}

export function readsFrom(references: readonly Reference[], reads: Reads = emptyReads()): Reads {
  for (const { kind, name } of references) {
    const key = `${kind}s`
    if (kind === 'stage') reads.tags.add(STAGE_TAG)
    else if (isKeyOf(reads, key)) reads[key].add(name)
  }
  return reads
}

/** Rules look at some of what can be named; the rest, contents and journeys, is for steps. */
function isKeyOf(reads: Reads, key: string): key is keyof Reads {
  return Object.hasOwn(reads, key)
}
