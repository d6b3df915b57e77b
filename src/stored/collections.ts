import type { Evidence, Conflict, IdentifierLink, InboxRecord, Merge, Resolution } from '../domain/identity/resolve.js'
import type { RecordEvent } from '../domain/events/record.js'
import type { Profile } from '../domain/identity/profile.js'
import type { Touch } from '../domain/touches/touch.js'
import type { WecomEventOf } from '../domain/wecom/event.js'
import type { WecomDepartment, WecomGroup, WecomMember, WecomRelation, WecomTag } from '../domain/wecom/mirror.js'
import type { AcquisitionLink, ContactWay, JoinWay } from '../domain/ways/definition.js'
import type { DispatchContent } from '../ports/channel.js'
import type { Collection, CollectionDefinition, Doc, DocumentStore } from '../ports/document-store.js'

/** A batch of records on its way: stored before it is worked on, planned before anything of it is applied. */
export type Batch = {
  /** Chosen by the sender: the same key again is the same batch. */
  _id: string
  seq: number
  state: 'accepted' | 'planned' | 'done'
  acceptedAt: Date
  /** Said by our own lanes; see `acceptRecords`. */
  own?: true
  records?: InboxRecord[]
  /** On the first batch of a group that is worked on together. */
  plan?: BatchPlan
}
export type BatchPlan = Omit<Resolution, 'profileIds'> & {
  /** The batches of the group, in order. */
  batchIds: string[]
  /** Instant of the evaluation: kept, so that a repeat decides the same. */
  now: Date
  /** Per event of the batch's records, in order: the profile it goes to, 0 for an event that was there before. */
  eventOwners: number[]
  newProfileIds: number[]
  touchedIds: number[]
  changedTraits: string[]
}
/** An event with the profile it was found to belong to. */
export type OwnedEvent = RecordEvent & { profileId: number; source: string }

export type ProfileTag = { _id: string; profileId: number; tagId: string; value: string; since: Date }

export type Run = {
  _id: string
  journeyId: string
  version: number
  profileId: number
  anchor: string
  /** 0 for the first time this person is in this journey. */
  n: number
  arm: 'treated' | 'holdout'
  state: 'waiting' | 'ended'
  outcome?: 'finished' | 'exited' | 'holdout' | 'merged'
  path: string
  arrivedAt: Date
  dueAt?: Date
  enteredAt: Date
  endedAt?: Date
}

/** Something that was not done, and why: the answer to "why did she not get it". */
export type Refusal = {
  _id: string
  profileId: number
  journeyId: string
  at: Date
  reason: 'already_in' | 'once_only' | 'too_soon' | 'max_entries'
}

export type DispatchDoc = {
  _id: string
  channel: 'wecom' | 'task'
  /** ready: written down, not asked for yet. sending: asked for, no answer stored: must be settled. */
  state: 'ready' | 'sending' | 'created' | 'done' | 'refused' | 'unknown'
  senderUserId: string
  recipients: { touchId: string; externalUserId: string }[]
  content: DispatchContent
  releasedAt: Date
  /** When the next attempt, or the next look at the results, is due. */
  nextAt?: Date
  attempts: number
  polls: number
  /** How often the sender was reminded. */
  reminders?: number
  remoteId?: string
  responseCode?: string
  confirmedAt?: Date
  reason?: string
}

/** What a guide sees: one per customer, merged from touches, closed by evidence. `_id` is its card's dispatch. */
export type GuideTask = {
  _id: string
  guideUserId: string
  profileId: number
  externalUserId: string
  touchIds: string[]
  titles: string[]
  state: 'open' | 'done' | 'expired'
  outcome?: string
  createdAt: Date
  dueAt: Date
  closedAt?: Date
}

export type CouponCode = {
  _id: string
  pool: string
  code: string
  state: 'free' | 'issued'
  touchId?: string
  issuedAt?: Date
}

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

/** A published version of a definition; journeys are pinned to theirs. */
export type PublishedDefinition = {
  _id: string
  kind: string
  id: string
  version: number
  hash: string
  value: unknown
  publishedAt: Date
}

/** Counters, cursors, switches. */
export type Meta = { _id: string; value?: number; at?: Date; flag?: boolean; text?: string }

export type StoredEvidence = Evidence & Doc
export type StoredConflict = Conflict & Doc
export type StoredMerge = Merge & Doc & { _id: string; undone: boolean }

/** What was said, for brands that keep it. `_id` is the event's. */
export type ChatText = {
  _id: string
  person: { type: string; value: string }
  from: 'customer' | 'guide'
  at: Date
  text: string
  expiresAt: Date
}

