import { z } from 'zod'
import { identityUnit, profileUnit } from '../../src/domain/identity/identity-unit.js'
import { identifierTypes, traitTexts } from '../../src/domain/identity/profile.js'
import type { EventStore } from '../../src/ports/event-store.js'
import type { Collections } from '../../src/stored/collections.js'

/** Every person as documents have her now: what she is known by, her traits, her consent. */
export async function knownNow(docs: Collections): Promise<Known> {
  const known: Known = { owners: {}, types: {}, traits: {}, consents: {} }
  for (const p of await docs.profiles.find({})) {
    known.owners[profileUnit(p._id)] = p.mergedInto ?? p._id
    if (p.mergedInto !== undefined) continue
    const types = identifierTypes(p)
    if (types.length > 0) known.types[p._id] = types.join(' ')
    for (const [trait, value] of Object.entries(traitTexts(p))) known.traits[`${p._id} ${trait}`] = value
    if (p.optedOutAt !== undefined) known.consents[p._id] = 'opted_out'
    else if (p.optedInAt !== undefined) known.consents[p._id] = 'opted_in'
  }
  for (const link of await docs.identifiers.find({})) known.owners[identityUnit(link._id)] = link.profileId
  return known
}

export type Known = {
  owners: Record<string, number>
  /** Types of the identifiers, as rules read them. */
  types: Record<string, string>
  traits: Record<string, string>
  consents: Record<string, string>
}

const Pair = z.object({ k: z.string(), v: z.string() })
const Owner = z.object({ k: z.string(), v: z.number() })

/** The same, read from the logs: what was known at an instant. */
export async function readKnownAt(events: EventStore, at: Date): Promise<Known> {
  const by = `known_at <= fromUnixTimestamp64Milli(${at.getTime()}, 'UTC')`
  const owners = await events.query(
    `SELECT unit AS k, argMax(profile_id, (known_at, seq)) AS v FROM identity_changes WHERE ${by} GROUP BY k ORDER BY k`,
    Owner,
  )
  const owned = `SELECT toUInt64(substring(unit, 2)) AS id FROM (
    SELECT unit, argMax(profile_id, (known_at, seq)) AS owner FROM identity_changes
    WHERE ${by} AND startsWith(unit, 'p') GROUP BY unit HAVING unit = concat('p', toString(owner)))`
  const types = await events.query(
    `SELECT toString(owner) AS k, arrayStringConcat(arraySort(groupUniqArray(is)), ' ') AS v FROM (
       SELECT unit, any(type) AS is, argMax(profile_id, (known_at, seq)) AS owner FROM identity_changes
       WHERE ${by} AND type != '' GROUP BY unit) GROUP BY owner ORDER BY k`,
    Pair,
  )
  const traits = await events.query(
    `SELECT concat(toString(profile_id), ' ', trait) AS k, argMax(value, (known_at, seq)) AS v FROM trait_changes
     WHERE ${by} AND won AND profile_id IN (${owned}) GROUP BY profile_id, trait HAVING v != '' ORDER BY k`,
    Pair,
  )
  const consents = await events.query(
    `SELECT toString(profile_id) AS k, argMax(value, (known_at, seq)) AS v FROM consent_changes
     WHERE ${by} AND won AND profile_id IN (${owned}) GROUP BY profile_id ORDER BY k`,
    Pair,
  )
  return {
    owners: Object.fromEntries(owners.map((r) => [r.k, r.v])),
    types: Object.fromEntries(types.map((r) => [r.k, r.v])),
    traits: Object.fromEntries(traits.map((r) => [r.k, r.v])),
    consents: Object.fromEntries(consents.map((r) => [r.k, r.v])),
  }
}
