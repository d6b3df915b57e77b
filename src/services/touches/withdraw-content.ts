import { isForGuide, isKnownChannel } from '../../domain/touches/channels.js'
import { CONTENT_WITHDRAWN } from '../../domain/touches/plan-touches.js'
import type { Collections } from '../../stored/collections.js'
import type { DispatchDoc } from '../../stored/touches.js'
import type { Deps } from '../runtime/deps.js'
import { UNASKED } from './take-back.js'

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
  const { _id, channel, recipients } = dispatch
  const reason = CONTENT_WITHDRAWN
  const isUnasked = { state: { $in: [...UNASKED] } }
  const ended = { $set: { state: 'refused', reason }, $unset: { nextAt: 1 } } as const
  if (await docs.dispatches.update(_id, ended, isUnasked)) {
    const touchIds = recipients.map((r) => r.touchId)
    await suppress(docs, touchIds)
  } else {
    await docs.dispatches.update(_id, { $set: { reason, nextAt: now } }, { state: 'created' })
    // What becomes of it is not known yet; its first look at the results finds the reason.
    await docs.dispatches.update(_id, { $set: { reason } }, { state: 'sending' })
  }
  if (isKnownChannel(channel) && !isForGuide(channel)) return
  const task = await docs.tasks.get(_id)
  if (task?.state !== 'open') return
  await suppress(docs, task.touchIds)
  await docs.tasks.update(_id, { $set: { state: 'expired', outcome: reason, closedAt: now } }, { state: 'open' })
}

async function suppress({ touches }: Collections, touchIds: readonly string[]): Promise<void> {
  await touches.updateEach(
    touchIds.map((id) => ({
      id,
      where: { state: { $in: ['planned', 'created'] } },
      update: { $set: { state: 'suppressed', reason: CONTENT_WITHDRAWN }, $unset: { releaseAt: 1 } },
    })),
  )
}
