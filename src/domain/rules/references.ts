import type { Journey, Step } from '../journeys/definition.js'
import type { Tag } from '../tags/definition.js'
import type { Rule } from './rule.js'

/** A name that a definition uses and somebody else must define. */
export type Reference = {
  kind: 'event' | 'tag' | 'stage' | 'segment' | 'content'
  name: string
  path: (string | number)[]
}

export function ruleReferences(rule: Rule, path: (string | number)[]): Reference[] {
  if ('all' in rule) return rule.all.flatMap((r, i) => ruleReferences(r, [...path, 'all', i]))
  if ('any' in rule) return rule.any.flatMap((r, i) => ruleReferences(r, [...path, 'any', i]))
  if ('not' in rule) return ruleReferences(rule.not, [...path, 'not'])
  if ('event' in rule) return [{ kind: 'event', name: rule.event, path: [...path, 'event'] }]
  if ('tag' in rule) return [{ kind: 'tag', name: rule.tag, path: [...path, 'tag'] }]
  if ('score' in rule) return [{ kind: 'tag', name: rule.score, path: [...path, 'score'] }]
  if ('segment' in rule) return [{ kind: 'segment', name: rule.segment, path: [...path, 'segment'] }]
  if ('stage' in rule) return [rule.stage].flat().map((name) => ({ kind: 'stage', name, path: [...path, 'stage'] }))
  return []
}

export function tagReferences(tag: Tag, path: (string | number)[]): Reference[] {
  if (tag.type === 'flag') return ruleReferences(tag.when, [...path, 'when'])
  if (tag.type === 'choice') return tag.cases.flatMap((c, i) => ruleReferences(c.when, [...path, 'cases', i, 'when']))
  if (tag.type === 'text') return []
  const value: Reference[] =
    tag.value === undefined ? [] : [{ kind: 'event', name: tag.value.event, path: [...path, 'value', 'event'] }]
  const points: Reference[] = (tag.score?.points ?? []).map((p, i) => ({
    kind: 'event',
    name: p.event,
    path: [...path, 'score', 'points', i, 'event'],
  }))
  const unless = tag.score?.unless === undefined ? [] : ruleReferences(tag.score.unless, [...path, 'score', 'unless'])
  return [...value, ...points, ...unless]
}

export function journeyReferences(journey: Journey): Reference[] {
  const { enter } = journey
  const entry: Reference[] =
    'on' in enter
      ? [
          { kind: 'event', name: enter.on, path: ['enter', 'on'] },
          ...(enter.if === undefined ? [] : ruleReferences(enter.if, ['enter', 'if'])),
        ]
      : ruleReferences(enter.when, ['enter', 'when'])
  const exits: Reference[] = (journey.exit === undefined ? [] : [journey.exit.on].flat()).map((name) => ({
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

function stepReferences(steps: readonly Step[], path: (string | number)[]): Reference[] {
  return steps.flatMap((step, i): Reference[] => {
    const at = [...path, i]
    if ('send' in step) return [{ kind: 'content', name: step.send.content, path: [...at, 'send', 'content'] }]
    if ('task' in step) return [{ kind: 'content', name: step.task.script, path: [...at, 'task', 'script'] }]
    if (!('branch' in step)) return []
    return step.branch.flatMap((arm, j) =>
      'if' in arm
        ? [...ruleReferences(arm.if, [...at, 'branch', j, 'if']), ...stepReferences(arm.do, [...at, 'branch', j, 'do'])]
        : stepReferences(arm.else, [...at, 'branch', j, 'else']),
    )
  })
}
