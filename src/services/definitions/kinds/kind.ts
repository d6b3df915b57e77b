import type { z } from 'zod'
import type { Content } from '../../../domain/content/content.js'
import type { DefinedKind, Mistake, Path, Reference } from '../../../domain/reference.js'
import type { Known } from '../../../domain/rules/known.js'
import type { FiledRule } from '../../../domain/rules/mistakes.js'
import type { Tag } from '../../../domain/tags/definition.js'

/** What the files of all kinds say together. The stage is a tag, as everywhere. */
export type Whole = {
  tags: readonly Tag[]
  contents: ReadonlyMap<string, Content>
  known: Known
  /** Name of the brand, as texts will have it. */
  brand: string
  /** Whether links of contents can lead anywhere. */
  hasSite: boolean
}

/** A name of a sort, where it stands. */
export type Claim = { what: string; name: string; path: Path }

/** Everything there is to know about one kind of definition. `S`: one file of it. */
export interface DefinitionKind<S extends z.ZodObject = z.ZodObject> {
  /** What the kind is called. */
  words: { zh: string; en: string }
  schema: S
  /** Editors complete its files by `schemas/<schemaName>.schema.json`. */
  schemaName: string
  /** Where it is written, by the setting under `paths` and `below` that: one file, or every file of a folder, which may be missing where it is optional. */
  folder: { setting: string; below?: string; holds: 'file' | 'optional file' | 'files' | 'optional files' }
  /** The names that its files define, each once, and where they stand: `*` is every item of a list. */
  provides: { kind: DefinedKind; at: Path } | undefined
  /** What nothing else may have, of whatever kind, though nothing refers to it. */
  claims?(file: z.infer<S>): readonly Claim[]
  /** What its files name that files define, beside what their rules name. Of a file that does not fit, as much as fits. */
  references(file: Partial<z.infer<S>>): readonly Reference<DefinedKind>[]
  /** The rules in its files, likewise. */
  rules?(file: Partial<z.infer<S>>): readonly FiledRule[]
  /** What neither schema, references nor rules can say. @param name - of the file, without its extension */
  lint(file: z.infer<S>, whole: Whole, name: string): readonly Mistake[]
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

/** The names at a place of a file (see `provides`), also of one that does not fit. */
export function namesAt(value: unknown, [key, ...rest]: Path, path: Path = []): { name: string; path: Path }[] {
  if (key === undefined) return typeof value === 'string' ? [{ name: value, path }] : []
  if (value === null || typeof value !== 'object') return []
  if (key !== '*') return namesAt((value as Record<string, unknown>)[key], rest, [...path, key])
  return Array.isArray(value) ? value.flatMap((item, i) => namesAt(item, rest, [...path, i])) : []
}

/** For `shows`: how many, and their ids. */
export function listed(items: readonly { id: string }[]): { count: number; what: string } {
  return { count: items.length, what: items.map((item) => item.id).join(', ') }
}
