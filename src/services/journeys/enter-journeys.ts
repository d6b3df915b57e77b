import { z } from 'zod'
import { armFor, armOf } from '../../domain/experiments/arm.js'
import { eventsTable } from '../../domain/events/tables.js'
import { systemEvent } from '../../domain/events/system-events.js'
import { decide } from '../../domain/journeys/decide.js'
import { exitEvents, journeyOfPin, pinKey } from '../../domain/journeys/definition.js'
import { whyNotAgain } from '../../domain/journeys/reenter.js'
import type { Rule } from '../../domain/rules/rule.js'
import { literals, SMALL_QUERY } from '../../domain/rules/sql.js'
import { ConflictError } from '../../errors.js'
import { hashKey } from '../../random.js'
import { DAY_MS } from '../../time.js'
import { acceptRecords } from '../ingest/accept-records.js'
import type { OwnedEvent } from '../../stored/ingest.js'
import type { Refusal, Run } from '../../stored/journeys.js'
import { bucketOf } from '../../stored/buckets.js'
import { EVALUATIONS } from '../../stored/runtime.js'
import type { Deps } from '../runtime/deps.js'
import { systemRecord } from '../ingest/system-records.js'
import { takeBackTouches } from '../touches/take-back.js'

/** An event that is older than this when it arrives is history: it starts no journey. */
const FRESH_MS = DAY_MS
/** Where every run begins. */
const FIRST = '0'
/** People asked about in one query. */
const CHUNK = 5_000

/**
 * Lets profiles into journeys: assigns the arm, pins the version, records every refusal with its reason. Entering twice at
 * one instant is one entry, so a repeat after a crash does nothing new; and who was refused at that instant stays out, however
 * late somebody looks who was held still.
 */
export async function enterJourneys(
  deps: Deps,
  entries: readonly { profileId: number; journeyId: string }[],
  now: Date,
  key: string,
): Promise<void> {
  if (entries.length === 0) return
  const { docs, definitions } = deps
  const ids = [...new Set(entries.map((e) => e.profileId))]
  const profiles = new Map((await docs.profiles.getMany(ids)).map((p) => [p._id, p]))
  const journeyIds = [...new Set(entries.map((e) => e.journeyId))]
  const earlier = await docs.runs.find({ profileId: { $in: ids }, journeyId: { $in: journeyIds } })
  // After the runs: of a run that has ended meanwhile, what it kept out is on record.
  const decided = new Set((await docs.refusals.getMany(entries.map((e) => refusalId(e, now)))).map((r) => r._id))
  const entered: Run[] = []
  const refusals: Refusal[] = []
  for (const { profileId, journeyId } of entries) {
    const pinned = definitions.current.journeys.get(journeyId)
    const profile = profiles.get(profileId)
    if (pinned === undefined || profile === undefined || profile.mergedInto !== undefined) continue
    const { journey, version } = pinned
    const runs = earlier.filter((r) => r.journeyId === journeyId && r.profileId === profileId)
    const already = runs.find((r) => r.enteredAt.getTime() === now.getTime())
    if (already !== undefined) {
      entered.push(already)
      continue
    }
    const _id = refusalId({ profileId, journeyId }, now)
    if (decided.has(_id)) continue
    const reason = whyNotAgain(runs, journey.reenter, now)
    if (reason !== undefined) {
      refusals.push({ _id, profileId, journeyId, at: now, reason })
      continue
    }
    const n = runs.length
    const arm = armFor(runs, () => armOf(deps.seed, journeyId, profile.anchor, journey.holdout))
    // A run that begins by waiting need not be looked at until it has waited.
    const begin = decide(journey, { path: FIRST, arrivedAt: now }, { now, timeZone: deps.brand.timeZone })
    const dueAt = begin.kind === 'sleep' ? begin.until : now
    entered.push({
      _id: `${journeyId}:${profileId}:${n}`,
      journeyId,
      version,
      pins: definitions.current.pins,
      definitions: definitions.current.version,
      profileId,
      bucket: bucketOf(profileId),
      anchor: profile.anchor,
      n,
      path: FIRST,
      arrivedAt: now,
      enteredAt: now,
      arm,
      ...(arm === 'holdout' ? { state: 'ended', outcome: 'holdout', endedAt: now } : { state: 'waiting', dueAt }),
    })
  }
  if (deps.worker.isLate()) throw new ConflictError('entered too slowly: others may have gone on')
  if (refusals.length > 0) await docs.refusals.insert(refusals)
  if (entered.length === 0) return
  const { refused } = await docs.runs.insert(entered)
  // The place of a run that somebody else has let in since we looked is taken: by the same entry, or by a later one.
  const there = refused.length === 0 ? [] : await docs.runs.getMany(refused)
  const stored = new Map(there.map((r) => [r._id, r]))
  // As it is stored: the arm is drawn once, and her anchor may have moved since somebody else drew it.
  const mine = entered.map((r) => stored.get(r._id) ?? r).filter((r) => r.enteredAt.getTime() === now.getTime())
  if (mine.length === 0) return
  await exitOvertaken(deps, mine, now)
  await acceptRecords(
    deps,
    `entered:${hashKey(24, key, now.getTime(), ...mine.map((r) => r._id))}`,
    mine.map((run) =>
      systemRecord(
        run.profileId,
        now,
        systemEvent('journey_entered', {
          id: `run:${run._id}:entered`,
          occurredAt: now,
          properties: { journeyId: run.journeyId, runId: run._id, version: run.version, arm: run.arm },
        }),
      ),
    ),
    { own: true },
  )
  await deps.jobs.add('resume-runs', undefined, { key: 'resume-runs' })
}

