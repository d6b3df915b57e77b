import { z } from 'zod'
import { entryRule, JourneyOfRuns, pinKey, PublishedJourney } from '../../domain/journeys/definition.js'
import { STAGE_TAG } from '../../domain/rules/clauses/stage.js'
import { missingSegment } from '../../domain/rules/rule.js'
import { ConflictError, formatProblem, InvalidInputError } from '../../errors.js'
import { parseInput, toProblems } from '../../parse.js'
import { hashKey } from '../../random.js'
import type { PublishedDefinition } from '../../stored/definitions.js'
import type { Definitions, Deps, PinnedJourney } from '../runtime/deps.js'
import {
  evaluablesOf,
  type FileDefinitions,
  type LoadedDefinitions,
  parseFiles,
  type RawFiles,
} from './load-definitions.js'

export type Publication = { id: string; version: number; change: 'new' | 'changed' | 'unchanged' | 'withdrawn' }

type PublishDeps = Pick<Deps, 'docs' | 'clock'>

/** What a publication consists of: which version of each live journey, and of the other files. */
const Live = z.array(z.object({ kind: z.literal('files').optional(), id: z.string(), version: z.number() }))
type Live = z.infer<typeof Live>

/** Holds the number of the last publication (`value`), and what it consists of (`text`): one document, replaced at once. */
const PUBLISHED = 'published'
const FILES = 'files'
const ATTEMPTS = 10

/**
 * Makes the files live: a changed journey becomes the next version, runs stay on theirs, a journey that is gone takes no
 * newcomers any more. Coupon codes of new pools are added. When something changed it is a new publication.
 */
export async function publishDefinitions(deps: PublishDeps, loaded: LoadedDefinitions): Promise<Publication[]> {
  const done = await publish(deps, async (before) => {
    const made: Publication[] = []
    for (const { journey, raw } of loaded.journeyFiles) {
      const stored = await store(deps, { kind: 'journey', id: journey.id, hashed: JSON.stringify(raw), value: raw })
      if (stored === undefined) return undefined
      made.push({ id: journey.id, ...stored })
    }
    const files = await storeFiles(deps, loaded.files)
    if (files === undefined) return undefined
    const live = made.map(({ id, version }) => ({ id, version }))
    for (const { id, version, kind } of before)
      if (kind === undefined && !live.some((l) => l.id === id)) made.push({ id, version, change: 'withdrawn' })
    return { live: [...live, files], result: made }
  })
  for (const pool of loaded.couponPools) {
    const codes =
      pool.codes ??
      Array.from(
        { length: pool.generate?.count ?? 0 },
        (_, i) => `${pool.generate!.prefix}${hashKey(8, 'coupon', pool.id, i).toUpperCase()}`,
      )
    await deps.docs.coupons.insert(
      codes.map((code) => ({ _id: `${pool.id}:${code}`, pool: pool.id, code, state: 'free' })),
    )
  }
  return done
}

/** Makes everything live but the journeys, which stay as they are. */
export async function publishFiles(deps: PublishDeps, { files }: LoadedDefinitions): Promise<void> {
  await publish(deps, async (before) => {
    const stored = await storeFiles(deps, files)
    return stored && { live: [...before.filter((l) => l.kind === undefined), stored], result: undefined }
  })
}

/** Whether these files are the ones that were published last; `undefined` when none were. */
export async function arePublished({ docs }: Pick<Deps, 'docs'>, files: RawFiles): Promise<boolean | undefined> {
  const stored = await publishedFiles(docs, await liveVersions(docs))
  return stored && stored.hash === hashKey(32, JSON.stringify(files))
}

/** The definitions as they are published. @throws {InvalidInputError} when this program cannot read them */
export async function readPublished(deps: Pick<Deps, 'docs' | 'log'>): Promise<Definitions> {
  const { docs } = deps
  const publication = await liveVersions(docs)
  const stored = await publishedFiles(docs, publication)
  if (stored === undefined)
    throw new InvalidInputError('Nothing is published', [
      { path: '', message: 'there are no published definition files', hint: 'siyu publish' },
    ])
  return definitionsOf(deps, publication, parseFiles(JSON.parse(stored.value as string) as RawFiles))
}

/** Journeys as they are published, and beside them what is given. */
export async function liveDefinitions(deps: Pick<Deps, 'docs' | 'log'>, files: FileDefinitions): Promise<Definitions> {
  return definitionsOf(deps, await liveVersions(deps.docs), files)
}

/** Of every publication of the files the ids of its tags; a part of what any version wrote. */
const PublishedTags = z.object({
  tags: z.array(z.object({ tags: z.array(z.object({ id: z.string() })) })),
  lifecycle: z.unknown().optional(),
})

/** The tags that were published at an instant; before the first publication those of the first. */
export async function publishedTagIds({ docs }: Pick<Deps, 'docs'>, at: Date): Promise<Set<string>> {
  const files = { kind: 'files', id: FILES }
  const then = await docs.published.findOne({ ...files, publishedAt: { $lte: at } }, { sort: { version: -1 } })
  const stored = then ?? (await docs.published.findOne(files, { sort: { version: 1 } }))
  if (stored === undefined) return new Set()
  const { tags, lifecycle } = parseInput(
    PublishedTags,
    JSON.parse(stored.value as string),
    'What was published cannot be read',
  )
  return new Set([...tags.flatMap((f) => f.tags.map((t) => t.id)), ...(lifecycle === undefined ? [] : [STAGE_TAG])])
}

