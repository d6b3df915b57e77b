import { type Profile, traitEntry } from '../../domain/identity/profile.js'
import { shownValue } from '../../domain/tags/definition.js'
import type { ProfileTags } from '../../stored/tags.js'
import type { Deps } from '../runtime/deps.js'
import { eventsOf } from './events-of.js'
import { findPerson, type PersonQuery } from './find-person.js'

/** What is known of one person. Instants are ISO 8601. */
export type ShownPerson = {
  profileId: number
  createdAt: string
  /** The numbers of profiles that were found to be her, too. */
  mergedIds: number[]
  optedOutAt?: string
  identifiers: { type: string; value: string; source: string; since: string }[]
  traits: { name: string; value: string; source: string; since: string }[]
  contacts: { userId: string; externalUserId: string; since: string; endedAt?: string }[]
  tags: { id: string; value: string; since: string }[]
  /** The last of them, newest first. */
  events: { id: string; name: string; at: string; source: string; amountMinor: number; properties: string }[]
}

const EVENTS_SHOWN = 10
/** @throws {NotFoundError} when there is nobody of that kind */
export async function showPerson(deps: Deps, query: PersonQuery): Promise<ShownPerson> {
  const profile = await findPerson(deps, query)
  const tags = await deps.docs.profileTags.get(profile._id)
  const events = await eventsOf(deps, profile, 'true', EVENTS_SHOWN)
  return {
    ...describeProfile(deps, profile, tags),
    events: events.map(({ id, name, ms, source, amount: amountMinor, properties }) => {
      return { id, name, at: new Date(ms).toISOString(), source, amountMinor, properties }
    }),
  }
}

/** What documents say of her. */
export function describeProfile(
  { definitions, clock }: Pick<Deps, 'definitions' | 'clock'>,
  profile: Profile,
  stored: ProfileTags | undefined,
): Omit<ShownPerson, 'events'> {
  const named = new Map(definitions.current.tags.map((tag) => [tag.id, tag]))
  const tags = stored?.tags ?? {}
  return {
    profileId: profile._id,
    createdAt: profile.createdAt.toISOString(),
    mergedIds: profile.mergedIds,
    ...(profile.optedOutAt !== undefined && { optedOutAt: profile.optedOutAt.toISOString() }),
    identifiers: profile.identifiers.map(({ since, ...rest }) => ({ ...rest, since: since.toISOString() })),
    traits: Object.keys(profile.traits)
      .sort()
      .flatMap((name) => {
        const entry = traitEntry(profile, name)
        if (entry === undefined) return []
        return [{ name, value: String(entry.value), source: entry.source, since: entry.at.toISOString() }]
      }),
    contacts: profile.contacts.map(({ userId, externalUserId, since, endedAt }) => ({
      ...{ userId, externalUserId, since: since.toISOString() },
      ...(endedAt !== undefined && { endedAt: endedAt.toISOString() }),
    })),
    tags: Object.entries(tags)
      .map(([id, { v, since }]) => ({
        id,
        value: shownValue(named.get(id), v, clock.now()),
        since: since.toISOString(),
      }))
      .sort((a, b) => (a.id < b.id ? -1 : 1)),
  }
}
