import { basename, dirname, normalize } from 'node:path'
import { channelKinds, type StepChannel, stepChannels } from '../../domain/touches/channels.js'
import { EventCatalogue, SYSTEM_EVENTS } from '../../domain/events/catalogue.js'
import { IdentityConfig } from '../../domain/identity/config.js'
import { ENTRY_PREFIX, Journey, placeSteps } from '../../domain/journeys/definition.js'
import { compileDeltas, type Evaluable } from '../../domain/rules/compile.js'
import type { DefinedKind, Reference } from '../../domain/reference.js'
import { STAGE_TAG } from '../../domain/rules/clauses/stage.js'
import { journeyReferences, ruleReferences, tagReferences } from '../../domain/rules/references.js'
import type { Rule } from '../../domain/rules/rule.js'
import { SegmentFile } from '../../domain/segments/definition.js'
import { Lifecycle, lifecycleTag, type Tag, TagFile, tagKindOf } from '../../domain/tags/definition.js'
import { writebackProblems } from '../../domain/tags/writeback.js'
import { type Content, ContentFile, CouponFile, type CouponPool } from '../../domain/touches/content.js'
import { Policy } from '../../domain/touches/policy.js'
import { WelcomeFile } from '../../domain/wecom/welcome.js'
import { InvalidInputError, messageOf, type Problem } from '../../errors.js'
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

/** What the files say, before anything is published. */
export type LoadedDefinitions = Omit<Definitions, 'journeys' | 'pinned' | 'evaluables'> & {
  couponPools: readonly CouponPool[]
  /** Raw values too: what is published is what was written. */
  journeyFiles: readonly { journey: Journey; raw: unknown }[]
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

  const segments = new Map<string, Rule>(segmentFile.value.segments.map((s) => [s.id, s.when]))
  const allTags: Tag[] = [...tags.map((t) => t.tag), lifecycleTag(lifecycle.value)]
  try {
    compileDeltas(
      [
        ...allTags.map((tag): Evaluable => ({ id: tag.id, tag })),
        ...[...segments].map(([id, rule]): Evaluable => ({ id: `segment/${id}`, rule })),
      ],
      { nowMs: 0, scope: { kind: 'all' }, segments },
    )
  } catch (err) {
    const circle = { file: paths.tags, path: '', message: messageOf(err), hint: 'break the circle' }
    return { problems: [...problems, circle] }
  }
  const broken = new Set(problems.map((p) => p.file))
  return {
    problems,
    loaded: {
      identity: identity.value,
      policy: policy.value,
      tags: allTags,
      segments,
      welcome: welcome?.value.rules ?? [],
      contents: new Map(contents.map((c): [string, Content] => [c.content.id, c.content])),
      couponPools: couponFile.value.pools,
      journeyFiles: journeyFiles
        .filter((f) => !broken.has(f.yaml.file))
        .map((f) => ({ journey: f.value, raw: f.yaml.value })),
    },
  }
}

/** @throws {InvalidInputError} with every problem */
export async function loadDefinitions(paths: DefinitionPaths): Promise<LoadedDefinitions> {
  const { loaded, problems } = await checkDefinitions(paths)
  if (loaded === undefined || problems.length > 0) throw new InvalidInputError('Definitions are not usable', problems)
  return loaded
}

/** Tags and the entry rules of the live journeys: what is kept per profile and compared. */
export function evaluablesOf(tags: readonly Tag[], journeys: Iterable<Journey>): Evaluable[] {
  const entries = [...journeys].flatMap((j): Evaluable[] =>
    'when' in j.enter && !('every' in j.enter) ? [{ id: `${ENTRY_PREFIX}${j.id}`, rule: j.enter.when }] : [],
  )
  return [...tags.map((tag) => ({ id: tag.id, tag })), ...entries]
}
