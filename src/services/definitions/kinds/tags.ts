import { isDefinedInFiles, type Mistake } from '../../../domain/reference.js'
import { TagFile, tagKindOf } from '../../../domain/tags/definition.js'
import { writebackProblems } from '../../../domain/tags/writeback.js'
import { said } from '../../../said.js'
import { asWritten, type DefinitionKind, type Whole } from './kind.js'

/** What keeps this tag, among all, from being written back. */
export function pushProblems(id: string, { tags: all }: Whole): Mistake[] {
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
  provides: { kind: 'tag', at: ['tags', '*', 'id'] },
  references: ({ tags = [] }) =>
    tags.flatMap((tag, i) =>
      tagKindOf(tag)
        .refersTo(tag)
        .filter(isDefinedInFiles)
        .map((r) => ({ ...r, path: ['tags', i, ...r.path] })),
    ),
  rules: ({ tags = [] }) =>
    tags.flatMap((tag, i) =>
      tagKindOf(tag)
        .rules(tag)
        .map(({ rule, path }) => ({ rule, path: ['tags', i, ...path] })),
    ),
  lint: (file, whole) =>
    file.tags.flatMap((tag, i) =>
      [...tagKindOf(tag).lint(tag, whole.known), ...pushProblems(tag.id, whole)].map((problem) => ({
        ...problem,
        path: ['tags', i, ...problem.path],
      })),
    ),
  versioned: 'kind',
  kept: asWritten,
  shows: (_files, whole) => {
    const realtime = whole.tags.filter((t) => t.refresh === 'realtime').length
    const scheduled = whole.tags.length - realtime
    return {
      count: whole.tags.length,
      what: said(`实时 ${realtime}，定时 ${scheduled}`, `realtime ${realtime}, scheduled ${scheduled}`),
    }
  },
} as const satisfies DefinitionKind<typeof TagFile>
