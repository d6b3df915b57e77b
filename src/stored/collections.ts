import type { DocumentStore } from '../ports/document-store.js'
import { type AuditCollections, auditCollections } from './audit.js'
import { type DefinitionsCollections, definitionsCollections } from './definitions.js'
import { foldTagRows } from './fold-tag-rows.js'
import { type GuidesCollections, guidesCollections } from './guides.js'
import { type IngestCollections, ingestCollections } from './ingest.js'
import { type JourneysCollections, journeysCollections } from './journeys.js'
import { type ProfilesCollections, profilesCollections } from './profiles.js'
import { type RuntimeCollections, runtimeCollections } from './runtime.js'
import { type TagsCollections, tagsCollections } from './tags.js'
import { type TouchesCollections, touchesCollections } from './touches.js'
import { type WecomCollections, wecomCollections } from './wecom.js'
import type { DefinitionsOf } from './definitions-of.js'

export type Collections = RuntimeCollections &
  AuditCollections &
  IngestCollections &
  ProfilesCollections &
  TagsCollections &
  JourneysCollections &
  TouchesCollections &
  GuidesCollections &
  WecomCollections &
  DefinitionsCollections

const definitions: DefinitionsOf<Collections> = {
  ...runtimeCollections,
  ...auditCollections,
  ...ingestCollections,
  ...profilesCollections,
  ...tagsCollections,
  ...journeysCollections,
  ...touchesCollections,
  ...guidesCollections,
  ...wecomCollections,
  ...definitionsCollections,
}

/** Opens (creates, migrates) every collection. */
export async function openCollections(store: DocumentStore): Promise<Collections> {
  const opened: [string, unknown][] = []
  for (const [key, definition] of Object.entries(definitions)) opened.push([key, await store.collection(definition)])
  const docs = Object.fromEntries(opened) as Collections
  await foldTagRows(store, docs.profileTags)
  return docs
}
