import { ruleReferences } from '../../../domain/rules/references.js'
import { SegmentFile } from '../../../domain/segments/definition.js'
import { asWritten, type DefinitionKind, listed, namesIn } from './kind.js'

/** Saved rules: one file. */
export const segments = {
  words: { zh: '人群', en: 'segments' },
  schema: SegmentFile,
  schemaName: 'segments',
  folder: { setting: 'segments', holds: 'file' },
  provides: { kind: 'segment', names: (file) => namesIn('segments', file.segments) },
  references: (file) => file.segments.flatMap((s, i) => ruleReferences(s.when, ['segments', i, 'when'])),
  lint: () => [],
  versioned: 'kind',
  kept: asWritten,
  shows: (files) => listed(files.flatMap((f) => f.segments)),
} as const satisfies DefinitionKind<typeof SegmentFile>
