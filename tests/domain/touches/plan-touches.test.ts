import { describe, expect, it } from '@jest/globals'
import { Content } from '../../../src/domain/content/content.js'
import type { Profile } from '../../../src/domain/identity/profile.js'
import { type PlannedTouch, planTouches, type TouchFacts } from '../../../src/domain/touches/plan-touches.js'
import { Policy } from '../../../src/domain/touches/policy.js'
import type { Touch } from '../../../src/domain/touches/touch.js'
import { relationId } from '../../../src/domain/wecom/relation.js'
import { parseInput } from '../../../src/parse.js'
import { DAY_MS, HOUR_MS } from '../../../src/time.js'

const NOW = new Date('2026-06-01T03:00:00Z')
const ago = (ms: number) => new Date(NOW.getTime() - ms)

const policy = (more: object = {}): Policy =>
  parseInput(Policy, {
    quietHours: { from: '21:00', to: '09:00' },
    caps: [{ max: 1, per: '1d' }],
    wecomQuota: { mode: 'month_days' },
    confirmWithin: '3d',
    ...more,
  })

const profile = (id: number, more: Partial<Profile> = {}): Profile => ({
  _id: id,
  anchor: `member_id:m${id}`,
  createdAt: ago(90 * DAY_MS),
  identifiers: [{ type: 'member_id', value: `m${id}`, source: 'shop', since: ago(90 * DAY_MS) }],
  traits: {},
  contacts: [{ userId: 'guide-1', externalUserId: `wm${id}`, since: ago(30 * DAY_MS) }],
  mergedIds: [],
  ...more,
})

const touch = (id: string, profileId: number, more: Partial<Touch> = {}): Touch => ({
  _id: id,
  profileId,
  journeyId: 'care',
  runId: `care:${profileId}:0`,
  stepId: 's',
  state: 'planned',
  plannedAt: ago(HOUR_MS),
  releaseAt: NOW,
  channel: 'wecom',
  contentId: 'hello',
  ...more,
})

const CONTENTS = new Map(
  [
    { id: 'hello', text: '您好' },
    { id: 'gift', text: '送您 {{ coupon }}', coupon: 'pool-a' },
  ].map((c) => [c.id, parseInput(Content, c)]),
)

const facts = (profiles: readonly Profile[], more: Partial<TouchFacts> = {}): TouchFacts => ({
  now: NOW,
  timeZone: 'Asia/Shanghai',
  sending: 'live',
  allowList: [],
  profiles: new Map(profiles.map((p) => [p._id, p])),
  ended: new Map(),
  gone: new Set(),
  earlier: [],
  left: new Set(),
  withdrawn: new Set(),
  contentOf: (t) => CONTENTS.get(t.contentId),
  stock: new Map([['pool-a', 1]]),
  holding: new Set(),
  ...more,
})

const outcomes = (plan: readonly PlannedTouch[]) =>
  plan.map((p) => `${p.touch._id} ${p.kind}${'reason' in p ? ` ${p.reason}` : ''}`)

