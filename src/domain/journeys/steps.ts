import { z } from 'zod'
import { keyedUnion, toProblems } from '../../parse.js'
import { said } from '../../said.js'
import { type Branch, branch } from './steps/branch.js'
import { exit } from './steps/exit.js'
import { send } from './steps/send.js'
import type { StepKind } from './steps/step.js'
import { task } from './steps/task.js'
import { wait } from './steps/wait.js'

/** The kinds that hold no steps. */
const simple = { send, task, wait, exit }
type Simple = { [K in keyof typeof simple]: z.infer<(typeof simple)[K]['schema']> }[keyof typeof simple]

/** A step that a newer version of this program published, and why this one cannot read it. */
export type UnknownStep = { id?: string | undefined; unknown: string }

type KnownStep = Simple | Branch<Step>
export type Step = KnownStep | UnknownStep
export type StepKindName = keyof typeof simple | 'branch'

/** Every kind of step, by the field that tells it. `steps`: how those inside are read. */
function kindsWith(steps: z.ZodType<Step[]>): {
  [K in StepKindName]: StepKind<Extract<KnownStep, { [k in K]: unknown }>, Step>
} {
  return { ...simple, branch: branch(steps) }
}

/** As people write them: each is of a kind that there is. */
export const Steps: z.ZodType<Step[]> = z
  .array(z.lazy(() => keyedUnion(said('一个步骤', 'a step'), stepKinds) as z.ZodType<Step>))
  .min(1)

/** As they were published, perhaps by a newer version: what it alone can read is kept in its place. */
export const PublishedSteps: z.ZodType<Step[]> = z.array(z.lazy(() => PublishedStep)).min(1)

export const stepKinds = kindsWith(Steps)

const publishedKinds = kindsWith(PublishedSteps)
const PublishedStep: z.ZodType<Step> = z.unknown().transform((raw): Step => {
  const parsed = keyedUnion(said('一个步骤', 'a step'), publishedKinds).safeParse(raw)
  if (parsed.success) return parsed.data
  const { id } = z
    .looseObject({ id: z.string().optional().catch(undefined) })
    .catch({})
    .parse(raw)
  const problems = toProblems(parsed.error, raw).map(({ path, message }) =>
    path === '' ? message : `${path}: ${message}`,
  )
  return { ...(id !== undefined && { id }), unknown: problems.join('; ') }
})

const names = Object.keys(stepKinds) as StepKindName[]

export function isUnknown(step: Step): step is UnknownStep {
  return 'unknown' in step
}

export function stepKindOf(step: KnownStep): StepKind<KnownStep, Step> {
  // The kind was chosen by the step's own field, so it is the one that reads it.
  return stepKinds[names.find((name) => name in step)!]
}
