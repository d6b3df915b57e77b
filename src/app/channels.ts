import { type CarrierName, channelsBy, traitsOf } from '../domain/touches/channels.js'
import type { Channel, Channels } from '../ports/channel.js'
import { createTaskChannel } from '../adapters/wecom/channels/task.js'
import { createWecomChannel, type WecomChannelOptions } from '../adapters/wecom/channels/wecom.js'

/** Everything that a channel may need to reach its platform. */
export type ChannelWiring = WecomChannelOptions

/** Every channel that goes out by itself, by name. */
const openers: { [K in CarrierName]: (wiring: ChannelWiring) => Channel } = {
  wecom: createWecomChannel,
  task: createTaskChannel,
}

export function openChannels(wiring: ChannelWiring): Channels {
  return channelsBy((name) => openers[name](wiring))
}

/** Stand-ins for channels: there a refusal is a value, so that what they were asked to send is refused and says why. */
export function missingChannels(message: string): Channels {
  return channelsBy((name) => ({
    ...traitsOf(name),
    limits: { recipients: 0 },
    dispatch: () => Promise.resolve({ kind: 'refused', reason: 'not_configured', message }),
    settle: () => Promise.resolve({ kind: 'absent' }),
    results: () => Promise.resolve(undefined),
    remind: () => Promise.resolve(),
    cancel: () => Promise.resolve(),
  }))
}
