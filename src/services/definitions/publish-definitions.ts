import type { z } from 'zod'
import { entryRule, JourneyOfRuns, pinKey, PublishedJourney } from '../../domain/journeys/definition.js'
import { missingSegment } from '../../domain/rules/rule.js'
import { formatProblem } from '../../errors.js'
import { toProblems } from '../../parse.js'
import { hashKey } from '../../random.js'
import type { Definitions, Deps, PinnedJourney } from '../runtime/deps.js'
import { evaluablesOf, type LoadedDefinitions } from './load-definitions.js'

export type Publication = { id: string; version: number; change: 'new' | 'changed' | 'unchanged' | 'withdrawn' }

/**
 * Makes the journeys of the files live: a changed file becomes the next version, runs stay on theirs, a file that is gone
 * takes no newcomers any more. Coupon codes of new pools are added.
 */
export async function publishDefinitions(
  deps: Pick<Deps, 'docs' | 'clock'>,
  loaded: LoadedDefinitions,
): Promise<Publication[]> {
  const { published, coupons } = deps.docs
  const stored = await published.find({ kind: 'journey' })
  const done: Publication[] = []
  for (const { journey, raw } of loaded.journeyFiles) {
    const versions = stored.filter((p) => p.id === journey.id)
    const last = versions.sort((a, b) => b.version - a.version)[0]
    const hash = hashKey(32, JSON.stringify(raw))
    if (last?.hash === hash) {
      done.push({ id: journey.id, version: last.version, change: 'unchanged' })
      continue
    }
    const version = (last?.version ?? 0) + 1
    await published.insert([
      {
        _id: `journey:${pinKey(journey.id, version)}`,
        kind: 'journey',
        id: journey.id,
        version,
        hash,
        value: raw,
        publishedAt: deps.clock.now(),
      },
    ])
    done.push({ id: journey.id, version, change: last === undefined ? 'new' : 'changed' })
  }
  const live = done.map((d) => ({ id: d.id, version: d.version }))
  const before = await liveVersions(deps)
  for (const [id, version] of before ?? [])
    if (!live.some((l) => l.id === id)) done.push({ id, version, change: 'withdrawn' })
  await deps.docs.meta.updateEach([
    { id: 'published', update: { $set: { text: JSON.stringify(live) }, $inc: { value: 1 } }, upsert: true },
  ])
  for (const pool of loaded.couponPools) {
    const codes =
      pool.codes ??
      Array.from(
        { length: pool.generate?.count ?? 0 },
        (_, i) => `${pool.generate!.prefix}${hashKey(8, 'coupon', pool.id, i).toUpperCase()}`,
      )
    await coupons.insert(codes.map((code) => ({ _id: `${pool.id}:${code}`, pool: pool.id, code, state: 'free' })))
  }
  return done
}

/**
 * The definitions the engine runs on: tags and policy as loaded, journeys as published. What a newer version of this program
 * published and this one cannot read, and a journey whose entry asks a segment that is gone, is left out and said: nobody enters,
 * and what cannot be decided waits.
 */
export async function liveDefinitions(
  deps: Pick<Deps, 'docs' | 'log'>,
  loaded: LoadedDefinitions,
): Promise<Definitions> {
  const live = new Map(await liveVersions(deps))
  const pinned = new Map<string, JourneyOfRuns>()
  const journeys = new Map<string, PinnedJourney>()
  for (const doc of await deps.docs.published.find({ kind: 'journey' })) {
    const forRuns = JourneyOfRuns.safeParse(doc.value)
    if (forRuns.success) pinned.set(pinKey(doc.id, doc.version), forRuns.data)
    if (live.get(doc.id) !== doc.version) continue
    const whole = PublishedJourney.safeParse(doc.value)
    const rule = whole.success ? entryRule(whole.data) : undefined
    const missing = rule === undefined ? undefined : missingSegment(rule, loaded.segments)
    if (whole.success && missing === undefined) journeys.set(doc.id, { version: doc.version, journey: whole.data })
    else
      deps.log.error('nobody can enter a published journey', {
        journeyId: doc.id,
        version: doc.version,
        cause: whole.success ? `there is no segment "${missing}"` : whyNot(whole.error, doc.value),
      })
  }
  const { identity, policy, tags, segments, contents, welcome } = loaded
  const evaluables = evaluablesOf(
    tags,
    [...journeys.values()].map((j) => j.journey),
  )
  return { identity, policy, tags, segments, contents, welcome, journeys, pinned, evaluables }
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

async function liveVersions(deps: Pick<Deps, 'docs'>): Promise<[string, number][] | undefined> {
  const text = (await deps.docs.meta.get('published'))?.text
  return text === undefined
    ? undefined
    : (JSON.parse(text) as { id: string; version: number }[]).map((l) => [l.id, l.version])
}
