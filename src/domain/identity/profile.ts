import { z } from 'zod'
import { keyed, own } from '../../parse.js'
import { type RecordEvent, TraitValue } from '../events/record.js'

/**
 * A trait keeps what each source last said, `null` where it took it back: so an older statement that arrives late stays
 * withdrawn. Which one counts is decided by `traitValue`.
 */
const TraitBySource = z.record(z.string(), z.object({ value: TraitValue.nullable(), at: z.date() }))

/** A member (导购) who has this person as a WeCom contact. */
const Contact = z.object({
  userId: z.string(),
  externalUserId: z.string(),
  /** When she was added last, as far as is known. */
  since: z.date(),
  /** No addition is known yet: `since` is the earliest instant at which we heard of the relation. */
  unseen: z.literal(true).optional(),
  /** Since when she counts as owner: whoever takes a customer over takes the old owner's place in line. */
  ownerSince: z.date().optional(),
  endedAt: z.date().optional(),
})
export type Contact = z.infer<typeof Contact>

export const Profile = z.object({
  /** `profileId`: dense, positive, never shown to customers. */
  _id: z.number().int().positive(),
  /** First identifier this profile was known by; stable, hashed for splits and holdouts. */
  anchor: z.string(),
  createdAt: z.date(),
  identifiers: z.array(z.object({ type: z.string(), value: z.string(), source: z.string(), since: z.date() })),
  traits: z.record(z.string(), TraitBySource),
  contacts: z.array(Contact),
  /** Set while the person does not want to be written to. */
  optedOutAt: z.date().optional(),
  /** The latest wish to be written to again: an older opt-out that arrives late does not undo it. */
  optedInAt: z.date().optional(),
  /** Ids of the profiles that were merged into this one, direct or not. */
  mergedIds: z.array(z.number().int()),
  /** The survivor; this document then stays as it was. */
  mergedInto: z.number().int().optional(),
})
export type Profile = z.infer<typeof Profile>

/** The value that counts. */
export function traitValue(profile: Profile, trait: string): TraitValue | undefined {
  return traitEntry(profile, trait)?.value
}

/** The statement that counts: the latest that stands; at one instant that of the source first in the alphabet. */
export function traitEntry(
  profile: Profile,
  trait: string,
): { source: string; value: TraitValue; at: Date } | undefined {
  return entryOf(own(profile.traits, trait))
}

/** The same of what the sources say of one trait. */
export function entryOf(
  bySource: Profile['traits'][string] = {},
): { source: string; value: TraitValue; at: Date } | undefined {
  let best: ReturnType<typeof entryOf>
  for (const source of Object.keys(bySource).sort()) {
    const { value, at } = bySource[source]!
    if (value !== null && (best === undefined || at > best.at)) best = { source, value, at }
  }
  return best
}

/** Every trait as text. */
export function traitTexts(profile: Profile): Record<string, string> {
  return keyed(
    Object.keys(profile.traits)
      .sort()
      .flatMap((trait) => {
        const value = traitValue(profile, trait)
        return value === undefined ? [] : [[trait, String(value)] as const]
      }),
  )
}

/** Which of the wishes counts: whether she is written to rests on the same. */
export const Consent = z.enum(['opted_out', 'opted_in'])
export type Consent = z.infer<typeof Consent>

/** undefined: she said nothing. */
export function consentOf({ optedOutAt, optedInAt }: Pick<Profile, 'optedOutAt' | 'optedInAt'>): Consent | undefined {
  if (optedOutAt !== undefined) return 'opted_out'
  return optedInAt === undefined ? undefined : 'opted_in'
}

/** What rules read a person's consent as, beside her traits; no source can say it as a trait. */
export const CONSENT = '@consent'

/** What rules read of a person: every trait as text, and her consent. */
export function ruleTexts(profile: Profile): Record<string, string> {
  return { ...traitTexts(profile), [CONSENT]: consentOf(profile) ?? '' }
}

/** `openid:wx123` is of type `openid`. */
export function typeName(type: string): string {
  const end = type.indexOf(':')
  return end === -1 ? type : type.slice(0, end)
}

/** Types of the identifiers, as rules read them. */
export function identifierTypes(profile: Profile): string[] {
  return [...new Set(profile.identifiers.map((i) => typeName(i.type)))].sort()
}

/** The contact through whom to write: who has been her owner longest, of the relations that still stand. */
export function ownerOf(profile: Profile): Contact | undefined {
  return profile.contacts.filter((c) => c.endedAt === undefined).sort(byOwnership)[0]
}

