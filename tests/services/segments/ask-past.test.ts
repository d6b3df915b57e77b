import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { z } from 'zod'
import { renderReason } from '../../../src/cli/tag-reason.js'
import { identityChangesTable } from '../../../src/domain/events/tables.js'
import { identityUnit, profileUnit } from '../../../src/domain/identity/identity-unit.js'
import { processBatches } from '../../../src/services/ingest/process-batches.js'
import { openRefresh, workRefreshes } from '../../../src/services/tags/refresh-profiles.js'
import { around } from '../../support/around.js'
import { parseInput } from '../../../src/parse.js'
import type { PastQuery } from '../../../src/services/segments/ask-past.js'
import { findMatching, MatchingQuery } from '../../../src/services/segments/find-matching.js'
import { explainEntry, explainSegment, explainTag } from '../../../src/services/tags/explain-tag.js'
import { nextMoment } from '../../../src/stored/runtime.js'
import { HOUR_MS } from '../../../src/time.js'
import {
  buildWorld,
  type Definitions,
  type EventHome,
  eventRecord,
  openEventHome,
  type World,
} from '../../support/build-deps.js'

let home: EventHome
let world: World
beforeAll(async () => {
  home = await openEventHome()
})
afterEach(() => world.close())
afterAll(() => home.close())

const START = '2026-03-02T02:00:00Z'
const hoursIn = (hours: number) => new Date(Date.parse(START) + hours * HOUR_MS)
const segments = { buyers: { event: 'order_paid' }, locals: { trait: 'city', is: '上海' } }
const start = async (definitions: Definitions = { segments }) => {
  world = await buildWorld(home, { at: START, definitions })
}
const member = (value: string) => ({ type: 'member_id', value })
const union = (value: string) => ({ type: 'unionid', value })
const byMember = (value: string) => ({ identifier: member(value) })
/** One group of records at an hour. */
async function hear(hour: number, ...records: object[]): Promise<void> {
  world.clock.set(hoursIn(hour))
  await world.accept(`hour ${hour}`, ...records)
  await world.run()
}
const then = (hour: number): PastQuery => ({ asOf: hoursIn(hour).toISOString() })
const happened = (hour: number): PastQuery => ({ ...then(hour), asItHappened: true })
const who = (of: object, past?: PastQuery, more: object = {}) =>
  findMatching(world.deps, parseInput(MatchingQuery, { of, ...(past && { past }), ...more }))
const ids = async (of: object, past?: PastQuery) => {
  const found = await who(of, past)
  return found.result === 'known' ? found.profileIds : found.reason
}
const buyers = { segment: 'buyers' }

describe('an answer about a moment ago', () => {
  it.each([
    ['before a plan is stored', 'batches', 1],
    ['before it is begun', 'meta', 1],
    ['once it is begun', 'profiles', 1],
  ] as const)('is not another one later, when it is asked %s', async (_name, collection, call) => {
    await start()
    await hear(1, eventRecord('m1', 'order_paid', hoursIn(1)))
    world.clock.set(hoursIn(2))
    await world.accept('b', eventRecord('m2', 'order_paid', hoursIn(2)))
    const method = collection === 'profiles' ? 'put' : 'update'
    const answers: unknown[] = []
    const asked = around(world.deps, collection, method, async (n) => {
      if (n === call) answers.push(await ids(buyers, then(2)))
    })
    await processBatches(asked)
    expect(answers).toHaveLength(1)
    const later = await ids(buyers, then(2))
    expect([later, 'under_way']).toContainEqual(answers[0])
    expect(await ids(buyers)).toEqual([1, 2])
  })

  it('waits for a refresh that has just taken its number', async () => {
    await start({
      segments: { marked: { tag: 'bought' } },
      tags: [{ id: 'bought', type: 'flag', when: { event: 'order_paid' } }],
    })
    await hear(1, eventRecord('m1', 'order_paid', hoursIn(1)))
    world.clock.set(hoursIn(2))
    await openRefresh(world.deps, { _id: 'r', kind: 'all', cause: 'operator' })
    const answers: unknown[] = []
    const asked = around(world.deps, 'refreshes', 'update', async () => {
      answers.push(await ids({ segment: 'marked' }, then(2)))
    })
    await workRefreshes(asked)
    // Before it opens it has no number, and takes a later one.
    expect(answers.slice(0, 2)).toEqual([[1], 'under_way'])
  })
})

