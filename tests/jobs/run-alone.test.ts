import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { openSqliteDocuments } from '../../src/adapters/documents/sqlite.js'
import { openInProcessQueue } from '../../src/adapters/queue/in-process.js'
import { createRunAlone } from '../../src/jobs/run-alone.js'
import { quietLog } from '../../src/log.js'
import type { DocumentStore } from '../../src/ports/document-store.js'
import type { JobQueue } from '../../src/ports/job-queue.js'
import { openCollections } from '../../src/stored/collections.js'
import { REFRESH_LANE } from '../../src/services/runtime/lanes.js'
import { createLeases, LEASE_MS, withLease } from '../../src/services/runtime/with-lease.js'
import { settle, waitUntil } from '../support/wait-until.js'

let documents: DocumentStore
let queue: JobQueue
beforeEach(() => {
  documents = openSqliteDocuments({ file: ':memory:', fsync: false })
  queue = openInProcessQueue()
})
afterEach(async () => {
  await queue.close()
  await documents.close()
})

describe('createRunAlone', () => {
  it('in one process runs between two jobs, and passes result and error on', async () => {
    const alone = createRunAlone(queue, undefined)
    const order: string[] = []
    const slow = async () => {
      order.push('slow begins')
      await settle()
      order.push('slow ends')
    }
    queue.handle('slow', slow, { group: 'refresh' })
    await queue.start()
    await queue.add('slow')
    const work = alone(() => Promise.resolve(order.push('alone')))
    await queue.add('slow')
    expect(await work).toBe(3)
    await queue.idle()
    expect(order).toEqual(['slow begins', 'slow ends', 'alone', 'slow begins', 'slow ends'])
    await expect(alone(() => Promise.reject(new Error('no')))).rejects.toThrow('no')
  })

  it('in one process holds up no ingest', async () => {
    const alone = createRunAlone(queue, undefined)
    let isDone = false
    let end = () => {}
    const ingested = new Promise<void>((resolve) => {
      queue.handle('process-batches', () => Promise.resolve(resolve()), { group: 'ingest' })
    })
    await queue.start()
    const work = alone(() => new Promise<void>((resolve) => (end = resolve))).then(() => (isDone = true))
    await queue.add('process-batches')
    await ingested
    expect(isDone).toBe(false)
    end()
    await work
  })

  it('among processes waits for the lease of the lane that refreshes', async () => {
    const { meta } = await openCollections(documents)
    const leases = (owner: string) => createLeases({ meta, log: quietLog, owner, elapsedMs: () => 0, alone: false })
    const order: string[] = []
    let waiting: Promise<unknown> | undefined
    await withLease(leases('worker'), REFRESH_LANE, async () => {
      let asked = 0
      const watched = { ...meta, get: (id: string) => (asked++, meta.get(id)) }
      const alone = createRunAlone(queue, { ...leases('command'), meta: watched })
      waiting = alone(() => Promise.resolve(order.push('alone')))
      await waitUntil(() => asked > 0, { what: 'the command to ask for the lease' })
      await settle()
      order.push('lane ends')
    })
    await waiting
    expect(order).toEqual(['lane ends', 'alone'])
  })

  it('among processes hands on how the lease stands', async () => {
    const { meta } = await openCollections(documents)
    let nowMs = 0
    const leases = createLeases({ meta, log: quietLog, owner: 'command', elapsedMs: () => nowMs, alone: false })
    const [before, late, fence] = await createRunAlone(
      queue,
      leases,
    )((held) => {
      const first = held.isLate()
      nowMs = LEASE_MS
      return Promise.resolve([first, held.isLate(), held.fence])
    })
    expect([before, late, fence]).toEqual([false, true, 1])
  })
})
