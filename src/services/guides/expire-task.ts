import { lookAt } from '../../domain/touches/policy.js'
import { DAY_MS } from '../../time.js'
import type { GuideTask } from '../../stored/guides.js'
import type { DispatchDoc } from '../../stored/touches.js'
import type { Deps } from '../runtime/deps.js'
import { asRead, isTakenBack, lookAgain } from '../touches/look-again.js'
import { toDispatch } from '../touches/send-dispatches.js'
import { closeCard } from '../touches/stop-dispatch.js'
import { CONTACTED, freeReasons, SUPERSEDED, whyOver } from './reasons.js'

/** An app message can be recalled for so long (errcode 42052, developer.work.weixin.qq.com/document/path/94867, read 2026-08). */
const RECALL_MS = DAY_MS

/** What a card says that is over, by why: 10 characters at most. */
const CLOSING: Readonly<Record<string, string>> = {
  exited: '无需再联系',
  opted_out: '客户已退订',
  lost_contact: '已不是好友',
  content_withdrawn: '内容已撤回',
  [SUPERSEDED]: '见新卡片',
  [CONTACTED]: '已联系',
}
const EXPIRED = '已过期'

/** A card has no results to ask for: its buttons come back as events. What nobody did until it was due, expires. */
export async function expireTask(deps: Deps, doc: DispatchDoc, now: Date): Promise<void> {
  const { docs } = deps
  if (doc.reason === SUPERSEDED) await freeReasons(docs, doc._id, SUPERSEDED, now)
  else if (isTakenBack(doc)) await closeCard(docs, doc, doc.reason, now)
  const task = await docs.tasks.get(doc._id)
  if (task?.state === 'open' && now < task.dueAt) {
    await lookAgain(deps, doc, lookAt(task.dueAt))
    return
  }
  // First: what is pressed on it until then counts.
  if (task !== undefined && task.state !== 'done') await takeCardBack(deps, doc, await whyClosed(deps, doc, task), now)
  if (task?.state === 'open') {
    await docs.touches.updateEach(
      task.touchIds.map((id) => ({
        id,
        where: { state: 'created', dispatchId: task._id },
        update: { $set: { state: 'expired' } },
      })),
    )
    await docs.tasks.update(task._id, { $set: { state: 'expired', closedAt: now } }, { state: 'open' })
  }
  await docs.dispatches.update(doc._id, { $set: { state: 'done' }, $unset: { nextAt: 1, silent: 1 } }, asRead(doc))
}

/** Of one that was to be made anew: whether anything is left of which a new one tells. */
async function whyClosed(
  { docs }: Deps,
  { reason }: DispatchDoc,
  { touchIds }: GuideTask,
): Promise<string | undefined> {
  return reason === SUPERSEDED ? whyOver(await docs.touches.getMany(touchIds), reason) : reason
}

/**
 * Closes it by its one update, so that the guide reads why. One whose reasons stand on a new card goes without a trace while it
 * can be recalled.
 */
async function takeCardBack(
  { channels }: Deps,
  doc: DispatchDoc,
  reason: string | undefined,
  now: Date,
): Promise<void> {
  const { remoteId, responseCode, releasedAt } = doc
  if (remoteId === undefined) return
  const goes = reason === SUPERSEDED && now.getTime() - releasedAt.getTime() < RECALL_MS
  const text = CLOSING[reason ?? ''] ?? EXPIRED
  const closing = responseCode === undefined || goes ? {} : { closing: { responseCode, text } }
  await channels[doc.channel].cancel({ ...toDispatch(doc), remoteId, ...closing })
}
