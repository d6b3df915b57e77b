import { z } from 'zod'
import type { AcquisitionLink, ContactWay, JoinWay } from '../domain/ways/definition.js'
import type { WecomEventOf } from '../domain/wecom/event.js'
import { WecomDepartment, WecomGroup, WecomMember, WecomRelation, WecomTag } from '../domain/wecom/mirror.js'
import { define, made } from './define.js'

/** Pressed on a card: a button, or options by question. */
const Card: z.ZodType<WecomEventOf<'card'>, WecomEventOf<'card'>> = z.object({
  kind: z.literal('card'),
  taskId: z.string(),
  key: z.string(),
  userId: z.string(),
  responseCode: z.string().optional(),
  selected: z.record(z.string(), z.array(z.string())),
  at: z.date(),
})

/**
 * A callback as it came in. `_id` is the hash of its decrypted message, which is kept until it has been worked on: first
 * what cannot wait (`urgent`: a welcome, a lost customer), then the rest.
 */
export const StoredCallback = z.object({
  _id: z.string(),
  seq: z.number(),
  state: z.enum(['urgent', 'accepted', 'done']),
  acceptedAt: z.date(),
  /** What has to be read anew because of it, e.g. `contact:<external_userid>`: once for all that wait. */
  about: z.string().optional(),
  message: z.string().optional(),
  /** Instead of a message: pressed on a page of ours. */
  card: Card.optional(),
})
export type StoredCallback = z.infer<typeof StoredCallback>

/** A welcome message, one per welcome code. `_id` is the hash of the code. */
export const Welcome = z.object({
  _id: z.string(),
  userId: z.string(),
  externalUserId: z.string(),
  /** sending: asked for, no answer stored. dropped: not asked for. refused: the platform said no. unknown: nobody can tell. */
  state: z.enum(['sending', 'sent', 'dropped', 'refused', 'unknown']),
  reason: z.string().optional(),
  ruleId: z.string().optional(),
  contentId: z.string().optional(),
  /** When the platform said that she was added; the code lives 20 s from then. */
  addedAt: z.date(),
  /** When the last of it was decided. */
  at: z.date(),
})
export type Welcome = z.infer<typeof Welcome>

/** Members whose contacts are read together in a full sync. `_id` is `<sync>/<number>`. */
export const SyncChunk = z.object({
  _id: z.string(),
  sync: z.number(),
  state: z.enum(['waiting', 'done']),
  userIds: z.array(z.string()),
  /** Where to go on; absent before the first page. */
  cursor: z.string().optional(),
  relations: z.number(),
})
export type SyncChunk = z.infer<typeof SyncChunk>

const way = {
  _id: z.string(),
  /** creating: asked for, no id stored. */
  state: z.enum(['creating', 'live']),
  /** Code that arrives with the customer. */
  channel: z.string(),
  remoteId: z.string().optional(),
  /** Picture of the code, or address of the link. */
  address: z.string().optional(),
  appliedAt: z.date(),
  /** Who it was made to lead to last. */
  staffed: z.array(z.string()).optional(),
  /** When who is on duty is looked at next. */
  lookAt: z.date().optional(),
}
/** A way of a file as WeCom holds it. `_id`: `wayKey`. Its definition was parsed when the file was read. */
export const StoredWay = z.discriminatedUnion('kind', [
  z.object({ ...way, kind: z.literal('way'), definition: made<ContactWay>() }),
  z.object({ ...way, kind: z.literal('join_way'), definition: made<JoinWay>() }),
  z.object({ ...way, kind: z.literal('link'), definition: made<AcquisitionLink>() }),
])
export type StoredWay = z.infer<typeof StoredWay>

/** One customer who changes hands. */
export const Transfer = z.object({
  _id: z.string(),
  kind: z.enum(['onjob', 'resigned']),
  from: z.string(),
  /** Absent while it is only known that she left the old owner. */
  to: z.string().optional(),
  externalUserId: z.string(),
  /** ready: to be asked for. asking: asked for, no answer stored. waiting: WeCom does it within a day. seen: done elsewhere, told by a callback. */
  state: z.enum(['ready', 'asking', 'waiting', 'seen', 'done', 'failed']),
  message: z.string().optional(),
  reason: z.string().optional(),
  askedAt: z.date(),
  polls: z.number(),
  nextAt: z.date().optional(),
  /** When she changed hands. */
  at: z.date().optional(),
})
export type Transfer = z.infer<typeof Transfer>

/** What WeCom counted of one member on one day. `_id`: `<kind>:<userid>:<day>`. */
export const WecomDay = z.object({
  _id: z.string(),
  kind: z.enum(['member', 'groups']),
  userId: z.string(),
  /** YYYY-MM-DD in Shanghai. */
  on: z.string(),
  figures: z.record(z.string(), z.number()),
})
export type WecomDay = z.infer<typeof WecomDay>

export const wecomCollections = {
  callbacks: define({
    name: 'callbacks',
    version: 2,
    schema: StoredCallback,
    indexes: [{ fields: ['state', 'seq'] }, { fields: ['about', 'state'], sparse: true }],
    // Version 1 kept what it had read instead of the message; contacts are read anew by the next reconciliation.
    migrations: { 1: ({ event: _event, ...doc }) => ({ ...doc, state: 'done' }) },
  }),
  welcomes: define({
    name: 'welcomes',
    version: 1,
    schema: Welcome,
    indexes: [{ fields: ['externalUserId'] }, { fields: ['state'] }],
  }),
  // The mirror of what WeCom holds.
  wecomRelations: define({
    name: 'wecom_relations',
    version: 1,
    schema: WecomRelation,
    indexes: [{ fields: ['externalUserId'] }, { fields: ['userId', 'state'] }],
  }),
  wecomMembers: define({
    name: 'wecom_members',
    version: 1,
    schema: WecomMember,
    indexes: [{ fields: ['serves', 'state'] }],
  }),
  wecomDepartments: define({ name: 'wecom_departments', version: 1, schema: WecomDepartment }),
  wecomTags: define({ name: 'wecom_tags', version: 1, schema: WecomTag, indexes: [{ fields: ['groupName', 'name'] }] }),
  wecomGroups: define({ name: 'wecom_groups', version: 1, schema: WecomGroup, indexes: [{ fields: ['ownerUserId'] }] }),
  wecomSyncChunks: define({
    name: 'wecom_sync_chunks',
    version: 1,
    schema: SyncChunk,
    indexes: [{ fields: ['sync', 'state'] }],
  }),
  wecomWays: define({
    name: 'wecom_ways',
    version: 1,
    schema: StoredWay,
    indexes: [{ fields: ['channel'] }, { fields: ['lookAt'] }],
  }),
  transfers: define({
    name: 'transfers',
    version: 1,
    schema: Transfer,
    indexes: [{ fields: ['state', 'nextAt'] }, { fields: ['externalUserId'] }],
  }),
  wecomDays: define({ name: 'wecom_days', version: 1, schema: WecomDay, indexes: [{ fields: ['on'] }] }),
}
