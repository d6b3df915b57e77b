import { Redis } from 'ioredis'
import { messageOf } from '../../../errors.js'
import type { Log } from '../../../log.js'
import { secretHex } from '../../../random.js'
import { type Clock, SECOND_MS, systemClock } from '../../../time.js'
import {
  FORGET_MS,
  PLACE_POLL_MS,
  LEARNING,
  type Lease,
  type QuotaAnswer,
  type QuotaStore,
  RESERVE_RATIOS,
  WAITING_MS,
} from './quota.js'
import { createInProcessQuota } from './quota-in-process.js'

export type RedisQuotaOptions = {
  /** `redis://` or `rediss://`. */
  url: string
  /** Every key starts with it and the corp id; both processes must give the same. */
  prefix: string
  corpId: string
  log: Log
  /** For tests. Default: Redis' own clock, which all processes share. */
  clock?: Clock
  /** What answers later counts as away. Default: a second. */
  answerWithinMs?: number
}

/** After a failure Redis is left alone for so long: sends must not wait for it again and again. */
const LEFT_ALONE_MS = 5 * SECOND_MS

/** Kind of the key under which calls under way are counted. All versions of this program share it, so it keeps its name. */
const UNDER_WAY = 'lanes'

/**
 * Limits that all processes of one company share. While Redis is away each process counts for itself, with an ERROR in
 * the log: the sum may then exceed a limit, which 45009 and 45033 correct, but no send stops. Tokens are not kept here:
 * the platform gives every process the same one until it expires, so sharing would save a call in two hours and put a
 * credential into one more place.
 *
 * Never rejects because of Redis.
 */
export async function openRedisQuota(options: RedisQuotaOptions): Promise<QuotaStore> {
  const { url, prefix, corpId, log, clock, answerWithinMs = SECOND_MS } = options
  const alone = createInProcessQuota(clock ?? systemClock)
  const owner = secretHex(4)
  let calls = 0
  let leftAloneUntilMs = 0
  let isAway = false
  let isClosing = false
  const redis = new Redis(url, {
    lazyConnect: true,
    enableOfflineQueue: false,
    connectTimeout: 2 * answerWithinMs,
    commandTimeout: answerWithinMs,
    maxRetriesPerRequest: 0,
    disconnectTimeout: 200,
    retryStrategy: (times) => (isClosing ? null : Math.min(times * 100, 2 * SECOND_MS)),
  })
  let lastError: Error | undefined
  redis.on('error', (err: Error) => (lastError = err)) // commands know "closed" only
  await redis.connect().catch(isGone)

  function isGone(err: unknown): void {
    leftAloneUntilMs = systemClock.now().getTime() + LEFT_ALONE_MS
    if (isAway || isClosing) return
    isAway = true
    log.error('WeCom limits are counted by each process for itself until Redis answers: start it', {
      cause: messageOf(lastError ?? err),
    })
  }

  /** `undefined` while Redis is away. */
  async function ask(script: string, keys: string[], args: (string | number)[]): Promise<unknown> {
    if (isAway && systemClock.now().getTime() < leftAloneUntilMs) return undefined
    try {
      const now = clock === undefined ? '' : clock.now().getTime()
      const answer = await redis.eval(script, keys.length, ...keys, now, ...args)
      if (isAway) log.warn('WeCom limits are shared through Redis again')
      isAway = false
      return answer
    } catch (err) {
      isGone(err)
      return undefined
    }
  }

  const keyOf = (kind: string, name: string) => `${prefix}:wecom:{${corpId}}:${kind}:${name}`

  return {
    async acquire(request) {
      const { api, atOnce, buckets, rank, leaseMs, aheadMs = 0 } = request
      const id = `${owner}:${++calls}`
      const answer = await ask(
        ACQUIRE,
        [keyOf('api', api), keyOf(UNDER_WAY, api), ...buckets.map(({ key }) => keyOf('bucket', key))],
        [
          ...[aheadMs, id, leaseMs, atOnce.start, atOnce.most, rank, RESERVE_RATIOS[rank] ?? 0],
          ...buckets.flatMap((b) => [b.capacity, b.refillPerMs, b.own ? 1 : 0, b.shared ? 1 : 0]),
        ],
      )
      return answer === undefined ? alone.acquire(request) : toAnswer(id, answer as (string | number)[])
    },
    async release(api, atOnce, lease, end) {
      if (!lease.id.includes(':')) return alone.release(api, atOnce, lease, end) // granted while Redis was away
      const answer = await ask(
        RELEASE,
        [keyOf('api', api), keyOf(UNDER_WAY, api)],
        [lease.id, end, lease.full ? 1 : 0, lease.turn, atOnce.start, atOnce.most],
      )
      if (answer !== undefined) return Number(answer)
      if (end !== 'too_often') return 0
      const here = await alone.acquire({ api, atOnce, buckets: [], rank: 0, leaseMs: SECOND_MS })
      return here.kind === 'granted' ? alone.release(api, atOnce, here.lease, end) : here.waitMs
    },
    async close() {
      isClosing = true
      redis.disconnect()
    },
  }
}

function toAnswer(id: string, [kind, ...rest]: (string | number)[]): QuotaAnswer {
  const [a, b, c] = rest.map(Number)
  if (kind === 'granted') {
    const lease: Lease = { id, width: a!, full: b === 1, turn: c! }
    return { kind, lease }
  }
  return { kind: kind as Exclude<QuotaAnswer['kind'], 'granted'>, waitMs: a!, held: b! }
}

