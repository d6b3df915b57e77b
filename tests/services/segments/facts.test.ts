import { beforeEach, describe, expect, it } from '@jest/globals'
import { compileTouched } from '../../../src/domain/rules/compile.js'
import type { EventStore } from '../../../src/ports/event-store.js'
import { Facts } from '../../../src/services/segments/facts.js'
import { loadTouched, scopeOf } from '../../../src/services/segments/test-rules.js'
import { contactRecord, eventRecord, type World } from '../../support/build-deps.js'
import { useWorld } from '../../support/use-world.js'

const START = '2026-03-02T02:00:00Z'
const TAGS = [
  { id: 'orders', type: 'number', value: { event: 'order_paid', count: true } },
  { id: 'quiet', type: 'flag', when: { not: { event: 'order_paid', within: '7d' } } },
]
const MEMBERS = ['m1', 'm2', 'm3']

const openWorld = useWorld()
let world: World
let questions: number
beforeEach(async () => {
  world = await openWorld({ at: START, definitions: { tags: TAGS } })
  const said = MEMBERS.map((m) => [contactRecord(m, START), eventRecord(m, 'order_paid', new Date(START))])
  await world.accept('a', ...said.flat())
  await world.run()
  questions = 0
})

/** What a process that begins now has at hand. */
function freshFacts(alone: boolean): Facts {
  const { events, docs } = world.deps
  const query: EventStore['query'] = (...asked) => {
    questions++
    return events.query(...asked)
  }
  return new Facts({ ...events, query }, docs, alone)
}

/** Which of the profiles have orders, by what is at hand. */
async function withOrders(facts: Facts, ids: readonly number[], load: boolean): Promise<number[]> {
  const { current } = world.deps.definitions
  const profiles = await loadTouched(world.deps, ids)
  const options = { nowMs: world.clock.now().getTime(), scope: scopeOf(profiles), ...current }
  const query = compileTouched([], options, [{ event: 'order_paid' }])
  const touched = await facts.read(current, query, profiles, { load })
  return touched.flatMap((t) => (query.holds(t.figures)[0] === true ? [t.profileId] : []))
}

describe('facts at hand', () => {
  it('are those of everybody after the first load, where nobody else writes and all are few', async () => {
    const facts = freshFacts(true)
    expect(await withOrders(facts, [1, 2, 3], false)).toEqual([])
    expect(await withOrders(facts, [1], true)).toEqual([1])
    questions = 0
    expect(await withOrders(facts, [2, 3], false)).toEqual([2, 3])
    expect(questions).toBe(0)
  })

  it('say who has an event in a span of time, while everybody is at hand', async () => {
    const facts = freshFacts(true)
    const at = new Date(START).getTime()
    const orders = new Map([['order_paid', [[at, at] as const]]])
    expect(await facts.within(orders)).toBeUndefined()
    const loading = withOrders(facts, [1], true)
    expect(await facts.within(orders)).toBeUndefined()
    await loading
    questions = 0
    expect(await facts.within(orders)).toEqual(new Set([1, 2, 3]))
    const [before, after] = [[0, at - 1] as const, [at + 1, at + 2] as const]
    expect(await facts.within(new Map([['order_paid', [before, after]]]))).toEqual(new Set())
    expect(questions).toBe(0)
    facts.forget([2])
    expect(await facts.within(orders)).toBeUndefined()
  })

  it('of two who turn out to be one are the events of both and the tags of the survivor', async () => {
    const { current } = world.deps.definitions
    const facts = freshFacts(true)
    await withOrders(facts, [1], true)
    const survivor = (await world.docs.profiles.get(1))!
    const one = { ...survivor, mergedIds: [2] }
    const options = { nowMs: world.clock.now().getTime(), scope: scopeOf([one]), ...current }
    const query = compileTouched(current.evaluables, options, [])
    facts.merge(2, 1)
    const [touched] = await facts.read(current, query, [one], { load: false })
    expect(query.deltas([touched!])).toEqual([{ p: 1, id: 'orders', old: '1', new: '2' }])
    expect(await facts.read(current, query, [{ ...survivor, _id: 2 }], { load: false })).toEqual([])
  })

  it('are those of whoever came in, where others write too', async () => {
    const facts = freshFacts(false)
    expect(await withOrders(facts, [1], true)).toEqual([1])
    expect(await withOrders(facts, [1, 2, 3], false)).toEqual([1])
  })

  it('serve a refresh by the passing of time, also while events wait to be stored', async () => {
    expect((await world.docs.profileTags.get(1))!.tags).not.toHaveProperty('quiet')
    const { events } = world.deps
    const waiting = MEMBERS.map((_, i) => ({ profile_id: i + 1, name: 'order_paid', occurred_at: new Date(START) }))
    world.deps.events = {
      ...events,
      unread: ((table: { name: string }) =>
        table.name === 'events' ? waiting : []) as unknown as EventStore['unread'],
      query: (sql: string, row: never, lane: never, options: never) =>
        sql.startsWith('SELECT DISTINCT profile_id') ? Promise.resolve([]) : events.query(sql, row, lane, options),
    }
    await world.until('2026-03-10T02:00:00Z')
    expect((await world.docs.profileTags.get(1))!.tags).toHaveProperty('quiet')
  })
})
