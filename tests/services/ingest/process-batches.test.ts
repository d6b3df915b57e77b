import mongoose from 'mongoose'
import { describe, expect, it } from '@jest/globals'
import { z } from 'zod'
import type { BatchPlan } from '../../../src/stored/ingest.js'
import { contactRecord, type Definitions, eventRecord, type World } from '../../support/build-deps.js'
import { useWorld } from '../../support/use-world.js'
import { DAY_MS, HOUR_MS } from '../../../src/time.js'
import { toUpstreamError } from '../../../src/adapters/events/clickhouse-client.js'
import type { Deps } from '../../../src/services/runtime/deps.js'
import { compileHolds } from '../../../src/domain/rules/compile.js'
import { SourceRecord } from '../../../src/domain/events/record.js'
import { parseInput } from '../../../src/parse.js'
import { acceptRecords } from '../../../src/services/ingest/accept-records.js'
import { processBatches } from '../../../src/services/ingest/process-batches.js'
import { listAllRejected, listRejected, RejectedQuery, replayRejected } from '../../../src/services/ingest/rejected.js'
import { around } from '../../support/around.js'

const openWorld = useWorld()
let world: World

const START = '2026-03-02T02:00:00Z' // 10:00 in Shanghai
const hoursIn = (hours: number) => new Date(Date.parse(START) + hours * HOUR_MS)
const Count = z.object({ n: z.number() })

async function start(definitions: Definitions = {}, at = START): Promise<void> {
  world = await openWorld({ at, definitions })
}
const countEvents = async (where = '1') =>
  (await world.query(`SELECT count() AS n FROM events WHERE ${where}`, Count))[0]!.n
const tagsOf = async (profileId: number) =>
  Object.fromEntries(
    Object.entries((await world.docs.profileTags.get(profileId))?.tags ?? {}).map(([tagId, { v }]) => [tagId, v]),
  )

const all = RejectedQuery.parse({})

