import { beforeEach, describe, expect, it } from '@jest/globals'
import { z } from 'zod'
import { tagChangesTable, tagStateTable } from '../../../src/domain/events/tables.js'
import { customerCard } from '../../../src/services/guides/guide-sidebar.js'
import { testRules } from '../../../src/services/segments/test-rules.js'
import { explainTag } from '../../../src/services/tags/explain-tag.js'
import { openRefresh } from '../../../src/services/tags/refresh-profiles.js'
import { contactRecord, eventRecord, type World } from '../../support/build-deps.js'
import { useWorld } from '../../support/use-world.js'

const START = '2026-03-02T02:00:00Z'
const ORDERED = new Date('2026-02-20T08:00:00Z')
const KEPT = `@${ORDERED.getTime()}`
const TAGS = [
  { id: 'since_order', type: 'number', value: { event: 'order_paid', daysSince: true } },
  { id: 'orders', type: 'number', value: { event: 'order_paid', count: true } },
  { id: 'lapsed', type: 'flag', when: { tag: 'since_order', gte: 11 } },
]

const openWorld = useWorld()
let world: World
beforeEach(async () => {
  world = await openWorld({ at: START, definitions: { tags: TAGS } })
  await world.accept('a', contactRecord('m1', START), eventRecord('m1', 'order_paid', ORDERED))
  await world.run()
})

const inDocument = async () =>
  Object.fromEntries(Object.entries((await world.docs.profileTags.get(1))!.tags).map(([id, { v }]) => [id, v]))
const State = z.object({ id: z.string(), value: z.string() })
const inState = async () => {
  const sql = `SELECT tag_id AS id, value FROM ${tagStateTable.name} FINAL WHERE value != ''`
  return Object.fromEntries((await world.query(sql, State)).map((r) => [r.id, r.value]))
}

describe('a tag of days since something', () => {
  it('is kept as the instant, and read as whole days', async () => {
    expect(await inDocument()).toEqual({ since_order: KEPT, orders: '1' })
    expect(await inState()).toEqual(await inDocument())
    expect(await explainTag(world.deps, 'since_order', { profileId: 1 })).toMatchObject({ value: '9', stored: '9' })
    const { tags } = await customerCard(world.deps, 'guide-1', 'wm-m1')
    expect(tags.map(({ id, value }) => [id, value])).toEqual([
      ['orders', '1'],
      ['since_order', '9'],
    ])
    const rules = [9, 8].map((is) => ({ tag: 'since_order', is }))
    expect(await testRules(world.deps, rules, [1], world.clock.now())).toEqual(new Map([[1, [true, false]]]))
  })

  it('is not written again by the nights, but who reads it is when its bound is reached', async () => {
    const { seq } = (await world.docs.profileTags.get(1))!
    await world.until('2026-03-03T02:00:00Z') // 10 days and 18 hours
    expect((await world.docs.profileTags.get(1))!.seq).toBe(seq)
    await world.until('2026-03-04T02:00:00Z')
    expect(await inDocument()).toMatchObject({ lapsed: '1', since_order: KEPT })
  })

  it('says of an instant that has passed how many days it was then', async () => {
    await world.until('2026-03-06T02:00:00Z')
    const then = { asOf: '2026-03-03T02:00:00Z' }
    const said = await explainTag(world.deps, 'since_order', { profileId: 1 }, then)
    expect(said).toMatchObject({ value: '10', stored: '10', past: { person: { tags: { since_order: '10' } } } })
  })

  it('that version 0.1 kept as a number of days stays that number until it is computed', async () => {
    const at = new Date(START)
    const seq = 1_000
    const row = {
      tag_id: 'since_order',
      profile_id: 1,
      changed_at: at,
      old_value: '',
      new_value: '8',
      cause: 'schedule',
    }
    await world.deps.events.insert(tagChangesTable, [{ ...row, version: seq }], 'as 0.1 did')
    await world.docs.meta.updateEach([{ id: 'counter:evaluation', update: { $set: { value: seq } } }])
    await world.docs.profileTags.update(1, { $set: { 'tags.since_order': { v: '8', since: at } } })
    const rules = [{ tag: 'since_order', is: 8 }]
    expect(await testRules(world.deps, rules, [1], world.clock.now())).toEqual(new Map([[1, [true]]]))
    await openRefresh(world.deps, { _id: 'all', kind: 'all', cause: 'schedule' })
    await world.run()
    expect(await inDocument()).toEqual({ since_order: KEPT, orders: '1' })
    expect(await inState()).toEqual(await inDocument())
  })
})
