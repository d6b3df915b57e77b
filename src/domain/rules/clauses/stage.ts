import { z } from 'zod'
import { comparesOrIsPresent } from '../comparisons.js'
import { Name, sayFields } from '../fields.js'
import type { Clause } from './clause.js'

/** The id under which the lifecycle stage is kept among the tags. */
export const STAGE_TAG = 'lifecycle_stage'

const StageClause = z.strictObject({ stage: z.union([Name, z.array(Name).min(1)]) })

/** The person is in one of these stages of the lifecycle. */
export const stage: Clause<z.infer<typeof StageClause>> = {
  schema: StageClause,
  words: { zh: '生命周期阶段', en: 'a lifecycle stage' },
  say: sayFields,
  parts: () => [],
  refersTo: (clause) => [clause.stage].flat().map((name) => ({ kind: 'stage', name, path: ['stage'] })),
  lint: () => [],
  demands: ({ stage }, { tags }) => [
    { of: `tag ${STAGE_TAG}`, tests: { in: [stage].flat() }, values: tags.get(STAGE_TAG) },
  ],
  edges: () => [],
  test: (clause, build) => comparesOrIsPresent(build.tag(STAGE_TAG), { in: [clause.stage].flat() }),
  figure: (_clause, build) => build.tag(STAGE_TAG),
}
