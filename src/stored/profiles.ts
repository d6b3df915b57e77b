import { z } from 'zod'
import { Profile } from '../domain/identity/profile.js'
import { Conflict, Evidence, IdentifierLink, Merge } from '../domain/identity/resolve.js'
import { define } from './define.js'

/** `seq`: of the plan that wrote it; absent where version 1 did. */
const written = { seq: z.number().optional() }

export const StoredProfile = Profile.extend(written)
export type StoredProfile = z.infer<typeof StoredProfile>

export const StoredLink = IdentifierLink.extend(written)
export type StoredLink = z.infer<typeof StoredLink>

export const StoredMerge = Merge.extend({ _id: z.string(), undone: z.boolean() })
export type StoredMerge = z.infer<typeof StoredMerge>

export const profilesCollections = {
  profiles: define({ name: 'profiles', version: 1, schema: StoredProfile }),
  identifiers: define({
    name: 'identifiers',
    version: 1,
    schema: StoredLink,
    isIdPrivate: true,
    indexes: [{ fields: ['profileId'] }],
  }),
  evidence: define({ name: 'evidence', version: 1, schema: Evidence, isIdPrivate: true }),
  conflicts: define({ name: 'conflicts', version: 1, schema: Conflict }),
  merges: define({ name: 'merges', version: 1, schema: StoredMerge }),
}
