import { basename, dirname, extname, join, normalize } from 'node:path'
import { SYSTEM_TRAITS } from '../../domain/events/catalogue.js'
import { systemEventNames, systemProperties } from '../../domain/events/system-events.js'
import { ENTRY_PREFIX, type Journey } from '../../domain/journeys/definition.js'
import { type Evaluable, levelsOf } from '../../domain/rules/compile.js'
import { type DefinedKind, nounOf, type Path, type Reference } from '../../domain/reference.js'
import { STAGE_TAG } from '../../domain/rules/clauses/stage.js'
import type { Known } from '../../domain/rules/known.js'
import { ruleMistakes } from '../../domain/rules/mistakes.js'
import { ruleReferences } from '../../domain/rules/references.js'
import { type Rule, walkRule } from '../../domain/rules/rule.js'
import { lifecycleTag, type Tag, tagKindOf } from '../../domain/tags/definition.js'
import type { Content, CouponPool } from '../../domain/content/content.js'
import { InvalidInputError, type Problem } from '../../errors.js'
import { parseInput } from '../../parse.js'
import { meant, said } from '../../said.js'
import type { YamlFile } from '../../yaml-file.js'
import { type Broken, DefinitionReader, type ReadFiles } from './definition-reader.js'
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
import { type DefinitionKind, namesAt, type Whole } from './kinds/kind.js'

/** What comes from files other than those of journeys. */
export type FileDefinitions = Pick<
  Definitions,
  'identity' | 'policy' | 'eventNames' | 'tags' | 'segments' | 'contents' | 'welcome'
>

/** What the files say, before anything is published. Raw values too: what is published is what was written. */
export type LoadedDefinitions = FileDefinitions & {
  couponPools: readonly CouponPool[]
  journeyFiles: readonly { journey: Journey; raw: unknown }[]
  files: RawFiles
}

/** How much there is of a kind, and what, for people. */
export type ShownKind = { name: { zh: string; en: string }; count: number; what: string }

/** What is kept of the files other than journeys: one value per file, in order of the file names. */
export type RawFiles = { readonly [K in WholeKind]?: readonly unknown[] }

/** What was read of each kind, in order of the file names. */
type Files = { readonly [K in KindName]: ReadFiles<FileOf<K>> }

/** What texts have of the brand: its name, and whether links can lead anywhere. */
export type BrandTexts = { brand?: string; hasSite?: boolean }

/** @param config - as much of it as can be read */
export function textsOf({ brand, linkBase }: { brand?: { name: string }; linkBase?: string | undefined }): BrandTexts {
  return { ...(brand !== undefined && { brand: brand.name }), hasSite: linkBase !== undefined }
}

/** Names that are there without a file. */
const BUILT_IN: Partial<Record<DefinedKind, readonly string[]>> = { event: systemEventNames, tag: [STAGE_TAG] }

/**
 * Reads and checks every file of these kinds; all problems at once, each with file and line. `warnings` stop nobody. `loaded`
 * is there unless something other than a journey is wrong: then it leaves the broken journeys out, since a service runs on
 * the published ones.
 *
 * @param names - by default the kinds that are published: what is not does not hold the others up
 * @param texts - what texts will have of the brand
 */
