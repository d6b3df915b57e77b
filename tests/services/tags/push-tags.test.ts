import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { nextPushAt, pushTags } from '../../../src/services/tags/push-tags.js'
import { queueArrivals, queueTagChanges } from '../../../src/services/tags/queue-writebacks.js'
import { profilesTable, tagChangesTable } from '../../../src/domain/events/tables.js'
import { profileUnit } from '../../../src/domain/identity/identity-unit.js'
import type { OwnedEvent } from '../../../src/stored/ingest.js'
import { tagPath } from '../../../src/stored/tags.js'
import { DAY_MS, HOUR_MS, SECOND_MS } from '../../../src/time.js'
import { type EventHome, openEventHome } from '../../support/build-deps.js'
import { openWecomWorld, type WecomWorld } from '../../support/wecom-world.js'

const START = new Date('2026-08-03T02:00:00Z')
const TAGS = [
  { id: 'vip', type: 'flag', when: { event: 'order_paid' }, writeback: '价值/高价值' },
  {
    id: 'tier',
    type: 'choice',
    writeback: '分层',
    cases: [
      { value: 'gold', name: '金卡', when: { event: 'order_paid' } },
      { value: 'silver', name: '银卡', when: { event: 'registered' } },
    ],
  },
]
let home: EventHome
let world: WecomWorld
let changes = 0
beforeAll(async () => {
  home = await openEventHome()
})
afterAll(() => home.close())
beforeEach(async () => {
  for (const table of ['profiles', 'tag_changes', 'tag_state']) await home.store.command(`TRUNCATE TABLE ${table}`)
  world = await openWecomWorld(
    {
      members: [1, 2].map((i) => ({ userId: `guide00${i}`, name: `导购 00${i}` })),
      contacts: [1, 2, 3].map((i) => ({
        externalUserId: `wm${i}`,
        name: `顾客 ${i}`,
        addedAt: new Date(START.getTime() - DAY_MS),
        followUserIds: i === 3 ? ['guide001', 'guide002'] : ['guide001'],
      })),
      corpTags: [{ groupId: 'etHand', name: '来源', tags: [{ tagId: 'etShop', name: '门店' }] }],
    },
    START,
    { events: home.store },
  )
  world.define({ tags: TAGS })
  for (const i of [1, 2, 3]) await world.customer(i, `wm${i}`)
  await world.docs.meta.put([{ _id: 'counter:profile', value: 3 }])
  const alive = [1, 2, 3].map((i) => ({
    profile_id: i,
    anchor: `wm${i}`,
    traits: {},
    identifier_types: [],
    created_at: new Date(START),
    merged_into: 0,
    version: ++changes,
    known_at: new Date(START),
    seq: changes,
  }))
  await home.store.insert(profilesTable, alive, `profiles ${changes}`)
})
afterEach(async () => {
  await world.close()
})

async function setTag(profileId: number, tagId: string, value: string | undefined): Promise<void> {
  const at = world.sandbox.now()
  await world.docs.profileTags.insert([{ _id: profileId, seq: 1, at, tags: {} }])
  const path = tagPath(tagId)
  const update = value === undefined ? { $unset: { [path]: 1 } } : { $set: { [path]: { v: value, since: at } } }
  await world.docs.profileTags.update(profileId, update)
  const row = {
    ...{ tag_id: tagId, profile_id: profileId, changed_at: at, old_value: '', new_value: value ?? '' },
    ...{ cause: 'operator', version: ++changes },
  }
  await home.store.insert(tagChangesTable, [row], `change ${changes}`)
  await queueTagChanges(world.deps, [{ profileId, tagId }])
}
const later = (seconds: number) =>
  world.sandbox.advanceTo(new Date(world.sandbox.now().getTime() + seconds * SECOND_MS))
async function push(): Promise<void> {
  await later(11)
  await pushTags(world.deps)
}
/** Names of the corp tags on a relation, as WeCom shows them. */
async function shown(externalUserId: string, userId = 'guide001'): Promise<string[]> {
  const detail = await world.client.contacts.get(externalUserId)
  const follow = detail?.follow_user.find((f) => f.userid === userId)
  return (follow?.tags ?? []).map((t) => `${t.group_name}/${t.tag_name}`).sort()
}
const marks = () => world.sandbox.counts().apiCalls

it('a relation with which something fails waits an hour, with the reason; the others are pushed', async () => {
  await setTag(1, 'vip', '1')
  await setTag(2, 'vip', '1')
  const { tags } = world.deps.wecomActions
  const mark: typeof tags.mark = (userId, externalUserId, ids) =>
    externalUserId === 'wm1' ? Promise.reject(new TypeError('no')) : tags.mark(userId, externalUserId, ids)
  await later(11)
  const now = world.sandbox.now()
  const wecomActions = { ...world.deps.wecomActions, tags: { ...tags, mark } }
  await pushTags({ ...world.deps, wecomActions })
  expect(await shown('wm2')).toEqual(['价值/高价值'])
  expect(await world.docs.writebacks.find({})).toMatchObject([
    { externalUserId: 'wm1', reason: 'no', nextAt: new Date(now.getTime() + HOUR_MS) },
  ])
})

