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

/**
 * A way through everybody, range by range: where it is. Those that are open are worked off one after the other;
 * see `workRefreshes`.
 */
export type Refresh = {
  _id: string
  /** Its place among those that are open; another one each time it is opened. */
  order: number
  /** Raised with every step: one is taken from the step that was read, or not at all. */
  rev: number
  /** Of its schedule: opened once for each, in order. */
  occasion?: number
  /** all: values of everybody. crossed: of those for whom the edge of a window passed since `since`. enter: a recurring journey. */
  kind: 'all' | 'crossed' | 'enter'
  /** Tags and entry rules, or the journey; absent: every tag and entry rule there is. */
  ids?: string[]
  since?: Date
  cause: 'schedule' | 'operator'
  /** Profile ids in a range. */
  size: number
  /** overtaken: the ranges are done, and profiles that ingest touched meanwhile are evaluated again. */
  phase: 'waiting' | 'opening' | 'ranges' | 'overtaken' | 'done'
  /** The instant at which all ranges are evaluated. */
  now?: Date
  /** Of what it evaluates: other definitions begin it anew. */
  definitions?: string
  /** The first profile of the range that is next. */
  from: number
  /** Number of the evaluation that is next or under way, and when it was given out. */
  seq?: number
  knownAt?: Date
  /** Of the range under way: it is in the log, and acted on up to, not including, this profile. Absent: to be appended. */
  fed?: number
  /** Instant of the piece of `overtaken` that is under way. */
  againAt?: Date
  changes: number
}

/** Ingest touched this profile while a refresh was open. `seq` and `times` together are never the same twice. */
export type Overtaken = {
  _id: number
  seq: number
  times: number
  /** Values of tags and entry rules that a range recorded, `at` its instant, and nobody acted on: see `feedRange`. */
  owed?: { id: string; at: Date }[]
}

/** What a reaction failed to do about changes of values: it alone is tried again. */
export type OpenReaction = {
  _id: string
  /** Its name. */
  reaction: string
  changes: { p: number; id: string; new: string }[]
  /** Instant and key of the evaluation that found them. */
  now: Date
  key: string
  attempts: number
  nextAt: Date
  error: string
}

export type TagsCollections = {
  profileTags: Collection<ProfileTags>
  refreshes: Collection<Refresh>
  overtaken: Collection<Overtaken>
  writebacks: Collection<Writeback>
  openReactions: Collection<OpenReaction>
}

export const tagsCollections: DefinitionsOf<TagsCollections> = {
  profileTags: { name: 'tags_of_profiles', version: 1 },
  refreshes: { name: 'refreshes', version: 1 },
  overtaken: { name: 'overtaken', version: 1 },
  writebacks: { name: 'writebacks', version: 1, indexes: [{ fields: ['nextAt'] }] },
  openReactions: { name: 'open_reactions', version: 1, indexes: [{ fields: ['nextAt'] }] },
}
