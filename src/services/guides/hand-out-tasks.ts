import { cardOf } from '../../domain/guides/card.js'
import { cardChannels, carrierOf } from '../../domain/touches/channels.js'
import type { Approved } from '../../domain/touches/plan-touches.js'
import { hashKey } from '../../random.js'
import { MINUTE_MS } from '../../time.js'
import type { Touch } from '../../domain/touches/touch.js'
import { bucketOf } from '../../stored/buckets.js'
import type { GuideTask } from '../../stored/guides.js'
import type { DispatchDoc } from '../../stored/touches.js'
import type { Deps } from '../runtime/deps.js'
import { renderContent } from '../../domain/content/render.js'
import { waitsSince, writeDispatches } from '../touches/write-dispatches.js'

/** A touch that a guide gets: the one who has the customer. */
export type ForGuide = Approved & Required<Pick<Approved, 'contact'>>

/** Guide tasks: one open task per guide and customer; a further reason joins it instead of making a second card. */
export async function handOutTasks(deps: Deps, approved: readonly ForGuide[], now: Date): Promise<void> {
  const { docs } = deps
  const perMinute = deps.definitions.current.policy.tasksPerGuidePerMinute
  const sentTo = new Map<string, number>()
  for (const a of approved) {
    const id = hashKey(20, 'task', a.touch._id)
    // Its own task is there after a crash that came before its dispatch was written.
    const open = await docs.tasks.findOne({
      profileId: a.touch.profileId,
      guideUserId: a.contact.userId,
      state: 'open',
      _id: { $ne: id },
    })
    const dueAt = a.touch.dueAt ?? new Date(now.getTime() + deps.definitions.current.policy.confirmWithin)
    const title = a.touch.title ?? a.content.text.slice(0, 20)
    if (open !== undefined) {
      await joinTask(deps, a, open._id, { title, dueAt, now })
      continue
    }
    const count = sentTo.get(a.contact.userId) ?? (await cardsLately(deps, a.contact.userId, now))
    sentTo.set(a.contact.userId, count + 1)
    if (count >= perMinute) {
      const later = { $set: { releaseAt: new Date(now.getTime() + MINUTE_MS) } }
      await docs.touches.update(a.touch._id, later, waitsSince(now))
      continue
    }
    const task: GuideTask = {
      _id: id,
      guideUserId: a.contact.userId,
      profileId: a.touch.profileId,
      externalUserId: a.contact.externalUserId,
      touchIds: [a.touch._id],
      titles: [title],
      state: 'open',
      createdAt: now,
      dueAt,
    }
    await docs.tasks.insert([task])
    const script = renderContent(a.content, {
      brand: deps.brand.name,
      ...(a.couponCode === undefined ? {} : { coupon: a.couponCode }),
    })
    const dispatch: DispatchDoc = {
      _id: id,
      channel: carrierOf(a.touch.channel),
      state: 'new',
      senderUserId: a.contact.userId,
      bucket: bucketOf(a.contact.userId),
      recipients: [{ touchId: a.touch._id, externalUserId: a.contact.externalUserId }],
      contentId: a.content.id,
      content: {
        text: script,
        card: cardOf(title, { profile: a.profile, reason: a.touch.journeyId, couponCode: a.couponCode }),
      },
      releasedAt: now,
      nextAt: now,
      attempts: 0,
      polls: 0,
    }
    await writeDispatches(deps, [{ dispatch, couponCode: a.couponCode }])
  }
}

/** A further reason joins an open task. Where the task has closed meanwhile, or the touch went elsewhere, nothing stays of it. */
async function joinTask(
  { docs }: Deps,
  { touch, contact, couponCode }: ForGuide,
  taskId: string,
  { title, dueAt, now }: { title: string; dueAt: Date; now: Date },
): Promise<void> {
  const joining = { $addToSet: { touchIds: touch._id, titles: title }, $max: { dueAt } }
  if (!(await docs.tasks.update(taskId, joining, { state: 'open' }))) return
  const joined: Partial<Touch> = {
    state: 'created',
    releasedAt: now,
    dispatchId: taskId,
    senderUserId: contact.userId,
    externalUserId: contact.externalUserId,
    ...(couponCode === undefined ? {} : { couponCode }),
  }
  if (await docs.touches.update(touch._id, { $set: joined, $unset: { releaseAt: 1 } }, waitsSince(now))) return
  if ((await docs.touches.get(touch._id))?.dispatchId === taskId) return
  await docs.tasks.update(taskId, { $pull: { touchIds: touch._id } })
}

/** Cards this guide was handed within the last minute. */
function cardsLately({ docs }: Deps, senderUserId: string, now: Date): Promise<number> {
  return docs.dispatches.count({
    senderUserId,
    releasedAt: { $gt: new Date(now.getTime() - MINUTE_MS) },
    channel: { $in: cardChannels },
  })
}
