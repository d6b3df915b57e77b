import { STAGE_TAG } from '../../../domain/rules/clauses/stage.js'
import { ruleReferences } from '../../../domain/rules/references.js'
import { Lifecycle } from '../../../domain/tags/definition.js'
import { asWritten, type DefinitionKind, namesIn } from './kind.js'
import { pushProblems } from './tags.js'

/** The stages: one file. */
export const lifecycle = {
  words: { zh: '生命周期', en: 'lifecycle' },
  schema: Lifecycle,
  schemaName: 'lifecycle',
  folder: { setting: 'lifecycle', holds: 'file' },
  provides: { kind: 'stage', names: ({ stages }) => namesIn('stages', stages) },
  references: ({ stages }) =>
    stages.flatMap((s, i) => (s.when === undefined ? [] : ruleReferences(s.when, ['stages', i, 'when']))),
  lint: (_file, whole) => pushProblems(STAGE_TAG, whole),
  versioned: 'kind',
  kept: asWritten,
  shows: () => undefined,
} as const satisfies DefinitionKind<typeof Lifecycle>
