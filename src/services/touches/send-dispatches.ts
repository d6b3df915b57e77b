import { isForGuide } from '../../domain/touches/channels.js'
import type { SuppressReason, Touch } from '../../domain/touches/touch.js'
import { relationId } from '../../domain/wecom/relation.js'
import { nextLookAt, releaseAfter } from '../../domain/touches/policy.js'
import { type Channel, type Dispatch, type DispatchOutcome, type TakenIds, TOO_LATE } from '../../ports/channel.js'
import { isUpstreamFault, messageOf } from '../../errors.js'
import type { Filter, Update } from '../../ports/document-language.js'
import { MINUTE_MS, SECOND_MS } from '../../time.js'
import { type Shard, WHOLE } from '../../ports/job-queue.js'
import { inShard } from '../../stored/buckets.js'
import type { Collections } from '../../stored/collections.js'
import type { DispatchDoc } from '../../stored/touches.js'
import { holdPublished } from '../definitions/follow-published.js'
import type { Deps } from '../runtime/deps.js'
import { alone, isOfItem } from '../runtime/each-alone.js'
import { OF_KNOWN_CHANNELS } from './held-touches.js'
import { noteSilence } from './silence.js'
import { isStopped } from './switch-sending.js'
import { IS_OVER, leftRuns } from './release-facts.js'
import { takeBackMarked, takeBackOptedOut, takeBackTouches } from './take-back.js'
import { takeOut } from './take-out.js'
import { closeCard, passOn, stopDispatch, tellEnd, UNTOLD } from './stop-dispatch.js'
import { withoutWithdrawn } from './withdraw-content.js'

/** She has deleted the guide, or the guide her. */
export const LOST_CONTACT: SuppressReason = 'lost_contact'

/** Why a dispatch ends that was found without recipients. */
const NOBODY = 'no_recipient'

/** A dispatch that the platform keeps putting off this often is given up as refused. */
const MAX_ATTEMPTS = 8

/** A claim is good for this long: who has not asked by then does not ask. */
const CLAIM_MS = 15 * SECOND_MS
/** Others settle what was claimed this long after the claim was over: its clock and theirs may differ by so much. */
const SETTLE_AFTER_MS = MINUTE_MS

/** When what was left half done may be settled: a dispatch without a stored answer, or an end that its touches do not know. */
export async function nextSettlingAt(
  { docs, worker }: Pick<Deps, 'docs' | 'worker'>,
  shard: Shard,
): Promise<Date | undefined> {
  const untold: Filter<DispatchDoc> = { ...UNTOLD, ...inShard(shard) }
  const toTell = (await docs.dispatches.findOne(untold, { sort: { nextAt: 1 }, skipUnfit: true }))?.nextAt
  const open = await docs.dispatches.find(
    { state: 'sending', ...OF_KNOWN_CHANNELS, ...inShard(shard) },
    { skipUnfit: true },
  )
  const times = [...(toTell === undefined ? [] : [toTell]), ...open.map((doc) => settleAt(worker, doc))]
  return times.length === 0 ? undefined : new Date(Math.min(...times.map((at) => at.getTime())))
}

function settleAt({ alone }: Deps['worker'], { claim, silent, nextAt }: DispatchDoc): Date {
  const overMs = alone || claim === undefined ? 0 : claim.until.getTime() + SETTLE_AFTER_MS
  return new Date(Math.max(overMs, silent === undefined ? 0 : (nextAt?.getTime() ?? 0)))
}

/**
 * Hands ready dispatches to their channel, each at most once. One that was asked for without a stored answer (a crash, a
 * lost reply) is settled by reading back first; what cannot be settled becomes `unknown` and is never sent again. One with
 * which nothing can be done for a reason of its own keeps no other from its way: it is tried again every half hour.
 */