export async function checkDefinitions(
  paths: DefinitionPaths,
  { names = publishedKinds, brand = 'brand', hasSite = true }: { names?: readonly KindName[] } & BrandTexts = {},
): Promise<{
  problems: Problem[]
  warnings: Problem[]
  loaded?: LoadedDefinitions
  shown?: ShownKind[]
  known: Known
}> {
  const { reader, files, defined, harmless } = await readKinds(paths, names)
  const known = knownOf(files)
  const whole: Whole = {
    tags: [
      ...files.tags.loaded.flatMap((f) => f.value.tags),
      ...files.lifecycle.loaded.map((f) => lifecycleTag(f.value)),
    ],
    contents: contentsOf(files.contents.loaded.map((f) => f.value)),
    known,
    brand,
    hasSite,
  }
  checkEach(reader, files, whole)
  const circles = circlesAmong(rulesOf(files), defined)
  for (const { yaml, path, names: around } of circles) {
    const round = around.join(' → ')
    reader.add(
      yaml,
      path,
      said(`标签或人群互相读取，绕成一圈：${round}`, `tags or segments read each other in a circle: ${round}`),
      said('断开其中一处', 'break the circle'),
    )
  }
  const problems = inFileOrder(reader.problems)
  // What may be broken by itself stands in the folder of a kind whose files have versions of their own, or none.
  const folders = kindNames.flatMap((name) => {
    const { versioned, folder } = kindOf(name)
    return versioned === 'kind' ? [] : [normalize(pathOf(paths, folder))]
  })
  const isAlone = (problem: Problem) =>
    harmless.has(problem) ||
    (problem.file !== undefined &&
      [problem.file, dirname(problem.file)].some((place) => folders.includes(normalize(place))))
  const [identity] = files.identity.loaded
  const [policy] = files.policy.loaded
  const warnings = inFileOrder([...reader.warnings, ...unlisted(files)])
  if (!problems.every(isAlone) || identity === undefined || policy === undefined) return { problems, warnings, known }
  const valuesOf = <K extends KindName>(kind: K) => (files[kind] as ReadFiles<FileOf<K>>).loaded.map((f) => f.value)
  const definitions = assemble({
    identity: identity.value,
    policy: policy.value,
    events: valuesOf('events'),
    lifecycle: valuesOf('lifecycle'),
    segments: valuesOf('segments'),
    welcome: valuesOf('welcome'),
    tags: valuesOf('tags'),
    contents: valuesOf('contents'),
  })
  const broken = new Set(problems.map((p) => p.file))
  const sound = files.journeys.loaded.filter((f) => !broken.has(f.yaml.file))
  return {
    problems,
    warnings: [...warnings, ...deepTags(definitions, defined)],
    known,
    loaded: {
      ...definitions,
      couponPools: valuesOf('coupons').flatMap((f) => f.pools),
      journeyFiles: sound.map((f) => ({ journey: f.value, raw: f.yaml.value })),
      files: Object.fromEntries(
        wholeKinds.map((kind) => [kind, files[kind].loaded.map((f) => kindOf(kind).kept(f.value, f.yaml.value))]),
      ),
    },
    shown: names.flatMap((name) => {
      const kind = kindOf(name)
      const shown = kind.shows(
        (name === 'journeys' ? sound : files[name].loaded).map((f) => f.value),
        whole,
      )
      return shown === undefined ? [] : [{ name: kind.words, ...shown }]
    }),
  }
}

/** Where a name is defined. */
type Defined = { kind: DefinedKind; name: string; yaml: YamlFile; path: Path }

type ReadKinds = { reader: DefinitionReader; files: Files; defined: Defined[]; harmless: ReadonlySet<Problem> }

/** Reads these kinds, of the others nothing; names that are taken or not there are among the problems. */
export async function readKinds(
  paths: Partial<DefinitionPaths>,
  names: readonly KindName[],
): Promise<ReadKinds & { problems: Problem[] }> {
  const reader = new DefinitionReader()
  const files = await readFiles(reader, paths, names)
  return { reader, files, ...checkNames(reader, files, paths, names), problems: reader.problems }
}

async function readFiles(
  reader: DefinitionReader,
  paths: Partial<DefinitionPaths>,
  names: readonly KindName[],
): Promise<Files> {
  const none: ReadFiles<unknown> = { loaded: [], broken: [], unreadable: false }
  const files: [KindName, ReadFiles<unknown>][] = kindNames.map((name) => [name, none])
  for (const name of names) {
    const { schema, folder } = kindOf(name)
    const path = pathOf(paths, folder)
    const read =
      folder.holds === 'files' || folder.holds === 'optional files'
        ? reader.folder(path, schema, folder.holds === 'optional files')
        : folder.holds === 'file'
          ? reader.file(path, schema)
          : reader.optionalFile(path, schema)
    files.push([name, await read])
  }
  // Each was read by the schema of its kind.
  return Object.fromEntries(files) as unknown as Files
}

/** What fits of every file of a kind, and how to find the place of something in it. */
function partsOf(files: Files, kind: KindName): Broken<object>[] {
  const { loaded, broken } = files[kind]
  const placeOf = (path: readonly PropertyKey[]) => [...path]
  return [...loaded.map(({ value, yaml }) => ({ part: value, yaml, placeOf })), ...broken]
}

