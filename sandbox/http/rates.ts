import { HOUR_MS, MINUTE_MS } from '../../src/time.js'

/** Page 90312: one API of one company. Fixed windows on the sandbox's clock; whether the platform's slide is not known. */
const LIMITS = [
  { windowMs: MINUTE_MS, calls: 10_000 },
  { windowMs: HOUR_MS, calls: 150_000 },
]

/** Counts calls per API and window. Kept in memory: a restart is as good as a new window. */
export class Rates {
  private readonly windows = new Map<string, { startMs: number; calls: number }[]>()

  /** Counts one call; false when it is over a limit (45009) until that window ends. */
  take(path: string, now: Date): boolean {
    let windows = this.windows.get(path)
    if (windows === undefined) {
      windows = LIMITS.map(() => ({ startMs: -1, calls: 0 }))
      this.windows.set(path, windows)
    }
    let allowed = true
    LIMITS.forEach(({ windowMs, calls }, i) => {
      const window = windows[i]!
      const startMs = Math.floor(now.getTime() / windowMs) * windowMs
      if (window.startMs !== startMs) Object.assign(window, { startMs, calls: 0 })
      window.calls++
      if (window.calls > calls) allowed = false
    })
    return allowed
  }
}
