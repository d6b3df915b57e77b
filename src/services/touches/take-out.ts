import type { Update } from '../../ports/document-language.js'
import type { Collections } from '../../stored/collections.js'
import type { DispatchDoc } from '../../stored/touches.js'

/** States of a dispatch in which nothing was asked of the platform yet. */
export const UNASKED = ['new', 'ready'] as const

type Recipient = DispatchDoc['recipients'][number]

/**
 * Takes recipients out of a dispatch while it is in one of `states`. The last of them end it by the same update: at no
 * instant is there one that is ready and for nobody.
 *
 * @param reason - why it ends, if it does
 */
export async function takeOut(
  { dispatches }: Pick<Collections, 'dispatches'>,
  dispatchId: string,
  isTaken: (recipient: Recipient) => boolean,
  reason: string,
  states: readonly DispatchDoc['state'][] = UNASKED,
): Promise<void> {
  for (;;) {
    const dispatch = await dispatches.get(dispatchId)
    if (dispatch === undefined || !states.includes(dispatch.state)) return
    const state = { $in: [...states] }
    // Recipients only ever go: who stays now may be the next to leave, and then this one is the last.
    const stays = dispatch.recipients.find((r) => !isTaken(r))
    if (stays === undefined) {
      const ended: Update<DispatchDoc> = { $set: { state: 'refused', reason, recipients: [] }, $unset: { nextAt: 1 } }
      if (await dispatches.update(dispatchId, ended, { state })) return
    } else {
      const touchId = { $in: dispatch.recipients.filter(isTaken).map((r) => r.touchId) }
      const rest = { state, 'recipients.touchId': stays.touchId }
      if (await dispatches.update(dispatchId, { $pull: { recipients: { touchId } } }, rest)) return
    }
  }
}