describe('taking records in', () => {
  it('counts a batch once, however often its key comes', async () => {
    await start()
    const order = eventRecord('m1', 'order_paid', START)
    expect(await world.accept('a', order)).toBe(true)
    expect(await world.accept('a', order)).toBe(false)
    await world.run()
    expect(await world.accept('a', order)).toBe(false)
    await world.run()
    expect(await countEvents()).toBe(1)
  })

  it('counts an event once, in the same batch, in one that waits beside it, and in a later one', async () => {
    await start()
    const order = eventRecord('m1', 'order_paid', START)
    await world.accept('a', order, order)
    await world.accept('b', order)
    await world.run()
    await world.accept('c', order, eventRecord('m2', 'order_paid', START))
    await world.run()
    expect(await countEvents()).toBe(2)
  })

  it('keeps an event with the person it was first said of', async () => {
    await start()
    const event = { id: 'e1', name: 'order_paid', occurredAt: new Date(START) }
    await world.accept('a', { identifiers: [{ type: 'member_id', value: 'm1' }], events: [event] })
    await world.accept('b', { identifiers: [{ type: 'member_id', value: 'm2' }], events: [event] })
    await world.run()
    expect(await countEvents('profile_id = 1')).toBe(1)
    expect(await countEvents()).toBe(1)
  })

  it('lets a shared phone join nobody, also after its owner was merged by a record that does not name it', async () => {
    await start({
      identity: {
        identifiers: [
          { type: 'unionid', strength: 'strong', max: 1 },
          { type: 'member_id', strength: 'strong', max: 3 },
          { type: 'email', strength: 'weak', max: 3 },
          { type: 'phone', strength: 'weak', max: 3, normalise: 'phone' },
        ],
      },
    })
    const says = (hour: number, ...identifiers: [string, string][]) => ({
      observedAt: hoursIn(hour - 100),
      identifiers: identifiers.map(([type, value]) => ({ type, value })),
    })
    const phone: [string, string] = ['phone', '10000000011']
    await world.accept('older', says(0, ['unionid', 'u1']))
    await world.accept('family', says(1, ['member_id', 'm1'], phone), says(2, ['member_id', 'm2'], phone))
    await world.run()
    await world.accept('merge', says(3, ['unionid', 'u1'], ['member_id', 'm1']))
    await world.run()
    expect(await world.docs.merges.count({ from: 2, to: 1 })).toBe(1)
    expect(await world.docs.identifiers.get('phone:10000000011')).toMatchObject({ profileId: 1, shared: true })
    await world.accept('stranger', says(4, ['email', 'a@b.cn'], phone))
    await world.run()
    expect(await world.docs.identifiers.get('email:a@b.cn')).toMatchObject({ profileId: 4 })
  })

  it('takes nothing from an empty batch', async () => {
    await start()
    expect(await world.accept('a')).toBe(false)
    expect(await world.docs.batches.count({})).toBe(0)
  })

  it.each([
    ['few', 3],
    ['many', 600],
  ])('mends half a surrogate pair wherever it stands among %s records, and goes on', async (_name, n) => {
    const half = 'ab\ud83d'
    await start({ tags: [{ id: 'cut', type: 'flag', when: { trait: 'nick', is: 'ab\ufffd' } }] })
    const bad = eventRecord(`m${half}`, 'seen', START, { id: `id ${half}`, properties: { [half]: [{ deep: half }] } })
    const records: object[] = Array.from({ length: n }, (_, i) => ({
      ...eventRecord(`m${i}`, 'seen', START),
      traits: { nick: 'ok' },
    }))
    const traits: Record<string, unknown> = { nick: half, [half]: 1 }
    records[1] = { ...bad, traits }
    await world.accept(`batch ${half}`, ...records)
    await world.accept('next', eventRecord('later', 'seen', START))
    await world.run()
    expect(await world.docs.batches.count({ state: 'done' })).toBe(2)
    expect(await countEvents()).toBe(n + 1)
    expect(await countEvents(`event_id = 'id ab\ufffd' AND properties = '{"ab\ufffd":[{"deep":"ab\ufffd"}]}'`)).toBe(1)
    expect(await tagsOf(2)).toEqual({ cut: '1' })
    expect(await world.query('SELECT count() AS n FROM profiles', Count)).toEqual([{ n: n + 1 }])
    expect(await world.docs.waitingRows.count({ refused: { $exists: true } })).toBe(0)
  })

  /** Traits that take so many characters. */
  const longTraits = (chars: number) =>
    Object.fromEntries(Array.from({ length: chars / 10_000 }, (_, i) => [`t${i}`, 'x'.repeat(10_000)]))

  const manyNames = (name: string, n: number, length = 100) => ({
    ...eventRecord(name, 'seen', START),
    identifiers: Array.from({ length: n }, (_, i) => ({
      type: 'member_id',
      value: `${name} ${i} ${'x'.repeat(length)}`,
    })),
    traits: { nick: name },
  })
  const identity = { identifiers: [{ type: 'member_id', strength: 'strong', max: 20 }] }

  it('goes part by part through a batch whose plan would be larger than a document, also after a death', async () => {
    await start({ identity })
    const shared = { ...world.deps, worker: { ...world.deps.worker, alone: false } }
    await world.accept(
      'a',
      ...Array.from({ length: 24 }, (_, i) => ({ ...manyNames(`m${i}`, 2), traits: longTraits(400_000) })),
    )
    await world.accept('b', eventRecord('other', 'seen', START))
    const sizes: number[] = []
    const dying = around(shared, 'batches', 'update', async (n, [, update]) => {
      const { plan } = (update as { $set: { plan?: unknown } }).$set
      if (plan !== undefined) sizes.push(mongoose.mongo.BSON.calculateObjectSize({ plan }))
      if (n % 3 === 0) throw new Error('died')
    })
    for (let tries = 0; (await world.docs.batches.count({ state: 'done' })) < 2 && tries < 50; tries++)
      await processBatches(dying).catch((err: unknown) => expect(String(err)).toContain('died'))
    expect(sizes.length).toBeGreaterThan(2)
    for (const size of sizes) expect(size).toBeLessThan(15 * 2 ** 20)
    expect(await world.docs.batches.count({ state: 'done', records: { $exists: false } })).toBe(2)
    expect(await countEvents()).toBe(25)
    expect(await world.docs.profiles.count({})).toBe(25)
    expect(await world.docs.evidence.count({})).toBe(24)
    const rows = async (table: string) => (await world.query(`SELECT count() AS n FROM ${table}`, Count))[0]!.n
    expect([await rows('profiles'), await rows('trait_changes')]).toEqual([25, 24 * 40])
  })

  it('leaves out a record by whose identifiers nobody can be found any more, with what it states', async () => {
    await start()
    const nobody = { identifiers: [{ type: 'taobao', value: 't1' }], traits: { city: 'x' } }
    await world.accept('a', nobody, eventRecord('m1', 'seen', START))
    await world.run()
    expect(await world.docs.batches.count({ state: 'done' })).toBe(1)
    expect(await world.docs.profiles.count({})).toBe(1)
  })

  it('sets aside a record that alone would be too large, and says so', async () => {
    await start({ identity })
    const said: unknown[] = []
    const log = { ...world.deps.log, error: (fact: string, fields?: object) => void said.push([fact, fields]) }
    const shared = { ...world.deps, log, worker: { ...world.deps.worker, alone: false } }
    const record = parseInput(SourceRecord, {
      ref: 'large',
      source: 'shop',
      observedAt: new Date(START),
      ...manyNames('m', 2),
    })
    const large = { ...record, identifiers: manyNames('large', 1).identifiers, traits: longTraits(9_000_000) }
    await acceptRecords(world.deps, 'a', [{ ...record, ref: 'first' }, large, { ...record, ref: 'last' }])
    await processBatches(shared)
    const cause = 'it is larger than a document may be'
    expect(said).toEqual([['a record cannot be worked off, it is set aside', { batch: 'a', ref: 'large', cause }]])
    expect(await world.docs.rejected.find({})).toMatchObject([
      { batchId: 'a', reason: cause, record: { ref: 'large' } },
    ])
    expect(await world.docs.batches.count({ state: 'done' })).toBe(1)
    expect(await world.docs.profiles.count({})).toBe(1)
  })

  it('counts an id once for each source, and rules see the events of all', async () => {
    await start({ tags: [{ id: 'seen_twice', type: 'flag', when: { event: 'seen', count: { is: 2 } } }] })
    const sent = (source: string) => ({ ...eventRecord('m1', 'seen', START, { id: '1' }), source })
    await world.accept('a', sent('shop'), sent('pos'), sent('shop'))
    await world.run()
    await world.accept('b', sent('pos'))
    await world.run()
    expect(await countEvents()).toBe(2)
    expect(await tagsOf(1)).toEqual({ seen_twice: '1' })
  })

  it('sets aside the record that needs a document which cannot be used; mended, it is replayed', async () => {
    await start({ tags: [{ id: 'buyer', type: 'flag', when: { event: 'order_paid' } }] })
    await world.accept('a', eventRecord('m1', 'seen', START), eventRecord('m2', 'seen', START))
    await world.run()
    const sound = (await world.docs.profiles.get(1))!
    await world.docs.profiles.put([{ ...sound, anchor: 5 as never }])
    const orders = Array.from({ length: 9 }, (_, i) => eventRecord(`m${i}`, 'order_paid', START))
    await world.accept('b', ...orders)
    await world.accept('c', eventRecord('m9', 'order_paid', START))
    await world.run()
    expect(await world.docs.batches.count({ state: 'done' })).toBe(3)
    expect(await countEvents("name = 'order_paid'")).toBe(9)
    expect(await tagsOf(2)).toEqual({ buyer: '1' })
    const { count, items } = await listRejected(world.deps, all)
    expect(count).toBe(1)
    expect(items).toMatchObject([{ kind: 'record', ref: 'b:1', reason: expect.stringContaining('profiles/1 cannot') }])
    await world.docs.profiles.put([sound])
    const { id } = items[0]!
    await expect(replayRejected(world.deps, { items: [{ id: 'none' }] })).rejects.toThrow('nothing set aside as "none"')
    expect(await replayRejected(world.deps, { items: [{ id }] })).toEqual({ replayed: 1 })
    await world.run()
    expect(await countEvents("name = 'order_paid'")).toBe(10)
    expect(await tagsOf(1)).toEqual({ buyer: '1' })
    expect(await listRejected(world.deps, all)).toEqual({ count: 0, items: [] })
  })

  it('lists what is set aside page by page, the oldest first, each once', async () => {
    await start()
    const record = (ref: string) =>
      parseInput(SourceRecord, { ref, source: 'shop', observedAt: new Date(START), ...manyNames('m', 1) })
    // Three of one instant, one before and one after; then rows that the event store refuses.
    const instants = [1, 1, 0, 2, 1].map((h) => new Date(hoursIn(h)))
    await world.docs.rejected.put(
      instants.map((at, i) => ({ _id: `record:${i}`, batchId: 'a', at, reason: 'x', record: record(`r${i}`) })),
    )
    await world.docs.waitingRows.put(
      ['a', 'b'].map((id, seq) => ({ _id: `events ${id}`, seq, table: 'events', rows: [], refused: 'no' })),
    )
    const inOrder = ['record:2', 'record:0', 'record:1', 'record:4', 'record:3', 'events a', 'events b']
    for (const limit of [1, 2, 3, 5, 7, 100]) {
      const pages: number[] = []
      const items = await listAllRejected(async (query) => {
        const page = await listRejected(world.deps, RejectedQuery.parse({ ...query, limit }))
        expect(page.count).toBe(7)
        pages.push(page.items.length)
        return page
      })
      expect(items.map(({ id }) => id)).toEqual(inOrder)
      expect(pages).toHaveLength(Math.ceil(7 / limit))
    }
    expect(() => RejectedQuery.parse({ after: 'x' })).toThrow('none that `next` gave')
  })

  it('replays a record as somebody has mended it, and takes none that is worse', async () => {
    await start()
    const record = parseInput(SourceRecord, {
      ref: 'r',
      source: 'shop',
      observedAt: new Date(START),
      ...manyNames('m', 1),
    })
    await world.docs.rejected.put([{ _id: 'record:1', batchId: 'a', at: new Date(START), reason: 'x', record }])
    const mended = { ...record, observedAt: START, events: [], traits: { city: '上海' } }
    const worse = { items: [{ id: 'record:1', record: { ...mended, identifiers: [] } }] }
    await expect(replayRejected(world.deps, worse)).rejects.toThrow('items.0.record.identifiers')
    await replayRejected(world.deps, { items: [{ id: 'record:1', record: mended }] })
    await world.run()
    expect((await world.docs.profiles.get(1))?.traits).toMatchObject({ city: { shop: { value: '上海' } } })
    expect(await countEvents()).toBe(0)
  })

  it('replays what is of a source of ours as such, and lets nobody mend a record into one', async () => {
    await start()
    const added = parseInput(SourceRecord, { ref: 'r', source: 'wecom', ...contactRecord('m1', START) })
    const ordered = parseInput(SourceRecord, { ref: 's', source: 'shop', ...eventRecord('m2', 'order_paid', START) })
    const at = new Date(START)
    const aside = [added, ordered].map((record, i) => ({ _id: `record:${i}`, batchId: 'a', at, reason: 'x', record }))
    await world.docs.rejected.put(aside)
    const mended = (i: number, more: object) => ({ id: `record:${i}`, record: { ...aside[i]!.record, ...more } })
    for (const [more, path] of [
      [{ source: 'siyu' }, 'source'],
      [{ source: 'shop' }, 'events.0.name'],
    ] as const)
      await expect(replayRejected(world.deps, { items: [mended(0, more)] })).rejects.toThrow(`items.0.record.${path}`)
    await expect(replayRejected(world.deps, { items: [mended(1, { source: 'wecom' })] })).rejects.toThrow('source')
    await replayRejected(world.deps, { items: [mended(0, { traits: { city: '上海' } })] })
    await world.run()
    expect((await world.docs.profiles.get(1))?.traits).toMatchObject({ city: { wecom: { value: '上海' } } })
    expect(await countEvents()).toBe(1)
  })

  it('goes on where what follows for somebody cannot be worked out, and works it out when it is replayed', async () => {
    await start({
      tags: [{ id: 'buyer', type: 'flag', when: { event: 'order_paid' } }],
      contents: [{ id: 'hello', text: 'hello' }],
      journeys: [
        {
          id: 'way',
          enter: { on: 'seen' },
          exit: { on: 'order_paid' },
          steps: [{ wait: '1d' }, { send: { channel: 'wecom', content: 'hello' } }],
        },
      ],
    })
    const names = Array.from({ length: 5 }, (_, i) => `m${i}`)
    await world.accept('a', ...names.map((name) => eventRecord(name, 'seen', START)))
    await world.run()
    const run = (await world.docs.runs.get('way:3:0'))!
    await world.docs.runs.put([{ ...run, arm: 'gone' as never }])
    await world.until(hoursIn(1))
    await world.accept('b', ...names.map((name) => eventRecord(name, 'order_paid', hoursIn(1))))
    await world.run()
    const states = await world.docs.runs.find({}, { skipUnfit: true })
    expect(states.map((r) => [r._id, r.outcome])).toEqual([1, 2, 4, 5].map((n) => [`way:${n}:0`, 'exited']))
    expect([await tagsOf(2), await tagsOf(3)]).toEqual([{ buyer: '1' }, {}])
    const { items } = await listRejected(world.deps, all)
    expect(items).toMatchObject([{ id: 'profile:3', kind: 'profile', profileId: 3 }])
    await world.docs.runs.put([run])
    await replayRejected(world.deps, { items: [{ id: 'profile:3' }] })
    await world.run()
    expect(await tagsOf(3)).toEqual({ buyer: '1' })
    expect(await listRejected(world.deps, all)).toEqual({ count: 0, items: [] })
  })

  it('sets nobody aside while the store takes nothing', async () => {
    await start()
    await world.accept('a', eventRecord('m1', 'seen', START))
    const full = around(world.deps, 'batches', 'update', async () => {
      throw new Error('the disk is full')
    })
    await expect(processBatches(full)).rejects.toThrow('the disk is full')
    expect(await world.docs.rejected.count({})).toBe(0)
    await world.run()
    expect(await countEvents()).toBe(1)
  })

  it.each([
    ['sets nobody aside while the event store does not let anybody in', '516', 0],
    ['sets aside whom the event store cannot ask for', '168', 1],
  ])('%s', async (_name, code, rejected) => {
    await start()
    await world.accept('a', eventRecord('m1', 'seen', START), eventRecord('m2', 'seen', START))
    type Asked = Parameters<Deps['knownEvents']['find']>[0]
    const asks = (ids: Asked) => JSON.stringify(ids).includes('m1')
    const knownEvents = {
      find: (ids: Asked) =>
        asks(ids)
          ? Promise.reject(toUpstreamError('engine', 'query', { code, type: 'X', message: 'no' }))
          : world.deps.knownEvents.find(ids),
    } as unknown as Deps['knownEvents']
    const ended = processBatches({ ...world.deps, knownEvents })
      .then(() => 'done')
      .catch(() => 'stopped')
    expect(await ended).toBe(rejected === 0 ? 'stopped' : 'done')
    expect(await world.docs.rejected.count({})).toBe(rejected)
    await world.run()
    expect(await countEvents()).toBe(2 - rejected)
  })

  it('lets nothing that arrives hold a wish or a trait in the future', async () => {
    await start({ tags: [{ id: 'town', type: 'text', trait: 'city' }] })
    const ahead = hoursIn(24 * 365)
    const wish = (name: string, at: Date) => ({ id: name, name, occurredAt: at })
    const who = { identifiers: [{ type: 'member_id', value: 'm1' }] }
    await world.accept('a', { ...who, observedAt: ahead, traits: { city: '广州' }, events: [wish('opted_in', ahead)] })
    await world.run()
    await world.until(hoursIn(1))
    await world.accept('b', { ...who, traits: { city: '上海' }, events: [wish('opted_out', hoursIn(1))] })
    await world.run()
    expect((await world.docs.profiles.get(1))?.optedOutAt).toEqual(hoursIn(1))
    expect(await tagsOf(1)).toEqual({ town: '上海' })
    const Said = z.object({ at: z.string(), told: z.string() })
    expect(
      await world.query(
        "SELECT toString(occurred_at) AS at, toString(said_at) AS told FROM events WHERE name = 'opted_in'",
        Said,
      ),
    ).toEqual([{ at: '2026-03-02 02:00:00.000', told: '2027-03-02 02:00:00.000' }])
    expect(
      await world.query(
        "SELECT toString(observed_at) AS at, toString(said_at) AS told FROM trait_changes WHERE said = '广州'",
        Said,
      ),
    ).toEqual([{ at: '2026-03-02 02:00:00.000', told: '2027-03-02 02:00:00.000' }])
  })

  it('begins no plan that was made before another one was begun', async () => {
    await start()
    await world.accept('a', contactRecord('m1', START))
    await world.run()
    await world.accept('b', eventRecord('m1', 'registered', START))
    // Made by a worker that slept since before the first one: to it, nobody was known.
    const plan: BatchPlan = {
      seq: 1,
      basis: 0,
      batchIds: ['b'],
      now: new Date(START),
      owners: [77],
      units: ['member_id:m1'],
      profiles: [],
      links: [],
      evidence: [],
      conflicts: [],
      merges: [],
      nextProfileId: 1,
      eventOwners: [77],
      newProfileIds: [],
      touchedIds: [77],
      changedTraits: [],
    }
    await world.docs.batches.update('b', { $set: { state: 'planned', plan } })
    await world.run()
    expect(await countEvents("name = 'registered' AND profile_id = 1")).toBe(1)
    expect(await countEvents('profile_id = 77')).toBe(0)
    expect((await world.docs.batches.get('b'))?.state).toBe('done')
  })

  it('numbers documents and rows by their plans, above what version 0.1 numbered by batches', async () => {
    await start()
    await world.docs.meta.put([{ _id: 'counter:batch', value: 500 }])
    await world.accept('a', contactRecord('m1', START))
    await world.run()
    const seq = (await world.docs.profiles.get(1))?.seq
    expect(seq).toBeGreaterThan(500)
    expect((await world.docs.identifiers.get('member_id:m1'))?.seq).toBe(seq)
    const Version = z.object({ version: z.number() })
    expect(await world.query('SELECT version FROM profiles FINAL', Version)).toEqual([{ version: seq }])
  })

  it('empties the inbox of what it has worked off', async () => {
    await start()
    await world.accept('a', eventRecord('m1', 'order_paid', START))
    await world.run()
    expect(await world.docs.batches.find({})).toEqual([
      { _id: 'a', seq: 1, state: 'done', acceptedAt: new Date(START) },
    ])
  })
})

