import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Clock } from '../src/time.js'

/** Rounds of the event loop in which nothing may have asked for a timer before time goes on. */
const QUIET_TURNS = 2

type Timer = { atMs: number; order: number; fire: (() => void) | undefined }

/**
 * A clock that jumps: whoever waits on it waits no real time. `run` lets everything that can go on in this process go
 * on, then moves the clock to the earliest timer; timers of one instant fire in the order in which they were asked for,
 * so a run is the same every time. Work outside the event loop (threads, sockets) is not seen: pass it through `hold`.
 */
export class VirtualTime implements Clock {
  private timers: Timer[] = []
  private asked = 0
  private held = 0
  private wakeRun: (() => void) | undefined

  constructor(private nowMs: number) {}

  now(): Date {
    return new Date(this.nowMs)
  }

  /** Resolves `ms` later, or as soon as `signal` is aborted; never rejects. */
  sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      if (signal?.aborted === true) return resolve()
      const onAbort = () => {
        timer.fire = undefined // nobody waits: the clock need not stop there
        resolve()
      }
      const timer = this.add(ms, () => {
        signal?.removeEventListener('abort', onAbort)
        resolve()
      })
      signal?.addEventListener('abort', onAbort, { once: true })
    })

  /** In place of `AbortSignal.timeout`. */
  timeoutSignal = (ms: number): AbortSignal => {
    const ended = new AbortController()
    this.add(ms, () => ended.abort(new DOMException('The operation was aborted due to timeout', 'TimeoutError')))
    return ended.signal
  }

  /** The clock stands still until `work` is done. */
  async hold<T>(work: Promise<T>): Promise<T> {
    this.held++
    try {
      return await work
    } finally {
      if (--this.held === 0) this.wakeRun?.()
    }
  }

  /**
   * Carries out `work` and moves the clock whenever nothing else can go on.
   *
   * @throws {Error} when `work` waits for something that no timer will bring; whatever `work` throws
   */
  async run<T>(work: () => Promise<T>): Promise<T> {
    let settled = false
    const outcome = work().finally(() => {
      settled = true
      this.wakeRun?.()
    })
    outcome.catch(() => undefined) // whoever awaits `run` has the error
    for (;;) {
      await this.quiet(() => settled)
      if (settled) return outcome
      if (this.held > 0) {
        await new Promise<void>((resolve) => (this.wakeRun = resolve))
        continue
      }
      const next = this.pop()
      if (next === undefined) throw new Error('virtual time stands still: the work waits for something without a timer')
      if (next.fire === undefined) continue
      this.nowMs = Math.max(this.nowMs, next.atMs)
      next.fire()
    }
  }

  private async quiet(isOver: () => boolean): Promise<void> {
    for (let turns = 0; turns < QUIET_TURNS && !isOver();) {
      const before = this.asked
      await nextTurn()
      turns = before === this.asked ? turns + 1 : 0
    }
  }

  private add(ms: number, fire: () => void): Timer {
    const timer = { atMs: this.nowMs + Math.max(0, ms), order: this.asked++, fire }
    this.timers.push(timer)
    let at = this.timers.length - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!isBefore(timer, this.timers[parent]!)) break
      this.timers[at] = this.timers[parent]!
      at = parent
    }
    this.timers[at] = timer
    return timer
  }

  private pop(): Timer | undefined {
    const first = this.timers[0]
    const last = this.timers.pop()
    if (last === undefined || this.timers.length === 0) return first
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= this.timers.length) break
      if (child + 1 < this.timers.length && isBefore(this.timers[child + 1]!, this.timers[child]!)) child++
      if (!isBefore(this.timers[child]!, last)) break
      this.timers[at] = this.timers[child]!
      at = child
    }
    this.timers[at] = last
    return first
  }
}

function isBefore(a: Timer, b: Timer): boolean {
  return a.atMs !== b.atMs ? a.atMs < b.atMs : a.order < b.order
}
