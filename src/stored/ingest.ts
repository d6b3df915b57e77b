import { z } from 'zod'
import { type RecordEvent, TraitValue } from '../domain/events/record.js'
import { Moment } from '../domain/identity/change-log.js'
import type { Profile } from '../domain/identity/profile.js'
import type { Conflict, Evidence, IdentifierLink, InboxRecord, Merge } from '../domain/identity/resolve.js'
import { define, madeList } from './define.js'

/** What a group of batches was found to mean. Lists may hold thousands; who made the plan applies it. */
export const BatchPlan = z.object({
  /** The batches of the group, in order. */
  batchIds: madeList<string>(),
  /** How many of the records, from the first on, where one batch is too much for a plan. Absent: all. */
  records: z.number().optional(),
  /** The publication whose definitions it was made with; whoever repeats it has these or later ones. */
  definitions: z.number().optional(),
  /** Instant of the evaluation: kept, so that a repeat decides the same. */
  now: z.date(),
  /** What its records tell of later instants counts as of this one. Absent where none does. */
  notAfter: z.date().optional(),
  /** Its place among all groups of work: what it writes replaces nothing that has a higher number. */
  seq: z.number(),
  /** How many plans were begun when it was made: it is begun as the next one, or not at all. Absent in those of version 0.1. */
  basis: z.number().optional(),
  /** Per record, in order: its profile, 0 where every identifier was unusable. Absent in plans of version 0.1, as is `units`. */
  owners: madeList<number>().optional(),
  units: madeList<string>().optional(),
  /** Of a plan of version 0.1: when it was taken over. Its own instant lies before those from which the past is kept. */
  takenOver: Moment.optional(),
  /** Per event of the batch's records, in order: the profile it goes to, 0 for an event that was there before. */
  eventOwners: madeList<number>(),
  /** New and changed ones, as the plan makes them. */
  profiles: madeList<Profile>(),
  links: madeList<IdentifierLink>(),
  evidence: madeList<Evidence>(),
  conflicts: madeList<Conflict>(),
  merges: madeList<Merge>(),
  nextProfileId: z.number(),
  newProfileIds: madeList<number>(),
  touchedIds: madeList<number>(),
  changedTraits: madeList<string>(),
  /** Everything is to be evaluated of those it touches, whatever changed. */
  all: z.literal(true).optional(),
  /** Runs that end because a merge brings an older one of the same journey to their profile. */
  endedRuns: madeList<string>().optional(),
})
export type BatchPlan = z.infer<typeof BatchPlan>

/** Types alone: what else a record must be was asked when it came in. */
const StoredRecord: z.ZodType<InboxRecord, InboxRecord> = z.object({
  ref: z.string(),
  source: z.string(),
  observedAt: z.date(),
  identifiers: z.array(z.object({ type: z.string(), value: z.string() })),
  traits: z.record(z.string(), TraitValue.nullable()),
  events: z.array(
    z.object({
      id: z.string(),
      name: z.string(),
      occurredAt: z.date(),
      amountMinor: z.number().optional(),
      properties: z.record(z.string(), z.unknown()),
      saidAt: z.date().optional(),
    }),
  ),
  profileId: z.number().optional(),
  saidAt: z.date().optional(),
})

/** A batch of records on its way: stored before it is worked on, planned before anything of it is applied. */
export const Batch = z.object({
  /** Chosen by the sender: the same key again is the same batch. */
  _id: z.string(),
  seq: z.number(),
  state: z.enum(['accepted', 'planned', 'done']),
  acceptedAt: z.date(),
  /** Of what was sent under the key, where the sender chose it: another body under it is another batch. */
  hash: z.string().optional(),
  /** Said by our own lanes; see `acceptRecords`. */
  own: z.literal(true).optional(),
  /** Those that are still to be worked off. */
  records: z.array(StoredRecord).optional(),
  /** How many parts of it are done, where it goes in parts. */
  part: z.number().optional(),
  /** On the first batch of a group that is worked on together. */
  plan: BatchPlan.optional(),
})
export type Batch = z.infer<typeof Batch>

/**
 * What could not be worked off, while all beside it was: a record, or what follows from records for a profile. `_id` rests on
 * that, so it stands here once.
 */
export const Rejected = z.object({
  _id: z.string(),
  batchId: z.string(),
  at: z.date(),
  reason: z.string(),
  record: StoredRecord.optional(),
  profileId: z.number().optional(),
})
export type Rejected = z.infer<typeof Rejected>

/** An event with the profile it was found to belong to. */
export type OwnedEvent = RecordEvent & { profileId: number; unit: string; source: string; saidAt?: Date }

/** What was said, for brands that keep it. `_id` is the event's. */
export const ChatText = z.object({
  _id: z.string(),
  person: z.object({ type: z.string(), value: z.string() }),
  from: z.enum(['customer', 'guide']),
  at: z.date(),
  text: z.string(),
  expiresAt: z.date(),
})
export type ChatText = z.infer<typeof ChatText>

export const ingestCollections = {
  batches: define({
    name: 'batches',
    version: 2,
    schema: Batch,
    indexes: [{ fields: ['state', 'seq'] }],
    migrations: { 1: withPlace },
  }),
  rejected: define({ name: 'rejected', version: 1, schema: Rejected, indexes: [{ fields: ['at'] }] }),
  chatTexts: define({
    name: 'chat_texts',
    version: 1,
    schema: ChatText,
    indexes: [{ fields: ['expiresAt'] }, { fields: ['person.value'] }],
  }),
}

/** Plans had no place among all work in version 1: they stand before all that have one, until they are taken over. */
function withPlace(doc: Record<string, unknown>): Record<string, unknown> {
  const { plan } = doc
  return typeof plan === 'object' && plan !== null && !('seq' in plan) ? { ...doc, plan: { ...plan, seq: 0 } } : doc
}
