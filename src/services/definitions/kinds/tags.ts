import { tagReferences } from '../../../domain/rules/references.js'
import { TagFile, tagKindOf } from '../../../domain/tags/definition.js'
import { writebackProblems } from '../../../domain/tags/writeback.js'
import { asWritten, type DefinitionKind, type LintProblem, namesIn, type Whole } from './kind.js'

/** What keeps this tag, among all, from being written back. */
export function pushProblems(id: string, { tags: all }: Whole): LintProblem[] {
  return writebackProblems(all).flatMap(({ tagId, problem }) =>
    tagId === id ? [{ path: [problem.path], message: problem.message, hint: problem.hint }] : [],
  )
}

/** Tags: a folder of files with several each. */
export const tags = {
  words: { zh: '标签', en: 'tags' },
  schema: TagFile,
  schemaName: 'tags',
  folder: { setting: 'tags', holds: 'files' },
  provides: { kind: 'tag', names: (file) => namesIn('tags', file.tags) },
  references: (file) => file.tags.flatMap((tag, i) => tagReferences(tag, ['tags', i])),
  lint: (file, whole) =>
    file.tags.flatMap((tag, i) =>
      [...tagKindOf(tag).lint(tag), ...pushProblems(tag.id, whole)].map((problem) => ({
        ...problem,
        path: ['tags', i, ...problem.path],
      })),
    ),
  versioned: 'kind',
  kept: asWritten,
  shows: (_files, whole) => {
    const realtime = whole.tags.filter((t) => t.refresh === 'realtime').length
    const scheduled = whole.tags.length - realtime
    return { count: whole.tags.length, what: `实时 realtime ${realtime}，定时 scheduled ${scheduled}` }
  },
} as const satisfies DefinitionKind<typeof TagFile>
