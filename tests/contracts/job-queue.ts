import { afterEach, describe, expect, it } from '@jest/globals'
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
    afterEach(() => queue.close(0))

    it('keeps jobs waiting until it is started', async () => {
      await fresh()
      await queue.add('note', 1)
      await pause(30)
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
      let now = 0
      let most = 0
      const slow: JobHandler = async () => {
        most = Math.max(most, ++now)
        await pause(20)
        now--
      }
      const names = ['a', 'b', 'c', 'd', 'e', 'f']
      await fresh(Object.fromEntries(names.map((job) => [job, slow])), concurrency)
      for (const job of names) await queue.add(job)
      await queue.start()
      await queue.idle()
      expect(most).toBe(expected)
    })

    it('never runs two jobs of one name at once, and keeps their order', async () => {
      let now = 0
      let most = 0
      const slow: JobHandler = async (data) => {
        most = Math.max(most, ++now)
        await pause(5)
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
      await until(async () => (await queue.counts())[group].active > 0)
      for (const other of others) await queue.add(other, other)
      await until(() => ran.length === others.length)
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
      await until(() => runs === 1)
      for (let i = 0; i < 5; i++) {
        await queue.add('long', 2, { key: 'long' })
        await queue.add('quick', i)
        await until(() => ran.length === i + 1)
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
      await until(async () => {
        const { send, journeys } = await queue.counts()
        return send.waiting === 1 && send.active === 1 && journeys.active === 0
      })
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
      await pause(80)
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
        await pause(5)
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
      await started()
      await queue.add('note', 'late', { key: 'k', delayMs: 40 })
      await queue.add('note', 'early', { key: 'k' })
      await until(() => ran.length > 0)
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
      await queue.add('failing', 'bad', { key: 'k', attempts: 2, backoffMs: 60_000 })
      await queue.idle()
      await queue.add('failing', 'good', { key: 'k' })
      await queue.idle()
      expect(ran).toEqual(['bad', 'good'])
      expect(await countJobs(queue)).toMatchObject({ delayed: 1, failed: 0 })
    })

    it('runs a delayed job when it is due, and idle() does not wait for it', async () => {
      await started()
      const sinceMs = performance.now()
      await queue.add('note', 'late', { delayMs: 150 })
      await queue.add('note', 'now')
      await queue.idle()
      expect(ran).toEqual(['now'])
      expect(await countJobs(queue)).toMatchObject({ delayed: 1, waiting: 0 })
      await until(() => ran.length === 2)
      expect(performance.now() - sinceMs).toBeGreaterThanOrEqual(145)
      expect(performance.now() - sinceMs).toBeLessThan(1_000)
    })

    it('runs delayed jobs in the order in which they are due', async () => {
      await started()
      await queue.add('note', 'c', { delayMs: 120 })
      await queue.add('note', 'a', { delayMs: 40 })
      await queue.add('note', 'b', { delayMs: 80 })
      await until(() => ran.length === 3)
      expect(ran).toEqual(['a', 'b', 'c'])
    })

    it('tries again after a pause that doubles, then counts the job as failed', async () => {
      const atMs: number[] = []
      const failing: JobHandler = async () => {
        atMs.push(performance.now())
        throw new Error('no luck')
      }
      await started({ failing })
      await queue.add('failing', {}, { attempts: 3, backoffMs: 100 })
      await until(async () => (await countJobs(queue)).failed === 1)
      expect(atMs).toHaveLength(3)
      expect(atMs[1]! - atMs[0]!).toBeGreaterThanOrEqual(95)
      expect(atMs[1]! - atMs[0]!).toBeLessThan(195)
      expect(atMs[2]! - atMs[1]!).toBeGreaterThanOrEqual(195)
      await queue.idle()
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
      await until(async () => (await countJobs(queue)).failed === 1)
      expect(runs).toBe(expected)
    })

    it('goes on after a failed job, and succeeds on a later attempt', async () => {
      let runs = 0
      const second: JobHandler = async (data) => {
        if (++runs === 1) throw new Error('no luck')
        ran.push(data)
      }
      await started({ second })
      await queue.add('second', 'x', { backoffMs: 10 })
      await queue.add('note', 'y')
      await until(() => ran.length === 2)
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
        await pause(2)
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
      await queue.start()
      await queue.idle()
      await pause(60)
      expect(ran).toEqual(['c'])
    })

    it('lets a running job end before it closes, and takes no other', async () => {
      const slow: JobHandler = async (data) => {
        await pause(60)
        ran.push(data)
      }
      await started({ slow })
      await queue.add('slow', 1)
      await queue.add('slow', 2)
      await until(async () => (await countJobs(queue)).active === 1)
      await queue.close()
      expect(ran).toEqual([1])
      await pause(80)
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
      await until(async () => (await countJobs(queue)).active === 1)
      const sinceMs = performance.now()
      await queue.close(50)
      expect(ran).toEqual(['aborted'])
      expect(performance.now() - sinceMs).toBeLessThan(2_000)
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

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/** Looks every 5 ms until `condition` holds. @throws after 10 s */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const sinceMs = performance.now()
  while (!(await condition())) {
    if (performance.now() - sinceMs > 10_000) throw new Error('waited 10 s in vain')
    await pause(5)
  }
}
