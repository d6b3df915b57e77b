import type { InboxRecord } from '../../domain/identity/resolve.js'
import { ConflictError, InvalidInputError } from '../../errors.js'
import { storable } from '../../parse.js'
import { said } from '../../said.js'
import type { Deps } from '../runtime/deps.js'
import { nextValue } from '../../stored/runtime.js'
import { documentBytes, MAX_DOCUMENT_BYTES } from './document-size.js'

export type AcceptOptions = {
  /**
   * Marks what our own lanes say: it is taken up at a later instant than the one at which it was said, so that a repeat of
   * that instant after a crash finds the same inbox.
   */
  own?: true
  /** Names what was sent, where the key is the sender's. */
  hash?: string
}

/**
 * Takes records over: once this resolves they survive a power cut and will be worked on, once. The same key again is a
 * no-op. Give at most 1,000 records. Whatever comes in passes here, so here every text and number becomes one that all stores
 * can hold, and nothing is dated ahead of our clock.
 *
 * @returns whether the batch is new
 * @throws {ConflictError} when the key was used for something else
 * @throws {InvalidInputError} when the records are more than one document can hold; nothing is taken then
 */
export async function acceptRecords(
  deps: Pick<Deps, 'docs' | 'clock' | 'jobs'>,
  givenKey: string,
  records: readonly InboxRecord[],
  { own, hash }: AcceptOptions = {},
): Promise<boolean> {
  if (records.length === 0) return false
  const key = storable(givenKey)
  if (await isTaken(deps, key, hash)) return false
  const acceptedAt = deps.clock.now()
  const kept = storable(own === true ? [...records] : records.map((record) => notAhead(record, acceptedAt)))
  if (documentBytes(kept) > MAX_DOCUMENT_BYTES)
    throw new InvalidInputError(said('这些记录合起来太大', 'The records are too large together'), [
      {
        path: 'records',
        message: said('太大，一批装不下', 'are more than one batch can hold'),
        hint: said('分成几批发送', 'send them in several batches'),
      },
    ])
  const seq = await nextValue(deps.docs.meta, 'batch')
  const { refused } = await deps.docs.batches.insert([
    {
      _id: key,
      seq,
      state: 'accepted',
      acceptedAt,
      records: kept,
      ...(own && { own }),
      ...(hash !== undefined && { hash }),
    },
  ])
  if (refused.length > 0) {
    await isTaken(deps, key, hash)
    return false
  }
  await deps.jobs.add('process-batches', undefined, { key: 'process-batches' })
  return true
}

/** @throws {ConflictError} by something else */
async function isTaken({ docs }: Pick<Deps, 'docs'>, key: string, hash: string | undefined): Promise<boolean> {
  const known = await docs.batches.get(key)
  if (hash !== undefined && known?.hash !== undefined && known.hash !== hash)
    throw new ConflictError(
      said(
        '这个 key 已用于别的内容，这次的没有收下；换一个 key',
        'this key was used for another body, which counts; nothing of this one was taken: give it a key of its own',
      ),
    )
  return known !== undefined
}

/** Nothing that arrives can hold a value, a wish or a window in the future: what lies ahead of our clock counts as now. */
export function notAhead(record: InboxRecord, now: Date): InboxRecord {
  const { observedAt, events } = record
  const isAhead = observedAt > now
  if (!isAhead && events.every((event) => event.occurredAt <= now)) return record
  return {
    ...record,
    ...(isAhead && { observedAt: now, saidAt: record.saidAt ?? observedAt }),
    events: events.map((event) =>
      event.occurredAt > now ? { ...event, occurredAt: now, saidAt: event.saidAt ?? event.occurredAt } : event,
    ),
  }
}
