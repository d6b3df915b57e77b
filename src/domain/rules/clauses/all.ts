import { z } from 'zod'
import { ABSENT } from '../comparisons.js'
import type { Clause } from './clause.js'

export interface All<R> {
  all: R[]
}

/** Every one of the rules holds. */
export function all<R>(rule: z.ZodType<R>): Clause<All<R>, R> {
  return {
    schema: z.strictObject({ all: z.array(rule).min(1) }),
    words: { zh: '全部满足', en: 'all of' },
    say: () => 'all',
    parts: (clause) => clause.all.map((r, i) => ({ rule: r, path: ['all', i] })),
    refersTo: () => [],
    lint: () => [],
    demands: () => [],
    edges: () => [],
    test: (_clause, _build, parts) => ({ bool: 'all', of: [...parts] }),
    figure: () => ABSENT,
  }
}
