import { carrierOf, channelKinds, type ChannelName, channelsWith } from '../../domain/touches/channels.js'
import { ownerOf, type Contact, type Profile } from '../../domain/identity/profile.js'
import type { Content } from '../../domain/content/content.js'
import { decideRelease, releaseAfter } from '../../domain/touches/policy.js'
import type { SuppressReason, Touch } from '../../domain/touches/touch.js'
import { ConflictError } from '../../errors.js'
import type { Filter } from '../../ports/document-store.js'
import { relationId } from '../../domain/wecom/relation.js'
import { hashKey } from '../../random.js'
import { DAY_MS, MINUTE_MS } from '../../time.js'
import { bucketOf } from '../../stored/buckets.js'
import type { DispatchDoc } from '../../stored/touches.js'
import type { GuideTask } from '../../stored/guides.js'
import type { Deps } from '../runtime/deps.js'
import { messageContent } from './message-content.js'
import { contentsOfTouches } from './pinned-content.js'
import { renderContent } from './render-content.js'
import { isStopped } from './switch-sending.js'
import { CONTENT_WITHDRAWN } from './withdraw-content.js'

export { STOP_SWITCH } from './switch-sending.js'

const BATCH = 1_000
/** A touch whose content cannot be read here is looked at again after this. */
const UNREADABLE_MS = 10 * MINUTE_MS
const LOOK_BACK_MS = 62 * DAY_MS
/** Its touches were released by another dispatch. */
const SUPERSEDED = 'superseded'
/** States in which a touch has taken its place among a person's caps. */
const RELEASED = ['created', 'confirmed', 'delivered', 'unknown']

/**
 * Lets due touches out: policy per person over all journeys, then one dispatch per content and sender. A dispatch is
 * written down before its touches are marked, and is ready to be asked for when they are.
 */
export async function releaseTouches(deps: Deps, signal?: AbortSignal): Promise<void> {
  if (await isStopped(deps)) return
  await adoptNew(deps)
  while (signal?.aborted !== true) {
    const now = deps.clock.now()
    const { timeZone } = deps.brand
    const openAt = releaseAfter(deps.definitions.current.policy, now, timeZone)
    const due = await deps.docs.touches.find(
      { state: 'planned', releaseAt: { $lte: now } },
      { sort: { releaseAt: 1, _id: 1 }, limit: BATCH },
    )
    if (due.length === 0) break
    if (openAt > now) {
      await deps.docs.touches.updateMany(
        { state: 'planned', releaseAt: { $lte: now } },
        { $set: { releaseAt: openAt } },
      )
      break
    }
    await releaseBatch(deps, due, now)
  }
  await deps.jobs.add('send-dispatches', undefined, { key: 'send-dispatches' })
}

const isForGuide = (channel: ChannelName) => channelKinds[channel].address.kind === 'staff'
const CARDS = channelsWith(({ address }) => address.kind === 'staff')

type Approved = { touch: Touch; profile: Profile; contact: Contact; content: Content; couponCode?: string }

async function releaseBatch(deps: Deps, due: readonly Touch[], now: Date): Promise<void> {
  const approved = await applyPolicy(deps, due, now)
  await dispatchMessages(
    deps,
    approved.filter((a) => !isForGuide(a.touch.channel)),
    now,
  )
  await dispatchTasks(
    deps,
    approved.filter((a) => isForGuide(a.touch.channel)),
    now,
  )
}

