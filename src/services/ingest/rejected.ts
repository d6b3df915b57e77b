import { z } from 'zod'
import { tables } from '../../domain/events/tables.js'
import { isOwnSource, type OwnSource } from '../../domain/events/sources.js'
import type { InboxRecord } from '../../domain/identity/resolve.js'
import { InvalidInputError, messageOf, NotFoundError, type Problem } from '../../errors.js'
import { hashKey } from '../../random.js'
import { said } from '../../said.js'
import type { Deps } from '../runtime/deps.js'
import { acceptRecords } from './accept-records.js'
import { readRecord, type TakeDeps } from './take-records.js'

type RejectDeps = Pick<Deps, 'docs' | 'clock' | 'log'>

/** Sets a record aside that cannot be worked off. Resolves to what takes that back. */
export async function rejectRecord(
  { docs, clock, log }: RejectDeps,
  batchId: string,
  record: InboxRecord,
  err: unknown,
): Promise<() => Promise<void>> {
  const reason = messageOf(err)
  const _id = `record:${hashKey(16, batchId, JSON.stringify(record))}`
  await docs.rejected.put([{ _id, batchId, at: clock.now(), reason, record }])
  log.error('a record cannot be worked off, it is set aside', { batch: batchId, ref: record.ref, cause: reason })
  return async () => void (await docs.rejected.delete({ _id }))
}

/** Sets aside that what follows from records could not be worked out for somebody. Her events and traits are stored. */
export async function rejectProfile(
  { docs, clock, log }: RejectDeps,
  batchId: string,
  profileId: number,
  err: unknown,
): Promise<void> {
  const reason = messageOf(err)
  await docs.rejected.put([{ _id: `profile:${profileId}`, batchId, at: clock.now(), reason, profileId }])
  log.error('tags and journeys of a profile cannot be worked out, it is set aside', { profileId, cause: reason })
}

/** A record that says nothing of a profile, and has everything of it evaluated. */
export function isLook({ profileId, traits, events }: InboxRecord): boolean {
  return profileId !== undefined && events.length === 0 && Object.keys(traits).length === 0
}

function look(profileId: number, at: Date): InboxRecord {
  return {
    ref: `look:${profileId}`,
    source: 'siyu' satisfies OwnSource,
    observedAt: at,
    profileId,
    identifiers: [],
    traits: {},
    events: [],
  }
}

const LISTED = 1_000

export const RejectedQuery = z.strictObject({ id: z.string().min(1).optional() })

/** Something that was set aside. `record` as it was sent; of a profile, and of a row of the event store, there is none. */
export type RejectedItem = {
  id: string
  kind: 'record' | 'profile' | 'row'
  /** ISO 8601; absent of a row. */
  at?: string
  reason: string
  /** Of a record. */
  source?: string
  ref?: string
  record?: unknown
  /** Of a profile. */
  profileId?: number
  /** Of a row. */
  table?: string
}

/** What is set aside, the oldest first, 1,000 at most; `count`: of all. @throws {NotFoundError} where there is none of that id */
export async function listRejected(
  { docs }: Pick<Deps, 'docs'>,
  { id }: z.infer<typeof RejectedQuery>,
): Promise<{ count: number; items: RejectedItem[] }> {
  const only = id === undefined ? {} : { _id: id }
  const stored = await docs.rejected.find(only, { sort: { at: 1, _id: 1 }, limit: LISTED, skipUnfit: true })
  const isRefused = { ...only, refused: { $exists: true } } as const
  const rows = await docs.waitingRows.find(isRefused, { sort: { _id: 1 }, limit: LISTED, skipUnfit: true })
  const items = [
    ...stored.map(({ _id, at, reason, record, profileId }): RejectedItem => ({
      id: _id,
      kind: record === undefined ? 'profile' : 'record',
      at: at.toISOString(),
      reason,
      ...(record !== undefined && { source: record.source, ref: record.ref, record }),
      ...(record === undefined && profileId !== undefined && { profileId }),
    })),
    ...rows.map(({ _id, table, refused = '' }): RejectedItem => ({
      ...{ id: _id, kind: 'row', reason: refused },
      ...(table !== undefined && { table }),
    })),
  ]
  if (id !== undefined && items.length === 0)
    throw new NotFoundError(said(`没有放在一边的 "${id}"`, `there is nothing set aside as "${id}"`))
  const count = (await docs.rejected.count(only)) + (await docs.waitingRows.count(isRefused))
  return { count, items: items.slice(0, LISTED) }
}

/** How much is set aside. */
export async function countRejected({ docs }: Pick<Deps, 'docs'>): Promise<number> {
  return (await docs.rejected.count({})) + (await docs.waitingRows.count({ refused: { $exists: true } }))
}

export const ReplayInput = z.strictObject({
  items: z
    .array(z.strictObject({ id: z.string().min(1), record: z.unknown().optional() }))
    .max(LISTED)
    .describe(said('再试哪些；带 record 的照它改过的来', 'what is tried again; with `record` as that says, mended')),
})

/**
 * Tries what was set aside again: records through the inbox, rows in the event store, profiles by evaluating them. What fails
 * again is set aside again.
 *
 * @throws {InvalidInputError} when something is not there, or is mended so that it cannot be taken; nothing is tried then
 */
export async function replayRejected(
  deps: TakeDeps & Pick<Deps, 'events'>,
  { items }: z.infer<typeof ReplayInput>,
): Promise<{ replayed: number }> {
  const { docs, clock } = deps
  const now = clock.now()
  const stored = new Map((await docs.rejected.getMany(items.map((i) => i.id))).map((doc) => [doc._id, doc]))
  const rows = new Map((await docs.waitingRows.getMany(items.map((i) => i.id))).map((doc) => [doc._id, doc]))
  const problems: Problem[] = []
  const records = new Map<string, InboxRecord>()
  for (const [i, { id, record: given }] of items.entries()) {
    const doc = stored.get(id)
    if (doc === undefined && rows.get(id)?.refused === undefined)
      problems.push({
        path: `items.${i}.id`,
        message: said(`没有放在一边的 "${id}"`, `there is nothing set aside as "${id}"`),
        hint: said('用 siyu ingest rejected 查看', 'siyu ingest rejected lists them'),
      })
    if (doc === undefined) continue
    const isMended = given !== undefined && doc.record !== undefined && doc.record.profileId === undefined
    const { source = '' } = doc.record ?? {}
    const read = isMended
      ? readRecord(deps, given, now, isOwnSource(source) ? source : undefined)
      : { record: doc.record ?? look(doc.profileId ?? 0, now) }
    if ('record' in read) records.set(id, read.record)
    else problems.push(...read.problems.map((p) => ({ ...p, path: `items.${i}.record.${p.path}` })))
  }
  if (problems.length > 0) throw new InvalidInputError(said('这些不能重放', 'these cannot be tried again'), problems)
  for (const [id, record] of records) {
    const { at } = stored.get(id)! // of the stored ones
    await acceptRecords(deps, `replay:${id}:${at.getTime()}:${hashKey(16, JSON.stringify(record))}`, [record])
    await docs.rejected.delete({ _id: id, at })
  }
  for (const [id, { table: name, rows: kept = [] }] of rows) {
    const table = tables.find((t) => t.name === name)
    if (table === undefined) continue
    await deps.events.insert(table, kept as never, `${id.slice(0, 200)} again ${now.getTime()}`)
    await docs.waitingRows.delete({ _id: id })
  }
  return { replayed: items.length }
}
