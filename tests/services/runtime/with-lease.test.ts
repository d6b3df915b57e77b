import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals'
import { openSqliteDocuments } from '../../../src/adapters/documents/sqlite.js'
import { quietLog } from '../../../src/log.js'
import type { DocumentStore } from '../../../src/ports/document-store.js'
import { type Collections, openCollections } from '../../../src/stored/collections.js'
import { watchClock } from '../../../src/services/runtime/watch-clock.js'
import { createLeases, LEASE_MS, type Leases, withLease } from '../../../src/services/runtime/with-lease.js'
import { anyDocument } from '../../support/any-document.js'
import { MINUTE_MS } from '../../../src/time.js'
import { settle, waitUntil } from '../../support/wait-until.js'

let store: DocumentStore
let docs: Collections
let nowMs: number
beforeEach(async () => {
  store = openSqliteDocuments({ file: ':memory:', fsync: false })
  docs = await openCollections(store)
  nowMs = 0
})
afterEach(async () => {
  jest.useRealTimers()
  await store.close()
})

const elapsedMs = () => nowMs
const process = (owner: string, alone = false) =>
  createLeases({ meta: docs.meta, log: quietLog, owner, elapsedMs, alone })
const stored = async () => (await docs.meta.get('lease:lane'))?.lease

/** A holder that never comes back. */
async function holdForever(leases: Leases): Promise<void> {
  await docs.meta.put([{ _id: 'lease:lane', lease: { owner: leases.owner, fence: 7, beat: 3 } }])
}

async function fenceOf(leases: Leases): Promise<number | undefined> {
  let seen: number | undefined
  await withLease(leases, 'lane', async ({ fence }) => void (seen = fence))
  return seen
}

