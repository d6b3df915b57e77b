import { z } from 'zod'
import { sayFields } from '../fields.js'
import type { Clause } from './clause.js'

const IdentifierClause = z.strictObject({ identifier: z.string().describe('has an identifier of this type') })

/** The person is known by an identifier of a type. */
export const identifier: Clause<z.infer<typeof IdentifierClause>> = {
  schema: IdentifierClause,
  words: { zh: '身份标识', en: 'an identifier' },
  say: sayFields,
  parts: () => [],
  refersTo: (clause) => [{ kind: 'identifier', name: clause.identifier, path: ['identifier'] }],
  edges: () => [],
  test: (clause) => ({ bool: 'hasIdentifier', type: clause.identifier }),
  figure: () => ({ text: 'identifiers' }),
}
