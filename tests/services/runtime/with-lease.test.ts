import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals'
import { openSqliteDocuments } from '../../../src/adapters/documents/sqlite.js'
import type { DocumentStore } from '../../../src/ports/document-store.js'
import { type Collections, openCollections } from '../../../src/stored/collections.js'
import { withLease } from '../../../src/services/runtime/with-lease.js'
import { ManualClock } from '../../../src/time.js'
import { waitUntil } from '../../support/wait-until.js'

let store: DocumentStore
let docs: Collections
let clock: ManualClock
beforeEach(async () => {
  store = openSqliteDocuments({ file: ':memory:', fsync: false })
  docs = await openCollections(store)
  clock = new ManualClock(new Date('2026-03-02T02:00:00Z'))
})
afterEach(async () => {
  jest.useRealTimers()
  await store.close()
})

const lease = (owner: string) => ({ meta: docs.meta, owner, clock })
const seconds = (n: number) => clock.set(new Date(Date.parse('2026-03-02T02:00:00Z') + n * 1000))

describe('withLease', () => {
  it('lets one process work, and the other do nothing', async () => {
    const done: string[] = []
    const ran = await withLease(lease('a'), 'lane', async () => {
      done.push('a')
      expect(await withLease(lease('b'), 'lane', async () => void done.push('b'))).toBe(false)
      expect(await withLease(lease('b'), 'other lane', async () => void done.push('b elsewhere'))).toBe(true)
    })
    expect(ran).toBe(true)
    expect(done).toEqual(['a', 'b elsewhere'])
  })

  it('is free as soon as the work is done, and when it failed', async () => {
    await expect(withLease(lease('a'), 'lane', () => Promise.reject(new Error('no')))).rejects.toThrow('no')
    expect(await withLease(lease('b'), 'lane', async () => undefined)).toBe(true)
    expect(await withLease(lease('c'), 'lane', async () => undefined)).toBe(true)
  })

  it.each([
    [29.999, false],
    [30, true],
  ])('of a process that died %d s ago is taken over: %s', async (after, taken) => {
    await docs.meta.put([{ _id: 'lease:lane', text: 'dead', at: new Date(clock.now().getTime() + 30_000) }])
    seconds(after)
    expect(await withLease(lease('b'), 'lane', async () => undefined)).toBe(taken)
  })

  it('that was lost while working stops the work and says so', async () => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask', 'Date', 'performance'] })
    const work = withLease(lease('a'), 'lane', async (signal) => {
      await docs.meta.put([{ _id: 'lease:lane', text: 'b', at: new Date(clock.now().getTime() + 30_000) }])
      jest.advanceTimersByTime(10_000)
      await waitUntil(() => signal.aborted, { what: 'the signal' })
    })
    await expect(work).rejects.toThrow('lost the lease "lane"')
    expect((await docs.meta.get('lease:lane'))?.text).toBe('b')
  })
})
