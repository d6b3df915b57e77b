import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { once } from 'node:events'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import Bull from 'bull'
import { Redis } from 'ioredis'
import { openBullQueue, type BullQueueOptions } from '../../src/adapters/queue/bull.js'
import { countRedisJobs } from '../../src/adapters/queue/count-redis-jobs.js'
import { UpstreamError } from '../../src/errors.js'
import type { JobHandler, JobQueue } from '../../src/ports/job-queue.js'
import { secretHex } from '../../src/random.js'
import { HOUR_MS } from '../../src/time.js'
import { countJobs, jobQueueContract } from '../contracts/job-queue.js'
import { startRedis, type RedisServer } from '../support/redis-server.js'
import { settle, waitUntil } from '../support/wait-until.js'

// Redis at REDIS_URL, else one of our own, else nothing: then the suites below are skipped by name.
const given = process.env.REDIS_URL
const own = given === undefined || given === '' ? await startRedis() : undefined
const url = own?.url ?? given ?? ''
const withRedis = url === '' ? describe.skip : describe
if (url === '') console.warn('SKIPPED: Bull on Redis (set REDIS_URL or install redis-server)')

afterAll(() => own?.stop())

const INGEST = { group: 'ingest' } as const
const prefixes: string[] = []
const opened: JobQueue[] = []
function newPrefix(): string {
  prefixes.push(`siyu-test-${secretHex(6)}`)
  return prefixes.at(-1)!
}
async function open(options: Partial<BullQueueOptions> = {}): Promise<JobQueue> {
  const queue = await openBullQueue({ url, prefix: newPrefix(), ...options })
  opened.push(queue)
  return queue
}
afterEach(async () => {
  await Promise.all(opened.splice(0).map((queue) => queue.close(0)))
})

