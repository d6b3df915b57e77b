import { expect, it } from '@jest/globals'
import type { Profile } from '../../../src/domain/identity/profile.js'
import { addressOf, needsContact } from '../../../src/domain/touches/address.js'
import type { Address } from '../../../src/domain/touches/kinds/kind.js'

const at = (day: number) => new Date(Date.UTC(2026, 2, day))
const contact = { userId: 'guide-1', externalUserId: 'wm1', since: at(1) }
const profile: Profile = {
  _id: 1,
  anchor: 'member_id:m1',
  createdAt: at(1),
  identifiers: [
    { type: 'member_id', value: 'm1', source: 'shop', since: at(1) },
    { type: 'postal', value: 'old', source: 'shop', since: at(2) },
    { type: 'postal:home', value: 'new', source: 'shop', since: at(3) },
    { type: 'postal', value: 'older', source: 'shop', since: at(1) },
  ],
  traits: {},
  contacts: [contact],
  mergedIds: [],
}
const contactType: Address = { kind: 'identifier', type: 'external_userid' }

it.each<[string, Address, typeof contact | undefined, ReturnType<typeof addressOf>]>([
  ['the customer, in the name of her member', contactType, contact, { sender: 'guide-1', to: 'wm1' }],
  ['nobody’s contact', contactType, undefined, undefined],
  ['the member herself', { kind: 'staff', corpTags: false }, contact, { to: 'guide-1' }],
  ['no member', { kind: 'staff', corpTags: false }, undefined, undefined],
  ['the identifier that was learnt last', { kind: 'identifier', type: 'postal' }, undefined, { to: 'new' }],
  ['no such identifier', { kind: 'identifier', type: 'phone' }, contact, undefined],
  ['a group', { kind: 'group' }, contact, undefined],
  ['whoever comes', { kind: 'none' }, contact, undefined],
])('%s', (_what, address, through, found) => {
  expect(addressOf({ address }, profile, through)).toEqual(found)
})

it('only what goes through a member needs one', () => {
  const kinds: Address[] = [contactType, { kind: 'staff', corpTags: false }, { kind: 'identifier', type: 'postal' }]
  expect(kinds.map((address) => needsContact({ address }))).toEqual([true, true, false])
})
