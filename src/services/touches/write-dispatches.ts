import { cardChannels } from '../../domain/touches/channels.js'
import type { Filter } from '../../ports/document-language.js'
import type { Touch } from '../../domain/touches/touch.js'
import type { DispatchDoc } from '../../stored/touches.js'
import type { GuideTask } from '../../stored/guides.js'
import { messageOf } from '../../errors.js'
import { MINUTE_MS } from '../../time.js'
import { SUPERSEDED } from '../guides/reasons.js'
import type { Deps } from '../runtime/deps.js'
import { alone } from '../runtime/each-alone.js'
import { OF_KNOWN_CHANNELS } from './held-touches.js'
import { tellEnd } from './stop-dispatch.js'

/** One that cannot be made ready is looked at again after this. */
const STUCK_MS = 10 * MINUTE_MS

/** Written down, and the touches not all marked yet. To end one it need not be known how it would go out. */
export const UNMARKED: Filter<DispatchDoc> = {
  state: 'new',
  $or: [OF_KNOWN_CHANNELS, { ends: { $exists: true } }],
}
/**
 * A touch that nobody has decided on since this instant: whoever decides puts it off, suppresses it or gives it to a dispatch,
 * so what one who was slow has decided on it comes to nothing.
 */
export function waitsSince(now: Date): Filter<Touch> {
  return { state: 'planned', dispatchId: { $exists: false }, releaseAt: { $lte: now } }
}

/** A dispatch that is written down, and the codes that touches of it go with. */
export type NewDispatch = { dispatch: DispatchDoc; codes?: ReadonlyMap<string, string> }

export async function writeDispatches(deps: Deps, fresh: readonly NewDispatch[]): Promise<void> {
  await deps.docs.dispatches.insert(fresh.map((one) => one.dispatch))
  await makeReady(deps, fresh)
}

/**
 * Marks the touches of new dispatches. One that was suppressed meanwhile, or stands in another dispatch, leaves its own; a card
 * tells of all of them, so there it is made anew without that one. Where touches stand in a new dispatch nobody
 * else ends it: who wants to marks it with the reason (`endUnasked`), and it ends here, when all its touches are known.
 */
async function makeReady(deps: Deps, fresh: readonly NewDispatch[]): Promise<void> {
  const { dispatches, touches, tasks } = deps.docs
  await tasks.insert(fresh.flatMap(({ dispatch }) => taskOf(dispatch) ?? []))
  await touches.updateEach(
    fresh.flatMap(({ dispatch: { _id, recipients, releasedAt, senderUserId }, codes }) => {
      const where = waitsSince(releasedAt)
      const sender = senderUserId === undefined ? {} : { senderUserId }
      return recipients.map(({ touchId, externalUserId }) => {
        const couponCode = codes?.get(touchId)
        return {
          id: touchId,
          where,
          update: {
            $set: {
              ...{ dispatchId: _id, releasedAt, ...sender },
              ...(couponCode !== undefined && { couponCode }),
              ...(externalUserId !== undefined && { externalUserId }),
            },
            $unset: { releaseAt: 1, reason: 1 },
          },
        }
      })
    }),
  )
  const ids = fresh.flatMap(({ dispatch }) => dispatch.recipients.map((r) => r.touchId))
  const marked = new Map((await touches.getMany(ids)).map((t) => [t._id, t]))
  const ready: DispatchDoc[] = []
  const over: { dispatch: DispatchDoc; reason: string }[] = []
  for (const { dispatch } of fresh) {
    const { _id, recipients } = dispatch
    const theirs = recipients.flatMap((r) => marked.get(r.touchId) ?? [])
    const mine = new Set(
      theirs.filter((t) => t.dispatchId === _id && (t.state === 'planned' || t.state === 'created')).map((t) => t._id),
    )
    const goes = cardChannels.includes(dispatch.channel) ? mine.size === recipients.length : mine.size > 0
    if (!goes) {
      over.push({ dispatch, reason: theirs.find((t) => t.reason !== undefined)?.reason ?? SUPERSEDED })
      continue
    }
    for (const { touchId } of recipients)
      if (!mine.has(touchId)) await dispatches.update(_id, { $pull: { recipients: { touchId } } }, { state: 'new' })
    ready.push(dispatch)
  }
  // Whoever was left in it may have been taken out meanwhile, or it is to end.
  const where: Filter<DispatchDoc> = { state: 'new', recipients: { $ne: [] }, ends: { $exists: false } }
  await dispatches.updateEach(ready.map(({ _id: id }) => ({ id, where, update: { $set: { state: 'ready' } } })))
  const left = ready.length === 0 ? [] : await dispatches.find({ _id: { $in: ready.map((d) => d._id) }, state: 'new' })
  for (const dispatch of left) over.push({ dispatch, reason: SUPERSEDED })
  for (const { dispatch, reason } of over) await drop(deps, dispatch, reason)
}

/** The task of a card: it is there before the card can go out. */
function taskOf({ _id, senderUserId, recipients, releasedAt, task }: DispatchDoc): GuideTask | undefined {
  const [first] = recipients
  if (task === undefined || senderUserId === undefined || first?.externalUserId === undefined) return undefined
  return {
    _id,
    guideUserId: senderUserId,
    profileId: task.profileId,
    externalUserId: first.externalUserId,
    touchIds: recipients.map((r) => r.touchId),
    titles: task.titles,
    state: 'open',
    createdAt: releasedAt,
    dueAt: task.dueAt,
  }
}

/** A dispatch without touches, or a card without one of its own: what is left of it waits for its release again. */
async function drop({ docs, clock }: Deps, dispatch: DispatchDoc, why: string): Promise<void> {
  const now = clock.now()
  const reason = dispatch.ends ?? (cardChannels.includes(dispatch.channel) ? SUPERSEDED : why)
  const ended = { $set: { state: 'refused' as const, reason, nextAt: now } }
  if (await docs.dispatches.update(dispatch._id, ended, { state: 'new' }))
    await tellEnd(docs, { ...dispatch, reason }, now)
}

/** After a crash: dispatches that were written down, but whose touches may not be marked. */
export async function adoptNew(deps: Deps): Promise<void> {
  const { docs, clock, log } = deps
  const due: Filter<DispatchDoc> = { ...UNMARKED, nextAt: { $not: { $gt: clock.now() } } }
  const putOff = async ({ _id: id }: DispatchDoc, err: unknown) => {
    log.error('dispatch cannot be made ready, tried again later', { dispatchId: id, cause: messageOf(err) })
    const nextAt = new Date(clock.now().getTime() + STUCK_MS)
    await docs.dispatches.update(id, { $set: { nextAt } }, { state: 'new' })
  }
  for (const dispatch of await docs.dispatches.find(due, { skipUnfit: true })) await alone(dispatch, adopt, putOff)

  async function adopt(dispatch: DispatchDoc): Promise<void> {
    const touchIds = cardChannels.includes(dispatch.channel) ? dispatch.recipients.map((r) => r.touchId) : []
    const taken = touchIds.length === 0 ? [] : await docs.coupons.find({ touchId: { $in: touchIds } })
    const codes = new Map(taken.map(({ touchId, code }) => [touchId!, code])) // they were found by it
    await makeReady(deps, [{ dispatch, codes }])
  }
}
