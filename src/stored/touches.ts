import type { CarrierName } from '../domain/touches/channels.js'
import type { Touch } from '../domain/touches/touch.js'
import type { DispatchContent } from '../ports/channel.js'
import type { Collection } from '../ports/document-store.js'
import { bucketOf } from './buckets.js'
import type { DefinitionsOf } from './definitions-of.js'

/** `fence`: of the lease under which it was claimed. `until` is by the clock of the one who claimed. */
export type Claim = { fence: number; until: Date }

export type DispatchDoc = {
  _id: string
  channel: CarrierName
  /**
   * new: written down, its touches not all marked yet. ready: not asked for yet. sending: asked for by the holder of `claim`,
   * no answer stored: when it is over by a minute, others settle it.
   */
  state: 'new' | 'ready' | 'sending' | 'created' | 'done' | 'refused' | 'unknown'
  senderUserId: string
  /** Of the sender: her messages and cards stay in order, in one shard. */
  bucket: number
  recipients: { touchId: string; externalUserId: string }[]
  /** Whose words `content` are; absent in those of version 0.1. */
  contentId?: string
  content: DispatchContent
  releasedAt: Date
  /** When the next attempt, or the next look at the results, is due. Of one that is refused: its touches do not know it yet. */
  nextAt?: Date
  /** Who asks for it, or did. It asks before `until`, or not at all. */
  claim?: Claim
  /** What the platform says instead of what became of it (`sending`, `created`), and since when. It is asked again at `nextAt`. */
  silent?: { since: Date; why: string }
  attempts: number
  polls: number
  /** How often the sender was reminded. */
  reminders?: number
  remoteId?: string
  responseCode?: string
  confirmedAt?: Date
  reason?: string
}

export type CouponCode = {
  _id: string
  pool: string
  code: string
  state: 'free' | 'issued'
  touchId?: string
  issuedAt?: Date
}

export type TouchesCollections = {
  touches: Collection<Touch>
  dispatches: Collection<DispatchDoc>
  coupons: Collection<CouponCode>
}

export const touchesCollections: DefinitionsOf<TouchesCollections> = {
  touches: {
    name: 'touches',
    version: 1,
    indexes: [{ fields: ['state', 'releaseAt'] }, { fields: ['profileId'] }, { fields: ['runId'] }],
  },
  dispatches: {
    name: 'dispatches',
    version: 2,
    indexes: [
      { fields: ['state', 'nextAt'] },
      { fields: ['state', 'bucket', 'nextAt'] },
      { fields: ['senderUserId', 'releasedAt'] },
    ],
    migrations: {
      1: (doc) => ({
        ...doc,
        bucket: bucketOf(doc.senderUserId as string),
        // Of one that was ready in version 1 the touches may not be marked.
        ...(doc.state === 'ready' && { state: 'new' }),
      }),
    },
  },
  coupons: {
    name: 'coupons',
    version: 1,
    indexes: [{ fields: ['pool', 'state'] }, { fields: ['touchId'], unique: true, sparse: true }],
  },
}