describe('who was in a segment', () => {
  it('is asked by what was known then, or by what had happened by then', async () => {
    await start()
    await hear(1, eventRecord('m1', 'order_paid', hoursIn(0)))
    await hear(9, eventRecord('m2', 'order_paid', hoursIn(2)))
    expect(await ids(buyers)).toEqual([1, 2])
    expect(await Promise.all([0.5, 1, 8, 9].map((h) => ids(buyers, then(h))))).toEqual([[], [1], [1], [1, 2]])
    expect(await Promise.all([1, 1.9, 2].map((h) => ids(buyers, happened(h))))).toEqual([[1], [1], [1, 2]])
  })

  it('tells people apart who were found to be one later, and those who were parted', async () => {
    await start()
    await hear(1, eventRecord('m1', 'order_paid', hoursIn(1)))
    await hear(2, { identifiers: [union('u1')], traits: { city: '上海' } })
    await hear(3, { identifiers: [union('u1'), member('m1')] })
    const both = { rule: { all: [{ segment: 'buyers' }, { segment: 'locals' }] } }
    expect(await ids(both, then(2))).toEqual([])
    expect(await ids({ segment: 'locals' }, then(2))).toEqual([2])
    expect(await ids(both, then(3))).toEqual([1])
    // Parting people adds rows to the log, and nothing else is written anew.
    world.clock.set(hoursIn(4))
    const { now, seq } = await nextMoment(world.docs.meta, world.clock)
    const apart = { type: 'member_id', profile_id: 2, known_at: now, seq }
    await world.deps.events.insert(
      identityChangesTable,
      [
        { ...apart, unit: identityUnit('member_id:m1') },
        { ...apart, type: '', unit: profileUnit(2) },
      ],
      'apart',
    )
    expect(await ids(buyers, then(3))).toEqual([1])
    expect(await ids(buyers, then(4))).toEqual([2])
    expect(await explainSegment(world.deps, 'buyers', byMember('m1'), then(4))).toMatchObject({
      profileId: 2,
      past: { verdict: 'yes' },
    })
  })

  it('is what a live run said, as the values behind it turn; who came in for a journey is on record', async () => {
    const warm = [{ event: 'order_paid', within: '3h' }, { tag: 'fan' }, { not: { segment: 'locals' } }]
    await start({
      segments: { ...segments, warm: { all: warm } },
      tags: [{ id: 'fan', type: 'flag', when: { event: 'liked' } }],
      journeys: [{ id: 'care', enter: { when: { segment: 'warm' } }, steps: [{ wait: '9d' }] }],
    })
    const lives = (city: string) => ({ identifiers: [member('m1')], traits: { city } })
    const story: [hour: number, record?: object][] = [
      [1.25, eventRecord('m1', 'order_paid', hoursIn(1.25))],
      [2, eventRecord('m1', 'liked', hoursIn(2))],
      [3, lives('上海')],
      [3.5, lives('杭州')],
      [4.5], // her order is too old since 4.25
      [5.5],
      [6, eventRecord('m1', 'order_paid', hoursIn(6))],
    ]
    const lived: unknown[] = []
    for (const [hour, record] of story) {
      await world.until(hoursIn(hour))
      if (record !== undefined) await hear(hour, record)
      lived.push(await ids({ segment: 'warm' }))
    }
    expect(lived).toEqual([[], [1], [], [1], [], [], [1]])
    expect(await Promise.all(story.map(([hour]) => ids({ segment: 'warm' }, then(hour))))).toEqual(lived)
    const Turn = z.object({ value: z.string(), at: z.number(), seq: z.number() })
    const turns = await world.query(
      `SELECT new_value AS value, toUnixTimestamp64Milli(known_at) AS at, seq FROM tag_changes
       WHERE tag_id = 'enter/care' ORDER BY seq`,
      Turn,
    )
    expect(turns.map(({ value, at }) => [value, new Date(at)])).toEqual([
      ['1', hoursIn(2)],
      ['', hoursIn(3)],
      ['1', hoursIn(3.5)],
      ['', hoursIn(5)], // with the hour
      ['1', hoursIn(6)],
    ])
    expect(new Set(turns.map((turn) => turn.seq)).size).toBe(turns.length)
  })

  it('counts all and names as many as are wanted', async () => {
    await start()
    await hear(1, ...['m1', 'm2', 'm3', 'm4'].map((m) => eventRecord(m, 'order_paid', hoursIn(1))))
    expect(await who(buyers, then(1), { limit: 2 })).toMatchObject({ people: 4, profileIds: [1, 2] })
    expect(await who(buyers, then(1), { fromProfileId: 3 })).toMatchObject({ people: 2, profileIds: [3, 4] })
  })

  it('refuses what is not defined, and what is still to come', async () => {
    await start()
    await expect(who({ segment: 'buyer' })).rejects.toThrow('did you mean "buyers"?')
    await expect(who({ rule: { not: { tag: 'none' } } })).rejects.toThrow('there is no tag "none"')
    await expect(who(buyers, then(1))).rejects.toThrow('still to come')
  })
})

