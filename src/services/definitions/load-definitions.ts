import { basename, dirname, extname, join, normalize } from 'node:path'
import { systemEventNames } from '../../domain/events/system-events.js'
import { ENTRY_PREFIX, type Journey } from '../../domain/journeys/definition.js'
import { type Evaluable, levelsOf } from '../../domain/rules/compile.js'
import type { DefinedKind, Reference } from '../../domain/reference.js'
import { STAGE_TAG } from '../../domain/rules/clauses/stage.js'
import type { Rule } from '../../domain/rules/rule.js'
import { lifecycleTag, type Tag } from '../../domain/tags/definition.js'
import type { Content, CouponPool } from '../../domain/content/content.js'
import { InvalidInputError, type Problem } from '../../errors.js'
import { parseInput } from '../../parse.js'
import { nearest, type YamlFile } from '../../yaml-file.js'
import { DefinitionReader, type Loaded } from './definition-reader.js'
import type { Definitions } from '../runtime/deps.js'
import {
  type DefinitionPaths,
  type FileOf,
  type KindName,
  kindNames,
  kindOf,
  publishedKinds,
  type WholeKind,
  wholeKinds,
} from './kinds.js'
import type { DefinitionKind, Whole } from './kinds/kind.js'

/** What comes from files other than those of journeys. */
export type FileDefinitions = Pick<Definitions, 'identity' | 'policy' | 'tags' | 'segments' | 'contents' | 'welcome'>

/** What the files say, before anything is published. Raw values too: what is published is what was written. */
export type LoadedDefinitions = FileDefinitions & {
  couponPools: readonly CouponPool[]
  journeyFiles: readonly { journey: Journey; raw: unknown }[]
  files: RawFiles
}

/** How much there is of a kind, and what, for people. */
export type ShownKind = { name: string; count: number; what: string }

/** What is kept of the files other than journeys: one value per file, in order of the file names. */
export type RawFiles = { readonly [K in WholeKind]?: readonly unknown[] }

/** What was read of each kind, in order of the file names. */
type Files = { readonly [K in KindName]: readonly Loaded<FileOf<K>>[] }

/** Names that are there without a file. */
const BUILT_IN: Partial<Record<DefinedKind, readonly string[]>> = { event: systemEventNames, tag: [STAGE_TAG] }

/**
 * Reads and checks every file of these kinds; all problems at once, each with file and line. `warnings` stop nobody. `loaded`
 * is there unless something other than a journey is wrong: then it leaves the broken journeys out, since a service runs on
 * the published ones.
 *
 * @param names - by default the kinds that are published: what is not does not hold the others up
 */
export async function checkDefinitions(
  paths: DefinitionPaths,
  names: readonly KindName[] = publishedKinds,
): Promise<{ problems: Problem[]; warnings?: Problem[]; loaded?: LoadedDefinitions; shown?: ShownKind[] }> {
  const { reader, files, problems } = await readKinds(paths, names)
  const whole: Whole = {
    tags: [...files.tags.flatMap((f) => f.value.tags), ...files.lifecycle.map((f) => lifecycleTag(f.value))],
    contents: contentsOf(files.contents.map((f) => f.value)),
  }
  checkEach(reader, files, whole)
  // What may be broken by itself stands in the folder of a kind whose files have versions of their own, or none.
  const folders = kindNames.flatMap((name) => {
    const { versioned, folder } = kindOf(name)
    return versioned === 'kind' ? [] : [normalize(pathOf(paths, folder))]
  })
  const isAlone = ({ file }: Problem) =>
    file !== undefined && [file, dirname(file)].some((place) => folders.includes(normalize(place)))
  const [identity] = files.identity
  const [policy] = files.policy
  if (!problems.every(isAlone) || identity === undefined || policy === undefined) return { problems }
  const valuesOf = <K extends KindName>(kind: K) => (files[kind] as readonly Loaded<FileOf<K>>[]).map((f) => f.value)
  const definitions = assemble({
    identity: identity.value,
    policy: policy.value,
    lifecycle: valuesOf('lifecycle'),
    segments: valuesOf('segments'),
    welcome: valuesOf('welcome'),
    tags: valuesOf('tags'),
    contents: valuesOf('contents'),
  })
  const { circle, deep } = readEachOther(definitions)
  if (circle !== undefined)
    return { problems: [...problems, { file: paths.tags, path: '', message: circle, hint: 'break the circle' }] }
  const warnings = deep.map(({ id, levels }) => ({
    file: paths.tags,
    path: '',
    message: `${id} 依次读取 ${levels} 层标签 reads ${levels} tags one behind the other`,
    hint: `超过 ${DEEP} 层很难看懂，也更慢；让它直接读事件 more than ${DEEP} are hard to follow, and slow: read events instead`,
  }))
  const broken = new Set(problems.map((p) => p.file))
  const sound = files.journeys.filter((f) => !broken.has(f.yaml.file))
  return {
    problems,
    warnings,
    loaded: {
      ...definitions,
      couponPools: valuesOf('coupons').flatMap((f) => f.pools),
      journeyFiles: sound.map((f) => ({ journey: f.value, raw: f.yaml.value })),
      files: Object.fromEntries(
        wholeKinds.map((kind) => [kind, files[kind].map((f) => kindOf(kind).kept(f.value, f.yaml.value))]),
      ),
    },
    shown: names.flatMap((name) => {
      const kind = kindOf(name)
      const shown = kind.shows(
        (name === 'journeys' ? sound : files[name]).map((f) => f.value),
        whole,
      )
      return shown === undefined ? [] : [{ name: `${kind.words.zh} ${kind.words.en}`, ...shown }]
    }),
  }
}

