import cron from 'node-cron'
import { elapsedMs, SECOND_MS } from '../time.js'

/** A clock of the day that shows less has not been set yet. */
const SET_SINCE_MS = Date.UTC(2020, 0)
/** A clock that goes apart from the one that nobody sets by more than this between two looks has leapt. */
const LEAP_MS = 5 * SECOND_MS

type Task = { destroy(): void | Promise<void> }

/**
 * Wakes at every full minute, the finest that a calendar knows. node-cron makes up for each minute that a clock leaps over, one
 * by one and at a stretch, and stands still until a time that was set back has passed; so a leap ends its task, and another
 * one begins: each jump is one catch-up.
 */
export class Calendar {
  private task: Task | undefined
  private running: Promise<void> | undefined
  private apartMs: number | undefined

  /** @param wake - is expected to catch its own errors */
  constructor(
    private readonly wake: () => Promise<void>,
    private readonly schedule: (everyMinute: () => void) => Task = (everyMinute) =>
      cron.schedule('* * * * *', everyMinute, { suppressMissedWarning: true }),
  ) {}

  /** To be told the time again and again. */
  async follow(now: Date, elapsed = elapsedMs()): Promise<void> {
    const apartMs = now.getTime() - elapsed
    const hasLeapt = this.apartMs !== undefined && Math.abs(apartMs - this.apartMs) > LEAP_MS
    this.apartMs = apartMs
    if (now.getTime() < SET_SINCE_MS) return this.end()
    if (this.task !== undefined && !hasLeapt) return
    await this.end()
    this.task = this.schedule(() => {
      this.running ??= this.wake().finally(() => (this.running = undefined))
    })
    if (hasLeapt) await this.wake()
  }

  async stop(): Promise<void> {
    await this.end()
    await this.running
  }

  private async end(): Promise<void> {
    await this.task?.destroy()
    this.task = undefined
  }
}
