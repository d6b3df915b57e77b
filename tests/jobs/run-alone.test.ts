import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { openSqliteDocuments } from '../../src/adapters/documents/sqlite.js'
import { openInProcessQueue } from '../../src/adapters/queue/in-process.js'
import { createRunAlone } from '../../src/jobs/run-alone.js'
import { quietLog } from '../../src/log.js'
import type { DocumentStore } from '../../src/ports/document-store.js'
import type { JobQueue } from '../../src/ports/job-queue.js'
import { openCollections } from '../../src/stored/collections.js'
import { EVALUATION_LEASE } from '../../src/services/runtime/lanes.js'
import { createLeases, withLease } from '../../src/services/runtime/with-lease.js'
import { elapsedMs } from '../../src/time.js'

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
    queue.handle('slow', async () => {
      order.push('slow begins')
      await new Promise((resolve) => setTimeout(resolve, 20))
      order.push('slow ends')
    })
    await queue.start()
    await queue.add('slow')
    const work = alone(() => Promise.resolve(order.push('alone')))
    await queue.add('slow')
    expect(await work).toBe(3)
    await queue.idle()
    expect(order).toEqual(['slow begins', 'slow ends', 'alone', 'slow begins', 'slow ends'])
    await expect(alone(() => Promise.reject(new Error('no')))).rejects.toThrow('no')
  })

  it('among processes waits for the lease of the lane that evaluates', async () => {
    const { meta } = await openCollections(documents)
    const leases = (owner: string) => createLeases({ meta, log: quietLog, owner, elapsedMs, alone: false })
    const order: string[] = []
    let waiting: Promise<unknown> | undefined
    await withLease(leases('worker'), EVALUATION_LEASE, async () => {
      waiting = createRunAlone(queue, leases('command'))(() => Promise.resolve(order.push('alone')))
      await new Promise((resolve) => setTimeout(resolve, 50))
      order.push('lane ends')
    })
    await waiting
    expect(order).toEqual(['lane ends', 'alone'])
  })
})
