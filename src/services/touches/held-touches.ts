import { carrierNames, channelNames } from '../../domain/touches/channels.js'
import type { Touch } from '../../domain/touches/touch.js'
import type { Filter } from '../../ports/document-language.js'
import type { DispatchDoc } from '../../stored/touches.js'
import type { Collections } from '../../stored/collections.js'

/** Dispatches whose channel this version has; a newer version's wait here for a worker of that version. */
export const OF_KNOWN_CHANNELS = { channel: { $in: [...carrierNames] } }

/** Of which the platform does not say what became of them, or with which something of ours fails. */
const SILENT: Filter<DispatchDoc> = {
  state: { $in: ['ready', 'sending', 'created', 'refused'] },
  silent: { $exists: true },
  nextAt: { $exists: true },
}

const HELD: Filter<Touch> = {
  state: { $in: ['planned', 'created', 'confirmed'] },
  channel: { $nin: [...channelNames] },
}

/** How many touches are on their way through a channel that this version does not know. */
export async function countHeldTouches({ touches }: Pick<Collections, 'touches'>): Promise<number> {
  return touches.count(HELD)
}

export type HeldTouches = {
  touches: number
  /** Most first. */
  channels: { channel: string; touches: number }[]
  /** Messages and cards with which nothing goes on, by what the platform, or a fault of ours, says instead; most first. */
  unsettled: { why: string; dispatches: number }[]
}

/** The same by channel, and what the platform does not settle. */
export async function listHeldTouches({
  touches,
  dispatches,
}: Pick<Collections, 'touches' | 'dispatches'>): Promise<HeldTouches> {
  const counts = new Map<string, number>()
  for await (const batch of touches.scan(HELD, undefined, { skipUnfit: true }))
    for (const { channel } of batch) counts.set(channel, (counts.get(channel) ?? 0) + 1)
  const channels = [...counts].map(([channel, count]) => ({ channel, touches: count }))
  const reasons = new Map<string, number>()
  for await (const batch of dispatches.scan(SILENT, undefined, { skipUnfit: true }))
    for (const { silent } of batch) reasons.set(silent!.why, (reasons.get(silent!.why) ?? 0) + 1)
  return {
    touches: channels.reduce((sum, c) => sum + c.touches, 0),
    channels: channels.sort((a, b) => b.touches - a.touches || (a.channel < b.channel ? -1 : 1)),
    unsettled: [...reasons]
      .map(([why, count]) => ({ why, dispatches: count }))
      .sort((a, b) => b.dispatches - a.dispatches || (a.why < b.why ? -1 : 1)),
  }
}
