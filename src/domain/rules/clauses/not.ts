import { z } from 'zod'
import { ABSENT } from '../comparisons.js'
import type { Clause } from './clause.js'

export interface Not<R> {
  not: R
}

/** The rule does not hold. */
export function not<R>(rule: z.ZodType<R>): Clause<Not<R>, R> {
  return {
    schema: z.strictObject({ not: rule }),
    words: { zh: '不满足', en: 'not' },
    say: () => 'not',
    parts: (clause) => [{ rule: clause.not, path: ['not'] }],
    refersTo: () => [],
    lint: () => [],
    demands: () => [],
    edges: () => [],
    test: (_clause, _build, parts) => ({ bool: 'not', of: parts[0]! }),
    figure: () => ABSENT,
  }
}
