import { armOf } from '../../domain/experiments/arm.js'
import { systemEvent } from '../../domain/events/system-events.js'
import { exitEvents, pinKey } from '../../domain/journeys/definition.js'
import { whyNotAgain } from '../../domain/journeys/reenter.js'
import type { Rule } from '../../domain/rules/rule.js'
import { hashKey } from '../../random.js'
import { DAY_MS } from '../../time.js'
import { acceptRecords } from '../ingest/accept-records.js'
import type { OwnedEvent } from '../../stored/ingest.js'
import type { Refusal, Run } from '../../stored/journeys.js'
import { bucketOf } from '../../stored/buckets.js'
import type { Deps } from '../runtime/deps.js'
import { systemRecord } from '../ingest/system-records.js'
import { takeBackTouches } from '../touches/take-back.js'

/** An event that is older than this when it arrives is history: it starts no journey. */
const FRESH_MS = DAY_MS

/**
 * Lets profiles into journeys: assigns the arm, pins the version, records every refusal with its reason. Entering twice at
 * one instant is one entry, so a repeat after a crash does nothing new.
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
  const earlier = await docs.runs.find({ profileId: { $in: ids } })
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
    const reason = whyNotAgain(runs, journey.reenter, now)
    if (reason !== undefined) {
      refusals.push({ _id: `${journeyId}:${profileId}:${now.getTime()}`, profileId, journeyId, at: now, reason })
      continue
    }
    const n = runs.length
    const arm = armOf(deps.seed, journeyId, profile.anchor, journey.holdout)
    entered.push({
      _id: `${journeyId}:${profileId}:${n}`,
      journeyId,
      version,
      pins: definitions.current.pins,
      profileId,
      bucket: bucketOf(profileId),
      anchor: profile.anchor,
      n,
      path: '0',
      arrivedAt: now,
      enteredAt: now,
      arm,
      ...(arm === 'holdout' ? { state: 'ended', outcome: 'holdout', endedAt: now } : { state: 'waiting', dueAt: now }),
    })
  }
  if (refusals.length > 0) await docs.refusals.insert(refusals)
  if (entered.length === 0) return
  const { refused } = await docs.runs.insert(entered)
  // The place of a run that somebody else has let in since we looked is taken: by the same entry, or by a later one.
  const there = refused.length === 0 ? [] : await docs.runs.getMany(refused)
  const lost = new Set(there.filter((r) => r.enteredAt.getTime() !== now.getTime()).map((r) => r._id))
  const mine = entered.filter((r) => !lost.has(r._id))
  if (mine.length === 0) return
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

/** Who would enter the journeys that begin with an event, if `rule` holds: fresh events only. */
export function entriesByEvents(
  deps: Deps,
  events: readonly OwnedEvent[],
  now: Date,
): { journeyId: string; profileIds: number[]; rule: Rule }[] {
  const fresh = events.filter((e) => now.getTime() - e.occurredAt.getTime() <= FRESH_MS)
  return [...deps.definitions.current.journeys].flatMap(([journeyId, { journey }]) => {
    if (!('on' in journey.enter)) return []
    const { on, if: rule } = journey.enter
    const profileIds = [...new Set(fresh.filter((e) => e.name === on).map((e) => e.profileId))]
    return profileIds.length === 0 ? [] : [{ journeyId, profileIds, rule: rule ?? { event: on } }]
  })
}

/** Ends the runs whose exit event happened, and takes back what has not left yet. */
export async function exitByEvents(deps: Deps, events: readonly OwnedEvent[], now: Date): Promise<void> {
  const names = new Set([...deps.definitions.current.pinned.values()].flatMap(exitEvents))
  const ending = events.filter((e) => names.has(e.name))
  if (ending.length === 0) return
  const runs = await deps.docs.runs.find({ profileId: { $in: [...new Set(ending.map((e) => e.profileId))] } })
  for (const run of runs) {
    const journey = deps.definitions.current.pinned.get(pinKey(run.journeyId, run.version))
    if (journey === undefined || run.arm === 'holdout') continue
    const exits = exitEvents(journey)
    const left = ending.some(
      (e) => e.profileId === run.profileId && exits.includes(e.name) && e.occurredAt > run.enteredAt,
    )
    if (!left) continue
    await deps.docs.runs.update(
      run._id,
      { $set: { state: 'ended', outcome: 'exited', endedAt: now }, $unset: { dueAt: 1 } },
      { state: 'waiting' },
    )
    await takeBackTouches(deps.docs, run._id, 'exited', now)
  }
}
