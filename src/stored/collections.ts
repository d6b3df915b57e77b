import type { CollectionDefinition, Doc, DocumentStore } from '../ports/document-store.js'
import { auditCollections } from './audit.js'
import { backupCollections } from './backups.js'
import type { CollectionsOf } from './define.js'
import { definitionsCollections } from './definitions.js'
import { foldTagRows } from './fold-tag-rows.js'
import { guidesCollections } from './guides.js'
import { ingestCollections } from './ingest.js'
import { journeysCollections } from './journeys.js'
import { profilesCollections } from './profiles.js'
import { runtimeCollections } from './runtime.js'
import { tagsCollections } from './tags.js'
import { touchesCollections } from './touches.js'
import { wecomCollections } from './wecom.js'

const definitions = {
  ...runtimeCollections,
  ...auditCollections,
  ...backupCollections,
  ...ingestCollections,
  ...profilesCollections,
  ...tagsCollections,
  ...journeysCollections,
  ...touchesCollections,
  ...guidesCollections,
  ...wecomCollections,
  ...definitionsCollections,
}

/** Every collection there is. What their documents are, each says for itself. */
export const collectionDefinitions = Object.values(definitions) as unknown as readonly CollectionDefinition<Doc>[]

export type Collections = CollectionsOf<typeof definitions>

/** Opens (creates, migrates) every collection. */
export async function openCollections(store: DocumentStore): Promise<Collections> {
  const opened: [string, unknown][] = []
  for (const [key, { open }] of Object.entries(definitions)) opened.push([key, await open(store)])
  const docs = Object.fromEntries(opened) as Collections
  await foldTagRows(store, docs.profileTags)
  return docs
}