describe('the plan of due touches', () => {
  it('releases to the customer through her guide, with the words of the content', () => {
    const [planned] = planTouches(policy(), [touch('t1', 1)], facts([profile(1)]))
    expect(planned).toMatchObject({
      kind: 'release',
      contact: { userId: 'guide-1', externalUserId: 'wm1' },
      content: { id: 'hello' },
    })
  })

  it('gives the one place of a person to the journey that comes first, then to what was planned first', () => {
    const due = [
      touch('late', 1, { plannedAt: ago(1) }),
      touch('early', 1, { plannedAt: ago(2) }),
      touch('first', 1, { journeyId: 'vip', plannedAt: ago(0) }),
      touch('other', 2),
    ]
    const plan = planTouches(policy({ priority: ['vip'] }), due, facts([profile(1), profile(2)]))
    expect(outcomes(plan)).toEqual(['first release', 'other release', 'early wait cap', 'late wait cap'])
  })

  it('puts off what has no room until there is some, and drops it when that is too late', () => {
    const before = [{ profileId: 1, channel: 'wecom' as const, releasedAt: ago(20 * HOUR_MS) }]
    const plan = (times: Partial<Touch>, more: object = {}) =>
      planTouches(policy(more), [touch('t', 1, times)], facts([profile(1)], { earlier: before }))[0]
    const until = new Date(NOW.getTime() + 4 * HOUR_MS)
    const waits = { kind: 'wait', until, reason: 'cap' }
    const isDropped = { kind: 'suppress', reason: 'cap' }
    expect(plan({ noRoomSince: ago(HOUR_MS) })).toMatchObject(waits)
    expect(plan({ noRoomSince: ago(2 * DAY_MS) })).toMatchObject(isDropped)
    expect(plan({ noRoomSince: ago(HOUR_MS) }, { waitForSlot: '4h' })).toMatchObject(isDropped)
    // Planned before a holiday, or before sending was stopped: it has not waited for room yet.
    expect(plan({ plannedAt: ago(9 * DAY_MS) })).toMatchObject(waits)
    // The 31st was none of the days on which it could have gone.
    const since = { noRoomSince: ago(2 * DAY_MS) }
    expect(plan(since, { holidays: ['2026-05-31'] })).toMatchObject(waits)
    expect(plan(since, { holidays: ['2026-05-29', '2026-06-04'] })).toMatchObject(isDropped)
  })

  it('goes through the next one who has her where her guide has left, or was refused', () => {
    const contacts = ['guide-1', 'guide-2'].map((userId, i) => ({
      ...{ userId, externalUserId: 'wm1' },
      since: ago((30 - i) * DAY_MS),
    }))
    const through = (t: Touch, more: Partial<TouchFacts> = {}) => {
      const [planned] = planTouches(policy(), [t], facts([profile(1, { contacts })], more))
      return planned?.kind === 'release' ? planned.contact?.userId : planned && 'reason' in planned && planned.reason
    }
    expect(through(touch('t', 1))).toBe('guide-1')
    expect(through(touch('t', 1), { gone: new Set(['guide-1']) })).toBe('guide-2')
    expect(through(touch('t', 1, { notThrough: ['guide-1'], reason: 'refused' }))).toBe('guide-2')
    const tried = touch('t', 1, { notThrough: ['guide-1', 'guide-2'], reason: 'refused' })
    expect(through(tried)).toBe('refused')
    expect(through({ ...tried, reason: 'not_a_contact' })).toBe('not_a_contact')
  })

  it('counts what a person got before, of mass messages against the quota of WeCom too', () => {
    const before = { profileId: 1, channel: 'wecom' as const, releasedAt: ago(2 * DAY_MS) }
    const none = policy({ caps: [] })
    const week = policy({ caps: [], wecomQuota: { mode: 'week_7' } })
    const day = policy({ caps: [], wecomQuota: { mode: 'day_1' } })
    const people = [profile(1)]
    expect(outcomes(planTouches(none, [touch('t', 1)], facts(people, { earlier: [before] })))).toEqual(['t release'])
    const seven = Array.from({ length: 7 }, () => ({ ...before, releasedAt: ago(HOUR_MS) }))
    expect(outcomes(planTouches(week, [touch('t', 1)], facts(people, { earlier: seven })))).toEqual([
      't suppress quota',
    ])
    expect(outcomes(planTouches(day, [touch('a', 1), touch('b', 1)], facts(people)))).toEqual([
      'a release',
      'b wait quota',
    ])
  })

  it('gives out as many codes as there are; who is left without takes no place, who holds one needs none', () => {
    const due = [
      touch('a', 1, { contentId: 'gift' }),
      touch('b', 2, { contentId: 'gift' }),
      touch('b-words', 2),
      touch('c', 3, { contentId: 'gift' }),
    ]
    const people = [profile(1), profile(2), profile(3)]
    const plan = planTouches(policy(), due, facts(people, { holding: new Set(['c']) }))
    expect(outcomes(plan)).toEqual(['a release', 'b suppress coupon_stock', 'b-words release', 'c release'])
  })

  it.each<[string, Partial<TouchFacts>, Partial<Profile>]>([
    ['suppress exited', { left: new Set(['care:1:0']) }, {}],
    ['suppress content_withdrawn', { withdrawn: new Set(['hello']) }, {}],
    ['suppress no_content', { contentOf: () => undefined }, {}],
    ['later of a newer version', { contentOf: () => ({ unreadable: 'of a newer version' }) }, {}],
    ['suppress opted_out', {}, { optedOutAt: ago(1) }],
    ['suppress not_a_contact', {}, { contacts: [] }],
    ['suppress not_a_contact', { ended: new Map([[relationId('guide-1', 'wm1'), ago(DAY_MS)]]) }, {}],
    ['suppress not_a_contact', { profiles: new Map() }, {}],
    ['suppress sending_off', { sending: 'off' }, {}],
    ['suppress dry_mode', { sending: 'dry' }, {}],
    ['suppress not_on_allow_list', { sending: 'allow_list', allowList: ['m2'] }, {}],
    ['release', { sending: 'allow_list', allowList: ['m1'] }, {}],
    ['release', { ended: new Map([[relationId('guide-1', 'wm1'), ago(60 * DAY_MS)]]) }, {}],
  ])('says %s', (said, more, of) => {
    const plan = planTouches(policy(), [touch('t', 1)], facts([profile(1, of)], more))
    expect(outcomes(plan)).toEqual([`t ${said}`])
  })

  it('is the same whatever the order in which touches are given', () => {
    const due = Array.from({ length: 12 }, (_, i) => touch(`t${i}`, 1 + (i % 3), { plannedAt: ago((i * 7) % 5) }))
    const people = [profile(1), profile(2), profile(3)]
    const plan = outcomes(planTouches(policy(), due, facts(people)))
    expect(outcomes(planTouches(policy(), [...due].reverse(), facts(people)))).toEqual(plan)
    expect(plan.filter((p) => p.endsWith('release'))).toHaveLength(3)
  })
})
