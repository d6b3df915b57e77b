import { forLog } from './escape.js'
import { MINUTE_MS, systemClock } from './time.js'

export type LogFields = Record<string, string | number | boolean | undefined>

/** ERROR: someone must act. WARN: healed itself. INFO: one line per business fact, ids as fields. */
export interface Log {
  info(fact: string, fields?: LogFields): void
  warn(fact: string, fields?: LogFields): void
  error(fact: string, fields?: LogFields & { cause?: string }): void
}

/** One JSON object a line. */
export function jsonLog(write: (line: string) => void): Log {
  const line = (level: string) => (fact: string, fields?: LogFields) =>
    write(forLog(JSON.stringify({ at: systemClock.now().toISOString(), level, fact, ...fields })))
  return { info: line('info'), warn: line('warn'), error: line('error') }
}

/** A log that keeps lines back. */
export interface ThrottledLog extends Log {
  /** Tells what is kept back: whoever used it ends. */
  flush(): void
}

/** A minute of a trouble that repeats is one line. */
const THROTTLE_MS = MINUTE_MS

/**
 * The same log, but of one warning (by its fact) and of one error within a minute only the first is written at once. When the
 * minute is over the last of the others is, and says how many beside it were not: none is left out of the count, also where the
 * trouble has ended.
 */
export function throttled(log: Log): ThrottledLog {
  const kept = new Map<string, { times: number; tell: () => void; timer: NodeJS.Timeout }>()
  const once =
    (level: 'warn' | 'error') =>
    (fact: string, fields?: LogFields): void => {
      const key = `${level} ${fact}`
      const before = kept.get(key)
      if (before !== undefined) {
        before.times++
        const notShown = before.times - 1
        before.tell = () => log[level](fact, { ...fields, ...(notShown > 0 && { notShown }) })
        return
      }
      const begin = (): void => {
        const entry = { times: 0, tell: () => undefined, timer: setTimeout(end, THROTTLE_MS).unref() }
        kept.set(key, entry)
      }
      const end = (): void => {
        const { times, tell } = kept.get(key)! // it is there until it ends
        kept.delete(key)
        if (times === 0) return
        tell()
        begin()
      }
      log[level](fact, fields)
      begin()
    }
  return {
    info: (fact, fields) => log.info(fact, fields),
    warn: once('warn'),
    error: once('error'),
    flush: () => {
      for (const { tell, timer } of kept.values()) {
        clearTimeout(timer)
        tell()
      }
      kept.clear()
    },
  }
}

/** For tests and for commands whose output is for people. */
export const quietLog: Log = { info: () => undefined, warn: () => undefined, error: () => undefined }
