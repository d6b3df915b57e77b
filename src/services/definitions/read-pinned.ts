import type { Content } from '../../domain/content/content.js'
import type { Pins } from '../../domain/journeys/pins.js'
import type { Rule } from '../../domain/rules/rule.js'
import { formatProblem, InvalidInputError } from '../../errors.js'
import type { Collections } from '../../stored/collections.js'
import type { Deps } from '../runtime/deps.js'
import { contentsOf, parseWhole, segmentsOf } from './load-definitions.js'
import { ALL } from './read-published.js'

type PinnedKind = keyof Pins
type PinnedOf = { segments: ReadonlyMap<string, Rule>; contents: ReadonlyMap<string, Content> }

/** What a version says, or why nobody here can tell. */
export type PinnedRead<K extends PinnedKind> = { value: PinnedOf[K] } | { unreadable: string }

const readers: { [K in PinnedKind]: (values: readonly unknown[]) => PinnedOf[K] } = {
  segments: (values) => segmentsOf(parseWhole('segments', values)),
  contents: (values) => contentsOf(parseWhole('contents', values)),
}

/** Versions that were read lately, by kind and number: what is published never changes. */
const known = new WeakMap<Collections['published'], Map<string, PinnedOf[PinnedKind]>>()
const KNOWN_MAX = 50

/** All segments, or all contents, of the version that a run stays on. Without one they are those of today. */
export async function readPinned<K extends PinnedKind>(
  { docs, definitions }: Pick<Deps, 'docs' | 'definitions'>,
  kind: K,
  version: number | undefined,
): Promise<PinnedRead<K>> {
  const { current } = definitions
  // `current` has them under the same names.
  return version === undefined || version === current.pins[kind]
    ? { value: current[kind] }
    : readVersion(docs, kind, version)
}

/** The same of a version that is known to be another one, or where there is no today. */
export async function readVersion<K extends PinnedKind>(
  { published }: Pick<Collections, 'published'>,
  kind: K,
  version: number,
): Promise<PinnedRead<K>> {
  const read = known.get(published) ?? new Map<string, PinnedOf[PinnedKind]>()
  known.set(published, read)
  const key = `${kind}@${version}`
  const before = read.get(key)
  if (before !== undefined) return { value: before as PinnedOf[K] }
  const doc = await published.findOne({ kind, id: ALL, version })
  if (doc === undefined) return { unreadable: `version ${version} of ${kind} is not stored` }
  try {
    const value = readers[kind](JSON.parse(doc.value as string) as unknown[])
    for (const oldest of read.keys()) {
      if (read.size < KNOWN_MAX) break
      read.delete(oldest)
    }
    read.set(key, value)
    return { value }
  } catch (err) {
    if (!(err instanceof InvalidInputError)) throw err
    return {
      unreadable: `version ${version} of ${kind} cannot be read here: ${err.problems.map((p) => formatProblem(p)).join('; ')}`,
    }
  }
}