export async function sendDispatches(deps: Deps, signal?: AbortSignal, shard = WHOLE): Promise<void> {
  const { dispatches } = deps.docs
  if (await isStopped(deps)) return
  const untold: Filter<DispatchDoc> = { ...UNTOLD, nextAt: { $lte: deps.clock.now() }, ...inShard(shard) }
  const putOff = (doc: DispatchDoc, err: unknown) => putAside(deps, doc._id, err)
  for (const ended of await dispatches.find(untold, { skipUnfit: true }))
    await alone(ended, (one) => tellEnd(deps.docs, one, deps.clock.now()), putOff)
  await settleOpen(deps, shard)
  const mayGoOn = async () => signal?.aborted !== true && !deps.worker.isLate() && !(await isStopped(deps))
  let before = new Set<string>()
  while (await mayGoOn()) {
    const now = deps.clock.now()
    const due: Filter<DispatchDoc> = { state: 'ready', nextAt: { $lte: now }, ...OF_KNOWN_CHANNELS, ...inShard(shard) }
    const found = await dispatches.find(due, { sort: { nextAt: 1, _id: 1 }, limit: 200, skipUnfit: true })
    if (found.length === 0) return
    // After they are known: whoever withdraws a content stops what is written down by then, the others are looked at here.
    const held = await holdPublished(deps)
    if (held === undefined) return
    // Released in time, then put off by the platform or by a crash.
    const openAt = releaseAfter(held.definitions.current.policy, now, deps.brand.timeZone)
    if (openAt > now) {
      await dispatches.updateMany(due, { $set: { nextAt: openAt } })
      return
    }
    const stuck = found.filter((doc) => before.has(placeOf(doc)))
    await putOffStuck(deps, stuck, now)
    before = new Set(found.map(placeOf))
    for (const doc of found) {
      if (stuck.includes(doc)) continue
      if (!(await mayGoOn())) return
      await alone(doc, (one) => send(held, one), putOff)
    }
  }
}

/**
 * Something is wrong with this one (or with us, where it comes by): it is tried again, for a fortnight, and is said while it
 * waits, see `listHeldTouches`.
 *
 * @param to - where it goes meanwhile, if it stays claimed no longer
 */
async function putAside({ docs, clock, log }: Deps, id: string, err: unknown, to?: 'ready'): Promise<void> {
  const doc = await docs.dispatches.get(id)
  if (doc === undefined || !['ready', 'sending', 'refused'].includes(doc.state)) return
  const now = clock.now()
  const { silent, nextAt, isOver } = noteSilence(doc, err, now)
  log.error('dispatch cannot be sent, tried again later', { dispatchId: id, state: doc.state, cause: silent.why })
  const asRead = doc.state === 'sending' ? claimedAs(doc) : { state: doc.state, nextAt: doc.nextAt }
  const update = { $set: { silent, nextAt, ...(to && { state: to }) } }
  if (!(await docs.dispatches.update(id, update, asRead))) return
  if (isOver && (to ?? doc.state) === 'ready') await stopDispatch(docs, doc, 'refused', now)
}

/** What has become of it is told by this: whatever is done with a ready dispatch changes it, or ends it. */
function placeOf({ _id, nextAt, attempts }: DispatchDoc): string {
  return `${_id} ${nextAt?.getTime() ?? ''} ${attempts}`
}

/** Found twice as it was: without this it would be found for ever, and the lane would do nothing else. */
async function putOffStuck({ docs, log }: Deps, stuck: readonly DispatchDoc[], now: Date): Promise<void> {
  if (stuck.length === 0) return
  const update = { $set: { nextAt: new Date(now.getTime() + MINUTE_MS) } }
  await docs.dispatches.updateEach(
    stuck.map(({ _id: id, nextAt }) => ({ id, where: { state: 'ready', nextAt }, update })),
  )
  log.warn('dispatches not sent, tried again later', { dispatches: stuck.length, first: stuck[0]!._id })
}

async function settleOpen(deps: Deps, shard: Shard): Promise<void> {
  const open = await deps.docs.dispatches.find(
    { state: 'sending', ...OF_KNOWN_CHANNELS, ...inShard(shard) },
    { skipUnfit: true },
  )
  for (const doc of open) {
    if (settleAt(deps.worker, doc) > deps.clock.now()) continue
    await alone(
      doc,
      (one) => settle(deps, one),
      (one, err) => putAside(deps, one._id, err),
    )
  }
}

async function settle(deps: Deps, doc: DispatchDoc): Promise<void> {
  const claimed = await claim(deps, doc._id, claimedAs(doc))
  if (claimed === undefined) return
  // To settle may be to ask once more; what is claimed is looked at again when its claim has run out.
  if (await isStopped(deps)) return
  const settled = await readBack(deps, claimed.doc)
  if (settled?.kind === 'absent') await giveBack(deps, claimed.doc)
  else if (settled !== undefined) await save(deps, claimed, settled)
}

