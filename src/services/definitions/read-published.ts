import { z } from 'zod'
import { said } from '../../said.js'
import { entryRule, JourneyOfRuns, pinKey, PublishedJourney } from '../../domain/journeys/definition.js'
import { missingSegment } from '../../domain/rules/rule.js'
import { formatProblem, InvalidInputError } from '../../errors.js'
import { parseInput, toProblems } from '../../parse.js'
import { hashKey } from '../../random.js'
import type { PublishedDefinition } from '../../stored/definitions.js'
import type { Definitions, Deps, PinnedJourney } from '../runtime/deps.js'
import { type WholeKind, wholeKinds } from './kinds.js'
import { evaluablesOf, type FileDefinitions, parseFiles, type RawFiles } from './load-definitions.js'

/** One of the things that a publication consists of: a journey, or (`kind`) all files of another kind. */
export type LiveVersion = { kind?: string | undefined; id: string; version: number }
export type Live = {
  versions: readonly LiveVersion[]
  /** By content: the version of all contents that corrects it for runs on earlier ones. */
  corrected: Readonly<Record<string, number>>
  /** Contents that nobody is sent any more. */
  withdrawn: readonly string[]
}

const Entry = z.object({ kind: z.string().optional(), id: z.string(), version: z.number() })
const Live = z.union([
  z.object({
    versions: z.array(Entry),
    corrected: z.record(z.string(), z.number()),
    withdrawn: z.array(z.string()),
  }),
  // Of a publication of version 0.1, which says no more than the versions.
  z.array(Entry).transform((versions) => ({ versions, corrected: {}, withdrawn: [] })),
])

/** Holds the number of the last publication (`value`), and what it consists of (`text`): one document, replaced at once. */
export const PUBLISHED = 'published'
/** The one id of a kind whose files have their versions together. */
export const ALL = 'all'

/** What is stored of one kind: the values of its files, as text. */
export function textOfKind(values: readonly unknown[]): string {
  return JSON.stringify(values)
}

/** Whether these files are the ones that were published last; `undefined` when none were. */
export async function arePublished({ docs }: Pick<Deps, 'docs'>, files: RawFiles): Promise<boolean | undefined> {
  const stored = await publishedKinds(docs, await liveVersions(docs))
  if (stored.size === 0) return undefined
  return wholeKinds.every((kind) => {
    const values = files[kind] ?? []
    return values.length === 0 ? !stored.has(kind) : stored.get(kind)?.hash === hashKey(32, textOfKind(values))
  })
}

/** The definitions as they are published. @throws {InvalidInputError} when this program cannot read them */
export async function readPublished(deps: Pick<Deps, 'docs' | 'log'>): Promise<Definitions> {
  const { docs } = deps
  const publication = await liveVersions(docs)
  const stored = await publishedKinds(docs, publication)
  if (stored.size === 0)
    throw new InvalidInputError(said('什么都没有发布', 'Nothing is published'), [
      { path: '', message: said('没有已发布的定义', 'there are no published definition files'), hint: 'siyu publish' },
    ])
  const values = [...stored].map(([kind, { value }]) => [kind, JSON.parse(value as string)] as const)
  return definitionsOf(deps, publication, parseFiles(Object.fromEntries(values)), stored)
}

/** Journeys as they are published, and beside them what is given. */
export async function liveDefinitions(deps: Pick<Deps, 'docs' | 'log'>, files: FileDefinitions): Promise<Definitions> {
  const publication = await liveVersions(deps.docs)
  return definitionsOf(deps, publication, files, await publishedKinds(deps.docs, publication))
}

/** The number of the last publication, 0 before the first. */
export async function publishedVersion(docs: Pick<Deps['docs'], 'meta'>): Promise<number> {
  return (await docs.meta.get(PUBLISHED))?.value ?? 0
}

/** The last publication: its number, and what it consists of. */
export async function liveVersions({ meta }: Pick<Deps['docs'], 'meta'>): Promise<{ version: number; live: Live }> {
  const { value = 0, text = '[]' } = (await meta.get(PUBLISHED)) ?? {}
  return { version: value, live: parseInput(Live, JSON.parse(text), 'The list of what is published cannot be read') }
}

