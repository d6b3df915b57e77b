import { z } from 'zod'
import { TAG_ID } from '../domain/tags/kinds/kind.js'
import { define } from './define.js'

export const TagValue = z.object({ v: z.string(), since: z.date() })
export type TagValue = z.infer<typeof TagValue>

/** What a person has now: all her tags, the lifecycle stage among them, by tag id. Absent values have no entry. */
export const ProfileTags = z.object({
  /** The profile's. */
  _id: z.number(),
  /** Number of the evaluation that wrote it last; a lower one changes nothing any more. */
  seq: z.number(),
  /** Instant of that evaluation. */
  at: z.date(),
  tags: z.record(z.string(), TagValue),
})
export type ProfileTags = z.infer<typeof ProfileTags>

/** Where a tag stands in `ProfileTags`. @throws {RangeError} for an id that would be another path */
export function tagPath(tagId: string): `tags.${string}` {
  if (!TAG_ID.test(tagId)) throw new RangeError(`"${tagId}" is no tag id`)
  return `tags.${tagId}`
}

/** What has to be changed on one relation in WeCom: one per (member, customer), whatever piles up. `_id`: `relationId`. */
export const Writeback = z.object({
  _id: z.string(),
  userId: z.string(),
  externalUserId: z.string(),
  /** Tags whose value changed here since the last push. */
  tagIds: z.array(z.string()),
  /** Ways by which she arrived: their tags and remarks are to be set. */
  wayKeys: z.array(z.string()),
  /** Raised with every change, so that a push deletes only what it has seen. */
  rev: z.number(),
  attempts: z.number(),
  /** Absent while it is parked. */
  nextAt: z.date().optional(),
  /** Worked out, but not to be sent now: dry mode, or not on the allow-list. */
  parked: z
    .object({ why: z.enum(['dry', 'not_on_allow_list']), add: z.array(z.string()), remove: z.array(z.string()) })
    .optional(),
  reason: z.string().optional(),
})
export type Writeback = z.infer<typeof Writeback>

/**
 * A way through everybody, range by range: where it is. Those that are open are worked off one after the other;
 * see `workRefreshes`.
 */
export const Refresh = z.object({
  _id: z.string(),
  /** Its place among those that are open; another one each time it is opened. */
  order: z.number(),
  /** Raised with every step: one is taken from the step that was read, or not at all. */
  rev: z.number(),
  /** Of its schedule: opened once for each, in order. */
  occasion: z.number().optional(),
  /** all: values of everybody. crossed: of those for whom the edge of a window passed since `since`. enter: a recurring journey. */
  kind: z.enum(['all', 'crossed', 'enter']),
  /** Tags and entry rules, or the journey; absent: every tag and entry rule there is. */
  ids: z.array(z.string()).optional(),
  since: z.date().optional(),
  cause: z.enum(['schedule', 'operator']),
  /** Profile ids in a range. */
  size: z.number(),
  /** overtaken: the ranges are done, and profiles that ingest touched meanwhile are evaluated again. */
  phase: z.enum(['waiting', 'opening', 'ranges', 'overtaken', 'done']),
  /** The instant at which all ranges are evaluated. */
  now: z.date().optional(),
  /** Of what it evaluates: other definitions begin it anew. */
  definitions: z.string().optional(),
  /** The first profile of the range that is next. */
  from: z.number(),
  /** Number of the evaluation that is next or under way, and when it was given out. */
  seq: z.number().optional(),
  knownAt: z.date().optional(),
  /** Of the range under way: it is in the log, and acted on up to, not including, this profile. Absent: to be appended. */
  fed: z.number().optional(),
  /** Instant of the piece of `overtaken` that is under way. */
  againAt: z.date().optional(),
  changes: z.number(),
  /** Profiles of it who could not be evaluated and are set aside. */
  aside: z.number().optional(),
  /** It fails where it is, since then, and is tried again. */
  failing: z.object({ since: z.date(), reason: z.string() }).optional(),
  /** It could not go on: it was given up, or is, when those whom ingest overtook are evaluated again. */
  failed: z.object({ at: z.date(), reason: z.string() }).optional(),
})
export type Refresh = z.infer<typeof Refresh>

/** Ingest touched this profile while a refresh was open. `seq` and `times` together are never the same twice. */
export const Overtaken = z.object({
  _id: z.number(),
  seq: z.number(),
  times: z.number(),
  /** Values of tags and entry rules that a range recorded, `at` its instant, and nobody acted on: see `feedRange`. */
  owed: z.array(z.object({ id: z.string(), at: z.date() })).optional(),
})
export type Overtaken = z.infer<typeof Overtaken>

/** What a reaction failed to do about changes of values: it alone is tried again. */
export const OpenReaction = z.object({
  _id: z.string(),
  /** Its name. */
  reaction: z.string(),
  changes: z.array(z.object({ p: z.number(), id: z.string(), new: z.string() })),
  /** Instant and key of the evaluation that found them. */
  now: z.date(),
  key: z.string(),
  attempts: z.number(),
  nextAt: z.date(),
  error: z.string(),
})
export type OpenReaction = z.infer<typeof OpenReaction>

export const tagsCollections = {
  profileTags: define({ name: 'tags_of_profiles', version: 1, schema: ProfileTags }),
  refreshes: define({ name: 'refreshes', version: 1, schema: Refresh }),
  overtaken: define({ name: 'overtaken', version: 1, schema: Overtaken }),
  writebacks: define({ name: 'writebacks', version: 1, schema: Writeback, indexes: [{ fields: ['nextAt'] }] }),
  openReactions: define({
    name: 'open_reactions',
    version: 1,
    schema: OpenReaction,
    indexes: [{ fields: ['nextAt'] }],
  }),
}