async function applyPolicy(deps: Deps, due: readonly Touch[], now: Date): Promise<Approved[]> {
  const { docs, sending } = deps
  const { policy } = deps.definitions.current
  const ids = [...new Set(due.map((t) => t.profileId))]
  const profiles = new Map((await docs.profiles.getMany(ids)).map((p) => [p._id, p]))
  const merged = [...profiles.values()].filter((p) => p.mergedInto !== undefined)
  if (merged.length > 0) return applyPolicy(deps, await moveToSurvivors(deps, due, merged), now)
  const earlier = await docs.touches.find({
    profileId: { $in: ids },
    state: { $in: ['planned', ...RELEASED] },
    releasedAt: { $gt: new Date(now.getTime() - LOOK_BACK_MS) },
  })
  const ended = await endedRelations(deps, [...profiles.values()])
  const left = await leftRuns(deps, due)
  const rank = new Map(policy.priority.map((id, i) => [id, i]))
  const inOrder = [...due].sort(
    (a, b) =>
      (rank.get(a.journeyId) ?? rank.size) - (rank.get(b.journeyId) ?? rank.size) ||
      a.plannedAt.getTime() - b.plannedAt.getTime() ||
      (a._id < b._id ? -1 : 1),
  )
  const taken = new Map(ids.map((id) => [id, [] as { at: Date; mass: boolean }[]]))
  const take = (touch: Touch, at: Date) =>
    taken.get(touch.profileId)?.push({ at, mass: channelKinds[touch.channel].usesQuota })
  for (const touch of earlier) take(touch, touch.releasedAt!) // they were found by it
  const contentOf = await contentsOfTouches(deps, due)
  const approved: Approved[] = []
  const unreadable: { touch: Touch; reason: string }[] = []
  const suppressed: { touch: Touch; reason: SuppressReason }[] = []
  for (const touch of inOrder) {
    const profile = profiles.get(touch.profileId)
    const contact = profile === undefined ? undefined : ownerOf(standing(profile, ended))
    if (left.has(touch.runId)) {
      suppressed.push({ touch, reason: 'exited' })
      continue
    }
    if (deps.definitions.current.withdrawn.has(touch.contentId)) {
      suppressed.push({ touch, reason: CONTENT_WITHDRAWN })
      continue
    }
    const content = contentOf(touch)
    if (content !== undefined && 'unreadable' in content) {
      unreadable.push({ touch, reason: content.unreadable })
      continue
    }
    if (content === undefined) {
      deps.log.error('content of a planned touch is gone', { touchId: touch._id, contentId: touch.contentId })
      suppressed.push({ touch, reason: 'no_content' })
      continue
    }
    const mine = taken.get(touch.profileId) ?? []
    const decision = decideRelease(policy, touch.channel, {
      now,
      optedOut: profile?.optedOutAt !== undefined,
      reachable: contact !== undefined,
      releasedAt: mine.map((t) => t.at),
      massReleasedAt: mine.filter((t) => t.mass).map((t) => t.at),
      sending: sending.mode,
      onAllowList: profile !== undefined && profile.identifiers.some((i) => sending.allowList.includes(i.value)),
    })
    if (decision.kind === 'suppress') {
      suppressed.push({ touch, reason: decision.reason })
      continue
    }
    const couponCode = content.coupon === undefined ? undefined : await takeCode(deps, content.coupon, touch._id, now)
    if (content.coupon !== undefined && couponCode === undefined) {
      suppressed.push({ touch, reason: 'coupon_stock' })
      continue
    }
    take(touch, now)
    approved.push({
      touch,
      profile: profile!,
      contact: contact!,
      content,
      ...(couponCode === undefined ? {} : { couponCode }),
    })
  }
  await docs.touches.updateEach(
    suppressed.map(({ touch, reason }) => ({
      id: touch._id,
      where: waitsSince(now),
      update: { $set: { state: 'suppressed', reason }, $unset: { releaseAt: 1 } },
    })),
  )
  for (const { touch, reason } of suppressed) deps.log.info('touch suppressed', { touchId: touch._id, reason })
  await putOff(deps, unreadable, now)
  return approved
}

/** Another version of this program may know what they say, or the next publication of it. */
async function putOff(
  { docs, log }: Deps,
  touches: readonly { touch: Touch; reason: string }[],
  now: Date,
): Promise<void> {
  const releaseAt = new Date(now.getTime() + UNREADABLE_MS)
  await docs.touches.updateEach(
    touches.map(({ touch }) => ({ id: touch._id, where: waitsSince(now), update: { $set: { releaseAt } } })),
  )
  for (const reason of new Set(touches.map((t) => t.reason)))
    log.error('touches cannot be released here', {
      cause: reason,
      touches: touches.filter((t) => t.reason === reason).length,
    })
}

/** A touch that was planned while its person was being merged is the survivor's. */
async function moveToSurvivors({ docs }: Deps, due: readonly Touch[], merged: readonly Profile[]): Promise<Touch[]> {
  const survivorOf = new Map(merged.map((p) => [p._id, p.mergedInto]))
  const moved = due.map((t) => ({ ...t, profileId: survivorOf.get(t.profileId) ?? t.profileId }))
  const theirs = moved.filter((t, i) => t.profileId !== due[i]!.profileId)
  await docs.touches.updateEach(theirs.map((t) => ({ id: t._id, update: { $set: { profileId: t.profileId } } })))
  return moved
}

