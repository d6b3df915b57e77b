import { z } from 'zod'
import { pinKey } from '../../domain/journeys/definition.js'
import { STAGE_TAG } from '../../domain/rules/clauses/stage.js'
import { ConflictError, InvalidInputError } from '../../errors.js'
import { parseInput } from '../../parse.js'
import { hashKey } from '../../random.js'
import { meant, said } from '../../said.js'
import { fillPools } from '../content/fill-pools.js'
import type { Deps } from '../runtime/deps.js'
import { findTagReaders } from './find-tag-readers.js'
import { type KindName, wholeKinds } from './kinds.js'
import type { LoadedDefinitions, RawFiles } from './load-definitions.js'
import { ALL, type Live, type LiveVersion, liveVersions, PUBLISHED, textOfKind } from './read-published.js'

/** What became of a journey, of the files of another kind (`id` all), or, where it is said of one, of a content. */
export type Publication = {
  kind: KindName
  id: string
  version: number
  change: 'new' | 'changed' | 'unchanged' | 'withdrawn' | 'corrected'
}

export type PublishOptions = {
  /** Contents that runs on their way have as they are now. One that was withdrawn may be sent again. */
  correct?: readonly string[]
  /** Journeys stay as they are published, and their files are not looked at. */
  keepJourneys?: boolean
}

type PublishDeps = Pick<Deps, 'docs' | 'clock'>

const ATTEMPTS = 10

/**
 * Makes the files live: what changed becomes the next version, runs stay on theirs, a journey that is gone takes no
 * newcomers any more. Coupon codes of new pools are added. When something changed it is a new publication.
 *
 * @throws {InvalidInputError} when runs on their way read a tag that is gone or of another type, or there is no content to
 * correct; nothing changes then
 */
export async function publishDefinitions(
  deps: PublishDeps,
  loaded: LoadedDefinitions,
  { correct = [] }: Pick<PublishOptions, 'correct'> = {},
): Promise<Publication[]> {
  refuseUnknown(correct, new Set(loaded.contents.keys()))
  const done = await publish(deps, async (before) => {
    await refuseTagChanges(deps, before, loaded)
    const made: Publication[] = []
    for (const { journey, raw } of loaded.journeyFiles) {
      const stored = await store(deps, { kind: 'journey', id: journey.id, hashed: JSON.stringify(raw), value: raw })
      if (stored === undefined) return undefined
      made.push({ kind: 'journeys', id: journey.id, ...stored })
    }
    const live = made.map(({ id, version }): LiveVersion => ({ id, version }))
    for (const { id, version, kind } of before.versions)
      if (kind === undefined && !live.some((l) => l.id === id))
        made.push({ kind: 'journeys', id, version, change: 'withdrawn' })
    const kinds = await storeKinds(deps, loaded.files, before)
    if (kinds === undefined) return undefined
    const { version } = kinds.made.find((m) => m.kind === 'contents') ?? { version: 0 }
    const corrections = [...new Set(correct)].sort().map((id) => ({ kind: 'contents' as const, id, version }))
    return {
      live: {
        versions: [...live, ...kinds.live],
        corrected: { ...before.corrected, ...Object.fromEntries(corrections.map((c) => [c.id, version])) },
        withdrawn: before.withdrawn.filter((id) => !correct.includes(id)),
      },
      result: [...made, ...kinds.made, ...corrections.map((c) => ({ ...c, change: 'corrected' as const }))],
    }
  })
  await fillPools(deps, loaded.couponPools)
  return done
}

/** Makes everything live but the journeys, which stay as they are. @throws {InvalidInputError} as `publishDefinitions` */
export function publishFiles(deps: PublishDeps, loaded: LoadedDefinitions): Promise<Publication[]> {
  return publish(deps, async (before) => {
    await refuseTagChanges(deps, before, loaded)
    const kinds = await storeKinds(deps, loaded.files, before)
    const journeys = before.versions.filter((l) => l.kind === undefined)
    return kinds && { live: { ...before, versions: [...journeys, ...kinds.live] }, result: kinds.made }
  })
}