/** Reads these kinds, of the others nothing; names that are taken or not there are among the problems. */
export async function readKinds(
  paths: Partial<DefinitionPaths>,
  names: readonly KindName[],
): Promise<{ reader: DefinitionReader; files: Files; problems: Problem[] }> {
  const reader = new DefinitionReader()
  const files = await readFiles(reader, paths, names)
  checkNames(reader, files, paths, names)
  return { reader, files, problems: reader.problems }
}

async function readFiles(
  reader: DefinitionReader,
  paths: Partial<DefinitionPaths>,
  names: readonly KindName[],
): Promise<Files> {
  const files: [KindName, Loaded<unknown>[]][] = kindNames.map((name) => [name, []])
  for (const name of names) {
    const { schema, folder } = kindOf(name)
    const path = pathOf(paths, folder)
    if (folder.holds === 'files' || folder.holds === 'optional files') {
      files.push([name, await reader.folder(path, schema, folder.holds === 'optional files')])
    } else {
      const file = await (folder.holds === 'file' ? reader.file(path, schema) : reader.optionalFile(path, schema))
      files.push([name, file === undefined ? [] : [file]])
    }
  }
  // Each was read by the schema of its kind.
  return Object.fromEntries(files) as unknown as Files
}

/** Names are defined once, and whatever is named is defined. */
function checkNames(
  reader: DefinitionReader,
  files: Files,
  paths: Partial<DefinitionPaths>,
  kinds: readonly KindName[],
): void {
  const names = new Map<DefinedKind, Set<string>>()
  const where = new Map<DefinedKind, string>()
  for (const [kind, builtIn] of Object.entries(BUILT_IN)) names.set(kind as DefinedKind, new Set(builtIn))
  for (const name of kinds) {
    const { provides, folder } = kindOf(name)
    if (provides === undefined) continue
    const defined = files[name].flatMap((f) => provides.names(f.value).map((n) => ({ ...n, yaml: f.yaml })))
    reader.unique(
      provides.kind,
      defined.map((d) => ({ id: d.name, yaml: d.yaml, path: d.path })),
    )
    names.set(provides.kind, new Set([...(names.get(provides.kind) ?? []), ...defined.map((d) => d.name)]))
    where.set(provides.kind, pathOf(paths, folder))
  }
  const claims = kinds.flatMap((kind) =>
    files[kind].flatMap(({ value, yaml }) => (kindOf(kind).claims?.(value) ?? []).map((claim) => ({ ...claim, yaml }))),
  )
  for (const what of new Set(claims.map((claim) => claim.what)))
    reader.unique(
      what,
      claims.filter((claim) => claim.what === what).map(({ name: id, yaml, path }) => ({ id, yaml, path })),
    )
  const check = (yaml: YamlFile, { kind, name, path }: Reference<DefinedKind>) => {
    const known = names.get(kind) ?? new Set()
    if (known.has(name)) return
    const near = nearest(name, known)
    const define = `define it in ${where.get(kind)}`
    const hint = near === undefined ? define : `did you mean "${near}"? Otherwise ${define}`
    reader.add(yaml, path, `there is no ${kind} "${name}"`, hint)
  }
  for (const kind of kindNames)
    for (const { value, yaml } of files[kind])
      for (const reference of kindOf(kind).references(value)) check(yaml, reference)
}

