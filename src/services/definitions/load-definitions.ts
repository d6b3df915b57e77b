import { basename, dirname, normalize } from 'node:path'
import type { z } from 'zod'
import { channelKinds, type StepChannel, stepChannels } from '../../domain/touches/channels.js'
import { EventCatalogue, SYSTEM_EVENTS } from '../../domain/events/catalogue.js'
import { IdentityConfig } from '../../domain/identity/config.js'
import { ENTRY_PREFIX, Journey, placeSteps } from '../../domain/journeys/definition.js'
import { compileDeltas, type Evaluable } from '../../domain/rules/compile.js'
import type { DefinedKind, Reference } from '../../domain/reference.js'
import { STAGE_TAG } from '../../domain/rules/clauses/stage.js'
import { journeyReferences, ruleReferences, tagReferences } from '../../domain/rules/references.js'
import { SegmentFile } from '../../domain/segments/definition.js'
import { Lifecycle, lifecycleTag, type Tag, TagFile, tagKindOf } from '../../domain/tags/definition.js'
import { writebackProblems } from '../../domain/tags/writeback.js'
import { ContentFile, CouponFile, type CouponPool } from '../../domain/content/content.js'
import { Policy } from '../../domain/touches/policy.js'
import { WelcomeFile } from '../../domain/wecom/welcome.js'
import { InvalidInputError, messageOf, type Problem } from '../../errors.js'
import { parseInput } from '../../parse.js'
import { nearest, type YamlFile } from '../../yaml-file.js'
import { DefinitionReader } from './definition-reader.js'
import type { Definitions } from '../runtime/deps.js'
import { renderContent } from '../touches/render-content.js'

export type DefinitionPaths = {
  tags: string
  identity: string
  lifecycle: string
  policy: string
  content: string
  /** May be absent: then nobody is greeted. */
  welcome?: string
  journeys: string
  events: string
  segments: string
  coupons: string
}

/** What comes from files other than those of journeys. */
export type FileDefinitions = Omit<Definitions, 'version' | 'journeys' | 'pinned' | 'evaluables'>

/** What the files say, before anything is published. Raw values too: what is published is what was written. */
export type LoadedDefinitions = FileDefinitions & {
  couponPools: readonly CouponPool[]
  journeyFiles: readonly { journey: Journey; raw: unknown }[]
  files: RawFiles
}

/** The values of the files other than journeys, as they were written; one that may be absent is left out. */
export type RawFiles = {
  identity: unknown
  policy: unknown
  lifecycle?: unknown
  segments?: unknown
  welcome?: unknown
  /** One value per file, in order of the file names. */
  tags: readonly unknown[]
  contents: readonly unknown[]
}

/**
 * Reads and checks every definition file; all problems at once, each with file and line. `loaded` is there unless something
 * other than a journey is wrong: then it leaves the broken journeys out, since a service runs on the published ones.
 */
