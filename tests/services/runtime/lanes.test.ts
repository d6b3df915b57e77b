import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { BUCKETS, bucketOf, inShard } from '../../../src/stored/buckets.js'
import { journeysCollections } from '../../../src/stored/journeys.js'
import { touchesCollections } from '../../../src/stored/touches.js'
import { WHOLE } from '../../../src/ports/job-queue.js'
import { workOff } from '../../../src/play/live.js'
import { messageOf } from '../../../src/errors.js'
import { lanes, shardsOf, workTimes } from '../../../src/services/runtime/lanes.js'
import { DAY_MS, HOUR_MS } from '../../../src/time.js'
import { around } from '../../support/around.js'
import {
  buildWorld,
  contactRecord,
  type EventHome,
  eventRecord,
  openEventHome,
  type World,
} from '../../support/build-deps.js'

const START = '2026-03-02T02:00:00Z' // 10:00 in Shanghai
const PEOPLE = Array.from({ length: 24 }, (_, i) => `m${i}`)
const GUIDES = Array.from({ length: 5 }, (_, i) => `guide-${i}`)

describe('shards', () => {
  it.each([1, 2, 3, 4, 7, 63, 64])('of %i have every bucket once, and about as many each', (of) => {
    const shards = shardsOf({ sharded: true }, of)
    const parts = shards.map((shard) => inShard(shard).bucket?.$in)
    if (of === 1) return expect(parts).toEqual([undefined])
    expect(parts.flatMap((p) => p ?? []).sort((a, b) => a - b)).toEqual([...Array(BUCKETS).keys()])
    const sizes = parts.map((p) => p?.length ?? 0)
    expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1)
  })

  it('hold about as many profiles each, and a profile is always in the same bucket', () => {
    const counts = Array.from({ length: BUCKETS }, () => 0)
    for (let id = 1; id <= 64_000; id++) counts[bucketOf(id)]!++
    expect(Math.min(...counts)).toBeGreaterThan(850)
    expect(Math.max(...counts)).toBeLessThan(1_150)
    // Stored with every run: another hash would want another migration.
    expect([1, 2, 3, 'guide-1'].map(bucketOf)).toEqual([7, 8, 55, 42])
  })

  it('are stored with the documents of version 1, too', () => {
    const run = journeysCollections.runs.migrations![1]!({ _id: 'r', profileId: 7 })
    expect(run).toEqual({ _id: 'r', profileId: 7, bucket: bucketOf(7) })
    const migrate = touchesCollections.dispatches.migrations![1]!
    const stored = { _id: 'd', senderUserId: 'guide-1', bucket: bucketOf('guide-1') }
    expect(migrate({ _id: 'd', senderUserId: 'guide-1', state: 'ready' })).toEqual({ ...stored, state: 'new' })
    expect(migrate({ _id: 'd', senderUserId: 'guide-1', state: 'sending' })).toEqual({ ...stored, state: 'sending' })
  })
})

