import { z } from 'zod'
import { ABSENT } from '../comparisons.js'
import type { Clause } from './clause.js'

export interface Any<R> {
  any: R[]
}

/** At least one of the rules holds. */
export function any<R>(rule: z.ZodType<R>): Clause<Any<R>, R> {
  return {
    schema: z.strictObject({ any: z.array(rule).min(1) }),
    words: { zh: '任一满足', en: 'any of' },
    say: () => 'any',
    parts: (clause) => clause.any.map((r, i) => ({ rule: r, path: ['any', i] })),
    refersTo: () => [],
    lint: () => [],
    demands: () => [],
    edges: () => [],
    test: (_clause, _build, parts) => ({ bool: 'any', of: [...parts] }),
    figure: () => ABSENT,
  }
}