withRedis('Bull on Redis', () => {
  let redis: Redis
  beforeAll(() => {
    redis = new Redis(url)
  })
  afterAll(async () => {
    for (const prefix of prefixes) {
      const keys = await redis.keys(`${prefix}:*`)
      if (keys.length > 0) await redis.del(keys)
    }
    redis.disconnect()
  })

  jobQueueContract('Bull', async (options) => openBullQueue({ url, prefix: newPrefix(), ...options }))

  it('is told by Redis when it is idle, and does not look again and again', async () => {
    const queue = await open({ idleGuardMs: HOUR_MS })
    let runs = 0
    queue.handle('tick', async () => void runs++, INGEST)
    await queue.start()
    for (let i = 1; i <= 300; i++) {
      await queue.add('tick', { i }, { key: 'tick' })
      await queue.idle()
      expect(runs).toBe(i)
    }
  })

  it('shares jobs, keys and idleness with other processes of its prefix', async () => {
    const prefix = newPrefix()
    const adder = await open({ prefix })
    const worker = await open({ prefix })
    const ran: unknown[] = []
    let end: (() => void) | undefined
    const note = async (data: unknown) => {
      await new Promise<void>((resolve) => (end = resolve))
      ran.push(data)
    }
    for (const queue of [adder, worker]) queue.handle('note', note, INGEST)
    await adder.add('note', 1, { key: 'k' })
    await worker.add('note', 2, { key: 'k' })
    await worker.start()
    await waitUntil(() => end !== undefined, { what: 'the job' })
    let isIdle = false
    const idle = adder.idle().then(() => (isIdle = true))
    await adder.ping()
    await settle()
    expect(isIdle).toBe(false)
    end!()
    await idle
    expect(ran).toEqual([1])
  })

  it('fails a job that another process added and this one has no handler for', async () => {
    const prefix = newPrefix()
    const adder = await open({ prefix })
    adder.handle('newer', async () => undefined, INGEST)
    const worker = await open({ prefix })
    await worker.start()
    await adder.add('newer', {}, { attempts: 1 })
    await waitUntil(async () => (await countJobs(adder)).failed === 1, { what: 'the failed job' })
  })

  it('drops its own prefix only', async () => {
    const one = await open({ prefix: newPrefix() })
    const other = await open({ prefix: `${prefixes.at(-1)}-b` })
    for (const queue of [one, other]) queue.handle('note', async () => undefined, INGEST)
    await one.add('note', 1)
    await other.add('note', 2)
    await one.drop()
    expect(await countJobs(one)).toMatchObject({ waiting: 0 })
    expect(await countJobs(other)).toMatchObject({ waiting: 1 })
    await other.drop()
    expect(await redis.keys(`${prefixes.at(-1)}*`)).toEqual([])
  })

  it('is counted by group from outside as it counts itself', async () => {
    const queue = await open()
    queue.handle('note', async () => undefined, { group: 'send' })
    await queue.add('note', 1)
    await queue.add('note', 2, { delayMs: 60_000 })
    const seen = await countRedisJobs(url, prefixes.at(-1)!)
    expect(seen.send).toEqual({ waiting: 1, delayed: 1, active: 0, failed: 0 })
    expect(seen).toEqual(await queue.counts())
  })

  it('leaves nothing behind but counters when all is done', async () => {
    const queue = await open()
    queue.handle('note', async () => undefined, INGEST)
    await queue.start()
    for (let i = 0; i < 5; i++) await queue.add('note', i, { key: `k${i}` })
    await queue.idle()
    await queue.close()
    const left = await redis.keys(`${prefixes.at(-1)}:*`)
    expect(left.filter((key) => !/:(id|stalled|stalled-check)$/.test(key))).toEqual([])
  })

  it.each([
    ['while it ran', (bull: Bull.Queue) => bull.getNextJob()],
    ['before it ran', (bull: Bull.Queue) => redis.rpoplpush(bull.toKey('wait'), bull.toKey('active'))],
  ])('runs a job again whose process died %s, and no key stays locked', async (_when, take) => {
    const prefix = newPrefix()
    const queue = await open({ prefix, lockMs: 4_000 }) // its own jobs must not stall, however slow the machine
    const ran: unknown[] = []
    queue.handle('note', async (data) => void ran.push(data), INGEST)
    await queue.add('note', 'first', { key: 'k' })
    // To Redis, a killed process is a job that was taken and a connection that ended.
    const connection = new URL(url)
    const killed = new Bull('jobs-ingest', {
      prefix,
      redis: {
        host: connection.hostname,
        port: Number(connection.port || 6379),
        password: decodeURIComponent(connection.password) || undefined,
      },
      settings: { lockDuration: 400 },
    })
    await killed.isReady()
    await take(killed)
    await killed.close(true)
    expect(await countJobs(queue)).toMatchObject({ waiting: 0, active: 1 })

    await queue.start()
    await queue.idle()
    expect(ran).toEqual(['first'])
    await queue.add('note', 'second', { key: 'k' })
    await queue.idle()
    expect(ran).toEqual(['first', 'second'])
  })

  it('frees the key of a job that has vanished', async () => {
    const queue = await open()
    queue.handle('note', async () => undefined, INGEST)
    await queue.add('note', 1, { key: 'k' })
    const [job] = (await redis.keys(`${prefixes.at(-1)}:jobs-ingest:*`)).filter((key) => /:\d+$/.test(key))
    await redis.del(job!)
    await redis.del(`${prefixes.at(-1)}:jobs-ingest:wait`)
    await queue.add('note', 2, { key: 'k' })
    expect(await countJobs(queue)).toMatchObject({ waiting: 1 })
  })

  it('says that user or password are wrong, without showing them', async () => {
    const { host } = new URL(url)
    const error = await rejection(openBullQueue({ url: `redis://nobody:open-sesame@${host}`, prefix: 'x' }))
    expect(error.message).toMatch(/WRONGPASS/)
    expect(error.message).toMatch(/correct user and password in REDIS_URL/)
    expect(error.message).toContain(host)
    expect(error.message).not.toContain('open-sesame')
  })
})

