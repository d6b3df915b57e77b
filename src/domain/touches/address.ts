import { type Contact, type Profile, typeName } from '../identity/profile.js'
import type { ChannelKind } from './kinds/kind.js'

/** Identifier of a person as one member's contact: what is sent there is sent in that member's name. */
const CONTACT_TYPE = 'external_userid'

/** Where a message goes. `sender`: the member in whose name, where one must be. */
export type Addressee = { sender?: string; to: string }

/** Whether it reaches a person through a member who has her as a contact. */
export function needsContact({ address }: Pick<ChannelKind, 'address'>): boolean {
  return address.kind === 'staff' || (address.kind === 'identifier' && address.type === CONTACT_TYPE)
}

/**
 * Where a channel reaches a person; of several identifiers of the type the one that was learnt last.
 *
 * @param contact - the member through whom she is written to, if there is one
 * @returns undefined where it does not reach her
 */
export function addressOf(
  { address }: Pick<ChannelKind, 'address'>,
  profile: Profile,
  contact: Contact | undefined,
): Addressee | undefined {
  switch (address.kind) {
    case 'staff':
      return contact && { to: contact.userId }
    case 'identifier': {
      if (address.type === CONTACT_TYPE) return contact && { sender: contact.userId, to: contact.externalUserId }
      const [latest] = profile.identifiers
        .filter(({ type }) => typeName(type) === address.type)
        .sort((a, b) => b.since.getTime() - a.since.getTime() || (a.value < b.value ? -1 : 1))
      return latest && { to: latest.value }
    }
    // Neither is about one person.
    case 'group':
    case 'none':
      return undefined
  }
}
