import type { Rule } from '../rules/rule.js'
import type { StepPath } from './decision.js'
import { type JourneyOfRuns, placeSteps } from './definition.js'
import { isUnknown, stepKindOf } from './steps.js'

/** The rules that a run which stands at `from` may still ask. */
export function rulesAhead(journey: Pick<JourneyOfRuns, 'steps'>, from: StepPath): Rule[] {
  return placeSteps(journey.steps)
    .filter(({ path, step }) => !isUnknown(step) && isAhead(path, from))
    .flatMap(({ step }) =>
      isUnknown(step)
        ? []
        : stepKindOf(step)
            .parts(step)
            .flatMap((part) => ('rule' in part ? [part.rule] : [])),
    )
}

/** A path is a step, an arm, a step, …: at the first difference a later step is ahead, another arm is not. */
function isAhead(path: StepPath, from: StepPath): boolean {
  const [there, here] = [path.split('.').map(Number), from.split('.').map(Number)]
  const at = there.findIndex((part, i) => part !== here[i])
  if (at === -1) return there.length === here.length
  return at >= here.length || (at % 2 === 0 && there[at]! > here[at]!)
}
