import { z } from 'zod'
import { tables } from '../../domain/events/tables.js'
import { isOwnSource, type OwnSource } from '../../domain/events/sources.js'
import type { InboxRecord } from '../../domain/identity/resolve.js'
import { InvalidInputError, messageOf, NotFoundError, type Problem } from '../../errors.js'
import { hashKey } from '../../random.js'
import { said } from '../../said.js'
import type { Rejected } from '../../stored/ingest.js'
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

/** Listed, or tried again, by one request. */
export const AT_A_TIME = 1_000

/** The `at` of the last one that was listed, in ms, or `row`, and its id. */
const CURSOR = /^(\d{1,15}|row):([^]+)$/

export const RejectedQuery = z.strictObject({
  id: z.string().min(1).optional(),
  after: z
    .string()
    .regex(CURSOR, said('不是 next 给的值', 'is none that `next` gave'))
    .optional()
    .describe(said('上一页的 next', 'the `next` of the page before')),
  limit: z.int().min(1).max(AT_A_TIME).default(AT_A_TIME),
})

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

/**
 * What is set aside, the oldest first, rows of the event store last. `count`: of all; `next`: what to ask for after these, absent
 * with the last.
 *
 * @throws {NotFoundError} where there is none of that id
 */
export async function listRejected(
  { docs }: Pick<Deps, 'docs'>,
  { id, after, limit }: z.output<typeof RejectedQuery>,
): Promise<{ count: number; items: RejectedItem[]; next?: string }> {
  const only = id === undefined ? {} : { _id: id }
  const left = leftAfter(after, only)
  const items: RejectedItem[] = []
  let last = after
  for (const filter of left.stored) {
    const options = { sort: { at: 1, _id: 1 }, limit: limit - items.length, skipUnfit: true } as const
    const stored = items.length === limit ? [] : await docs.rejected.find(filter, options)
    for (const doc of stored) {
      items.push(toItem(doc))
      last = `${doc.at.getTime()}:${doc._id}`
    }
  }
  const options = { sort: { _id: 1 }, limit: limit - items.length, skipUnfit: true } as const
  for (const { _id, table, refused = '' } of items.length === limit
    ? []
    : await docs.waitingRows.find(left.rows, options)) {
    items.push({ id: _id, kind: 'row', reason: refused, ...(table !== undefined && { table }) })
    last = `row:${_id}`
  }
  if (id !== undefined && items.length === 0)
    throw new NotFoundError(said(`没有放在一边的 "${id}"`, `there is nothing set aside as "${id}"`))
  const isMore = items.length > 0 && (await countLeft(docs, leftAfter(last, only))) > 0
  return { count: await countLeft(docs, leftAfter(undefined, only)), items, ...(isMore && { next: last! }) } // of an item
}

/** What comes after a cursor. At one instant the id decides. */
function leftAfter(after: string | undefined, only: { _id?: string }) {
  const isRefused = { ...only, refused: { $exists: true } } as const
  const [, from, last = ''] = CURSOR.exec(after ?? '') ?? []
  if (from === undefined) return { stored: [only], rows: isRefused }
  const beyond = { _id: { $gt: last } }
  if (from === 'row') return { stored: [], rows: { ...isRefused, ...beyond } }
  const at = new Date(Number(from))
  return { stored: [{ at, ...beyond }, { at: { $gt: at } }], rows: isRefused }
}

async function countLeft({ rejected, waitingRows }: Deps['docs'], { stored, rows }: ReturnType<typeof leftAfter>) {
  let count = await waitingRows.count(rows)
  for (const filter of stored) count += await rejected.count(filter)
  return count
}

/** Every one of them. */
export async function listAllRejected(
  list: (query: z.input<typeof RejectedQuery>) => Promise<{ items: RejectedItem[]; next?: string }>,
): Promise<RejectedItem[]> {
  const all: RejectedItem[] = []
  for (let page = await list({}); ; page = await list({ after: page.next })) {
    all.push(...page.items)
    if (page.next === undefined) return all
  }
}

function toItem({ _id, at, reason, record, profileId }: Rejected): RejectedItem {
  return {
    id: _id,
    kind: record === undefined ? 'profile' : 'record',
    at: at.toISOString(),
    reason,
    ...(record !== undefined && { source: record.source, ref: record.ref, record }),
    ...(record === undefined && profileId !== undefined && { profileId }),
  }
}

/** How much is set aside. */
export async function countRejected({ docs }: Pick<Deps, 'docs'>): Promise<number> {
  return countLeft(docs, leftAfter(undefined, {}))
}

export const ReplayInput = z.strictObject({
  items: z
    .array(z.strictObject({ id: z.string().min(1), record: z.unknown().optional() }))
    .max(AT_A_TIME)
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
