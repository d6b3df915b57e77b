import { z } from 'zod'
import type { Collection, CollectionDefinition, Doc, DocumentStore } from '../ports/document-store.js'

export type Defined<T extends Doc> = CollectionDefinition<T> & {
  open: (store: DocumentStore) => Promise<Collection<T>>
}

/** A collection; its documents are of the type that its schema has. */
export function define<T extends Doc>(definition: CollectionDefinition<T>): Defined<T> {
  return { ...definition, open: (store) => store.collection(definition) }
}

/** The collections of an area, as they are when they are open. */
export type CollectionsOf<D> = { [K in keyof D]: D[K] extends Defined<infer T> ? Collection<T> : never }

/** Made and read by our own code alone: that it is an object is checked, its inside is not. */
export function made<T extends object>(): z.ZodType<T, T> {
  return z.custom<T>((value) => typeof value === 'object' && value !== null && !Array.isArray(value))
}

/** The same of a list. */
export function madeList<T>(): z.ZodType<T[], T[]> {
  return z.custom<T[]>(Array.isArray)
}