describe('an instant of which nothing is known', () => {
  it('lies before the past was kept, and is said to', async () => {
    await start()
    await hear(1, eventRecord('m1', 'order_paid', hoursIn(1)))
    const from = hoursIn(3)
    await world.docs.meta.updateEach([{ id: 'past', update: { $set: { at: from } }, upsert: true }])
    world.clock.set(hoursIn(5))
    const why = { reason: 'before_horizon', from: from.toISOString() }
    expect(await who(buyers, then(2))).toMatchObject({ result: 'unknown', ...why })
    expect(await who(buyers, happened(2))).toMatchObject({ result: 'unknown', ...why })
    expect(await ids(buyers, then(3))).toEqual([1])
    const reason = await explainSegment(world.deps, 'buyers', byMember('m1'), then(2))
    expect(reason.past).toEqual({
      asItHappened: false,
      verdict: 'unknown',
      why: 'before_horizon',
      from: from.toISOString(),
      tags: {},
    })
    expect(renderReason(reason, { timeZone: 'Asia/Shanghai', locale: 'zh' })).toContain('2026-03-02 13:00')
  })

  it('has groups that are planned and not done', async () => {
    await start()
    await hear(1, eventRecord('m1', 'order_paid', hoursIn(1)))
    world.clock.set(hoursIn(2))
    await world.accept('dies', eventRecord('m2', 'order_paid', hoursIn(2)))
    // Behind its number, its plan and its beginning: at the first write that applies something.
    world.faults.failAt = world.faults.writes + 4
    await expect(world.run()).rejects.toThrow('crash')
    world.faults.revive()
    expect(await world.docs.batches.count({ state: 'planned' })).toBe(1)
    world.clock.set(hoursIn(3))
    expect(await ids(buyers, then(1))).toEqual([1])
    expect(await ids(buyers, then(2))).toBe('under_way')
    await world.run()
    expect(await ids(buyers, then(2))).toEqual([1, 2])
  })

  it('has a refresh that is not done, where tags are read', async () => {
    await start({ segments: { ...segments, tagged: { tag: 'buyer' } }, tags: [flag('buyer', segments.buyers)] })
    await hear(1, eventRecord('m1', 'order_paid', hoursIn(1)))
    world.clock.set(hoursIn(3))
    const refresh = { kind: 'all', cause: 'schedule', order: 1, size: 1, from: 1, changes: 0, rev: 1 } as const
    await world.docs.refreshes.put([{ _id: 'open', ...refresh, phase: 'ranges', knownAt: hoursIn(2), seq: 9 }])
    expect(await ids({ segment: 'tagged' }, then(1.5))).toEqual([1])
    expect(await ids({ segment: 'tagged' }, then(2))).toBe('under_way')
    expect(await ids(buyers, then(2))).toEqual([1])
  })
})

