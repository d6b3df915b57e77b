import { z } from 'zod'
import type { Collection } from '../ports/document-store.js'
import type { WaitingRows } from '../ports/event-store.js'
import type { Clock } from '../time.js'
import { define, madeList } from './define.js'

/** Counters, cursors, switches, leases. */
export const Meta = z.object({
  _id: z.string(),
  value: z.number().optional(),
  at: z.date().optional(),
  flag: z.boolean().optional(),
  text: z.string().optional(),
  /** `owner` is empty while nobody holds it. `fence` rises with each holder, `beat` with each renewal. */
  lease: z.object({ owner: z.string(), fence: z.number(), beat: z.number() }).optional(),
})
export type Meta = z.infer<typeof Meta>

/** What `writeBehind` keeps. */
const Rows: z.ZodType<WaitingRows, WaitingRows> = z.object({
  _id: z.string(),
  seq: z.number(),
  token: z.string().optional(),
  singly: z.array(z.string()).optional(),
  table: z.string().optional(),
  rows: madeList<Record<string, unknown>>().optional(),
  refused: z.string().optional(),
})

export const runtimeCollections = {
  // Version 1 kept until when a lease was held, by the holder's clock. Its holder finds it gone, and stops.
  meta: define({ name: 'meta', version: 2, schema: Meta, migrations: { 1: withBeat } }),
  waitingRows: define({ name: 'waiting_rows', version: 1, schema: Rows, indexes: [{ fields: ['seq'] }] }),
}

function withBeat(doc: Record<string, unknown>): Record<string, unknown> {
  const { _id, text, at } = doc
  if (typeof _id !== 'string' || !_id.startsWith('lease:')) return doc
  const isHeld = typeof text === 'string' && at instanceof Date && at.getTime() > 0
  return { _id, lease: { owner: isHeld ? text : '', fence: 0, beat: 0 } }
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
