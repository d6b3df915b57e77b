import { readFile } from 'node:fs/promises'
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, visit, type Document } from 'yaml'
import type { z } from 'zod'
import { YAML_BOUNDS } from './bounds.js'
import { InvalidInputError, messageOf, type Problem } from './errors.js'
import { meantOptions, toProblems } from './parse.js'
import { nearest, said } from './said.js'
import { doubtsAbout, slipIn, startOf, syntaxProblems } from './yaml-slips.js'

/** A YAML text as plain data that still knows where everything stood. */
export interface YamlFile {
  readonly file: string
  readonly value: unknown
  /** Of values that can be read and are hardly meant. */
  readonly doubts: readonly Problem[]
  /** 1-based line of the node at `path`, or of its nearest existing ancestor; `undefined` when the file is empty. */
  lineOf(path: readonly PropertyKey[]): number | undefined
}

/**
 * Reads and parses a file, without a schema yet.
 *
 * @throws {InvalidInputError} when the file cannot be read, is not UTF-8 or is no YAML, with every problem and its line
 */
export async function readYaml(file: string): Promise<YamlFile> {
  let bytes: Buffer
  try {
    bytes = await readFile(file)
  } catch (err) {
    const missing = (err as NodeJS.ErrnoException).code === 'ENOENT'
    const problem = missing
      ? {
          file,
          path: '',
          message: said('没有这个文件', 'file not found'),
          hint: said('新建它，或改正路径', 'create it or correct its path'),
        }
      : { file, path: '', message: said(`读不了：${messageOf(err)}`, `cannot be read: ${messageOf(err)}`) }
    throw new InvalidInputError(said('文件读不了', 'File cannot be read'), [problem], { cause: err })
  }
  return parseYamlText(textOf(bytes, file), file)
}

/** A file in another encoding would be read all the same, and customers would get what came of it. */
function textOf(bytes: Buffer, file: string): string {
  const read = (part: Uint8Array, encoding = 'utf-8') => new TextDecoder(encoding, { fatal: true }).decode(part)
  const fits = (part: Uint8Array, encoding?: string) => {
    try {
      read(part, encoding)
      return true
    } catch {
      return false // it is not in this encoding: that is the answer
    }
  }
  if (fits(bytes)) return read(bytes)
  const [first = 0, second = 0] = bytes
  const isWide = first + second === 0xfe + 0xff
  let [line, start] = [1, 0]
  for (
    let end = bytes.indexOf(10);
    !isWide && end !== -1 && fits(bytes.subarray(start, end));
    end = bytes.indexOf(10, start)
  ) {
    line++
    start = end + 1
  }
  const encoding = isWide ? 'UTF-16' : fits(bytes, 'gb18030') ? 'GB18030' : undefined
  throw new InvalidInputError(said('文件读不了', 'File cannot be read'), [
    {
      file,
      line,
      path: '',
      message: said(
        `不是 UTF-8 编码${encoding === undefined ? '' : `，像是 ${encoding}${isWide ? '' : '（GBK）'}`}`,
        `is not UTF-8${encoding === undefined ? '' : `; it looks like ${encoding}${isWide ? '' : ' (GBK)'}`}`,
      ),
      hint:
        encoding === undefined
          ? said('用编辑器另存为 UTF-8', 'save it as UTF-8')
          : said(
              `用编辑器另存为 UTF-8，或 iconv -f ${encoding} -t UTF-8`,
              `save it as UTF-8, or iconv -f ${encoding} -t UTF-8`,
            ),
    },
  ])
}

/**
 * One document of YAML 1.2. Keys are strings; more than 100 expansions of aliases are refused.
 *
 * @throws {InvalidInputError} with the line of every syntax error
 */
export function parseYamlText(text: string, file: string): YamlFile {
  checkSize(text, file)
  const lines = new LineCounter()
  const doc = parseDocument(text, { lineCounter: lines, prettyErrors: false, stringKeys: true, uniqueKeys: false })
  checkFields(doc, file)
  const problems = syntaxProblems(doc, text, lines, file)
  if (problems.length > 0) throw new InvalidInputError(said('不是合法的 YAML', 'Not valid YAML'), problems)
  const lineOf = (path: readonly PropertyKey[]): number | undefined => {
    const offset = offsetOf(doc, path.map(String))
    return offset === undefined ? undefined : lines.linePos(offset).line
  }
  try {
    return { file, value: doc.toJS({ maxAliasCount: 100 }), doubts: doubtsAbout(doc, lines, file), lineOf }
  } catch (err) {
    const problem = {
      file,
      line: 1,
      path: '',
      message: said('别名展开得太多', messageOf(err)),
      hint: said('不用 *别名，把值直接写出来', 'write the values out instead of *aliases'),
    }
    throw new InvalidInputError(said('不是合法的 YAML', 'Not valid YAML'), [problem], { cause: err })
  }
}

