import { z } from 'zod'
import { CONSENT, Consent } from '../../identity/profile.js'
import { said } from '../../../said.js'
import { sayFields } from '../fields.js'
import type { Clause } from './clause.js'

const ConsentClause = z.strictObject({
  consent: Consent.describe(said('最后说的意愿', 'what she said last')),
})

/** Whether she wants to be written to, as the planner of touches knows it. */
export const consent: Clause<z.infer<typeof ConsentClause>> = {
  schema: ConsentClause,
  words: { zh: '触达意愿', en: 'consent' },
  say: sayFields,
  parts: () => [],
  // By which it changes.
  refersTo: () => Consent.options.map((name) => ({ kind: 'event', name, path: ['consent'] })),
  lint: () => [],
  demands: (clause) => [{ of: 'consent', tests: { is: clause.consent } }],
  edges: () => [],
  test: (clause, build) => ({ bool: 'equals', of: build.trait(CONSENT), to: clause.consent }),
  figure: (_clause, build) => build.trait(CONSENT),
}