/** Why the runs of a version cannot go on here. */
export async function whyUnreadable({ docs }: Pick<Deps, 'docs'>, journeyId: string, version: number): Promise<string> {
  const doc = await docs.published.findOne({ kind: 'journey', id: journeyId, version })
  if (doc === undefined) return `version ${version} of ${journeyId} is not stored`
  const read = JourneyOfRuns.safeParse(doc.value)
  return `version ${version} of ${journeyId} cannot be read here${read.success ? ' yet' : `: ${whyNot(read.error, doc.value)}`}`
}

/**
 * The definitions the engine runs on. What a newer version of this program published and this one cannot read, and a journey
 * whose entry asks a segment that is gone, is left out and said: nobody enters, and what cannot be decided waits.
 */
async function definitionsOf(
  { docs, log }: Pick<Deps, 'docs' | 'log'>,
  { version, live }: { version: number; live: Live },
  files: FileDefinitions,
  stored: ReadonlyMap<WholeKind, PublishedDefinition>,
): Promise<Definitions> {
  const versions = new Map(live.versions.flatMap((l) => (l.kind === undefined ? [[l.id, l.version] as const] : [])))
  const pinned = new Map<string, JourneyOfRuns>()
  const journeys = new Map<string, PinnedJourney>()
  for (const doc of await docs.published.find({ kind: 'journey' })) {
    const forRuns = JourneyOfRuns.safeParse(doc.value)
    if (forRuns.success) pinned.set(pinKey(doc.id, doc.version), forRuns.data)
    if (versions.get(doc.id) !== doc.version) continue
    const whole = PublishedJourney.safeParse(doc.value)
    const rule = whole.success ? entryRule(whole.data) : undefined
    const missing = rule === undefined ? undefined : missingSegment(rule, files.segments)
    if (whole.success && missing === undefined) journeys.set(doc.id, { version: doc.version, journey: whole.data })
    else
      log.error('nobody can enter a published journey', {
        journeyId: doc.id,
        version: doc.version,
        cause: whole.success ? `there is no segment "${missing}"` : whyNot(whole.error, doc.value),
      })
  }
  const { identity, policy, eventNames, tags, segments, contents, welcome } = files
  const evaluables = evaluablesOf(
    tags,
    [...journeys.values()].map((j) => j.journey),
  )
  const [ofSegments, ofContents] = [stored.get('segments')?.version, stored.get('contents')?.version]
  const pins = {
    ...(ofSegments !== undefined && { segments: ofSegments }),
    ...(ofContents !== undefined && { contents: ofContents }),
  }
  return {
    version,
    identity,
    policy,
    ...(eventNames !== undefined && { eventNames }),
    tags,
    segments,
    contents,
    welcome,
    pins,
    corrected: new Map(Object.entries(live.corrected)),
    withdrawn: new Set(live.withdrawn),
    journeys,
    pinned,
    evaluables,
  }
}

function whyNot(error: z.ZodError, value: unknown): string {
  return toProblems(error, value)
    .map((p) => formatProblem(p))
    .join('; ')
}

/** Of the publication, by kind; where a program that knew of journeys only published last, the last ones there were. */
export async function publishedKinds(
  { published }: Pick<Deps['docs'], 'published'>,
  { live }: { live: Live },
): Promise<Map<WholeKind, PublishedDefinition>> {
  const found = new Map<WholeKind, PublishedDefinition>()
  const versions = new Map(live.versions.flatMap((l) => (l.kind === undefined ? [] : [[l.kind, l.version] as const])))
  const isListed = wholeKinds.some((kind) => versions.has(kind))
  for (const kind of wholeKinds) {
    const version = versions.get(kind)
    if (isListed && version === undefined) continue
    const filter = { kind, id: ALL, ...(version !== undefined && { version }) }
    const doc = await published.findOne(filter, { sort: { version: -1 } })
    if (doc !== undefined) found.set(kind, doc)
  }
  return found
}
