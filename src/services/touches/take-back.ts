import { channelsWith } from '../../domain/touches/channels.js'
import type { Profile } from '../../domain/identity/profile.js'
import type { SuppressReason, Touch } from '../../domain/touches/touch.js'
import type { Filter } from '../../ports/document-language.js'
import type { Collections } from '../../stored/collections.js'
import type { DispatchDoc } from '../../stored/touches.js'
import { liveReasons, standsOn, SUPERSEDED } from '../guides/reasons.js'
import { takeOut } from './take-out.js'
import { stopDispatch, supersedeCard } from './stop-dispatch.js'

/** Channels from which a message can be taken back until the guide presses send. */
const CONFIRMED = channelsWith((kind) => kind.needsConfirmation)
const TO_GUIDES = channelsWith((kind) => kind.address.kind === 'staff')
const TO_CUSTOMERS = channelsWith((kind) => kind.address.kind !== 'staff')

/** Why what has not reached her is taken back. */
export type TakeBackReason = Extract<SuppressReason, 'exited' | 'opted_out'>

/**
 * The reason for these touches has gone: what has not left stays here; a mass message that no guide has confirmed, for this
 * person alone, is taken back when its results are looked at, and so is a card; other reasons on it get a new one. Done again, it finds nothing
 * left to do.
 *
 * @param whose - those of a run, or all of a person
 */
export async function takeBackTouches(
  docs: Collections,
  whose: { runId: string } | { profileId: number },
  reason: TakeBackReason,
  now: Date,
): Promise<void> {
  await docs.touches.updateMany(
    { ...whose, state: 'planned', dispatchId: { $exists: false } },
    { $set: { state: 'suppressed', reason }, $unset: { releaseAt: 1 } },
  )
  const open = await docs.touches.find({
    ...whose,
    state: { $in: ['planned', 'created'] },
    channel: { $in: TO_CUSTOMERS },
  })
  for (const touch of open) await takeOutOfMessage(docs, touch, reason, now)
  await takeOffCards(docs, whose, reason, now)
}

/** The same of cards. One on which other reasons stand is made anew for them, inside the limits of cards. */
export async function takeOffCards(
  docs: Collections,
  whose: Filter<Touch>,
  reason: SuppressReason,
  now: Date,
): Promise<void> {
  const onCards = await docs.touches.find({
    ...whose,
    // Those that somebody who died has suppressed, too: their cards may still stand.
    state: { $in: ['planned', 'created', 'suppressed'] },
    channel: { $in: TO_GUIDES },
    dispatchId: { $exists: true },
  })
  const cards = await docs.tasks.getMany([...new Set(onCards.flatMap((t) => t.dispatchId ?? []))])
  for (const { _id } of cards.filter((card) => card.state === 'open'))
    await takeOffCard(
      docs,
      _id,
      onCards.flatMap((t) => (t.dispatchId === _id ? t._id : [])),
      reason,
      now,
    )
}

/** Who has said stop, of those given, and the consent that counts is that: see `applyConsent`. */
export async function takeBackOptedOut(
  docs: Collections,
  profiles: readonly Pick<Profile, '_id' | 'optedOutAt' | 'mergedInto'>[],
  now: Date,
): Promise<void> {
  for (const { _id: profileId, optedOutAt, mergedInto } of profiles)
    if (optedOutAt !== undefined && mergedInto === undefined)
      await takeBackTouches(docs, { profileId }, 'opted_out', now)
}

async function takeOutOfMessage(docs: Collections, touch: Touch, reason: TakeBackReason, now: Date): Promise<void> {
  const dispatch = await dropTouch(docs, touch, reason)
  // It is asked for just now: should the platform put it off, the mark keeps it from being asked for again.
  if (dispatch?.state === 'sending') {
    const { _id, dispatchId } = touch
    await docs.touches.update(_id, { $set: { reason } }, { state: 'planned', dispatchId: dispatchId! })
  }
  if (!CONFIRMED.includes(touch.channel) || dispatch?.recipients.length !== 1) return
  await docs.dispatches.update(dispatch._id, { $set: { reason, nextAt: now } }, { state: 'created' })
  // What becomes of it is not known yet; its first look at the results finds the reason.
  await docs.dispatches.update(dispatch._id, { $set: { reason } }, { state: 'sending' })
}

/** Takes touches out of their dispatch whose reason went while it was being asked for. */
export async function takeBackMarked(docs: Collections, touches: readonly Touch[]): Promise<void> {
  for (const touch of touches) {
    const { state, reason } = touch
    if (state === 'planned' && (reason === 'exited' || reason === 'opted_out')) await dropTouch(docs, touch, reason)
  }
}

/** Takes a touch out of its dispatch. @returns the dispatch, when it was asked for already */
async function dropTouch(
  docs: Collections,
  { _id, dispatchId }: Touch,
  reason: TakeBackReason,
): Promise<DispatchDoc | undefined> {
  if (dispatchId === undefined) return undefined
  await takeOut(docs, dispatchId, (r) => r.touchId === _id, reason)
  const dispatch = await docs.dispatches.get(dispatchId)
  if (dispatch !== undefined && dispatch.state !== 'refused' && dispatch.recipients.some((r) => r.touchId === _id))
    return dispatch
  // Also when somebody who died has taken her out of it before.
  await docs.touches.update(_id, { $set: { state: 'suppressed', reason } }, { state: 'planned', dispatchId })
  return undefined
}

async function takeOffCard(
  docs: Collections,
  cardId: string,
  touchIds: readonly string[],
  reason: SuppressReason,
  now: Date,
): Promise<void> {
  const update = { $set: { state: 'suppressed' as const, reason }, $unset: { releaseAt: 1 as const } }
  await docs.touches.updateEach(touchIds.map((id) => ({ id, where: standsOn(cardId), update })))
  const others = await liveReasons(docs, cardId)
  const card = await docs.dispatches.get(cardId)
  if (others.length === 0 && card !== undefined && card.reason !== SUPERSEDED)
    return stopDispatch(docs, card, reason, now)
  // Being made, or being sent: it ends when it is made, or at its first look.
  while ((await supersedeCard(docs, cardId, now)) === 'busy') {
    if (await docs.dispatches.update(cardId, { $set: { ends: SUPERSEDED, nextAt: now } }, { state: 'new' })) return
    if (await docs.dispatches.update(cardId, { $set: { reason: SUPERSEDED } }, { state: 'sending' })) return
  }
}
