import { forLog } from './escape.js'
import { elapsedMs, MINUTE_MS, systemClock } from './time.js'

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

/** A minute of a trouble that repeats is one line. */
const THROTTLE_MS = MINUTE_MS

/**
 * The same log, but of one warning (by its fact) and of one error within a minute only the first is written; the next one after
 * that says how many were not.
 */
export function throttled(log: Log): Log {
  const last = new Map<string, { atMs: number; left: number }>()
  const once =
    (level: 'warn' | 'error') =>
    (fact: string, fields?: LogFields): void => {
      const before = last.get(`${level} ${fact}`)
      if (before !== undefined && elapsedMs() - before.atMs < THROTTLE_MS) {
        before.left++
        return
      }
      last.set(`${level} ${fact}`, { atMs: elapsedMs(), left: 0 })
      log[level](fact, { ...fields, ...(before !== undefined && before.left > 0 && { notShown: before.left }) })
    }
  return { info: (fact, fields) => log.info(fact, fields), warn: once('warn'), error: once('error') }
}

/** For tests and for commands whose output is for people. */
export const quietLog: Log = { info: () => undefined, warn: () => undefined, error: () => undefined }
