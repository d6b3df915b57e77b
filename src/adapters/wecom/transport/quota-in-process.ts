import type { Clock } from '../../../time.js'
import type { AtOnce, Bucket } from './limits.js'
import {
  blockLengthMs,
  type CallEnd,
  PLACE_POLL_MS,
  LEARNING,
  type Lease,
  type QuotaAnswer,
  type QuotaAsk,
  type QuotaStore,
  RESERVE_RATIOS,
  WAITING_MS,
} from './quota.js'

type Level = { tokens: number; atMs: number }
type Api = {
  blockedUntilMs: number
  blocksInARow: number
  share: { ratio: number; atMs: number; refusedAtRatio: number }
  learnt: Learnt
  /** When each call under way gives its place back at the latest. */
  leases: Map<string, number>
  /** By rank: until when somebody is taken to wait. */
  waiting: number[]
}
/** How many calls may run at a time, as learnt so far. */
type Learnt = {
  width: number
  /** Largest width that has held. */
  proven: number
  /** Least width that was refused. */
  refused: number
  probing: boolean
  streak: number
  probeAfter: number
  turn: number
}

/** Limits of one process, or of several clients in it that are given the same store. */
export function createInProcessQuota(clock: Clock): QuotaStore {
  const apis = new Map<string, Api>()
  const levels = new Map<string, Level>()
  let leases = 0

  function apiOf(name: string, atOnce?: AtOnce): Api {
    let api = apis.get(name)
    if (api === undefined) {
      api = {
        blockedUntilMs: 0,
        blocksInARow: 0,
        share: { ratio: 1, atMs: 0, refusedAtRatio: 1 },
        learnt: {
          width: atOnce?.start ?? 0,
          proven: 0,
          refused: Infinity,
          probing: false,
          streak: 0,
          probeAfter: LEARNING.probeAfter,
          turn: 0,
        },
        leases: new Map(),
        waiting: [],
      }
      if (atOnce !== undefined) apis.set(name, api)
    }
    return api
  }

  function levelOf(bucket: Bucket, ratio: number, nowMs: number): { level: Level; capacity: number; refill: number } {
    const part = bucket.shared ? ratio : 1
    const capacity = Math.max(1, bucket.capacity * part)
    const refill = bucket.refillPerMs * part
    let level = levels.get(bucket.key)
    if (level === undefined) {
      if (levels.size > 0 && levels.size % 10_000 === 0) forgetFull(nowMs)
      levels.set(bucket.key, (level = { tokens: capacity, atMs: nowMs }))
    }
    level.tokens = Math.min(capacity, level.tokens + Math.max(0, nowMs - level.atMs) * refill)
    level.atMs = Math.max(level.atMs, nowMs)
    return { level, capacity, refill }
  }

  /** A bucket that nobody has used for a day and more is full again, or nearly: only its long ones are kept. */
  function forgetFull(nowMs: number): void {
    for (const [key, { atMs }] of levels) {
      const windowMs = Number(key.slice(key.lastIndexOf(':') + 1))
      if (nowMs - atMs > windowMs) levels.delete(key)
    }
  }

  function acquire({ api: name, atOnce, buckets, rank, leaseMs, aheadMs = 0 }: QuotaAsk): QuotaAnswer {
    const api = apiOf(name, atOnce)
    const nowMs = clock.now().getTime() + aheadMs
    for (const [id, untilMs] of api.leases) if (untilMs <= nowMs) api.leases.delete(id)
    const held = api.leases.size
    if (api.blockedUntilMs > nowMs) return { kind: 'blocked', waitMs: api.blockedUntilMs - nowMs, held }

    const width = Math.min(api.learnt.width, atOnce.most)
    if (held >= width) {
      api.waiting[rank] = nowMs + WAITING_MS
      return { kind: 'full', waitMs: PLACE_POLL_MS, held }
    }
    if (api.waiting.some((untilMs, other) => other < rank && untilMs > nowMs))
      return { kind: 'yield', waitMs: PLACE_POLL_MS, held }

    const share = recoveredShare(api.share, nowMs)
    let kind: 'bucket' | 'own' = 'own'
    let waitMs = 0
    const taken = buckets.map((bucket) => {
      const { level, capacity, refill } = levelOf(bucket, share, nowMs)
      const needed = 1 + Math.min(capacity * (RESERVE_RATIOS[rank] ?? 0), capacity - 1)
      if (level.tokens < needed) {
        waitMs = Math.max(waitMs, (needed - level.tokens) / refill)
        if (!bucket.own) kind = 'bucket'
      }
      return level
    })
    if (waitMs > 0) return { kind, waitMs: Math.ceil(waitMs), held }

    for (const level of taken) level.tokens -= 1
    api.waiting[rank] = 0
    const id = String(++leases)
    api.leases.set(id, nowMs + leaseMs)
    return { kind: 'granted', lease: { id, width, full: held + 1 >= width, turn: api.learnt.turn } }
  }

  function release(name: string, atOnce: AtOnce, lease: Lease, end: CallEnd): number {
    const api = apiOf(name, atOnce)
    const nowMs = clock.now().getTime()
    if (!api.leases.delete(lease.id) || end === 'none') return 0
    if (end === 'too_parallel') narrow(api.learnt, lease)
    else if (end === 'answered') {
      if (api.blockedUntilMs <= nowMs) api.blocksInARow = 0 // an answer that was under way does not end a block
      widen(api.learnt, lease, atOnce)
    } else {
      // Calls that were under way when the block began do not lengthen it.
      if (api.blockedUntilMs <= nowMs) {
        api.blocksInARow++
        api.blockedUntilMs = nowMs + blockLengthMs(api.blocksInARow, nowMs)
        cutShare(api, nowMs)
      }
      return api.blockedUntilMs - nowMs
    }
    return 0
  }

  return {
    acquire: async (ask) => acquire(ask),
    release: async (name, atOnce, lease, end) => release(name, atOnce, lease, end),
    close: async () => undefined,
  }
}