/** Names are defined once, and whatever is named is defined. */
function checkNames(
  reader: DefinitionReader,
  files: Files,
  paths: Partial<DefinitionPaths>,
  kinds: readonly KindName[],
): Pick<ReadKinds, 'defined' | 'harmless'> {
  const defined: Defined[] = []
  const where = new Map<DefinedKind, string>()
  /** Kinds of names of which there may be more than were read. */
  const open = new Set<DefinedKind>()
  for (const name of kinds) {
    const { provides, folder } = kindOf(name)
    if (provides === undefined) continue
    // A name is there as soon as it is written, whatever else is wrong with what bears it.
    const here = [...files[name].loaded, ...files[name].broken].flatMap(({ yaml }) =>
      namesAt(yaml.value, provides.at).map((n) => ({ ...n, kind: provides.kind, yaml })),
    )
    reader.unique(
      nounOf(provides.kind),
      here.map((d) => ({ id: d.name, yaml: d.yaml, path: d.path })),
    )
    defined.push(...here)
    where.set(provides.kind, pathOf(paths, folder))
    if (files[name].unreadable) open.add(provides.kind)
  }
  const claims = kinds.flatMap((kind) =>
    files[kind].loaded.flatMap(({ value, yaml }) =>
      (kindOf(kind).claims?.(value) ?? []).map((claim) => ({ ...claim, yaml })),
    ),
  )
  for (const what of new Set(claims.map((claim) => claim.what)))
    reader.unique(
      nounOf(what),
      claims.filter((claim) => claim.what === what).map(({ name: id, yaml, path }) => ({ id, yaml, path })),
    )
  const names = new Map<DefinedKind, Set<string>>()
  for (const [kind, builtIn] of Object.entries(BUILT_IN)) names.set(kind as DefinedKind, new Set(builtIn))
  for (const { kind, name } of defined) names.set(kind, (names.get(kind) ?? new Set()).add(name))
  const harmless = new Set<Problem>()
  const check = (yaml: YamlFile, { kind, name }: Reference<DefinedKind>, place: readonly PropertyKey[]) => {
    const known = names.get(kind) ?? new Set()
    if (known.has(name) || open.has(kind)) return
    const noun = nounOf(kind)
    const hint = meant(name, known, `在 ${where.get(kind)} 里定义`, `define it in ${where.get(kind)}`)
    const problem = reader.add(yaml, place, said(`没有${noun.zh} "${name}"`, `there is no ${noun.en} "${name}"`), hint)
    // Whoever names a journey goes on without it.
    if (kind === 'journey') harmless.add(problem)
  }
  for (const kind of kindNames)
    for (const { part, yaml, placeOf } of partsOf(files, kind)) {
      const named = [
        ...kindOf(kind).references(part),
        ...(kindOf(kind).rules?.(part) ?? []).flatMap(({ rule, path }) => ruleReferences(rule, path)),
      ]
      for (const reference of named) check(yaml, reference, placeOf(reference.path))
    }
  return { defined, harmless }
}

function checkEach(reader: DefinitionReader, files: Files, whole: Whole): void {
  for (const kind of kindNames) {
    const of = kindOf(kind)
    for (const { value, yaml } of files[kind].loaded)
      for (const mistake of of.lint(value, whole, basename(yaml.file, extname(yaml.file))))
        reader.addMistake(yaml, mistake)
    for (const { part, yaml, placeOf } of partsOf(files, kind))
      for (const rule of of.rules?.(part) ?? [])
        for (const mistake of ruleMistakes(rule, whole.known)) reader.addMistake(yaml, mistake, placeOf(mistake.path))
  }
}

