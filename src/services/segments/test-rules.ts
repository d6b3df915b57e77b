import { z } from 'zod'
import { CONSENT, identifierTypes, type Profile, ruleTexts } from '../../domain/identity/profile.js'
import {
  compileTouched,
  type KnownProfile,
  type Scope,
  type Touched,
  type TouchedQuery,
} from '../../domain/rules/compile.js'
import type { Rule } from '../../domain/rules/rule.js'
import type { Deps } from '../runtime/deps.js'
import { askable } from './askable.js'

/**
 * Which of `rules` hold for which of the profiles, now. Profiles that are gone have no entry.
 *
 * @param segments - default: those of today
 */
export async function testRules(
  deps: Deps,
  rules: readonly Rule[],
  profileIds: readonly number[],
  now: Date,
  segments: ReadonlyMap<string, Rule> = deps.definitions.current.segments,
): Promise<Map<number, boolean[]>> {
  const { tags } = deps.definitions.current
  const compile = (some: readonly Profile[]) =>
    compileTouched([], { nowMs: now.getTime(), scope: scopeOf(some), segments, tags }, rules)
  const held = new Map<number, boolean[]>()
  for (const profiles of askable(await loadTouched(deps, profileIds))) {
    const query = compile(profiles)
    for (const t of await figuresAtHand(deps, query, profiles, compile)) held.set(t.profileId, query.holds(t.figures))
  }
  return held
}

/**
 * Those of the profiles that stand for themselves, in order.
 *
 * @param known - those that need not be read
 */
export async function loadTouched(
  deps: Deps,
  profileIds: readonly number[],
  known: ReadonlyMap<number, Profile> = new Map(),
): Promise<Profile[]> {
  const ids = [...new Set(profileIds)]
  const unknown = ids.filter((id) => !known.has(id))
  const read = unknown.length === 0 ? [] : await deps.docs.profiles.getMany(unknown)
  const profiles = [...ids.flatMap((id) => known.get(id) ?? []), ...read].sort((a, b) => a._id - b._id)
  return profiles.filter((p) => p.mergedInto === undefined)
}

/** A scope of these profiles with the ids that were merged into them. */
export function scopeOf(profiles: readonly Profile[]): Scope {
  return { kind: 'profiles', profiles: profiles.map((p) => ({ profileId: p._id, aliases: p.mergedIds })) }
}

/**
 * Figures of what is at hand, and of the others from the event store.
 *
 * @param compile - the query for some of the profiles
 * @param options - `load`: what is not at hand is loaded, to be at hand the next time
 */
export async function figuresAtHand(
  deps: Pick<Deps, 'events' | 'facts' | 'definitions'>,
  query: TouchedQuery,
  profiles: readonly Profile[],
  compile: (some: readonly Profile[]) => TouchedQuery,
  { load = false } = {},
): Promise<Touched[]> {
  const atHand = await deps.facts.read(deps.definitions.current, query, profiles, { load })
  if (atHand.length === profiles.length) return atHand
  const found = new Map(atHand.map((t) => [t.profileId, t]))
  const others = profiles.filter((p) => !found.has(p._id))
  const read = await readFigures(deps, others.length === profiles.length ? query : compile(others), others)
  for (const touched of read) found.set(touched.profileId, touched)
  return profiles.flatMap((p) => found.get(p._id) ?? [])
}

const FigureRow = z.record(z.string(), z.union([z.number(), z.string()]))
const StateRow = z.object({ p: z.number(), id: z.string(), value: z.string() })

/** Runs a touched query; every profile gets figures, with or without events. */
export function readFigures(
  deps: Pick<Deps, 'events'>,
  query: TouchedQuery,
  profiles: readonly Profile[],
): Promise<Touched[]> {
  const known = profiles.map((p) => ({
    profileId: p._id,
    traits: ruleTexts(p),
    identifierTypes: identifierTypes(p),
  }))
  return withFigures(deps, query, known)
}

const PersonRow = z.object({
  p: z.number(),
  traits: z.record(z.string(), z.string()),
  identifier_types: z.array(z.string()),
  consent: z.string(),
})

/** Runs a touched query of the past. Who was nobody then has no entry. */
export async function readPastFigures(deps: Deps, query: TouchedQuery): Promise<Touched[]> {
  if (query.peopleSql === undefined) throw new RangeError('what is known now is told by documents')
  const rows = await deps.events.query(query.peopleSql, PersonRow)
  const known = rows.map((r) => ({
    profileId: r.p,
    traits: { ...r.traits, [CONSENT]: r.consent },
    identifierTypes: r.identifier_types,
  }))
  return withFigures(deps, query, known)
}

async function withFigures(
  deps: Pick<Deps, 'events'>,
  query: TouchedQuery,
  people: readonly KnownProfile[],
): Promise<Touched[]> {
  if (people.length === 0) return []
  const [rows, states] = await Promise.all([
    query.figuresSql === undefined ? [] : deps.events.query(query.figuresSql, FigureRow),
    query.stateSql === undefined ? [] : deps.events.query(query.stateSql, StateRow),
  ])
  const columns = new Map(rows.map((row) => [row['p'] as number, row]))
  const stored = new Map<number, Record<string, string>>()
  for (const { p, id, value } of states) {
    const own = stored.get(p) ?? {}
    own[id] = value
    stored.set(p, own)
  }
  return people.map(({ profileId, traits, identifierTypes }) => ({
    profileId,
    figures: {
      traits,
      identifierTypes,
      stored: stored.get(profileId) ?? {},
      columns: columns.get(profileId) ?? {},
    },
  }))
}
