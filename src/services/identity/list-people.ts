import { z } from 'zod'
import { said } from '../../said.js'
import { ownerOf, type Profile, traitValue } from '../../domain/identity/profile.js'
import { STAGE_TAG } from '../../domain/rules/clauses/stage.js'
import type { Deps } from '../runtime/deps.js'

export const PeopleQuery = z.strictObject({
  after: z.int().min(0).default(0).describe(said('只要编号更大的档案', 'only profiles with a higher number')),
  limit: z.int().min(1).max(200).default(20),
})
export type PeopleQuery = z.infer<typeof PeopleQuery>

/** One line about somebody. */
export type PersonRow = {
  profileId: number
  name?: string
  /** Id of her lifecycle stage. */
  stage?: string
  /** The guide through whom she is written to. */
  guideUserId?: string
  /** Those that people look her up by, and no phone numbers or addresses. */
  identifiers: { type: string; value: string }[]
}

/** Identifiers that say where to reach somebody outside. */
const PRIVATE = new Set(['phone', 'email'])

/** Everybody, in the order of profile numbers; `next` is what to ask for after these. */
export async function listPeople(
  { docs }: Deps,
  { after, limit }: PeopleQuery,
): Promise<{ people: number; rows: PersonRow[]; next?: number }> {
  const found = await docs.profiles.find(
    { _id: { $gt: after }, mergedInto: { $exists: false } },
    { sort: { _id: 1 }, limit: limit + 1 },
  )
  const shown = found.slice(0, limit)
  const tags = new Map((await docs.profileTags.getMany(shown.map((p) => p._id))).map((t) => [t._id, t.tags]))
  return {
    people: await docs.profiles.count({ mergedInto: { $exists: false } }),
    rows: shown.map((profile) => rowOf(profile, tags.get(profile._id)?.[STAGE_TAG]?.v)),
    ...(found.length > limit && { next: shown.at(-1)!._id }),
  }
}

function rowOf(profile: Profile, stage: string | undefined): PersonRow {
  const name = nameOfPerson(profile)
  const guideUserId = ownerOf(profile)?.userId
  return {
    profileId: profile._id,
    ...(name !== undefined && { name }),
    ...(stage !== undefined && { stage }),
    ...(guideUserId !== undefined && { guideUserId }),
    identifiers: profile.identifiers
      .filter(({ type }) => !PRIVATE.has(type))
      .map(({ type, value }) => ({ type, value })),
  }
}

/** What she is called, by whoever said so last. */
export function nameOfPerson(profile: Profile): string | undefined {
  const name = traitValue(profile, 'name')
  return name === undefined ? undefined : String(name)
}
