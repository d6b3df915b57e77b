import { z } from 'zod'
import { DurationMs } from '../../parse.js'
import { Rule } from '../rules/rule.js'
import { LocalText } from '../local-text.js'
import { isCron } from '../schedule.js'
import { parseTimeOfDay } from '../../time.js'

const Ratio = z
  .union([z.number().min(0).max(0.9), z.string().regex(/^\d{1,2}(\.\d+)?%$/)])
  .describe('10% or 0.1')
  .transform((v) => (typeof v === 'number' ? v : Number(v.slice(0, -1)) / 100))

const TimeOfDay = z
  .string()
  .describe('HH:MM in the business time zone')
  .transform((text, ctx) => {
    const minutes = parseTimeOfDay(text)
    if (minutes === undefined) {
      ctx.addIssue({ code: 'custom', message: 'not a time of day; write HH:MM, e.g. 10:00' })
      return z.NEVER
    }
    return minutes
  })

const StepId = z.string().regex(/^[a-z][a-z0-9-]*$/, 'a step id is lower case with dashes')
const stepCommon = { id: StepId.optional().describe('without one, the path of the step is its id') }

const Send = z.strictObject({
  ...stepCommon,
  send: z.strictObject({
    channel: z
      .enum(['wecom', 'coupon'])
      .describe('wecom: a mass message the guide confirms; coupon: a code, handed over by the guide'),
    content: z.string().describe('id in config/content'),
  }),
})
const Task = z.strictObject({
  ...stepCommon,
  task: z.strictObject({
    title: LocalText,
    script: z.string().describe('id in config/content: the words the guide may use'),
    due: DurationMs.describe('from now until it should be done'),
  }),
})
const Wait = z.strictObject({
  ...stepCommon,
  wait: z.union([
    DurationMs,
    z.strictObject({ until: TimeOfDay, afterDays: z.number().int().min(0).max(365).default(0) }),
  ]),
})
const Exit = z.strictObject({ ...stepCommon, exit: z.literal(true) })

export type Step =
  | z.infer<typeof Send>
  | z.infer<typeof Task>
  | z.infer<typeof Wait>
  | z.infer<typeof Exit>
  | { id?: string | undefined; branch: ({ if: Rule; do: Step[] } | { else: Step[] })[] }

const Branch = z.strictObject({
  ...stepCommon,
  branch: z
    .array(
      z.union([z.strictObject({ if: Rule, do: z.lazy(() => Steps) }), z.strictObject({ else: z.lazy(() => Steps) })]),
    )
    .min(1)
    .refine((arms) => arms.every((a, i) => 'if' in a || i === arms.length - 1), '`else` comes last, once'),
})
const Step: z.ZodType<Step> = z.lazy(() => z.union([Send, Task, Wait, Exit, Branch]))
const Steps: z.ZodType<Step[]> = z.array(Step).min(1)

const EventName = z.string().regex(/^[a-z][a-z0-9_]*$/, 'an event name is snake_case')

/** Everything a file in `journeys/` may contain; the file name is the id. */
export const Journey = z.strictObject({
  id: z.string().regex(/^[a-z][a-z0-9-]{1,63}$/, 'a journey id is lower case with dashes'),
  name: LocalText,
  purpose: z.string().optional(),
  enter: z.union([
    z.strictObject({ when: Rule }).describe('enters when the rule becomes true'),
    z.strictObject({ on: EventName, if: Rule.optional() }).describe('enters when the event arrives and the rule holds'),
    z
      .strictObject({ every: z.string().refine(isCron, 'not a cron expression such as "0 10 * * 1"'), when: Rule })
      .describe('everyone for whom the rule holds at these times'),
  ]),
  reenter: z
    .strictObject({ after: DurationMs, max: z.number().int().min(1).max(1000) })
    .optional()
    .describe('without it, once in a lifetime'),
  exit: z.strictObject({ on: z.union([EventName, z.array(EventName).min(1)]) }).optional(),
  goal: z
    .strictObject({ event: EventName, within: DurationMs })
    .describe('what it is for, counted from entry in both arms'),
  holdout: Ratio.default(0),
  steps: Steps,
})
export type Journey = z.infer<typeof Journey>

/** Where in the tree a step stands: `2`, `2.0.1` (third step, first arm, second step). */
export type StepPath = string

export type PlacedStep = { path: StepPath; stepId: string; step: Step }

/** Every step with its path, in file order. */
export function placeSteps(steps: readonly Step[], prefix = ''): PlacedStep[] {
  return steps.flatMap((step, i) => {
    const path = `${prefix}${i}`
    const placed = [{ path, stepId: step.id ?? path, step }]
    if (!('branch' in step)) return placed
    return [...placed, ...step.branch.flatMap((arm, j) => placeSteps('if' in arm ? arm.do : arm.else, `${path}.${j}.`))]
  })
}

/** The events that end a run. */
export function exitEvents(journey: Journey): string[] {
  return journey.exit === undefined ? [] : [journey.exit.on].flat()
}

/** Entry rules are kept beside the tags under this prefix and the journey's id. */
export const ENTRY_PREFIX = 'enter/'

/** Runs are pinned to the version they entered. */
export function pinKey(journeyId: string, version: number): string {
  return `${journeyId}@${version}`
}
