import type { Pins } from '../domain/journeys/pins.js'
import type { Collection } from '../ports/document-store.js'
import { bucketOf } from './buckets.js'
import type { DefinitionsOf } from './definitions-of.js'

export type Run = {
  _id: string
  journeyId: string
  version: number
  /** What it stays on beside its steps; absent in runs that version 0.1 began. */
  pins?: Pins
  profileId: number
  /** Of the profile: the shard that moves it. */
  bucket: number
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
  /** It cannot be decided what is next: why, and since when. It is tried again at `dueAt`. */
  held?: { reason: string; since: Date }
}

/** Something that was not done, and why: the answer to "why did she not get it". */
export type Refusal = {
  _id: string
  profileId: number
  journeyId: string
  at: Date
  reason: 'already_in' | 'once_only' | 'too_soon' | 'max_entries'
}

export type JourneysCollections = {
  runs: Collection<Run>
  refusals: Collection<Refusal>
}

export const journeysCollections: DefinitionsOf<JourneysCollections> = {
  runs: {
    name: 'runs',
    version: 2,
    indexes: [
      { fields: ['state', 'dueAt'] },
      { fields: ['state', 'bucket', 'dueAt'] },
      { fields: ['profileId', 'journeyId'] },
      // Few or none, and asked for by every scrape.
      { fields: ['held.since'], sparse: true },
    ],
    migrations: { 1: (doc) => ({ ...doc, bucket: bucketOf(doc.profileId as number) }) },
  },
  refusals: { name: 'refusals', version: 1, indexes: [{ fields: ['profileId'] }] },
}
