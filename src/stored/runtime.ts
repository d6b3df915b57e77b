import type { Collection } from '../ports/document-store.js'
import type { DefinitionsOf } from './definitions-of.js'

/** Counters, cursors, switches. */
export type Meta = { _id: string; value?: number; at?: Date; flag?: boolean; text?: string }

export type RuntimeCollections = {
  meta: Collection<Meta>
}

export const runtimeCollections: DefinitionsOf<RuntimeCollections> = {
  meta: { name: 'meta', version: 1 },
}

/** The counter that numbers every evaluation, of ingest and of refreshes: the higher number wins. */
export const EVALUATIONS = 'evaluation'

/** The next value of a counter, from 1. */
export async function nextValue(meta: Collection<Meta>, counter: string): Promise<number> {
  const doc = await meta.findOneAndUpdate({ _id: `counter:${counter}` }, { $inc: { value: 1 } }, { upsert: true })
  return doc!.value!
}
