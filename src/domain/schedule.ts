import { CronExpressionParser } from 'cron-parser'

export function isCron(text: string): boolean {
  try {
    CronExpressionParser.parse(text)
    return text.trim().split(/\s+/).length === 5
  } catch {
    return false // not a cron expression: that is the answer
  }
}

/** The first instant of a five-field cron expression strictly after `after`, in a time zone. */
export function nextAt(cron: string, after: Date, timeZone: string): Date {
  return CronExpressionParser.parse(cron, { currentDate: after, tz: timeZone }).next().toDate()
}
