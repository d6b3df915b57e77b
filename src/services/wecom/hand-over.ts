import { systemEvent } from '../../domain/events/system-events.js'
import { needsContact } from '../../domain/touches/address.js'
import { cardChannels, carrierNames, channelsWith } from '../../domain/touches/channels.js'
import { linkKey } from '../../domain/identity/resolve.js'
import { relationId } from '../../domain/wecom/relation.js'
import { messageOf } from '../../errors.js'
import { hashKey } from '../../random.js'
import { MINUTE_MS } from '../../time.js'
import { acceptRecords } from '../ingest/accept-records.js'
import { bucketOf } from '../../stored/buckets.js'
import type { GuideTask } from '../../stored/guides.js'
import type { ServiceDeps } from '../runtime/deps.js'
import { freeReasons, SUPERSEDED } from '../guides/reasons.js'
import { takeOut } from '../touches/take-out.js'
import { mirrorRelations, retellCustomers } from './mirror-relations.js'
import { systemRecord } from '../ingest/system-records.js'

export const TRANSFERRED = 'transferred'
/** Of cards that wait to go to one guide: beyond it the platform drops them silently. */
const CARDS_A_MINUTE_MAX = 20

export type Handover = {
  /** Of the transfer: keys of what follows from it. */
  id: string
  from: string
  to: string
  externalUserId: string
  at: Date
}

/**
 * A customer has a new owner: she takes the old one's place in the customer's story, her open tasks and what waits for its
 * release. Every step finds what is left to do, so it may be repeated.
 */
export async function handOver(deps: ServiceDeps, handover: Handover): Promise<void> {
  const { docs } = deps
  const { id, from, to, externalUserId, at } = handover
  const readAt = deps.clock.now()
  const relations = await deps.wecom.relationsOf(externalUserId, 'callback')
  await mirrorRelations(deps, { relations, complete: [externalUserId], readAt, cause: `transfer:${id}` })
  const link = await docs.identifiers.get(linkKey({ type: 'external_userid', value: externalUserId }))
  const profile = link === undefined ? undefined : await docs.profiles.get(link.profileId)
  if (profile === undefined) {
    deps.log.warn('customer changed hands before we knew her', { externalUserId, from, to })
    return
  }
  const before = profile.contacts.find((c) => c.userId === from && c.externalUserId === externalUserId)
  const since = before?.ownerSince ?? before?.since ?? at
  // The one who takes her over has known her for as long as the one before.
  await docs.wecomRelations.update(relationId(to, externalUserId), { $set: { ownerSince: since } })
  await retellCustomers(deps, [externalUserId], `transfer:${id}`)
  await acceptRecords(deps, `owner:${id}`, [
    systemRecord(
      profile._id,
      at,
      systemEvent('owner_changed', {
        id: `owner:${id}`,
        occurredAt: at,
        properties: { fromUserId: from, toUserId: to, externalUserId, since: since.toISOString() },
      }),
    ),
  ])
  await moveTouches(deps, profile._id, handover)
  for (const task of await docs.tasks.find({ profileId: profile._id, state: 'open' }))
    if (task.guideUserId === from) await moveTask(deps, task, to)
  deps.log.info('customer handed over', { externalUserId, from, to })
}

/** Channels that reach the customer in the name of a member. */
const TO_HER = channelsWith((kind) => needsContact(kind) && kind.address.kind === 'identifier')
const CARRIED_TO_HER = carrierNames.filter((name) => TO_HER.includes(name))