export async function checkDefinitions(
  paths: DefinitionPaths,
): Promise<{ loaded?: LoadedDefinitions; problems: Problem[] }> {
  const reader = new DefinitionReader()
  const identity = await reader.file(paths.identity, IdentityConfig)
  const policy = await reader.file(paths.policy, Policy)
  const lifecycle = await reader.file(paths.lifecycle, Lifecycle)
  const catalogue = await reader.file(paths.events, EventCatalogue)
  const segmentFile = await reader.file(paths.segments, SegmentFile)
  const couponFile = await reader.file(paths.coupons, CouponFile)
  const welcome = await reader.optionalFile(paths.welcome, WelcomeFile)
  const tagFiles = await reader.folder(paths.tags, TagFile)
  const contentFiles = await reader.folder(paths.content, ContentFile)
  const journeyFiles = await reader.folder(paths.journeys, Journey)

  const tags = tagFiles.flatMap((f) => f.value.tags.map((tag, i) => ({ tag, yaml: f.yaml, path: ['tags', i] })))
  const contents = contentFiles.flatMap((f) =>
    f.value.contents.map((content, i) => ({ content, yaml: f.yaml, path: ['contents', i] })),
  )
  reader.unique(
    'tag',
    tags.map((t) => ({ id: t.tag.id, yaml: t.yaml, path: [...t.path, 'id'] })),
  )
  reader.unique(
    'content',
    contents.map((c) => ({ id: c.content.id, yaml: c.yaml, path: [...c.path, 'id'] })),
  )
  reader.unique(
    'journey',
    journeyFiles.map((j) => ({ id: j.value.id, yaml: j.yaml, path: ['id'] })),
  )

  const names: Record<DefinedKind, Set<string>> = {
    event: new Set([...SYSTEM_EVENTS, ...(catalogue?.value.events.map((e) => e.name) ?? [])]),
    tag: new Set([...tags.map((t) => t.tag.id), STAGE_TAG]),
    stage: new Set(lifecycle?.value.stages.map((s) => s.id)),
    segment: new Set(segmentFile?.value.segments.map((s) => s.id)),
    content: new Set(contents.map((c) => c.content.id)),
  }
  const where: Record<DefinedKind, string> = {
    event: paths.events,
    tag: paths.tags,
    stage: paths.lifecycle,
    segment: paths.segments,
    content: paths.content,
  }
  const check = (yaml: YamlFile, references: Reference<DefinedKind>[]) => {
    for (const r of references) {
      if (names[r.kind].has(r.name)) continue
      const near = nearest(r.name, names[r.kind])
      reader.add(
        yaml,
        r.path,
        `there is no ${r.kind} "${r.name}"`,
        near === undefined
          ? `define it in ${where[r.kind]}`
          : `did you mean "${near}"? Otherwise define it in ${where[r.kind]}`,
      )
    }
  }
  for (const { tag, yaml, path } of tags) {
    check(yaml, tagReferences(tag, path))
    for (const problem of tagKindOf(tag).lint(tag))
      reader.add(yaml, [...path, ...problem.path], problem.message, problem.hint)
  }
  for (const { tagId, problem } of writebackProblems(tags.map((t) => t.tag))) {
    const { yaml, path } = tags.find((t) => t.tag.id === tagId)!
    reader.add(yaml, [...path, problem.path], problem.message, problem.hint!)
  }
  lifecycle?.value.stages.forEach(
    (s, i) => s.when !== undefined && check(lifecycle.yaml, ruleReferences(s.when, ['stages', i, 'when'])),
  )
  segmentFile?.value.segments.forEach((s, i) =>
    check(segmentFile.yaml, ruleReferences(s.when, ['segments', i, 'when'])),
  )
  for (const { value, yaml } of journeyFiles) {
    check(yaml, journeyReferences(value))
    const fileId = basename(yaml.file).replace(/\.ya?ml$/, '')
    if (value.id !== fileId)
      reader.add(
        yaml,
        ['id'],
        `journey id "${value.id}" differs from its file name`,
        `write id: ${fileId}, or rename the file`,
      )
    const ids = placeSteps(value.steps).map((p) => p.stepId)
    const twice = ids.find((id, i) => ids.indexOf(id) !== i)
    if (twice !== undefined)
      reader.add(yaml, ['steps'], `two steps have the id "${twice}"`, 'give each step an id of its own')
  }
  welcome?.value.rules.forEach(({ content, when }, i) => {
    const path = ['rules', i]
    const tagRefs = (when.tags ?? []).map((t, n): Reference<DefinedKind> => ({
      kind: 'tag',
      name: t.tag,
      path: [...path, 'when', 'tags', n, 'tag'],
    }))
    const contentRefs: Reference<DefinedKind>[] =
      content === undefined ? [] : [{ kind: 'content', name: content, path: [...path, 'content'] }]
    check(welcome.yaml, [...tagRefs, ...contentRefs])
    if (contents.some((c) => c.content.id === content && c.content.coupon !== undefined))
      reader.add(
        welcome.yaml,
        [...path, 'content'],
        `content "${content}" carries a code of one customer`,
        'name a content without coupon',
      )
  })
  const pools = new Set(couponFile?.value.pools.map((p) => p.id))
  const contentOf = new Map(contents.map((c) => [c.content.id, c.content]))
  for (const { value, yaml } of journeyFiles) {
    for (const { path, name } of journeyReferences(value).filter((r) => r.path.at(-2) === 'send')) {
      const content = contentOf.get(name)
      const step = path.slice(0, -1).reduce<unknown>((at, key) => (at as Record<string, unknown>)[key], value)
      const { handsOverCode: handsOver } = channelKinds[(step as { channel: StepChannel }).channel]
      if (content === undefined || handsOver === (content.coupon !== undefined)) continue
      const other = stepChannels.filter((c) => channelKinds[c].handsOverCode !== handsOver)
      reader.add(
        yaml,
        path,
        handsOver ? `content "${name}" has no coupon to hand over` : `content "${name}" carries a code of one customer`,
        `${handsOver ? 'name a pool in the content, or write' : 'write'} channel: ${other.join(' or ')}`,
      )
    }
  }
  for (const { content, yaml, path } of contents) {
    if (content.coupon !== undefined && !pools.has(content.coupon)) {
      reader.add(
        yaml,
        [...path, 'coupon'],
        `there is no coupon pool "${content.coupon}"`,
        `define it in ${paths.coupons}`,
      )
    }
    try {
      renderContent(content, { brand: 'brand', ...(content.coupon === undefined ? {} : { coupon: 'CODE' }) })
    } catch (err) {
      const hint = 'use {{ brand }}, and {{ coupon }} where the content names a pool'
      reader.add(yaml, [...path, 'text'], `the text cannot be filled in: ${messageOf(err)}`, hint)
    }
  }
  const { problems } = reader
  const folder = normalize(paths.journeys)
  const inJourney = ({ file }: Problem) => file !== undefined && [file, dirname(file)].map(normalize).includes(folder)
  if (!problems.every(inJourney) || !identity || !policy || !lifecycle || !segmentFile || !couponFile)
    return { problems }

  const definitions = assemble({
    identity: identity.value,
    policy: policy.value,
    lifecycle: lifecycle.value,
    segments: segmentFile.value,
    welcome: welcome?.value,
    tags: tagFiles.map((f) => f.value),
    contents: contentFiles.map((f) => f.value),
  })
  try {
    compileDeltas(
      [
        ...definitions.tags.map((tag): Evaluable => ({ id: tag.id, tag })),
        ...[...definitions.segments].map(([id, rule]): Evaluable => ({ id: `segment/${id}`, rule })),
      ],
      { nowMs: 0, scope: { kind: 'all' }, segments: definitions.segments },
    )
  } catch (err) {
    const circle = { file: paths.tags, path: '', message: messageOf(err), hint: 'break the circle' }
    return { problems: [...problems, circle] }
  }
  const broken = new Set(problems.map((p) => p.file))
  return {
    problems,
    loaded: {
      ...definitions,
      couponPools: couponFile.value.pools,
      journeyFiles: journeyFiles
        .filter((f) => !broken.has(f.yaml.file))
        .map((f) => ({ journey: f.value, raw: f.yaml.value })),
      files: {
        identity: identity.yaml.value,
        policy: policy.yaml.value,
        lifecycle: lifecycle.yaml.value,
        segments: segmentFile.yaml.value,
        ...(welcome === undefined ? {} : { welcome: welcome.yaml.value }),
        tags: tagFiles.map((f) => f.yaml.value),
        contents: contentFiles.map((f) => f.yaml.value),
      },
    },
  }
}

