import { z } from 'zod'
import { said } from '../../said.js'
import { JourneyOfRuns, pinKey } from '../../domain/journeys/definition.js'
import { rulesAhead } from '../../domain/journeys/rules-ahead.js'
import { readsOf } from '../../domain/rules/compile.js'
import type { Rule } from '../../domain/rules/rule.js'
import type { Problem } from '../../errors.js'
import type { Run } from '../../stored/journeys.js'
import type { Deps } from '../runtime/deps.js'
import type { FileDefinitions } from './load-definitions.js'
import { readVersion } from './read-pinned.js'
import { type Live, publishedKinds } from './read-published.js'

/** As much as must be known of tags that a newer version of this program may have published. */
const TagFiles = z.array(z.looseObject({ tags: z.array(z.looseObject({ id: z.string(), type: z.string() })) }))

const NAMED_MAX = 10

type Readers = { count: number; first: string[] }

/**
 * Tags are the ones of today for every run: one that runs on their way still read may not go, nor become another type.
 *
 * @param before - what is published
 * @param next - what is to be
 * @returns one problem for each such tag, with how many runs read it and the first of them
 */
export async function findTagReaders(
  { docs }: Pick<Deps, 'docs'>,
  before: Live,
  next: Pick<FileDefinitions, 'tags' | 'segments'>,
): Promise<Problem[]> {
  const types = new Map(next.tags.map((tag): [string, string] => [tag.id, tag.type]))
  const stored = (await publishedKinds(docs, { live: before })).get('tags')
  const files = TagFiles.safeParse(stored === undefined ? [] : JSON.parse(stored.value as string))
  const changed = (files.data ?? []).flatMap((f) => f.tags).filter((tag) => types.get(tag.id) !== tag.type)
  if (changed.length === 0) return []
  const readers = await findReaders(docs, new Set(changed.map((tag) => tag.id)), next.segments)
  return changed.flatMap(({ id, type }): Problem[] => {
    const found = readers.get(id)
    if (found === undefined) return []
    const { count, first } = found
    const becomes = types.get(id)
    const what =
      becomes === undefined
        ? { zh: '被删除', en: 'it is removed' }
        : { zh: `类型 ${type} → ${becomes}`, en: `its type ${type} → ${becomes}` }
    const runs = `${first.join(', ')}${count > first.length ? ' …' : ''}`
    return [
      {
        path: `tags.${id}`,
        message: said(
          `${what.zh}，但还有 ${count} 个在途的旅程要读它：${runs}`,
          `${what.en}, but ${count} waiting runs read it: ${runs}`,
        ),
        hint: said('保留原样，等它们走完再发布', 'leave it as it was until they have ended'),
      },
    ]
  })
}

/** Waiting runs by the tags, of these, that a rule ahead of them reads. */
async function findReaders(
  docs: Deps['docs'],
  tagIds: ReadonlySet<string>,
  today: ReadonlyMap<string, Rule>,
): Promise<Map<string, Readers>> {
  const journeys = new Map<string, JourneyOfRuns>()
  for (const { id, version, value } of await docs.published.find({ kind: 'journey' })) {
    const journey = JourneyOfRuns.safeParse(value)
    if (journey.success) journeys.set(pinKey(id, version), journey.data)
  }
  const readers = new Map<string, Readers>()
  const known = new Map<string, string[]>()
  for await (const runs of docs.runs.scan({ state: 'waiting' }, 1_000)) {
    for (const run of runs) {
      const key = `${pinKey(run.journeyId, run.version)} ${run.path} ${run.pins?.segments}`
      const read = known.get(key) ?? (await readBy(docs, run, journeys, today)).filter((id) => tagIds.has(id))
      known.set(key, read)
      for (const id of read) {
        const { count, first } = readers.get(id) ?? { count: 0, first: [] }
        readers.set(id, { count: count + 1, first: first.length < NAMED_MAX ? [...first, run._id] : first })
      }
    }
  }
  return readers
}

/** The tags that a run may still read. Of steps and segments that cannot be read here nobody can say. */
async function readBy(
  docs: Deps['docs'],
  run: Run,
  journeys: ReadonlyMap<string, JourneyOfRuns>,
  today: ReadonlyMap<string, Rule>,
): Promise<string[]> {
  const journey = journeys.get(pinKey(run.journeyId, run.version))
  const rules = journey === undefined ? [] : rulesAhead(journey, run.path)
  if (rules.length === 0) return []
  const version = run.pins?.segments
  const pinned = version === undefined ? { value: today } : await readVersion(docs, 'segments', version)
  const segments = 'value' in pinned ? pinned.value : new Map<string, Rule>()
  return [...new Set(rules.flatMap((rule) => [...readsOf({ id: '', rule }, segments).tags]))]
}
