import { STAGE_TAG } from '../../../domain/rules/clauses/stage.js'
import { Lifecycle } from '../../../domain/tags/definition.js'
import { asWritten, type DefinitionKind } from './kind.js'
import { pushProblems } from './tags.js'

/** The stages: one file. */
export const lifecycle = {
  words: { zh: '生命周期', en: 'lifecycle' },
  schema: Lifecycle,
  schemaName: 'lifecycle',
  folder: { setting: 'lifecycle', holds: 'file' },
  provides: { kind: 'stage', at: ['stages', '*', 'id'] },
  references: () => [],
  rules: ({ stages = [] }) =>
    stages.flatMap((s, i) => (s.when === undefined ? [] : [{ rule: s.when, path: ['stages', i, 'when'] }])),
  lint: (_file, whole) => pushProblems(STAGE_TAG, whole),
  versioned: 'kind',
  kept: asWritten,
  shows: () => undefined,
} as const satisfies DefinitionKind<typeof Lifecycle>