/**
 * What became of a dispatch that may have arrived. A platform that does not say (its sender has left, say) is asked again,
 * and the others are not kept waiting.
 *
 * @returns `undefined` while it is to be asked again
 */
async function readBack(deps: Deps, doc: DispatchDoc): Promise<DispatchOutcome | { kind: 'absent' } | undefined> {
  try {
    return await deps.channels[doc.channel].settle(toDispatch(doc), takenFrom(deps, doc))
  } catch (err) {
    if (!isUpstreamFault(err) && !isOfItem(err)) throw err
    const silence = noteSilence(doc, err, deps.clock.now())
    if (silence.isOver) return { kind: 'unknown', reason: silence.silent.why }
    deps.log.warn('dispatch not read back', { dispatchId: doc._id, cause: silence.silent.why })
    const { silent, nextAt } = silence
    await deps.docs.dispatches.update(doc._id, { $set: { silent, nextAt } }, claimedAs(doc))
    return undefined
  }
}

function takenFrom({ docs }: Deps, { _id, channel }: DispatchDoc): TakenIds {
  return async (remoteIds) => {
    const others = await docs.dispatches.find({ remoteId: { $in: [...remoteIds] }, channel, _id: { $ne: _id } })
    return new Set(others.flatMap((other) => other.remoteId ?? []))
  }
}

/** A dispatch that is this worker's to ask for, until `isLate` says that others may think it dead, and settle what it has claimed. */
type Claimed = { doc: DispatchDoc; isLate: () => boolean }

async function claim(deps: Deps, id: string, where: Filter<DispatchDoc>): Promise<Claimed | undefined> {
  const { docs, clock, worker, definitions } = deps
  const deadlineMs = worker.elapsedMs() + CLAIM_MS
  const until = new Date(clock.now().getTime() + CLAIM_MS)
  const doc = await docs.dispatches.findOneAndUpdate(
    { _id: id, ...where },
    { $set: { state: 'sending', claim: { fence: worker.fence, until, definitions: definitions.current.version } } },
  )
  // The clock that nobody sets stands still while its machine sleeps; the other one then tells.
  const isLate = () => worker.elapsedMs() >= deadlineMs || clock.now() >= until
  return doc === undefined ? undefined : { doc, isLate }
}

/** While nobody else has claimed it. */
function claimedAs({ claim }: DispatchDoc): Filter<DispatchDoc> {
  const held =
    claim === undefined ? { claim: { $exists: false } } : { 'claim.fence': claim.fence, 'claim.until': claim.until }
  return { state: 'sending', ...held }
}

async function giveBack({ docs }: Deps, doc: DispatchDoc): Promise<void> {
  await docs.dispatches.update(doc._id, { $set: { state: 'ready' }, $unset: { silent: 1 } }, claimedAs(doc))
}

async function send(deps: Deps, listed: DispatchDoc): Promise<void> {
  if (await withoutWithdrawn(deps, listed)) return
  if (listed.claim !== undefined) await withoutLeft(deps, listed)
  if (!(await withoutLost(deps, listed))) return
  // Read anew: a customer may have been taken out of it since.
  const claimed = await claim(deps, listed._id, { state: 'ready' })
  if (claimed === undefined) return
  const { doc, isLate } = claimed
  // Claimed, it is counted as being asked for: whoever turns the switch from now on is told so.
  if (await isStopped(deps)) return giveBack(deps, doc)
  const channel = deps.channels[doc.channel]
  const dispatch = toDispatch(doc)
  const asked = await ask(channel, dispatch, isLate)
  let outcome = asked.outcome
  if (outcome.kind === 'unknown') {
    deps.log.warn('dispatch outcome unknown, reading back', { dispatchId: doc._id, reason: outcome.reason })
    const settled = await readBack(deps, doc)
    if (settled === undefined) return
    if (settled.kind === 'absent' && asked.fault !== undefined) return putAside(deps, doc._id, asked.fault, 'ready')
    // Absent for certain: it may be asked for again, later, as if it had been refused for now.
    outcome =
      settled.kind === 'absent' ? { kind: 'later', afterMs: MINUTE_MS, reason: 'the request was lost' } : settled
  }
  await save(deps, claimed, outcome)
}

/**
 * What a channel has no word for is of one dispatch, too: the others can go out.
 *
 * @returns `fault`: what it threw that no platform has said; whether the request has left is not known then either
 */
