import { channelsWith } from '../../domain/touches/channels.js'
import type { SuppressReason, Touch } from '../../domain/touches/touch.js'
import type { Collections } from '../../stored/collections.js'

/** States of a dispatch in which nothing was asked of the platform yet. */
export const UNASKED = ['new', 'ready'] as const

/** Channels from which a message can be taken back until the guide presses send. */
const CONFIRMED = channelsWith((kind) => kind.needsConfirmation)
/** Those whose messages stay here until they are asked for. */
const TO_CUSTOMERS = channelsWith((kind) => kind.address.kind !== 'staff')

/**
 * The reason for a run's messages has gone: what has not left stays here, what is on its way as a mass message for this
 * person alone is taken back when its results are looked at. Done again, it finds nothing left to do.
 */
export async function takeBackTouches(
  docs: Collections,
  runId: string,
  reason: Extract<SuppressReason, 'exited'>,
  now: Date,
): Promise<void> {
  await docs.touches.updateMany(
    { runId, state: 'planned', dispatchId: { $exists: false } },
    { $set: { state: 'suppressed', reason }, $unset: { releaseAt: 1 } },
  )
  const open = await docs.touches.find({
    runId,
    state: { $in: ['planned', 'created'] },
    channel: { $in: TO_CUSTOMERS },
  })
  for (const touch of open) {
    if (touch.dispatchId === undefined || (await dropTouch(docs, touch, reason))) continue
    if (!CONFIRMED.includes(touch.channel)) continue
    const dispatch = await docs.dispatches.get(touch.dispatchId)
    if (dispatch?.recipients.length !== 1) continue
    await docs.dispatches.update(dispatch._id, { $set: { reason, nextAt: now } }, { state: 'created' })
    // What becomes of it is not known yet; its first look at the results finds the reason.
    await docs.dispatches.update(dispatch._id, { $set: { reason } }, { state: 'sending' })
  }
}

/** Takes a touch out of its dispatch; without anybody left that is not sent. @returns false when it was asked for already */
async function dropTouch(docs: Collections, { _id, dispatchId }: Touch, reason: SuppressReason): Promise<boolean> {
  const unasked = { state: { $in: [...UNASKED] } }
  if (!(await docs.dispatches.update(dispatchId!, { $pull: { recipients: { touchId: _id } } }, unasked))) return false
  await docs.dispatches.update(
    dispatchId!,
    { $set: { state: 'refused', reason }, $unset: { nextAt: 1 } },
    { ...unasked, recipients: [] },
  )
  await docs.touches.update(_id, { $set: { state: 'suppressed', reason } }, { state: 'planned' })
  return true
}
