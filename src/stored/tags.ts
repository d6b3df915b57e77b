import type { Collection } from '../ports/document-store.js'
import type { DefinitionsOf } from './definitions-of.js'

/** `seq`: of the evaluation that found it. One that is gone stays with the value '', so that it stays gone for the late. */
export type ProfileTag = { _id: string; profileId: number; tagId: string; value: string; since: Date; seq?: number }

/** Tags that a profile has, not those that it had. */
export const HELD = { value: { $ne: '' } }

/** What has to be changed on one relation in WeCom: one per (member, customer), whatever piles up. `_id`: `relationId`. */
export type Writeback = {
  _id: string
  userId: string
  externalUserId: string
  /** Tags whose value changed here since the last push. */
  tagIds: string[]
  /** Ways by which she arrived: their tags and remarks are to be set. */
  wayKeys: string[]
  /** Raised with every change, so that a push deletes only what it has seen. */
  rev: number
  attempts: number
  /** Absent while it is parked. */
  nextAt?: Date
  /** Worked out, but not to be sent now: dry mode, or not on the allow-list. */
  parked?: { why: 'dry' | 'not_on_allow_list'; add: string[]; remove: string[] }
  reason?: string
}

export type TagsCollections = {
  profileTags: Collection<ProfileTag>
  writebacks: Collection<Writeback>
}

export const tagsCollections: DefinitionsOf<TagsCollections> = {
  profileTags: {
    name: 'profile_tags',
    version: 1,
    indexes: [{ fields: ['profileId'] }, { fields: ['tagId', 'value'] }],
  },
  writebacks: { name: 'writebacks', version: 1, indexes: [{ fields: ['nextAt'] }] },
}