async function ask(
  channel: Channel,
  dispatch: Dispatch,
  isLate: () => boolean,
): Promise<{ outcome: DispatchOutcome; fault?: unknown }> {
  try {
    return { outcome: await channel.dispatch(dispatch, isLate) }
  } catch (err) {
    const isAnswer = isUpstreamFault(err)
    if (!isAnswer && !isOfItem(err)) throw err
    return { outcome: { kind: 'unknown', reason: messageOf(err) }, ...(!isAnswer && { fault: err }) }
  }
}

/**
 * The last look before a message leaves: who has deleted the sender since it was written down gets nothing from her.
 *
 * @returns whether anybody is left
 */
async function withoutLost(deps: Deps, dispatch: DispatchDoc): Promise<boolean> {
  const { _id, senderUserId, recipients } = dispatch
  const { docs } = deps
  if (senderUserId !== undefined) {
    const contacts = recipients.flatMap(({ externalUserId }) => externalUserId ?? [])
    const ids = contacts.map((id) => relationId(senderUserId, id))
    const ended = await docs.wecomRelations.find({ _id: { $in: ids }, ...IS_OVER })
    const lost = new Set(ended.map((r) => r.externalUserId))
    if (lost.size > 0) {
      await closeCard(docs, dispatch, LOST_CONTACT, deps.clock.now())
      await dropLost(docs, dispatch, lost)
    }
    const left = recipients.some((r) => r.externalUserId === undefined || !lost.has(r.externalUserId))
    if (left || lost.size > 0) return left
  }
  if (recipients.length > 0) return true
  await takeOut(docs, _id, () => true, NOBODY)
  return false
}

/** Asked for before: whoever left her journey just then, or said stop, could not be taken out of it. */
async function withoutLeft({ docs, clock }: Deps, { recipients }: DispatchDoc): Promise<void> {
  const touches = await docs.touches.getMany(recipients.map((r) => r.touchId))
  await takeBackMarked(docs, touches)
  for (const runId of await leftRuns({ docs }, touches)) await takeBackTouches(docs, { runId }, 'exited', clock.now())
  const people = await docs.profiles.getMany([...new Set(touches.map((t) => t.profileId))])
  await takeBackOptedOut(docs, people, clock.now())
}

/** Takes lost customers out of a dispatch that was not asked for yet. */
export async function dropLost(
  docs: Collections,
  { _id, recipients }: DispatchDoc,
  lost: ReadonlySet<string>,
): Promise<void> {
  const isLost = (r: DispatchDoc['recipients'][number]) => r.externalUserId !== undefined && lost.has(r.externalUserId)
  // First: who dies in between finds them in it again. What leaves all the same does not reach them.
  await suppressLost(
    docs,
    recipients.filter(isLost).map((r) => r.touchId),
  )
  await takeOut(docs, _id, isLost, LOST_CONTACT)
}

/** Touches to a customer who is lost, as far as they have not reached her. */
export async function suppressLost(docs: Collections, touchIds: readonly string[]): Promise<void> {
  await docs.touches.updateEach(
    touchIds.map((id) => ({
      id,
      where: { state: { $in: ['planned', 'created'] } },
      update: { $set: { state: 'suppressed', reason: LOST_CONTACT }, $unset: { releaseAt: 1 } },
    })),
  )
}

