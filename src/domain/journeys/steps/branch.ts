import { z } from 'zod'
import { keyedUnion } from '../../../parse.js'
import { said } from '../../../said.js'
import { Rule } from '../../rules/rule.js'
import { goTo } from '../decision.js'
import { common, type StepKind } from './step.js'

export interface Branch<R> {
  id?: string | undefined
  branch: ({ if: Rule; do: R[] } | { else: R[] })[]
}

/** Goes the way of the first arm whose rule holds, or past the branch. */
export function branch<R>(steps: z.ZodType<R[]>): StepKind<Branch<R>, R> {
  const arm = keyedUnion(said('一条分支', 'an arm'), {
    if: {
      schema: z.strictObject({ if: Rule, do: z.lazy(() => steps) }),
      words: { zh: '满足时', en: 'where a rule holds' },
    },
    else: { schema: z.strictObject({ else: z.lazy(() => steps) }), words: { zh: '否则', en: 'otherwise' } },
  })
  return {
    schema: z.strictObject({
      ...common,
      branch: z
        .array(arm)
        .min(1)
        .refine(
          (arms) => arms.every((a, i) => 'if' in a || i === arms.length - 1),
          said('`else` 写在最后，只写一个', '`else` comes last, once'),
        ),
    }),
    words: { zh: '分支', en: 'branch by rules' },
    parts: (step) =>
      step.branch.flatMap((a, i) =>
        'if' in a
          ? [
              { rule: a.if, path: ['branch', i, 'if'] },
              { steps: a.do, path: ['branch', i, 'do'] },
            ]
          : [{ steps: a.else, path: ['branch', i, 'else'] }],
      ),
    refersTo: () => [],
    decide(step, { facts, path, then }) {
      const rules = step.branch.flatMap((a) => ('if' in a ? [a.if] : []))
      if (rules.length > 0 && facts.rules === undefined) return { kind: 'ask', rules }
      const taken = step.branch.findIndex((a, i) => !('if' in a) || facts.rules?.[i] === true)
      return taken >= 0 ? { kind: 'goto', path: `${path}.${taken}.0` } : goTo(then)
    },
  }
}
