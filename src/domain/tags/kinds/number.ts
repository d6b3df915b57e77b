import { z } from 'zod'
import { said } from '../../../said.js'
import type { Path } from '../../reference.js'
import { ABSENT, constant } from '../../rules/comparisons.js'
import type { Num, Text } from '../../rules/expression.js'
import { Aggregate } from '../../rules/fields.js'
import { propertyMistakes } from '../../rules/known.js'
import { describeRule, Rule } from '../../rules/rule.js'
import { absentIfNone, countOf, edgesOf, lastOf, sumOf } from '../../rules/windows.js'
import { type Asked, common, type TagBuild, type TagKind } from './kind.js'

/** Points for evidence; no evidence at all leaves the score unknown. */
const Score = z.strictObject({
  points: z.array(Aggregate.extend({ weight: z.number().describe(said('每个事件几分', 'points per event')) })).min(1),
  max: z.number().int().positive().default(100),
  unless: Rule.optional().describe(said('成立时分数为 0，不看别的', 'when this holds the score is 0, evidence or not')),
})
type Score = z.infer<typeof Score>

const NumberTag = z.strictObject({
  ...common,
  type: z.literal('number'),
  value: Aggregate.optional(),
  score: Score.optional(),
})

/** A figure of the person's events, or a score of points for them. */
export const number: TagKind<typeof NumberTag> = {
  schema: NumberTag,
  words: { zh: '数字', en: 'a number' },
  say: (value) => value,
  rules: ({ score }) => (score?.unless === undefined ? [] : [{ rule: score.unless, path: ['score', 'unless'] }]),
  refersTo: ({ value, score }) => [
    ...(value === undefined ? [] : [{ kind: 'event' as const, name: value.event, path: ['value', 'event'] }]),
    ...(score?.points ?? []).map((p, i) => ({
      kind: 'event' as const,
      name: p.event,
      path: ['score', 'points', i, 'event'],
    })),
  ],
  edges: ({ value, score }) =>
    [...(value === undefined ? [] : [value]), ...(score?.points ?? [])].map((a) => edgesOf(a)),
  countedFrom: ({ value }) => (value?.daysSince === true ? value.event : undefined),
  // One of the two is there: see `lint`.
  value: ({ value, score }, build) => (score === undefined ? aggregateText(value!, build) : scoreText(score, build)),
  values: () => 'number',
  lint({ id, value, score }, known) {
    const computed = [value?.count, value?.sum, value?.daysSince].filter((x) => x !== undefined)
    return [
      ...((value === undefined) === (score === undefined)
        ? [
            {
              path: [],
              message: said(
                `数字标签 "${id}" 要写 value 或 score`,
                `tag "${id}" of type number needs either value or score`,
              ),
              hint: said('两个里写一个', 'give one of the two'),
            },
          ]
        : []),
      ...[...(value === undefined ? [] : [{ aggregate: value, at: ['value'] }]), ...pointsOf(score)].flatMap(
        ({ aggregate, at }) => {
          const read = aggregate.sum === undefined ? [] : [{ property: aggregate.sum, path: ['sum'] }]
          return propertyMistakes(aggregate, read, known).map((m) => ({ ...m, path: [...at, ...m.path] }))
        },
      ),
      ...(value !== undefined && computed.length !== 1
        ? [
            {
              path: ['value'],
              message: said(`标签 "${id}" 没有说算什么`, `tag "${id}" does not say what to compute`),
              hint: said(
                '写一个：count: true、sum: <属性>、daysSince: true',
                'give one of count: true, sum: <property>, daysSince: true',
              ),
            },
          ]
        : []),
    ]
  },
  asked: ({ value, score }) => [
    ...(value === undefined ? [] : [askedOf(value)]),
    ...(score?.points ?? []).map(({ weight, ...aggregate }) => askedOf(aggregate, weight)),
    ...(score?.unless === undefined ? [] : [{ rule: { not: score.unless } }]),
  ],
  writeback: () => [],
}

function pointsOf(score: Score | undefined): { aggregate: Aggregate; at: Path }[] {
  return (score?.points ?? []).map((aggregate, i) => ({ aggregate, at: ['score', 'points', i] }))
}

function aggregateText(a: Aggregate, build: TagBuild): Text {
  return { text: 'choice', cases: [absentIfNone(build, a, a.sum)], otherwise: figureText(a, build) }
}

function figureText(a: Aggregate, build: TagBuild): Text {
  if (a.sum !== undefined) return { text: 'figure', of: sumOf(build, a, a.sum), per: 1 }
  if (a.daysSince === true) return { text: 'instant', of: lastOf(build, a) }
  return { text: 'figure', of: countOf(build, a), per: 1 }
}

function scoreText(score: Score, build: TagBuild): Text {
  const columns = score.points.map((p) => countOf(build, p).column)
  // Weights may be fractions: points are added in thousandths so that the sum is an integer on every engine.
  const points: Num = {
    num: 'sum',
    terms: score.points.map((p, i) => ({ weight: Math.round(p.weight * 1000), column: columns[i]! })),
  }
  const evidence: Num = { num: 'sum', terms: columns.map((column) => ({ weight: 1, column })) }
  const none = { when: { bool: 'compare', of: evidence, sign: '=', to: 0 } as const, value: ABSENT }
  const blocked = score.unless === undefined ? [] : [{ when: build.test(score.unless), value: constant('0') }]
  return {
    text: 'choice',
    cases: [none, ...blocked],
    otherwise: { text: 'figure', of: points, per: 1000, min: 0, max: score.max },
  }
}

/** Bounds that every number meets, so that the clause shows its figure and asks nothing of it. */
const ANY = { gte: Number.MIN_SAFE_INTEGER }

function askedOf({ count: _count, sum, daysSince, ...windowed }: Aggregate, weight?: number): Asked {
  const rule: Rule =
    sum !== undefined
      ? { ...windowed, sum: { [sum]: ANY } }
      : daysSince === true
        ? { ...windowed, daysSince: ANY }
        : windowed
  const what = sum !== undefined ? `sum ${sum}` : daysSince === true ? 'daysSince' : 'count'
  return { rule, words: `${describeRule(windowed)}, ${what}${weight === undefined ? '' : ` × ${weight}`}` }
}
