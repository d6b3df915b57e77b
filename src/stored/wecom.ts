import type { WecomEventOf } from '../domain/wecom/event.js'
import type { WecomDepartment, WecomGroup, WecomMember, WecomRelation, WecomTag } from '../domain/wecom/mirror.js'
import type { AcquisitionLink, ContactWay, JoinWay } from '../domain/ways/definition.js'
import type { Collection } from '../ports/document-store.js'
import type { DefinitionsOf } from './definitions-of.js'

/**
 * A callback as it came in. `_id` is the hash of its decrypted message, which is kept until it has been worked on: first
 * what cannot wait (`urgent`: a welcome, a lost customer), then the rest.
 */
export type StoredCallback = {
  _id: string
  seq: number
  state: 'urgent' | 'accepted' | 'done'
  acceptedAt: Date
  /** What has to be read anew because of it, e.g. `contact:<external_userid>`: once for all that wait. */
  about?: string
  message?: string
  /** Instead of a message: pressed on a page of ours. */
  card?: WecomEventOf<'card'>
}

/** A welcome message, one per welcome code. `_id` is the hash of the code. */
export type Welcome = {
  _id: string
  userId: string
  externalUserId: string
  /** sending: asked for, no answer stored. dropped: not asked for. refused: the platform said no. unknown: nobody can tell. */
  state: 'sending' | 'sent' | 'dropped' | 'refused' | 'unknown'
  reason?: string
  ruleId?: string
  contentId?: string
  /** When the platform said that she was added; the code lives 20 s from then. */
  addedAt: Date
  /** When the last of it was decided. */
  at: Date
}

/** Members whose contacts are read together in a full sync. `_id` is `<sync>/<number>`. */
export type SyncChunk = {
  _id: string
  sync: number
  state: 'waiting' | 'done'
  userIds: string[]
  /** Where to go on; absent before the first page. */
  cursor?: string
  relations: number
}

/** A way of a file as WeCom holds it. `_id`: `wayKey`. */
export type StoredWay = {
  _id: string
  /** creating: asked for, no id stored. */
  state: 'creating' | 'live'
  /** Code that arrives with the customer. */
  channel: string
  remoteId?: string
  /** Picture of the code, or address of the link. */
  address?: string
  appliedAt: Date
  /** Who it was made to lead to last. */
  staffed?: string[]
  /** When who is on duty is looked at next. */
  lookAt?: Date
} & (
  | { kind: 'way'; definition: ContactWay }
  | { kind: 'join_way'; definition: JoinWay }
  | { kind: 'link'; definition: AcquisitionLink }
)

/** One customer who changes hands. */
export type Transfer = {
  _id: string
  kind: 'onjob' | 'resigned'
  from: string
  /** Absent while it is only known that she left the old owner. */
  to?: string
  externalUserId: string
  /** ready: to be asked for. asking: asked for, no answer stored. waiting: WeCom does it within a day. seen: done elsewhere, told by a callback. */
  state: 'ready' | 'asking' | 'waiting' | 'seen' | 'done' | 'failed'
  message?: string
  reason?: string
  askedAt: Date
  polls: number
  nextAt?: Date
  /** When she changed hands. */
  at?: Date
}

/** What WeCom counted of one member on one day. `_id`: `<kind>:<userid>:<day>`. */
export type WecomDay = {
  _id: string
  kind: 'member' | 'groups'
  userId: string
  /** YYYY-MM-DD in Shanghai. */
  on: string
  figures: Readonly<Record<string, number>>
}

export type WecomCollections = {
  callbacks: Collection<StoredCallback>
  welcomes: Collection<Welcome>
  /** The mirror of what WeCom holds. */
  wecomRelations: Collection<WecomRelation>
  wecomMembers: Collection<WecomMember>
  wecomDepartments: Collection<WecomDepartment>
  wecomTags: Collection<WecomTag>
  wecomGroups: Collection<WecomGroup>
  wecomSyncChunks: Collection<SyncChunk>
  wecomWays: Collection<StoredWay>
  transfers: Collection<Transfer>
  wecomDays: Collection<WecomDay>
}

export const wecomCollections: DefinitionsOf<WecomCollections> = {
  callbacks: {
    name: 'callbacks',
    version: 2,
    indexes: [{ fields: ['state', 'seq'] }, { fields: ['about', 'state'], sparse: true }],
    // Version 1 kept what it had read instead of the message; contacts are read anew by the next reconciliation.
    migrations: { 1: ({ event: _event, ...doc }) => ({ ...doc, state: 'done' }) },
  },
  welcomes: { name: 'welcomes', version: 1, indexes: [{ fields: ['externalUserId'] }, { fields: ['state'] }] },
  wecomRelations: {
    name: 'wecom_relations',
    version: 1,
    indexes: [{ fields: ['externalUserId'] }, { fields: ['userId', 'state'] }],
  },
  wecomMembers: { name: 'wecom_members', version: 1, indexes: [{ fields: ['serves', 'state'] }] },
  wecomDepartments: { name: 'wecom_departments', version: 1 },
  wecomTags: { name: 'wecom_tags', version: 1, indexes: [{ fields: ['groupName', 'name'] }] },
  wecomGroups: { name: 'wecom_groups', version: 1, indexes: [{ fields: ['ownerUserId'] }] },
  wecomSyncChunks: { name: 'wecom_sync_chunks', version: 1, indexes: [{ fields: ['sync', 'state'] }] },
  wecomWays: { name: 'wecom_ways', version: 1, indexes: [{ fields: ['channel'] }, { fields: ['lookAt'] }] },
  transfers: {
    name: 'transfers',
    version: 1,
    indexes: [{ fields: ['state', 'nextAt'] }, { fields: ['externalUserId'] }],
  },
  wecomDays: { name: 'wecom_days', version: 1, indexes: [{ fields: ['on'] }] },
}
