import { z } from 'zod'
import { identifierTypes, type Profile, traitTexts } from '../../domain/identity/profile.js'
import { compileTouched, type Scope, type Touched, type TouchedQuery } from '../../domain/rules/compile.js'
import type { Rule } from '../../domain/rules/rule.js'
import type { Deps } from '../runtime/deps.js'

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
  const profiles = await loadTouched(deps, profileIds)
  const query = compileTouched([], { nowMs: now.getTime(), scope: scopeOf(profiles), segments }, rules)
  const touched = await readFigures(deps, query, profiles)
  return new Map(touched.map((t) => [t.profileId, query.holds(t.figures)]))
}

/** Those of the profiles that stand for themselves, in order. */
export async function loadTouched(deps: Deps, profileIds: readonly number[]): Promise<Profile[]> {
  const profiles = await deps.docs.profiles.getMany([...new Set(profileIds)])
  return profiles.filter((p) => p.mergedInto === undefined)
}

/** A scope of these profiles with the ids that were merged into them. */
export function scopeOf(profiles: readonly Profile[]): Scope {
  return { kind: 'profiles', profiles: profiles.map((p) => ({ profileId: p._id, aliases: p.mergedIds })) }
}

const FigureRow = z.record(z.string(), z.union([z.number(), z.string()]))
const StateRow = z.object({ p: z.number(), id: z.string(), value: z.string() })

/** Runs a touched query; every profile gets figures, with or without events. */
export async function readFigures(deps: Deps, query: TouchedQuery, profiles: readonly Profile[]): Promise<Touched[]> {
  if (profiles.length === 0) return []
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
  return profiles.map((p) => ({
    profileId: p._id,
    figures: {
      traits: traitTexts(p),
      identifierTypes: identifierTypes(p),
      stored: stored.get(p._id) ?? {},
      columns: columns.get(p._id) ?? {},
    },
  }))
}
