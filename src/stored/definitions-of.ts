import type { CollectionDefinition } from '../ports/document-store.js'

/** The definition of every collection of an area, under the collection's name: one that is missing does not compile. */
export type DefinitionsOf<C> = { readonly [K in keyof C]: CollectionDefinition }