describe('tags after a batch', () => {
  const tags = [
    { id: 'buyer', type: 'flag', when: { event: 'order_paid' } },
    { id: 'big_buyer', type: 'flag', when: { all: [{ tag: 'buyer' }, { tag: 'spend', gte: 100 }] } },
    { id: 'spend', type: 'number', value: { event: 'order_paid', sum: 'amountMinor' } },
    { id: 'town', type: 'text', trait: 'city' },
    { id: 'phoned', type: 'flag', when: { identifier: 'phone' } },
  ]

  it('are those of the new events, through tags that read tags', async () => {
    await start({ tags })
    await world.accept('a', eventRecord('m1', 'order_paid', START, { amountMinor: 60 }))
    await world.run()
    expect(await tagsOf(1)).toEqual({ buyer: '1', spend: '60' })
    await world.accept('b', eventRecord('m1', 'order_paid', hoursIn(-1), { amountMinor: 40 }))
    await world.run()
    expect(await tagsOf(1)).toEqual({ buyer: '1', spend: '100', big_buyer: '1' })
  })

  it('read the consent that counts: whoever agreed again has not said stop', async () => {
    const consent = [
      { id: 'said_stop', type: 'flag', when: { consent: 'opted_out' } },
      { id: 'agreed', type: 'flag', when: { consent: 'opted_in' } },
    ]
    await start({ tags: consent })
    const said = (key: string, name: string, hours: number) =>
      world.accept(key, eventRecord('m1', name, hoursIn(hours)))
    await said('a', 'opted_out', -2)
    await world.run()
    expect(await tagsOf(1)).toEqual({ said_stop: '1' })
    await said('b', 'opted_in', -1)
    await world.run()
    expect(await tagsOf(1)).toEqual({ agreed: '1' })
    await said('c', 'opted_out', -1.5)
    await world.run()
    expect(await tagsOf(1)).toEqual({ agreed: '1' })
    // The same over everybody, who is read from the store.
    const sql = compileHolds([{ consent: 'opted_in' }, { consent: 'opted_out' }], {
      ...{ nowMs: world.clock.now().getTime(), segments: new Map(), tags: [], scope: { kind: 'all' } },
    })
    expect(await world.query(sql, z.object({ p: z.number(), holds: z.array(z.number()) }))).toEqual([
      { p: 1, holds: [1, 0] },
    ])
  })

  it('do not take an amount that nobody said for nothing', async () => {
    const amounts = [
      { id: 'spend', type: 'number', value: { event: 'order_paid', sum: 'amountMinor' } },
      { id: 'cheap', type: 'flag', when: { event: 'order_paid', sum: { amountMinor: { lt: 100 } } } },
      { id: 'small', type: 'flag', when: { event: 'order_paid', where: { amountMinor: { lte: 0 } } } },
      { id: 'last_small', type: 'flag', when: { event: 'order_paid', last: { property: 'amountMinor', lt: 100 } } },
    ]
    await start({ tags: amounts })
    await world.accept('a', eventRecord('m1', 'order_paid', hoursIn(-2)))
    await world.accept('b', eventRecord('m2', 'order_paid', hoursIn(-2), { amountMinor: 0 }))
    await world.run()
    expect(await tagsOf(1)).toEqual({})
    expect(await tagsOf(2)).toEqual({ spend: '0', cheap: '1', small: '1', last_small: '1' })
    await world.accept('c', eventRecord('m1', 'order_paid', hoursIn(-1), { amountMinor: 60 }))
    await world.run()
    expect(await tagsOf(1)).toEqual({ spend: '60', cheap: '1', last_small: '1' })
  })

  it('follow a trait that changes and goes', async () => {
    await start({ tags })
    const says = (city: string | null) => ({ identifiers: [{ type: 'member_id', value: 'm1' }], traits: { city } })
    await world.accept('a', says('上海'))
    await world.run()
    expect(await tagsOf(1)).toEqual({ town: '上海' })
    await world.accept('b', says('杭州'))
    await world.run()
    expect(await tagsOf(1)).toEqual({ town: '杭州' })
    await world.accept('c', says(null))
    await world.run()
    expect(await tagsOf(1)).toEqual({})
  })

  it('follow an identifier that a known person is given', async () => {
    await start({ tags })
    await world.accept('a', eventRecord('m1', 'order_paid', START))
    await world.run()
    await world.accept('b', {
      identifiers: [
        { type: 'member_id', value: 'm1' },
        { type: 'phone', value: '13800000000' },
      ],
    })
    await world.run()
    expect(await tagsOf(1)).toMatchObject({ phoned: '1' })
  })

  it('are the survivor’s alone after a merge, over the events of both', async () => {
    await start({ tags })
    await world.accept('a', eventRecord('m1', 'order_paid', START, { amountMinor: 60 }), {
      identifiers: [{ type: 'unionid', value: 'u1' }],
      events: [{ id: 'o2', name: 'order_paid', occurredAt: new Date(START), amountMinor: 70 }],
    })
    await world.run()
    await world.accept('b', {
      identifiers: [
        { type: 'unionid', value: 'u1' },
        { type: 'member_id', value: 'm1' },
      ],
    })
    await world.run()
    expect(await tagsOf(1)).toEqual({ buyer: '1', spend: '130', big_buyer: '1' })
    expect(await tagsOf(2)).toEqual({})
  })

  it('are the same whether three people become one at once or one after the other', async () => {
    const people = ['member_id:m1', 'unionid:u1', 'external_userid:w1'].map((text, i) => {
      const [type, value] = text.split(':')
      return {
        identifiers: [{ type, value }],
        events: [{ id: `o${i}`, name: 'order_paid', occurredAt: hoursIn(-i), amountMinor: 10 ** i }],
        observedAt: hoursIn(-i),
      }
    })
    const join = (a: number, b: number) => ({ identifiers: [...people[a]!.identifiers, ...people[b]!.identifiers] })
    for (const batches of [
      [[...people, join(0, 1), join(1, 2)]],
      [people, [join(0, 1), join(1, 2)]],
      [people, [join(0, 1)], [join(1, 2)]],
      [people, [join(1, 2)], [join(0, 1)]],
    ]) {
      await start({ tags })
      for (const [i, batch] of batches.entries()) {
        await world.accept(`b${i}`, ...batch)
        await world.run()
      }
      expect(await tagsOf(3)).toEqual({ buyer: '1', spend: '111', big_buyer: '1' })
      const Merged = z.object({ profile_id: z.number(), merged_into: z.number() })
      expect(
        await world.query('SELECT profile_id, merged_into FROM profiles FINAL ORDER BY profile_id', Merged),
      ).toEqual([
        { profile_id: 1, merged_into: 3 },
        { profile_id: 2, merged_into: 3 },
        { profile_id: 3, merged_into: 0 },
      ])
      expect((await world.docs.profiles.find({})).map((p) => p.mergedInto)).toEqual([3, 3, undefined])
      if (batches !== undefined) await world.close()
    }
    await start()
  })
})

