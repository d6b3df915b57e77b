import { systemEvent } from '../../domain/events/system-events.js'
import { isForGuide } from '../../domain/touches/channels.js'
import type { InboxRecord } from '../../domain/identity/resolve.js'
import { nextLookAt, nextReminderAt, onGrid } from '../../domain/touches/policy.js'
import type { Touch } from '../../domain/touches/touch.js'
import { isUpstreamFault, messageOf } from '../../errors.js'
import type { DispatchResult } from '../../ports/channel.js'
import type { Filter, Update } from '../../ports/document-language.js'
import { WHOLE } from '../../ports/job-queue.js'
import { hashKey } from '../../random.js'
import { holdPublished } from '../definitions/follow-published.js'
import { expireTask } from '../guides/expire-task.js'
import { isOfItem } from '../runtime/each-alone.js'
import { acceptRecords } from '../ingest/accept-records.js'
import { inShard } from '../../stored/buckets.js'
import type { DispatchDoc } from '../../stored/touches.js'
import type { Deps } from '../runtime/deps.js'
import { OF_KNOWN_CHANNELS } from './held-touches.js'
import { asRead, isTakenBack, lookAgain } from './look-again.js'
import { addressIn, toDispatch } from './send-dispatches.js'
import { noteSilence } from './silence.js'
import { systemRecord } from '../ingest/system-records.js'

/** Handed to the platform, and nobody knows yet what became of it. */
const OUT: Filter<Touch> = { state: { $in: ['created', 'confirmed'] } }

/** Asks the platform what became of mass messages, closes tasks nobody did, and takes back what was not confirmed in time. */
export async function collectResults(deps: Deps, signal?: AbortSignal, shard = WHOLE): Promise<void> {
  while (signal?.aborted !== true) {
    const now = deps.clock.now()
    const due = await deps.docs.dispatches.find(
      { state: 'created', nextAt: { $lte: now }, ...OF_KNOWN_CHANNELS, ...inShard(shard) },
      { sort: { nextAt: 1, _id: 1 }, limit: 200, skipUnfit: true },
    )
    if (due.length === 0) return
    const held = await holdPublished(deps)
    if (held === undefined) return
    for (const doc of due) await tryToCollect(held, doc, now)
  }
}

/** Dispatches that are asked about at once, at most: of one person there are few. */
const AT_ONCE = 5

/** Asks the platform now what became of these dispatches, for somebody who wants to know. */
export async function collectNow(deps: Deps, dispatchIds: readonly string[]): Promise<void> {
  const open: Filter<DispatchDoc> = { _id: { $in: [...dispatchIds] }, state: 'created', ...OF_KNOWN_CHANNELS }
  const docs = await deps.docs.dispatches.find(open, { sort: { releasedAt: -1 }, limit: AT_ONCE, skipUnfit: true })
  const now = deps.clock.now()
  for (const doc of docs) if (!isForGuide(doc.channel)) await tryToCollect(deps, doc, now, 'asked for')
}

/** One that somebody asks for does not count: the next that is planned comes when it would have come. */
type Look = 'planned' | 'asked for'

/** What cannot be said now may be in half an hour; the others are not kept waiting. */
async function tryToCollect(deps: Deps, doc: DispatchDoc, now: Date, look: Look = 'planned'): Promise<void> {
  try {
    await (isForGuide(doc.channel) ? expireTask(deps, doc, now) : collect(deps, doc, now, look))
  } catch (err) {
    const isAnswer = isUpstreamFault(err)
    if (!isAnswer && !isOfItem(err)) throw err
    const { silent, nextAt, isOver } = noteSilence(doc, err, now)
    if (isOver) return giveUp(deps, doc, silent.why)
    deps.log[isAnswer ? 'warn' : 'error']('results not read', { dispatchId: doc._id, cause: silent.why })
    if (look === 'planned') await lookAgain(deps, doc, nextAt, { $set: { silent } })
  }
}

/** The platform does not say what became of it: nobody can tell. */
async function giveUp({ docs, log }: Deps, doc: DispatchDoc, reason: string): Promise<void> {
  await docs.touches.updateEach(
    doc.recipients.map((r) => ({
      id: r.touchId,
      where: { dispatchId: doc._id, state: { $in: ['created', 'confirmed'] } },
      update: { $set: { state: 'unknown' } },
    })),
  )
  const ended = { $set: { state: 'unknown', reason }, $unset: { nextAt: 1, silent: 1 } } as const
  await docs.dispatches.update(doc._id, ended, asRead(doc))
  log.error('results given up', { dispatchId: doc._id, reason })
}

/** It has said something: whatever it says next counts from then. */
function heard({ silent }: DispatchDoc): Update<DispatchDoc> {
  return silent === undefined ? {} : { $unset: { silent: 1 } }
}

