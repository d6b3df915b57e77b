import { lookAt } from '../../domain/touches/policy.js'
import type { DispatchDoc } from '../../stored/touches.js'
import type { Deps } from '../runtime/deps.js'
import { asRead, isTakenBack, lookAgain } from '../touches/look-again.js'
import { toDispatch } from '../touches/send-dispatches.js'
import { closeCard } from '../touches/withdraw-content.js'

/** A card has no results to ask for: its buttons come back as events. What nobody did until it was due, expires. */
export async function expireTask(deps: Deps, doc: DispatchDoc, now: Date): Promise<void> {
  if (isTakenBack(doc)) await closeCard(deps.docs, doc, doc.reason, now)
  const task = await deps.docs.tasks.get(doc._id)
  if (task?.state === 'open' && now < task.dueAt) {
    await lookAgain(deps, doc, lookAt(task.dueAt))
    return
  }
  if (task?.state === 'open') {
    await deps.docs.touches.updateEach(
      task.touchIds.map((id) => ({ id, where: { state: 'created' }, update: { $set: { state: 'expired' } } })),
    )
    await deps.docs.tasks.update(task._id, { $set: { state: 'expired', closedAt: now } }, { state: 'open' })
  }
  if (isTakenBack(doc) && doc.remoteId !== undefined)
    await deps.channels[doc.channel].cancel({ ...toDispatch(doc), remoteId: doc.remoteId })
  await deps.docs.dispatches.update(doc._id, { $set: { state: 'done' }, $unset: { nextAt: 1, silent: 1 } }, asRead(doc))
}
