import { z } from 'zod'
import { findBoundProblem } from '../../domain/events/bounds.js'
import { BIRTHDAY, canonicalBirthday } from '../../domain/identity/birthday.js'
import { RecordEvent, SourceRecord } from '../../domain/events/record.js'
import { findReservedSource, isOwnSource, type OwnSource } from '../../domain/events/sources.js'
import { findReservedEvent } from '../../domain/events/system-events.js'
import { findIdentifierProblem, findUnusable } from '../../domain/identity/resolve.js'
import { InvalidInputError, type Problem } from '../../errors.js'
import { storable, toProblems } from '../../parse.js'
import { hashKey } from '../../random.js'
import { said } from '../../said.js'
import { MINUTE_MS } from '../../time.js'
import type { Deps } from '../runtime/deps.js'
import { acceptRecords } from './accept-records.js'
import { countUnknown } from './unknown-events.js'

export type TakeDeps = Pick<Deps, 'docs' | 'clock' | 'jobs' | 'log' | 'definitions' | 'ingest'>

/** What is wrong with the record of that index, which was not taken. */
export type Rejection = { index: number; problems: Problem[] }
/** What of a record that was taken is of no use, and was left out. */
export type Warning = { index: number; problems: Problem[] }

export type Taken = {
  batchId: string
  accepted: number
  rejected: Rejection[]
  /** Absent where there are none. */
  warnings?: Warning[]
  /** Names of events that no file knows, and how many there were; they are taken all the same. Absent where there are none. */
  unknownEvents?: Record<string, number>
  /** Texts in which half a character became U+FFFD. Absent where there are none. */
  mended?: number
}

/** Counts texts that were mended. */
export const MENDED = 'mended-texts'

/** Problems of one record that are told. */
const TOLD_EACH = 5
/** Of all that is told of one request, in characters: an answer that is longer than its question helps nobody. */
const TOLD_CHARS = 200_000

/** An instant is ISO 8601 with its zone, or milliseconds since the epoch. */
const error = said(
  '要带时区的时间，如 2026-01-31T09:00:00+08:00，或 1970 年以来的毫秒数',
  'must be a time with its zone, e.g. 2026-01-31T09:00:00+08:00, or milliseconds since 1970',
)
const Instant = z
  .union([z.iso.datetime({ offset: true, error }), z.int({ error }).min(0, error).max(8.64e15, error)], { error })
  .transform((at) => new Date(at))
/** From here on stores can tell instants apart. */
const EARLIEST = new Date('1900-01-01T00:00:00Z')

/** Instants may be as they are sent, or have been read. */
const At = z.union([z.date(), Instant], { error })
const Sent = SourceRecord.extend({
  observedAt: At,
  events: z.array(RecordEvent.extend({ occurredAt: At })).default([]),
})

/** What tells one record from another; of one that is nested too deep to be written down nothing does. */
function contentOf(given: unknown): string {
  try {
    return JSON.stringify(given) ?? ''
  } catch (err) {
    if (err instanceof RangeError) return ''
    throw err
  }
}

/**
 * Takes what a sender outside says: the good records of a batch, and lists the bad ones. They are read one by one: a bad one
 * keeps out none of the others.
 *
 * @param key - the sender's; the same key again is the same batch. Without one the content is the key: a request that is
 *   repeated after a lost answer is taken once
 * @throws {InvalidInputError} when none can be used
 * @throws {ConflictError} when the key was used for other records
 */
export async function takeRecords(deps: TakeDeps, sent: readonly unknown[], key?: string): Promise<Taken> {
  const now = deps.clock.now()
  const good: SourceRecord[] = []
  const rejected = new Told()
  const warnings = new Told()
  const contents: string[] = []
  let mended = 0
  for (const [index, given] of sent.entries()) {
    const read = readRecord(deps, given, now)
    // Whether it can be used now or not: the same body again is the same batch.
    contents.push(contentOf(given))
    if ('problems' in read) {
      rejected.add(index, read.problems)
      continue
    }
    mended += read.mended
    good.push(read.record)
    const unusable = [...findUnusable(deps.definitions.current.identity, read.record), ...read.leftOut]
    if (unusable.length > 0) warnings.add(index, unusable)
  }
  if (good.length === 0) {
    const problems = rejected.list.flatMap(({ index, problems }) =>
      problems.map((p) => ({ ...p, path: p.path === '' ? `records.${index}` : `records.${index}.${p.path}` })),
    )
    throw new InvalidInputError(said('这些记录都不能用', 'None of the records can be used'), problems)
  }
  const hash = hashKey(32, ...contents)
  // Under a name of their own: no sender's key is one of ours.
  const batchId = key === undefined ? `http:${hash}` : `key:${key}`
  const isNew = await acceptRecords(deps, batchId, good, { hash })
  if (isNew && mended > 0) {
    deps.log.warn('halves of characters were replaced', { batch: batchId, texts: mended })
    await deps.docs.meta.updateEach([{ id: MENDED, update: { $inc: { value: mended } }, upsert: true }])
  }
  const unknownEvents = await countUnknown(deps, good, isNew)
  return {
    batchId,
    accepted: good.length,
    rejected: rejected.list,
    ...(warnings.list.length > 0 && { warnings: warnings.list }),
    ...(unknownEvents !== undefined && { unknownEvents }),
    ...(mended > 0 && { mended }),
  }
}

