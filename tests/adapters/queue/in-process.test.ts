import { afterEach, describe, expect, it, jest } from '@jest/globals'
import type { JobHandler } from '../../../src/ports/job-queue.js'
import { openInProcessQueue } from '../../../src/adapters/queue/in-process.js'
import { DAY_MS } from '../../../src/time.js'
import { jobQueueContract } from '../../contracts/job-queue.js'
import { settle, waitUntil } from '../../support/wait-until.js'

jobQueueContract('in process', async (options) => openInProcessQueue(options))

describe('the in-process queue', () => {
  afterEach(() => void jest.useRealTimers())

  it('needs no timer for add, run and idle', async () => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] })
    const queue = openInProcessQueue()
    let runs = 0
    queue.handle('tick', async () => void runs++, { group: 'ingest' })
    await queue.start()
    for (let i = 0; i < 2_000; i++) {
      await queue.add('tick', { i }, { key: 'tick' })
      await queue.idle()
    }
    expect(runs).toBe(2_000)
    expect(jest.getTimerCount()).toBe(0)
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
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] })
    const queue = openInProcessQueue()
    let ran = false
    queue.handle('far', async () => void (ran = true), { group: 'ingest' })
    await queue.start()
    await queue.add('far', undefined, { delayMs: 40 * DAY_MS })
    expect((await queue.counts()).ingest.delayed).toBe(1)
    for (let day = 1; day <= 40; day++) {
      await queue.idle()
      expect([day, ran]).toEqual([day, false])
      jest.advanceTimersByTime(DAY_MS)
      await settle()
    }
    expect(ran).toBe(true)
    await queue.close()
  })

  it('aborts a running job when its grace is over, and not before', async () => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] })
    const queue = openInProcessQueue()
    let running: AbortSignal | undefined
    const stubborn: JobHandler = (_data, signal) => {
      running = signal
      return new Promise((resolve) => signal.addEventListener('abort', () => resolve()))
    }
    queue.handle('stubborn', stubborn, { group: 'ingest' })
    await queue.start()
    await queue.add('stubborn')
    await waitUntil(() => running !== undefined, { what: 'the job' })
    const closing = queue.close(5_000)
    await settle()
    jest.advanceTimersByTime(4_999)
    await settle()
    expect(running!.aborted).toBe(false)
    jest.advanceTimersByTime(1)
    await closing
    expect(running!.aborted).toBe(true)
  })
})
