/** Where something stands in a file. */
export type Path = readonly (string | number)[]

/** What files define, and a definition may name. */
export type DefinedKind = 'event' | 'tag' | 'stage' | 'segment' | 'content' | 'coupon pool' | 'journey' | 'way'

/** Something that a definition names and that is known elsewhere; traits and identifiers come with the data. */
export type Reference<K = DefinedKind | 'trait' | 'identifier'> = { kind: K; name: string; path: Path }

export function isDefinedInFiles(reference: Reference): reference is Reference<DefinedKind> {
  return reference.kind !== 'trait' && reference.kind !== 'identifier'
}