/** Whoever owns her is first: who has had her longest, or took her over from that one. */
export function byOwnership(a: Owning, b: Owning): number {
  return ownedSince(a) - ownedSince(b) || (a.userId < b.userId ? -1 : 1)
}

type Owning = Pick<Contact, 'userId' | 'since' | 'ownerSince'>

function ownedSince({ ownerSince, since }: Owning): number {
  return (ownerSince ?? since).getTime()
}

/**
 * Applies what an event says about contact and consent. Events may arrive in any order: the later instant counts.
 *
 * @returns whether it said anything about them
 */
export function applyEvent(profile: Profile, event: RecordEvent): boolean {
  switch (event.name) {
    case 'contact_added':
    case 'contact_deleted':
      return applyContact(profile, event)
    case 'owner_changed':
      return applyOwner(profile, event)
    case 'opted_out':
      applyConsent(profile, { optedOutAt: event.occurredAt })
      return true
    case 'opted_in':
      applyConsent(profile, { optedInAt: event.occurredAt })
      return true
    default:
      return false
  }
}

/** Takes over what else is known of the person's consent: the later wish counts, at one instant the opt-out. */
export function applyConsent(profile: Profile, said: Pick<Profile, 'optedOutAt' | 'optedInAt'>): void {
  const optedInAt = later(profile.optedInAt, said.optedInAt)
  const optedOutAt = later(profile.optedOutAt, said.optedOutAt)
  if (optedInAt !== undefined) profile.optedInAt = optedInAt
  if (optedOutAt === undefined || (optedInAt !== undefined && optedInAt > optedOutAt)) delete profile.optedOutAt
  else profile.optedOutAt = optedOutAt
}

function later(a: Date | undefined, b: Date | undefined): Date | undefined {
  return a === undefined || (b !== undefined && b > a) ? b : a
}

function applyContact(profile: Profile, { name, occurredAt: since, properties }: RecordEvent): boolean {
  const { userId, externalUserId } = properties
  if (typeof userId !== 'string' || typeof externalUserId !== 'string') return false
  const isEnd = name === 'contact_deleted'
  addContact(profile, { userId, externalUserId, since, ...(isEnd && { unseen: true, endedAt: since }) })
  return true
}

/** Somebody took her over, perhaps before we hear that she added her. */
function applyOwner(profile: Profile, { occurredAt: since, properties }: RecordEvent): boolean {
  const { toUserId: userId, externalUserId, since: owned } = properties
  if (typeof userId !== 'string' || typeof externalUserId !== 'string' || typeof owned !== 'string') return false
  const ownerSince = new Date(owned)
  if (Number.isNaN(ownerSince.getTime())) return false
  addContact(profile, { userId, externalUserId, since, unseen: true, ownerSince })
  return true
}

/** Takes over what else is known of a relation, in any order: one entry per guide and contact, sorted by them. */
export function addContact({ contacts }: Profile, contact: Contact): void {
  const at = contacts.findIndex((c) => compareContacts(c, contact) === 0)
  if (at === -1) contacts.push(contact)
  else contacts[at] = foldContacts(contacts[at]!, contact)
  contacts.sort(compareContacts)
}

function compareContacts(a: Contact, b: Contact): number {
  if (a.userId !== b.userId) return a.userId < b.userId ? -1 : 1
  return a.externalUserId === b.externalUserId ? 0 : a.externalUserId < b.externalUserId ? -1 : 1
}

/**
 * Of one relation: it began with the latest addition, and has ended where no addition is later than the latest end. Whoever
 * took her over did so from the earliest instant that is told.
 */
function foldContacts(a: Contact, b: Contact): Contact {
  const { userId, externalUserId } = a
  const seen = [a, b].filter((c) => c.unseen === undefined).map((c) => c.since)
  const since = seen.length > 0 ? seen.reduce((x, y) => (y > x ? y : x)) : a.since < b.since ? a.since : b.since
  const endedAt = later(a.endedAt, b.endedAt)
  const owned = [a, b].flatMap((c) => c.ownerSince ?? [])
  return {
    userId,
    externalUserId,
    since,
    ...(seen.length === 0 && { unseen: true }),
    ...(owned.length > 0 && { ownerSince: owned.reduce((x, y) => (y < x ? y : x)) }),
    ...(endedAt !== undefined && (seen.length === 0 || endedAt >= since) && { endedAt }),
  }
}
