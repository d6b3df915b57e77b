import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { z } from 'zod'
import { compileTouched } from '../../../src/domain/rules/compile.js'
import type { Update } from '../../../src/ports/document-language.js'
import { acceptRecords } from '../../../src/services/ingest/accept-records.js'
import { processBatches } from '../../../src/services/ingest/process-batches.js'
import type { ServiceDeps } from '../../../src/services/runtime/deps.js'
import { loadTouched, readFigures, scopeOf } from '../../../src/services/segments/test-rules.js'
import { openRefresh, type RefreshRequest, workRefreshes } from '../../../src/services/tags/refresh-profiles.js'
import { type Collections } from '../../../src/stored/collections.js'
import type { Batch, BatchPlan } from '../../../src/stored/ingest.js'
import type { Refresh } from '../../../src/stored/tags.js'
import { SourceRecord } from '../../../src/domain/events/record.js'
import { parseInput } from '../../../src/parse.js'
import { HOUR_MS } from '../../../src/time.js'
import { buildWorld, EVENT_WRITES, type EventHome, openEventHome, type World } from '../../support/build-deps.js'
import { Dice } from '../../support/random-rules.js'
import { sized } from '../../support/sized.js'
import { Turns } from '../../support/turns.js'

let home: EventHome
beforeAll(async () => {
  home = await openEventHome()
})
afterAll(() => home.close())

const START = new Date('2026-03-02T02:00:00Z')
const PEOPLE = 9
const DEFINITIONS = {
  tags: [
    { id: 'orders', type: 'number', value: { event: 'order_paid', count: true } },
    { id: 'recent', type: 'flag', when: { event: 'order_paid', within: '2d' } },
    { id: 'spent_3d', type: 'number', value: { event: 'order_paid', within: '3d', sum: 'amountMinor' } },
    { id: 'last_order', type: 'number', value: { event: 'order_paid', daysSince: true } },
    { id: 'lapsed', type: 'flag', when: { tag: 'last_order', gte: 3 } },
    { id: 'loyal', type: 'flag', when: { all: [{ tag: 'orders', gte: 2 }, { tag: 'recent' }] } },
    {
      id: 'cooling',
      type: 'choice',
      cases: [
        { value: 'cold', when: { event: 'order_paid', daysSince: { gte: 3 } } },
        { value: 'warm', when: { event: 'order_paid' } },
      ],
    },
    { id: 'town', type: 'text', trait: 'city' },
  ],
}
const WRITES = ['insert', 'put', 'update', 'updateEach', 'updateMany', 'findOneAndUpdate', 'delete']

describe('a refresh and ingest, each between any two writes of the other', () => {
  it.each(Array.from({ length: sized(8, 400) }, (_, i) => i))(
    'leave what one pass over the final data leaves (interleaving %i)',
    async (seed) => {
      await live(`calm ${seed}`, () => new Map())
    },
  )

  it.each(Array.from({ length: sized(24, 400) }, (_, i) => i))(
    'and so they do when one of them, or both, die at a write (%i)',
    async (seed) => {
      await live(`deaths ${seed}`, (dice) => {
        // The first death at this write; about a hundred there are.
        const first = 1 + seed * 3 + dice.below(3)
        const kinds = ['one', 'all'] as const
        return new Map([
          [first, dice.pick(kinds)],
          [first + 1 + dice.below(60), dice.pick(kinds)],
        ])
      })
    },
  )
})

