import { setImmediate as nextTurn } from 'node:timers/promises'
import { UpstreamError } from '../../../errors.js'
import { type Clock, HOUR_MS, MINUTE_MS, SECOND_MS } from '../../../time.js'
import { WecomError } from './error-codes.js'
import { type Plan, PRIORITIES, type Priority } from './limits.js'
import type { CallEnd, Lease, QuotaStore } from './quota.js'

export type GateOptions = {
  store: QuotaStore
  clock: Clock
  /** See `leaseMsOf`. */
  leaseMs: number
  /** How to wait; ends early, without an error, when the signal is aborted. */
  pause: (ms: number, signal: AbortSignal) => Promise<void>
}

/** What a call holds until it leaves. */
export type Place = { plan: Plan; lease: Lease; waitedMs: number }

/** Lets calls in: each API for itself, by priority and then by arrival. */
export interface Gate {
  /**
   * @param patienceMs - how long a known block may be for this call to wait for its end
   * @throws {WecomError} 45009 when the block is longer, or its receiver's own limit is used up for longer than
   *   `patienceOf(priority)`
   * @throws {UpstreamError} `closed`
   */
  enter(plan: Plan, priority: Priority, patienceMs: number): Promise<Place>
  /** Resolves to how long the API is blocked from now on, when the call ended `too_often`; else 0. */
  leave(place: Place, end: CallEnd): Promise<number>
  /** Turns away whoever still waits. May be called twice. */
  close(): void
}

/** Whoever has waited this long goes one priority higher, but never as high as a welcome message. */
const AGE_MS = 10 * SECOND_MS

/** A sync sits out an hour; everybody else wants to know after a minute. */
export function patienceOf(priority: Priority): number {
  return priority === 'sync' ? HOUR_MS : MINUTE_MS
}

type Waiter = {
  plan: Plan
  rank: number
  order: number
  sinceMs: number
  /** For the end of a block. */
  patienceMs: number
  /** For its own bucket. */
  longestMs: number
  /** Its own bucket is empty until then. */
  notBeforeMs: number
  resolve: (place: Place) => void
  reject: (err: Error) => void
}
type Queue = {
  /** By rank, each in order of arrival. */
  lines: Waiter[][]
  /** Those whose own bucket is empty. */
  aside: Waiter[]
  pumping: boolean
  again: boolean
  wakeAtMs: number
  /** Our calls under way. */
  here: number
  /** How far pauses have come; later than the clock only where pauses do not move it. */
  reachedMs: number
}

