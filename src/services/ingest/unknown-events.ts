import { isSystemEvent } from '../../domain/events/system-events.js'
import type { SourceRecord } from '../../domain/events/record.js'
import type { Deps } from '../runtime/deps.js'

/** Names that are remembered: a sender may make up any number. */
const REMEMBERED = 200
const PREFIX = 'unknown-event:'

/**
 * Counts events whose names neither the catalogue nor this service knows. They are taken all the same, and a rule that is
 * written tomorrow finds them; but perhaps somebody has misspelt one, so whoever sends, and `siyu doctor`, are told.
 *
 * @param isNew - false: they came before, and are told of without being counted again
 * @returns by name how many of these records' events; `undefined` where all are known, or there is no catalogue
 */
export async function countUnknown(
  { docs, definitions, clock, log }: Pick<Deps, 'docs' | 'definitions' | 'clock' | 'log'>,
  records: readonly Pick<SourceRecord, 'events'>[],
  isNew: boolean,
): Promise<Record<string, number> | undefined> {
  const { eventNames } = definitions.current
  if (eventNames === undefined) return undefined
  const counts = new Map<string, number>()
  for (const { events } of records)
    for (const { name } of events)
      if (!eventNames.has(name) && !isSystemEvent(name)) counts.set(name, (counts.get(name) ?? 0) + 1)
  if (counts.size === 0) return undefined
  const names = [...counts.keys()].slice(0, REMEMBERED)
  const told = Object.fromEntries(names.map((name) => [name, counts.get(name)!]))
  if (!isNew) return told
  const known = new Set((await docs.meta.getMany(names.map((name) => PREFIX + name))).map((doc) => doc._id))
  const room = known.size === names.length ? 0 : REMEMBERED - (await docs.meta.count({ _id: ofUnknown() }))
  const fresh = names.filter((name) => !known.has(PREFIX + name))
  if (fresh.length > 0)
    log.warn('events of unknown names, taken all the same', { names: fresh.slice(0, 10).join(', ') })
  const counted = [...names.filter((name) => known.has(PREFIX + name)), ...fresh.slice(0, Math.max(0, room))]
  await docs.meta.updateEach(
    counted.map((name) => ({
      id: PREFIX + name,
      update: { $inc: { value: counts.get(name)! }, $set: { at: clock.now() } }, // counted are names of `counts`
      upsert: true,
    })),
  )
  return told
}

export type UnknownEvent = { name: string; events: number; lastAt: string }

/** Names of events that came in and are in no catalogue, the most frequent first; those that it has meanwhile are left out. */
export async function listUnknown({ docs, definitions }: Pick<Deps, 'docs' | 'definitions'>): Promise<UnknownEvent[]> {
  const known = definitions.current.eventNames
  const found = await docs.meta.find({ _id: ofUnknown() })
  return found
    .map(({ _id, value = 0, at = new Date(0) }) => ({
      ...{ name: _id.slice(PREFIX.length), events: value, lastAt: at.toISOString() },
    }))
    .filter(({ name }) => known?.has(name) !== true)
    .sort((a, b) => b.events - a.events || (a.name < b.name ? -1 : 1))
}

/** Ids that begin with the prefix: what follows the last letter of it does not. */
function ofUnknown() {
  return { $gte: PREFIX, $lt: `${PREFIX.slice(0, -1)};` }
}
