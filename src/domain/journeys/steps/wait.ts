import { z } from 'zod'
import { said } from '../../../said.js'
import { DurationMs } from '../../../parse.js'
import { atTimeOfDay, parseTimeOfDay } from '../../../time.js'
import { goTo } from '../decision.js'
import { common, type StepKind } from './step.js'

const TimeOfDay = z
  .string()
  .describe(said('业务时区的 HH:MM', 'HH:MM in the business time zone'))
  .transform((text, ctx) => {
    const minutes = parseTimeOfDay(text)
    if (minutes === undefined) {
      ctx.addIssue({
        code: 'custom',
        message: said('不是时刻；写成 HH:MM，如 10:00', 'not a time of day; write HH:MM, e.g. 10:00'),
      })
      return z.NEVER
    }
    return minutes
  })

const Wait = z.strictObject({
  ...common,
  wait: z.union([
    DurationMs,
    z.strictObject({ until: TimeOfDay, afterDays: z.number().int().min(0).max(365).default(0) }),
  ]),
})
type Wait = z.infer<typeof Wait>

/** Lets time go by. */
export const wait: StepKind<Wait> = {
  schema: Wait,
  words: { zh: '等待', en: 'wait' },
  parts: () => [],
  refersTo: () => [],
  decide(step, { arrivedAt, facts, then }) {
    const until = wakeAt(step, arrivedAt, facts.timeZone)
    return facts.now < until ? { kind: 'sleep', until } : goTo(then)
  },
}

/** Waits count from the arrival at the step, so that a late job agrees with a punctual one. */
function wakeAt(step: Wait, arrivedAt: Date, timeZone: string): Date {
  if (typeof step.wait === 'number') return new Date(arrivedAt.getTime() + step.wait)
  const first = atTimeOfDay(arrivedAt, step.wait.until, timeZone, step.wait.afterDays)
  return first > arrivedAt ? first : atTimeOfDay(arrivedAt, step.wait.until, timeZone, step.wait.afterDays + 1)
}