describe('lanes', () => {
  let home: EventHome
  let world: World
  beforeAll(async () => {
    home = await openEventHome()
  })
  afterEach(() => world.close())
  afterAll(() => home.close())

  async function start(): Promise<void> {
    world = await buildWorld(home, {
      at: START,
      definitions: {
        journeys: [
          {
            id: 'hello',
            enter: { on: 'registered' },
            steps: [
              { send: { channel: 'wecom', content: 'hello' } },
              { wait: '1d' },
              { send: { channel: 'wecom', content: 'again' } },
              { wait: '1d' },
              { task: { title: 'call', script: 'hello', due: '2h' } },
            ],
          },
        ],
        contents: [
          { id: 'hello', text: 'hello' },
          { id: 'again', text: 'again' },
        ],
        policy: {
          quietHours: { from: '21:00', to: '09:00' },
          wecomQuota: { mode: 'month_days' },
          confirmWithin: '10d',
        },
      },
    })
    world.wecom.result = (d, now) => ({
      final: true,
      confirmedAt: now,
      recipients: d.recipients.map((r) => ({ to: r.to, state: 'delivered', at: now })),
    })
    const at = world.clock.now()
    await world.accept(
      'a',
      ...PEOPLE.map((name, i) => contactRecord(name, START, GUIDES[i % GUIDES.length])),
      ...PEOPLE.map((name) => eventRecord(name, 'registered', at)),
    )
  }

  /** Lives through three days, of which each hour is worked off split as `splitAt` says. */
  async function live(splitAt: (hour: number) => number): Promise<object> {
    await start()
    for (let hour = 0; hour <= 3 * 24; hour++) {
      world.clock.set(new Date(Date.parse(START) + hour * HOUR_MS))
      const shards = splitAt(hour)
      await workOff(
        world.deps,
        ({ name, shard }) => lanes.find((lane) => lane.name === name)!.run(world.deps, undefined, shard),
        { shards },
      )
    }
    const sent = (channel: typeof world.wecom) =>
      channel.sent.flatMap((d) => d.recipients.map((r) => `${d.sender ?? r.to} ${r.touchId} ${r.to} ${d.content.text}`))
    return {
      messages: sent(world.wecom).sort(),
      calls: world.wecom.sent.length,
      cards: sent(world.task).sort(),
      touches: (await world.docs.touches.find({})).map((t) => [t._id, t.state, t.releasedAt]),
      runs: (await world.docs.runs.find({})).map((r) => [r._id, r.state, r.outcome, r.endedAt]),
    }
  }

  it('do the same whatever the number of shards, also when it changes on the way', async () => {
    const whole = await live(() => 1)
    await world.close()
    expect(whole).toMatchObject({ calls: 2 * GUIDES.length })
    const changing = await live((hour) => [4, 1, 7, 64][Math.floor(hour / 20)]!)
    expect(changing).toEqual(whole)
  })

  it('of other shards are not due for what is in one', async () => {
    await start()
    await world.run()
    world.clock.set(new Date(Date.parse(START) + DAY_MS))
    const [run] = await world.docs.runs.find({ _id: { $exists: true } })
    await world.docs.runs.updateMany({ _id: { $nin: [run!._id] } }, { $set: { state: 'ended' }, $unset: { dueAt: 1 } })
    const due = (await workTimes(world.deps, 4)).filter(
      ({ name, at }) => name === 'resume-runs' && at <= world.clock.now(),
    )
    expect(due.map(({ shard }) => shard)).toEqual([{ index: Math.floor(run!.bucket / 16), of: 4 }])
  })

  it('leave documents that cannot be used where they are, go on with the others, and take them up once they are put right', async () => {
    await start()
    await world.run()
    const { runs, touches } = world.docs
    const [run, ...others] = await runs.find({})
    // In front of all others.
    await runs.update(run!._id, { $set: { arm: 'both' as 'treated', dueAt: new Date(0) } })
    await world.until(new Date(Date.parse(START) + DAY_MS))
    const again = () => world.wecom.sent.filter((d) => d.content.text === 'again').flatMap((d) => d.recipients)
    expect(again()).toHaveLength(others.length)
    expect(await world.documents.unfit()).toMatchObject([
      {
        collection: 'runs',
        id: run!._id,
        problems: [{ path: 'arm', message: 'found a string, expected treated, holdout' }],
      },
    ])
    await expect(touches.find({}, { skipUnfit: true })).resolves.toHaveLength(PEOPLE.length + others.length)

    await runs.update(run!._id, { $set: { arm: 'treated' } })
    await world.run()
    expect(again()).toHaveLength(PEOPLE.length)
    expect(await world.documents.unfit()).toEqual([])
  })

  it('of ingest leave a batch that cannot be used, and take those behind it', async () => {
    await start()
    const acceptedAt = world.clock.now()
    const batch = { _id: 'broken', seq: 0.5, state: 'accepted', acceptedAt, records: [{ ref: 'x', events: 'none' }] }
    await world.docs.batches.insert([batch as never])
    await world.run()
    expect(await world.docs.profiles.count({})).toBe(PEOPLE.length)
    expect((await world.docs.batches.get('a'))?.state).toBe('done')
    const [unfit] = await world.documents.unfit()
    expect([unfit?.collection, unfit?.id, unfit?.problems.map(({ path }) => path)]).toEqual([
      'batches',
      'broken',
      ['records.0.source', 'records.0.observedAt', 'records.0.identifiers', 'records.0.traits', 'records.0.events'],
    ])
  })

  it('that cannot do without one fail alone, and name it', async () => {
    await start()
    await world.run()
    const plan = { seq: 'first' }
    const batch = { _id: 'b', seq: 99, state: 'planned', acceptedAt: world.clock.now(), plan }
    await world.docs.batches.insert([batch as never])
    const times = await workTimes(world.deps)
    expect(times.filter(({ at }) => at <= world.clock.now()).map(({ name }) => name)).toEqual(['process-batches'])
    const ingest = lanes.find(({ name }) => name === 'process-batches')!
    await expect(ingest.run(world.deps, undefined, WHOLE)).rejects.toThrow(
      /^stored document batches\/b cannot be used: .*plan\.seq: found a string, expected number/,
    )
  })
})

describe('a lane that cannot tell when it is due', () => {
  it('is said, and keeps no other from its work', async () => {
    const home = await openEventHome()
    const world = await buildWorld(home, { at: START })
    try {
      await world.accept('a', eventRecord('m1', 'seen', START))
      const failing = around(world.deps, 'callbacks', 'findOne', () => Promise.reject(new Error('no answer')))
      const said: unknown[] = []
      const work = await workTimes(failing, 1, (lane, err) => void said.push([lane, messageOf(err)]))
      expect(work.map(({ name }) => name)).toContain('process-batches')
      expect(said).toContainEqual(['answer-callbacks', 'no answer'])
      await expect(workTimes(failing)).rejects.toThrow('no answer')
    } finally {
      await world.close()
      await home.close()
    }
  })
})
