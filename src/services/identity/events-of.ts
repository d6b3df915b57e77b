import { z } from 'zod'
import { eventsTable } from '../../domain/events/tables.js'
import type { Profile } from '../../domain/identity/profile.js'
import { SMALL_QUERY } from '../../domain/rules/sql.js'
import type { Deps } from '../runtime/deps.js'

const EventRow = z.object({
  id: z.string(),
  name: z.string(),
  ms: z.number(),
  source: z.string(),
  amount: z.number(),
  properties: z.string(),
  /** The number under which it was written: perhaps of one that was found to be her later. */
  profile: z.number(),
})
export type EventRow = z.infer<typeof EventRow>

/** Events of one person, the newest first, each once: an id is its source's. @param where - SQL */
export function eventsOf(
  { events }: Pick<Deps, 'events'>,
  { _id, mergedIds }: Profile,
  where: string,
  limit: number,
): Promise<EventRow[]> {
  return events.query(
    `SELECT event_id AS id, name, toUnixTimestamp64Milli(occurred_at) AS ms, source, amount_minor AS amount, properties, profile_id AS profile
     FROM ${eventsTable.name} WHERE profile_id IN (${[_id, ...mergedIds].join(', ')}) AND ${where}
     ORDER BY occurred_at DESC, known_at DESC, seq DESC, source, event_id LIMIT 1 BY source, event_id LIMIT ${limit} ${SMALL_QUERY}`,
    EventRow,
  )
}
