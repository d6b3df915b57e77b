import { IdentityConfig } from '../../../domain/identity/config.js'
import { traitMistakes } from '../../../domain/rules/known.js'
import { asWritten, type DefinitionKind } from './kind.js'

/** Who is who: one file. */
export const identity = {
  words: { zh: '身份', en: 'identity' },
  schema: IdentityConfig,
  schemaName: 'identity',
  folder: { setting: 'identity', holds: 'file' },
  provides: undefined,
  references: () => [],
  lint: ({ agree }, { known }) => agree.flatMap((trait, i) => traitMistakes(trait, ['agree', i], known)),
  versioned: 'kind',
  kept: asWritten,
  shows: (files) => {
    const types = files.flatMap((f) => f.identifiers.map((i) => i.type))
    return { count: types.length, what: types.join(', ') }
  },
} as const satisfies DefinitionKind<typeof IdentityConfig>
