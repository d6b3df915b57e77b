import type { StepChannel } from '../touches/channels.js'
import type { LocalText } from '../local-text.js'
import type { Rule } from '../rules/rule.js'

/** Where in the tree a step stands: `2`, `2.0.1` (third step, first arm, second step). */
export type StepPath = string

export type Facts = {
  now: Date
  timeZone: string
  /** Values of the rules that `ask` named, in its order; absent while they have not been asked for. */
  rules?: readonly boolean[]
}

/** What should happen next. Data only; a service carries it out. */
export type Decision =
  | { kind: 'sleep'; until: Date }
  | { kind: 'ask'; rules: readonly Rule[] }
  | { kind: 'send'; stepId: string; channel: StepChannel; contentId: string; then: StepPath | undefined }
  | {
      kind: 'task'
      stepId: string
      step: { task: { title: LocalText; script: string; due: number } }
      then: StepPath | undefined
    }
  | { kind: 'goto'; path: StepPath }
  /** Nobody here can say: the run waits for a version of this program that can. */
  | { kind: 'hold'; stepId: string; reason: string }
  | { kind: 'end' }

/** What a step is asked on. */
export type Standing = {
  facts: Facts
  path: StepPath
  stepId: string
  /** When the run came to this step. */
  arrivedAt: Date
  /** What follows this step; absent at the end. */
  then: StepPath | undefined
}

export function goTo(path: StepPath | undefined): Decision {
  return path === undefined ? { kind: 'end' } : { kind: 'goto', path }
}
