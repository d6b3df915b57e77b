import { z } from 'zod'
import { ASK_BOUNDS } from '../../bounds.js'
import { meant, said } from '../../said.js'
import { nounOf } from '../../domain/reference.js'
import { compileMatching } from '../../domain/rules/compile.js'
import { Rule, ruleRefersTo } from '../../domain/rules/rule.js'
import { InvalidInputError } from '../../errors.js'
import { presentInstant } from '../../stored/runtime.js'
import type { Deps } from '../runtime/deps.js'
import { askPast, type Past, PastQuery, type TagReading, type WhyUnknown } from './ask-past.js'
import { segmentRule } from './segment-rule.js'

/** Of whoever asks; those of files are bounded with their files. */
const BoundedRule = Rule.refine(
  (rule) => JSON.stringify(rule).length <= ASK_BOUNDS.ruleChars,
  said(`规则超过 ${ASK_BOUNDS.ruleChars} 个字`, `holds more than ${ASK_BOUNDS.ruleChars} characters`),
)

export const MatchingQuery = z.strictObject({
  of: z.union([z.strictObject({ segment: z.string() }), z.strictObject({ rule: BoundedRule })]),
  past: PastQuery.optional().describe('absent: now'),
  fromProfileId: z
    .int()
    .positive()
    .optional()
    .describe(said('只要从这个编号起的档案', 'only profiles from this number on')),
  limit: z.int().min(0).max(10_000).default(20).describe(said('给出多少个编号', 'how many numbers to give')),
})
export type MatchingQuery = z.infer<typeof MatchingQuery>

/** Instants are ISO 8601. `tags`: how those were read that the rule asks for, of the past only. */
export type Matching =
  | { result: 'known'; at: string; people: number; profileIds: number[]; tags: Record<string, TagReading> }
  | ({ result: 'unknown'; at: string } & WhyUnknown)

const MatchingRow = z.object({ n: z.number(), first: z.array(z.number()) })

/**
 * Of whom a segment or a rule holds, now or as of an instant that has passed: how many, and the first of them.
 *
 * @throws {NotFoundError} when there is no such segment
 * @throws {InvalidInputError} for a rule that names what is not defined, or an instant that is still to come
 */
export async function findMatching(deps: Deps, query: MatchingQuery): Promise<Matching> {
  const { of, past, fromProfileId, limit } = query
  const rule = 'segment' in of ? segmentRule(deps, of.segment) : checked(deps, of.rule)
  const instant = past === undefined ? await presentInstant(deps.docs.meta, deps.clock) : new Date(past.asOf)
  const asked = past === undefined ? present(deps, instant) : await askPast(deps, past, { id: 'asked', rule })
  const at = instant.toISOString()
  if ('reason' in asked) return { result: 'unknown', at, ...asked }
  const scope = { kind: 'all' as const, ...(fromProfileId !== undefined && { fromProfileId }) }
  const [row] = await deps.events.query(compileMatching(rule, { ...asked.options, scope }, limit), MatchingRow, 'scan')
  return { result: 'known', at, people: row!.n, profileIds: row!.first, tags: asked.tags }
}

function present({ definitions }: Deps, now: Date): Past {
  const { segments, tags } = definitions.current
  return { options: { nowMs: now.getTime(), segments, tags }, tags: {} }
}

function checked({ definitions }: Deps, rule: Rule): Rule {
  const { segments, tags } = definitions.current
  const known = { segment: new Set(segments.keys()), tag: new Set(tags.map((t) => t.id)) }
  const problems = ruleRefersTo(rule, ['of', 'rule']).flatMap(({ kind, name, path }) =>
    (kind !== 'segment' && kind !== 'tag') || known[kind].has(name)
      ? []
      : [
          {
            path: path.join('.'),
            message: said(`没有${nounOf(kind).zh} "${name}"`, `there is no ${kind} "${name}"`),
            hint: meant(
              name,
              known[kind],
              '看 siyu tags list 和 config/segments.yaml',
              'see siyu tags list and config/segments.yaml',
            ),
          },
        ],
  )
  if (problems.length > 0)
    throw new InvalidInputError(said('规则里有不存在的名字', 'The rule names what is not there'), problems)
  return rule
}