describe('journeys that a batch begins', () => {
  const sendHello = [{ wait: '1h' }, { send: { channel: 'wecom', content: 'hello' } }]
  const contents = [{ id: 'hello', text: 'hello' }]
  const runs = async () => (await world.docs.runs.find({})).map((r) => [r._id, r.state, r.outcome ?? r.arm])

  it('enter with an event that is fresh and a rule that holds of it', async () => {
    await start({
      contents,
      journeys: [
        {
          id: 'first-order',
          enter: { on: 'order_paid', if: { event: 'order_paid', count: { is: 1 } } },
          steps: sendHello,
        },
      ],
    })
    await world.accept(
      'a',
      eventRecord('m1', 'order_paid', START),
      eventRecord('m2', 'order_paid', hoursIn(-30)), // history
      eventRecord('m3', 'order_paid', hoursIn(-30)),
      eventRecord('m3', 'order_paid', START), // the second
    )
    await world.run()
    expect(await runs()).toEqual([['first-order:1:0', 'waiting', 'treated']])
  })

  it('say of whoever does not enter that the event came too late, and of whoever does nothing', async () => {
    await start({ contents, journeys: [{ id: 'first-order', enter: { on: 'order_paid' }, steps: sendHello }] })
    const orders = [eventRecord('m1', 'order_paid', START), eventRecord('m1', 'order_paid', hoursIn(-50))]
    await world.accept('a', ...orders, eventRecord('m2', 'order_paid', hoursIn(-30)))
    await world.run()
    await world.until(hoursIn(1))
    await world.accept('b', eventRecord('m2', 'order_paid', hoursIn(-40)))
    await world.run()
    expect(await world.docs.refusals.find({})).toEqual([
      { _id: 'first-order:2:too_old', profileId: 2, journeyId: 'first-order', at: hoursIn(1), reason: 'too_old' },
    ])
  })

  it('end where an event that comes late says that they should not have begun', async () => {
    const noOrder = { all: [{ event: 'registered', between: ['8d', '7d'] }, { not: { event: 'order_paid' } }] }
    await start({
      contents,
      tags: [{ id: 'buyer', type: 'flag', when: { event: 'order_paid' } }],
      journeys: [
        {
          id: 'no-order',
          enter: { when: noOrder },
          steps: [{ wait: '1h' }, { send: { channel: 'wecom', content: 'hello' } }],
        },
        { id: 'by-tag', enter: { on: 'seen', if: { not: { tag: 'buyer' } } }, steps: sendHello },
      ],
    })
    const days = (n: number) => hoursIn(24 * n)
    for (const name of ['m1', 'm2', 'm3'])
      await world.accept(name, contactRecord(name, START), eventRecord(name, 'registered', START))
    await world.until(days(7.1))
    for (const name of ['m1', 'm2']) await world.accept(`s${name}`, eventRecord(name, 'seen', days(7.1)))
    await world.run()
    expect((await runs()).map(([id, state]) => [id, state])).toEqual([
      ['by-tag:1:0', 'waiting'],
      ['by-tag:2:0', 'waiting'],
      ...[1, 2, 3].map((n) => [`no-order:${n}:0`, expect.any(String)]),
    ])
    await world.until(days(7.11))
    // m1 ordered before she entered, m2 thereafter: of no journey an order is an exit.
    await world.docs.runs.updateMany({ journeyId: 'no-order' }, { $set: { state: 'waiting', dueAt: days(8) } })
    await world.accept('late', eventRecord('m1', 'order_paid', days(6.5)), eventRecord('m2', 'order_paid', days(7.11)))
    await world.until(days(7.3))
    expect(
      (await runs()).map(([id, , outcome]) => [id, outcome]).filter(([, outcome]) => outcome === 'exited'),
    ).toEqual([
      ['by-tag:1:0', 'exited'],
      ['no-order:1:0', 'exited'],
    ])
  })

  it('take back what waits for the morning, though its last step is taken, when a late event says so', async () => {
    const noOrder = { all: [{ event: 'registered' }, { not: { event: 'order_paid' } }] }
    await start(
      { contents, journeys: [{ id: 'no-order', enter: { when: noOrder }, steps: sendHello }] },
      '2026-03-02T14:00:00Z',
    )
    await world.accept('a', contactRecord('m1', START), eventRecord('m1', 'registered', START))
    await world.run()
    await world.until('2026-03-02T15:00:00Z')
    expect(await runs()).toEqual([['no-order:1:0', 'ended', 'finished']])
    expect((await world.docs.touches.find({})).map((t) => t.state)).toEqual(['planned'])
    await world.accept('b', eventRecord('m1', 'order_paid', hoursIn(2)))
    await world.run()
    expect((await world.docs.touches.find({})).map((t) => [t.state, t.reason])).toEqual([['suppressed', 'exited']])
  })

  it('enter when a rule becomes true, and not again while it stays so', async () => {
    await start({
      contents,
      journeys: [{ id: 'rich', enter: { when: { event: 'order_paid', count: { gte: 2 } } }, steps: sendHello }],
    })
    for (const hour of [0, 1, 2, 3]) {
      await world.until(hoursIn(hour))
      await world.accept(`b${hour}`, eventRecord('m1', 'order_paid', hoursIn(hour)))
      await world.run()
    }
    expect(await runs()).toEqual([['rich:1:0', 'ended', 'finished']])
    expect(await world.docs.refusals.find({})).toEqual([])
  })

  it('hold out the share that is due, the same people every time', async () => {
    const journeys = [{ id: 'held', enter: { on: 'registered' }, holdout: '30%', steps: sendHello }]
    const names = Array.from({ length: 400 }, (_, i) => `m${i}`)
    const arms: string[][] = []
    for (const order of [names, [...names].reverse()]) {
      await start({ contents, journeys })
      await world.accept('a', ...order.map((n) => eventRecord(n, 'registered', START)))
      await world.run()
      arms.push((await world.docs.runs.find({ arm: 'holdout' })).map((r) => r.anchor).sort())
      const held = await world.docs.runs.find({ arm: 'holdout' })
      expect(held.every((r) => r.state === 'ended' && r.outcome === 'holdout' && r.dueAt === undefined)).toBe(true)
      await world.close()
    }
    // 120 expected, standard deviation 9.2
    expect(arms[0]!.length).toBeGreaterThan(85)
    expect(arms[0]!.length).toBeLessThan(155)
    expect(arms[1]).toEqual(arms[0])
    await start()
  })

  it('refuse whoever may not enter again, and say why', async () => {
    await start({
      contents,
      journeys: [
        { id: 'once', enter: { on: 'viewed' }, steps: sendHello },
        { id: 'twice', enter: { on: 'viewed' }, reenter: { after: '1d', max: 2 }, steps: [{ exit: true }] },
      ],
    })
    for (const hour of [0, 0.5, 23.9, 24, 72]) {
      await world.until(hoursIn(hour))
      await world.accept(`b${hour}`, eventRecord('m1', 'viewed', hoursIn(hour)))
      await world.run()
    }
    const refusals = (await world.docs.refusals.find({})).map((r) => [
      r.journeyId,
      (r.at.getTime() - Date.parse(START)) / HOUR_MS,
      r.reason,
    ])
    expect(refusals.filter(([id]) => id === 'once')).toEqual([
      ['once', 0.5, 'already_in'],
      ['once', 23.9, 'once_only'],
      ['once', 24, 'once_only'],
      ['once', 72, 'once_only'],
    ])
    expect(refusals.filter(([id]) => id === 'twice')).toEqual([
      ['twice', 0.5, 'too_soon'],
      ['twice', 23.9, 'too_soon'],
      ['twice', 72, 'max_entries'],
    ])
    expect((await runs()).map(([id]) => id)).toEqual(['once:1:0', 'twice:1:0', 'twice:1:1'])
  })

  it('end with their exit event, and what is planned is taken back', async () => {
    await start(
      {
        contents,
        journeys: [{ id: 'welcome', enter: { on: 'registered' }, exit: { on: 'order_paid' }, steps: sendHello }],
      },
      '2026-03-02T12:30:00Z', // 20:30: the message is planned at 21:30 and waits for the morning
    )
    await world.accept('a', contactRecord('m1', START), eventRecord('m1', 'registered', '2026-03-02T12:30:00Z'))
    await world.until('2026-03-02T14:00:00Z')
    expect((await world.docs.touches.find({})).map((t) => t.state)).toEqual(['planned'])
    await world.accept('b', eventRecord('m1', 'order_paid', '2026-03-02T12:29:00Z')) // before she entered
    await world.run()
    expect((await world.docs.touches.find({})).map((t) => t.state)).toEqual(['planned'])
    await world.accept('c', eventRecord('m1', 'order_paid', '2026-03-02T14:00:00Z'))
    await world.until('2026-03-03T04:00:00Z')
    expect((await world.docs.touches.find({})).map((t) => [t.state, t.reason])).toEqual([['suppressed', 'exited']])
    expect(world.wecom.sent).toEqual([])
  })

  it('go on under the survivor of a merge, the older run where both have one', async () => {
    await start({
      contents,
      journeys: [
        { id: 'both', enter: { on: 'registered' }, steps: sendHello },
        { id: 'one', enter: { on: 'viewed' }, steps: sendHello },
      ],
    })
    await world.accept('a', contactRecord('m1', START), eventRecord('m1', 'registered', START))
    await world.run()
    await world.until(hoursIn(0.5))
    await world.accept('b', {
      identifiers: [{ type: 'unionid', value: 'u1' }],
      events: ['registered', 'viewed'].map((name) => ({ id: name, name, occurredAt: hoursIn(0.5) })),
    })
    await world.run()
    await world.accept('c', {
      identifiers: [
        { type: 'unionid', value: 'u1' },
        { type: 'member_id', value: 'm1' },
      ],
    })
    await world.until(hoursIn(2))
    expect(await runs()).toEqual([
      ['both:1:0', 'ended', 'finished'],
      ['both:2:0', 'ended', 'merged'],
      ['one:2:0', 'ended', 'finished'],
    ])
    const touches = await world.docs.touches.find({})
    expect(touches.map((t) => [t._id, t.profileId, t.state])).toEqual([
      ['both:1:0/1', 1, 'created'],
      ['one:2:0/1', 1, 'created'],
    ])
    expect(touches.map((t) => t.releasedAt)).toEqual([hoursIn(1), hoursIn(1.5)])
  })
})