const definitions = {
  meta: { name: 'meta', version: 1 },
  batches: { name: 'batches', version: 1, indexes: [{ fields: ['state', 'seq'] }] },
  profiles: { name: 'profiles', version: 1 },
  identifiers: { name: 'identifiers', version: 1, indexes: [{ fields: ['profileId'] }] },
  evidence: { name: 'evidence', version: 1 },
  conflicts: { name: 'conflicts', version: 1 },
  merges: { name: 'merges', version: 1 },
  profileTags: {
    name: 'profile_tags',
    version: 1,
    indexes: [{ fields: ['profileId'] }, { fields: ['tagId', 'value'] }],
  },
  runs: { name: 'runs', version: 1, indexes: [{ fields: ['state', 'dueAt'] }, { fields: ['profileId', 'journeyId'] }] },
  refusals: { name: 'refusals', version: 1, indexes: [{ fields: ['profileId'] }] },
  touches: {
    name: 'touches',
    version: 1,
    indexes: [{ fields: ['state', 'releaseAt'] }, { fields: ['profileId'] }, { fields: ['runId'] }],
  },
  dispatches: {
    name: 'dispatches',
    version: 1,
    indexes: [{ fields: ['state', 'nextAt'] }, { fields: ['senderUserId', 'releasedAt'] }],
  },
  tasks: {
    name: 'tasks',
    version: 1,
    indexes: [{ fields: ['state', 'dueAt'] }, { fields: ['guideUserId', 'state'] }, { fields: ['profileId'] }],
  },
  coupons: {
    name: 'coupons',
    version: 1,
    indexes: [{ fields: ['pool', 'state'] }, { fields: ['touchId'], unique: true, sparse: true }],
  },
  callbacks: {
    name: 'callbacks',
    version: 2,
    indexes: [{ fields: ['state', 'seq'] }, { fields: ['about', 'state'], sparse: true }],
    // Version 1 kept what it had read instead of the message; contacts are read anew by the next reconciliation.
    migrations: { 1: ({ event: _event, ...doc }) => ({ ...doc, state: 'done' }) },
  },
  published: { name: 'published', version: 1, indexes: [{ fields: ['kind', 'id', 'version'] }] },
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
  writebacks: { name: 'writebacks', version: 1, indexes: [{ fields: ['nextAt'] }] },
  wecomWays: { name: 'wecom_ways', version: 1, indexes: [{ fields: ['channel'] }, { fields: ['lookAt'] }] },
  transfers: {
    name: 'transfers',
    version: 1,
    indexes: [{ fields: ['state', 'nextAt'] }, { fields: ['externalUserId'] }],
  },
  wecomDays: { name: 'wecom_days', version: 1, indexes: [{ fields: ['on'] }] },
  chatTexts: { name: 'chat_texts', version: 1, indexes: [{ fields: ['expiresAt'] }, { fields: ['person.value'] }] },
} satisfies Record<string, CollectionDefinition>

export type Collections = {
  meta: Collection<Meta>
  batches: Collection<Batch>
  profiles: Collection<Profile>
  identifiers: Collection<IdentifierLink>
  evidence: Collection<StoredEvidence>
  conflicts: Collection<StoredConflict>
  merges: Collection<StoredMerge>
  profileTags: Collection<ProfileTag>
  runs: Collection<Run>
  refusals: Collection<Refusal>
  touches: Collection<Touch>
  dispatches: Collection<DispatchDoc>
  tasks: Collection<GuideTask>
  coupons: Collection<CouponCode>
  callbacks: Collection<StoredCallback>
  published: Collection<PublishedDefinition>
  welcomes: Collection<Welcome>
  /** The mirror of what WeCom holds. */
  wecomRelations: Collection<WecomRelation>
  wecomMembers: Collection<WecomMember>
  wecomDepartments: Collection<WecomDepartment>
  wecomTags: Collection<WecomTag>
  wecomGroups: Collection<WecomGroup>
  wecomSyncChunks: Collection<SyncChunk>
  writebacks: Collection<Writeback>
  wecomWays: Collection<StoredWay>
  transfers: Collection<Transfer>
  wecomDays: Collection<WecomDay>
  chatTexts: Collection<ChatText>
}

/** Opens (creates, migrates) every collection. */
export async function openCollections(store: DocumentStore): Promise<Collections> {
  const opened: [string, unknown][] = []
  for (const [key, definition] of Object.entries(definitions)) opened.push([key, await store.collection(definition)])
  return Object.fromEntries(opened) as Collections
}

/** The next value of a counter, from 1. */
export async function nextValue(meta: Collection<Meta>, counter: string): Promise<number> {
  const doc = await meta.findOneAndUpdate({ _id: `counter:${counter}` }, { $inc: { value: 1 } }, { upsert: true })
  return doc!.value!
}
