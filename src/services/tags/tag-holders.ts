import { z } from 'zod'
import { profilesTable, tagStateTable } from '../../domain/events/tables.js'
import { literals } from '../../domain/rules/sql.js'
import type { Deps } from '../runtime/deps.js'

/** Profiles that were merged away keep their last rows. */
const ALIVE = `profile_id IN (SELECT profile_id FROM ${profilesTable.name} FINAL WHERE merged_into = 0)`
const RANGE = 50_000
const CHUNK = 1_000

const Count = z.object({ id: z.string(), n: z.number() })
const Holder = z.object({ profileId: z.number(), tagId: z.string() })

/** How many people have each tag; tags that nobody has are left out. */
export async function countHolders({ events }: Pick<Deps, 'events'>): Promise<Map<string, number>> {
  const rows = await events.query(
    `SELECT tag_id AS id, count() AS n FROM ${tagStateTable.name} FINAL WHERE value != '' AND ${ALIVE} GROUP BY tag_id ORDER BY tag_id
     SETTINGS enable_analyzer = 0`,
    Count,
    'scan',
  )
  return new Map(rows.map((row) => [row.id, row.n]))
}

/** Who has one of these tags, in bounded pieces, in order of the profiles. */
export async function* findHolders(
  { docs, events }: Pick<Deps, 'docs' | 'events'>,
  tagIds: readonly string[],
): AsyncIterable<z.infer<typeof Holder>[]> {
  if (tagIds.length === 0) return
  const last = (await docs.meta.get('counter:profile'))?.value ?? 0
  for (let from = 1; from <= last; from += RANGE) {
    const rows = await events.query(
      `SELECT profile_id AS profileId, tag_id AS tagId FROM ${tagStateTable.name} FINAL
       WHERE profile_id >= ${from} AND profile_id < ${from + RANGE} AND tag_id IN (${literals(tagIds)}) AND value != '' AND ${ALIVE}
       ORDER BY profileId, tagId SETTINGS enable_analyzer = 0`,
      Holder,
      'scan',
    )
    for (let i = 0; i < rows.length; i += CHUNK) yield rows.slice(i, i + CHUNK)
  }
}