/** What stands in a dispatch of the old owner that was not asked for yet waits for its release again. */
async function moveTouches(deps: ServiceDeps, profileId: number, { from, externalUserId }: Handover): Promise<void> {
  const { dispatches, touches } = deps.docs
  const theirs = await dispatches.find({
    senderUserId: from,
    channel: { $in: CARRIED_TO_HER },
    state: 'ready',
    'recipients.externalUserId': externalUserId,
  })
  for (const { _id } of theirs) {
    // Not ready any more: it is being sent, and what comes of it shows in its results.
    await takeOut(deps.docs, _id, (r) => r.externalUserId === externalUserId, TRANSFERRED, ['ready'])
  }
  const waiting = await touches.find({
    profileId,
    state: 'planned',
    channel: { $in: TO_HER },
    senderUserId: from,
    dispatchId: { $exists: true },
  })
  const holding = new Map((await dispatches.getMany(waiting.map((t) => t.dispatchId!))).map((d) => [d._id, d]))
  const left = waiting.filter((t) => holding.get(t.dispatchId!)?.recipients.some((r) => r.touchId === t._id) !== true)
  await touches.updateEach(
    left.map((t) => ({
      id: t._id,
      where: { state: 'planned', dispatchId: t.dispatchId },
      update: {
        $set: { releaseAt: deps.clock.now() },
        $unset: { dispatchId: 1, senderUserId: 1, externalUserId: 1, releasedAt: 1 },
      },
    })),
  )
}

/**
 * The new owner gets a card of her own. Where she has one of this customer, the reasons wait for their release again, and one
 * card tells of all. The old card is locked.
 */
async function moveTask(deps: ServiceDeps, task: GuideTask, to: string): Promise<void> {
  const { docs, clock } = deps
  const now = clock.now()
  const old = await docs.dispatches.get(task._id)
  const id = hashKey(20, 'task', task._id, to)
  const isNew = old !== undefined && (await otherTask(deps, task, to, id)) === undefined
  if (isNew) {
    await docs.tasks.insert([{ ...task, _id: id, guideUserId: to }])
    // Before the new card is written down: what comes of it goes to touches that name it.
    await docs.touches.updateEach(
      task.touchIds.map((touchId) => ({
        id: touchId,
        // Unless it has moved on since.
        where: {
          state: { $in: ['planned', 'created'] },
          $or: [{ dispatchId: task._id }, { dispatchId: { $exists: false } }],
        },
        update: { $set: { dispatchId: id, senderUserId: to } },
      })),
    )
    const nextAt = await nextCardAt(deps, to, now)
    const {
      responseCode: _code,
      remoteId: _remote,
      reason: _reason,
      claim: _claim,
      silent: _silent,
      ends: _ends,
      ...content
    } = old
    const fresh = { state: 'ready' as const, releasedAt: now, nextAt, attempts: 0, polls: 0 }
    const sender = { senderUserId: to, bucket: bucketOf(to) }
    await docs.dispatches.insert([{ ...content, ...fresh, ...sender, _id: id }])
  }
  // A card that was not asked for yet must not go out any more.
  // One that is being made is ended by whoever makes it: see `endUnasked`.
  await docs.dispatches.update(task._id, { $set: { ends: SUPERSEDED, nextAt: now } }, { state: 'new' })
  for (const [before, state] of [
    ['ready', 'refused'],
    ['created', 'done'],
  ] as const) {
    const moved = { $set: { state, reason: TRANSFERRED }, $unset: { nextAt: 1 as const, silent: 1 as const } }
    await docs.dispatches.update(task._id, moved, { state: before })
  }
  await freeReasons(docs, task._id, TRANSFERRED, now)
  if (old?.responseCode === undefined) return
  try {
    await deps.wecom.closeCard({ userId: task.guideUserId, responseCode: old.responseCode, text: '已转交' })
  } catch (err) {
    // A button that still looks live finds its task closed.
    deps.log.warn('card could not be closed', { taskId: task._id, cause: messageOf(err) })
  }
}

function otherTask({ docs }: ServiceDeps, { profileId }: GuideTask, guideUserId: string, id: string) {
  return docs.tasks.findOne({ profileId, guideUserId, state: 'open', _id: { $ne: id } })
}

/** Cards that move together are spread: WeCom drops what goes beyond 30 a minute to one member. */
async function nextCardAt({ docs, definitions }: ServiceDeps, userId: string, now: Date): Promise<Date> {
  const perMinute = Math.min(CARDS_A_MINUTE_MAX, definitions.current.policy.tasksPerGuidePerMinute)
  const ahead = await docs.dispatches.count({
    senderUserId: userId,
    channel: { $in: cardChannels },
    releasedAt: { $gt: new Date(now.getTime() - MINUTE_MS) },
  })
  return new Date(now.getTime() + Math.floor(ahead / perMinute) * MINUTE_MS)
}