/** What rules can be held against: what fits of every file counts. */
function knownOf(files: Files): Known {
  const catalogues = partsOf(files, 'events').map((f): Partial<FileOf<'events'>> => f.part)
  const traits = catalogues.flatMap((c) => c.traits ?? [])
  const listed = catalogues
    .flatMap((c) => c.events ?? [])
    .flatMap(({ name, properties }) => (properties === undefined ? [] : [[name, new Set(properties)] as const]))
  const tags = [
    ...partsOf(files, 'tags').flatMap((f) => (f.part as Partial<FileOf<'tags'>>).tags ?? []),
    ...files.lifecycle.loaded.map((f) => lifecycleTag(f.value)),
  ]
  const types = [...files.identity.loaded, ...files.identity.broken].flatMap(({ yaml }) =>
    namesAt(yaml.value, ['identifiers', '*', 'type']).map((n) => n.name),
  )
  return {
    properties: new Map([...systemProperties(), ...listed]),
    ...(catalogues.some((c) => c.traits !== undefined) && { traits: new Set([...SYSTEM_TRAITS, ...traits]) }),
    ...(!files.identity.unreadable && { identifiers: new Set(types) }),
    ...(catalogues.length > 0 && {
      events: new Set([...systemEventNames, ...catalogues.flatMap((c) => c.events ?? []).map(({ name }) => name)]),
    }),
    tags: new Map(tags.map((tag) => [tag.id, tagKindOf(tag).values(tag)])),
  }
}

/** Events and traits that rules read and no list names, so that nothing is found of how they are spelt. */
function unlisted(files: Files): Problem[] {
  const [catalogue] = files.events.loaded
  if (catalogue === undefined) return []
  const { value, yaml } = catalogue
  const rules = rulesOf(files).flatMap(({ rule }) => [...walkRule(rule)].map((at) => at.rule))
  const reading = new Set(
    rules.flatMap((rule) =>
      'event' in rule && (rule.where ?? rule.sum ?? rule.first ?? rule.last) !== undefined ? [rule.event] : [],
    ),
  )
  const hint = said('列出来，写错的名字才会被指出', 'list them, and misspelt ones are found')
  const warn = (path: readonly PropertyKey[], zh: string, en: string): Problem => {
    const line = yaml.lineOf(path)
    return {
      file: yaml.file,
      ...(line !== undefined && { line }),
      path: path.map(String).join('.'),
      message: said(zh, en),
      hint,
    }
  }
  return [
    ...value.events.flatMap(({ name, properties }, i) =>
      properties === undefined && reading.has(name)
        ? [
            warn(
              ['events', i],
              `规则读取 ${name} 的属性，但没有列出 properties`,
              `rules read properties of ${name}, and it lists none`,
            ),
          ]
        : [],
    ),
    ...(value.traits === undefined && rules.some((rule) => 'trait' in rule)
      ? [warn([], '规则读取特征，但没有列出 traits', 'rules read traits, and none are listed')]
      : []),
  ]
}

type RuleInFile = { kind: KindName; yaml: YamlFile; rule: Rule; path: Path; placeOf: Broken<object>['placeOf'] }

function rulesOf(files: Files): RuleInFile[] {
  return kindNames.flatMap((kind) =>
    partsOf(files, kind).flatMap(({ part, yaml, placeOf }) =>
      (kindOf(kind).rules?.(part) ?? []).map(({ rule, path }) => ({ kind, yaml, rule, path, placeOf })),
    ),
  )
}

/** What names something that is computed from others. */
type Edge = { from: string; to: string; yaml: YamlFile; path: readonly PropertyKey[] }

/** Tags and segments that read each other in a circle: each circle once, at the place where it closes. */
function circlesAmong(
  rules: readonly RuleInFile[],
  defined: readonly Defined[],
): { yaml: YamlFile; path: readonly PropertyKey[]; names: string[] }[] {
  const nodeOf = ({ kind, name }: { kind: string; name: string }) =>
    kind === 'segment' ? `segment ${name}` : kind === 'stage' ? STAGE_TAG : name
  const readable = new Set(['tag', 'segment', 'stage'])
  const edges = rules.flatMap(({ yaml, rule, path, placeOf }): Edge[] => {
    const place = placeOf(path)
    const owner = defined.find(
      (d) => readable.has(d.kind) && d.yaml === yaml && d.path.slice(0, -1).every((key, i) => key === place[i]),
    )
    if (owner === undefined) return []
    return ruleReferences(rule, path)
      .filter((r) => readable.has(r.kind))
      .map((r) => ({ from: nodeOf(owner), to: nodeOf(r), yaml, path: placeOf(r.path) }))
  })
  const from = new Map<string, Edge[]>()
  for (const edge of edges) from.set(edge.from, [...(from.get(edge.from) ?? []), edge])
  const done = new Set<string>()
  const way: string[] = []
  const circles: { yaml: YamlFile; path: readonly PropertyKey[]; names: string[] }[] = []
  const follow = (node: string) => {
    if (done.has(node)) return
    way.push(node)
    for (const { to, yaml, path } of from.get(node) ?? []) {
      const at = way.indexOf(to)
      if (at === -1) follow(to)
      else circles.push({ yaml, path, names: [...way.slice(at), to] })
    }
    way.pop()
    done.add(node)
  }
  for (const node of from.keys()) follow(node)
  return circles
}

