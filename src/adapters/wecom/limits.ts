import { atTimeOfDay, HOUR_MS, MINUTE_MS, type Clock } from '../../time.js'

/**
 * Messages of one app to one member; what goes beyond is dropped **silently** (errcode 0), so whoever sends must count.
 * @see 发送应用消息, developer.work.weixin.qq.com/document/path/90236 (read 2026-08)
 */
export const APP_MESSAGES_PER_MEMBER = { perMinute: 30, perHour: 1_000 } as const

/** Customers in one `add_msg_template`. @see document/path/92135 (read 2026-08) */
export const MASS_MESSAGE_MAX_RECIPIENTS = 10_000

type Window = { calls: number; windowMs: number }

/** Per company and API. @see 访问频率限制, developer.work.weixin.qq.com/document/path/90312 (read 2026-08) */
const BASIC: readonly Window[] = [
  { calls: 10_000, windowMs: MINUTE_MS },
  { calls: 150_000, windowMs: HOUR_MS },
]

/** APIs (paths below `/cgi-bin/`) with windows of their own. `message/send` is not counted as a basic call. */
const WINDOWS: Readonly<Record<string, readonly Window[]>> = { 'message/send': [] }

/**
 * Whether the platform's windows are fixed or sliding is unknown. A bucket whose burst plus refill fits one window is
 * safe under both: a tenth as burst, nine tenths as refill.
 */
const BURST_RATIO = 0.1

/** The reply to a used-up limit does not say which one: pause a minute, then an hour, then until the next day. */
const BLOCK_TIME_ZONE = 'Asia/Shanghai'

export interface Limiter {
  /** Takes a place in the queue of `api`; resolves to how long to wait before the call, 0 or more. */
  reserveMs(api: string): number
  /** How long `api` is still blocked after 45009. */
  blockedMs(api: string): number
  /** 45009 came back: blocks the API, longer each time in a row. Resolves to the length of the block. */
  blocked(api: string): number
  /** The API answered: the next block is a short one again. */
  passed(api: string): void
}

/** Token buckets and blocks of one process. */
export function createLimiter(clock: Clock): Limiter {
  // For each window, the instant at which its bucket would be full again (GCRA).
  const fullAtMs = new Map<string, number[]>()
  const blocks = new Map<string, { untilMs: number; inARow: number }>()

  const blockedMs = (api: string): number =>
    Math.max(0, (blocks.get(api)?.untilMs ?? -Infinity) - clock.now().getTime())

  return {
    reserveMs(api) {
      const nowMs = clock.now().getTime()
      const windows = WINDOWS[api] ?? BASIC
      const before = fullAtMs.get(api) ?? windows.map(() => nowMs)
      let waitMs = 0
      const after = windows.map(({ calls, windowMs }, i) => {
        const perCallMs = windowMs / (calls * (1 - BURST_RATIO))
        const fullAt = Math.max(before[i] ?? nowMs, nowMs)
        waitMs = Math.max(waitMs, fullAt - nowMs - (calls * BURST_RATIO - 1) * perCallMs)
        return fullAt + perCallMs
      })
      fullAtMs.set(api, after)
      return Math.ceil(waitMs)
    },
    blockedMs,
    blocked(api) {
      const standing = blockedMs(api)
      if (standing > 0) return standing // calls that were under way when the block began do not lengthen it
      const now = clock.now()
      const inARow = (blocks.get(api)?.inARow ?? 0) + 1
      const lengthMs =
        inARow === 1
          ? MINUTE_MS
          : inARow === 2
            ? HOUR_MS
            : atTimeOfDay(now, 0, BLOCK_TIME_ZONE, 1).getTime() - now.getTime()
      blocks.set(api, { untilMs: now.getTime() + lengthMs, inARow })
      return lengthMs
    },
    passed(api) {
      if (blockedMs(api) === 0) blocks.delete(api) // an answer that was under way does not end a block
    },
  }
}
