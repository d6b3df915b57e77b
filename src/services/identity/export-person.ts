import { z } from 'zod'
import type { Collection, Doc, DocumentStore } from '../../ports/document-store.js'
import type { Deps } from '../runtime/deps.js'
import { keysOf, personalDocuments, personalRows, type PersonKeys } from './personal-data.js'
import { findPerson, type PersonQuery } from './find-person.js'

/** All that is held of one person, by collection and table; those that hold nothing of her are left out. */
export type PersonExport = {
  profileId: number
  /** ISO 8601. */
  at: string
  documents: Record<string, unknown[]>
  events: Record<string, unknown[]>
  /** Documents that cannot be read here, whoever they are about: she may be in them. See `siyu doctor`. */
  unread: { collection: string; id: string }[]
}

const Row = z.record(z.string(), z.unknown())
type Place = { where: (keys: PersonKeys) => never; pick?: (doc: Doc, keys: PersonKeys) => unknown }

/** As JSON: instants are ISO 8601 in UTC. @throws {NotFoundError} when there is nobody of that kind */
export async function exportPerson(
  deps: Deps,
  documents: Pick<DocumentStore, 'unfit'>,
  query: PersonQuery,
): Promise<PersonExport> {
  const { docs, events, clock } = deps
  const profile = await findPerson(deps, query)
  const keys = await keysOf(docs, profile)
  const at = clock.now().toISOString()
  const found: PersonExport = { profileId: profile._id, at, documents: {}, events: {}, unread: [] }
  // First: rows that wait in documents arrive.
  for (const [table, place] of personalRows) {
    if ('none' in place) continue
    const rows = await events.query(
      `SELECT * FROM ${table.name} WHERE ${place(keys)} ORDER BY ALL SETTINGS date_time_output_format = 'iso'`,
      Row,
      'scan',
    )
    if (rows.length > 0) found.events[table.name] = rows
  }
  for (const [name, place] of Object.entries(personalDocuments)) {
    if ('none' in place) continue
    // The table says that the parts fit.
    const { where, pick = (doc: Doc) => doc } = place as unknown as Place
    const collection = docs[name as keyof typeof docs] as unknown as Collection<Doc>
    const hers: unknown[] = []
    for await (const some of collection.scan(where(keys), 100, { skipUnfit: true }))
      hers.push(...some.map((doc) => pick(doc, keys)).filter((one) => one !== undefined))
    if (hers.length > 0) found.documents[name] = hers
  }
  found.unread = (await documents.unfit()).map(({ collection, id }) => ({ collection, id }))
  return found
}
