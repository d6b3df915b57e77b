import { Policy } from '../../../domain/touches/policy.js'
import { asWritten, type DefinitionKind } from './kind.js'

/** What every touch must pass: one file. */
export const policy = {
  words: { zh: '触达策略', en: 'policy' },
  schema: Policy,
  schemaName: 'policy',
  folder: { setting: 'policy', holds: 'file' },
  provides: undefined,
  references: ({ priority = [] }) => priority.map((name, i) => ({ kind: 'journey', name, path: ['priority', i] })),
  lint: () => [],
  versioned: 'kind',
  kept: asWritten,
  shows: () => undefined,
} as const satisfies DefinitionKind<typeof Policy>
