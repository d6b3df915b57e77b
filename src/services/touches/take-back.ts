import { channelsWith } from '../../domain/touches/channels.js'
import type { SuppressReason, Touch } from '../../domain/touches/touch.js'
import type { Collections } from '../../stored/collections.js'
import type { DispatchDoc } from '../../stored/touches.js'
import { takeOut } from './take-out.js'

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
    const dispatch = await dropTouch(docs, touch, reason)
    if (!CONFIRMED.includes(touch.channel)) continue
    if (dispatch?.recipients.length !== 1) continue
    await docs.dispatches.update(dispatch._id, { $set: { reason, nextAt: now } }, { state: 'created' })
    // What becomes of it is not known yet; its first look at the results finds the reason.
    await docs.dispatches.update(dispatch._id, { $set: { reason } }, { state: 'sending' })
  }
}

/** Takes a touch out of its dispatch. @returns the dispatch, when it was asked for already */
async function dropTouch(
  docs: Collections,
  { _id, dispatchId }: Touch,
  reason: SuppressReason,
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
