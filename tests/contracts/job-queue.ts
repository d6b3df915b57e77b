import { afterEach, describe, expect, it, jest } from '@jest/globals'
import { InvalidInputError, UpstreamError } from '../../src/errors.js'
import {
  type Concurrency,
  type Group,
  GROUPS,
  type JobCounts,
  type JobHandler,
  type JobOptions,
  type JobQueue,
  type Shard,
  WHOLE,
} from '../../src/ports/job-queue.js'

import { HOUR_MS } from '../../src/time.js'
import { stopClocks } from '../support/fake-clock.js'
import { settle, waitUntil } from '../support/wait-until.js'

type Open = (options: { concurrency?: Partial<Concurrency> }) => Promise<JobQueue>
type Handlers = Record<string, JobHandler | { group: Group; run: JobHandler }>

/** Every promise of the JobQueue port. `open` gives an empty queue that shares nothing with the one before. */
export function jobQueueContract(name: string, open: Open): void {
  describe(`${name} keeps the JobQueue contract`, () => {
    let queue: JobQueue
    const ran: unknown[] = []
    const note: JobHandler = async (data) => void ran.push(data)

    /** Handlers without a group are of `ingest`. */
    async function fresh(handlers: Handlers = {}, concurrency?: Partial<Concurrency>): Promise<JobQueue> {
      ran.length = 0
      queue = await open(concurrency === undefined ? {} : { concurrency })
      for (const [job, handler] of Object.entries({ note, ...handlers })) {
        const { group, run } = typeof handler === 'function' ? { group: 'ingest' as const, run: handler } : handler
        queue.handle(job, run, { group })
      }
      return queue
    }
    const started = async (handlers?: Handlers, concurrency?: Partial<Concurrency>): Promise<JobQueue> => {
      await fresh(handlers, concurrency)
      await queue.start()
      return queue
    }
    /** Time enough, in turns and round trips, to take a job if it were to be taken. */
    const mayTake = async () => {
      for (let i = 0; i < 5; i++) {
        await queue.counts()
        await settle()
      }
    }
    const hasRun = (count: number) => waitUntil(() => ran.length >= count, { what: `${count} runs` })
    const hasCounted = (state: 'active' | 'delayed' | 'failed') =>
      waitUntil(async () => (await countJobs(queue))[state] === 1, { what: `one ${state} job` })
    afterEach(async () => {
      jest.useRealTimers()
      await queue.close(0)
    })

    it('keeps jobs waiting until it is started', async () => {
      await fresh()
      await queue.add('note', 1)
      await mayTake()
      expect(ran).toEqual([])
      expect(await countJobs(queue)).toEqual({ waiting: 1, delayed: 0, active: 0, failed: 0 })
      await queue.start()
      await queue.idle()
      expect(ran).toEqual([1])
      expect(await countJobs(queue)).toEqual({ waiting: 0, delayed: 0, active: 0, failed: 0 })
    })

    it('runs jobs of all names first in, first out', async () => {
      await fresh({ other: note })
      for (let i = 0; i < 20; i++) await queue.add(i % 3 === 0 ? 'other' : 'note', i)
      await queue.start()
      await queue.idle()
      expect(ran).toEqual(Array.from({ length: 20 }, (_, i) => i))
    })

    it.each<[string, number, Partial<Concurrency> | undefined]>([
      ['by default', 1, undefined],
      ['with concurrency 3', 3, { ingest: 3 }],
    ])('%s runs %p of a group at a time', async (_how, expected, concurrency) => {
      const ends: (() => void)[] = []
      const slow: JobHandler = () => new Promise((resolve) => ends.push(resolve))
      const names = ['a', 'b', 'c', 'd', 'e', 'f']
      await fresh(Object.fromEntries(names.map((job) => [job, slow])), concurrency)
      for (const job of names) await queue.add(job)
      await queue.start()
      for (let left = names.length; left > 0; left -= expected) {
        await waitUntil(() => ends.length >= expected, { what: `${expected} jobs at a time` })
        await mayTake()
        expect(ends).toHaveLength(expected)
        for (const end of ends.splice(0)) end()
      }
      await queue.idle()
    })

    it('never runs two jobs of one name at once, and keeps their order', async () => {
      let now = 0
      let most = 0
      const slow: JobHandler = async (data) => {
        most = Math.max(most, ++now)
        await settle()
        ran.push(data)
        now--
      }
      await fresh({ slow }, { ingest: 3 })
      for (let i = 0; i < 9; i++) await queue.add('slow', i)
      await queue.start()
      await queue.idle()
      expect(most).toBe(1)
      expect(ran).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8])
    })

    it.each(GROUPS.map((group) => [group]))('a long job of %s holds up no other group', async (group) => {
      const gate = new Gate()
      const others = GROUPS.filter((other) => other !== group)
      await started({
        long: { group, run: () => gate.passed },
        ...Object.fromEntries(others.map((other) => [other, { group: other, run: note }])),
      })
      for (let i = 0; i < 8; i++) await queue.add('long')
      await waitUntil(async () => (await queue.counts())[group].active > 0, { what: 'the long job' })
      for (const other of others) await queue.add(other, other)
      await hasRun(others.length)
      expect([...ran].sort()).toEqual([...others].sort())
      gate.open()
      await queue.idle()
    })

    it('lets another name of a group pass one that runs and waits again, where concurrency allows it', async () => {
      const gate = new Gate()
      let runs = 0
      const long: JobHandler = async () => {
        runs++
        await gate.passed
      }
      await started({ long, quick: note }, { ingest: 2 })
      await queue.add('long', 1, { key: 'long' })
      await waitUntil(() => runs === 1, { what: 'the long job' })
      for (let i = 0; i < 5; i++) {
        await queue.add('long', 2, { key: 'long' })
        await queue.add('quick', i)
        await hasRun(i + 1)
      }
      expect(runs).toBe(1)
      gate.open()
      await queue.idle()
      expect(runs).toBe(2)
    })

    it('is idle only when every group is, and tells how many jobs each has', async () => {
      const gate = new Gate()
      await started({
        long: { group: 'send', run: () => gate.passed },
        // What one group does may be work for another.
        last: { group: 'journeys', run: async () => queue.add('long') },
      })
      await queue.add('last')
      await queue.add('long')
      const isThere = async () => {
        const { send, journeys } = await queue.counts()
        return send.waiting === 1 && send.active === 1 && journeys.active === 0
      }
      await waitUntil(isThere, { what: 'one job that runs and one that waits' })
      const none = { waiting: 0, delayed: 0, active: 0, failed: 0 }
      const counts = {
        ingest: none,
        refresh: none,
        journeys: none,
        send: { ...none, waiting: 1, active: 1 },
        wecom: none,
      }
      expect(await queue.counts()).toEqual(counts)
      let isIdle = false
      const idle = queue.idle().then(() => (isIdle = true))
      await mayTake()
      expect(isIdle).toBe(false)
      gate.open()
      await idle
    })

    it('runs the shards of a name beside each other, and tells each which it is', async () => {
      const seen: Shard[] = []
      const gate = new Gate()
      const sharded: JobHandler = async (_data, _signal, shard) => {
        seen.push(shard)
        if (seen.length === 2) gate.open()
        await gate.passed
      }
      await fresh({ sharded }, { ingest: 4 })
      for (const index of [0, 1, 0]) await queue.add('sharded', undefined, { key: 'k', shard: { index, of: 2 } })
      await queue.start()
      await queue.idle()
      expect(seen).toHaveLength(2)
      expect(seen).toEqual(
        expect.arrayContaining([
          { index: 0, of: 2 },
          { index: 1, of: 2 },
        ]),
      )
      await queue.add('sharded', undefined, { key: 'k' })
      await queue.idle()
      expect(seen[2]).toEqual(WHOLE)
    })

    it('never runs one shard twice at once', async () => {
      let now = 0
      let most = 0
      const sharded: JobHandler = async () => {
        most = Math.max(most, ++now)
        await settle()
        now--
      }
      await fresh({ sharded }, { ingest: 3 })
      for (let i = 0; i < 6; i++) await queue.add('sharded', i, { shard: { index: 1, of: 2 } })
      await queue.start()
      await queue.idle()
      expect(most).toBe(1)
    })

    it.each([
      ['an object', { a: [1, { b: null }], c: '私域' }],
      ['nothing', undefined],
      ['zero', 0],
      ['false', false],
      ['an empty text', ''],
      ['null', null],
    ])('hands over %s as it was', async (_what, data) => {
      await started()
      await queue.add('note', data)
      await queue.idle()
      expect(ran).toEqual([data])
    })

    it('hands over what JSON keeps, as of the time of adding', async () => {
      await fresh()
      const data = { at: new Date('2011-01-01T00:00:00Z'), gone: undefined, n: 1 }
      await queue.add('note', data)
      data.n = 2
      await queue.start()
      await queue.idle()
      expect(ran).toEqual([{ at: '2011-01-01T00:00:00.000Z', n: 1 }])
    })

    it('makes one job of two waiting ones with one key', async () => {
      await fresh()
      await queue.add('note', 'first', { key: 'a:1' })
      await queue.add('note', 'second', { key: 'a:1' })
      await queue.add('note', 'third', { key: 'a:2' })
      await queue.start()
      await queue.idle()
      expect(ran).toEqual(['first', 'third'])
      await queue.add('note', 'fourth', { key: 'a:1' })
      await queue.idle()
      expect(ran).toEqual(['first', 'third', 'fourth'])
    })

    it('counts a delayed job as waiting for its key', async () => {
      await fresh()
      await queue.add('note', 'late', { key: 'k', delayMs: 40 })
      await queue.add('note', 'early', { key: 'k' })
      await queue.start()
      await hasRun(1)
      await queue.idle()
      expect(ran).toEqual(['late'])
    })

    it('frees a key when its job starts, and its end leaves the key of the next one alone', async () => {
      const again: JobHandler = async (data) => {
        ran.push(data)
        if (data !== 'outer') return
        await queue.add('again', 'inner', { key: 'k' })
        await queue.add('again', 'dropped', { key: 'k' })
      }
      const thenSame: JobHandler = async () => queue.add('again', 'dropped too', { key: 'k' })
      await fresh({ again, thenSame })
      await queue.add('again', 'outer', { key: 'k' })
      await queue.add('thenSame') // runs after the end of "outer", before "inner"
      await queue.start()
      await queue.idle()
      expect(ran).toEqual(['outer', 'inner'])
    })

    it('frees a key when the first attempt starts, also if a second one follows', async () => {
      const failing: JobHandler = async (data) => {
        ran.push(data)
        if (data === 'bad') throw new Error('no luck')
      }
      await started({ failing })
      await queue.add('failing', 'bad', { key: 'k', attempts: 2, backoffMs: HOUR_MS })
      await queue.idle()
      await queue.add('failing', 'good', { key: 'k' })
      await queue.idle()
      expect(ran).toEqual(['bad', 'good'])
      expect(await countJobs(queue)).toMatchObject({ delayed: 1, failed: 0 })
    })

    it('does not wait for a delayed job to be idle', async () => {
      await started()
      await queue.add('note', 'late', { delayMs: HOUR_MS })
      await queue.add('note', 'now')
      await queue.idle()
      expect(ran).toEqual(['now'])
      expect(await countJobs(queue)).toMatchObject({ delayed: 1, waiting: 0 })
    })

    it('runs a delayed job when it is due, and not before', async () => {
      const clock = stopClocks()
      await started()
      await queue.add('note', 'due', { delayMs: 50 })
      await queue.add('note', 'late', { delayMs: 60 })
      await queue.add('note', 'now')
      await queue.idle()
      clock.pass(49)
      await queue.add('note', 'before')
      await queue.idle()
      expect(ran).toEqual(['now', 'before'])
      clock.pass(2) // Bull finds what is due a millisecond later
      await hasRun(3)
      await queue.idle()
      expect(ran).toEqual(['now', 'before', 'due'])
      expect(await countJobs(queue)).toMatchObject({ delayed: 1, waiting: 0 })
      clock.pass(10)
      await hasRun(4)
      expect(ran.at(-1)).toBe('late')
    })

    it('runs delayed jobs in the order in which they are due', async () => {
      const clock = stopClocks()
      await started()
      await queue.add('note', 'c', { delayMs: 50 })
      await queue.add('note', 'a', { delayMs: 48 })
      await queue.add('note', 'b', { delayMs: 49 })
      clock.pass(51)
      await hasRun(3)
      expect(ran).toEqual(['a', 'b', 'c'])
    })

    it('tries again after a pause that doubles, then counts the job as failed', async () => {
      const clock = stopClocks()
      const failing: JobHandler = async () => {
        ran.push('failing')
        throw new Error('no luck')
      }
      await started({ failing })
      await queue.add('failing', {}, { attempts: 3, backoffMs: 50 })
      await hasCounted('delayed')
      for (const pauseMs of [50, 100]) {
        await queue.add('note', `${pauseMs} ms less`, { delayMs: pauseMs - 1 })
        await queue.add('note', `${pauseMs} ms more`, { delayMs: pauseMs + 1 })
        clock.pass(pauseMs + 2)
        await waitUntil(() => ran.at(-1) === `${pauseMs} ms more`, { what: 'what is due after the next attempt' })
      }
      await queue.idle()
      expect(ran).toEqual([
        'failing',
        ...['50 ms less', 'failing', '50 ms more'],
        ...['100 ms less', 'failing', '100 ms more'],
      ])
      expect(await countJobs(queue)).toEqual({ waiting: 0, delayed: 0, active: 0, failed: 1 })
    })

    it.each<[string, JobOptions, Error, number]>([
      ['three times by default', { backoffMs: 0 }, new Error('no luck'), 3],
      ['once with one attempt', { attempts: 1 }, new Error('no luck'), 1],
      ['again after a retryable AppError', { attempts: 2, backoffMs: 0 }, new UpstreamError('X', '1', true, 'busy'), 2],
      [
        'not again after a non-retryable AppError',
        { attempts: 5, backoffMs: 0 },
        new UpstreamError('X', '2', false, 'no'),
        1,
      ],
    ])('runs a failing job %s', async (_what, options, error, expected) => {
      let runs = 0
      const failing: JobHandler = () => {
        runs++
        throw error
      }
      await started({ failing })
      await queue.add('failing', {}, options)
      await hasCounted('failed')
      expect(runs).toBe(expected)
    })

    it('goes on after a failed job, and succeeds on a later attempt', async () => {
      let runs = 0
      const second: JobHandler = async (data) => {
        if (++runs === 1) throw new Error('no luck')
        ran.push(data)
      }
      await fresh({ second })
      await queue.add('second', 'x', { backoffMs: 10 })
      await queue.add('note', 'y')
      await queue.start()
      await hasRun(2)
      await queue.idle()
      expect(ran).toEqual(['y', 'x'])
      expect((await countJobs(queue)).failed).toBe(0)
    })

    it('refuses a job whose name it does not know: only a handler tells the group', async () => {
      await started()
      await expect(queue.add('unheard-of')).rejects.toThrow('unheard-of')
    })

    it('is idle only after the jobs that jobs have added', async () => {
      const chain: JobHandler = async (data) => {
        ran.push(data)
        await settle()
        if ((data as number) < 30) await queue.add('chain', (data as number) + 1)
      }
      await started({ chain })
      await queue.add('chain', 1)
      await queue.idle()
      expect(ran).toHaveLength(30)
      await queue.idle()
    })

    it('refuses options that make no sense, and a second handler for a name', async () => {
      await fresh()
      await expect(queue.add('note', 1, { attempts: 0 })).rejects.toThrow(InvalidInputError)
      await expect(queue.add('note', 1, { delayMs: -1 })).rejects.toThrow('delayMs')
      await expect(queue.add('note', 1, { backoffMs: Number.NaN })).rejects.toThrow('backoffMs')
      await expect(queue.add('note', 1, { key: '' })).rejects.toThrow('key')
      await expect(queue.add('note', 1, { shard: { index: 2, of: 2 } })).rejects.toThrow('shard')
      expect(() => queue.handle('note', note, { group: 'send' })).toThrow('note')
      expect((await countJobs(queue)).waiting).toBe(0)
    })

    it('drops every job of every group', async () => {
      await fresh({ sent: { group: 'send', run: note } })
      await queue.add('note', 'a', { key: 'k' })
      await queue.add('sent', 'a')
      await queue.add('note', 'b', { delayMs: 30 })
      await queue.drop()
      expect(await countJobs(queue)).toEqual({ waiting: 0, delayed: 0, active: 0, failed: 0 })
      await queue.add('note', 'c', { key: 'k' })
      await queue.add('note', 'd', { delayMs: 31 }) // due after "b" would be
      await queue.start()
      await hasRun(2)
      await queue.idle()
      expect(ran).toEqual(['c', 'd'])
    })

    it('lets a running job end before it closes, and takes no other', async () => {
      let end = () => undefined as void
      const slow: JobHandler = async (data) => {
        await new Promise<void>((resolve) => (end = resolve))
        ran.push(data)
      }
      await started({ slow })
      await queue.add('slow', 1)
      await queue.add('slow', 2)
      await hasCounted('active')
      let isClosed = false
      const closing = queue.close(HOUR_MS).then(() => (isClosed = true))
      await settle()
      expect(isClosed).toBe(false)
      end()
      await closing
      expect(ran).toEqual([1])
      await settle()
      end()
      await settle()
      expect(ran).toEqual([1])
    })

    it('aborts the signal of a running job after the grace', async () => {
      const stubborn: JobHandler = (_data, signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => {
            ran.push('aborted')
            reject(signal.reason as Error)
          })
        })
      await started({ stubborn })
      await queue.add('stubborn')
      await hasCounted('active')
      await queue.close(50)
      expect(ran).toEqual(['aborted'])
    })

    it('may be closed twice, and refuses work afterwards', async () => {
      await started()
      await queue.ping()
      await Promise.all([queue.close(), queue.close()])
      await queue.close()
      await expect(queue.add('note', 1)).rejects.toThrow('closed')
      await expect(queue.idle()).rejects.toThrow('closed')
      await expect(queue.ping()).rejects.toThrow('closed')
    })

    it('tells those who wait for idle that it closes', async () => {
      await fresh()
      await queue.add('note', 1)
      const idle = expect(queue.idle()).rejects.toThrow('closed')
      await queue.close()
      await idle
    })
  })
}

/** Jobs of all groups together. */
export async function countJobs(queue: JobQueue): Promise<JobCounts> {
  const sum: JobCounts = { waiting: 0, delayed: 0, active: 0, failed: 0 }
  for (const counts of Object.values(await queue.counts())) {
    for (const state of Object.keys(sum) as (keyof JobCounts)[]) sum[state] += counts[state]
  }
  return sum
}

/** Closed until it is opened. */
class Gate {
  open!: () => void
  readonly passed = new Promise<void>((resolve) => (this.open = resolve))
}
