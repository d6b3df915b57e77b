import type { InboxRecord } from '../../domain/identity/resolve.js'
import { wellFormed } from '../../parse.js'
import type { Deps } from '../runtime/deps.js'
import { nextValue } from '../../stored/runtime.js'

/**
 * Takes records over: once this resolves they survive a power cut and will be worked on, once. The same key again is a
 * no-op. Give at most 1,000 records. `own` marks what our own lanes say: it is taken up at a later instant than the one at
 * which it was said, so that a repeat of that instant after a crash finds the same inbox. Whatever comes in passes here, so here
 * every text becomes one that all stores can hold.
 *
 * @returns whether the batch is new
 */
export async function acceptRecords(
  deps: Pick<Deps, 'docs' | 'clock' | 'jobs'>,
  givenKey: string,
  records: readonly InboxRecord[],
  options: { own?: true } = {},
): Promise<boolean> {
  if (records.length === 0) return false
  const key = wellFormed(givenKey)
  if ((await deps.docs.batches.get(key)) !== undefined) return false
  const seq = await nextValue(deps.docs.meta, 'batch')
  const { refused } = await deps.docs.batches.insert([
    { _id: key, seq, state: 'accepted', acceptedAt: deps.clock.now(), records: wellFormed([...records]), ...options },
  ])
  if (refused.length > 0) return false
  await deps.jobs.add('process-batches', undefined, { key: 'process-batches' })
  return true
}
