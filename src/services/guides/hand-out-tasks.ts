import { z } from 'zod'
import { type CardReason, cardOf, CODES_MAX, firstWords } from '../../domain/guides/card.js'
import { LocalText, textOf } from '../../domain/local-text.js'
import { type Profile, traitValue } from '../../domain/identity/profile.js'
import { cardChannels, carrierOf } from '../../domain/touches/channels.js'
import type { Approved } from '../../domain/touches/plan-touches.js'
import { relationId } from '../../domain/wecom/relation.js'
import { hashKey } from '../../random.js'
import { HOUR_MS, MINUTE_MS } from '../../time.js'
import { bucketOf } from '../../stored/buckets.js'
import type { DispatchDoc } from '../../stored/touches.js'
import type { Deps } from '../runtime/deps.js'
import { renderContent } from '../../domain/content/render.js'
import { supersedeCard } from '../touches/stop-dispatch.js'
import { waitsSince, writeDispatches } from '../touches/write-dispatches.js'
import { liveReasons } from './reasons.js'

/** A touch that a guide gets: the one who has the customer. */
export type ForGuide = Approved & Required<Pick<Approved, 'contact'>>

/** A card takes its one update for 72 h: one without a due time of its own ends while it can still be closed. */
const CLOSABLE_MS = 71 * HOUR_MS

/** When a reason for which a card has no room is looked at again. */
const NO_ROOM_MS = HOUR_MS

/**
 * Guide tasks: one open task and one card per guide and customer. A card that was sent cannot take in a further reason: it is
 * taken back, and a new one tells of all.
 */
export async function handOutTasks(deps: Deps, approved: readonly ForGuide[], now: Date): Promise<void> {
  const perMinute = deps.definitions.current.policy.tasksPerGuidePerMinute
  const sentTo = new Map<string, number>()
  for (const reasons of groupsOf(approved)) {
    const { contact, touch } = reasons[0]!
    const { docs } = deps
    const count = sentTo.get(contact.userId) ?? (await cardsLately(deps, contact.userId, now))
    if (count >= perMinute) {
      await putOff(deps, reasons, new Date(now.getTime() + MINUTE_MS), now)
      continue
    }
    const open = await docs.tasks.find({
      profileId: touch.profileId,
      guideUserId: contact.userId,
      state: 'open',
    })
    // Somebody else may have handed one out since they were read: it is no further reason for the card that it stands on.
    if (open.length > 0 && !(await allWait(deps, reasons, now))) continue
    const before =
      open.length === 0
        ? 'free'
        : await supersede(
            deps,
            open.map((t) => t._id),
            codesOf(reasons),
            now,
          )
    // What stood on the card before is due now, too, and goes with these.
    if (before === 'freed') continue
    if (before === 'busy') await putOff(deps, reasons, new Date(now.getTime() + MINUTE_MS), now)
    else if (before === 'full') await putOff(deps, reasons, new Date(now.getTime() + NO_ROOM_MS), now)
    else {
      sentTo.set(contact.userId, count + 1)
      const fitting = reasons.filter((r, i) => r.couponCode === undefined || codesOf(reasons.slice(0, i)) < CODES_MAX)
      await putOff(
        deps,
        reasons.filter((r) => !fitting.includes(r)),
        new Date(now.getTime() + NO_ROOM_MS),
        now,
      )
      const codes = new Map(fitting.flatMap((r) => (r.couponCode === undefined ? [] : [[r.touch._id, r.couponCode]])))
      await writeDispatches(deps, [{ dispatch: await cardDispatch(deps, fitting, now), codes }])
    }
  }
}

/** By guide and customer, in the order of the plan. */
function groupsOf(approved: readonly ForGuide[]): ForGuide[][] {
  const groups = new Map<string, ForGuide[]>()
  for (const one of approved) {
    const key = JSON.stringify([one.contact.userId, one.touch.profileId])
    groups.set(key, [...(groups.get(key) ?? []), one])
  }
  return [...groups.values()]
}

function codesOf(reasons: readonly { couponCode?: string | undefined }[]): number {
  return reasons.filter((r) => r.couponCode !== undefined).length
}

/**
 * Makes room for a card of more reasons. `freed`: those of the open ones wait for their release again. `busy`: one is being
 * sent or made. `full`: together they have more codes than a card has room for.
 */
async function supersede(
  { docs }: Deps,
  cardIds: readonly string[],
  codes: number,
  now: Date,
): Promise<'freed' | 'busy' | 'full'> {
  for (const cardId of cardIds) {
    const shown = codesOf(await liveReasons(docs, cardId))
    if (codes > 0 && shown + codes > CODES_MAX) return 'full'
    if ((await supersedeCard(docs, cardId, now)) === 'busy') return 'busy'
  }
  return 'freed'
}

