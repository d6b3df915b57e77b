import type { z } from 'zod'
import type { Mistake, Path, Reference } from '../../reference.js'
import type { Build } from '../build.js'
import type { Demand } from '../demands.js'
import type { Bool, Text } from '../expression.js'
import type { Known } from '../known.js'
import type { CountedFrom, TimeEdge } from '../windows.js'

/**
 * Everything there is to know about one kind of clause. A clause of a rule is known by the field that has the kind's name.
 * `R`: any rule, for the kinds that hold rules.
 */
export interface Clause<C, R = never> {
  schema: z.ZodType<C>
  /** What the kind is called. */
  words: { zh: string; en: string }
  /** One clause in one line, in the words of the rule file. */
  say(clause: C): string
  /** The rules it holds, each with its path from here. */
  parts(clause: C): readonly { rule: R; path: Path }[]
  /** What it names that is defined elsewhere; its parts name for themselves. */
  refersTo(clause: C): readonly Reference[]
  /** What neither the schema nor the names that files define can say; its parts say theirs. Paths are from here. */
  lint(clause: C, known: Known): readonly Mistake[]
  /** What must be so of single figures and values for it to hold; its parts demand for themselves. */
  demands(clause: C, known: Known): readonly Demand[]
  /** How long after an event the passing of time alone may change its answer. */
  edges(clause: C, countedFrom: CountedFrom): readonly TimeEdge[]
  /** Whether it holds. `parts`: whether its parts do. */
  test(clause: C, build: Build, parts: readonly Bool[]): Bool
  /** The figure it was decided on, for explanations; that of a clause with parts is never shown. */
  figure(clause: C, build: Build): Text
}
