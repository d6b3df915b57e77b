import { z } from 'zod'
import { compareAll, isPresent } from '../comparisons.js'
import { comparators, sayFields } from '../fields.js'
import type { Clause } from './clause.js'

const TraitClause = z.strictObject({
  trait: z.string(),
  exists: z.boolean().optional(),
  has: z
    .string()
    .min(1)
    .describe('one entry of a list with commas, e.g. the WeCom tag 等级/重要 of wecom_tags')
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
