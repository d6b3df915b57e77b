import { z } from 'zod'
import { said } from '../../../said.js'
import type { DefinedKind, Path, Reference } from '../../reference.js'
import type { PlacedRule } from '../../rules/rule.js'
import type { Decision, Standing } from '../decision.js'

/** What every step has, whatever its kind. */
export const common = {
  id: z
    .string()
    .regex(/^[a-z][a-z0-9-]*$/, said('步骤 id 用小写字母、数字和短横', 'a step id is lower case with dashes'))
    .optional()
    .describe(said('不写时，步骤的位置就是它的 id', 'without one, the path of the step is its id')),
}

/** A rule that a step asks, or the steps of one of its arms; arms are numbered in their order. */
export type StepPart<R> = PlacedRule | { steps: readonly R[]; path: Path }

/**
 * Everything there is to know about one kind of step. A step is known by the field that has the kind's name.
 * `R`: any step, for the kinds that hold steps.
 */
export interface StepKind<S, R = never> {
  schema: z.ZodType<S>
  /** What the kind is called. */
  words: { zh: string; en: string }
  /** The rules and steps it holds, in the order of the file, each with its path from here. */
  parts(step: S): readonly StepPart<R>[]
  /** What it names that files define; its parts name for themselves. */
  refersTo(step: S): readonly Reference<DefinedKind>[]
  /** What a run that stands here should do. Pure: asked twice, it says the same. */
  decide(step: S, at: Standing): Decision
}
