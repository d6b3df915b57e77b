import { z } from 'zod'
import { said } from '../../../said.js'
import { compareAll, isPresent } from '../comparisons.js'
import { comparators, sayFields } from '../fields.js'
import { traitMistakes } from '../known.js'
import type { Clause } from './clause.js'

const TraitClause = z.strictObject({
  trait: z.string(),
  exists: z.boolean().optional(),
  has: z
    .string()
    .min(1)
    .describe(
      said(
        '逗号列表里的一项，如 wecom_tags 里的企微标签 等级/重要',
        'one entry of a list with commas, e.g. the WeCom tag 等级/重要 of wecom_tags',
      ),
    )
    .optional(),
  ...comparators,
})

/** What a source says of the person. */
export const trait: Clause<z.infer<typeof TraitClause>> = {
  schema: TraitClause,
  words: { zh: '特征', en: 'a trait' },
  say: sayFields,
  parts: () => [],
  refersTo: (clause) => [{ kind: 'trait', name: clause.trait, path: ['trait'] }],
  lint: ({ trait }, known) => traitMistakes(trait, ['trait'], known),
  demands({ trait, exists, has: _has, ...tests }) {
    const of = `trait ${trait}`
    const absent = { of, tests: {}, absent: true } as const
    if (exists === false) return Object.keys(tests).length === 0 ? [absent] : [absent, { of, tests: tests }]
    return [{ of, tests: tests }]
  },
  edges: () => [],
  test(clause, build) {
    const text = build.trait(clause.trait)
    const tests = compareAll(text, clause)
    if (clause.has !== undefined) tests.push({ bool: 'listed', of: text, entry: clause.has })
    if (clause.exists === false) tests.push({ bool: 'equals', of: text, to: '' })
    else if (clause.exists === true || tests.length === 0) tests.push(isPresent(text))
    return { bool: 'all', of: tests }
  },
  figure: (clause, build) => build.trait(clause.trait),
}
