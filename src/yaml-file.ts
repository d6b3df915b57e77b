import { readFile } from 'node:fs/promises'
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, visit, type Document, type Node } from 'yaml'
import type { z } from 'zod'
import { InvalidInputError, messageOf, type Problem } from './errors.js'
import { meantOptions, toProblems } from './parse.js'

/** A YAML text as plain data that still knows where everything stood. */
export interface YamlFile {
  readonly file: string
  readonly value: unknown
  /** 1-based line of the node at `path`, or of its nearest existing ancestor; `undefined` when the file is empty. */
  lineOf(path: readonly PropertyKey[]): number | undefined
}

/**
 * Reads and parses a file, without a schema yet.
 *
 * @throws {InvalidInputError} when the file cannot be read or is no YAML, with every problem and its line
 */
export async function readYaml(file: string): Promise<YamlFile> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (err) {
    const missing = (err as NodeJS.ErrnoException).code === 'ENOENT'
    const problem = missing
      ? { file, path: '', message: 'file not found', hint: 'create it or correct its path' }
      : { file, path: '', message: `cannot be read: ${messageOf(err)}` }
    throw new InvalidInputError('File cannot be read', [problem], { cause: err })
  }
  return parseYamlText(text, file)
}

/**
 * One document of YAML 1.2. Keys are strings; more than 100 expansions of aliases are refused.
 *
 * @throws {InvalidInputError} with the line of every syntax error
 */
export function parseYamlText(text: string, file: string): YamlFile {
  const lines = new LineCounter()
  const doc = parseDocument(text, { lineCounter: lines, prettyErrors: false, stringKeys: true })
  const problems = [...doc.errors, ...doc.warnings].map((e): Problem => {
    const line = lines.linePos(e.pos[0]).line
    return { file, line, path: '', message: e.message, ...(hints[e.code] && { hint: hints[e.code] }) }
  })
  visit(doc, {
    Alias: (_key, alias) => {
      if (alias.resolve(doc) !== undefined) return
      const line = lines.linePos(startOf(alias) ?? 0).line
      problems.push({
        file,
        line,
        path: '',
        message: `nothing is named &${alias.source}`,
        hint: 'quote text that starts with *',
      })
    },
  })
  if (problems.length > 0) throw new InvalidInputError('Not valid YAML', problems)
  const lineOf = (path: readonly PropertyKey[]): number | undefined => {
    const offset = offsetOf(doc, path.map(String))
    return offset === undefined ? undefined : lines.linePos(offset).line
  }
  try {
    return { file, value: doc.toJS({ maxAliasCount: 100 }), lineOf }
  } catch (err) {
    const problem = {
      file,
      line: 1,
      path: '',
      message: messageOf(err),
      hint: 'write the values out instead of *aliases',
    }
    throw new InvalidInputError('Not valid YAML', [problem], { cause: err })
  }
}

/** Parses with a schema; problems carry file, line, path, the value got, and what to do. */
export function parseYaml<S extends z.ZodType>(
  schema: S,
  yaml: YamlFile,
  /** The value to quote in messages, where `yaml.value` holds secrets. */
  shown: unknown = yaml.value,
): { value: z.infer<S> } | { problems: Problem[] } {
  const result = schema.safeParse(yaml.value)
  if (result.success) return { value: result.data }
  const problems = toProblems(result.error, shown).map((problem): Problem => {
    const path = problem.path === '' ? [] : problem.path.split('.')
    const line = yaml.lineOf(path)
    const hint = hintFor(schema, path, yaml.value) ?? problem.hint
    return { ...problem, file: yaml.file, ...(line !== undefined && { line }), ...(hint !== undefined && { hint }) }
  })
  return { problems }
}

/** Reads, parses and checks one file. @throws {InvalidInputError} with all problems of the file */
export async function loadYaml<S extends z.ZodType>(schema: S, file: string): Promise<z.infer<S>> {
  const result = parseYaml(schema, await readYaml(file))
  if ('problems' in result) throw new InvalidInputError('Invalid file', result.problems)
  return result.value
}

/** The candidate that was probably meant by `word`: at most two edits away and less than half the word. */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  let best: { candidate: string; edits: number } | undefined
  for (const candidate of candidates) {
    const edits = editsBetween(word.toLowerCase(), candidate.toLowerCase())
    if (edits <= 2 && edits * 2 < word.length && (best === undefined || edits < best.edits)) best = { candidate, edits }
  }
  return best?.candidate
}

