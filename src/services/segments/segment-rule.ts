import type { Rule } from '../../domain/rules/rule.js'
import { notDefined } from '../definitions/not-defined.js'
import type { Deps } from '../runtime/deps.js'

/** The rule behind a segment. @throws {NotFoundError} */
export function segmentRule({ definitions }: Pick<Deps, 'definitions'>, segmentId: string): Rule {
  const { segments } = definitions.current
  const rule = segments.get(segmentId)
  if (rule === undefined) throw notDefined('segment', segmentId, [...segments.keys()], 'config/segments.yaml')
  return rule
}