describe('tags written back', () => {
  it('come with their group, for every member who has the customer', async () => {
    await setTag(3, 'vip', '1')
    await setTag(3, 'tier', 'gold')
    await push()
    expect(await shown('wm3')).toEqual(['价值/高价值', '分层/金卡'])
    expect(await shown('wm3', 'guide002')).toEqual(['价值/高价值', '分层/金卡'])
    expect(await world.docs.writebacks.count({})).toBe(0)
    expect((await world.docs.wecomTags.find({})).map((t) => t.groupName).sort()).toEqual(['价值', '分层', '来源'])
  })

  it('go with the value, and a choice moves on in one call', async () => {
    await setTag(1, 'tier', 'gold')
    await push()
    await setTag(1, 'tier', 'silver')
    await push()
    expect(await shown('wm1')).toEqual(['分层/银卡'])
    await setTag(1, 'tier', undefined)
    await push()
    expect(await shown('wm1')).toEqual([])
  })

  it('ask for nothing when a value came and went, or WeCom shows it', async () => {
    await setTag(1, 'vip', '1')
    await push()
    const before = marks()
    await setTag(1, 'vip', undefined)
    await setTag(1, 'vip', '1')
    await setTag(2, 'vip', '1')
    await setTag(2, 'vip', undefined)
    await push()
    expect(marks()).toBe(before)
    expect(await world.docs.writebacks.count({})).toBe(0)
  })

  it('leave alone what guides did by hand', async () => {
    await world.client.tags.mark('guide001', 'wm1', { add: ['etShop'] })
    await world.customer(1, 'wm1')
    await setTag(1, 'vip', '1')
    await push()
    expect(await shown('wm1')).toEqual(['价值/高价值', '来源/门店'])
  })

  it('are the same after the same push twice, as after a crash', async () => {
    await setTag(1, 'vip', '1')
    const pending = await world.docs.writebacks.find({})
    await push()
    await world.docs.writebacks.put(pending)
    await world.customer(1, 'wm1')
    await push()
    expect(await shown('wm1')).toEqual(['价值/高价值'])
  })

  it('survive that somebody deleted the tag in WeCom', async () => {
    await setTag(1, 'vip', '1')
    await setTag(1, 'tier', 'gold')
    await push()
    const gold = (await world.docs.wecomTags.findOne({ name: '金卡' }))!._id
    await world.client.tags.delete({ tagIds: [gold] })
    await setTag(2, 'tier', 'gold')
    await setTag(2, 'vip', '1')
    await push()
    expect(await shown('wm2')).toEqual(['价值/高价值', '分层/金卡'])
  })

  it.each([-1, 45009, 45033])('wait when the platform answers %i', async (errcode) => {
    await setTag(1, 'vip', '1')
    world.sandbox.fault({ kind: 'errcode', errcode, path: '/cgi-bin/externalcontact/mark_tag', times: 4 })
    await push()
    const waiting = await world.docs.writebacks.get('guide001/wm1')
    if (waiting !== undefined) {
      expect(waiting.nextAt!.getTime()).toBeGreaterThan(world.sandbox.now().getTime())
      await later(7_200)
      await pushTags(world.deps)
      await later(7_200)
      await pushTags(world.deps)
    }
    expect(await shown('wm1')).toEqual(['价值/高价值'])
  })

  it('settle a lost answer by asking again', async () => {
    await setTag(1, 'vip', '1')
    world.sandbox.fault({ kind: 'lost_reply', path: '/cgi-bin/externalcontact/mark_tag' })
    await push()
    await later(60)
    await pushTags(world.deps)
    expect(await shown('wm1')).toEqual(['价值/高价值'])
    expect(await world.docs.writebacks.count({})).toBe(0)
  })

  it('drop a customer who is gone, with the reason, and go on', async () => {
    await world.docs.identifiers.put([
      {
        _id: 'external_userid:wmGone',
        type: 'external_userid',
        value: 'wmGone',
        profileId: 1,
        shared: false,
        since: START,
      },
    ])
    await world.docs.writebacks.put([
      {
        _id: 'guide001/wmGone',
        userId: 'guide001',
        externalUserId: 'wmGone',
        tagIds: ['vip'],
        wayKeys: [],
        rev: 1,
        attempts: 0,
        nextAt: START,
      },
    ])
    await setTag(1, 'vip', '1')
    await push()
    expect(await shown('wm1')).toEqual(['价值/高价值'])
    expect(await world.docs.writebacks.count({})).toBe(0)
    expect(world.logged).toContain('tags not pushed')
  })

  it('are pushed to everybody who has a value when a tag is marked writeback later', async () => {
    world.define({ tags: [] })
    await setTag(1, 'vip', '1')
    await world.docs.writebacks.delete({})
    await pushTags(world.deps)
    world.define({ tags: TAGS })
    expect(await nextPushAt(world.deps)).toEqual(new Date(0))
    await pushTags(world.deps)
    await push()
    expect(await shown('wm1')).toEqual(['价值/高价值'])
  })

  it.each<[string, Partial<WecomWorld['deps']['sending']>, 'on' | 'dry', string]>([
    ['dry sending', { mode: 'dry' }, 'on', 'dry'],
    ['dry write-back', {}, 'dry', 'dry'],
    ['an allow-list without her', { mode: 'allow_list', allowList: ['wm2'] }, 'on', 'not_on_allow_list'],
  ])('are parked under %s, and sent once that changes', async (_what, sending, writeback, why) => {
    Object.assign(world.deps.sending, sending)
    world.deps.wecomSettings.writeback = writeback
    await setTag(1, 'vip', '1')
    await push()
    expect(await world.docs.writebacks.get('guide001/wm1')).toMatchObject({
      parked: { why, add: ['价值/高价值'], remove: [] },
    })
    expect(await shown('wm1')).toEqual([])
    expect(await world.deps.wecomActions.tags.list()).not.toContainEqual(expect.objectContaining({ group: '价值' }))
    expect(await nextPushAt(world.deps)).toBeUndefined()
    Object.assign(world.deps.sending, { mode: 'live' })
    world.deps.wecomSettings.writeback = 'on'
    expect(await nextPushAt(world.deps)).toEqual(new Date(0))
    await push()
    expect(await shown('wm1')).toEqual(['价值/高价值'])
  })
})

