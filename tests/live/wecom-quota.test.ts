import { afterAll, afterEach, describe, expect, it, jest } from '@jest/globals'
import { Redis } from 'ioredis'
import type { QuotaStore } from '../../src/adapters/wecom/transport/quota.js'
import { openRedisQuota } from '../../src/adapters/wecom/transport/quota-redis.js'
import { jsonLog, quietLog } from '../../src/log.js'
import { secretHex } from '../../src/random.js'
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from '../../src/time.js'
import { wecomQuotaContract } from '../contracts/wecom-quota.js'
import { stopClocks } from '../support/fake-clock.js'
import { startRedis, type RedisServer } from '../support/redis-server.js'
import { waitUntil } from '../support/wait-until.js'

// Redis at REDIS_URL, else one of our own, else nothing: then the suites below are skipped by name.
const given = process.env.REDIS_URL
const own = given === undefined || given === '' ? await startRedis() : undefined
const url = own?.url ?? given ?? ''
const withRedis = url === '' ? describe.skip : describe
if (url === '') console.warn('SKIPPED: WeCom limits on Redis (set REDIS_URL or install redis-server)')

const prefixes: string[] = []
function newPrefix(): string {
  prefixes.push(`siyu-test-${secretHex(6)}`)
  return prefixes.at(-1)!
}

afterAll(async () => {
  if (url !== '') {
    const redis = new Redis(url)
    for (const prefix of prefixes) {
      const keys = await redis.keys(`${prefix}:*`)
      if (keys.length > 0) await redis.del(keys)
    }
    redis.disconnect()
  }
  await own?.stop()
})

const ask = (api: string) => ({ api, atOnce: { start: 2, most: 2 }, buckets: [], rank: 0, leaseMs: HOUR_MS })

withRedis('WeCom limits on Redis', () => {
  wecomQuotaContract('The quota on Redis', async (clock) => {
    // A machine that is busy with other things is not away.
    const options = { url, prefix: newPrefix(), corpId: 'ww1', log: quietLog, clock, answerWithinMs: MINUTE_MS }
    return [await openRedisQuota(options), await openRedisQuota(options)]
  })

  it('goes by the clock of Redis, keeps companies apart and lets everything lapse', async () => {
    const prefix = newPrefix()
    const one = await openRedisQuota({ url, prefix, corpId: 'ww1', log: quietLog })
    const other = await openRedisQuota({ url, prefix, corpId: 'ww2', log: quietLog })
    const bucket = { key: 'corp:a:day', capacity: 1, refillPerMs: 1 / DAY_MS, own: false, shared: true }
    expect((await one.acquire({ ...ask('a'), buckets: [bucket] })).kind).toBe('granted')
    const denied = await one.acquire({ ...ask('a'), buckets: [bucket] })
    expect(denied).toMatchObject({ kind: 'bucket' })
    if (denied.kind !== 'bucket') throw new Error(denied.kind)
    expect(denied.waitMs).toBeGreaterThan(DAY_MS - HOUR_MS)
    expect(denied.waitMs).toBeLessThanOrEqual(DAY_MS)
    expect((await other.acquire({ ...ask('a'), buckets: [bucket] })).kind).toBe('granted')
    const redis = new Redis(url)
    const keys = await redis.keys(`${prefix}:*`)
    expect(keys.length).toBeGreaterThan(3)
    for (const key of keys) expect(await redis.pttl(key)).toBeGreaterThan(0)
    redis.disconnect()
    await one.close()
    await other.close()
  })
})

const withOwnServer = own === undefined ? describe.skip : describe
withOwnServer('WeCom limits on a Redis that goes away', () => {
  let server: RedisServer | undefined
  let store: QuotaStore | undefined
  afterEach(async () => {
    jest.restoreAllMocks()
    jest.useRealTimers()
    await store?.close()
    await server?.stop()
  })

  it('are counted in this process meanwhile, loudly, without asking again for 5 s, and shared when it is back', async () => {
    const clock = stopClocks()
    const asks = jest.spyOn(Redis.prototype, 'eval')
    server = await startRedis()
    const port = Number(new URL(server!.url).port)
    const lines: string[] = []
    const log = jsonLog((line) => lines.push(line))
    store = await openRedisQuota({ url: server!.url, prefix: 'siyu-test', corpId: 'ww1', log })
    const before = await store.acquire(ask('a'))
    expect(before.kind).toBe('granted')
    await server!.stop()
    server = undefined

    asks.mockClear()
    const atOnce = { start: 2, most: 2 }
    if (before.kind === 'granted') expect(await store.release('a', atOnce, before.lease, 'too_often')).toBe(60_000)
    expect((await store.acquire(ask('a'))).kind).toBe('blocked')
    for (let i = 0; i < 50; i++) expect((await store.acquire(ask(`b${i}`))).kind).toBe('granted')
    clock.pass(5 * SECOND_MS - 1)
    expect((await store.acquire(ask('c'))).kind).toBe('granted')
    expect(asks).toHaveBeenCalledTimes(1)
    expect(lines.filter((line) => line.includes('"level":"error"'))).toHaveLength(1)

    server = await startRedis(port)
    await waitUntil(
      async () => {
        clock.pass(SECOND_MS)
        await store!.acquire(ask('d'))
        return lines.some((line) => line.includes('shared through Redis again'))
      },
      { what: 'Redis to be asked again' },
    )
  })

  it('let calls through when Redis was never there', async () => {
    const lines: string[] = []
    store = await openRedisQuota({
      url: 'redis://:open-sesame@127.0.0.1:1',
      prefix: 'siyu-test',
      corpId: 'ww1',
      log: jsonLog((line) => lines.push(line)),
    })
    expect((await store.acquire(ask('a'))).kind).toBe('granted')
    expect(lines.join()).toContain('ECONNREFUSED')
    expect(lines.join()).not.toContain('open-sesame')
  })
})
