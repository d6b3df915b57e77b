import { z } from 'zod'
import { said } from '../../said.js'
import { DurationMs } from '../../parse.js'
import { Rule } from '../rules/rule.js'
import { LocalText } from '../local-text.js'
import { isCron } from '../schedule.js'
import type { StepPath } from './decision.js'
import { isUnknown, PublishedSteps, type Step, stepKindOf, Steps } from './steps.js'

const Ratio = z
  .union([z.number().min(0).max(0.9), z.string().regex(/^\d{1,2}(\.\d+)?%$/)])
  .describe(said('写 10% 或 0.1', '10% or 0.1'))
  .transform((v) => (typeof v === 'number' ? v : Number(v.slice(0, -1)) / 100))

const EventName = z
  .string()
  .regex(/^[a-z][a-z0-9_]*$/, said('事件名用小写字母、数字和下划线', 'an event name is snake_case'))

/** Everything a file in `journeys/` may contain; the file name is the id. */
export const Journey = z.strictObject({
  id: z
    .string()
    .regex(/^[a-z][a-z0-9-]{1,63}$/, said('旅程 id 用小写字母、数字和短横', 'a journey id is lower case with dashes')),
  name: LocalText,
  purpose: z.string().optional(),
  enter: z.union([
    z.strictObject({ when: Rule }).describe(said('规则变为成立时进入', 'enters when the rule becomes true')),
    z
      .strictObject({ on: EventName, if: Rule.optional() })
      .describe(said('事件到达且规则成立时进入', 'enters when the event arrives and the rule holds')),
    z
      .strictObject({
        every: z
          .string()
          .refine(isCron, said('不是 cron 表达式，如 "0 10 * * 1"', 'not a cron expression such as "0 10 * * 1"')),
        when: Rule,
      })
      .describe(said('到这些时刻时规则成立的每个人', 'everyone for whom the rule holds at these times')),
  ]),
  reenter: z
    .strictObject({ after: DurationMs, max: z.number().int().min(1).max(1000) })
    .optional()
    .describe(said('不写表示一生只进一次', 'without it, once in a lifetime')),
  exit: z.strictObject({ on: z.union([EventName, z.array(EventName).min(1)]) }).optional(),
  goal: z
    .strictObject({ event: EventName, within: DurationMs })
    .describe(said('旅程的目标；两组都从进入时算起', 'what it is for, counted from entry in both arms')),
  holdout: Ratio.default(0),
  steps: Steps,
})
export type Journey = z.infer<typeof Journey>

/** A published journey. A version of this program that is older than the publisher's keeps what it cannot read as unknown steps. */
export const PublishedJourney = Journey.extend({ steps: PublishedSteps })

/** Of a published journey, what its runs go by: they go on where a newer version only has other ways in. */
export const JourneyOfRuns = z.object({
  exit: Journey.shape.exit,
  steps: PublishedSteps,
  /** How they came in; absent where only a newer version can read it. */
  enter: Journey.shape.enter.optional().catch(undefined),
})
export type JourneyOfRuns = z.infer<typeof JourneyOfRuns>

export type PlacedStep = { path: StepPath; stepId: string; step: Step }

const placed = new WeakMap<readonly Step[], ReadonlyMap<StepPath, PlacedStep>>()

/** The steps of a definition, which never changes, by path and in file order. */
export function placesOf({ steps }: Pick<JourneyOfRuns, 'steps'>): ReadonlyMap<StepPath, PlacedStep> {
  const known = placed.get(steps) ?? new Map(placeSteps(steps).map((p) => [p.path, p]))
  placed.set(steps, known)
  return known
}

/** Every step with its path, in file order. */
export function placeSteps(steps: readonly Step[], prefix = ''): PlacedStep[] {
  return steps.flatMap((step, i) => {
    const path = `${prefix}${i}`
    const own = { path, stepId: step.id ?? path, step }
    if (isUnknown(step)) return [own]
    const arms = stepKindOf(step)
      .parts(step)
      .filter((part) => 'steps' in part)
    return [own, ...arms.flatMap((arm, j) => placeSteps(arm.steps, `${path}.${j}.`))]
  })
}

/** What must hold of whoever enters; absent where an event alone is enough. */
export function entryRule({ enter }: Pick<Journey, 'enter'>): Rule | undefined {
  return 'on' in enter ? enter.if : enter.when
}

/** The events that end a run. */
export function exitEvents(journey: Pick<Journey, 'exit'>): string[] {
  return journey.exit === undefined ? [] : [journey.exit.on].flat()
}

/** Entry rules are kept beside the tags under this prefix and the journey's id. */
export const ENTRY_PREFIX = 'enter/'

/** Runs are pinned to the version they entered. */
export function pinKey(journeyId: string, version: number): string {
  return `${journeyId}@${version}`
}

/** The journey's id of a `pinKey`. */
export function journeyOfPin(key: string): string {
  return key.slice(0, key.lastIndexOf('@'))
}
