import type { DefinedKind, Path, Reference } from '../reference.js'
import { ruleReferences } from '../rules/references.js'
import type { Journey } from './definition.js'
import { isUnknown, type Step, stepKindOf } from './steps.js'

/** What a journey names that files define: by its entry, exits and goal, and by every step of every arm. */
export function journeyReferences(journey: Journey): Reference<DefinedKind>[] {
  const { enter } = journey
  const entry: Reference<DefinedKind>[] =
    'on' in enter
      ? [
          { kind: 'event', name: enter.on, path: ['enter', 'on'] },
          ...(enter.if === undefined ? [] : ruleReferences(enter.if, ['enter', 'if'])),
        ]
      : ruleReferences(enter.when, ['enter', 'when'])
  const exits: Reference<DefinedKind>[] = (journey.exit === undefined ? [] : [journey.exit.on].flat()).map((name) => ({
    kind: 'event',
    name,
    path: ['exit', 'on'],
  }))
  return [
    ...entry,
    ...exits,
    { kind: 'event', name: journey.goal.event, path: ['goal', 'event'] },
    ...stepReferences(journey.steps, ['steps']),
  ]
}

function stepReferences(steps: readonly Step[], path: Path): Reference<DefinedKind>[] {
  return steps.flatMap((step, i) => {
    if (isUnknown(step)) return []
    const kind = stepKindOf(step)
    const placed = (at: Path) => [...path, i, ...at]
    return [
      ...kind.refersTo(step).map((r) => ({ ...r, path: placed(r.path) })),
      ...kind
        .parts(step)
        .flatMap((part) =>
          'rule' in part ? ruleReferences(part.rule, placed(part.path)) : stepReferences(part.steps, placed(part.path)),
        ),
    ]
  })
}
