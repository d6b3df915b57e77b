import { carrierNames, channelNames } from '../../domain/touches/channels.js'
import type { Touch } from '../../domain/touches/touch.js'
import type { Filter } from '../../ports/document-language.js'
import type { Collections } from '../../stored/collections.js'

/** Dispatches whose channel this version has; a newer version's wait here for a worker of that version. */
export const OF_KNOWN_CHANNELS = { channel: { $in: [...carrierNames] } }

const HELD: Filter<Touch> = {
  state: { $in: ['planned', 'created', 'confirmed'] },
  channel: { $nin: [...channelNames] },
}

/** How many touches are on their way through a channel that this version does not know. */
export async function countHeldTouches({ touches }: Pick<Collections, 'touches'>): Promise<number> {
  return touches.count(HELD)
}

/** The same by channel, most first. */
export async function listHeldTouches({
  touches,
}: Pick<Collections, 'touches'>): Promise<{ touches: number; channels: { channel: string; touches: number }[] }> {
  const counts = new Map<string, number>()
  for await (const batch of touches.scan(HELD))
    for (const { channel } of batch) counts.set(channel, (counts.get(channel) ?? 0) + 1)
  const channels = [...counts].map(([channel, count]) => ({ channel, touches: count }))
  return {
    touches: channels.reduce((sum, c) => sum + c.touches, 0),
    channels: channels.sort((a, b) => b.touches - a.touches || (a.channel < b.channel ? -1 : 1)),
  }
}
