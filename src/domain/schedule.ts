import { CronExpressionParser } from 'cron-parser'

export function isCron(text: string): boolean {
  try {
    CronExpressionParser.parse(text)
    return text.trim().split(/\s+/).length === 5
  } catch {
    return false // not a cron expression: that is the answer
  }
}

/** The first instant of a five-field cron expression strictly after `after`, in a time zone. Pure; the latest answers are kept. */
export function nextAt(cron: string, after: Date, timeZone: string): Date {
  const question = `${cron}|${after.getTime()}|${timeZone}`
  let answer = answers.get(question)
  if (answer === undefined) {
    answer = CronExpressionParser.parse(cron, { currentDate: after, tz: timeZone }).next().getTime()
    if (answers.size >= MAX_ANSWERS) answers.clear()
    answers.set(question, answer)
  }
  return new Date(answer)
}

const MAX_ANSWERS = 1_000
const answers = new Map<string, number>()
