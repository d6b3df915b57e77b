import { z } from 'zod'
import { type Profile, typeName } from '../../domain/identity/profile.js'
import { literal } from '../../domain/rules/sql.js'
import { said } from '../../said.js'
import { DAY_MS } from '../../time.js'
import type { Deps } from '../runtime/deps.js'
import { type EventRow, eventsOf } from './events-of.js'
import { findPerson, PersonQuery } from './find-person.js'

export const PathQuery = z.strictObject({
  of: PersonQuery,
  event: z
    .string()
    .regex(/^[a-z][a-z0-9_]*$/, said('事件名是小写加下划线', 'an event name is snake_case'))
    .default('order_paid')
    .describe(said('什么算转化', 'what counts as a conversion')),
  days: z.int().min(1).max(366).default(30).describe(said('往前看几天', 'how many days before it are looked at')),
  last: z.int().min(1).max(20).default(3).describe(said('最近几次转化', 'of how many conversions, the last ones')),
})
export type PathQuery = z.infer<typeof PathQuery>

/** What somebody did, or what reached her, before a conversion; an earlier one is such a station, too. */
export type Station = {
  at: string
  /** The last of several of the same kind, one after the other. */
  until?: string
  times: number
  /** touch: it reached her from us. event: what she did, or what was done for her. */
  kind: 'touch' | 'event'
  name: string
  /** Of a touch its channel; of an event the one it tells, else its source. */
  channel: string
  journeyId?: string
  contentId?: string
  /** Where it was, as the event tells. */
  page?: string
  /** Nobody knew yet who she was: it was before any of her strong identifiers. */
  anonymous?: true
  /** The profile it was known of then, which was found to be her later. */
  asProfile?: number
}

export type Conversion = {
  id: string
  at: string
  source: string
  amountMinor: number
  /** Channels of touches on the way, in their order, each once. */
  touchedBy: string[]
  stations: Station[]
  /** There were more, before the first one shown. */
  cut: boolean
}

/** Newest conversion first; stations from the oldest on. Instants are ISO 8601. */
export type ShownPath = { profileId: number; event: string; days: number; conversions: Conversion[] }

/** Events that are looked at before one conversion. */
const EVENTS_MAX = 1_000
const STATIONS_MAX = 100

/** The ways that led somebody to her conversions: touches, channels and pages, the anonymous part included. @throws {NotFoundError} */
export async function showPath(deps: Deps, { of, event, days, last }: PathQuery): Promise<ShownPath> {
  const profile = await findPerson(deps, of)
  const converted = await eventsOf(deps, profile, `name = ${literal(event)}`, last)
  const knownMs = knownSince(deps, profile)
  const conversions: Conversion[] = []
  for (const at of converted) {
    const before = await eventsOf(
      deps,
      profile,
      `NOT (source = ${literal(at.source)} AND event_id = ${literal(at.id)})
       AND occurred_at <= fromUnixTimestamp64Milli(${at.ms}) AND occurred_at > fromUnixTimestamp64Milli(${at.ms - days * DAY_MS})`,
      EVENTS_MAX,
    )
    const all = joined(before.reverse().map((row) => stationOf(row, profile._id, knownMs)))
    const touches = all.filter(({ kind }) => kind === 'touch')
    conversions.push({
      ...{ id: at.id, at: new Date(at.ms).toISOString(), source: at.source, amountMinor: at.amount },
      touchedBy: [...new Set(touches.map(({ channel }) => channel))],
      stations: all.slice(-STATIONS_MAX),
      cut: all.length > STATIONS_MAX || before.length === EVENTS_MAX,
    })
  }
  return { profileId: profile._id, event, days, conversions }
}

const Told = z
  .object({
    channel: z.string(),
    utm_source: z.string(),
    page: z.string(),
    url: z.string(),
    path: z.string(),
    journeyId: z.string(),
    content: z.string(),
  })
  .partial()
  .catch({})

/** When somebody first said by a strong identifier who she is; never, where nobody has. */
function knownSince({ definitions }: Pick<Deps, 'definitions'>, { identifiers }: Profile): number {
  const strong = new Set(
    definitions.current.identity.identifiers.filter((i) => i.strength === 'strong').map(({ type }) => type),
  )
  return Math.min(...identifiers.filter((i) => strong.has(typeName(i.type))).map((i) => i.since.getTime()))
}

function stationOf({ name, ms, source, properties, profile }: EventRow, profileId: number, knownMs: number): Station {
  const told = Told.parse(JSON.parse(properties))
  const page = told.page ?? told.url ?? told.path
  const isTouch = name === 'touch_delivered'
  return {
    at: new Date(ms).toISOString(),
    times: 1,
    kind: isTouch ? 'touch' : 'event',
    name,
    channel: told.channel ?? told.utm_source ?? source,
    ...(told.journeyId !== undefined && { journeyId: told.journeyId }),
    ...(isTouch && told.content !== undefined && { contentId: told.content }),
    ...(page !== undefined && { page }),
    ...(ms < knownMs && { anonymous: true as const }),
    ...(profile !== profileId && { asProfile: profile }),
  }
}

/** The same several times over is one station. */
function joined(stations: readonly Station[]): Station[] {
  const out: Station[] = []
  for (const station of stations) {
    const before = out.at(-1)
    if (before !== undefined && isSame(before, station))
      out[out.length - 1] = { ...before, until: station.at, times: before.times + 1 }
    else out.push(station)
  }
  return out
}

function isSame(a: Station, b: Station): boolean {
  const fields = ['name', 'channel', 'page', 'anonymous', 'asProfile', 'journeyId', 'contentId'] as const
  return fields.every((field) => a[field] === b[field])
}
