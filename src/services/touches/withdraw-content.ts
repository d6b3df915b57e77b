import { isForGuide, isKnownChannel } from '../../domain/touches/channels.js'
import { CONTENT_WITHDRAWN } from '../../domain/touches/plan-touches.js'
import type { Filter, Update } from '../../ports/document-language.js'
import type { Collections } from '../../stored/collections.js'
import type { DispatchDoc } from '../../stored/touches.js'
import type { Deps } from '../runtime/deps.js'
import { UNASKED } from './take-out.js'

/**
 * Stops what was released with this content and has not reached anybody: what was not asked for stays here, messages that no
 * guide has confirmed and cards that nobody answered are taken back. Done again, it finds nothing left to do.
 */
export async function stopContent({ docs, clock }: Pick<Deps, 'docs' | 'clock'>, contentId: string): Promise<void> {
  const open = await docs.dispatches.find({ contentId, state: { $in: [...UNASKED, 'sending', 'created'] } })
  for (const dispatch of open) await stopDispatch(docs, dispatch, clock.now())
}

/** Whether its words were withdrawn after it was written down. */
export function isWithdrawn({ definitions }: Pick<Deps, 'definitions'>, { contentId }: DispatchDoc): boolean {
  return contentId !== undefined && definitions.current.withdrawn.has(contentId)
}

/** Ends one dispatch. Whatever joined a card ends with it. */
export async function stopDispatch(docs: Collections, dispatch: DispatchDoc, now: Date): Promise<void> {
  const reason = CONTENT_WITHDRAWN
  // Due until its touches are told: after a crash in between the send lane finds it.
  const ended: Update<DispatchDoc> = { $set: { state: 'refused', reason, nextAt: now } }
  if (await docs.dispatches.update(dispatch._id, ended, { state: { $in: [...UNASKED] } })) {
    await tellEnd(docs, { ...dispatch, reason }, now)
    return
  }
  await closeCard(docs, dispatch, reason, now)
  await docs.dispatches.update(dispatch._id, { $set: { reason, nextAt: now } }, { state: 'created' })
  // What becomes of it is not known yet; its first look at the results finds the reason.
  await docs.dispatches.update(dispatch._id, { $set: { reason } }, { state: 'sending' })
}

/** Dispatches that ended before they were asked for, and whose touches may not know it yet. */
export const UNTOLD: Filter<DispatchDoc> = { state: 'refused', nextAt: { $exists: true } }

/** Carries the end of a dispatch to the touches in it. Done again, it finds nothing left to do. */
export async function tellEnd(docs: Collections, dispatch: DispatchDoc, now: Date): Promise<void> {
  const { _id, recipients, reason = CONTENT_WITHDRAWN } = dispatch
  await suppress(
    docs,
    recipients.map((r) => r.touchId),
    reason,
  )
  await closeCard(docs, dispatch, reason, now)
  await docs.dispatches.update(_id, { $unset: { nextAt: 1 } }, { state: 'refused' })
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
  await suppress(docs, task.touchIds, reason)
  await docs.tasks.update(_id, { $set: { state: 'expired', outcome: reason, closedAt: now } }, { state: 'open' })
}

async function suppress({ touches }: Collections, touchIds: readonly string[], reason: string): Promise<void> {
  await touches.updateEach(
    touchIds.map((id) => ({
      id,
      where: { state: { $in: ['planned', 'created'] } },
      update: { $set: { state: 'suppressed', reason }, $unset: { releaseAt: 1 } },
    })),
  )
}
