import { describe, expect, it } from '@jest/globals'
import { openInProcessQueue } from '../../../src/adapters/queue/in-process.js'
import { jobQueueContract, pause } from '../../contracts/job-queue.js'

jobQueueContract('in process', async (options) => openInProcessQueue(options))

describe('the in-process queue', () => {
  it('takes less than a millisecond for add, run and idle', async () => {
    const queue = openInProcessQueue()
    let runs = 0
    queue.handle('tick', async () => void runs++, { group: 'ingest' })
    await queue.start()
    const sinceMs = performance.now()
    for (let i = 0; i < 2_000; i++) {
      await queue.add('tick', { i }, { key: 'tick' })
      await queue.idle()
    }
    expect((performance.now() - sinceMs) / 2_000).toBeLessThan(1)
    expect(runs).toBe(2_000)
    await queue.close()
  })

  it('keeps its order with 100,000 jobs waiting', async () => {
    const queue = openInProcessQueue({ concurrency: { ingest: 50 } })
    let next = 0
    let inOrder = true
    queue.handle('count', async (data) => void (inOrder &&= data === next++), { group: 'ingest' })
    for (let i = 0; i < 100_000; i++) await queue.add('count', i)
    await queue.start()
    await queue.idle()
    expect(next).toBe(100_000)
    expect(inOrder).toBe(true)
    await queue.close()
  })

  it('keeps a delay that is longer than the longest timer', async () => {
    const queue = openInProcessQueue()
    let ran = false
    queue.handle('far', async () => void (ran = true), { group: 'ingest' })
    await queue.start()
    await queue.add('far', undefined, { delayMs: 40 * 86_400_000 })
    await pause(30)
    expect(ran).toBe(false)
    expect((await queue.counts()).ingest.delayed).toBe(1)
    await queue.close()
  })
})