describe('runs on their way', () => {
  const journey = (steps: unknown[], more: object = {}) => ({ id: 'way', enter: { on: 'registered' }, steps, ...more })
  const contents = [
    { id: 'hello', text: 'hello' },
    { id: 'other', text: 'other' },
  ]

  it('sleep and wake exactly to the second', async () => {
    await start({ contents, journeys: [journey([{ wait: '90s' }, { send: { channel: 'wecom', content: 'hello' } }])] })
    await world.accept('a', contactRecord('m1', START), eventRecord('m1', 'registered', START))
    await world.until(new Date(Date.parse(START) + 89_999))
    expect(await world.docs.touches.count({})).toBe(0)
    await world.until(new Date(Date.parse(START) + 90_000))
    expect(world.wecom.sent.map((s) => s.at.getTime() - Date.parse(START))).toEqual([90_000])
  })

  it('branch on what is true when they get there', async () => {
    await start({
      contents,
      tags: [{ id: 'buyer', type: 'flag', when: { event: 'order_paid' } }],
      journeys: [
        journey([
          { wait: '1h' },
          {
            branch: [
              { if: { tag: 'buyer' }, do: [{ id: 'thanks', send: { channel: 'wecom', content: 'hello' } }] },
              { else: [{ id: 'please', send: { channel: 'wecom', content: 'other' } }] },
            ],
          },
        ]),
      ],
    })
    await world.accept(
      'a',
      ...['m1', 'm2'].flatMap((m) => [contactRecord(m, START), eventRecord(m, 'registered', START)]),
    )
    await world.until(hoursIn(0.5))
    await world.accept('b', eventRecord('m2', 'order_paid', hoursIn(0.5)))
    await world.until(hoursIn(2))
    expect((await world.docs.touches.find({})).map((t) => t._id)).toEqual(['way:1:0/please', 'way:2:0/thanks'])
  })

  it('stay on the version they entered, while newcomers take the next', async () => {
    await start({
      contents,
      journeys: [journey([{ wait: '1h' }, { id: 'old', send: { channel: 'wecom', content: 'hello' } }])],
    })
    await world.accept('a', contactRecord('m1', START), eventRecord('m1', 'registered', START))
    await world.run()
    await world.publish({
      contents,
      journeys: [journey([{ wait: '1h' }, { id: 'new', send: { channel: 'wecom', content: 'other' } }])],
    })
    await world.accept('b', contactRecord('m2', START), eventRecord('m2', 'registered', START))
    await world.until(hoursIn(2))
    expect((await world.docs.touches.find({})).map((t) => t._id)).toEqual(['way:1:0/old', 'way:2:0/new'])
    await world.publish({ contents })
    await world.accept('c', contactRecord('m3', START), eventRecord('m3', 'registered', hoursIn(2)))
    await world.run()
    expect(await world.docs.runs.count({})).toBe(2)
  })
})