async function save(deps: Deps, { doc, isLate }: Claimed, outcome: DispatchOutcome): Promise<void> {
  const { docs } = deps
  const now = deps.clock.now()
  const stillMine = claimedAs(doc)
  // So late that others may have settled it: what they found out stands.
  if (isLate() && (await docs.dispatches.findOne({ _id: doc._id, ...stillMine })) === undefined) return
  // Nor is its clock to be believed.
  if (outcome.kind === 'later' && outcome.reason === TOO_LATE && deps.worker.isLate()) return giveBack(deps, doc)
  // Of a worker that is slow the platform knows nothing.
  const attempts = outcome.kind === 'later' && outcome.reason === TOO_LATE ? 0 : 1
  if (outcome.kind === 'later' && doc.attempts + attempts < MAX_ATTEMPTS) {
    const again: Update<DispatchDoc> = {
      $set: { state: 'ready', nextAt: new Date(now.getTime() + outcome.afterMs), reason: outcome.reason },
      $inc: { attempts },
      $unset: { silent: 1 as const },
    }
    await docs.dispatches.update(doc._id, again, stillMine)
    return
  }
  const touchIds = doc.recipients.map((r) => r.touchId)
  const given: Filter<Touch> = { dispatchId: doc._id, state: 'planned' }
  if (outcome.kind === 'created') {
    const refused = new Set(outcome.refused.map((r) => r.to))
    const left = doc.recipients.filter((r) => refused.has(addressIn(doc, r)))
    const taken = doc.recipients.filter((r) => !left.includes(r))
    await docs.touches.updateEach(
      taken.map((r) => ({
        id: r.touchId,
        where: given,
        update: { $set: { state: 'created' }, $unset: { reason: 1 } },
      })),
    )
    await passOn(
      docs,
      doc,
      left.map((r) => r.touchId),
      'not_a_contact',
      now,
    )
    const created: Update<DispatchDoc> = {
      $set: {
        state: 'created',
        remoteId: outcome.remoteId,
        nextAt: nextLookAt(now, 0),
        ...(outcome.responseCode === undefined ? {} : { responseCode: outcome.responseCode }),
      },
      $unset: { silent: 1 as const },
    }
    const isMine = await docs.dispatches.update(doc._id, created, stillMine)
    if (isMine && isForGuide(doc.channel)) await dueFrom(deps, doc, now)
    deps.log.info('dispatch created', { dispatchId: doc._id, channel: doc.channel, recipients: touchIds.length })
    return
  }
  const elsewhere = outcome.kind === 'refused' && outcome.elsewhere === true && doc.senderUserId !== undefined
  if (elsewhere) {
    // First, and due until its touches know: nobody asks for it again while they go another way.
    const refused: Update<DispatchDoc> = {
      $set: { state: 'refused', reason: outcome.reason, elsewhere, nextAt: now },
      $unset: { silent: 1 as const },
    }
    if (await docs.dispatches.update(doc._id, refused, stillMine)) await tellEnd(docs, { ...doc, elsewhere }, now)
    deps.log.warn('dispatch refused of its member', { dispatchId: doc._id, reason: outcome.reason })
    await deps.jobs.add('release-touches', undefined, { key: 'release-touches' })
    return
  }
  const state = outcome.kind === 'unknown' ? 'unknown' : 'refused'
  await docs.touches.updateEach(
    touchIds.map((id) => ({
      id,
      where: given,
      update: { $set: state === 'unknown' ? { state: 'unknown' } : { state: 'suppressed', reason: 'refused' } },
    })),
  )
  if (isForGuide(doc.channel))
    await docs.tasks.update(doc._id, { $set: { state: 'expired', outcome: state, closedAt: now } }, { state: 'open' })
  await docs.dispatches.update(
    doc._id,
    { $set: { state, reason: outcome.reason }, $unset: { nextAt: 1, silent: 1 } },
    stillMine,
  )
  deps.log.error('dispatch not sent', { dispatchId: doc._id, outcome: outcome.kind, reason: outcome.reason })
}

/** Put off on its way to her, a guide has as long for it as if it had not been. */
async function dueFrom({ docs }: Deps, { _id, releasedAt }: DispatchDoc, now: Date): Promise<void> {
  const task = await docs.tasks.get(_id)
  if (task === undefined) return
  const dueAt = new Date(task.dueAt.getTime() + Math.max(0, now.getTime() - releasedAt.getTime()))
  await docs.tasks.update(_id, { $set: { dueAt } }, { state: 'open', dueAt: task.dueAt })
}

/** As its channel addresses it. A card tells of all its touches, and goes to one guide. */
export function toDispatch(doc: DispatchDoc): Dispatch {
  const { _id: id, channel, senderUserId, recipients, content, releasedAt } = doc
  const addressed = isForGuide(channel) ? recipients.slice(0, 1) : recipients
  return {
    ...{ id, content, createdAt: releasedAt },
    ...(!isForGuide(channel) && senderUserId !== undefined && { sender: senderUserId }),
    recipients: addressed.map((r) => ({ touchId: r.touchId, to: addressIn(doc, r) })),
  }
}

/** What a recipient is called at the channel. A card goes to the guide who has the customer then: see `handOver`. */
export function addressIn(
  { channel, senderUserId }: DispatchDoc,
  recipient: DispatchDoc['recipients'][number],
): string {
  const { to, externalUserId } = recipient
  return to ?? (isForGuide(channel) ? senderUserId : externalUserId) ?? ''
}