describe('a tag as of an instant', () => {
  const tags = [flag('buyer', { event: 'order_paid' })]
  const both = { segments: { ...segments, tagged: { tag: 'buyer' }, older: { tag: 'older' } } }

  it('is the value recorded then, whatever its rule says today', async () => {
    await start({ ...both, tags })
    await hear(1, eventRecord('m1', 'order_paid', hoursIn(1)))
    world.clock.set(hoursIn(2))
    await world.publish({ ...both, tags: [flag('buyer', { event: 'order_paid', count: { gte: 2 } })] })
    await hear(3, eventRecord('m1', 'viewed', hoursIn(3)), eventRecord('m1', 'order_paid', hoursIn(1.5)))
    expect(await who({ segment: 'tagged' }, then(1))).toMatchObject({ profileIds: [1], tags: { buyer: 'recorded' } })
    const reason = await explainTag(world.deps, 'buyer', byMember('m1'), then(1))
    expect(reason).toMatchObject({ value: '', stored: '1', past: { verdict: 'yes', tags: { buyer: 'recorded' } } })
    const text = renderReason(reason, { timeZone: 'Asia/Shanghai', locale: 'zh' })
    expect(text).toContain('buyer = 是')
    expect(text).toContain('按今天的规则重算：无')
    // As it happened she had bought twice by then, one order of which was heard of later.
    expect(await who({ segment: 'tagged' }, happened(1.5))).toMatchObject({
      profileIds: [1],
      tags: { buyer: 'computed' },
    })
    expect(await ids({ segment: 'tagged' }, happened(1))).toEqual([])
  })

  it('is worked out where it did not exist then, with what it reads, and says so', async () => {
    await start({ ...both, tags })
    await hear(1, eventRecord('m1', 'order_paid', hoursIn(1)), eventRecord('m2', 'viewed', hoursIn(1)))
    world.clock.set(hoursIn(2))
    await world.publish({ ...both, tags: [...tags, flag('older', { not: { tag: 'buyer' } })] })
    world.clock.set(hoursIn(3))
    expect(await who({ segment: 'older' }, then(1))).toMatchObject({
      profileIds: [2],
      tags: { buyer: 'recorded', older: 'computed' },
    })
    // Once it is there it counts as recorded: nobody was evaluated under it yet.
    expect(await who({ segment: 'older' }, then(2))).toMatchObject({ profileIds: [], tags: { older: 'recorded' } })
    const reason = await explainTag(world.deps, 'older', byMember('m2'), then(1))
    expect(reason).toMatchObject({ value: '1', stored: '', past: { verdict: 'yes', tags: { older: 'computed' } } })
    expect(renderReason(reason, { timeZone: 'Asia/Shanghai', locale: 'zh' })).toContain('（那时还没有这些标签）')
  })
})

describe('how a person looked', () => {
  it('is told with the verdict: her traits and identifiers of then, and every clause', async () => {
    await start({
      segments,
      journeys: [{ id: 'welcome', enter: { when: { segment: 'locals' } }, steps: [{ exit: true }] }],
    })
    const says = (hour: number, city: string | null) => ({
      observedAt: hoursIn(hour),
      identifiers: [member('m1')],
      traits: { city },
    })
    await hear(1, says(1, '上海'))
    await hear(2, { ...says(2, null), identifiers: [member('m1'), union('u1')] })
    await hear(3, says(1.5, '杭州'))
    const reason = await explainEntry(world.deps, 'welcome', byMember('m1'), then(1))
    expect(reason).toMatchObject({
      at: hoursIn(1).toISOString(),
      value: '1',
      past: { verdict: 'yes', person: { traits: { city: '上海' }, identifierTypes: ['member_id'] } },
      cases: [{ tree: { clause: 'segment locals', holds: true, parts: [{ holds: true, figure: '上海' }] } }],
    })
    const later = await explainEntry(world.deps, 'welcome', byMember('m1'), then(2))
    expect(later.past).toMatchObject({
      verdict: 'no',
      person: { traits: {}, identifierTypes: ['member_id', 'unionid'] },
    })
    const past = async (query: PastQuery) =>
      (await explainSegment(world.deps, 'locals', byMember('m1'), query)).past!.person!.traits
    expect(await Promise.all([1, 1.5, 2].map((h) => past(happened(h))))).toEqual([
      { city: '上海' },
      { city: '杭州' },
      {},
    ])
  })

  it('is nobody, before anything was heard of her', async () => {
    await start()
    await hear(2, eventRecord('m1', 'order_paid', hoursIn(1)))
    const reason = await explainSegment(world.deps, 'buyers', byMember('m1'), then(1))
    expect(reason).toMatchObject({ value: '', cases: [], past: { verdict: 'no', why: 'nobody_yet' } })
    expect(renderReason(reason, { timeZone: 'Asia/Shanghai', locale: 'zh' })).toContain(
      '那时还没有关于这个人的任何数据',
    )
    expect(await explainSegment(world.deps, 'buyers', byMember('m1'), happened(1))).toMatchObject({
      past: { verdict: 'yes', asItHappened: true },
    })
    await expect(explainSegment(world.deps, 'buyers', byMember('m9'), then(1))).rejects.toThrow('there is nobody')
  })
})

function flag(id: string, when: object) {
  return { id, type: 'flag', when }
}
