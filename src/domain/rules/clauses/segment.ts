import { z } from 'zod'
import { ABSENT } from '../comparisons.js'
import { Name, sayFields } from '../fields.js'
import type { Clause } from './clause.js'

const SegmentClause = z.strictObject({ segment: Name })

/** The rule of a saved segment holds. */
export const segment: Clause<z.infer<typeof SegmentClause>> = {
  schema: SegmentClause,
  words: { zh: '人群', en: 'a segment' },
  say: sayFields,
  parts: () => [],
  refersTo: (clause) => [{ kind: 'segment', name: clause.segment, path: ['segment'] }],
  lint: () => [],
  demands: () => [],
  edges: () => [],
  test: (clause, build) => build.segment(clause.segment),
  figure: () => ABSENT,
}
