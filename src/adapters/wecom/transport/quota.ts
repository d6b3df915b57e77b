import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from '../../../time.js'
import type { AtOnce, Bucket } from './limits.js'

export type QuotaAsk = {
  api: string
  atOnce: AtOnce
  buckets: readonly Bucket[]
  /** Place in `PRIORITIES`; 0 goes first. Aged by the caller, so that nobody waits for ever. */
  rank: number
  /** It counts as over after this, whatever became of the process. */
  leaseMs: number
  /** How far the asker's time is ahead of the clock; not 0 only where a pause did not move it. */
  aheadMs?: number
}

/** One call under way. */
export type Lease = {
  id: string
  /** How many could run at a time when it began. */
  width: number
  /** Whether it took the last free place: only then its success says that the width is right. */
  full: boolean
  /** Counts changes of the width: calls that began before the last one teach nothing about it. */
  turn: number
}

export type QuotaAnswer =
  | { kind: 'granted'; lease: Lease }
  /**
   * Nothing was taken; ask again after `waitMs`. `blocked`: after a 45009. `full`: `held` calls are under way, and no more
   * may be. `yield`: someone of a higher rank waits for a place. `bucket`: the limit of all is used up; `own`: that of this
   * receiver only.
   */
  | { kind: 'blocked' | 'full' | 'yield' | 'bucket' | 'own'; waitMs: number; held: number }

/** `answered`: any answer but the two limits. `none`: lost, or never sent. */
export type CallEnd = 'answered' | 'too_often' | 'too_parallel' | 'none'

/**
 * What all calls of one company have in common: token buckets, blocks, how many run at a time and what was learnt of it. Adapters: in
 * this process, Redis.
 */
export interface QuotaStore {
  /** Takes a place in every bucket and among the calls under way, or nothing at all. */
  acquire(ask: QuotaAsk): Promise<QuotaAnswer>
  /**
   * Gives the place back and learns from the outcome. A lease that has expired or was given back before is nothing.
   *
   * @returns after `too_often`: how long the API is blocked from now on, else 0
   */
  release(api: string, atOnce: AtOnce, lease: Lease, end: CallEnd): Promise<number>
  /** May be called twice. */
  close(): Promise<void>
}

/**
 * Shared by the adapters; the Redis script carries the same figures.
 *
 * Width: one that was full and stays without 45033 for `growAfter × width` calls gets one more; a width that was refused before
 * is tried again only after `probeAfter` calls, twice as many after every failure. One refusal in so many calls stays far
 * below one in a hundred.
 *
 * Share: a 45009 while our bucket had room means that others use the limit too. Our part falls at once and comes back
 * slowly, slowest near the height at which it was refused.
 */
export const LEARNING = {
  growAfter: 4,
  probeAfter: 1_000,
  probeAfterMost: 32_000,
  narrowRatio: 0.7,
  shareCutRatio: 0.75,
  leastShareRatio: 0.1,
  kneeRatio: 0.95,
  shareFastPerMs: 0.01 / MINUTE_MS,
  shareSlowPerMs: 0.01 / (30 * MINUTE_MS),
} as const

/** Kept back for whoever goes before: of a bucket's burst, by rank. */
export const RESERVE_RATIOS: readonly number[] = [0, 0.05, 0.1, 0.1, 0.1]

/** Who was refused a place has the next one until this has passed; then it is taken for gone. */
export const WAITING_MS = 100
/** How often to ask for a place that another process holds. */
export const PLACE_POLL_MS = 25
/** Learnt state and buckets that nobody asked for in so long are as good as new. */
export const FORGET_MS = 31 * DAY_MS

const SHANGHAI_OFFSET_MS = 8 * HOUR_MS

/** The reply to a used-up limit does not say which one: pause a minute, then an hour, then until the next day in Shanghai. */
export function blockLengthMs(inARow: number, nowMs: number): number {
  if (inARow === 1) return MINUTE_MS
  if (inARow === 2) return HOUR_MS
  return DAY_MS - ((nowMs + SHANGHAI_OFFSET_MS) % DAY_MS)
}

/** Longer than any call takes: its time-out, and a moment for the answer to be read. */
export function leaseMsOf(timeoutMs: number): number {
  return timeoutMs + 5 * SECOND_MS
}
