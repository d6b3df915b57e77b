import type { InboxRecord, Resolution } from '../domain/identity/resolve.js'
import type { Moment } from '../domain/identity/change-log.js'
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
  /** Those that are still to be worked off. */
  records?: InboxRecord[]
  /** How many parts of it are done, where it goes in parts. */
  part?: number
  /** On the first batch of a group that is worked on together. */
  plan?: BatchPlan
}

export type BatchPlan = Omit<Resolution, 'profileIds' | 'units'> & {
  /** The batches of the group, in order. */
  batchIds: string[]
  /** How many of the records, from the first on, where one batch is too much for a plan. Absent: all. */
  records?: number
  /** The publication whose definitions it was made with; whoever repeats it has these or later ones. */
  definitions?: number
  /** Instant of the evaluation: kept, so that a repeat decides the same. */
  now: Date
  /** Its place among all groups of work: what it writes replaces nothing that has a higher number. */
  seq: number
  /** How many plans were begun when it was made: it is begun as the next one, or not at all. Absent in those of version 0.1. */
  basis?: number
  /** Per record, in order: its profile, 0 where every identifier was unusable. Absent in plans of version 0.1, as is `units`. */
  owners?: number[]
  units?: string[]
  /** Of a plan of version 0.1: when it was taken over. Its own instant lies before those from which the past is kept. */
  takenOver?: Moment
  /** Per event of the batch's records, in order: the profile it goes to, 0 for an event that was there before. */
  eventOwners: number[]
  newProfileIds: number[]
  touchedIds: number[]
  changedTraits: string[]
  /** Runs that end because a merge brings an older one of the same journey to their profile. */
  endedRuns?: string[]
}

/** An event with the profile it was found to belong to. */
export type OwnedEvent = RecordEvent & { profileId: number; unit: string; source: string }

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
  batches: { name: 'batches', version: 1, indexes: [{ fields: ['state', 'seq'] }] },
  chatTexts: { name: 'chat_texts', version: 1, indexes: [{ fields: ['expiresAt'] }, { fields: ['person.value'] }] },
}