/** Tags that read others which read others: so many one behind the other are followed by few. */
const DEEP = 10

function deepTags({ tags, segments }: FileDefinitions, defined: readonly Defined[]): Problem[] {
  const evaluables = [
    ...tags.map((tag): Evaluable => ({ id: tag.id, tag })),
    ...[...segments].map(([id, rule]): Evaluable => ({ id: `segment/${id}`, rule })),
  ]
  return [...levelsOf(evaluables, { nowMs: 0, segments, tags })].flatMap(([id, levels]): Problem[] => {
    if (levels <= DEEP) return []
    const place = defined.find((d) => (d.kind === 'tag' ? d.name : `${d.kind}/${d.name}`) === id)
    const line = place?.yaml.lineOf(place.path)
    return [
      {
        ...(place !== undefined && { file: place.yaml.file }),
        ...(line !== undefined && { line }),
        path: place?.path.join('.') ?? '',
        message: said(`${id} 依次读取 ${levels} 层标签`, `${id} reads ${levels} tags one behind the other`),
        hint: said(
          `超过 ${DEEP} 层很难看懂，也更慢；让它直接读事件`,
          `more than ${DEEP} are hard to follow, and slow: read events instead`,
        ),
      },
    ]
  })
}

/** Files as they come up first, and in each from the top. */
function inFileOrder(problems: readonly Problem[]): Problem[] {
  const files = [...new Set(problems.map((p) => p.file))]
  return [...problems].sort((a, b) => files.indexOf(a.file) - files.indexOf(b.file) || (a.line ?? 0) - (b.line ?? 0))
}

function pathOf(paths: Partial<DefinitionPaths>, { setting, below }: DefinitionKind['folder']): string {
  const path = paths[setting as keyof DefinitionPaths]
  if (path === undefined) throw new RangeError(`paths.${setting} is not given`)
  return below === undefined ? path : join(path, below)
}

/** @throws {InvalidInputError} with every problem */
export async function loadDefinitions(paths: DefinitionPaths, texts?: BrandTexts): Promise<LoadedDefinitions> {
  const { loaded, problems } = await checkDefinitions(paths, texts)
  if (loaded === undefined || problems.length > 0) throw unusable(problems)
  return loaded
}

/** What stands in files, and cannot be run. */
export function unusable(problems: readonly Problem[]): InvalidInputError {
  return new InvalidInputError(said('定义文件不能用', 'Definitions are not usable'), problems)
}

/** Files that were checked before they were published. @throws {InvalidInputError} when this program cannot read them */
export function parseFiles(raw: RawFiles): FileDefinitions {
  return assemble({
    identity: parseWhole('identity', raw.identity?.slice(0, 1) ?? [undefined])[0]!,
    policy: parseWhole('policy', raw.policy?.slice(0, 1) ?? [undefined])[0]!,
    events: parseWhole('events', raw.events),
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
  return values.map(
    (value) =>
      parseInput(schema, value, said(`已发布的 ${kind} 读不了`, `Published ${kind} cannot be read`)) as FileOf<K>,
  )
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
} & { readonly [K in 'events' | 'lifecycle' | 'segments' | 'welcome' | 'tags' | 'contents']: readonly FileOf<K>[] }

function assemble({
  identity,
  policy,
  events,
  lifecycle,
  segments,
  welcome,
  tags,
  contents,
}: ParsedFiles): FileDefinitions {
  return {
    identity,
    policy,
    ...(events.length > 0 && { eventNames: new Set(events.flatMap((f) => f.events.map((e) => e.name))) }),
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