/** @throws {InvalidInputError} when it is longer than a file may be */
function checkSize(text: string, file: string): void {
  const bytes = Buffer.byteLength(text)
  if (bytes > YAML_BOUNDS.bytes)
    throw tooLarge(
      file,
      said(`有 ${bytes} 字节，最多 ${YAML_BOUNDS.bytes}`, `has ${bytes} of at most ${YAML_BOUNDS.bytes} bytes`),
    )
}

/** @throws {InvalidInputError} when it holds more fields than a file may */
function checkFields(doc: Document, file: string): void {
  let fields = 0
  visit(doc, { Map: (_key, { items }) => void (fields += items.length) })
  if (fields > YAML_BOUNDS.fields)
    throw tooLarge(
      file,
      said(`有 ${fields} 个字段，最多 ${YAML_BOUNDS.fields}`, `has ${fields} of at most ${YAML_BOUNDS.fields} fields`),
    )
}

function tooLarge(file: string, message: string): InvalidInputError {
  const hint = said('分成几个文件', 'make several files of it')
  return new InvalidInputError(said('文件太大', 'File is too large'), [{ file, path: '', message, hint }])
}

/** Parses with a schema; problems carry file, line, path, the value got, and what to do. */
export function parseYaml<S extends z.ZodType>(
  schema: S,
  yaml: YamlFile,
  /** The value to quote in messages, where `yaml.value` holds secrets. */
  shown: unknown = yaml.value,
): { value: z.infer<S> } | { problems: Problem[] } {
  const result = schema.safeParse(yaml.value)
  if (result.success && yaml.doubts.length === 0) return { value: result.data }
  const misfits = result.success ? [] : toProblems(result.error, shown)
  const problems = misfits.slice(0, YAML_BOUNDS.problems).map((problem): Problem => {
    const path = problem.path === '' ? [] : problem.path.split('.')
    const line = yaml.lineOf(path)
    const found = path.reduce<unknown>((at, key) => (isObject(at) ? at[key] : undefined), yaml.value)
    const slip =
      (typeof found === 'string' ? slipIn(found) : undefined) ??
      (fieldsNotKnowing(schema, path, yaml.value) === undefined ? undefined : slipIn(path.at(-1)!))
    const hint = slip?.hint ?? hintFor(schema, path, yaml.value) ?? problem.hint
    return {
      ...problem,
      ...(slip !== undefined && { message: slip.message }),
      ...(path.length === 0 && yaml.value === null && { message: said('文件是空的', 'the file is empty') }),
      file: yaml.file,
      ...(line !== undefined && { line }),
      ...(hint !== undefined && { hint }),
    }
  })
  return { problems: [...problems, ...yaml.doubts] }
}

/** Reads, parses and checks one file. @throws {InvalidInputError} with all problems of the file */
export async function loadYaml<S extends z.ZodType>(schema: S, file: string): Promise<z.infer<S>> {
  const result = parseYaml(schema, await readYaml(file))
  if ('problems' in result) throw new InvalidInputError(said('文件内容有误', 'Invalid file'), result.problems)
  return result.value
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

/** For an unknown field the nearest known one; for any other the field's description. */
function hintFor(schema: z.ZodType, path: readonly string[], value: unknown): string | undefined {
  const field = path.at(-1)
  if (field === undefined) return undefined
  const known = fieldsNotKnowing(schema, path, value)
  if (known !== undefined) {
    const meant = nearest(field, known)
    return meant === undefined
      ? said(`可用的字段：${[...known].join(', ')}`, `known fields: ${[...known].join(', ')}`)
      : said(`是不是 "${meant}"？`, `did you mean "${meant}"?`)
  }
  return schemasAt(schema, path, value).find((s) => s.description !== undefined)?.description
}

/** The fields there are beside one that is none of them. */
function fieldsNotKnowing(schema: z.ZodType, path: readonly string[], value: unknown): Set<string> | undefined {
  const parents = schemasAt(schema, path.slice(0, -1), value)
  const known = new Set(parents.flatMap((parent) => (parent.def.type === 'object' ? Object.keys(shapeOf(parent)) : [])))
  const isFree = parents.some((parent) => parent.def.type === 'record')
  return path.length > 0 && known.size > 0 && !isFree && !known.has(path.at(-1)!) ? known : undefined
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

function isObject(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object'
}
