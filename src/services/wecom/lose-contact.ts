import { needsContact } from '../../domain/touches/address.js'
import { channelsWith } from '../../domain/touches/channels.js'
import { relationId } from '../../domain/wecom/relation.js'
import type { WecomEventOf } from '../../domain/wecom/event.js'
import { eventRecord } from '../../domain/wecom/event-record.js'
import { forAppText } from '../../escape.js'
import { messageOf } from '../../errors.js'
import type { GuideTask } from '../../stored/guides.js'
import type { Deps, ServiceDeps } from '../runtime/deps.js'
import { mirrorRelations } from './mirror-relations.js'
import { noteTransfer } from './transfer-customers.js'
import { dropLost, LOST_CONTACT, suppressLost } from '../touches/send-dispatches.js'
import { UNASKED } from '../touches/take-out.js'

/**
 * A relation ended: what was to reach this customer through this member stops, as far as it was not handed to WeCom; mass
 * messages for her alone are taken back. Done again, it finds nothing left to do.
 */
export async function loseContact(deps: ServiceDeps, lost: WecomEventOf<'contact_lost'>, cause: string): Promise<void> {
  const { docs } = deps
  const { userId, externalUserId, by, at } = lost
  const id = relationId(userId, externalUserId)
  const known = await docs.wecomRelations.get(id)
  const now = deps.clock.now()
  // An end that is told late, after she was added anew, ends nothing.
  const isStale = known !== undefined && (known.backAt ?? known.follow.addedAt) > at
  const record = eventRecord(lost, now)
  await mirrorRelations(deps, {
    ended: [{ userId, externalUserId, state: by === 'customer' ? 'lost' : 'ended', at }],
    records: record === undefined ? [] : [record],
    readAt: now,
    cause,
  })
  if (isStale) return
  // What was to come from the old owner comes from the new one.
  if (by === 'transfer') return noteTransfer(deps, lost)
  await stopTouches(deps, userId, externalUserId)
  deps.log.info('customer lost', { externalUserId, userId, by })
  // Told once: a repeat finds the relation ended. A crash right here costs the notice, not more.
  if (by === 'customer' && known?.state === 'active')
    await tellMembers(deps, userId, known.follow.remark ?? known.contact.name)
}

/** What reaches a customer in another way goes on. */
const THROUGH_CONTACTS = channelsWith(needsContact)

async function stopTouches(deps: Deps, userId: string, externalUserId: string): Promise<void> {
  const { docs } = deps
  const now = deps.clock.now()
  for (const task of await docs.tasks.find({ guideUserId: userId, state: 'open' }))
    if (task.externalUserId === externalUserId) await endTask(deps, task, now)
  const theirs = await docs.dispatches.find({
    senderUserId: userId,
    state: { $in: [...UNASKED, 'sending', 'created'] },
    'recipients.externalUserId': externalUserId,
  })
  for (const dispatch of theirs) {
    if (dispatch.state === 'new' || dispatch.state === 'ready') {
      await dropLost(docs, dispatch, new Set([externalUserId]))
    } else if (dispatch.recipients.every((r) => r.externalUserId === externalUserId)) {
      await docs.dispatches.update(dispatch._id, { $set: { reason: LOST_CONTACT, nextAt: now } }, { state: 'created' })
      await docs.dispatches.update(dispatch._id, { $set: { reason: LOST_CONTACT } }, { state: 'sending' })
    }
  }
  await stopPlanned(deps, userId, externalUserId)
}

async function endTask(deps: Deps, task: GuideTask, now: Date): Promise<void> {
  const ended = { state: 'expired' as const, outcome: LOST_CONTACT, closedAt: now }
  await suppressLost(deps.docs, task.touchIds)
  await deps.docs.tasks.update(task._id, { $set: ended }, { state: 'open' })
}

/** What waits for its release has no sender yet: it stops when nobody else can send it. */
async function stopPlanned({ docs }: Deps, userId: string, externalUserId: string): Promise<void> {
  const link = await docs.identifiers.get(`external_userid:${externalUserId}`)
  const profile = link === undefined ? undefined : await docs.profiles.get(link.profileId)
  if (profile === undefined) return
  const others = profile.contacts.filter(
    (c) => c.endedAt === undefined && (c.userId !== userId || c.externalUserId !== externalUserId),
  )
  const ids = others.map((c) => relationId(c.userId, c.externalUserId))
  const ended = (await docs.wecomRelations.getMany(ids)).filter((r) => r.state !== 'active')
  if (others.length > ended.length) return
  await docs.touches.updateMany(
    { profileId: profile._id, state: 'planned', dispatchId: { $exists: false }, channel: { $in: THROUGH_CONTACTS } },
    { $set: { state: 'suppressed', reason: LOST_CONTACT }, $unset: { releaseAt: 1 } },
  )
}

async function tellMembers(deps: ServiceDeps, userId: string, name: string | undefined): Promise<void> {
  const { lostNotice } = deps.wecomSettings
  const to = [...(lostNotice.guide ? [userId] : []), ...lostNotice.userIds]
  for (const receiver of new Set(to)) {
    const isHers = receiver === userId
    const who = name === undefined ? undefined : forAppText(name)
    const zh = `客户流失：${who ?? '一位客户'} 删除了 ${isHers ? '你' : userId}。`
    const en = `Customer lost: ${who ?? 'a customer'} deleted ${isHers ? 'you' : userId}.`
    try {
      await deps.wecom.tell(receiver, `${zh}\n${en}`)
    } catch (err) {
      deps.log.warn('lost-customer notice not sent', { userId: receiver, cause: messageOf(err) })
    }
  }
}
