import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { UpstreamError } from '../../../src/errors.js'
import type { ServiceDeps } from '../../../src/services/runtime/deps.js'
import { processBatches } from '../../../src/services/ingest/process-batches.js'
import { listOpenReactions } from '../../../src/services/tags/reactions/list-open.js'
import { nextRedoAt, redoReactions } from '../../../src/services/tags/reactions/redo-reactions.js'
import { openRefresh, workRefreshes } from '../../../src/services/tags/refresh-profiles.js'
import {
  buildWorld,
  contactRecord,
  type EventHome,
  eventRecord,
  openEventHome,
  type World,
} from '../../support/build-deps.js'

const START = '2026-03-02T02:00:00Z'
const VIP = { id: 'vip', type: 'flag', when: { event: 'order_paid' }, writeback: '价值/高价值' }
const THANKS = { id: 'thanks', enter: { when: { tag: 'vip' } }, steps: [{ wait: '9d' }] }

let home: EventHome
let world: World
beforeAll(async () => {
  home = await openEventHome()
})
afterAll(() => home.close())
afterEach(() => world.close())

/** Somebody whom a guide has, and her order. */
async function arrive(): Promise<void> {
  await world.accept('a', contactRecord('m1', START))
  await world.run()
  await world.accept('b', eventRecord('m1', 'order_paid', START))
}

function failing(...collections: ('writebacks' | 'openReactions' | 'runs')[]): ServiceDeps {
  const fails = () => Promise.reject(new Error('it broke'))
  const isGone = () => Promise.reject(new UpstreamError('documents', 'gone', true, 'it broke'))
  const docs = { ...world.deps.docs }
  for (const name of collections) {
    // What nothing can be kept in is not the fault of what was to be kept.
    const how = name === 'openReactions' ? isGone : fails
    Object.assign(docs, { [name]: { ...docs[name], updateEach: how, insert: how } })
  }
  return { ...world.deps, docs }
}

const minutesIn = (minutes: number) => new Date(Date.parse(START) + minutes * 60_000)

/** What the others did, and what is open. */
async function outcome() {
  const { docs } = world
  return {
    shown: (await docs.profileTags.find({})).map((doc) => Object.keys(doc.tags)),
    runs: await docs.runs.count({}),
    writebacks: (await docs.writebacks.find({})).map((w) => w.tagIds),
    open: (await docs.openReactions.find({})).map((r) => [r.reaction, r.changes.map((c) => c.id), r.attempts]),
  }
}

describe('a reaction that fails', () => {
  it.each(['ingest', 'a refresh'])('holds up neither %s nor the others, and is tried again alone', async (road) => {
    if (road === 'ingest') {
      world = await buildWorld(home, { at: START, definitions: { tags: [VIP], journeys: [THANKS] } })
      await arrive()
      await processBatches(failing('writebacks'))
    } else {
      world = await buildWorld(home, { at: START })
      await arrive()
      await world.run()
      await world.publish({ tags: [VIP], journeys: [THANKS] })
      await openRefresh(world.deps, { _id: 'all', kind: 'all', cause: 'schedule' })
      expect(await workRefreshes(failing('writebacks'))).toBe('idle')
    }
    expect(await outcome()).toEqual({ shown: [['vip']], runs: 1, writebacks: [], open: [['write-back', ['vip'], 1]] })
    expect(await nextRedoAt(world.deps)).toEqual(minutesIn(1))
    expect(await listOpenReactions(world.deps)).toEqual({
      open: 1,
      groups: [
        { reaction: 'write-back', error: 'it broke', changes: 1, attempts: 1, since: minutesIn(0).toISOString() },
      ],
    })

    await redoReactions(failing('writebacks')) // not yet
    expect(await nextRedoAt(world.deps)).toEqual(minutesIn(1))
    world.clock.set(minutesIn(1))
    await redoReactions(failing('writebacks'))
    expect((await outcome()).open).toEqual([['write-back', ['vip'], 2]])
    expect(await nextRedoAt(world.deps)).toEqual(minutesIn(3))
    await world.until(minutesIn(3))
    await world.run()
    expect(await outcome()).toEqual({ shown: [['vip']], runs: 1, writebacks: [['vip']], open: [] })
  })

  it('is tried again alone, too, where an event let her in; she enters at the instant of then', async () => {
    const onOrder = { ...THANKS, enter: { on: 'order_paid' } }
    world = await buildWorld(home, { at: START, definitions: { tags: [VIP], journeys: [onOrder] } })
    await arrive()
    await processBatches(failing('runs'))
    expect(await outcome()).toEqual({
      ...{ shown: [['vip']], runs: 0, writebacks: [['vip']] },
      open: [['enter-by-rule', ['enter/thanks'], 1]],
    })
    expect((await world.docs.batches.find({})).map((batch) => batch.state)).toEqual(['done', 'done'])
    await world.until(minutesIn(1))
    expect((await world.docs.runs.find({})).map((run) => run.enteredAt)).toEqual([minutesIn(0)])
    expect((await outcome()).open).toEqual([])
  })

  it('fails the whole where it cannot be kept: all is done again', async () => {
    world = await buildWorld(home, { at: START, definitions: { tags: [VIP], journeys: [THANKS] } })
    await arrive()
    await expect(processBatches(failing('writebacks', 'openReactions'))).rejects.toThrow('it broke')
    expect((await outcome()).runs).toBe(0)
    await world.run()
    expect(await outcome()).toEqual({ shown: [['vip']], runs: 1, writebacks: [['vip']], open: [] })
  })

  it('waits six hours at most, and is left alone where a newer program knows it', async () => {
    world = await buildWorld(home, { at: START })
    const { docs } = world.deps
    const open = { changes: [], now: new Date(START), key: 'k', nextAt: new Date(START), error: 'it broke' }
    await docs.openReactions.insert([{ _id: 'a', reaction: 'unheard-of', attempts: 30, ...open }])
    await redoReactions(world.deps)
    expect(await docs.openReactions.get('a')).toMatchObject({
      attempts: 31,
      nextAt: minutesIn(360),
      error: 'there is no reaction "unheard-of"',
    })
  })
})

describe('a worker that is late', () => {
  it('keeps nothing for later: whoever goes on finds it again, once', async () => {
    world = await buildWorld(home, { at: START, definitions: { tags: [VIP], journeys: [THANKS] } })
    await arrive()
    await world.run()
    await world.docs.runs.delete({})
    await world.publish({ tags: [VIP], journeys: [{ ...THANKS, id: 'again' }] })
    await openRefresh(world.deps, { _id: 'all', kind: 'all', cause: 'operator' })
    const late = { ...world.deps, worker: { ...world.deps.worker, isLate: () => true } }
    await expect(workRefreshes(late)).rejects.toThrow('too slowly')
    expect(await world.docs.openReactions.count({})).toBe(0)
    await world.run()
    expect(await world.docs.runs.count({ journeyId: 'again' })).toBe(1)
    expect(await world.docs.openReactions.count({})).toBe(0)
  })
})
