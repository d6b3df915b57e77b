import { describe, expect, it } from '@jest/globals'
import { RecordEvent } from '../../../src/domain/events/record.js'
import {
  addContact,
  applyEvent,
  ownerOf,
  type Profile,
  traitTexts,
  traitValue,
} from '../../../src/domain/identity/profile.js'
import { parseInput } from '../../../src/parse.js'

const at = (day: number) => new Date(Date.UTC(2026, 2, day))

function buildProfile(more: Partial<Profile> = {}): Profile {
  return {
    _id: 1,
    anchor: 'member_id:1',
    createdAt: at(1),
    identifiers: [],
    traits: {},
    contacts: [],
    mergedIds: [],
    ...more,
  }
}

function event(name: string, day: number, properties: object = {}): RecordEvent {
  return parseInput(RecordEvent, { id: `${name}:${day}`, name, occurredAt: at(day), properties })
}

function after(...events: RecordEvent[]): Profile {
  const profile = buildProfile()
  for (const e of events) applyEvent(profile, e)
  return profile
}

function permutations<T>(items: readonly T[]): T[][] {
  if (items.length <= 1) return [[...items]]
  return items.flatMap((item, i) => permutations(items.filter((_, j) => j !== i)).map((rest) => [item, ...rest]))
}

describe('traitValue', () => {
  it('takes the latest saying, whichever source', () => {
    const profile = buildProfile({
      traits: { city: { pos: { value: '上海', at: at(2) }, crm: { value: '杭州', at: at(3) } } },
    })
    expect(traitValue(profile, 'city')).toBe('杭州')
  })

  it('takes the source first in the alphabet when two speak at one instant', () => {
    const profile = buildProfile({
      traits: { city: { pos: { value: '上海', at: at(2) }, crm: { value: '杭州', at: at(2) } } },
    })
    expect(traitValue(profile, 'city')).toBe('杭州')
  })

  it('knows nothing of a trait that nobody named', () => {
    expect(traitValue(buildProfile(), 'city')).toBeUndefined()
  })

  it('gives every trait as text, sorted by name', () => {
    const profile = buildProfile({
      traits: { vip: { crm: { value: true, at: at(1) } }, age: { crm: { value: 42, at: at(1) } } },
    })
    expect(Object.entries(traitTexts(profile))).toEqual([
      ['age', '42'],
      ['vip', 'true'],
    ])
  })
})

describe('ownerOf', () => {
  const contact = (userId: string, since: number, endedAt?: number) => ({
    userId,
    externalUserId: `wm-${userId}`,
    since: at(since),
    ...(endedAt === undefined ? {} : { endedAt: at(endedAt) }),
  })

  it('is the oldest relation that still stands', () => {
    const contacts = [contact('c', 3), contact('a', 1, 4), contact('b', 2)]
    expect(ownerOf(buildProfile({ contacts }))?.userId).toBe('b')
  })

  it('is the first name in the alphabet of two that began together, whatever their order', () => {
    const contacts = [contact('b', 2), contact('a', 2)]
    expect(ownerOf(buildProfile({ contacts }))?.userId).toBe('a')
    expect(ownerOf(buildProfile({ contacts: contacts.reverse() }))?.userId).toBe('a')
  })

  it('is nobody when every relation has ended', () => {
    expect(ownerOf(buildProfile({ contacts: [contact('a', 1, 2)] }))).toBeUndefined()
  })
})

describe('consent, in any order of arrival', () => {
  it.each([
    { wishes: ['out 1'], out: 1 },
    { wishes: ['out 1', 'in 2'], out: undefined },
    { wishes: ['out 1', 'in 2', 'out 3'], out: 3 },
    { wishes: ['out 1', 'out 3', 'in 2'], out: 3 },
    { wishes: ['in 1', 'out 1'], out: 1 },
    { wishes: ['out 1', 'in 2', 'out 3', 'in 4'], out: undefined },
  ])('after $wishes the opt-out is of day $out', ({ wishes, out }) => {
    const events = wishes.map((wish) => event(`opted_${wish.split(' ')[0]}`, Number(wish.split(' ')[1])))
    for (const order of permutations(events)) {
      expect(after(...order).optedOutAt).toEqual(out === undefined ? undefined : at(out))
    }
  })
})