const PREAMBLE = `
  local now = tonumber(ARGV[1])
  if not now then
    local time = redis.call('TIME')
    now = time[1] * 1000 + math.floor(time[2] / 1000)
  end
  local s = {}
  local raw = redis.call('HGETALL', KEYS[1])
  for i = 1, #raw, 2 do s[raw[i]] = tonumber(raw[i + 1]) end
  local function set(values)
    local flat = {}
    for name, value in pairs(values) do
      s[name] = value
      flat[#flat + 1] = name
      flat[#flat + 1] = string.format('%.14g', value)
    end
    redis.call('HSET', KEYS[1], unpack(flat))
    redis.call('PEXPIRE', KEYS[1], ${FORGET_MS})
  end
  local function share()
    local ratio = s.share or 1
    if ratio >= 1 then return 1 end
    local passed = math.max(0, now - s.shareAt)
    local fast = math.min(passed, math.max(0, s.shareRefused * ${LEARNING.kneeRatio} - ratio) / ${LEARNING.shareFastPerMs})
    return math.min(1, ratio + fast * ${LEARNING.shareFastPerMs} + (passed - fast) * ${LEARNING.shareSlowPerMs})
  end`

/** Mirrors `acquire` of quota-in-process.ts; one contract suite holds both. */
const ACQUIRE = `${PREAMBLE}
  now = now + tonumber(ARGV[2])
  local id, leaseMs = ARGV[3], tonumber(ARGV[4])
  local start, most, rank, reserve = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
  local held = redis.call('ZCARD', KEYS[2])
  if (s.blocked or 0) > now then return { 'blocked', s.blocked - now, held } end
  local width = math.min(s.width or start, most)
  if held >= width then
    set({ ['waiting' .. rank] = now + ${WAITING_MS} })
    return { 'full', ${PLACE_POLL_MS}, held }
  end
  for other = 0, rank - 1 do
    if (s['waiting' .. other] or 0) > now then return { 'yield', ${PLACE_POLL_MS}, held } end
  end
  local ratio, kind, wait, levels = share(), 'own', 0, {}
  for i = 3, #KEYS do
    local at = 9 + (i - 3) * 4
    local part = ARGV[at + 3] == '1' and ratio or 1
    local capacity = math.max(1, tonumber(ARGV[at]) * part)
    local refill = tonumber(ARGV[at + 1]) * part
    local level = redis.call('HMGET', KEYS[i], 'tokens', 'at')
    local last = tonumber(level[2] or now)
    local tokens = math.min(capacity, tonumber(level[1] or capacity) + math.max(0, now - last) * refill)
    local needed = 1 + math.min(capacity * reserve, capacity - 1)
    if tokens < needed then
      wait = math.max(wait, (needed - tokens) / refill)
      if ARGV[at + 2] == '0' then kind = 'bucket' end
    end
    levels[i] = { tokens - 1, math.max(last, now), math.ceil(2 * capacity / refill) }
  end
  if wait > 0 then return { kind, math.ceil(wait), held } end
  for i = 3, #KEYS do
    redis.call('HSET', KEYS[i], 'tokens', string.format('%.14g', levels[i][1]), 'at', string.format('%.0f', levels[i][2]))
    redis.call('PEXPIRE', KEYS[i], string.format('%.0f', math.max(levels[i][3], 120000)))
  end
  if (s['waiting' .. rank] or 0) > 0 then set({ ['waiting' .. rank] = 0 }) end
  redis.call('ZADD', KEYS[2], now + leaseMs, id)
  redis.call('PEXPIRE', KEYS[2], leaseMs * 2)
  return { 'granted', width, held + 1 >= width and 1 or 0, s.turn or 0 }`

/** Mirrors `release` of quota-in-process.ts. */
const RELEASE = `${PREAMBLE}
  local id, ending, full, turn = ARGV[2], ARGV[3], ARGV[4] == '1', tonumber(ARGV[5])
  local start, most = tonumber(ARGV[6]), tonumber(ARGV[7])
  if redis.call('ZREM', KEYS[2], id) == 0 or ending == 'none' then return 0 end
  local width, proven, refused = s.width or start, s.proven or 0, s.refused or 1e9
  local probeAfter, probing = s.probeAfter or ${LEARNING.probeAfter}, s.probing or 0
  local isLast = turn == (s.turn or 0)
  if ending == 'too_parallel' then
    if not isLast then return 0 end
    if probing == 1 then probeAfter = math.min(probeAfter * 2, ${LEARNING.probeAfterMost}) end
    local held = proven > 0 and proven < width
    local narrower = held and proven or math.max(1, math.floor(width * ${LEARNING.narrowRatio}))
    set({
      width = narrower, proven = held and proven or 0, refused = width,
      probing = 0, streak = 0, probeAfter = probeAfter, turn = turn + 1,
    })
    return 0
  end
  if ending == 'answered' then
    if (s.blocked or 0) <= now and (s.blocks or 0) > 0 then set({ blocks = 0 }) end
    if not full or not isLast or width >= most then return 0 end
    local again = width + 1 >= refused
    local streak = (s.streak or 0) + 1
    if streak < (again and probeAfter or ${LEARNING.growAfter} * width) then
      set({ streak = streak })
      return 0
    end
    set({
      width = width + 1, proven = width, refused = again and width + 2 or refused,
      probing = again and 1 or 0, streak = 0, turn = turn + 1,
    })
    return 0
  end
  if (s.blocked or 0) <= now then
    local blocks = (s.blocks or 0) + 1
    local length = blocks == 1 and 60000 or blocks == 2 and 3600000 or 86400000 - (now + 28800000) % 86400000
    local before = share()
    set({
      blocked = now + length, blocks = blocks, shareAt = now, shareRefused = before,
      share = math.max(${LEARNING.leastShareRatio}, before * ${LEARNING.shareCutRatio}),
    })
  end
  return s.blocked - now`
