import { z } from 'zod'
import { meant, said } from '../../../said.js'
import { sayFields } from '../fields.js'
import type { Clause } from './clause.js'

const IdentifierClause = z.strictObject({
  identifier: z.string().describe(said('有这种身份标识', 'has an identifier of this type')),
})

/** The person is known by an identifier of a type. */
export const identifier: Clause<z.infer<typeof IdentifierClause>> = {
  schema: IdentifierClause,
  words: { zh: '身份标识', en: 'an identifier' },
  say: sayFields,
  parts: () => [],
  refersTo: (clause) => [{ kind: 'identifier', name: clause.identifier, path: ['identifier'] }],
  lint: ({ identifier }, { identifiers }) => {
    // `openid` stands for every openid:<appid>.
    const [type = ''] = identifier.split(':')
    if (identifiers === undefined || identifiers.has(type)) return []
    const message = said(`没有身份类型 "${identifier}"`, `there is no identifier type "${identifier}"`)
    const hint = meant(type, identifiers, '写进 config/identity.yaml', 'define it in config/identity.yaml')
    return [{ path: ['identifier'], message, hint }]
  },
  demands: ({ identifier }) => [{ of: `identifier ${identifier}`, tests: {} }],
  edges: () => [],
  test: (clause) => ({ bool: 'hasIdentifier', type: clause.identifier }),
  figure: () => ({ text: 'identifiers' }),
}