async function collect(deps: Deps, doc: DispatchDoc, now: Date, look: Look): Promise<void> {
  const { docs } = deps
  const channel = deps.channels[doc.channel]
  const dispatch = { ...toDispatch(doc), remoteId: doc.remoteId ?? '' }
  const { needsConfirmation } = channel
  const overdue = now.getTime() - doc.releasedAt.getTime() >= deps.definitions.current.policy.confirmWithin
  let result = await channel.results(dispatch)
  if (
    result !== undefined &&
    result.confirmedAt === undefined &&
    ((overdue && needsConfirmation) || isTakenBack(doc))
  ) {
    await channel.cancel(dispatch)
    result = await channel.results(dispatch) // a guide may have pressed send just before
    if (result !== undefined) result = { ...result, final: true }
  }
  const reminders = await remind(deps, doc, result, now)
  const again = async () => {
    if (look === 'planned')
      await lookAgain(deps, doc, pause(deps, doc, now, reminders), { $inc: { polls: 1 }, ...heard(doc) })
  }
  if (result === undefined) return again()
  const { confirmedAt, final } = result
  const stateOf = new Map(result.recipients.map((r) => [r.to, r]))
  const addresses = new Map(doc.recipients.map((r) => [r.touchId, addressIn(doc, r)]))
  const touches = await docs.touches.getMany(doc.recipients.map((r) => r.touchId))
  const records: InboxRecord[] = []
  const updates = touches.flatMap((touch) => {
    if (touch.state !== 'created' && touch.state !== 'confirmed') return []
    const seen = stateOf.get(addresses.get(touch._id) ?? '')
    const set = nextState(doc, seen?.state, seen?.at, confirmedAt, final && (needsConfirmation || isTakenBack(doc)))
    if (seen?.state === 'delivered') records.push(deliveredRecord(touch, seen.at ?? confirmedAt ?? now))
    return set === undefined ? [] : [{ id: touch._id, where: OUT, update: { $set: set } }]
  })
  await acceptRecords(deps, `results:${hashKey(24, doc._id, doc.polls, ...records.map((r) => r.ref))}`, records, {
    own: true,
  })
  await docs.touches.updateEach(updates)
  if (!final) return again()
  const done: Update<DispatchDoc> = {
    $set: { state: 'done', ...(confirmedAt === undefined ? {} : { confirmedAt }) },
    $inc: { polls: 1 },
    $unset: { nextAt: 1, silent: 1 },
  }
  await docs.dispatches.update(doc._id, done, asRead(doc))
}

function nextState(
  doc: DispatchDoc,
  seen: 'waiting' | 'delivered' | 'not_a_contact' | 'over_quota' | undefined,
  at: Date | undefined,
  confirmedAt: Date | undefined,
  final: boolean,
): Partial<Touch> | undefined {
  const confirmed = confirmedAt === undefined ? {} : { confirmedAt }
  if (seen === 'delivered')
    return { ...confirmed, state: 'delivered', ...((at ?? confirmedAt) && { deliveredAt: at ?? confirmedAt }) }
  if (seen === 'not_a_contact') return { ...confirmed, state: 'suppressed', reason: 'not_a_contact' }
  if (seen === 'over_quota') return { ...confirmed, state: 'suppressed', reason: 'quota' }
  if (final) return isTakenBack(doc) ? { state: 'suppressed', reason: doc.reason } : { ...confirmed, state: 'expired' }
  return confirmedAt === undefined ? undefined : { ...confirmed, state: 'confirmed' }
}

/**
 * Reminds a guide who has not pressed send, when it is time. Written down before it is asked for: better a reminder lost
 * in a crash than a guide reminded twice.
 *
 * @returns how often she has been reminded now
 */
async function remind(deps: Deps, doc: DispatchDoc, result: DispatchResult | undefined, now: Date): Promise<number> {
  const reminders = doc.reminders ?? 0
  const at = reminderAt(deps, doc, reminders)
  const isConfirmed = result?.confirmedAt !== undefined || !deps.channels[doc.channel].needsConfirmation
  if (at === undefined || now < at || result === undefined || result.final || isConfirmed) return reminders
  const notYet: Filter<DispatchDoc> = {
    state: 'created',
    ...(doc.reminders === undefined ? { reminders: { $exists: false } } : { reminders }),
  }
  if (!(await deps.docs.dispatches.update(doc._id, { $set: { reminders: reminders + 1 } }, notYet))) return reminders
  try {
    await deps.channels[doc.channel].remind({ ...toDispatch(doc), remoteId: doc.remoteId ?? '' })
    deps.log.info('guide reminded', { dispatchId: doc._id, userId: doc.senderUserId })
  } catch (err) {
    // The message itself is where it was; there may be a next reminder.
    deps.log.warn('guide not reminded', { dispatchId: doc._id, cause: messageOf(err) })
  }
  return reminders + 1
}

function reminderAt({ definitions, brand }: Deps, doc: DispatchDoc, reminders: number): Date | undefined {
  return nextReminderAt(definitions.current.policy, doc.releasedAt, reminders, brand.timeZone)
}

function pause(deps: Deps, doc: DispatchDoc, now: Date, reminders: number): Date {
  const next = nextLookAt(now, doc.polls + 1).getTime()
  const remindMs = reminderAt(deps, doc, reminders)?.getTime() ?? Infinity
  const last = doc.releasedAt.getTime() + deps.definitions.current.policy.confirmWithin
  return onGrid(now, now.getTime() < last ? Math.min(next, last, Math.max(remindMs, now.getTime() + 1)) : next)
}

export function deliveredRecord(touch: Touch, at: Date): InboxRecord {
  const event = systemEvent('touch_delivered', {
    id: `touch:${touch._id}:delivered`,
    occurredAt: at,
    properties: { touchId: touch._id, journeyId: touch.journeyId, channel: touch.channel, content: touch.contentId },
  })
  return systemRecord(touch.profileId, at, event)
}
