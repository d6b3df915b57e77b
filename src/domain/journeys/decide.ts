import type { Rule } from '../rules/rule.js'
import { atTimeOfDay } from '../../time.js'
import { type Journey, placeSteps, type Step, type StepPath } from './definition.js'

export type RunPosition = { path: StepPath; /** When the run came to this step. */ arrivedAt: Date }

export type Facts = {
  now: Date
  timeZone: string
  /** Values of the rules that `rulesNeeded` named, in its order; absent while they have not been asked for. */
  rules?: readonly boolean[]
}

/** What should happen next. Data only; a service carries it out. */
export type Decision =
  | { kind: 'sleep'; until: Date }
  | { kind: 'ask'; rules: readonly Rule[] }
  | { kind: 'send'; stepId: string; channel: 'wecom' | 'coupon'; contentId: string; then: StepPath | undefined }
  | { kind: 'task'; stepId: string; step: Extract<Step, { task: unknown }>; then: StepPath | undefined }
  | { kind: 'goto'; path: StepPath }
  | { kind: 'end' }

/** What a run that stands at `position` should do. Pure: the same input gives the same decision, however often it is asked. */
export function decide(journey: Journey, position: RunPosition, facts: Facts): Decision {
  const placed = placeSteps(journey.steps).find((p) => p.path === position.path)
  if (placed === undefined) return { kind: 'end' }
  const { step, stepId, path } = placed
  const then = nextPath(journey, path)
  if ('wait' in step) {
    const until = wakeAt(step, position.arrivedAt, facts.timeZone)
    if (facts.now < until) return { kind: 'sleep', until }
    return then === undefined ? { kind: 'end' } : { kind: 'goto', path: then }
  }
  if ('branch' in step) {
    const rules = step.branch.flatMap((arm) => ('if' in arm ? [arm.if] : []))
    if (rules.length > 0 && facts.rules === undefined) return { kind: 'ask', rules }
    const taken = step.branch.findIndex((arm, i) => !('if' in arm) || facts.rules?.[i] === true)
    if (taken >= 0) return { kind: 'goto', path: `${path}.${taken}.0` }
    return then === undefined ? { kind: 'end' } : { kind: 'goto', path: then }
  }
  if ('send' in step) return { kind: 'send', stepId, channel: step.send.channel, contentId: step.send.content, then }
  if ('task' in step) return { kind: 'task', stepId, step, then }
  return { kind: 'end' }
}

/** Waits count from the arrival at the step, so that a late job agrees with a punctual one. */
function wakeAt(step: Extract<Step, { wait: unknown }>, arrivedAt: Date, timeZone: string): Date {
  if (typeof step.wait === 'number') return new Date(arrivedAt.getTime() + step.wait)
  const first = atTimeOfDay(arrivedAt, step.wait.until, timeZone, step.wait.afterDays)
  return first > arrivedAt ? first : atTimeOfDay(arrivedAt, step.wait.until, timeZone, step.wait.afterDays + 1)
}

/** The step after `path`: the next sibling, or what follows the branch that `path` is in. */
function nextPath(journey: Journey, path: StepPath): StepPath | undefined {
  const known = new Set(placeSteps(journey.steps).map((p) => p.path))
  const parts = path.split('.').map(Number)
  while (parts.length > 0) {
    const sibling = [...parts.slice(0, -1), parts.at(-1)! + 1].join('.')
    if (known.has(sibling)) return sibling
    parts.splice(-2) // leave the arm and its branch step's last index…
    if (parts.length === 0) return undefined
  }
  return undefined
}
