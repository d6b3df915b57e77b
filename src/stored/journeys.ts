import { z } from 'zod'
import { Pins } from '../domain/journeys/pins.js'
import { bucketOf } from './buckets.js'
import { define } from './define.js'

export const Run = z.object({
  _id: z.string(),
  journeyId: z.string(),
  version: z.number(),
  /** What it stays on beside its steps; absent in runs that version 0.1 began. */
  pins: Pins.optional(),
  /** The publication by which it was let in, or moved last: what is not pinned was of that. */
  definitions: z.number().optional(),
  profileId: z.number(),
  /** Of the profile: the shard that moves it. */
  bucket: z.number(),
  anchor: z.string(),
  /** 0 for the first time this person is in this journey. */
  n: z.number(),
  arm: z.enum(['treated', 'holdout']),
  state: z.enum(['waiting', 'ended']),
  outcome: z.enum(['finished', 'exited', 'holdout', 'merged']).optional(),
  path: z.string(),
  arrivedAt: z.date(),
  dueAt: z.date().optional(),
  enteredAt: z.date(),
  endedAt: z.date().optional(),
  /** It cannot be decided what is next: why, and since when. It is tried again at `dueAt`. */
  held: z.object({ reason: z.string(), since: z.date() }).optional(),
})
export type Run = z.infer<typeof Run>

/** Something that was not done, and why: the answer to "why did she not get it". */
export const Refusal = z.object({
  _id: z.string(),
  profileId: z.number(),
  journeyId: z.string(),
  at: z.date(),
  reason: z.enum(['already_in', 'once_only', 'too_soon', 'max_entries', 'too_old']),
})
export type Refusal = z.infer<typeof Refusal>

export const journeysCollections = {
  runs: define({
    name: 'runs',
    version: 2,
    schema: Run,
    indexes: [
      { fields: ['state', 'dueAt'] },
      { fields: ['state', 'bucket', 'dueAt'] },
      { fields: ['profileId', 'journeyId'] },
      // Few or none, and asked for by every scrape.
      { fields: ['held.since'], sparse: true },
    ],
    migrations: { 1: (doc) => ({ ...doc, bucket: bucketOf(doc.profileId as number) }) },
  }),
  refusals: define({ name: 'refusals', version: 1, schema: Refusal, indexes: [{ fields: ['profileId'] }] }),
}