describe('contacts, in any order of arrival', () => {
  const relation = { userId: 'guide-1', externalUserId: 'wm1' }

  it.each([
    { story: ['added 1'], stands: true },
    { story: ['added 1', 'deleted 2'], stands: false },
    { story: ['added 1', 'deleted 2', 'added 3'], stands: true },
    { story: ['added 1', 'deleted 2', 'added 3', 'deleted 5'], stands: false },
    { story: ['deleted 3', 'added 4', 'deleted 5'], stands: false },
    { story: ['added 1', 'deleted 2', 'deleted 4', 'added 3'], stands: false },
  ])('after $story the relation stands: $stands', ({ story, stands }) => {
    const events = story.map((s) => event(`contact_${s.split(' ')[0]}`, Number(s.split(' ')[1]), relation))
    for (const order of permutations(events)) {
      expect({ order: order.map((e) => e.id), owner: ownerOf(after(...order))?.userId }).toEqual({
        order: order.map((e) => e.id),
        owner: stands ? 'guide-1' : undefined,
      })
    }
  })

  const taken = (day: number, since: number, userId = 'guide-1') =>
    event('owner_changed', day, {
      ...relation,
      toUserId: userId,
      fromUserId: 'guide-0',
      since: at(since).toISOString(),
    })
  const added = (day: number, more = {}) => event('contact_added', day, { ...relation, ...more })
  const deleted = (day: number, more = {}) => event('contact_deleted', day, { ...relation, ...more })

  it.each([
    { story: [added(1), deleted(5), added(3)], is: { since: at(3), endedAt: at(5) } },
    { story: [deleted(3), deleted(5)], is: { since: at(3), endedAt: at(5), unseen: true } },
    { story: [deleted(3), deleted(5), added(2)], is: { since: at(2), endedAt: at(5) } },
    { story: [added(3), deleted(3)], is: { since: at(3), endedAt: at(3) } },
    { story: [taken(4, 1)], is: { since: at(4), unseen: true, ownerSince: at(1) } },
    { story: [taken(4, 2), taken(6, 1), added(5)], is: { since: at(5), ownerSince: at(1) } },
    { story: [taken(4, 1), deleted(3), added(2)], is: { since: at(2), ownerSince: at(1), endedAt: at(3) } },
    { story: [taken(4, 1), deleted(3), added(2), added(5)], is: { since: at(5), ownerSince: at(1) } },
  ])('$story.length statements say the same of a relation, also on two profiles that become one: $is', (of) => {
    for (const order of permutations(of.story)) {
      for (let cut = 0; cut <= order.length; cut++) {
        const [one, other] = [after(...order.slice(0, cut)), after(...order.slice(cut))]
        for (const contact of other.contacts) addContact(one, contact)
        expect(one.contacts).toEqual([{ ...relation, ...of.is }])
      }
    }
  })

  it('lists relations by guide and contact, in whatever order they are heard of', () => {
    const events = [added(1, { userId: 'b' }), added(1, { userId: 'a', externalUserId: 'wm2' }), taken(2, 1, 'a')]
    for (const order of permutations(events))
      expect(after(...order).contacts.map((c) => `${c.userId} ${c.externalUserId}`)).toEqual([
        'a wm1',
        'a wm2',
        'b wm1',
      ])
  })

  it('keeps one relation per guide and contact', () => {
    const profile = after(
      event('contact_added', 1, relation),
      event('contact_added', 2, { ...relation, userId: 'guide-2' }),
      event('contact_added', 3, relation),
    )
    expect(profile.contacts.map((c) => c.userId)).toEqual(['guide-1', 'guide-2'])
  })

  it('takes nothing from an event that does not say who', () => {
    expect(applyEvent(buildProfile(), event('contact_added', 1, { userId: 'guide-1' }))).toBe(false)
  })

  it('leaves the profile alone for every other event', () => {
    const profile = buildProfile()
    expect(applyEvent(profile, event('order_paid', 1))).toBe(false)
    expect(profile).toEqual(buildProfile())
  })
})
