import type { InboxRecord, Resolution } from '../domain/identity/resolve.js'
import type { RecordEvent } from '../domain/events/record.js'
import type { Collection } from '../ports/document-store.js'
import type { DefinitionsOf } from './definitions-of.js'

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
  /** Rises with every evaluation, of a group or of a schedule: what it writes never replaces what a later one wrote. */
  seq: number
  /** The plan that was begun last when this one was made, 0 for none: it is only begun after that one. */
  basis: number
  /** The batches of the group, in order. */
  batchIds: string[]
  /** Instant of the evaluation: kept, so that a repeat decides the same. */
  now: Date
  /** Per event of the batch's records, in order: the profile it goes to, 0 for an event that was there before. */
  eventOwners: number[]
  newProfileIds: number[]
  touchedIds: number[]
  changedTraits: string[]
  /** Runs that end because a merge brings an older one of the same journey to their profile. */
  endedRuns?: string[]
}

/** An event with the profile it was found to belong to. */
export type OwnedEvent = RecordEvent & { profileId: number; source: string }

/** What was said, for brands that keep it. `_id` is the event's. */
export type ChatText = {
  _id: string
  person: { type: string; value: string }
  from: 'customer' | 'guide'
  at: Date
  text: string
  expiresAt: Date
}

export type IngestCollections = {
  batches: Collection<Batch>
  chatTexts: Collection<ChatText>
}

export const ingestCollections: DefinitionsOf<IngestCollections> = {
  batches: {
    name: 'batches',
    version: 2,
    indexes: [{ fields: ['state', 'seq'] }],
    // Version 1 had one sequence, that of the batches.
    migrations: {
      1: (doc) => (doc.plan === undefined ? doc : { ...doc, plan: { ...doc.plan, seq: doc.seq, basis: 0 } }),
    },
  },
  chatTexts: { name: 'chat_texts', version: 1, indexes: [{ fields: ['expiresAt'] }, { fields: ['person.value'] }] },
}
