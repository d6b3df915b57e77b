import { SegmentFile } from '../../../domain/segments/definition.js'
import { asWritten, type DefinitionKind, listed } from './kind.js'

/** Saved rules: one file. */
export const segments = {
  words: { zh: '人群', en: 'segments' },
  schema: SegmentFile,
  schemaName: 'segments',
  folder: { setting: 'segments', holds: 'file' },
  provides: { kind: 'segment', at: ['segments', '*', 'id'] },
  references: () => [],
  rules: ({ segments = [] }) => segments.map((s, i) => ({ rule: s.when, path: ['segments', i, 'when'] })),
  lint: () => [],
  versioned: 'kind',
  kept: asWritten,
  shows: (files) => listed(files.flatMap((f) => f.segments)),
} as const satisfies DefinitionKind<typeof SegmentFile>
