import type { Decision, Facts, StepPath } from './decision.js'
import { type JourneyOfRuns, placesOf } from './definition.js'
import { isUnknown, stepKindOf } from './steps.js'

export type RunPosition = { path: StepPath; /** When the run came to this step. */ arrivedAt: Date }

/** What a run that stands at `position` should do. Pure: the same input gives the same decision, however often it is asked. */
export function decide(journey: JourneyOfRuns, { path, arrivedAt }: RunPosition, facts: Facts): Decision {
  const places = placesOf(journey)
  // Inside a step that is unknown there may be places, too.
  const placed =
    places.get(path) ?? [...places.values()].find((p) => isUnknown(p.step) && path.startsWith(`${p.path}.`))
  if (placed === undefined) return { kind: 'end' }
  const { step, stepId } = placed
  if (isUnknown(step)) return { kind: 'hold', stepId, reason: step.unknown }
  return stepKindOf(step).decide(step, { facts, path, stepId, arrivedAt, then: nextPath(journey, path) })
}

/** The step after `path`: the next sibling, or what follows the branch that `path` is in. */
function nextPath(journey: JourneyOfRuns, path: StepPath): StepPath | undefined {
  const known = placesOf(journey)
  const parts = path.split('.').map(Number)
  while (parts.length > 0) {
    const sibling = [...parts.slice(0, -1), parts.at(-1)! + 1].join('.')
    if (known.has(sibling)) return sibling
    parts.splice(-2) // leave the arm and its branch step's last index…
    if (parts.length === 0) return undefined
  }
  return undefined
}
