import type { Touch } from '../../domain/touches/touch.js'
import type { Filter } from '../../ports/document-language.js'
import type { Collections } from '../../stored/collections.js'

/** Why a card ends whose reasons go on: on another card, or with what they go out with instead. */
export const SUPERSEDED = 'superseded'

/** Why a card ends whose guide has pressed a button of the one that it came in the place of. */
export const CONTACTED = 'contacted'

/** Touches that stand on a card, or are to: its `_id` is theirs as `dispatchId`. */
export function standsOn(cardId: string): Filter<Touch> {
  return { dispatchId: cardId, state: { $in: ['planned', 'created'] } }
}

/** The reasons that a card is there for, as far as they have not gone. */
export async function liveReasons({ tasks, touches }: Collections, cardId: string): Promise<Touch[]> {
  const ids = (await tasks.get(cardId))?.touchIds ?? []
  const known = await touches.getMany(ids)
  return known.filter((t) => t.dispatchId === cardId && (t.state === 'planned' || t.state === 'created'))
}

/** Why a card ends: for `outcome`, unless none of its reasons stands any more. */
export function whyOver(reasons: readonly Touch[], outcome: string): string {
  return reasons.every((t) => t.state === 'suppressed') ? (reasons[0]?.reason ?? outcome) : outcome
}

/** A card is over: its reasons wait for their release again, and its task ends. Done again, nothing is left to do. */
export async function freeReasons(
  { tasks, touches }: Collections,
  cardId: string,
  outcome: string,
  now: Date,
): Promise<void> {
  const ids = (await tasks.get(cardId))?.touchIds ?? []
  await touches.updateMany(
    { _id: { $in: ids }, ...standsOn(cardId) },
    {
      $set: { state: 'planned', releaseAt: now },
      $unset: { dispatchId: 1, senderUserId: 1, externalUserId: 1, releasedAt: 1 },
    },
  )
  const why = whyOver(await touches.getMany(ids), outcome)
  await tasks.update(cardId, { $set: { state: 'expired', outcome: why, closedAt: now } }, { state: 'open' })
}
