import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { openSqliteDocuments } from '../../src/adapters/documents/sqlite.js'
import { hintLanes, runLane } from '../../src/jobs/registry.js'
import { agreedSplit, changeSplit } from '../../src/jobs/split.js'
import { quietLog } from '../../src/log.js'
import type { DocumentStore } from '../../src/ports/document-store.js'
import type { JobQueue } from '../../src/ports/job-queue.js'
import type { ServiceDeps } from '../../src/services/runtime/deps.js'
import { createLeases, type Leases, withLease } from '../../src/services/runtime/with-lease.js'
import { type Collections, openCollections } from '../../src/stored/collections.js'
import { fixedClock } from '../../src/time.js'
import { waitUntil } from '../support/wait-until.js'

let documents: DocumentStore
let docs: Collections
beforeEach(async () => {
  documents = openSqliteDocuments({ file: ':memory:', fsync: false })
  docs = await openCollections(documents)
})
afterEach(() => documents.close())

const clock = fixedClock('2026-01-01T00:00:00Z')
const leaseOf = (owner: string, elapsedMs = () => 0): Leases =>
  createLeases({ meta: docs.meta, log: quietLog, owner, elapsedMs, alone: false })
const forever = () => new AbortController().signal

/** Works the shard of `resume-runs`; resolves to whether it looked for runs. */
async function looks(owner: string, index: number, of: number): Promise<boolean> {
  let looked = false
  const runs = {
    find: () => {
      looked = true
      return Promise.resolve([])
    },
  }
  const deps = { clock, docs: { ...docs, runs }, definitions: { current: { version: 0 } } } as unknown as ServiceDeps
  await runLane('resume-runs', deps, leaseOf(owner), { shard: { index, of } })
  return looked
}

describe('the split of work among processes', () => {
  it('is one shard until somebody changes it, and those who work by another do nothing', async () => {
    expect(await agreedSplit(docs.meta)).toBe(1)
    expect(await looks('a', 0, 1)).toBe(true)
    expect(await looks('a', 1, 4)).toBe(false)
    expect(await changeSplit(leaseOf('b'), 4, forever())).toBe(4)
    expect(await looks('a', 0, 1)).toBe(false)
    expect(await looks('a', 1, 4)).toBe(true)
  })

  it.each(['resume-runs', 'send-dispatches', 'collect-results'])(
    'waits for who works %s by the one before',
    async (name) => {
      await changeSplit(leaseOf('b'), 3, forever())
      let change: Promise<number> | undefined
      await withLease(leaseOf('worker'), `${name}#2/3`, async () => {
        change = changeSplit(leaseOf('b'), 2, forever())
        await new Promise((resolve) => setTimeout(resolve, 300))
        expect(await agreedSplit(docs.meta)).toBe(3)
      })
      expect(await change).toBe(2)
      expect(await agreedSplit(docs.meta)).toBe(2)
    },
  )

  it('stays as it was when who holds it does not let go in time, and nothing stays held', async () => {
    await withLease(leaseOf('worker'), 'collect-results', async () => {
      expect(await changeSplit(leaseOf('b'), 2, AbortSignal.timeout(250))).toBe(1)
      expect(await looks('c', 0, 1)).toBe(true)
    })
  })

  it('takes the leases of one who died over together', async () => {
    const dead = { owner: 'dead', fence: 3, beat: 1 }
    await docs.meta.put(
      ['resume-runs', 'send-dispatches', 'collect-results'].map((lane) => ({ _id: `lease:${lane}`, lease: dead })),
    )
    let nowMs = 0
    // Half a minute passes once.
    const leases = leaseOf('b', () => nowMs)
    const change = changeSplit(leases, 2, forever())
    await waitUntil(() => leases.seen.size === 3, { what: 'all three to be looked at' })
    nowMs = 30_000
    expect(await change).toBe(2)
  })

  it('is agreed on by several who change it at the same time', async () => {
    const changes = [2, 5, 2, 7].map((shards, i) => changeSplit(leaseOf(`p${i}`), shards, forever()))
    const results = await Promise.all(changes)
    expect([2, 5, 7]).toContain(await agreedSplit(docs.meta))
    expect(results).toEqual([2, 5, 2, 7])
  })
})

it('a hint about a lane that is split goes to every shard', async () => {
  const added: Parameters<JobQueue['add']>[] = []
  const split = { current: 2 }
  const hints = hintLanes({ add: (...job) => Promise.resolve(void added.push(job)) }, split, quietLog)
  await hints.add('resume-runs', undefined, { key: 'resume-runs' })
  await hints.add('process-batches', undefined, { key: 'process-batches' })
  expect(added).toEqual([
    ['resume-runs', undefined, { key: 'resume-runs', shard: { index: 0, of: 2 } }],
    ['resume-runs', undefined, { key: 'resume-runs', shard: { index: 1, of: 2 } }],
    ['process-batches', undefined, { key: 'process-batches', shard: { index: 0, of: 1 } }],
  ])
})