function widen(learnt: Learnt, lease: Lease, { most }: AtOnce): void {
  if (!lease.full || lease.turn !== learnt.turn || learnt.width >= most) return
  const again = learnt.width + 1 >= learnt.refused
  if (++learnt.streak < (again ? learnt.probeAfter : LEARNING.growAfter * learnt.width)) return
  learnt.proven = learnt.width++
  if (again) learnt.refused = learnt.width + 1 // what lies above was refused with it
  learnt.probing = again
  learnt.streak = 0
  learnt.turn++
}

function narrow(learnt: Learnt, lease: Lease): void {
  if (lease.turn !== learnt.turn) return
  if (learnt.probing) learnt.probeAfter = Math.min(learnt.probeAfter * 2, LEARNING.probeAfterMost)
  learnt.refused = learnt.width
  const held = learnt.proven > 0 && learnt.proven < learnt.width
  learnt.width = held ? learnt.proven : Math.max(1, Math.floor(learnt.width * LEARNING.narrowRatio))
  if (!held) learnt.proven = 0
  learnt.probing = false
  learnt.streak = 0
  learnt.turn++
}

function cutShare(api: Api, nowMs: number): void {
  const now = recoveredShare(api.share, nowMs)
  api.share = {
    ratio: Math.max(LEARNING.leastShareRatio, now * LEARNING.shareCutRatio),
    atMs: nowMs,
    refusedAtRatio: now,
  }
}

function recoveredShare({ ratio, atMs, refusedAtRatio }: Api['share'], nowMs: number): number {
  if (ratio >= 1) return 1
  const knee = refusedAtRatio * LEARNING.kneeRatio
  const passedMs = Math.max(0, nowMs - atMs)
  const fastMs = Math.min(passedMs, Math.max(0, knee - ratio) / LEARNING.shareFastPerMs)
  return Math.min(1, ratio + fastMs * LEARNING.shareFastPerMs + (passedMs - fastMs) * LEARNING.shareSlowPerMs)
}
