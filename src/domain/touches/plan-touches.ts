import type { Content } from '../content/content.js'
import { type Contact, ownerOf, type Profile } from '../identity/profile.js'
import { relationId } from '../wecom/relation.js'
import { type Addressee, addressOf } from './address.js'
import { channelKinds, isKnownChannel } from './channels.js'
import { decideRelease, type Policy, type ReleaseFacts } from './policy.js'
import type { SuppressReason, Touch } from './touch.js'

/** What is known when touches are due. */
export type TouchFacts = Pick<ReleaseFacts, 'now' | 'sending' | 'timeZone'> & {
  /** Identifiers of those who may be written to in mode `allow_list`. */
  allowList: readonly string[]
  profiles: ReadonlyMap<number, Profile>
  /** Relations that ended by the mirror's word, which may be ahead of the profile, by id. */
  ended: ReadonlyMap<string, Date>
  /** Members who have left the company, or cannot sign in. */
  gone: ReadonlySet<string>
  /** Touches of these people that have taken their place among their caps. */
  earlier: readonly (Pick<Touch, 'profileId' | 'channel'> & { releasedAt: Date })[]
  /** Runs that ended otherwise than by their steps. */
  left: ReadonlySet<string>
  /** Contents that nobody is sent any more. */
  withdrawn: ReadonlySet<string>
  /** What a touch says; undefined: there is no such content. */
  contentOf: (touch: Touch) => Content | undefined | { unreadable: string }
  /** Free codes, by pool. */
  stock: ReadonlyMap<string, number>
  /** Touches that hold a code already. */
  holding: ReadonlySet<string>
}

/** A touch that goes out: to whom, where, and what. `contact`: the member who has her, if there is one. */
export type Approved = {
  touch: Touch
  profile: Profile
  address: Addressee
  contact?: Contact
  content: Content
  couponCode?: string
}

/** What is to become of a due touch. `later`: here nobody can tell, for this reason. `wait`: there is no room for it before. */
export type PlannedTouch =
  | ({ kind: 'release' } & Omit<Approved, 'couponCode'>)
  | { kind: 'suppress'; touch: Touch; reason: SuppressReason }
  | { kind: 'later'; touch: Touch; reason: string }
  | { kind: 'wait'; touch: Touch; until: Date; reason: 'cap' | 'quota' }

/** Nobody is to get these words any more, whatever run they are from: see `siyu publish --withdraw`. */
export const CONTENT_WITHDRAWN: SuppressReason = 'content_withdrawn'

/**
 * Who is written to and who is not, over all journeys: in the order of the policy's priority, then of their planning. Pure: the
 * same input gives the same plan, in that order.
 */
export function planTouches(policy: Policy, due: readonly Touch[], facts: TouchFacts): PlannedTouch[] {
  const places = new Map<number, { at: Date; mass: boolean }[]>()
  const take = ({ profileId, channel }: Pick<Touch, 'profileId' | 'channel'>, at: Date) => {
    const mine = places.get(profileId) ?? []
    mine.push({ at, mass: isKnownChannel(channel) && channelKinds[channel].usesQuota })
    places.set(profileId, mine)
  }
  for (const touch of facts.earlier) take(touch, touch.releasedAt)
  const stock = new Map(facts.stock)
  return inOrder(policy, due).map((touch): PlannedTouch => {
    if (facts.left.has(touch.runId)) return { kind: 'suppress', touch, reason: 'exited' }
    if (facts.withdrawn.has(touch.contentId)) return { kind: 'suppress', touch, reason: CONTENT_WITHDRAWN }
    if (!isKnownChannel(touch.channel)) return { kind: 'later', touch, reason: unknownChannel(touch.channel) }
    const content = facts.contentOf(touch)
    if (content === undefined) return { kind: 'suppress', touch, reason: 'no_content' }
    if ('unreadable' in content) return { kind: 'later', touch, reason: content.unreadable }
    const profile = facts.profiles.get(touch.profileId)
    const contact = profile === undefined ? undefined : ownerOf(standing(profile, facts, touch.notThrough))
    const address = profile === undefined ? undefined : addressOf(channelKinds[touch.channel], profile, contact)
    const mine = places.get(touch.profileId) ?? []
    const decision = decideRelease(policy, touch.channel, {
      now: facts.now,
      noRoomSince: touch.noRoomSince ?? facts.now,
      timeZone: facts.timeZone,
      optedOut: profile?.optedOutAt !== undefined,
      reachable: address !== undefined,
      releasedAt: mine.map((place) => place.at),
      massReleasedAt: mine.filter((place) => place.mass).map((place) => place.at),
      sending: facts.sending,
      onAllowList: profile !== undefined && profile.identifiers.some((i) => facts.allowList.includes(i.value)),
    })
    if (decision.kind === 'wait') return { touch, ...decision }
    if (decision.kind === 'suppress') {
      // Nobody is left to try it: what the last one was told stands.
      const isRefused = address === undefined && touch.notThrough !== undefined && touch.reason === 'refused'
      return { kind: 'suppress', touch, reason: isRefused ? 'refused' : decision.reason }
    }
    if (content.coupon !== undefined && !facts.holding.has(touch._id)) {
      const left = stock.get(content.coupon) ?? 0
      if (left === 0) return { kind: 'suppress', touch, reason: 'coupon_stock' }
      stock.set(content.coupon, left - 1)
    }
    take(touch, facts.now)
    // Reachable, so both are known.
    return { kind: 'release', touch, profile: profile!, address: address!, ...(contact && { contact }), content }
  })
}

/** Why a touch waits whose channel only a newer version of this program has. */
export function unknownChannel(name: string): string {
  return `this version knows no channel "${name}"`
}

function inOrder({ priority }: Policy, touches: readonly Touch[]): Touch[] {
  const rank = new Map(priority.map((id, i) => [id, i]))
  const rankOf = ({ journeyId }: Touch) => rank.get(journeyId) ?? rank.size
  return [...touches].sort(
    (a, b) => rankOf(a) - rankOf(b) || a.plannedAt.getTime() - b.plannedAt.getTime() || (a._id < b._id ? -1 : 1),
  )
}

/** As far as somebody can be written to through them. @param notThrough - members through whom it does not go */
function standing(
  profile: Profile,
  { ended, gone }: Pick<TouchFacts, 'ended' | 'gone'>,
  notThrough: readonly string[] = [],
): Profile {
  const contacts = profile.contacts.filter((c) => {
    const endedAt = ended.get(relationId(c.userId, c.externalUserId))
    const stands = endedAt === undefined || endedAt < c.since
    return stands && !gone.has(c.userId) && !notThrough.includes(c.userId)
  })
  return { ...profile, contacts }
}
