import { STOP_BUTTON } from '../../domain/guides/card.js'
import { systemEvent } from '../../domain/events/system-events.js'
import type { InboxRecord } from '../../domain/identity/resolve.js'
import type { Touch } from '../../domain/touches/touch.js'
import type { WecomEventOf } from '../../domain/wecom/event.js'
import { messageOf } from '../../errors.js'
import { own } from '../../parse.js'
import type { Update } from '../../ports/document-language.js'
import { acceptRecords } from '../ingest/accept-records.js'
import { deliveredRecord } from '../touches/collect-results.js'
import { stopDispatch } from '../touches/stop-dispatch.js'
import { CONTACTED, liveReasons } from './reasons.js'
import type { GuideTask } from '../../stored/guides.js'
import type { ServiceDeps } from '../runtime/deps.js'
import { systemRecord } from '../ingest/system-records.js'

type Card = WecomEventOf<'card'>

type CardEvent = 'guide_contacted' | 'customer_interested' | 'opted_out'
const OUTCOME_EVENTS: Readonly<Record<string, CardEvent>> = {
  interested: 'customer_interested',
  [STOP_BUTTON]: 'opted_out',
}

/**
 * The guide pressed a button of her task's card: its touches are delivered, unless it says that the customer wants no messages;
 * and what she showed becomes an event.
 */
export async function closeTask(deps: ServiceDeps, card: Card): Promise<void> {
  const { docs } = deps
  const task = await docs.tasks.get(card.taskId)
  if (task === undefined) {
    deps.log.warn('card of no task of ours', { taskId: card.taskId })
    return
  }
  if (!isHers(task, card)) {
    deps.log.warn('card pressed by somebody else than its guide', { taskId: task._id, userId: card.userId })
    return
  }
  const touches = await docs.touches.getMany(task.touchIds)
  // She was not to be written to: nothing of it has reached her.
  const isStop = card.key === STOP_BUTTON
  await acceptRecords(deps, `card:${task._id}:${card.key}`, [
    ...cardRecords(task, card),
    ...(isStop ? [] : touches.map((t) => deliveredRecord(t, card.at))),
  ])
  const update: Update<Touch> = isStop
    ? { $set: { state: 'suppressed', reason: 'opted_out' } }
    : { $set: { state: 'delivered', confirmedAt: card.at, deliveredAt: card.at }, $unset: { reason: 1 } }
  await docs.touches.updateEach(
    touches.map((t) => ({
      id: t._id,
      // Also what was taken off this card since she pressed: it has reached the customer, and counts among her caps.
      where: {
        $or: [
          { state: { $in: ['planned', 'created', 'expired', 'unknown'] } },
          { state: 'suppressed', dispatchId: task._id },
        ],
      },
      update,
    })),
  )
  await endOthers(deps, task._id, touches)
  await docs.tasks.update(
    task._id,
    { $set: { state: 'done', outcome: card.key, closedAt: card.at } },
    // The button that was pressed last counts, whichever is worked on last.
    { $or: [{ state: { $ne: 'done' } }, { closedAt: { $lte: card.at } }] },
  )
  if (card.responseCode === undefined) return
  try {
    await deps.wecom.closeCard({ userId: card.userId, responseCode: card.responseCode, text: '已处理' })
  } catch (err) {
    // The task is closed in our books; a button that still looks live does no harm.
    deps.log.warn('card could not be closed', { taskId: task._id, cause: messageOf(err) })
  }
}

/** A card that came in the place of this one and has no other reason: she has done it. */
async function endOthers({ docs, clock }: ServiceDeps, cardId: string, touches: readonly Touch[]): Promise<void> {
  const ids = new Set(touches.flatMap((t) => t.dispatchId ?? []))
  ids.delete(cardId)
  for (const card of await docs.dispatches.getMany([...ids]))
    if ((await liveReasons(docs, card._id)).length === 0) await stopDispatch(docs, card, CONTACTED, clock.now())
}

/** The platform compares userids without regard to case. */
function isHers({ guideUserId }: GuideTask, { userId }: Card): boolean {
  return guideUserId.toLowerCase() === userId.toLowerCase()
}

function cardRecords(task: GuideTask, card: { key: string; userId: string; at: Date }): InboxRecord[] {
  const properties = { taskId: task._id, userId: card.userId, outcome: card.key }
  const shown = own(OUTCOME_EVENTS, card.key)
  const names: CardEvent[] = ['guide_contacted', ...(shown === undefined ? [] : [shown])]
  return names.map((name) =>
    systemRecord(
      task.profileId,
      card.at,
      systemEvent(name, { id: `task:${task._id}:${name}`, occurredAt: card.at, properties }),
    ),
  )
}