/** The number of the last publication, 0 before the first. */
export async function publishedVersion(docs: Pick<Deps['docs'], 'meta'>): Promise<number> {
  return (await docs.meta.get(PUBLISHED))?.value ?? 0
}

/**
 * What is to be live is worked out from what is live before, and takes its place unless somebody else published meanwhile:
 * then it is worked out again. `plan` resolves to `undefined` when it was overtaken itself.
 */
async function publish<R>(
  { docs }: PublishDeps,
  plan: (before: Live) => Promise<{ live: Live; result: R } | undefined>,
): Promise<R> {
  const { meta } = docs
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const { version, live: before } = await liveVersions(docs)
    const planned = await plan(before)
    if (planned === undefined) continue
    const text = JSON.stringify(planned.live)
    if (version > 0 && text === JSON.stringify(before)) return planned.result
    const next = { text, value: version + 1 }
    const isFirst = (await meta.get(PUBLISHED)) === undefined
    const taken = isFirst
      ? (await meta.insert([{ _id: PUBLISHED, ...next }])).refused.length === 0
      : await meta.update(PUBLISHED, { $set: next }, { value: version })
    if (taken) return planned.result
  }
  throw new ConflictError('其他进程也在发布 · others are publishing at the same time → 稍后重试 try again')
}

type Written = { kind: PublishedDefinition['kind']; id: string; hashed: string; value: unknown }

/** Keeps it as the next version, unless it is the last one; `undefined` when somebody else took that number. */
async function store({ docs, clock }: PublishDeps, { kind, id, hashed, value }: Written) {
  const [last] = await docs.published.find({ kind, id }, { sort: { version: -1 }, limit: 1 })
  const hash = hashKey(32, hashed)
  if (last?.hash === hash) return { version: last.version, change: 'unchanged' as const }
  const version = (last?.version ?? 0) + 1
  const _id = `${kind}:${pinKey(id, version)}`
  const { refused } = await docs.published.insert([{ _id, kind, id, version, hash, value, publishedAt: clock.now() }])
  if (refused.length > 0) return undefined
  return { version, change: last === undefined ? ('new' as const) : ('changed' as const) }
}

async function storeFiles(deps: PublishDeps, files: RawFiles): Promise<Live[number] | undefined> {
  const text = JSON.stringify(files)
  const stored = await store(deps, { kind: 'files', id: FILES, hashed: text, value: text })
  return stored && { kind: 'files', id: FILES, version: stored.version }
}

/**
 * The definitions the engine runs on. What a newer version of this program published and this one cannot read, and a journey
 * whose entry asks a segment that is gone, is left out and said: nobody enters, and what cannot be decided waits.
 */
async function definitionsOf(
  { docs, log }: Pick<Deps, 'docs' | 'log'>,
  { version, live }: { version: number; live: Live },
  files: FileDefinitions,
): Promise<Definitions> {
  const versions = new Map(live.flatMap((l) => (l.kind === undefined ? [[l.id, l.version] as const] : [])))
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
  const { identity, policy, tags, segments, contents, welcome } = files
  const evaluables = evaluablesOf(
    tags,
    [...journeys.values()].map((j) => j.journey),
  )
  return { version, identity, policy, tags, segments, contents, welcome, journeys, pinned, evaluables }
}

/** Why the runs of a version cannot go on here. */
export async function whyUnreadable({ docs }: Pick<Deps, 'docs'>, journeyId: string, version: number): Promise<string> {
  const doc = await docs.published.findOne({ kind: 'journey', id: journeyId, version })
  if (doc === undefined) return `version ${version} of ${journeyId} is not stored`
  const read = JourneyOfRuns.safeParse(doc.value)
  return `version ${version} of ${journeyId} cannot be read here${read.success ? ' yet' : `: ${whyNot(read.error, doc.value)}`}`
}

function whyNot(error: z.ZodError, value: unknown): string {
  return toProblems(error, value).map(formatProblem).join('; ')
}

async function liveVersions({ meta }: Pick<Deps['docs'], 'meta'>): Promise<{ version: number; live: Live }> {
  const { value = 0, text = '[]' } = (await meta.get(PUBLISHED)) ?? {}
  return { version: value, live: parseInput(Live, JSON.parse(text), 'The list of what is published cannot be read') }
}

/** Those of the publication; where a program that knew of journeys only published last, the last ones there were. */
async function publishedFiles(
  docs: Pick<Deps['docs'], 'published'>,
  { live }: { live: Live },
): Promise<PublishedDefinition | undefined> {
  const version = live.find((l) => l.kind === 'files')?.version
  const filter = { kind: 'files', id: FILES, ...(version === undefined ? {} : { version }) }
  return docs.published.findOne(filter, { sort: { version: -1 } })
}
