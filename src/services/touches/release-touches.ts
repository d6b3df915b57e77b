import { carrierOf, isForGuide } from '../../domain/touches/channels.js'
import type { Profile } from '../../domain/identity/profile.js'
import { type Approved, planTouches } from '../../domain/touches/plan-touches.js'
import { releaseAfter } from '../../domain/touches/policy.js'
import type { SuppressReason, Touch } from '../../domain/touches/touch.js'
import { messageOf } from '../../errors.js'
import { hashKey } from '../../random.js'
import { MINUTE_MS } from '../../time.js'
import { bucketOf } from '../../stored/buckets.js'
import type { DispatchDoc } from '../../stored/touches.js'
import { takeCode } from '../content/take-code.js'
import { holdPublished } from '../definitions/follow-published.js'
import { type ForGuide, handOutTasks } from '../guides/hand-out-tasks.js'
import type { Deps } from '../runtime/deps.js'
import { eachAlone } from '../runtime/each-alone.js'
import { messageContent } from './message-content.js'
import { readTouchFacts } from './release-facts.js'
import { isStopped } from './switch-sending.js'
import { adoptNew, waitsSince, writeDispatches } from './write-dispatches.js'

export { STOP_SWITCH } from './switch-sending.js'

const BATCH = 1_000
/** A touch whose content cannot be read here is looked at again after this. */
const UNREADABLE_MS = 10 * MINUTE_MS

/**
 * Lets due touches out: policy per person over all journeys, then one dispatch per content and sender. A dispatch is
 * written down before its touches are marked, and is ready to be asked for when they are.
 */
export async function releaseTouches(deps: Deps, signal?: AbortSignal): Promise<void> {
  if (await isStopped(deps)) return
  await adoptNew(deps)
  while (signal?.aborted !== true) {
    const now = deps.clock.now()
    const due = await deps.docs.touches.find(
      { state: 'planned', releaseAt: { $lte: now } },
      { sort: { releaseAt: 1, _id: 1 }, limit: BATCH, skipUnfit: true },
    )
    if (due.length === 0) break
    const held = await holdPublished(deps)
    if (held === undefined) break
    const openAt = releaseAfter(held.definitions.current.policy, now, deps.brand.timeZone)
    if (openAt > now) {
      await deps.docs.touches.updateMany(
        { state: 'planned', releaseAt: { $lte: now } },
        { $set: { releaseAt: openAt } },
      )
      break
    }
    const putAside = (touch: Touch, err: unknown) => putOff(held, [{ touch, reason: messageOf(err) }], now)
    await eachAlone(due, (some) => releaseBatch(held, some, now), putAside)
  }
  await deps.jobs.add('send-dispatches', undefined, { key: 'send-dispatches' })
}

/** Facts, plan, act. */
async function releaseBatch(deps: Deps, due: readonly Touch[], now: Date): Promise<void> {
  const { touches, profiles } = await withSurvivors(deps, due)
  const plan = planTouches(deps.definitions.current.policy, touches, await readTouchFacts(deps, touches, profiles, now))
  const approved: Approved[] = []
  const suppressed: { touch: Touch; reason: SuppressReason }[] = []
  const unreadable: { touch: Touch; reason: string }[] = []
  const waiting: Waiting[] = []
  for (const planned of plan) {
    if (planned.kind === 'later') unreadable.push(planned)
    else if (planned.kind === 'wait') waiting.push(planned)
    else if (planned.kind === 'suppress') suppressed.push(planned)
    else {
      const { kind: _kind, ...release } = planned
      const pool = release.content.coupon
      const couponCode = pool === undefined ? undefined : await takeCode(deps, pool, release.touch._id, now)
      // Somebody else may have taken the last one since it was counted.
      if (pool !== undefined && couponCode === undefined)
        suppressed.push({ touch: release.touch, reason: 'coupon_stock' })
      else approved.push({ ...release, ...(couponCode !== undefined && { couponCode }) })
    }
  }
  await suppress(deps, suppressed, now)
  await putOff(deps, unreadable, now)
  await waitForRoom(deps, waiting, now)
  const forGuides = approved.filter((a): a is ForGuide => isForGuide(a.touch.channel) && a.contact !== undefined)
  await dispatchMessages(
    deps,
    approved.filter((a) => !isForGuide(a.touch.channel)),
    now,
  )
  await handOutTasks(deps, forGuides, now)
}

async function suppress(
  { docs, log }: Deps,
  touches: readonly { touch: Touch; reason: SuppressReason }[],
  now: Date,
): Promise<void> {
  const where = waitsSince(now)
  await docs.touches.updateEach(
    touches.map(({ touch, reason }) => ({
      id: touch._id,
      where,
      update: { $set: { state: 'suppressed', reason }, $unset: { releaseAt: 1 } },
    })),
  )
  for (const { touch, reason } of touches) {
    if (reason === 'no_content')
      log.error('content of a planned touch is gone', { touchId: touch._id, contentId: touch.contentId })
    log.info('touch suppressed', { touchId: touch._id, reason })
  }
}