export function createGate({ store, clock, leaseMs, pause }: GateOptions): Gate {
  const queues = new Map<string, Queue>()
  const closing = new AbortController()
  let arrivals = 0

  const nowOf = (queue: Queue) => Math.max(clock.now().getTime(), queue.reachedMs)

  function queueOf(api: string): Queue {
    let queue = queues.get(api)
    if (queue === undefined) {
      const lines = PRIORITIES.map(() => [])
      queue = { lines, aside: [], pumping: false, again: false, wakeAtMs: Infinity, here: 0, reachedMs: 0 }
      queues.set(api, queue)
    }
    return queue
  }

  /** One at a time for each API, so that the order holds. */
  async function pump(queue: Queue): Promise<void> {
    queue.again = true
    if (queue.pumping) return
    queue.pumping = true
    try {
      while (queue.again && !closing.signal.aborted) {
        queue.again = false
        await letIn(queue)
      }
    } catch (err) {
      for (const waiter of everyone(queue)) reject(queue, waiter, err instanceof Error ? err : new Error(String(err)))
    } finally {
      queue.pumping = false
    }
  }

  async function letIn(queue: Queue): Promise<void> {
    takeBack(queue, nowOf(queue))
    for (let waiter = first(queue, nowOf(queue)); waiter !== undefined; waiter = first(queue, nowOf(queue))) {
      const nowMs = nowOf(queue)
      const { plan } = waiter
      const aheadMs = nowMs - clock.now().getTime()
      const answer = await store.acquire({ ...plan, rank: rankOf(waiter, nowMs), leaseMs, aheadMs })
      if (answer.kind === 'granted') {
        queue.here++
        remove(queue, waiter)
        waiter.resolve({ plan, lease: answer.lease, waitedMs: nowMs - waiter.sinceMs })
        continue
      }
      if (answer.kind === 'own') {
        if (nowMs - waiter.sinceMs + answer.waitMs > waiter.longestMs) {
          reject(queue, waiter, new WecomError(plan.api, 45009, 'as many as one receiver may get', answer.waitMs))
          continue
        }
        remove(queue, waiter)
        waiter.notBeforeMs = nowMs + answer.waitMs
        queue.aside.push(waiter)
        continue
      }
      if (answer.kind === 'blocked') {
        for (const one of everyone(queue)) {
          if (one.patienceMs < answer.waitMs)
            reject(queue, one, new WecomError(plan.api, 45009, 'not asked again yet', answer.waitMs))
        }
      }
      // A call of our own that ends wakes the queue by itself.
      const isOurs = answer.kind === 'full' && answer.held <= queue.here
      if (!isOurs && everyone(queue).length > 0) wakeLater(queue, answer.waitMs, answer.kind !== 'full')
      break
    }
    const nextMs = Math.min(...queue.aside.map(({ notBeforeMs }) => notBeforeMs))
    if (nextMs < Infinity) wakeLater(queue, nextMs - nowOf(queue), true)
  }

  /** @param counts - whether the wait is a matter of time, not of somebody else's call */
  function wakeLater(queue: Queue, ms: number, counts: boolean): void {
    const atMs = nowOf(queue) + ms
    if (queue.wakeAtMs <= atMs) return
    queue.wakeAtMs = atMs
    void pause(ms, closing.signal).then(async () => {
      if (queue.wakeAtMs === atMs) queue.wakeAtMs = Infinity
      if (closing.signal.aborted) return
      if (clock.now().getTime() < atMs) {
        await nextTurn() // under a clock that stands still everything else must be able to go on
        if (counts) queue.reachedMs = Math.max(queue.reachedMs, atMs)
      }
      await pump(queue)
    })
  }

  return {
    enter(plan, priority, patienceMs) {
      return new Promise<Place>((resolve, refuse) => {
        if (closing.signal.aborted) return refuse(closedError(plan.api))
        const queue = queueOf(plan.api)
        const rank = PRIORITIES.indexOf(priority)
        const order = arrivals++
        queue.lines[rank]!.push({
          ...{ plan, rank, order, patienceMs },
          longestMs: patienceOf(priority),
          sinceMs: nowOf(queue),
          notBeforeMs: 0,
          resolve,
          reject: refuse,
        })
        void pump(queue)
      })
    },
    async leave({ plan, lease }, end) {
      const queue = queueOf(plan.api)
      queue.here--
      const blockedMs = await store.release(plan.api, plan.atOnce, lease, end)
      void pump(queue)
      return blockedMs
    },
    close() {
      closing.abort()
      for (const queue of queues.values())
        for (const waiter of everyone(queue)) reject(queue, waiter, closedError(waiter.plan.api))
    },
  }
}

function closedError(api: string): UpstreamError {
  return new UpstreamError('wecom', 'closed', true, `${api}: the client was closed before the call had its turn`)
}

/** The next one in order. Whoever stands first in a line has waited longest in it. */
function first(queue: Queue, nowMs: number): Waiter | undefined {
  let best: Waiter | undefined
  for (const [head] of queue.lines) {
    if (head === undefined) continue
    const lead = best === undefined ? -1 : rankOf(head, nowMs) - rankOf(best, nowMs)
    if (lead < 0 || (lead === 0 && head.order < best!.order)) best = head
  }
  return best
}

function rankOf({ rank, sinceMs }: Waiter, nowMs: number): number {
  return rank === 0 ? 0 : Math.max(1, rank - Math.floor((nowMs - sinceMs) / AGE_MS))
}

function takeBack(queue: Queue, nowMs: number): void {
  if (queue.aside.length === 0) return
  const back = queue.aside.filter(({ notBeforeMs }) => notBeforeMs <= nowMs)
  queue.aside = queue.aside.filter(({ notBeforeMs }) => notBeforeMs > nowMs)
  for (const waiter of back) {
    const line = queue.lines[waiter.rank]!
    const at = line.findIndex(({ order }) => order > waiter.order)
    line.splice(at === -1 ? line.length : at, 0, waiter)
  }
}

function everyone(queue: Queue): Waiter[] {
  return [...queue.lines.flat(), ...queue.aside]
}

function remove(queue: Queue, waiter: Waiter): void {
  for (const line of [...queue.lines, queue.aside]) {
    const at = line.indexOf(waiter)
    if (at !== -1) line.splice(at, 1)
  }
}

function reject(queue: Queue, waiter: Waiter, err: Error): void {
  remove(queue, waiter)
  waiter.reject(err)
}