function refusalId({ profileId, journeyId }: { profileId: number; journeyId: string }, now: Date): string {
  return `${journeyId}:${profileId}:${now.getTime()}`
}

/**
 * Puts on record that somebody did not enter a journey since the event that begins it was too old when it came, once for each
 * journey; the last time counts.
 */
export async function refuseHistory(deps: Deps, events: readonly OwnedEvent[], now: Date): Promise<void> {
  const [fresh, old] = [new Set<string>(), new Set<string>()]
  for (const { name, profileId, occurredAt } of events)
    (isFresh(occurredAt, now) ? fresh : old).add(`${name} ${profileId}`)
  const refusals = [...deps.definitions.current.journeys].flatMap(([journeyId, { journey }]): Refusal[] => {
    const { enter } = journey
    if (!('on' in enter)) return []
    const people = new Set(events.flatMap((e) => (e.name === enter.on ? e.profileId : [])))
    return [...people].flatMap((profileId) =>
      !old.has(`${enter.on} ${profileId}`) || fresh.has(`${enter.on} ${profileId}`)
        ? []
        : [{ _id: `${journeyId}:${profileId}:too_old`, profileId, journeyId, at: now, reason: 'too_old' as const }],
    )
  })
  await deps.docs.refusals.put(refusals)
}

function isFresh(occurredAt: Date, now: Date): boolean {
  return now.getTime() - occurredAt.getTime() <= FRESH_MS
}

/** Who would enter the journeys that begin with an event, if `rule` holds: fresh events only. */
export function entriesByEvents(
  deps: Deps,
  events: readonly OwnedEvent[],
  now: Date,
): { journeyId: string; profileIds: number[]; rule: Rule }[] {
  const fresh = events.filter((e) => isFresh(e.occurredAt, now))
  return [...deps.definitions.current.journeys].flatMap(([journeyId, { journey }]) => {
    if (!('on' in journey.enter)) return []
    const { on, if: rule } = journey.enter
    const profileIds = [...new Set(fresh.filter((e) => e.name === on).map((e) => e.profileId))]
    return profileIds.length === 0 ? [] : [{ journeyId, profileIds, rule: rule ?? { event: on } }]
  })
}

