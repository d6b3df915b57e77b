import type { Mistake } from '../reference.js'
import { cannotHold } from './cannot-hold.js'
import type { Demand } from './demands.js'
import type { Known } from './known.js'
import { clauseOf, type PlacedRule, walkRule } from './rule.js'

/** A rule in a file. */
export type FiledRule = PlacedRule & {
  /** What holds of everybody of whom it is asked. */
  given?: readonly Demand[]
}

/** What is wrong with a rule, beside names that no file defines: names that no list has, values that are never there, what cannot hold. */
export function ruleMistakes({ rule, path, given }: FiledRule, known: Known): Mistake[] {
  const lint = [...walkRule(rule, path)].flatMap((at) =>
    clauseOf(at.rule)
      .lint(at.rule, known)
      .map((mistake) => ({ ...mistake, path: [...at.path, ...mistake.path] })),
  )
  return [...lint, ...cannotHold({ rule, path }, known, given)]
}