function checkEach(reader: DefinitionReader, files: Files, whole: Whole): void {
  for (const kind of kindNames)
    for (const { value, yaml } of files[kind])
      for (const { path, message, hint } of kindOf(kind).lint(value, whole, basename(yaml.file, extname(yaml.file))))
        reader.add(yaml, path, message, hint)
}

/** Tags that read others which read others: so many one behind the other are followed by few. */
const DEEP = 10

/** Tags or segments that read each other in a circle, in words; tags that read too many one behind the other. */
function readEachOther({ tags, segments }: FileDefinitions): {
  circle?: string
  deep: { id: string; levels: number }[]
} {
  const evaluables = [
    ...tags.map((tag): Evaluable => ({ id: tag.id, tag })),
    ...[...segments].map(([id, rule]): Evaluable => ({ id: `segment/${id}`, rule })),
  ]
  try {
    const levels = levelsOf(evaluables, { nowMs: 0, segments, tags })
    return { deep: [...levels].filter(([, n]) => n > DEEP).map(([id, n]) => ({ id, levels: n })) }
  } catch (err) {
    if (err instanceof RangeError) return { circle: err.message, deep: [] }
    throw err
  }
}

function pathOf(paths: Partial<DefinitionPaths>, { setting, below }: DefinitionKind['folder']): string {
  const path = paths[setting as keyof DefinitionPaths]
  if (path === undefined) throw new RangeError(`paths.${setting} is not given`)
  return below === undefined ? path : join(path, below)
}

/** @throws {InvalidInputError} with every problem */
export async function loadDefinitions(paths: DefinitionPaths): Promise<LoadedDefinitions> {
  const { loaded, problems } = await checkDefinitions(paths)
  if (loaded === undefined || problems.length > 0) throw new InvalidInputError('Definitions are not usable', problems)
  return loaded
}

/** Files that were checked before they were published. @throws {InvalidInputError} when this program cannot read them */
export function parseFiles(raw: RawFiles): FileDefinitions {
  return assemble({
    identity: parseWhole('identity', raw.identity?.slice(0, 1) ?? [undefined])[0]!,
    policy: parseWhole('policy', raw.policy?.slice(0, 1) ?? [undefined])[0]!,
    lifecycle: parseWhole('lifecycle', raw.lifecycle),
    segments: parseWhole('segments', raw.segments),
    welcome: parseWhole('welcome', raw.welcome),
    tags: parseWhole('tags', raw.tags),
    contents: parseWhole('contents', raw.contents),
  })
}

/** What was published of one kind. @throws {InvalidInputError} when this program cannot read it */
export function parseWhole<K extends WholeKind>(kind: K, values: readonly unknown[] = []): FileOf<K>[] {
  const { schema } = kindOf(kind)
  return values.map((value) => parseInput(schema, value, `Published ${kind} cannot be read`) as FileOf<K>)
}

/** Rules by the ids of their segments. */
export function segmentsOf(files: readonly FileOf<'segments'>[]): Map<string, Rule> {
  return new Map(files.flatMap((f) => f.segments).map((s) => [s.id, s.when]))
}

/** Contents by their ids. */
export function contentsOf(files: readonly FileOf<'contents'>[]): Map<string, Content> {
  return new Map(files.flatMap((f) => f.contents).map((c) => [c.id, c]))
}

type ParsedFiles = {
  identity: FileOf<'identity'>
  policy: FileOf<'policy'>
} & { readonly [K in 'lifecycle' | 'segments' | 'welcome' | 'tags' | 'contents']: readonly FileOf<K>[] }

function assemble({ identity, policy, lifecycle, segments, welcome, tags, contents }: ParsedFiles): FileDefinitions {
  return {
    identity,
    policy,
    tags: [...tags.flatMap((f) => f.tags), ...lifecycle.map(lifecycleTag)],
    segments: segmentsOf(segments),
    welcome: welcome.flatMap((f) => f.rules),
    contents: contentsOf(contents),
  }
}

/** Tags and the entry rules of the live journeys: what is kept per profile and compared. */
export function evaluablesOf(tags: readonly Tag[], journeys: Iterable<Journey>): Evaluable[] {
  const entries = [...journeys].flatMap((j): Evaluable[] =>
    'when' in j.enter && !('every' in j.enter) ? [{ id: `${ENTRY_PREFIX}${j.id}`, rule: j.enter.when }] : [],
  )
  return [...tags.map((tag) => ({ id: tag.id, tag })), ...entries]
}