async function live(name: string, deathsOf: (dice: Dice) => ReadonlyMap<number, 'one' | 'all'>): Promise<void> {
  const dice = new Dice(name)
  const world = await buildWorld(home, { at: START.toISOString(), definitions: DEFINITIONS })
  try {
    const turns = new Turns(dice)
    const log = new EvaluationLog()
    const depsOf = (actor: string): ServiceDeps => ({
      ...world.deps,
      docs: Object.fromEntries(
        Object.entries(world.docs).map(([key, c]) => [
          key,
          turns.guard(actor, key, c, WRITES, (method, args) => log.see(key, method, args)),
        ]),
      ) as unknown as Collections,
      events: turns.guard(actor, 'events', world.deps.events, EVENT_WRITES, () => undefined),
      jobs: { add: () => Promise.resolve() },
    })
    const batches = Array.from({ length: 5 }, (_, n) => batchOf(dice, n))
    // Somebody is there before anything happens at the same time.
    const plain = { ...world.deps, docs: log.watch(world.docs) }
    await acceptRecords(plain, 'first', everybody(dice))
    await processBatches(plain)

    const requests: RefreshRequest[] = [
      { _id: 'r0', kind: 'all', cause: 'schedule', size: 3 },
      { _id: 'r1', kind: 'crossed', cause: 'schedule', since: START, size: 4 },
    ]
    let [taken, refreshed] = [0, 0]
    const ingest = async () => {
      const deps = depsOf('ingest')
      for (; taken < batches.length; taken++) {
        await acceptRecords(deps, `batch:${taken}`, batches[taken]!)
        await processBatches(deps)
      }
      await processBatches(deps)
    }
    const refresh = async () => {
      const deps = depsOf('refresh')
      for (; refreshed < requests.length; refreshed++) {
        await openRefresh(deps, requests[refreshed]!)
        for (let state = await workRefreshes(deps); state !== 'idle'; state = await workRefreshes(deps)) {
          if (state === 'waiting') await turns.turn('refresh', 'waits for ingest')
        }
      }
    }
    const later = () => {
      if (dice.chance(0.15)) world.clock.set(new Date(world.clock.now().getTime() + dice.below(18) * HOUR_MS))
    }
    await turns.play({ ingest, refresh }, later, deathsOf(dice))

    const alive = await world.docs.profiles.find({ mergedInto: { $exists: false } })
    const ids = alive.map((p) => p._id)
    const expected = await valuesAt(
      world,
      ids.map((id) => [id, log.lastOf(id)]),
    )
    expect(Object.keys(expected).length).toBe(alive.length)
    const documents = await world.docs.profileTags.find({})
    const shown = documents.map((doc) => [doc._id, valuesOf(doc.tags)] as const)
    // Those who were merged away leave no tags, and the number behind which nobody brings any back.
    expect(Object.fromEntries(shown.filter(([id]) => ids.includes(id)))).toEqual(expected)
    expect(shown.filter(([id, tags]) => !ids.includes(id) && Object.keys(tags).length > 0)).toEqual([])
    const state = `SELECT profile_id AS p, tag_id AS id, value AS v FROM tag_state FINAL`
    expect(await rowsOf(world, state, ids)).toEqual(expected)
    const last = `SELECT profile_id AS p, tag_id AS id, argMax(new_value, version) AS v FROM tag_changes GROUP BY p, id`
    expect(await rowsOf(world, last, ids)).toEqual(expected)
    expect(await world.docs.refreshes.find({ phase: { $ne: 'done' } })).toEqual([])
  } finally {
    await world.close()
  }
}

/** Which evaluation saw whom at which instant, from what is written on the way. */
class EvaluationLog {
  private readonly evaluations = new Map<number, { now: Date; ids: (id: number) => boolean }>()
  private readonly plans = new Map<string, BatchPlan>()
  private readonly cursors = new Map<string, { now: Date; from: number; size: number }>()
  private again: Set<number> | undefined

  watch(docs: Collections): Collections {
    const calm = new Turns(new Dice('nobody waits'))
    return Object.fromEntries(
      Object.entries(docs).map(([key, c]) => {
        const seen = (method: string, args: readonly unknown[]) => this.see(key, method, args)
        calm.turn = () => Promise.resolve()
        return [key, calm.guard('nobody', key, c, WRITES, seen)]
      }),
    ) as unknown as Collections
  }

