import type { DefinedKind, Path, Reference } from '../reference.js'
import { clauses, type PlacedRule } from '../rules/rule.js'
import type { FiledRule } from '../rules/mistakes.js'
import { ruleReferences } from '../rules/references.js'
import type { Journey } from './definition.js'
import { isUnknown, type Step, stepKindOf } from './steps.js'

/** What a journey names that files define: by its entry, exits and goal, and by every step of every arm. */
export function journeyReferences(journey: Partial<Journey>): Reference<DefinedKind>[] {
  return [...journeyNames(journey), ...journeyRules(journey).flatMap(({ rule, path }) => ruleReferences(rule, path))]
}

/** What it names outside its rules. */
export function journeyNames({ enter, exit, goal, steps = [] }: Partial<Journey>): Reference<DefinedKind>[] {
  const named = (name: string, path: Path): Reference<DefinedKind> => ({ kind: 'event', name, path })
  return [
    ...(enter !== undefined && 'on' in enter ? [named(enter.on, ['enter', 'on'])] : []),
    ...(exit === undefined ? [] : [exit.on].flat().map((name) => named(name, ['exit', 'on']))),
    ...(goal === undefined ? [] : [named(goal.event, ['goal', 'event'])]),
    ...stepsIn(steps, ['steps']).flatMap(({ step, path }) =>
      stepKindOf(step)
        .refersTo(step)
        .map((r) => ({ ...r, path: [...path, ...r.path] })),
    ),
  ]
}

/** Its rules: of the entry, and of every arm. */
export function journeyRules({ enter, steps = [] }: Partial<Journey>): FiledRule[] {
  const arms = stepsIn(steps, ['steps']).flatMap(({ step, path }) =>
    stepKindOf(step)
      .parts(step)
      .flatMap((part): PlacedRule[] => ('rule' in part ? [{ rule: part.rule, path: [...path, ...part.path] }] : [])),
  )
  if (enter === undefined) return arms
  if (!('on' in enter)) return [{ rule: enter.when, path: ['enter', 'when'] }, ...arms]
  if (enter.if === undefined) return arms
  // Of whoever the event lets in, it is among what has happened.
  const given = clauses.event.demands({ event: enter.on }, { properties: new Map(), tags: new Map() })
  return [{ rule: enter.if, path: ['enter', 'if'], given }, ...arms]
}

type KnownStep = Exclude<Step, { unknown: string }>

function stepsIn(steps: readonly Step[], path: Path): { step: KnownStep; path: Path }[] {
  return steps.flatMap((step, i) => {
    if (isUnknown(step)) return []
    const placed = [...path, i]
    const arms = stepKindOf(step).parts(step)
    return [
      { step, path: placed },
      ...arms.flatMap((part) => ('rule' in part ? [] : stepsIn(part.steps, [...placed, ...part.path]))),
    ]
  })
}
