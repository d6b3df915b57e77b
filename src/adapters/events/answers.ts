import { MINUTE_MS, SECOND_MS } from '../../time.js'

type Line = { quietMs: number; timer: NodeJS.Timeout; waiting: Set<(err: Error) => void> }

/**
 * Notices an engine that no longer answers. What it computes in this process cannot be broken off, and holds whatever stands in
 * line behind it: from then on every act is refused at once. Waiting is counted tick by tick and not read from a clock, so that
 * a machine which slept is no reason.
 */
export class Answers {
  private silent: Error | undefined
  private readonly lines = new Map<unknown, Line>()

  /** @param onSilent - is told once; returns what waiting and later acts are refused with */
  constructor(
    private readonly onSilent: (line: unknown, waitedMs: number) => Error,
    private readonly tickMs = SECOND_MS,
  ) {}

  /** The engine has stopped answering. */
  get isSilent(): boolean {
    return this.silent !== undefined
  }

  /** Runs an act. @param line - what acts one after the other @param limitMs - longest that none of the line's acts ends */
  run<T>(line: unknown, limitMs: number, act: () => Promise<T>): Promise<T> {
    if (this.silent !== undefined) return Promise.reject(this.silent)
    const at = this.lines.get(line) ?? this.watch(line, limitMs)
    return new Promise<T>((resolve, reject) => {
      at.waiting.add(reject)
      const ended = () => {
        at.waiting.delete(reject)
        at.quietMs = 0
        if (at.waiting.size > 0) return
        clearInterval(at.timer)
        this.lines.delete(line)
      }
      act().finally(ended).then(resolve, reject)
    })
  }

  private watch(line: unknown, limitMs: number): Line {
    const tick = () => {
      at.quietMs += this.tickMs
      if (at.quietMs > limitMs) this.fallSilent(line, at.quietMs)
    }
    const at: Line = { quietMs: 0, timer: setInterval(tick, this.tickMs).unref(), waiting: new Set() }
    this.lines.set(line, at)
    return at
  }

  private fallSilent(line: unknown, waitedMs: number): void {
    const err = (this.silent = this.onSilent(line, waitedMs))
    for (const { timer, waiting } of this.lines.values()) {
      clearInterval(timer)
      for (const reject of waiting) reject(err)
    }
    this.lines.clear()
  }
}

/** Of a statement that its engine is to end after `limitMs`: far beyond. */
export const silentAfterMs = (limitMs: number): number => Math.max(2 * limitMs, 5 * MINUTE_MS)
