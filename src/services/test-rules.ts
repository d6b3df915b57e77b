import { z } from 'zod'
import { compileTests, type Scope } from '../domain/rules/compile.js'
import type { Rule } from '../domain/rules/rule.js'
import type { Deps } from './deps.js'

/** Which of `rules` hold for which of the profiles, now. Profiles that are gone have no entry. */
export async function testRules(
  deps: Deps,
  rules: readonly Rule[],
  profileIds: readonly number[],
  now: Date,
): Promise<Map<number, boolean[]>> {
  const sql = compileTests(rules, {
    nowMs: now.getTime(),
    scope: await profileScope(deps, profileIds),
    segments: deps.definitions.current.segments,
  })
  const rows = await deps.events.query(sql, z.record(z.string(), z.number()))
  return new Map(rows.map((row) => [row['p']!, rules.map((_, i) => row[`r${i}`] === 1)]))
}

/** A scope of these profiles with the ids that were merged into them. */
export async function profileScope(deps: Deps, profileIds: readonly number[]): Promise<Scope> {
  const profiles = await deps.docs.profiles.getMany([...new Set(profileIds)])
  return { kind: 'profiles', profiles: profiles.map((p) => ({ profileId: p._id, aliases: p.mergedIds })) }
}