/**
 * Reads one record as somebody outside gives it.
 *
 * @param ours - the source of what it is the mended form of, where that is one of ours: then it may stay
 */
export function readRecord(
  { definitions, ingest }: Pick<TakeDeps, 'definitions' | 'ingest'>,
  given: unknown,
  now: Date,
  ours?: OwnSource,
): { record: SourceRecord; mended: number; leftOut: Problem[] } | { problems: Problem[] } {
  const tooMuch = findBoundProblem(given)
  if (tooMuch !== undefined) return { problems: [tooMuch] }
  const result = Sent.safeParse(given)
  if (!result.success) return { problems: toProblems(result.error, given, TOLD_EACH) }
  const { record, leftOut } = withBirthday(result.data)
  const isOurs = isOwnSource(record.source) && record.source === ours
  const problem =
    findInstantProblem(record, now, ingest.aheadMs) ??
    (isOurs ? undefined : (findReservedSource('source', record.source) ?? findReservedEvent(record.events))) ??
    findIdentifierProblem(definitions.current.identity, record)
  if (problem !== undefined) return { problems: [problem] }
  const kept = storable(record)
  // The same object where there was nothing to mend.
  return { record: kept, mended: kept === record ? 0 : countHalves(record), leftOut }
}

/** A birthday in its one form, by which people are told apart; one that is no day is left out, and told. */
function withBirthday(record: SourceRecord): { record: SourceRecord; leftOut: Problem[] } {
  const { [BIRTHDAY]: written, ...others } = record.traits
  if (written === undefined || written === null || written === '') return { record, leftOut: [] }
  const birthday = canonicalBirthday(String(written))
  if (birthday === written) return { record, leftOut: [] }
  if (birthday !== undefined)
    return { record: { ...record, traits: { ...record.traits, [BIRTHDAY]: birthday } }, leftOut: [] }
  const problem = {
    path: `traits.${BIRTHDAY}`,
    // The value itself may be somebody's.
    message: said('不是一个日子，没有记下', 'is no day, and is left out'),
    hint: said(
      '写成 1990-01-31；不知道年份就写 01-31',
      'write 1990-01-31, or 01-31 where the year is not known; the rest is taken',
    ),
  }
  return { record: { ...record, traits: others }, leftOut: [problem] }
}

function findInstantProblem(
  { observedAt, events }: Pick<SourceRecord, 'observedAt' | 'events'>,
  now: Date,
  aheadMs: number,
): Problem | undefined {
  const latest = new Date(now.getTime() + aheadMs)
  const instants = [
    { path: 'observedAt', at: observedAt },
    ...events.map(({ occurredAt: at }, i) => ({ path: `events.${i}.occurredAt`, at })),
  ]
  const ahead = instants.find(({ at }) => at > latest)
  if (ahead !== undefined)
    return {
      path: ahead.path,
      message: said(
        `${ahead.at.toISOString()} 比本机时钟（${now.toISOString()}）快了 ${aheadMs / MINUTE_MS} 分钟以上`,
        `${ahead.at.toISOString()} lies more than ${aheadMs / MINUTE_MS} min ahead of our clock (${now.toISOString()})`,
      ),
      hint: said('校准发送方的时钟，或检查时区', 'set the clock of the sender right, or check the time zone'),
    }
  const early = instants.find(({ at }) => at < EARLIEST)
  return (
    early && {
      path: early.path,
      message: said(
        `${early.at.toISOString()} 早于 ${EARLIEST.toISOString()}`,
        `${early.at.toISOString()} lies before ${EARLIEST.toISOString()}`,
      ),
      hint: said('时间不明的不要送', 'leave out what has no known time'),
    }
  )
}

function countHalves(value: unknown): number {
  if (typeof value === 'string') return value.isWellFormed() ? 0 : 1
  if (typeof value !== 'object' || value === null) return 0
  return Object.entries(value).reduce((sum, [key, part]) => sum + countHalves(part) + (key.isWellFormed() ? 0 : 1), 0)
}

/** A list of what is wrong with which record, as long as it may be. */
class Told {
  readonly list: { index: number; problems: Problem[] }[] = []
  private chars = 0

  add(index: number, problems: Problem[]): void {
    const isFull = this.chars > TOLD_CHARS
    const told = isFull
      ? [
          {
            path: '',
            message: said('不能用；前面的已说明原因', 'cannot be used; what is wrong is told of those before'),
          },
        ]
      : problems
    this.chars += JSON.stringify(told).length
    this.list.push({ index, problems: told })
  }
}
