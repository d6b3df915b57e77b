import { z } from 'zod'
import type { CarrierName } from '../domain/touches/channels.js'
import { channelName, Touch } from '../domain/touches/touch.js'
import type { DispatchContent } from '../ports/channel.js'
import { bucketOf } from './buckets.js'
import { define } from './define.js'

/**
 * `fence`: of the lease under which it was claimed. `until` is by the clock of the one who claimed. `definitions`: the
 * publication that it went by.
 */
const Claim = z.object({ fence: z.number(), until: z.date(), definitions: z.number().optional() })
export type Claim = z.infer<typeof Claim>

const Content: z.ZodType<DispatchContent, DispatchContent> = z.object({
  text: z.string(),
  link: z.object({ title: z.string(), url: z.string(), description: z.string().optional() }).optional(),
  card: z
    .object({
      title: z.string(),
      rows: z.array(z.object({ name: z.string(), value: z.string() })),
      buttons: z.array(z.object({ key: z.string(), text: z.string() })),
    })
    .optional(),
})

export const DispatchDoc = z.object({
  _id: z.string(),
  channel: channelName<CarrierName>(),
  /**
   * new: written down, its touches not all marked yet. ready: not asked for yet. sending: asked for by the holder of `claim`,
   * no answer stored: when it is over by a minute, others settle it.
   */
  state: z.enum(['new', 'ready', 'sending', 'created', 'done', 'refused', 'unknown']),
  /** The member in whose name it goes, or who gets it; absent where it is nobody's. */
  senderUserId: z.string().optional(),
  /** Of the sender: her messages and cards stay in order, in one shard. Without one, of the dispatch. */
  bucket: z.number(),
  /** `externalUserId`: a contact of the sender's. `to`: whoever is addressed otherwise. */
  recipients: z.array(
    z.object({ touchId: z.string(), externalUserId: z.string().optional(), to: z.string().optional() }),
  ),
  /** Whose words `content` are; absent in those of version 0.1. */
  contentId: z.string().optional(),
  content: Content,
  /** Of a card: what its task begins with. */
  task: z.object({ profileId: z.number(), titles: z.array(z.string()), dueAt: z.date() }).optional(),
  releasedAt: z.date(),
  /** When the next attempt, or the next look at the results, is due. Of one that is refused: its touches do not know it yet. */
  nextAt: z.date().optional(),
  /** Who asks for it, or did. It asks before `until`, or not at all. */
  claim: Claim.optional(),
  /**
   * What the platform says instead of what became of it (`sending`, `created`), or what fails with it here, and since when. It is
   * tried again at `nextAt`.
   */
  silent: z.object({ since: z.date(), why: z.string() }).optional(),
  attempts: z.number(),
  polls: z.number(),
  /** How often the sender was reminded. */
  reminders: z.number().optional(),
  remoteId: z.string().optional(),
  responseCode: z.string().optional(),
  confirmedAt: z.date().optional(),
  reason: z.string().optional(),
  /** Of one that is new: why it is to end, once whoever makes it knows all its touches. */
  ends: z.string().optional(),
  /** Refused of this member alone: its touches are to go through another. */
  elsewhere: z.literal(true).optional(),
})
export type DispatchDoc = z.infer<typeof DispatchDoc>

export const CouponCode = z.object({
  _id: z.string(),
  pool: z.string(),
  code: z.string(),
  /** withdrawn: no file names it any more, and nobody had it. */
  state: z.enum(['free', 'issued', 'withdrawn']),
  touchId: z.string().optional(),
  issuedAt: z.date().optional(),
})
export type CouponCode = z.infer<typeof CouponCode>

export const touchesCollections = {
  touches: define({
    name: 'touches',
    version: 1,
    schema: Touch,
    indexes: [
      { fields: ['state', 'releaseAt'] },
      { fields: ['profileId'] },
      { fields: ['runId'] },
      // Every scrape asks for those of unknown ones: without it, by reading all that are open.
      { fields: ['channel'] },
    ],
  }),
  dispatches: define({
    name: 'dispatches',
    version: 2,
    schema: DispatchDoc,
    indexes: [
      { fields: ['state', 'nextAt'] },
      { fields: ['state', 'bucket', 'nextAt'] },
      { fields: ['senderUserId', 'releasedAt'] },
      { fields: ['remoteId'], sparse: true },
    ],
    migrations: {
      1: (doc) => ({
        ...doc,
        bucket: bucketOf(doc.senderUserId as string),
        // Of one that was ready in version 1 the touches may not be marked.
        ...(doc.state === 'ready' && { state: 'new' }),
      }),
    },
  }),
  coupons: define({
    name: 'coupons',
    version: 1,
    schema: CouponCode,
    indexes: [{ fields: ['pool', 'state'] }, { fields: ['touchId'], unique: true, sparse: true }],
  }),
}