describe('withLease', () => {
  it('lets one process work, and the other do nothing', async () => {
    const done: string[] = []
    const b = process('b')
    const ran = await withLease(process('a'), 'lane', async () => {
      done.push('a')
      expect(await withLease(b, 'lane', async () => void done.push('b'))).toBe(false)
      expect(await withLease(b, 'other lane', async () => void done.push('b elsewhere'))).toBe(true)
    })
    expect(ran).toBe(true)
    expect(done).toEqual(['a', 'b elsewhere'])
  })

  it.each([false, true])('lets one process in once at a time, alone: %s', async (alone) => {
    const a = process('a', alone)
    await withLease(a, 'lane', async () => {
      expect(await withLease(a, 'lane', () => Promise.reject(new Error('entered twice')))).toBe(false)
    })
    expect(await withLease(a, 'lane', async () => undefined)).toBe(true)
  })

  it('is free as soon as the work is done, and when it failed', async () => {
    await expect(withLease(process('a'), 'lane', () => Promise.reject(new Error('no')))).rejects.toThrow('no')
    expect(await withLease(process('b'), 'lane', async () => undefined)).toBe(true)
    expect(await withLease(process('c'), 'lane', async () => undefined)).toBe(true)
  })

  it('gives each holder a higher fence', async () => {
    expect(await fenceOf(process('a'))).toBe(1)
    expect(await fenceOf(process('b'))).toBe(2)
    const c = process('c')
    await holdForever(process('dead'))
    await fenceOf(c)
    nowMs += 30_000
    expect(await fenceOf(c)).toBe(8)
  })

  it.each([
    [29_999, false],
    [30_000, true],
  ])('of a process that stood still for %d ms while another looked is taken over: %s', async (after, taken) => {
    await holdForever(process('dead'))
    const b = process('b')
    nowMs = 1_000_000 // how long it runs already says nothing
    expect(await withLease(b, 'lane', async () => undefined)).toBe(false)
    nowMs += after
    expect(await withLease(b, 'lane', async () => undefined)).toBe(taken)
  })

  it('is not taken over while its beat rises, however late the taker is', async () => {
    await holdForever(process('slow'))
    const b = process('b')
    for (let beat = 4; beat < 9; beat++) {
      expect(await withLease(b, 'lane', async () => undefined)).toBe(false)
      await docs.meta.update('lease:lane', { $set: { 'lease.beat': beat } })
      nowMs += 60_000
    }
  })

  it('of a dead process is taken at once by one that is alone with the stores, which keeps it', async () => {
    await holdForever(process('dead'))
    const alone = process('a', true)
    expect(await fenceOf(alone)).toBe(8)
    expect(await fenceOf(alone)).toBe(8)
    expect(await fenceOf(process('after a restart', true))).toBe(9)
  })

  it('is taken by one of many who find it free or dead at the same moment', async () => {
    for (const begin of [() => Promise.resolve(), () => holdForever(process('dead'))]) {
      await begin()
      const many = Array.from({ length: 8 }, (_, i) => process(`p${i}`))
      const tryAll = () => {
        let inside = 0
        return Promise.all(
          many.map((leases) =>
            withLease(leases, 'lane', async () => {
              expect(++inside).toBe(1)
              await new Promise((resolve) => setImmediate(resolve))
              inside--
            }),
          ),
        )
      }
      await tryAll()
      nowMs += 30_000
      expect((await tryAll()).filter(Boolean).length).toBeGreaterThan(0)
    }
  })

  it('that was lost while working stops the work and says so, and stays with its new holder', async () => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask', 'Date', 'performance'] })
    const work = withLease(process('a'), 'lane', async ({ signal, fence }) => {
      await docs.meta.put([{ _id: 'lease:lane', lease: { owner: 'b', fence: fence + 1, beat: 0 } }])
      jest.advanceTimersByTime(10_000)
      await waitUntil(() => signal.aborted, { what: 'the signal' })
    })
    await expect(work).rejects.toThrow('lost the lease "lane"')
    expect((await stored())?.owner).toBe('b')
  })

  it('is renewed while the work goes on', async () => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask', 'Date', 'performance'] })
    await withLease(process('a'), 'lane', async ({ signal }) => {
      for (let beat = 1; beat <= 3; beat++) {
        jest.advanceTimersByTime(10_000)
        await waitUntil(async () => (await stored())?.beat === beat, { what: `beat ${beat}` })
      }
      expect(signal.aborted).toBe(false)
    })
  })

  it.each([
    [false, 19_999, false],
    [false, 20_000, true],
    [true, 1_000_000, false],
  ])('tells who works, alone: %s, after %d ms without renewal whether that is late: %s', async (alone, ms, late) => {
    await withLease(process('a', alone), 'lane', ({ isLate }) => {
      nowMs += ms
      expect(isLate()).toBe(late)
      return Promise.resolve()
    })
  })

  it('that cannot be renewed stops the work before anybody may take it over', async () => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask', 'Date', 'performance'] })
    let isDown = false
    const a = process('a')
    const { meta } = docs
    a.meta = {
      ...meta,
      update: (...args) => (isDown ? Promise.reject(new Error('no answer')) : meta.update(...args)),
    }
    const work = withLease(a, 'lane', async ({ signal }) => {
      isDown = true
      for (const [ms, aborted] of [
        [10_000, false],
        [20_000, true],
      ] as const) {
        nowMs = ms
        jest.advanceTimersByTime(10_000)
        await settle()
        expect(signal.aborted).toBe(aborted)
      }
      isDown = false
    })
    await expect(work).rejects.toThrow('lost the lease')
  })

  it('of version 1 becomes one that its holder has lost, and others wait for', async () => {
    const old = openSqliteDocuments({ file: ':memory:', fsync: false })
    const meta = await old.collection({ name: 'meta', version: 1, schema: anyDocument<{ _id: string }>() })
    await meta.insert([
      { _id: 'lease:lane', text: 'host:1', at: new Date('2026-03-02T02:00:30Z') } as { _id: string },
      { _id: 'lease:free', text: 'host:1', at: new Date(0) } as { _id: string },
      { _id: 'counter:batch', value: 7 } as { _id: string },
    ])
    const { migrations } = (await import('../../../src/stored/runtime.js')).runtimeCollections.meta
    expect((await meta.find({})).map((doc) => migrations![1]!(doc))).toEqual([
      { _id: 'counter:batch', value: 7 },
      { _id: 'lease:free', lease: { owner: '', fence: 0, beat: 0 } },
      { _id: 'lease:lane', lease: { owner: 'host:1', fence: 0, beat: 0 } },
    ])
    await old.close()
  })

  it('is not lost by a renewal that is answered after it was given back', async () => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] })
    let answer = () => {}
    const released = new Promise<void>((resolve) => (answer = resolve))
    const meta: Collections['meta'] = {
      ...docs.meta,
      update: async (id, update, where) => {
        // The beat is on its way until the lease is free.
        if ('$inc' in update) await released
        const done = await docs.meta.update(id, update, where)
        if ('$set' in update) {
          answer()
          await settle()
        }
        return done
      },
    }
    const leases = createLeases({ meta, log: quietLog, owner: 'a', elapsedMs, alone: false })
    const ran = withLease(leases, 'lane', async () => void jest.advanceTimersByTime(LEASE_MS / 3))
    expect(await ran).toBe(true)
    expect((await stored())?.owner).toBe('')
  })

  it('is given to nobody while the clock of the day has leapt ahead, and who has it is late', async () => {
    let wallMs = Date.UTC(2026, 2, 2)
    const said: string[] = []
    const log = {
      ...quietLog,
      error: (fact: string) => void said.push(fact),
      warn: (fact: string) => void said.push(fact),
    }
    const isClockAhead = watchClock({ now: () => new Date(wallMs) }, elapsedMs, log)
    const leases = createLeases({ meta: docs.meta, log: quietLog, owner: 'a', elapsedMs, alone: true, isClockAhead })
    const pass = (minutes: number, leap = 0) => {
      nowMs += minutes * MINUTE_MS
      wallMs += (minutes + leap) * MINUTE_MS
    }
    const late: boolean[] = []
    const work = () =>
      withLease(leases, 'lane', async ({ isLate }) => {
        late.push(isLate())
      })
    pass(60 * 24 * 30, 4) // a month of idling, and a clock that goes a little fast
    expect(await work()).toBe(true)
    await withLease(leases, 'lane', async ({ isLate }) => {
      pass(1, 60 * 24 * 30)
      late.push(isLate())
    })
    expect(late).toEqual([false, true])
    expect(await work()).toBe(false)
    pass(1, -60 * 24 * 30) // set back
    expect(await work()).toBe(true)
    pass(1, -60) // and further
    expect(await work()).toBe(true)
    pass(0, 8 * 60) // the machine slept
    expect(await work()).toBe(false)
    pass(9)
    expect(await work()).toBe(false)
    pass(1)
    expect(await work()).toBe(true)
    expect(said).toEqual([
      'the clock has leapt ahead, work waits',
      'the clock has leapt ahead, work waits',
      'the clock has stayed ahead, work goes on by it',
    ])
  })
})
