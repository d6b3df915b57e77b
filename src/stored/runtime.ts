import { setImmediate as nextTurn } from 'node:timers/promises'
import { z } from 'zod'
import type { Collection } from '../ports/document-store.js'
import type { WaitingRows } from '../ports/event-store.js'
import { type Clock, MINUTE_MS } from '../time.js'
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

/** Of a lane, or of a shard of one, that fails: since when it has not worked once. */
const LaneFailure = z.object({
  _id: z.string(),
  since: z.date(),
  lastAt: z.date(),
  times: z.number(),
  cause: z.string(),
})

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
  laneFailures: define({ name: 'lane_failures', version: 1, schema: LaneFailure }),
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

/** By how much the clocks of processes may differ. An instant that lies further ahead was told by a clock that was wrong. */
export const MAX_AHEAD_MS = 5 * MINUTE_MS

/** An instant of the past that is kept as `at`. One that lies ahead counts as now, here and, from now on, for everybody. */
export async function pastInstant(
  meta: Collection<Meta>,
  { _id, at }: { _id: string; at: Date },
  now: Date,
  aheadMs = MAX_AHEAD_MS,
): Promise<Date> {
  if (at.getTime() - now.getTime() <= aheadMs) return at
  await meta.update(_id, { $set: { at: now } }, { at })
  return now
}

/**
 * The next place among all groups of work, and the instant it counts as: they are given out together, so that neither falls
 * when the clock is set back by a little. The place never falls. The instant does where the last one lies ahead by more than
 * clocks may differ: all work would live there until the hour has come.
 *
 * @param told - instants of what the work is about, by whatever clock: none of them is later than `now`, unless it lies that far
 *   ahead of this one
 */
export async function nextMoment(
  meta: Collection<Meta>,
  clock: Clock,
  told: readonly Date[] = [],
): Promise<{ now: Date; seq: number }> {
  const now = clock.now()
  const latest = told.reduce((late, at) => (at > late && at.getTime() - now.getTime() <= MAX_AHEAD_MS ? at : late), now)
  const doc = await meta.findOneAndUpdate(
    { _id: `counter:${EVALUATIONS}` },
    { $inc: { value: 1 }, $max: { at: latest } },
    { upsert: true },
  )
  const { _id, at, value } = doc!
  return { now: await pastInstant(meta, { _id, at: at! }, now), seq: value! }
}

/** As of when what is stored is read: now, or the latest instant that work has counted as, by a clock that is a little ahead of ours. */
export async function presentInstant(meta: Collection<Meta>, clock: Clock): Promise<Date> {
  const now = clock.now()
  const at = (await meta.get(`counter:${EVALUATIONS}`))?.at
  return at !== undefined && at > now && at.getTime() - now.getTime() <= MAX_AHEAD_MS ? at : now
}

/**
 * How many plans were begun (`value`), which batch holds the last one (`text`), and the latest instant that somebody asked about
 * (`at`): no plan begins as of it or before.
 */
export const PLANS_BEGUN = 'plan-begun'

/**
 * Before a question about an instant is answered: what is not begun by now counts as of later. Whoever makes a plan takes its
 * instant first, and stores it after that: it is dated anew when it is to begin.
 */
export async function closePast(meta: Collection<Meta>, at: Date): Promise<void> {
  const later = new Date(at.getTime() + 1)
  await meta.updateEach([{ id: `counter:${EVALUATIONS}`, update: { $max: { at: later } }, upsert: true }])
  // Absent before the first plan, whose instant is then given out after this.
  await meta.update(PLANS_BEGUN, { $max: { at } })
}

/** Who asks for a value of a counter in this turn of the event loop. */
type Asking = { asked: number; last: Promise<number> }
const asking = new WeakMap<Collection<Meta>, Map<string, Asking>>()

/** The next value of a counter, from 1. Those who ask together take theirs by one write, in the order in which they asked. */
export async function nextValue(meta: Collection<Meta>, counter: string): Promise<number> {
  const counters = asking.get(meta) ?? new Map<string, Asking>()
  asking.set(meta, counters)
  let group = counters.get(counter)
  if (group === undefined) {
    const begun: Asking = { asked: 0, last: Promise.resolve(0) }
    begun.last = nextTurn().then(async () => {
      counters.delete(counter)
      const update = { $inc: { value: begun.asked } }
      const doc = await meta.findOneAndUpdate({ _id: `counter:${counter}` }, update, { upsert: true })
      return doc!.value!
    })
    counters.set(counter, (group = begun))
  }
  const place = ++group.asked
  const last = await group.last
  return last - group.asked + place
}
