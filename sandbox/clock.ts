import { type Clock, elapsedMs, systemClock } from '../src/time.js'

/** `real`; `20x`: so many times faster; `step`: stands still but for `advanceTo`; or a clock of the caller's own. */
export type ClockMode = 'real' | 'step' | `${number}x` | VirtualClock

/** A clock that somebody else moves, e.g. a simulator. */
export interface VirtualClock extends Clock {
  /** Resolves `ms` of this clock later, or as soon as the signal is aborted; never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
  /** Stands still until the work, which it cannot see (sockets), is done. */
  hold?<T>(work: Promise<T>): Promise<T>
}

export interface SandboxClock extends VirtualClock {
  readonly kind: 'real' | 'step' | 'fast' | 'virtual'
  /** Milliseconds of this clock per millisecond of real time, as far as clients with a real clock are concerned. */
  readonly speed: number
  /** Moves a stepped clock; the others ignore it. */
  set(atMs: number): void
}

/** What a fast clock is driven by. */
export interface RealTime {
  /** Since an arbitrary start. */
  elapsedMs(): number
  /** Resolves `ms` later, or as soon as the signal is aborted; never rejects. */
  wait(ms: number, signal?: AbortSignal): Promise<void>
}

/** Longest that one timer can wait. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1

/**
 * @param startMs - where a stepped or fast clock starts
 * @param real - default: this machine's
 */
export function openClock(mode: ClockMode, startMs: number, real: RealTime = { elapsedMs, wait }): SandboxClock {
  if (mode === 'real')
    return {
      kind: 'real',
      speed: 1,
      now: () => systemClock.now(),
      sleep: (ms, signal) => real.wait(ms, signal),
      set: () => undefined,
    }
  if (mode === 'step') {
    let atMs = startMs
    return {
      kind: 'step',
      speed: 1,
      now: () => new Date(atMs),
      sleep: (ms, signal) => real.wait(ms, signal),
      set: (ms) => (atMs = ms),
    }
  }
  if (typeof mode === 'object') {
    return {
      kind: 'virtual',
      speed: 1,
      now: () => mode.now(),
      sleep: (ms, signal) => mode.sleep(ms, signal),
      ...(mode.hold === undefined ? {} : { hold: (work) => mode.hold!(work) }),
      set: () => undefined,
    }
  }
  const speed = speedOf(mode)
  if (speed === undefined) throw new RangeError(`clock "${mode}": use real, step or a speed like 60x`)
  const origin = real.elapsedMs()
  return {
    kind: 'fast',
    speed,
    now: () => new Date(startMs + Math.floor((real.elapsedMs() - origin) * speed)),
    sleep: (ms, signal) => real.wait(ms / speed, signal),
    set: () => undefined,
  }
}

/** How many times faster than real time; `undefined` when it is no `<N>x` with N above 0. */
export function speedOf(mode: string): number | undefined {
  const speed = Number(/^(\d+(?:\.\d+)?)x$/.exec(mode)?.[1])
  return speed > 0 ? speed : undefined
}

function wait(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) return resolve()
    const onAbort = () => {
      clearTimeout(timer)
      resolve()
    }
    const timer = setTimeout(
      () => {
        signal?.removeEventListener('abort', onAbort)
        resolve()
      },
      Math.min(ms, MAX_TIMEOUT_MS),
    )
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}
