import { setTimeout as sleep } from 'node:timers/promises'
import { nameOfShard } from '../ports/job-queue.js'
import { lanes, shardsOf } from '../services/runtime/lanes.js'
import { type Leases, watchLeases, withLease } from '../services/runtime/with-lease.js'

const AGREED = 'split'
const ASK_AGAIN_MS = 200

/** Into how many shards work is split, on stores that several processes share. */
export async function agreedSplit(meta: Leases['meta']): Promise<number> {
  return (await meta.get(AGREED))?.value ?? 1
}

/**
 * Splits work anew. Shards of two splits overlap, so nobody may work by the old one while somebody works by the new one:
 * it changes under all leases of the old split, and whoever takes a lease looks at the split after that. Call it before
 * this process takes jobs.
 *
 * @param signal - ends the waiting; the split then stays as it is
 * @returns the split that is in force
 */
export async function changeSplit(leases: Leases, shards: number, signal: AbortSignal): Promise<number> {
  for (;;) {
    const before = await agreedSplit(leases.meta)
    if (before === shards || signal.aborted) return before
    const names = lanes
      .filter((lane) => lane.sharded === true)
      .flatMap((lane) => shardsOf(lane, before).map((shard) => nameOfShard(lane.name, shard)))
    // Those of the dead are taken one after the other, but stand still together.
    await watchLeases(leases, names)
    await underAll(leases, names, signal, async () => {
      if ((await agreedSplit(leases.meta)) !== before) return
      await leases.meta.updateEach([{ id: AGREED, update: { $set: { value: shards } }, upsert: true }])
    })
  }
}

async function underAll(
  leases: Leases,
  [first, ...rest]: readonly string[],
  signal: AbortSignal,
  work: () => Promise<void>,
): Promise<void> {
  if (first === undefined) return work()
  while (!signal.aborted) {
    if (await withLease(leases, first, () => underAll(leases, rest, signal, work))) return
    await sleep(ASK_AGAIN_MS)
  }
}