/** Ends the runs whose exit event happened, and takes back what has not left yet. */
export async function exitByEvents(deps: Deps, events: readonly OwnedEvent[], now: Date): Promise<void> {
  const names = new Set(events.map((e) => e.name))
  const exits = new Set<string>()
  const journeyIds = new Set<string>()
  for (const [key, journey] of deps.definitions.current.pinned) {
    for (const name of exitEvents(journey)) {
      if (!names.has(name)) continue
      exits.add(name)
      journeyIds.add(journeyOfPin(key))
    }
  }
  if (exits.size === 0) return
  const ending = events.filter((e) => exits.has(e.name))
  const profileIds = [...new Set(ending.map((e) => e.profileId))]
  const runs = await deps.docs.runs.find({ profileId: { $in: profileIds }, journeyId: { $in: [...journeyIds] } })
  await exitRuns(deps, runs, ending, now)
}

/**
 * Exit events that ingest took in beside a refresh, after the instant at which it enters: ingest has looked for runs before
 * these were there. It stores events before it looks, so one of the two sees the other.
 */
async function exitOvertaken(deps: Deps, runs: readonly Run[], now: Date): Promise<void> {
  const names = new Set(runs.flatMap((run) => exitsOf(deps, run)))
  if (names.size === 0) return
  // No group was begun at a later instant: nothing was taken in since.
  const lastAt = (await deps.docs.meta.get(`counter:${EVALUATIONS}`))?.at
  if (lastAt === undefined || lastAt <= now) return
  // Read now: an event may be stored under a number that was found to be hers meanwhile.
  const profiles = await deps.docs.profiles.getMany([...new Set(runs.map((r) => r.profileId))])
  const ownerOf = new Map(profiles.flatMap((p) => [p._id, ...p.mergedIds].map((id) => [id, p._id] as const)))
  const ids = [...ownerOf.keys()]
  const happened: Happened[] = []
  for (let i = 0; i < ids.length; i += CHUNK) {
    const rows = await deps.events.query(
      `SELECT profile_id AS p, name, toUnixTimestamp64Milli(max(occurred_at)) AS ms FROM ${eventsTable.name}
       WHERE profile_id IN (${ids.slice(i, i + CHUNK).join(', ')}) AND name IN (${literals([...names])})
       AND occurred_at > fromUnixTimestamp64Milli(${now.getTime()}, 'UTC') GROUP BY profile_id, name ${SMALL_QUERY}`,
      z.object({ p: z.number(), name: z.string(), ms: z.number() }),
    )
    for (const { p, name, ms } of rows) happened.push({ profileId: ownerOf.get(p)!, name, occurredAt: new Date(ms) }) // asked for by these ids
  }
  if (happened.length > 0) await exitRuns(deps, runs, happened, deps.clock.now())
}

type Happened = Pick<OwnedEvent, 'profileId' | 'name' | 'occurredAt'>

async function exitRuns(deps: Deps, runs: readonly Run[], events: readonly Happened[], now: Date): Promise<void> {
  const byProfile = new Map<number, Happened[]>()
  for (const event of events) byProfile.set(event.profileId, [...(byProfile.get(event.profileId) ?? []), event])
  for (const run of runs) {
    const exits = exitsOf(deps, run)
    const left = byProfile.get(run.profileId)?.some((e) => exits.includes(e.name) && e.occurredAt > run.enteredAt)
    if (left === true) await exitRun(deps, run._id, now)
  }
}

/** She leaves the journey, and gets nothing of it any more. */
export async function exitRun({ docs }: Pick<Deps, 'docs'>, runId: string, now: Date): Promise<void> {
  await docs.runs.update(
    runId,
    { $set: { state: 'ended', outcome: 'exited', endedAt: now }, $unset: { dueAt: 1 } },
    { state: 'waiting' },
  )
  await takeBackTouches(docs, { runId }, 'exited', now)
}

/** Nobody leaves the holdout: it is compared by whom it was meant for. */
function exitsOf({ definitions }: Deps, { journeyId, version, arm }: Run): string[] {
  const journey = definitions.current.pinned.get(pinKey(journeyId, version))
  return journey === undefined || arm === 'holdout' ? [] : exitEvents(journey)
}