/**
 * A touch that nobody has decided on since this instant: whoever decides puts it off, suppresses it or gives it to a dispatch,
 * so what one who was slow has decided on it comes to nothing.
 */
function waitsSince(now: Date): Filter {
  return { state: 'planned', dispatchId: { $exists: false }, releaseAt: { $lte: now } }
}

/** Runs that were left between the moment they were read for their next step and the moment it was written down. */
async function leftRuns({ docs }: Deps, touches: readonly Touch[]): Promise<Set<string>> {
  const runs = await docs.runs.getMany([...new Set(touches.map((t) => t.runId))])
  return new Set(runs.filter((r) => r.outcome === 'exited' || r.outcome === 'merged').map((r) => r._id))
}

/** Relations that ended by the mirror's word, which may be ahead of the profile, by id. */
async function endedRelations({ docs }: Deps, profiles: readonly Profile[]): Promise<Map<string, Date>> {
  const ids = profiles.flatMap((p) => p.contacts.map((c) => relationId(c.userId, c.externalUserId)))
  const relations = await docs.wecomRelations.getMany(ids)
  return new Map(
    relations.flatMap((r) => (r.state === 'active' || r.endedAt === undefined ? [] : [[r._id, r.endedAt]])),
  )
}

function standing(profile: Profile, ended: ReadonlyMap<string, Date>): Profile {
  const contacts = profile.contacts.filter((c) => {
    const endedAt = ended.get(relationId(c.userId, c.externalUserId))
    return endedAt === undefined || endedAt < c.since
  })
  return { ...profile, contacts }
}

/** One code per touch: the one it has already, or the lowest free one of the pool. */
async function takeCode(deps: Deps, pool: string, touchId: string, now: Date): Promise<string | undefined> {
  const { coupons } = deps.docs
  const mine = await coupons.findOne({ touchId })
  if (mine !== undefined) return mine.code
  try {
    const taken = await coupons.findOneAndUpdate(
      { pool, state: 'free' },
      { $set: { state: 'issued', touchId, issuedAt: now } },
      { sort: { _id: 1 } },
    )
    return taken?.code
  } catch (err) {
    // Somebody else has taken one for this touch just now.
    if (!(err instanceof ConflictError)) throw err
    return (await coupons.findOne({ touchId }))?.code
  }
}

/** Mass messages: everyone with the same words from the same guide goes in one call. */
async function dispatchMessages(deps: Deps, approved: readonly Approved[], now: Date): Promise<void> {
  const groups = new Map<string, Approved[]>()
  for (const a of approved) {
    const key = JSON.stringify([a.contact.userId, a.content, a.touch.journeyId, carrierOf(a.touch.channel)])
    groups.set(key, [...(groups.get(key) ?? []), a])
  }
  const dispatches = [...groups.values()].map((group): DispatchDoc => {
    const { contact, content, touch } = group[0]!
    const recipients = group
      .map((a) => ({ touchId: a.touch._id, externalUserId: a.contact.externalUserId }))
      .sort((a, b) => (a.touchId < b.touchId ? -1 : 1))
    const id = hashKey(20, 'dispatch', now.getTime(), contact.userId, content.id, ...recipients.map((r) => r.touchId))
    return {
      _id: id,
      channel: carrierOf(touch.channel),
      state: 'new',
      senderUserId: contact.userId,
      bucket: bucketOf(contact.userId),
      recipients,
      contentId: content.id,
      content: messageContent(deps, content, id),
      releasedAt: now,
      nextAt: now,
      attempts: 0,
      polls: 0,
    }
  })
  await writeDispatches(
    deps,
    dispatches.map((dispatch) => ({ dispatch })),
  )
}

/** Guide tasks: one open task per guide and customer; a further reason joins it instead of making a second card. */
async function dispatchTasks(deps: Deps, approved: readonly Approved[], now: Date): Promise<void> {
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
      await join(deps, a, open._id, { title, dueAt, now })
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
        card: {
          title,
          rows: [
            { name: '客户', value: customerName(a.profile) },
            ...(a.couponCode === undefined ? [] : [{ name: '券码', value: a.couponCode }]),
            { name: '原因', value: a.touch.journeyId },
          ],
          buttons: [
            { key: 'done', text: '已联系' },
            { key: 'interested', text: '有意向' },
            { key: 'stop', text: '不再打扰' },
          ],
        },
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
async function join(
  { docs }: Deps,
  { touch, contact, couponCode }: Approved,
  taskId: string,
  { title, dueAt, now }: { title: string; dueAt: Date; now: Date },
): Promise<void> {
  const joining = { $addToSet: { touchIds: touch._id, titles: title }, $max: { dueAt } }
  if (!(await docs.tasks.update(taskId, joining, { state: 'open' }))) return
  const joined = {
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
    channel: { $in: CARDS },
  })
}

