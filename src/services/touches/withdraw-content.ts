import { cardChannels } from '../../domain/touches/channels.js'
import { CONTENT_WITHDRAWN } from '../../domain/touches/plan-touches.js'
import type { DispatchDoc } from '../../stored/touches.js'
import type { Deps } from '../runtime/deps.js'
import { stopDispatch } from './stop-dispatch.js'
import { takeOffCards } from './take-back.js'
import { UNASKED } from './take-out.js'

/**
 * Stops what was released with this content and has not reached anybody: what was not asked for stays here, messages that no
 * guide has confirmed are taken back, and cards that nobody answered; other reasons on such a card get a new one. Done again, it
 * finds nothing left to do.
 */
export async function stopContent({ docs, clock }: Pick<Deps, 'docs' | 'clock'>, contentId: string): Promise<void> {
  const channel = { $nin: [...cardChannels] }
  const open = await docs.dispatches.find({ contentId, channel, state: { $in: [...UNASKED, 'sending', 'created'] } })
  for (const dispatch of open) await stopDispatch(docs, dispatch, CONTENT_WITHDRAWN, clock.now())
  await takeOffCards(docs, { contentId }, CONTENT_WITHDRAWN, clock.now())
}

/** Ends a message, or takes a reason off a card, whose words were withdrawn after it was written down. @returns whether there was one */
export async function withoutWithdrawn(
  { docs, clock, definitions }: Pick<Deps, 'docs' | 'clock' | 'definitions'>,
  dispatch: DispatchDoc,
): Promise<boolean> {
  const { withdrawn } = definitions.current
  if (withdrawn.size === 0) return false
  const { _id, channel, contentId, recipients } = dispatch
  if (!cardChannels.includes(channel)) {
    if (contentId === undefined || !withdrawn.has(contentId)) return false
    await stopDispatch(docs, dispatch, CONTENT_WITHDRAWN, clock.now())
    return true
  }
  const reasons = await docs.touches.getMany(recipients.map((r) => r.touchId))
  const ids = reasons.filter((t) => t.dispatchId === _id && withdrawn.has(t.contentId)).map((t) => t._id)
  if (ids.length > 0) await takeOffCards(docs, { _id: { $in: ids } }, CONTENT_WITHDRAWN, clock.now())
  return ids.length > 0
}
