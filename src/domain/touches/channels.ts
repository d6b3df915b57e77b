import type { ChannelKind } from './kinds/kind.js'
import { coupon } from './kinds/coupon.js'
import { task } from './kinds/task.js'
import { wecom } from './kinds/wecom.js'

/** Every channel, by the name that touches are stored under. */
const kinds = { wecom, coupon, task }
type Kinds = typeof kinds

export type ChannelName = keyof Kinds
/** Those that go out by themselves. */
export type CarrierName = { [K in ChannelName]: Kinds[K] extends { carriedBy: string } ? never : K }[ChannelName]
/** Those that a journey's `send` may name. */
export type StepChannel = { [K in ChannelName]: Kinds[K] extends { inSteps: string } ? K : never }[ChannelName]

export const channelKinds: { [K in ChannelName]: ChannelKind } = kinds
export const channelNames = Object.keys(kinds) as [ChannelName, ...ChannelName[]]
export const stepChannels = channelNames.filter((name) => channelKinds[name].inSteps !== undefined) as [
  StepChannel,
  ...StepChannel[],
]

/** False for what a newer version of this program has stored under a name that this one does not have. */
export function isKnownChannel(name: string): name is ChannelName {
  return Object.hasOwn(kinds, name)
}

/** What a channel tells of itself. */
export function traitsOf(
  name: CarrierName,
): { name: string } & Pick<ChannelKind, 'address' | 'needsConfirmation' | 'class'> {
  const { address, needsConfirmation, class: carries } = channelKinds[name]
  return { name, address, needsConfirmation, class: carries }
}

/** The channel that a touch goes out through. */
export function carrierOf(name: ChannelName): CarrierName {
  return (channelKinds[name].carriedBy ?? name) as CarrierName
}

/** Those that go out by themselves. */
export const carrierNames = channelNames.filter((name) => carrierOf(name) === name) as readonly CarrierName[]

/** One of something for each channel that goes out by itself. */
export function channelsBy<T>(make: (name: CarrierName) => T): { [K in CarrierName]: T } {
  return Object.fromEntries(carrierNames.map((name) => [name, make(name)])) as { [K in CarrierName]: T }
}

/** Names of the channels for which `test` holds. */
export function channelsWith(test: (kind: ChannelKind) => boolean): ChannelName[] {
  return channelNames.filter((name) => test(channelKinds[name]))
}

/** Whether it goes to a guide, as a task about a customer. */
export function isForGuide(name: ChannelName): boolean {
  return channelKinds[name].address.kind === 'staff'
}

/** The channels that go to guides as cards. */
export const cardChannels: readonly CarrierName[] = carrierNames.filter(isForGuide)