const hints: Partial<Record<string, string>> = {
  DUPLICATE_KEY: 'keep one of the two',
  TAB_AS_INDENT: 'indent with spaces, not tabs',
  BAD_INDENT: 'align it with its neighbours, with spaces',
  MULTIPLE_DOCS: 'one file holds one document: remove the --- line',
  MULTILINE_IMPLICIT_KEY: 'check the indentation and the colon of this line',
  MISSING_CHAR: 'check quotes, brackets and the colon of this line',
}

/**
 * Offset of the deepest existing node on the way. Problem paths are joined with dots, so a key that holds dots itself
 * is tried as several segments.
 */
function offsetOf(doc: Document, path: readonly string[]): number | undefined {
  let node: unknown = doc.contents
  let offset = startOf(doc.contents)
  let rest = path
  while (rest.length > 0) {
    if (isAlias(node)) node = node.resolve(doc)
    if (isSeq(node)) {
      node = node.items[Number(rest[0])]
      rest = rest.slice(1)
      offset = startOf(node) ?? offset
    } else if (isMap(node)) {
      const found = node.items
        .map((pair) => ({ pair, segments: isScalar(pair.key) ? String(pair.key.value).split('.') : [] }))
        .find(({ segments }) => segments.length > 0 && segments.every((segment, i) => segment === rest[i]))
      if (found === undefined) return offset
      offset = startOf(found.pair.key) ?? offset
      node = found.pair.value
      rest = rest.slice(found.segments.length)
    } else {
      return offset
    }
  }
  return offset
}

function startOf(node: unknown): number | undefined {
  return (node as Node | null | undefined)?.range?.[0]
}

/** For an unknown field the nearest known one; for any other the field's description. */
function hintFor(schema: z.ZodType, path: readonly string[], value: unknown): string | undefined {
  const field = path.at(-1)
  if (field === undefined) return undefined
  const parents = schemasAt(schema, path.slice(0, -1), value)
  const known = new Set(parents.flatMap((parent) => (parent.def.type === 'object' ? Object.keys(shapeOf(parent)) : [])))
  const isFree = parents.some((parent) => parent.def.type === 'record')
  if (known.size > 0 && !isFree && !known.has(field)) {
    const meant = nearest(field, known)
    return meant === undefined ? `known fields: ${[...known].join(', ')}` : `did you mean "${meant}"?`
  }
  return schemasAt(schema, path, value).find((s) => s.description !== undefined)?.description
}

/** Every schema that may apply at a path, wrappers included, from the outside in; of a union the options that are meant. */
function schemasAt(schema: z.core.$ZodType, path: readonly string[], value: unknown): z.ZodType[] {
  const s = schema as z.ZodType
  const def = (schema as z.core.$ZodTypes)._zod.def
  const [key, ...rest] = path
  const inner = (): z.ZodType[] => {
    switch (def.type) {
      case 'optional':
      case 'nullable':
      case 'default':
      case 'prefault':
      case 'nonoptional':
      case 'catch':
      case 'readonly':
        return schemasAt(def.innerType, path, value)
      case 'pipe':
        return [def.in, def.out].flatMap((part) => schemasAt(part, path, value))
      case 'lazy':
        return schemasAt(def.getter(), path, value)
      case 'intersection':
        return [def.left, def.right].flatMap((part) => schemasAt(part, path, value))
      case 'union':
        return meantOptions(def, value).flatMap((option) => schemasAt(option, path, value))
      default:
        return []
    }
  }
  if (key === undefined) return [s, ...inner()]
  const below = value !== null && typeof value === 'object' ? (value as Record<string, unknown>)[key] : undefined
  switch (def.type) {
    case 'object': {
      const field = shapeOf(s)[key]
      return field === undefined ? [] : schemasAt(field, rest, below)
    }
    case 'array':
      return schemasAt(def.element, rest, below)
    case 'record':
      return schemasAt(def.valueType, rest, below)
    case 'tuple': {
      const item = def.items[Number(key)] ?? def.rest
      return item === null || item === undefined ? [] : schemasAt(item, rest, below)
    }
    default:
      return inner()
  }
}

function shapeOf(schema: z.ZodType): Record<string, z.core.$ZodType> {
  return (schema as unknown as z.ZodObject).def.shape
}

/** Insertions, deletions, replacements and swaps of neighbours. */
function editsBetween(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const replace = last[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      let edits = Math.min(last[j]! + 1, row[j - 1]! + 1, replace)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        edits = Math.min(edits, beforeLast[j - 2]! + 1)
      row.push(edits)
    }
    beforeLast = last
    last = row
  }
  return last[b.length]!
}