  see(collection: string, method: string, args: readonly unknown[]): void {
    if (collection === 'batches' && method === 'update') {
      const [id, { $set = {} }] = args as [string, Update<Batch>]
      if ($set.plan !== undefined) this.plans.set(id, $set.plan)
      const plan = this.plans.get(id)
      const seq = $set['plan.seq'] ?? plan?.seq
      if (plan !== undefined && seq !== undefined)
        this.evaluations.set(seq, { now: plan.now, ids: (p) => plan.touchedIds.includes(p) })
    }
    if (collection === 'refreshes' && method === 'updateEach') {
      const [[{ id, update }]] = args as [[{ id: string; update: Update<Refresh> }]]
      // One that is open already stays as it is.
      if (!this.cursors.has(id)) this.cursors.set(id, { now: START, from: 1, size: update.$set!.size! })
    }
    if (collection === 'refreshes' && method === 'update') {
      const [id, { $set = {} }] = args as [string, Update<Refresh>]
      const cursor = this.cursors.get(id)!
      if ($set.now !== undefined) cursor.now = $set.now
      if ($set.from !== undefined) cursor.from = $set.from
      const { seq, againAt } = $set
      if (seq !== undefined && againAt !== undefined) {
        const again = (this.again = new Set<number>())
        this.evaluations.set(seq, { now: againAt, ids: (p) => again.has(p) })
      } else if (seq !== undefined) {
        const { now, from, size } = cursor
        this.evaluations.set(seq, { now, ids: (p) => p >= from && p < from + size })
      }
    }
    if (collection === 'overtaken' && method === 'delete') {
      const [filter] = args as [{ _id: { $in: number[] } }]
      for (const id of filter._id.$in) this.again!.add(id)
    }
  }

  /** The instant of the last evaluation of this profile. */
  lastOf(profileId: number): Date {
    const seqs = [...this.evaluations].filter(([, e]) => e.ids(profileId)).map(([seq]) => seq)
    return this.evaluations.get(Math.max(...seqs))!.now
  }
}

type Values = Record<string, Record<string, string>>

/** What the rules say of each profile at its instant, over everything that is stored now. */
async function valuesAt(world: World, wanted: readonly (readonly [number, Date])[]): Promise<Values> {
  const { evaluables, segments, tags } = world.deps.definitions.current
  const values: Values = {}
  for (const [id, now] of wanted) {
    const profiles = await loadTouched(world.deps, [id])
    const query = compileTouched(evaluables, { nowMs: now.getTime(), segments, tags, scope: scopeOf(profiles) })
    for (const { profileId, figures } of await readFigures(world.deps, query, profiles)) {
      const present = query.values(figures).filter(({ value }) => value !== '')
      values[profileId] = Object.fromEntries(present.map((v) => [v.id, v.value]))
    }
  }
  return values
}

function valuesOf(tags: Readonly<Record<string, { v: string }>>): Record<string, string> {
  return Object.fromEntries(Object.entries(tags).map(([id, { v }]) => [id, v]))
}

async function rowsOf(world: World, sql: string, alive: readonly number[]): Promise<Values> {
  const rows = await world.query(sql, z.object({ p: z.number(), id: z.string(), v: z.string() }))
  const values: Values = Object.fromEntries(alive.map((id) => [id, {}]))
  for (const { p, id, v } of rows) if (v !== '' && values[p] !== undefined) values[p][id] = v
  return values
}

function record(dice: Dice, ref: string, more: object = {}): SourceRecord {
  const member = dice.below(PEOPLE)
  const occurredAt = new Date(START.getTime() - dice.below(5 * 24) * HOUR_MS)
  return parseInput(SourceRecord, {
    ref,
    source: 'shop',
    observedAt: START,
    identifiers: [{ type: 'member_id', value: `m${member}` }],
    // Every rule that time moves reads orders, so every group evaluates them all.
    events: [{ id: ref, name: 'order_paid', occurredAt, amountMinor: 1 + dice.below(500) }],
    ...more,
  })
}

function everybody(dice: Dice): SourceRecord[] {
  return Array.from({ length: PEOPLE - 2 }, (_, i) =>
    record(dice, `first:${i}`, { identifiers: [{ type: 'member_id', value: `m${i}` }] }),
  )
}

function batchOf(dice: Dice, n: number): SourceRecord[] {
  return Array.from({ length: 1 + dice.below(3) }, (_, i) => {
    const ref = `b${n}:${i}`
    if (dice.chance(0.25)) {
      const [a, b] = [dice.below(PEOPLE), dice.below(PEOPLE)]
      return record(dice, ref, { identifiers: [a, b].map((m) => ({ type: 'member_id', value: `m${m}` })) })
    }
    return record(dice, ref, dice.chance(0.3) ? { traits: { city: dice.pick(['上海', '杭州']) } } : {})
  })
}