describe('schedules', () => {
  const tags = [
    { id: 'fresh', type: 'flag', when: { event: 'order_paid', within: '1d' } },
    { id: 'hourly', type: 'flag', refresh: '0 * * * *', when: { event: 'order_paid', within: '2h' } },
  ]

  it('take a tag away when its window has passed, at its own times', async () => {
    await start({ tags })
    await world.accept('a', eventRecord('m1', 'order_paid', START))
    await world.until(new Date(hoursIn(2).getTime() - 1))
    expect(await tagsOf(1)).toEqual({ fresh: '1', hourly: '1' })
    await world.until(hoursIn(2))
    expect(await tagsOf(1)).toEqual({ fresh: '1' })
    await world.until('2026-03-03T17:59:59Z') // a second before the night of the second day
    expect(await tagsOf(1)).toEqual({ fresh: '1' })
    await world.until('2026-03-03T18:00:00Z')
    expect(await tagsOf(1)).toEqual({})
  })

  it('catch up once after a pause, not once per missed time', async () => {
    await start({ tags })
    await world.accept('a', eventRecord('m1', 'order_paid', START))
    await world.until(hoursIn(1)) // the tag with times of its own is set then
    world.clock.set(hoursIn(50))
    await world.run()
    const rows = await world.query(
      "SELECT tag_id, toUnixTimestamp64Milli(changed_at) AS ms FROM tag_changes WHERE new_value = '' ORDER BY tag_id",
      z.object({ tag_id: z.string(), ms: z.number() }),
    )
    expect(rows).toEqual([
      { tag_id: 'fresh', ms: hoursIn(50).getTime() },
      { tag_id: 'hourly', ms: hoursIn(50).getTime() },
    ])
  })

  it('let people in when a window over events reaches them, on the hour, and once', async () => {
    await start({
      contents: [{ id: 'hello', text: 'hello' }],
      journeys: [
        {
          id: 'week',
          enter: { when: { all: [{ event: 'registered', between: ['8d', '7d'] }, { not: { event: 'order_paid' } }] } },
          steps: [{ exit: true }],
        },
      ],
    })
    const registeredAt = hoursIn(-0.25)
    await world.accept(
      'a',
      eventRecord('m1', 'registered', registeredAt),
      eventRecord('m2', 'registered', registeredAt),
    )
    await world.until(hoursIn(3))
    await world.accept('b', eventRecord('m2', 'order_paid', hoursIn(3)))
    await world.until(hoursIn(24 * 20))
    const runs = await world.docs.runs.find({})
    expect(runs.map((r) => [r._id, r.enteredAt])).toEqual([['week:1:0', new Date(Date.parse(START) + 7 * DAY_MS)]])
  })

  it('bring everybody for whom a rule holds into a recurring journey, at its times', async () => {
    await start({
      contents: [{ id: 'hello', text: 'hello' }],
      journeys: [
        {
          id: 'monday',
          enter: { every: '0 10 * * 1', when: { event: 'order_paid', within: '14d' } },
          reenter: { after: '1d', max: 10 },
          steps: [{ exit: true }],
        },
      ],
    })
    await world.accept('a', eventRecord('m1', 'order_paid', START), eventRecord('m2', 'viewed', START))
    await world.until(hoursIn(24 * 22)) // START is a Monday, 10:00
    const entered = (await world.docs.runs.find({})).map((r) => [r._id, r.enteredAt.toISOString()])
    expect(entered).toEqual([['monday:1:0', '2026-03-09T02:00:00.000Z']])
  })
})
