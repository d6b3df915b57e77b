import { z } from 'zod'
import { ASK_BOUNDS } from '../../bounds.js'
import { clipText } from '../../domain/content/clip.js'
import { parseInput } from '../../parse.js'
import { hashKey, secretHex } from '../../random.js'
import type { AuditRow } from '../../stored/audit.js'
import type { Collections } from '../../stored/collections.js'
import { DAY_MS } from '../../time.js'
import type { Deps } from './deps.js'

export type AuditEntry = Pick<AuditRow, 'who' | 'operation' | 'target' | 'outcome' | 'code' | 'inputHash'>

/** How many rows there are, told beside the chain: so that rows missing at its end are noticed too. */
const COUNTER = 'counter:audit'

/**
 * Adds a row to the end of the chain. The number after the last one is free for one writer only, so the chain never forks;
 * who comes second takes the next.
 */
export async function writeAudit({ docs, clock }: Pick<Deps, 'docs' | 'clock'>, entry: AuditEntry): Promise<void> {
  for (;;) {
    const [last] = await docs.audit.find({}, { sort: { _id: -1 }, limit: 1 })
    const _id = (last?._id ?? 0) + 1
    const row = {
      ...entry,
      target: clipText(entry.target, ASK_BOUNDS.targetChars),
      _id,
      at: clock.now(),
      previousHash: last?.hash ?? '',
    }
    const { refused } = await docs.audit.insert([{ ...row, hash: hashOf(row) }])
    if (refused.length > 0) continue // each refusal means that somebody else got on
    await docs.meta.updateEach([{ id: COUNTER, update: { $max: { value: _id } }, upsert: true }])
    return
  }
}

/** What is about to be done, until its row is written: should the process die in between, it is not forgotten. */
const Intent = z.object({ who: z.string(), operation: z.string(), target: z.string(), inputHash: z.string() })
type Intent = z.infer<typeof Intent>
const INTENT = 'intent:'
/** No operation takes as long. */
const OVER_MS = DAY_MS

/** @returns what takes the note back, once the row is there */
export async function noteIntent(
  { docs, clock }: Pick<Deps, 'docs' | 'clock'>,
  intent: Intent,
): Promise<() => Promise<void>> {
  const _id = `${INTENT}${secretHex(8)}`
  const target = clipText(intent.target, ASK_BOUNDS.targetChars)
  await docs.meta.insert([{ _id, at: clock.now(), text: JSON.stringify({ ...intent, target }) }])
  return async () => void (await docs.meta.delete({ _id }))
}

/**
 * Writes the rows of what was broken off by the death of its process: some of it may have been done. To be run before anything
 * is asked of this process.
 *
 * @param alone - nobody else works on these stores; otherwise only what was begun a day ago is surely over
 */
export async function recordInterrupted(deps: Pick<Deps, 'docs' | 'clock'>, alone: boolean): Promise<void> {
  const { docs, clock } = deps
  const begunBefore = new Date(clock.now().getTime() - OVER_MS)
  const ids = { _id: { $gte: INTENT, $lt: `${INTENT}~` } }
  for (const { _id, at, text } of await docs.meta.find(ids)) {
    if (!alone && at! > begunBefore) continue // each has its instant
    const { who, operation, target, inputHash } = parseInput(Intent, JSON.parse(text ?? ''), 'An intent cannot be read')
    // It may have died between the row and taking the note back.
    const row = await docs.audit.findOne({ who, operation, inputHash, at: { $gte: at } })
    if (row === undefined)
      await writeAudit(deps, { who, operation, target, inputHash, outcome: 'failed', code: 'interrupted' })
    await docs.meta.delete({ _id })
  }
}

/** The number of the last row. */
export async function lastAuditRow({ audit }: Pick<Collections, 'audit'>): Promise<number> {
  return (await audit.find({}, { sort: { _id: -1 }, limit: 1 }))[0]?._id ?? 0
}

/** Whether one of these operations is under way, or has ended since that row: they are noted before, and on record after. */
export async function wasAtWork(
  { audit, meta }: Pick<Collections, 'audit' | 'meta'>,
  operations: ReadonlySet<string>,
  since: number,
): Promise<boolean> {
  for (const { text } of await meta.find({ _id: { $gte: INTENT, $lt: `${INTENT}~` } }))
    if (operations.has(parseInput(Intent, JSON.parse(text ?? ''), 'An intent cannot be read').operation)) return true
  return (await audit.findOne({ _id: { $gt: since }, operation: { $in: [...operations] } })) !== undefined
}

export const AuditQuery = z.strictObject({
  /** Rows before this number only. */
  before: z.int().min(1).optional(),
  limit: z.int().min(1).max(100).default(50),
})
export type AuditQuery = z.infer<typeof AuditQuery>

/** As JSON. `at` is ISO 8601. */
export type AuditLine = Omit<AuditRow, '_id' | 'at'> & { n: number; at: string }

/** Newest first; `next` is the `before` of the page after this one. */
export async function listAudit(
  { docs }: Pick<Deps, 'docs'>,
  { before, limit }: AuditQuery,
): Promise<{ rows: AuditLine[]; next?: number }> {
  const filter = before === undefined ? {} : { _id: { $lt: before } }
  const found = await docs.audit.find(filter, { sort: { _id: -1 }, limit })
  const rows = found.map(({ _id, at, ...row }) => ({ ...row, n: _id, at: at.toISOString() }))
  const last = rows.at(-1)
  return { rows, ...(last === undefined || last.n === 1 || rows.length < limit ? {} : { next: last.n }) }
}

export type AuditVerdict = {
  /** Rows that were checked: those before the first broken one, when there is one. */
  rows: number
  /** Of the last of them. Noted down elsewhere, it shows later whether the chain was written anew. */
  hash: string
  /** The first row that is not as it was written. */
  broken?: { n: number; what: 'missing' | 'changed' | 'not the follower' }
}

/** Checks every row against its hash and against the row before. */
export async function verifyAudit(
  { docs }: Pick<Deps, 'docs'>,
  onProgress: (rows: number) => void,
): Promise<AuditVerdict> {
  // Read first: rows that are added meanwhile are then not missed.
  const count = (await docs.meta.get(COUNTER))?.value ?? 0
  let [rows, hash] = [0, '']
  for await (const batch of docs.audit.scan({})) {
    for (const row of batch) {
      const what = faultOf(row, rows + 1, hash)
      if (what !== undefined) return { rows, hash, broken: { n: rows + 1, what } }
      rows += 1
      hash = row.hash
    }
    onProgress(rows)
  }
  return { rows, hash, ...(rows < count ? { broken: { n: rows + 1, what: 'missing' } } : {}) }
}

function faultOf(row: AuditRow, n: number, previousHash: string) {
  if (row._id !== n) return 'missing'
  if (row.hash !== hashOf(row)) return 'changed'
  return row.previousHash === previousHash ? undefined : 'not the follower'
}

function hashOf(row: Omit<AuditRow, 'hash'>): string {
  const { _id, who, operation, target, at, outcome, code = '', inputHash, previousHash } = row
  return hashKey(64, _id, who, operation, target, at.toISOString(), outcome, code, inputHash, previousHash)
}
