import { isForGuide, isKnownChannel } from '../../domain/touches/channels.js'
import { CONTENT_WITHDRAWN } from '../../domain/touches/plan-touches.js'
import type { SuppressReason } from '../../domain/touches/touch.js'
import type { Filter, Update } from '../../ports/document-language.js'
import type { Collections } from '../../stored/collections.js'
import type { DispatchDoc } from '../../stored/touches.js'
import { freeReasons, SUPERSEDED } from '../guides/reasons.js'

/**
 * Ends one dispatch for this reason, as far as it has reached nobody. Whatever joined a card ends with it. Done again, it finds
 * nothing left to do.
 */
export async function stopDispatch(docs: Collections, dispatch: DispatchDoc, reason: string, now: Date): Promise<void> {
  if (await endUnasked(docs, dispatch, reason, now)) return
  // What becomes of it is not known yet; its first look at the results finds the reason.
  await docs.dispatches.update(dispatch._id, { $set: { reason } }, { state: 'sending' })
  // Before its task is closed: whoever looks at the results closes that, too.
  await docs.dispatches.update(dispatch._id, { $set: { reason, nextAt: now } }, { state: 'created' })
  await closeCard(docs, dispatch, reason, now)
}

/**
 * Ends a dispatch that was not asked for yet, and tells its touches: it is due until they know, so that after a crash in
 * between the send lane finds it. One whose touches are still being marked is only told why it is to end: whoever marks them
 * ends it then, or after a crash whoever adopts it.
 *
 * @returns whether it ends by that
 */
export async function endUnasked(docs: Collections, { _id }: DispatchDoc, reason: string, now: Date): Promise<boolean> {
  const ended: Update<DispatchDoc> = { $set: { state: 'refused', reason, nextAt: now } }
  for (;;) {
    const dispatch = await docs.dispatches.get(_id)
    if (dispatch?.state === 'ready') {
      if (!(await docs.dispatches.update(_id, ended, { state: 'ready' }))) continue
      await tellEnd(docs, { ...dispatch, reason }, now)
      return true
    }
    if (dispatch?.state !== 'new') return false
    if (await docs.dispatches.update(_id, { $set: { ends: reason, nextAt: now } }, { state: 'new' })) return true
  }
}

/**
 * Ends a card so that its reasons wait for their release again: what is to be said of them has changed. One that has gone out
 * is taken back when its results are looked at.
 *
 * @returns busy: not now, as it is being sent or made
 */
export async function supersedeCard(docs: Collections, cardId: string, now: Date): Promise<'freed' | 'busy'> {
  for (;;) {
    const card = await docs.dispatches.get(cardId)
    if (card?.state === 'new' || card?.state === 'sending') return 'busy'
    if (card?.state === 'ready') {
      if (await endUnasked(docs, card, SUPERSEDED, now)) return 'freed'
      continue
    }
    const taken: Update<DispatchDoc> = { $set: { reason: SUPERSEDED, nextAt: now } }
    if (card?.state === 'created' && !(await docs.dispatches.update(cardId, taken, { state: 'created' }))) continue
    await freeReasons(docs, cardId, SUPERSEDED, now)
    return 'freed'
  }
}

/** Dispatches that ended before they were asked for, and whose touches may not know it yet. */
export const UNTOLD: Filter<DispatchDoc> = { state: 'refused', nextAt: { $exists: true } }

/** Carries the end of a dispatch to the touches in it. Done again, it finds nothing left to do. */
export async function tellEnd(docs: Collections, dispatch: DispatchDoc, now: Date): Promise<void> {
  const { _id, recipients, reason = CONTENT_WITHDRAWN } = dispatch
  const touchIds = recipients.map((r) => r.touchId)
  if (dispatch.elsewhere === true) await passOn(docs, dispatch, touchIds, 'refused', now)
  else if (reason === SUPERSEDED) await freeReasons(docs, _id, reason, now)
  else await suppress(docs, _id, touchIds, reason)
  await closeCard(docs, dispatch, reason, now)
  await docs.dispatches.update(_id, { $unset: { nextAt: 1, silent: 1 } }, { state: 'refused' })
}

/**
 * Touches that one member cannot send wait for their release again: there may be another who has the customer. Not those whose
 * reason went while they were being asked for.
 */
export async function passOn(
  { touches }: Pick<Collections, 'touches'>,
  { _id, senderUserId }: Pick<DispatchDoc, '_id' | 'senderUserId'>,
  touchIds: readonly string[],
  reason: SuppressReason,
  now: Date,
): Promise<void> {
  if (touchIds.length === 0) return
  await touches.updateMany(
    { _id: { $in: [...touchIds] }, dispatchId: _id, state: 'planned', reason: { $in: ['exited', 'opted_out'] } },
    { $set: { state: 'suppressed' } },
  )
  await touches.updateEach(
    touchIds.map((id) => ({
      id,
      where: { dispatchId: _id, state: 'planned' },
      update: {
        $set: { releaseAt: now, reason },
        ...(senderUserId !== undefined && { $addToSet: { notThrough: senderUserId } }),
        $unset: { dispatchId: 1, senderUserId: 1, externalUserId: 1, releasedAt: 1 },
      },
    })),
  )
}

/** Before its dispatch is put away: what has joined a card is found by its task. */
export async function closeCard(
  docs: Collections,
  { _id, channel }: Pick<DispatchDoc, '_id' | 'channel'>,
  reason: string,
  now: Date,
): Promise<void> {
  if (isKnownChannel(channel) && !isForGuide(channel)) return
  const task = await docs.tasks.get(_id)
  if (task?.state !== 'open') return
  await suppress(docs, _id, task.touchIds, reason)
  await docs.tasks.update(_id, { $set: { state: 'expired', outcome: reason, closedAt: now } }, { state: 'open' })
}

/** What has left this dispatch since goes its own way. */
async function suppress(
  { touches }: Collections,
  dispatchId: string,
  touchIds: readonly string[],
  reason: string,
): Promise<void> {
  await touches.updateEach(
    touchIds.map((id) => ({
      id,
      where: { dispatchId, state: { $in: ['planned', 'created'] } },
      update: { $set: { state: 'suppressed', reason }, $unset: { releaseAt: 1 } },
    })),
  )
}
