import type { Collection } from '../ports/document-store.js'
import type { DefinitionsOf } from './definitions-of.js'

/** A published version of a definition; journeys are pinned to theirs. */
export type PublishedDefinition = {
  _id: string
  kind: string
  id: string
  version: number
  hash: string
  value: unknown
  publishedAt: Date
}

export type DefinitionsCollections = {
  published: Collection<PublishedDefinition>
}

export const definitionsCollections: DefinitionsOf<DefinitionsCollections> = {
  published: { name: 'published', version: 1, indexes: [{ fields: ['kind', 'id', 'version'] }] },
}
