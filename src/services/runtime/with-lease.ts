import { ConflictError } from '../../errors.js'
import type { Clock } from '../../time.js'
import type { Collection } from '../../ports/document-store.js'
import type { Meta } from '../../stored/runtime.js'

const LEASE_MS = 30_000

export type LeaseDeps = { meta: Collection<Meta>; owner: string; clock: Clock }

/**
 * Runs `work` while this process alone holds the lease of that name; when somebody else holds it, does nothing, since they
 * find the same work in the documents. A holder that died loses it after 30 s. `clock` is the wall clock.
 *
 * @returns whether the work was done
 * @throws {ConflictError} when the lease was lost while working (a process that slept too long): its effects are keyed, so
 * the new holder repeats them harmlessly
 */
export async function withLease(
  { meta, owner, clock }: LeaseDeps,
  name: string,
  work: (signal: AbortSignal) => Promise<void>,
): Promise<boolean> {
  const _id = `lease:${name}`
  await meta.insert([{ _id, text: '', at: new Date(0) }])
  const take = () => {
    const now = clock.now()
    return meta.update(
      _id,
      { $set: { text: owner, at: new Date(now.getTime() + LEASE_MS) } },
      { $or: [{ text: owner }, { at: { $lte: now } }] },
    )
  }
  if (!(await take())) return false
  const lost = new AbortController()
  const renewal = setInterval(() => {
    take().then(
      (held) => held || lost.abort(),
      () => lost.abort(), // cannot be renewed: stop before somebody else takes it
    )
  }, LEASE_MS / 3)
  try {
    await work(lost.signal)
  } finally {
    clearInterval(renewal)
    await meta.update(_id, { $set: { at: new Date(0) } }, { text: owner })
  }
  if (lost.signal.aborted) throw new ConflictError(`lost the lease "${name}" while working`)
  return true
}
