import { setTimeout as sleep } from 'node:timers/promises'
import { ConflictError, messageOf } from '../errors.js'
import { nameOfShard } from '../ports/job-queue.js'
import { said } from '../said.js'
import { lanes, REFRESH_LANE, shardsOf } from '../services/runtime/lanes.js'
import { type Held, type Leases, type Once, type Pause, stoodStill, withLease } from '../services/runtime/with-lease.js'
import { MINUTE_MS, SECOND_MS } from '../time.js'
import { repeat } from './repeat.js'

/** Rises while somebody wants the stores to stand still. */
const WISH = 'pause'
const WISH_AGAIN_MS = 100
/** A wish that has stood still for so long is of the dead. */
const HEEDED_MS = 2 * SECOND_MS
const LOOK_MS = 200
const GIVE_UP_MS = 10 * MINUTE_MS
/** Cannot wait, and leaves its traces in an order that a copy may cut anywhere: a callback is done after what it brought. */
const GOES_ON = 'answer-callbacks'

export function createPause(leases: Leases, split: { readonly current: number }): Pause {
  return async (which, work) => {
    // Ingest comes last: it stands still for the shortest time.
    const names = [...(which === 'all' ? othersOf(split.current) : []), 'process-batches']
    const results: Awaited<ReturnType<typeof work>>[] = []
    const wishes = wish(leases)
    try {
      await underAll(leases, names, async (held) => {
        await wishes.end()
        results.push(await work(held))
      })
    } finally {
      await wishes.end()
    }
    return results[0]!
  }
}

export function createOnce(leases: Leases): Once {
  return async (name, work) => {
    const results: Awaited<ReturnType<typeof work>>[] = []
    if (await withLease(leases, name, async () => void results.push(await work()))) return results[0]!
    throw new ConflictError(said('已经有人在做 → 等它完成', 'somebody is at it already → wait until it is done'))
  }
}

/** Whether somebody is about to copy the stores. A wish that nobody renews counts for a moment only. */
export async function isPauseWished(leases: Leases): Promise<boolean> {
  const beat = (await leases.meta.get(WISH))?.value
  return beat !== undefined && !stoodStill(leases, WISH, { fence: 0, beat }, HEEDED_MS)
}

/** Aborts when somebody is about to. To be stopped. */
export function watchForPause(leases: Leases): { signal: AbortSignal; stop: () => Promise<void> } {
  const wished = new AbortController()
  const looking = repeat(LOOK_MS, async () => {
    try {
      if (await isPauseWished(leases)) wished.abort()
    } catch (err) {
      leases.log.warn('whether to pause is not known', { cause: messageOf(err) })
    }
  })
  return { signal: wished.signal, stop: () => looking.stop() }
}

function othersOf(shards: number): string[] {
  return lanes
    .filter(({ name }) => ![REFRESH_LANE, GOES_ON, 'process-batches'].includes(name))
    .flatMap((lane) => shardsOf(lane, shards).map((shard) => nameOfShard(lane.name, shard)))
}

function wish({ meta, log }: Leases): { end: () => Promise<void> } {
  const raise = async () => {
    try {
      await meta.updateEach([{ id: WISH, update: { $inc: { value: 1 } }, upsert: true }])
    } catch (err) {
      log.warn('a pause is not asked for', { cause: messageOf(err) })
    }
  }
  const begun = raise()
  const raising = repeat(WISH_AGAIN_MS, raise)
  let ending: Promise<void> | undefined
  const end = async () => {
    await Promise.all([begun, raising.stop()])
    await meta.delete({ _id: WISH })
  }
  return { end: () => (ending ??= end()) }
}

async function underAll(
  leases: Leases,
  [first, ...rest]: readonly string[],
  work: (held: Held) => Promise<void>,
): Promise<void> {
  const since = leases.elapsedMs()
  while (
    !(await withLease(leases, first!, (held) => (rest.length === 0 ? work(held) : underAll(leases, rest, work))))
  ) {
    if (leases.elapsedMs() - since > GIVE_UP_MS)
      throw new ConflictError(
        said(`"${first!}" 一直在忙 → 晚些再备份`, `"${first!}" does not come to an end → back up again later`),
        { lane: first! },
      )
    await sleep(WISH_AGAIN_MS)
  }
}
