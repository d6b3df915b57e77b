import { z } from 'zod'
import { said } from '../../said.js'
import type { Deps } from '../runtime/deps.js'
import { findPerson, PersonQuery } from './find-person.js'
import { describeProfile, type ShownPerson } from './show-person.js'

/** What can be asked for of a profile, beside its number. */
const FIELDS = ['createdAt', 'mergedIds', 'optedOutAt', 'identifiers', 'traits', 'contacts', 'tags'] as const
type Field = (typeof FIELDS)[number]

const fields = z
  .array(z.enum(FIELDS))
  .min(1)
  .optional()
  .describe(said('只要这些；不写则全部', 'only these; otherwise all'))

export const ProfileQuery = z.strictObject({ of: PersonQuery, fields })
export type ProfileQuery = z.infer<typeof ProfileQuery>

export const ProfilesQuery = z.strictObject({
  after: z.int().min(0).default(0).describe(said('上一页的 next', 'the `next` of the page before')),
  limit: z.int().min(1).max(1_000).default(100),
  fields,
})
export type ProfilesQuery = z.infer<typeof ProfilesQuery>

/** Of the fields that were asked for, those she has. */
export type ReadProfile = { profileId: number } & Partial<Pick<ShownPerson, Field>>

/** @throws {NotFoundError} when there is nobody of that kind */
export async function readProfile(deps: Deps, { of, fields: asked }: ProfileQuery): Promise<ReadProfile> {
  const profile = await findPerson(deps, of)
  return only(describeProfile(deps, profile, await deps.docs.profileTags.get(profile._id)), asked)
}

/** Everybody, in the order of profile numbers; without `next` these are the last. */
export async function readProfiles(
  deps: Deps,
  { after, limit, fields: asked }: ProfilesQuery,
): Promise<{ profiles: ReadProfile[]; next?: number }> {
  const { docs } = deps
  const found = await docs.profiles.find(
    { _id: { $gt: after }, mergedInto: { $exists: false } },
    { sort: { _id: 1 }, limit: limit + 1 },
  )
  const page = found.slice(0, limit)
  const needsTags = asked?.includes('tags') ?? true
  const tags = new Map((needsTags ? await docs.profileTags.getMany(page.map((p) => p._id)) : []).map((t) => [t._id, t]))
  return {
    profiles: page.map((profile) => only(describeProfile(deps, profile, tags.get(profile._id)), asked)),
    ...(found.length > limit && { next: page.at(-1)!._id }),
  }
}

function only(described: Omit<ShownPerson, 'events'>, asked: readonly Field[] = FIELDS): ReadProfile {
  const { profileId } = described
  const chosen = asked.flatMap((field) => (described[field] === undefined ? [] : [[field, described[field]] as const]))
  return { profileId, ...Object.fromEntries(chosen) }
}
