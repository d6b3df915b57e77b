import { Policy } from '../../../domain/touches/policy.js'
import { asWritten, type DefinitionKind } from './kind.js'

/** What every touch must pass: one file. */
export const policy = {
  words: { zh: '触达策略', en: 'policy' },
  schema: Policy,
  schemaName: 'policy',
  folder: { setting: 'policy', holds: 'file' },
  provides: undefined,
  references: () => [],
  lint: () => [],
  versioned: 'kind',
  kept: asWritten,
  shows: () => undefined,
} as const satisfies DefinitionKind<typeof Policy>
