import { TagId } from '../domain/tags/kinds/kind.js'
import type { Collection } from '../ports/document-store.js'
import type { DefinitionsOf } from './definitions-of.js'

/** What a person has now: all her tags, the lifecycle stage among them, by tag id. Absent values have no entry. */
export type ProfileTags = {
  /** The profile's. */
  _id: number
  /** Number of the evaluation that wrote it last; a lower one changes nothing any more. */
  seq: number
  /** Instant of that evaluation. */
  at: Date
  tags: Record<string, TagValue>
}
export type TagValue = { v: string; since: Date }

/** Where a tag stands in `ProfileTags`. @throws {RangeError} for an id that would be another path */
export function tagPath(tagId: string): string {
  if (!TagId.safeParse(tagId).success) throw new RangeError(`"${tagId}" is no tag id`)
  return `tags.${tagId}`
}

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
  profileTags: Collection<ProfileTags>
  writebacks: Collection<Writeback>
}

export const tagsCollections: DefinitionsOf<TagsCollections> = {
  profileTags: { name: 'tags_of_profiles', version: 1 },
  writebacks: { name: 'writebacks', version: 1, indexes: [{ fields: ['nextAt'] }] },
}
