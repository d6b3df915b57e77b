import type { z } from 'zod'
import type { Content } from '../../../domain/content/content.js'
import type { DefinedKind, Path, Reference } from '../../../domain/reference.js'
import type { Tag } from '../../../domain/tags/definition.js'

/** A mistake in a file, with the way to mend it. */
export type LintProblem = { path: Path; message: string; hint: string }

/** What the files of all kinds say together. The stage is a tag, as everywhere. */
export type Whole = { tags: readonly Tag[]; contents: ReadonlyMap<string, Content> }

/** A name of a sort, where it stands. */
export type Claim = { what: string; name: string; path: Path }

/** Everything there is to know about one kind of definition. `S`: one file of it. */
export interface DefinitionKind<S extends z.ZodType = z.ZodType> {
  /** What the kind is called. */
  words: { zh: string; en: string }
  schema: S
  /** Editors complete its files by `schemas/<schemaName>.schema.json`. */
  schemaName: string
  /** Where it is written, by the setting under `paths` and `below` that: one file, or every file of a folder, which may be missing where it is optional. */
  folder: { setting: string; below?: string; holds: 'file' | 'optional file' | 'files' | 'optional files' }
  /** The names that its files define, each once. */
  provides: { kind: DefinedKind; names(file: z.infer<S>): readonly { name: string; path: Path }[] } | undefined
  /** What nothing else may have, of whatever kind, though nothing refers to it. */
  claims?(file: z.infer<S>): readonly Claim[]
  /** What its files name that files define. */
  references(file: z.infer<S>): readonly Reference<DefinedKind>[]
  /** What neither schema nor references can say. @param name - of the file, without its extension */
  lint(file: z.infer<S>, whole: Whole, name: string): readonly LintProblem[]
  /**
   * `file`: each file has versions of its own, and a broken one leaves the others alone. `kind`: all files are one version.
   * `none`: it is not published.
   */
  versioned: 'file' | 'kind' | 'none'
  /** What a version keeps of a file: what was written, or as much of it as may lie in the store once more. */
  kept(file: z.infer<S>, written: unknown): unknown
  /** What `siyu check` says of them; `undefined`: nothing. */
  shows(files: readonly z.infer<S>[], whole: Whole): { count: number; what: string } | undefined
}

export function asWritten(_file: unknown, written: unknown): unknown {
  return written
}

/** Items of a list in a file, by their field `id`. */
export function namesIn(list: string, items: readonly { id: string }[]): { name: string; path: Path }[] {
  return items.map(({ id }, i) => ({ name: id, path: [list, i, 'id'] }))
}

/** For `shows`: how many, and their ids. */
export function listed(items: readonly { id: string }[]): { count: number; what: string } {
  return { count: items.length, what: items.map((item) => item.id).join(', ') }
}
