import type { Evidence, Conflict, IdentifierLink, Merge } from '../domain/identity/resolve.js'
import type { Profile } from '../domain/identity/profile.js'
import type { Collection, Doc } from '../ports/document-store.js'
import type { DefinitionsOf } from './definitions-of.js'

/** `seq`: of the plan that wrote it; absent where version 1 did. */
export type StoredProfile = Profile & { seq?: number }

export type StoredLink = IdentifierLink & { seq?: number }

export type StoredEvidence = Evidence & Doc

export type StoredConflict = Conflict & Doc

export type StoredMerge = Merge & Doc & { _id: string; undone: boolean }

export type ProfilesCollections = {
  profiles: Collection<StoredProfile>
  identifiers: Collection<StoredLink>
  evidence: Collection<StoredEvidence>
  conflicts: Collection<StoredConflict>
  merges: Collection<StoredMerge>
}

export const profilesCollections: DefinitionsOf<ProfilesCollections> = {
  profiles: { name: 'profiles', version: 1 },
  identifiers: { name: 'identifiers', version: 1, indexes: [{ fields: ['profileId'] }] },
  evidence: { name: 'evidence', version: 1 },
  conflicts: { name: 'conflicts', version: 1 },
  merges: { name: 'merges', version: 1 },
}