const withOwnServer = own === undefined ? describe.skip : describe
withOwnServer('Bull on a Redis that goes away', () => {
  let server: RedisServer | undefined
  afterEach(async () => server?.stop())

  it('refuses work with a clear error, does not crash, and goes on when Redis is back', async () => {
    server = await startRedis()
    const port = Number(new URL(server!.url).port)
    const queue = await open({ url: server!.url })
    let runs = 0
    queue.handle('note', async () => void runs++, INGEST)
    await queue.start()
    await queue.add('note')
    await queue.idle()
    await server!.stop()
    expect((await rejection(queue.add('note'))).message).toContain(`cannot add job "note" on 127.0.0.1:${port}`)
    server = await startRedis(port)
    await waitUntil(() => isTaken(queue.add('note')), { what: 'a job to be taken again' })
    await waitUntil(() => runs >= 2, { what: 'the job' })
    await queue.idle()
  })

  it('connects anew when a connection has died without a word', async () => {
    server = await startRedis()
    const { port } = new URL(server!.url)
    const sockets = new Set<Socket>()
    const proxy = createServer((socket) => {
      const onward = connect(Number(port), '127.0.0.1')
      socket.pipe(onward).pipe(socket)
      for (const one of [socket, onward]) sockets.add(one.on('error', () => one.destroy()))
    }).listen(0, '127.0.0.1')
    await once(proxy, 'listening')
    const queue = await open({ url: `redis://127.0.0.1:${(proxy.address() as AddressInfo).port}` })
    let runs = 0
    queue.handle('note', async () => void runs++, INGEST)
    await queue.start()
    await queue.add('note')
    await queue.idle()

    for (const socket of sockets) socket.unpipe().pause()
    expect((await rejection(queue.ping())).message).toContain('timed out')
    await waitUntil(() => isTaken(queue.add('note')), { what: 'a job to be taken again' })
    await waitUntil(() => runs >= 2, { what: 'the job' })
    await queue.close()
    for (const socket of sockets) socket.destroy()
    proxy.close()
  })

  it('closes while Redis is away and a job runs, which it aborts', async () => {
    server = await startRedis()
    const queue = await open({ url: server!.url })
    let aborted = false
    const long: JobHandler = (_data, signal) =>
      new Promise((resolve) =>
        signal.addEventListener('abort', () => {
          aborted = true
          resolve()
        }),
      )
    queue.handle('long', long, INGEST)
    await queue.start()
    await queue.add('long')
    await waitUntil(async () => (await countJobs(queue)).active === 1, { what: 'the job' })
    await server!.stop()
    server = undefined
    await queue.close(100)
    expect(aborted).toBe(true)
  })
})

describe('opening a queue without a Redis', () => {
  it('names host and variable when nothing listens', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    server.close()
    await once(server, 'close')
    const error = await rejection(openBullQueue({ url: `redis://:open-sesame@127.0.0.1:${port}/3`, prefix: 'x' }))
    expect(error.message).toContain('ECONNREFUSED') // told at once: the time to answer was not waited for
    expect(error.message).toContain(`127.0.0.1:${port}`)
    expect(error.message).toContain('REDIS_URL')
    expect(error.message).not.toContain('open-sesame')
  })

  it('gives up after 4.5 s when somebody listens but never answers', async () => {
    const sockets: Socket[] = []
    const server = createServer((socket) => void sockets.push(socket)).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const error = await rejection(openBullQueue({ url: `redis://127.0.0.1:${port}`, prefix: 'x' }))
    expect(error.message).toContain('no answer within 4.5 s')
    for (const socket of sockets) socket.destroy()
    server.close()
  })

  it.each(['localhost:6379', 'http://127.0.0.1', 'redis://', ''])('refuses the address %p', async (bad) => {
    expect((await rejection(openBullQueue({ url: bad, prefix: 'x' }))).message).toContain('REDIS_URL')
  })
})

/** Whether it resolves; while Redis is coming back it may not. */
function isTaken(adding: Promise<void>): Promise<boolean> {
  return adding.then(
    () => true,
    (err: unknown) => {
      if (err instanceof UpstreamError && err.retryable) return false
      throw err
    },
  )
}

async function rejection(promise: Promise<unknown>): Promise<Error> {
  try {
    await promise
  } catch (err) {
    return err as Error
  }
  throw new Error('it did not fail')
}