describe('who arrives by a live code', () => {
  const arrival = (profileId: number, externalUserId: string, state: string, occurredAt: Date): OwnedEvent => ({
    id: `wecom:add:${externalUserId}`,
    name: 'contact_added',
    occurredAt,
    properties: { userId: 'guide001', externalUserId, state },
    profileId,
    unit: profileUnit(profileId),
    source: 'wecom',
  })
  beforeEach(async () => {
    await world.docs.wecomWays.put([
      {
        _id: 'way/store-001',
        kind: 'way',
        definition: {
          id: 'store-001',
          name: '门店 001',
          scene: 'qr_code',
          skipVerify: true,
          users: ['guide001'],
          departments: [],
          shifts: [],
          backup: [],
          away: [],
          tags: ['来源/门店', '来源/新客'],
          remark: '{{ name }}·{{ way }} 一二三四五六七八九十',
        },
        state: 'live',
        channel: 'store-001',
        appliedAt: START,
      },
    ])
  })
  const remarkOf = async (externalUserId: string) =>
    (await world.client.contacts.get(externalUserId))?.follow_user.find((f) => f.userid === 'guide001')?.remark

  it('gets its tags and remark', async () => {
    await queueArrivals(world.deps, [arrival(1, 'wm1', 'store-001', START)])
    await pushTags(world.deps)
    expect(await shown('wm1')).toEqual(['来源/新客', '来源/门店'])
    expect(await remarkOf('wm1')).toBe('顾客 1·门店 001 一二三四五六七八')
  })

  it('keeps a remark that somebody wrote', async () => {
    await world.client.contacts.remark('guide001', 'wm1', { remark: '老朋友' })
    await world.customer(1, 'wm1')
    await queueArrivals(world.deps, [arrival(1, 'wm1', 'store-001', START)])
    await pushTags(world.deps)
    expect([await shown('wm1'), await remarkOf('wm1')]).toEqual([['来源/新客', '来源/门店'], '老朋友'])
  })

  it('gets nothing when she came long ago, or by another code', async () => {
    await queueArrivals(world.deps, [
      arrival(1, 'wm1', 'store-001', new Date(START.getTime() - 3 * DAY_MS)),
      arrival(2, 'wm2', 'elsewhere', START),
    ])
    expect(await world.docs.writebacks.count({})).toBe(0)
  })

  it('shows her new member the tags she has already', async () => {
    await setTag(3, 'vip', '1')
    await world.docs.writebacks.delete({})
    await queueArrivals(world.deps, [arrival(3, 'wm3', '', START)])
    await pushTags(world.deps)
    expect(await shown('wm3')).toEqual(['价值/高价值'])
    expect(await shown('wm3', 'guide002')).toEqual([])
  })
})
