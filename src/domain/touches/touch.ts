import { z } from 'zod'
import type { ChannelName } from './channels.js'

/**
 * planned: wanted, waiting for its release. created: handed to the platform, a guide must confirm. confirmed: the guide
 * pressed send. delivered: it reached the customer. suppressed: it will not go out (`reason`). expired: nobody confirmed in
 * time. unknown: nobody can tell whether it went out; it is never sent again.
 */
export const TouchState = z.enum(['planned', 'created', 'confirmed', 'delivered', 'suppressed', 'expired', 'unknown'])
export type TouchState = z.infer<typeof TouchState>

export const SuppressReason = z.enum([
  'opted_out',
  'not_a_contact',
  'no_address',
  'lost_contact',
  'cap',
  'quota',
  'exited',
  'dry_mode',
  'not_on_allow_list',
  'coupon_stock',
  'refused',
  'no_content',
  'content_withdrawn',
  'sending_off',
])
export type SuppressReason = z.infer<typeof SuppressReason>

/** Any name: one that this version does not have is a newer one's (`isKnownChannel`), and what is stored of it waits. */
export function channelName<N extends ChannelName>(): z.ZodType<N, N> {
  return z.custom<N>((name) => typeof name === 'string')
}

/** One intended contact with one profile. `_id` is the key of the effect: run and step. */
export const Touch = z.object({
  _id: z.string(),
  profileId: z.number().int(),
  journeyId: z.string(),
  runId: z.string(),
  stepId: z.string(),
  channel: channelName<ChannelName>(),
  contentId: z.string(),
  /** The version of all contents that its run stays on; absent: the one of today. */
  contentsVersion: z.number().int().optional(),
  /** Guide tasks: what the guide reads as title, and by when it should be done. */
  title: z.string().optional(),
  dueAt: z.date().optional(),
  state: TouchState,
  /** Why it did not go out; while it is planned, why it waits. */
  reason: z.string().optional(),
  /** Members through whom the platform refused to send it. */
  notThrough: z.array(z.string()).optional(),
  plannedAt: z.date(),
  /** Not before this instant; moved when quiet hours or a full slot put it off. */
  releaseAt: z.date().optional(),
  /** When there was no room for it first: it waits for `waitForSlot` from then on. */
  noRoomSince: z.date().optional(),
  releasedAt: z.date().optional(),
  confirmedAt: z.date().optional(),
  deliveredAt: z.date().optional(),
  senderUserId: z.string().optional(),
  externalUserId: z.string().optional(),
  dispatchId: z.string().optional(),
  couponCode: z.string().optional(),
})
export type Touch = z.infer<typeof Touch>