/**
 * From now on nobody is sent these contents, by whatever version; the files are not looked at.
 *
 * @throws {InvalidInputError} when there never was such a content
 */
export async function withdrawContents(deps: PublishDeps, contentIds: readonly string[]): Promise<Publication[]> {
  const published = await deps.docs.published.find({ kind: 'contents', id: ALL }, { sort: { version: -1 } })
  const known = published.flatMap(({ value }) => ContentIds.safeParse(JSON.parse(value as string)).data ?? [])
  refuseUnknown(contentIds, new Set(known.flatMap((f) => f.contents.map((c) => c.id))))
  const version = published[0]?.version ?? 0
  return publish(deps, (before) => {
    const withdrawn = [...new Set([...before.withdrawn, ...contentIds])].sort()
    const result = contentIds.map((id): Publication => ({ kind: 'contents', id, version, change: 'withdrawn' }))
    return Promise.resolve({ live: { ...before, withdrawn }, result })
  })
}

/** As much as must be known of contents that a newer version of this program may have published. */
const ContentIds = z.array(z.looseObject({ contents: z.array(z.looseObject({ id: z.string() })) }))

function refuseUnknown(contentIds: readonly string[], known: ReadonlySet<string>): void {
  const problems = contentIds
    .filter((id) => !known.has(id))
    .map((id) => {
      const hint = meant(id, known, '内容写在 config/content/', 'contents are in config/content/')
      return { path: 'content', message: said(`没有内容 "${id}"`, `there is no content "${id}"`), hint }
    })
  if (problems.length > 0) throw new InvalidInputError(said('没有这些内容', 'there are no such contents'), problems)
}

/** As much of a version of the tags as tells their ids, whoever wrote it. */
const TagIds = z.array(z.object({ tags: z.array(z.object({ id: z.string() })) }))

/** The tags that were published at an instant; before the first publication those of the first. */
export async function publishedTagIds({ docs }: Pick<Deps, 'docs'>, at: Date): Promise<Set<string>> {
  const versionThen = async (kind: KindName) =>
    (await docs.published.findOne({ kind, id: ALL, publishedAt: { $lte: at } }, { sort: { version: -1 } })) ??
    (await docs.published.findOne({ kind, id: ALL }, { sort: { version: 1 } }))
  const stored = await versionThen('tags')
  const files =
    stored === undefined
      ? []
      : parseInput(
          TagIds,
          JSON.parse(stored.value as string),
          said('已发布的读不了', 'What was published cannot be read'),
        )
  const stage = (await versionThen('lifecycle')) === undefined ? [] : [STAGE_TAG]
  return new Set([...files.flatMap((f) => f.tags.map((t) => t.id)), ...stage])
}

async function refuseTagChanges(deps: PublishDeps, before: Live, loaded: LoadedDefinitions): Promise<void> {
  const problems = await findTagReaders(deps, before, loaded)
  if (problems.length > 0)
    throw new InvalidInputError(said('这些定义不能发布', 'these definitions cannot be published'), problems)
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
  throw new ConflictError(said('其他进程也在发布 → 稍后重试', 'others are publishing at the same time → try again'))
}

type Written = { kind: string; id: string; hashed: string; value: unknown }

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

/** The kinds whose files have their versions together; `undefined` when somebody else took the number of one. */
async function storeKinds(
  deps: PublishDeps,
  files: RawFiles,
  before: Live,
): Promise<{ live: LiveVersion[]; made: Publication[] } | undefined> {
  const made: Publication[] = []
  for (const kind of wholeKinds) {
    const values = files[kind] ?? []
    const was = before.versions.find((l) => l.kind === kind)
    if (values.length === 0) {
      if (was !== undefined) made.push({ kind, id: ALL, version: was.version, change: 'withdrawn' })
      continue
    }
    const text = textOfKind(values)
    const stored = await store(deps, { kind, id: ALL, hashed: text, value: text })
    if (stored === undefined) return undefined
    made.push({ kind, id: ALL, ...stored })
  }
  const live = made.filter((m) => m.change !== 'withdrawn').map(({ kind, id, version }) => ({ kind, id, version }))
  return { live, made }
}
