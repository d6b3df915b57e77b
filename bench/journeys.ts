import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { openSqliteDocuments } from '../src/adapters/documents/sqlite.js'
import type { Profile } from '../src/domain/identity/profile.js'
import { type CarrierName, channelsBy, traitsOf } from '../src/domain/touches/channels.js'
import type { Touch } from '../src/domain/touches/touch.js'
import type { Channel } from '../src/ports/channel.js'
import { bucketOf } from '../src/stored/buckets.js'
import { type Collections, openCollections } from '../src/stored/collections.js'
import type { Run } from '../src/stored/journeys.js'
import type { Deps } from '../src/services/runtime/deps.js'
import { enterJourneys } from '../src/services/journeys/enter-journeys.js'
import { processBatches } from '../src/services/ingest/process-batches.js'
import { releaseTouches } from '../src/services/touches/release-touches.js'
import { sendDispatches } from '../src/services/touches/send-dispatches.js'
import { resumeRuns } from '../src/services/journeys/resume-runs.js'
import { DAY_MS, ManualClock } from '../src/time.js'
import { type BenchContext, type Benchmark, compare, type Scale } from './measure.js'
import type { CaseResult } from './result.js'
import { openStand, root } from './stand.js'

/** 10:00 in the business time zone of the shipped configuration. */
const START = new Date('2026-06-01T02:00:00Z')
const GUIDES = 20
const BATCH = 500

const RUNS: Record<Scale, number> = { full: 10_000, quick: 500, tiny: 40 }

/** People through a journey of two messages, two waits and a branch, on a virtual clock. */
export const journeys: Benchmark = {
  name: 'journeys',
  title: { zh: '旅程', en: 'Journeys' },
  unit: { zh: '人次', en: 'run' },
  baseline: 'the 10 document writes a run needs, 500 a call, through the same adapter: nothing is read or decided',
  run: runJourneys,
}

async function runJourneys({ scale, dir, note }: BenchContext): Promise<CaseResult[]> {
  const runs = RUNS[scale]
  const clock = new ManualClock(START)
  const app = await openStand(join(dir, 'journeys'), clock, {
    paths: { journeys: join(root, 'bench/fixtures/journeys') },
  })
  await mkdir(join(dir, 'bare'))
  const bare = openSqliteDocuments({ file: join(dir, 'bare/documents.sqlite') })
  try {
    const deps: Deps = { ...app.deps, channels: channelsBy(silent) }
    const bareDocs = await openCollections(bare)
    let profileIds: number[] = []
    return [
      await compare(
        {
          name: 'two waits',
          items: runs,
          warmups: 1,
          rounds: 3,
          prepare: async (round) => {
            clock.set(new Date(START.getTime() + round * 7 * DAY_MS))
            profileIds = Array.from({ length: runs }, (_, i) => round * runs + i + 1)
            await makeContacts(deps, profileIds)
          },
          product: (round) => liveThrough(deps, clock, profileIds, round),
          baseline: (round) => writeBare(bareDocs, profileIds, clock.now(), round),
          figures: async (round) => figuresOf(deps, round),
        },
        note,
      ),
    ]
  } finally {
    await bare.close()
    await app.close()
  }
}

async function liveThrough(
  deps: Deps,
  clock: ManualClock,
  profileIds: readonly number[],
  round: number,
): Promise<void> {
  for (let i = 0; i < profileIds.length; i += BATCH) {
    const entries = profileIds.slice(i, i + BATCH).map((profileId) => ({ profileId, journeyId: 'two-waits' }))
    await enterJourneys(deps, entries, clock.now(), `bench:${round}:${i}`)
  }
  for (;;) {
    await processBatches(deps)
    await resumeRuns(deps)
    await releaseTouches(deps)
    await sendDispatches(deps)
    const [next] = await deps.docs.runs.find({ state: 'waiting' }, { sort: { dueAt: 1 }, limit: 1 })
    if (next === undefined) return
    clock.set(next.dueAt!) // what the entries say of themselves is taken up then
  }
}

