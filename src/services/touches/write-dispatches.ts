import { isForGuide } from '../../domain/touches/channels.js'
import type { Filter } from '../../ports/document-language.js'
import type { Touch } from '../../domain/touches/touch.js'
import type { DispatchDoc } from '../../stored/touches.js'
import type { Deps } from '../runtime/deps.js'
import { OF_KNOWN_CHANNELS } from './held-touches.js'

/** Written down, and the touches not all marked yet. */
export const UNMARKED: Filter<DispatchDoc> = { state: 'new', ...OF_KNOWN_CHANNELS }
/** Its touches were released by another dispatch. */
const SUPERSEDED = 'superseded'

/**
 * A touch that nobody has decided on since this instant: whoever decides puts it off, suppresses it or gives it to a dispatch,
 * so what one who was slow has decided on it comes to nothing.
 */
export function waitsSince(now: Date): Filter<Touch> {
  return { state: 'planned', dispatchId: { $exists: false }, releaseAt: { $lte: now } }
}

/** A dispatch that is written down, and the code that its touch goes with. */
export type NewDispatch = { dispatch: DispatchDoc; couponCode?: string | undefined }

export async function writeDispatches(deps: Deps, fresh: readonly NewDispatch[]): Promise<void> {
  await deps.docs.dispatches.insert(fresh.map((one) => one.dispatch))
  await makeReady(deps, fresh)
}

/** Marks the touches of new dispatches. One that was suppressed meanwhile, or stands in another dispatch, leaves its own. */
async function makeReady(deps: Deps, fresh: readonly NewDispatch[]): Promise<void> {
  const { dispatches, touches } = deps.docs
  await touches.updateEach(
    fresh.flatMap(({ dispatch: { _id, recipients, releasedAt, senderUserId }, couponCode }) => {
      const where = waitsSince(releasedAt)
      const code = couponCode === undefined ? {} : { couponCode }
      const sender = senderUserId === undefined ? {} : { senderUserId }
      return recipients.map(({ touchId, externalUserId }) => ({
        id: touchId,
        where,
        update: {
          $set: {
            ...{ dispatchId: _id, releasedAt, ...sender, ...code },
            ...(externalUserId !== undefined && { externalUserId }),
          },
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
    else await dropEmpty(deps, dispatch, theirs.find((t) => t.reason !== undefined)?.reason ?? SUPERSEDED)
  }
  // Whoever was left in it may have been taken out meanwhile.
  const where: Filter<DispatchDoc> = { state: 'new', recipients: { $ne: [] } }
  await dispatches.updateEach(ready.map(({ _id: id }) => ({ id, where, update: { $set: { state: 'ready' } } })))
}

/** A dispatch without touches. It ends last: until then `adoptNew` finds it. */
async function dropEmpty({ docs, clock }: Deps, dispatch: DispatchDoc, reason: string): Promise<void> {
  const { dispatches, touches } = docs
  const { _id } = dispatch
  const now = clock.now()
  if (isForGuide(dispatch.channel)) {
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
  await dispatches.update(_id, { $set: { state: 'refused', reason }, $unset: { nextAt: 1 } }, { state: 'new' })
}

/** After a crash: dispatches that were written down, but whose touches may not be marked. */
export async function adoptNew(deps: Deps): Promise<void> {
  for (const dispatch of await deps.docs.dispatches.find(UNMARKED, { skipUnfit: true })) {
    const [first] = dispatch.recipients
    const hasCode = isForGuide(dispatch.channel) && first !== undefined
    const coupon = hasCode ? await deps.docs.coupons.findOne({ touchId: first.touchId }) : undefined
    await makeReady(deps, [{ dispatch, couponCode: coupon?.code }])
  }
}
