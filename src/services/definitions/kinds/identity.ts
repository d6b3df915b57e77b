import { IdentityConfig } from '../../../domain/identity/config.js'
import { asWritten, type DefinitionKind } from './kind.js'

/** Who is who: one file. */
export const identity = {
  words: { zh: '身份', en: 'identity' },
  schema: IdentityConfig,
  schemaName: 'identity',
  folder: { setting: 'identity', holds: 'file' },
  provides: undefined,
  references: () => [],
  lint: () => [],
  versioned: 'kind',
  kept: asWritten,
  shows: (files) => {
    const types = files.flatMap((f) => f.identifiers.map((i) => i.type))
    return { count: types.length, what: types.join(', ') }
  },
} as const satisfies DefinitionKind<typeof IdentityConfig>
