import type { Collection } from '../ports/document-store.js'
import type { WaitingRows } from '../ports/event-store.js'
import type { Clock } from '../time.js'
import type { DefinitionsOf } from './definitions-of.js'

/** Counters, cursors, switches. */
export type Meta = { _id: string; value?: number; at?: Date; flag?: boolean; text?: string }

export type RuntimeCollections = {
  meta: Collection<Meta>
  /** What `writeBehind` keeps. */
  waitingRows: Collection<WaitingRows>
}

export const runtimeCollections: DefinitionsOf<RuntimeCollections> = {
  meta: { name: 'meta', version: 1 },
  waitingRows: { name: 'waiting_rows', version: 1, indexes: [{ fields: ['seq'] }] },
}

/** The counter that numbers every evaluation, of ingest and of refreshes: the higher number wins. */
export const EVALUATIONS = 'evaluation'

/**
 * The next place among all groups of work, and the instant it counts as: they are given out together, so that neither falls
 * when the clock is set back.
 */
export async function nextMoment(meta: Collection<Meta>, clock: Clock): Promise<{ now: Date; seq: number }> {
  const doc = await meta.findOneAndUpdate(
    { _id: `counter:${EVALUATIONS}` },
    { $inc: { value: 1 }, $max: { at: clock.now() } },
    { upsert: true },
  )
  return { now: doc!.at!, seq: doc!.value! }
}

/** The next value of a counter, from 1. */
export async function nextValue(meta: Collection<Meta>, counter: string): Promise<number> {
  const doc = await meta.findOneAndUpdate({ _id: `counter:${counter}` }, { $inc: { value: 1 } }, { upsert: true })
  return doc!.value!
}
