import { forLog } from './escape.js'
import { systemClock } from './time.js'

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

/** For tests and for commands whose output is for people. */
export const quietLog: Log = { info: () => undefined, warn: () => undefined, error: () => undefined }
