import type { Collection } from '../ports/document-store.js'
import type { DefinitionsOf } from './definitions-of.js'

/** A published version of a journey, or of all files of another kind together; runs of a journey stay on theirs. */
export type PublishedDefinition = {
  _id: string
  /** `journey`, or the name of the kind. */
  kind: string
  /** Of the journey; `all` for the others. */
  id: string
  version: number
  hash: string
  /** As it was written: a journey as data, others as JSON text, whose keys may hold any character. */
  value: unknown
  publishedAt: Date
}

export type DefinitionsCollections = {
  published: Collection<PublishedDefinition>
}

export const definitionsCollections: DefinitionsOf<DefinitionsCollections> = {
  published: { name: 'published', version: 1, indexes: [{ fields: ['kind', 'id', 'version'] }] },
}
