import { isForGuide, isKnownChannel } from '../../domain/touches/channels.js'
import { CONTENT_WITHDRAWN } from '../../domain/touches/plan-touches.js'
import type { SuppressReason } from '../../domain/touches/touch.js'
import type { Filter, Update } from '../../ports/document-language.js'
import type { Collections } from '../../stored/collections.js'
import type { DispatchDoc } from '../../stored/touches.js'
import { UNASKED } from './take-out.js'

/**
 * Ends one dispatch for this reason, as far as it has reached nobody. Whatever joined a card ends with it. Done again, it finds
 * nothing left to do.
 */
export async function stopDispatch(docs: Collections, dispatch: DispatchDoc, reason: string, now: Date): Promise<void> {
  // Due until its touches are told: after a crash in between the send lane finds it.
  const ended: Update<DispatchDoc> = { $set: { state: 'refused', reason, nextAt: now } }
  if (await docs.dispatches.update(dispatch._id, ended, { state: { $in: [...UNASKED] } })) {
    await tellEnd(docs, { ...dispatch, reason }, now)
    return
  }
  // What becomes of it is not known yet; its first look at the results finds the reason.
  await docs.dispatches.update(dispatch._id, { $set: { reason } }, { state: 'sending' })
  // Before its task is closed: whoever looks at the results closes that, too.
  await docs.dispatches.update(dispatch._id, { $set: { reason, nextAt: now } }, { state: 'created' })
  await closeCard(docs, dispatch, reason, now)
}

/** Dispatches that ended before they were asked for, and whose touches may not know it yet. */
export const UNTOLD: Filter<DispatchDoc> = { state: 'refused', nextAt: { $exists: true } }

/** Carries the end of a dispatch to the touches in it. Done again, it finds nothing left to do. */
export async function tellEnd(docs: Collections, dispatch: DispatchDoc, now: Date): Promise<void> {
  const { _id, recipients, reason = CONTENT_WITHDRAWN } = dispatch
  const touchIds = recipients.map((r) => r.touchId)
  if (dispatch.elsewhere === true) await passOn(docs, dispatch, touchIds, 'refused', now)
  else await suppress(docs, _id, touchIds, reason)
  await closeCard(docs, dispatch, reason, now)
  await docs.dispatches.update(_id, { $unset: { nextAt: 1 } }, { state: 'refused' })
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