function customerName(profile: Profile): string {
  const names = Object.entries(profile.traits['name'] ?? {}).filter(([, { value }]) => value !== null)
  const [first] = names.sort(([a], [b]) => (a < b ? -1 : 1))
  return first === undefined ? `#${profile._id}` : String(first[1].value)
}

/** A dispatch that is written down, and the code that its touch goes with. */
type New = { dispatch: DispatchDoc; couponCode?: string | undefined }

async function writeDispatches(deps: Deps, fresh: readonly New[]): Promise<void> {
  await deps.docs.dispatches.insert(fresh.map((one) => one.dispatch))
  await makeReady(deps, fresh)
}

/** Marks the touches of new dispatches. One that was suppressed meanwhile, or stands in another dispatch, leaves its own. */
async function makeReady(deps: Deps, fresh: readonly New[]): Promise<void> {
  const { dispatches, touches } = deps.docs
  await touches.updateEach(
    fresh.flatMap(({ dispatch: { _id, recipients, releasedAt, senderUserId }, couponCode }) => {
      const where = waitsSince(releasedAt)
      const code = couponCode === undefined ? {} : { couponCode }
      return recipients.map(({ touchId, externalUserId }) => ({
        id: touchId,
        where,
        update: {
          $set: { dispatchId: _id, releasedAt, senderUserId, externalUserId, ...code },
          $unset: { releaseAt: 1 },
        },
      }))
    }),
  )
  const ids = fresh.flatMap(({ dispatch }) => dispatch.recipients.map((r) => r.touchId))
  const marked = new Map((await touches.getMany(ids)).map((t) => [t._id, t]))
  const ready: DispatchDoc[] = []
  for (const { dispatch } of fresh) {
    const { _id, recipients } = dispatch
    const theirs = recipients.flatMap((r) => marked.get(r.touchId) ?? [])
    const mine = new Set(
      theirs.filter((t) => t.dispatchId === _id && (t.state === 'planned' || t.state === 'created')).map((t) => t._id),
    )
    for (const { touchId } of recipients)
      if (!mine.has(touchId)) await dispatches.update(_id, { $pull: { recipients: { touchId } } }, { state: 'new' })
    if (mine.size > 0) ready.push(dispatch)
    else await drop(deps, dispatch, theirs.find((t) => t.reason !== undefined)?.reason ?? SUPERSEDED)
  }
  const where = { state: 'new' }
  await dispatches.updateEach(ready.map(({ _id: id }) => ({ id, where, update: { $set: { state: 'ready' } } })))
}

/** A dispatch without touches. */
async function drop({ docs, clock }: Deps, dispatch: DispatchDoc, reason: string): Promise<void> {
  const { dispatches, touches } = docs
  const { _id } = dispatch
  await dispatches.update(_id, { $set: { state: 'refused', reason }, $unset: { nextAt: 1 } }, { state: 'new' })
  if (!isForGuide(dispatch.channel)) return
  const now = clock.now()
  await docs.tasks.update(_id, { $set: { state: 'expired', outcome: reason, closedAt: now } }, { state: 'open' })
  // The card never goes out: reasons that have joined it wait for their release again.
  const joined = (await docs.tasks.get(_id))?.touchIds ?? []
  await touches.updateMany(
    { _id: { $in: joined }, dispatchId: _id, state: 'created' },
    {
      $set: { state: 'planned', releaseAt: now },
      $unset: { dispatchId: 1, senderUserId: 1, externalUserId: 1, releasedAt: 1 },
    },
  )
}

/** After a crash: dispatches that were written down, but whose touches may not be marked. */
async function adoptNew(deps: Deps): Promise<void> {
  for (const dispatch of await deps.docs.dispatches.find({ state: 'new' })) {
    const [first] = dispatch.recipients
    const hasCode = isForGuide(dispatch.channel) && first !== undefined
    const coupon = hasCode ? await deps.docs.coupons.findOne({ touchId: first.touchId }) : undefined
    await makeReady(deps, [{ dispatch, couponCode: coupon?.code }])
  }
}