/** @throws {InvalidInputError} with every problem */
export async function loadDefinitions(paths: DefinitionPaths): Promise<LoadedDefinitions> {
  const { loaded, problems } = await checkDefinitions(paths)
  if (loaded === undefined || problems.length > 0) throw new InvalidInputError('Definitions are not usable', problems)
  return loaded
}

/** Files that were checked before they were published. @throws {InvalidInputError} when this program cannot read them */
export function parseFiles(raw: RawFiles): FileDefinitions {
  const parse = <S extends z.ZodType>(schema: S, value: unknown) =>
    parseInput(schema, value, 'Published definition files cannot be read')
  const optional = <S extends z.ZodType>(schema: S, value: unknown) =>
    value === undefined ? undefined : parse(schema, value)
  return assemble({
    identity: parse(IdentityConfig, raw.identity),
    policy: parse(Policy, raw.policy),
    lifecycle: optional(Lifecycle, raw.lifecycle),
    segments: optional(SegmentFile, raw.segments),
    welcome: optional(WelcomeFile, raw.welcome),
    tags: raw.tags.map((file) => parse(TagFile, file)),
    contents: raw.contents.map((file) => parse(ContentFile, file)),
  })
}

type ParsedFiles = {
  identity: IdentityConfig
  policy: Policy
  lifecycle: Lifecycle | undefined
  segments: z.infer<typeof SegmentFile> | undefined
  welcome: z.infer<typeof WelcomeFile> | undefined
  tags: readonly z.infer<typeof TagFile>[]
  contents: readonly z.infer<typeof ContentFile>[]
}

function assemble({ identity, policy, lifecycle, segments, welcome, tags, contents }: ParsedFiles): FileDefinitions {
  return {
    identity,
    policy,
    tags: [...tags.flatMap((f) => f.tags), ...(lifecycle === undefined ? [] : [lifecycleTag(lifecycle)])],
    segments: new Map(segments?.segments.map((s) => [s.id, s.when])),
    welcome: welcome?.rules ?? [],
    contents: new Map(contents.flatMap((f) => f.contents).map((c) => [c.id, c])),
  }
}

/** Tags and the entry rules of the live journeys: what is kept per profile and compared. */
export function evaluablesOf(tags: readonly Tag[], journeys: Iterable<Journey>): Evaluable[] {
  const entries = [...journeys].flatMap((j): Evaluable[] =>
    'when' in j.enter && !('every' in j.enter) ? [{ id: `${ENTRY_PREFIX}${j.id}`, rule: j.enter.when }] : [],
  )
  return [...tags.map((tag) => ({ id: tag.id, tag })), ...entries]
}