/** What was done so far, for a check: every run ends and every message goes out. @throws {Error} when not */
async function figuresOf({ docs }: Deps, round: number): Promise<Record<string, number>> {
  const ended = await docs.runs.count({ outcome: 'finished' })
  const created = await docs.touches.count({ state: 'created' })
  if (created !== 2 * ended || ended % (round + 1) !== 0)
    throw new Error(`${ended} runs have ended and ${created} messages have gone out: two a run were expected`)
  return { messagesSoFar: created }
}

async function makeContacts({ docs }: Deps, profileIds: readonly number[]): Promise<void> {
  const profiles = profileIds.map((id): Profile => ({
    _id: id,
    anchor: `member_id:m${id}`,
    createdAt: START,
    identifiers: [
      { type: 'member_id', value: `m${id}`, source: 'bench', since: START },
      { type: 'external_userid', value: `wm${id}`, source: 'bench', since: START },
    ],
    traits: {},
    contacts: [{ userId: `guide-${id % GUIDES}`, externalUserId: `wm${id}`, since: START }],
    mergedIds: [],
  }))
  for (let i = 0; i < profiles.length; i += BATCH) await docs.profiles.put(profiles.slice(i, i + BATCH))
  await docs.meta.updateEach([{ id: 'counter:profile', update: { $max: { value: profileIds.at(-1)! } }, upsert: true }])
}

/** A way out that takes everything and does nothing. */
function silent(name: CarrierName): Channel {
  return {
    ...traitsOf(name),
    limits: { recipients: Infinity },
    dispatch: ({ id }) => Promise.resolve({ kind: 'created', remoteId: id, refused: [] }),
    settle: () => Promise.resolve({ kind: 'absent' }),
    results: () => Promise.resolve(undefined),
    remind: () => Promise.resolve(),
    cancel: () => Promise.resolve(),
  }
}

async function writeBare(docs: Collections, profileIds: readonly number[], now: Date, round: number): Promise<void> {
  for (let i = 0; i < profileIds.length; i += BATCH) {
    const mine = profileIds.slice(i, i + BATCH)
    const runs = mine.map((profileId): Run => ({
      _id: `two-waits:${profileId}:0`,
      journeyId: 'two-waits',
      version: 1,
      profileId,
      bucket: bucketOf(profileId),
      anchor: `member_id:m${profileId}`,
      n: 0,
      path: '0',
      arrivedAt: now,
      enteredAt: now,
      arm: 'treated',
      state: 'waiting',
      dueAt: now,
    }))
    await docs.runs.insert(runs)
    for (const [path, stepId] of [
      ['1', 'hello'],
      ['3', 'cold'],
    ] as const) {
      const touches = runs.map((run): Touch => ({
        _id: `${run._id}/${stepId}`,
        profileId: run.profileId,
        journeyId: run.journeyId,
        runId: run._id,
        stepId,
        state: 'planned',
        plannedAt: now,
        releaseAt: now,
        channel: 'wecom',
        contentId: 'trial-review',
      }))
      await docs.touches.insert(touches)
      await docs.runs.updateEach(
        runs.map((r) => ({ id: r._id, update: { $set: { path, arrivedAt: now, dueAt: now } } })),
      )
      const released = { dispatchId: `bench-${round}-${i}`, releasedAt: now, senderUserId: 'guide-1' }
      await docs.touches.updateEach(
        touches.map((t) => ({
          id: t._id,
          update: { $set: { ...released, externalUserId: `wm${t.profileId}` }, $unset: { releaseAt: 1 } },
        })),
      )
      await docs.touches.updateEach(touches.map((t) => ({ id: t._id, update: { $set: { state: 'created' } } })))
    }
    await docs.runs.updateEach(
      runs.map((r) => ({
        id: r._id,
        update: { $set: { state: 'ended', outcome: 'finished', endedAt: now }, $unset: { dueAt: 1 } },
      })),
    )
  }
}