/** Another version of this program may know what they say, or the next publication of it. */
async function putOff(
  { docs, log }: Deps,
  touches: readonly { touch: Touch; reason: string }[],
  now: Date,
): Promise<void> {
  const update = { $set: { releaseAt: new Date(now.getTime() + UNREADABLE_MS) } }
  const where = waitsSince(now)
  await docs.touches.updateEach(touches.map(({ touch }) => ({ id: touch._id, where, update })))
  for (const reason of new Set(touches.map((t) => t.reason)))
    log.error('touches cannot be released here', {
      cause: reason,
      touches: touches.filter((t) => t.reason === reason).length,
    })
}

type Waiting = Extract<ReturnType<typeof planTouches>[number], { kind: 'wait' }>

async function waitForRoom({ docs, log }: Deps, touches: readonly Waiting[], now: Date): Promise<void> {
  const where = waitsSince(now)
  await docs.touches.updateEach(
    touches.map(({ touch, until, reason }) => ({
      id: touch._id,
      where,
      update: { $set: { releaseAt: until, reason, noRoomSince: touch.noRoomSince ?? now } },
    })),
  )
  for (const { touch, until, reason } of touches)
    log.info('touch waits for room', { touchId: touch._id, until: until.toISOString(), reason })
}

/** A touch that was planned while its person was being merged is the survivor's. */
async function withSurvivors(
  { docs }: Deps,
  due: readonly Touch[],
): Promise<{ touches: readonly Touch[]; profiles: ReadonlyMap<number, Profile> }> {
  let touches = due
  for (;;) {
    const ids = [...new Set(touches.map((t) => t.profileId))]
    const profiles = new Map((await docs.profiles.getMany(ids)).map((p) => [p._id, p]))
    const survivorOf = new Map(
      [...profiles.values()].flatMap((p) => (p.mergedInto === undefined ? [] : [[p._id, p.mergedInto]])),
    )
    if (survivorOf.size === 0) return { touches, profiles }
    const theirs = touches.filter((t) => survivorOf.has(t.profileId))
    touches = touches.map((t) => ({ ...t, profileId: survivorOf.get(t.profileId) ?? t.profileId }))
    await docs.touches.updateEach(
      theirs.map((t) => ({ id: t._id, update: { $set: { profileId: survivorOf.get(t.profileId) } } })),
    )
  }
}

/** Everyone with the same words from the same guide goes in one call, as far as the channel takes so many. */
async function dispatchMessages(deps: Deps, approved: readonly Approved[], now: Date): Promise<void> {
  const groups = new Map<string, Approved[]>()
  for (const a of approved) {
    const key = JSON.stringify([a.address.sender, a.content, a.touch.journeyId, carrierOf(a.touch.channel)])
    groups.set(key, [...(groups.get(key) ?? []), a])
  }
  const dispatches = [...groups.values()].flatMap((group) => {
    const { limits } = deps.channels[carrierOf(group[0]!.touch.channel)]
    const inOrder = [...group].sort((a, b) => (a.touch._id < b.touch._id ? -1 : 1))
    return chunksOf(inOrder, limits.recipients).map((part) => dispatchOf(deps, part, now))
  })
  await writeDispatches(
    deps,
    dispatches.map((dispatch) => ({ dispatch })),
  )
}

/** One message to all of these, who get the same from the same. */
function dispatchOf(deps: Deps, approved: readonly Approved[], now: Date): DispatchDoc {
  const { address, content, touch } = approved[0]!
  const { sender } = address
  const recipients = approved.map(({ touch: { _id: touchId }, address: { to } }) =>
    sender === undefined ? { touchId, to } : { touchId, externalUserId: to },
  )
  const id = hashKey(20, 'dispatch', now.getTime(), sender ?? '', content.id, ...recipients.map((r) => r.touchId))
  return {
    _id: id,
    channel: carrierOf(touch.channel),
    state: 'new',
    ...(sender !== undefined && { senderUserId: sender }),
    bucket: bucketOf(sender ?? id),
    recipients,
    contentId: content.id,
    content: messageContent(deps, content, id),
    releasedAt: now,
    nextAt: now,
    attempts: 0,
    polls: 0,
  }
}

/** At most `size` each; a channel that takes nobody is given all, to say so. */
/** @param most - of a part, Infinity for no limit; a channel that can take nobody is told of all */
function chunksOf<T>(items: readonly T[], most: number): T[][] {
  const size = most < 1 ? items.length : Math.min(most, items.length)
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size))
}