/** Whether nobody has decided on any of them since this instant. */
async function allWait({ docs }: Deps, reasons: readonly ForGuide[], now: Date): Promise<boolean> {
  const ids = reasons.map((r) => r.touch._id)
  return (await docs.touches.count({ _id: { $in: ids }, ...waitsSince(now) })) === ids.length
}

/** Whatever is put off keeps what it has, its code too. */
async function putOff({ docs }: Deps, reasons: readonly ForGuide[], until: Date, now: Date): Promise<void> {
  const where = waitsSince(now)
  await docs.touches.updateEach(
    reasons.map(({ touch }) => ({ id: touch._id, where, update: { $set: { releaseAt: until } } })),
  )
}

async function cardDispatch(deps: Deps, reasons: readonly ForGuide[], now: Date): Promise<DispatchDoc> {
  const { contact, content, profile, touch } = reasons[0]!
  const { titles, ...words } = await cardWords(deps, profile, contact, reasons)
  const dueAt = new Date(Math.max(...reasons.map((r) => dueOf(deps, r, now).getTime())))
  return {
    _id: await freeId(deps, hashKey(20, 'card', now.getTime(), contact.userId, ...reasons.map((r) => r.touch._id))),
    channel: carrierOf(touch.channel),
    state: 'new',
    senderUserId: contact.userId,
    bucket: bucketOf(contact.userId),
    recipients: reasons.map((r) => ({ touchId: r.touch._id, externalUserId: contact.externalUserId })),
    contentId: content.id,
    content: words,
    task: { profileId: touch.profileId, titles, dueAt },
    releasedAt: now,
    nextAt: now,
    attempts: 0,
    polls: 0,
  }
}

/** One that is over keeps its id, though the same reasons may be handed out anew at the same instant. */
async function freeId(deps: Deps, id: string): Promise<string> {
  const state = (await deps.docs.dispatches.get(id))?.state
  const isOver = state === 'refused' || state === 'done' || state === 'unknown'
  return isOver ? freeId(deps, hashKey(20, id)) : id
}

/** What a card says of its reasons: a step's title, or the first words of what is to be said; all scripts; all codes. */
export async function cardWords(
  deps: Deps,
  profile: Profile,
  contact: Pick<ForGuide['contact'], 'userId' | 'externalUserId'>,
  reasons: readonly Pick<ForGuide, 'touch' | 'content' | 'couponCode'>[],
): Promise<Pick<DispatchDoc['content'], 'text' | 'card'> & { titles: string[] }> {
  const scripts: string[] = []
  const told: CardReason[] = []
  for (const { touch, content, couponCode } of reasons) {
    const code = couponCode === undefined ? {} : { coupon: couponCode }
    const script = renderContent(content, { brand: deps.brand.name, ...code })
    scripts.push(script)
    told.push({ title: touch.title ?? firstWords(script), why: await whyOf(deps, touch.journeyId), couponCode })
  }
  const card = cardOf(await customerName(deps, profile, contact), told)
  return { text: scripts.join('\n'), card, titles: told.map((r) => r.title) }
}

/** A guide has as long as the step says from when she is given it, however long it has waited for its release. */
function dueOf({ definitions }: Deps, { touch }: ForGuide, now: Date): Date {
  const { dueAt, plannedAt } = touch
  const { confirmWithin } = definitions.current.policy
  const dueMs = dueAt === undefined ? Math.min(confirmWithin, CLOSABLE_MS) : dueAt.getTime() - plannedAt.getTime()
  return new Date(now.getTime() + dueMs)
}

/** What a journey is called; of one that is not published any more, what it was called last. */
async function whyOf({ docs, definitions, brand }: Deps, journeyId: string): Promise<string> {
  const live = definitions.current.journeys.get(journeyId)?.journey.name
  if (live !== undefined) return textOf(live, brand.locale)
  const last = await docs.published.findOne({ kind: 'journey', id: journeyId }, { sort: { version: -1 } })
  const named = z.object({ name: LocalText }).safeParse(last?.value)
  return named.success ? textOf(named.data.name, brand.locale) : journeyId
}

/** As the guide calls her, else as was said last. */
async function customerName(
  { docs }: Deps,
  profile: Profile,
  { userId, externalUserId }: Pick<ForGuide['contact'], 'userId' | 'externalUserId'>,
): Promise<string> {
  const relation = await docs.wecomRelations.get(relationId(userId, externalUserId))
  const names = [relation?.follow.remark, traitValue(profile, 'name'), relation?.contact.name]
  const name = names.map((text) => String(text ?? '').trim()).find((text) => text !== '')
  return name ?? `#${profile._id}`
}

/** Cards this guide was handed within the last minute. */
function cardsLately({ docs }: Deps, senderUserId: string, now: Date): Promise<number> {
  return docs.dispatches.count({
    senderUserId,
    releasedAt: { $gt: new Date(now.getTime() - MINUTE_MS) },
    channel: { $in: cardChannels },
  })
}
