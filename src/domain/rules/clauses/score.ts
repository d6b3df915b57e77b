import { z } from 'zod'
import { comparesOrIsPresent } from '../comparisons.js'
import { comparators, Name, sayFields } from '../fields.js'
import { dayEdges } from '../windows.js'
import type { Clause } from './clause.js'

const { gte, gt, lte, lt } = comparators
const ScoreClause = z.strictObject({ score: Name, gte, gt, lte, lt })

/** A tag that is a number, within bounds. */
export const score: Clause<z.infer<typeof ScoreClause>> = {
  schema: ScoreClause,
  words: { zh: '分数', en: 'a score' },
  say: sayFields,
  parts: () => [],
  refersTo: (clause) => [{ kind: 'tag', name: clause.score, path: ['score'] }],
  lint: () => [],
  demands: ({ score, ...tests }, { tags }) => [{ of: `tag ${score}`, tests: tests, values: tags.get(score) }],
  edges: (clause, countedFrom) => dayEdges(countedFrom(clause.score), clause),
  test: (clause, build) => comparesOrIsPresent(build.tag(clause.score), clause),
  figure: (clause, build) => build.tag(clause.score),
}
