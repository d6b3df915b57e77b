import { z } from 'zod'
import { hashKey } from '../../random.js'
import { eventsTable } from '../../domain/events/tables.js'
import { entryRule } from '../../domain/journeys/definition.js'
import { type Evaluable, textOfRules } from '../../domain/rules/compile.js'
import { compileCrossings, type Crossings } from '../../domain/rules/crossings.js'
import { ConflictError, messageOf } from '../../errors.js'
import type { Update } from '../../ports/document-language.js'
import { DAY_MS, MINUTE_MS } from '../../time.js'
import { nextValue, presentInstant } from '../../stored/runtime.js'
import type { Overtaken, Refresh } from '../../stored/tags.js'
import { holdPublished } from '../definitions/follow-published.js'
import { enterJourneys } from '../journeys/enter-journeys.js'
import { rejectProfile } from '../ingest/rejected.js'
import type { Deps } from '../runtime/deps.js'
import { eachAlone } from '../runtime/each-alone.js'
import type { RunAlone } from '../runtime/with-lease.js'
import { takeMoment } from '../runtime/take-moment.js'
import { Instants } from '../segments/instants.js'
import { testRules } from '../segments/test-rules.js'
import { appendRange, closeNumber } from './append-range.js'
import { plansUnderWay, stampProfiles, touchedBy } from './claim-profiles.js'
import { evaluablesFor, evaluateTouched, leaveNoTags, markEvaluated, withoutOvertaken } from './evaluate-profiles.js'
import { feedRange } from './feed-range.js'
import { mayStay, type Range, rangeAlone, type SetAside } from './range-alone.js'

const RANGE = 50_000
const CHUNK = 1_000
/** Of more profiles than these something is wrong that lies in no profile: the refresh cannot go on. */
const ASIDE_MAX = 20
/** A refresh that fails for so long at the same place, though the stores answer, is given up. */
const PATIENCE_MS = 10 * MINUTE_MS
const FAILED_SHOWN_MS = 8 * DAY_MS

export type RefreshRequest = Pick<Refresh, '_id' | 'kind' | 'cause' | 'ids' | 'since' | 'occasion'> & { size?: number }

/**
 * Stores that this is to be worked out. One of the same id that is not done yet stands for it, as does one that was opened
 * for the same occasion or a later one.
 */
export async function openRefresh({ docs, clock }: Deps, { size = RANGE, ...request }: RefreshRequest): Promise<void> {
  const { _id: id, ...rest } = request
  const { occasion } = request
  const yesterday = new Date(clock.now().getTime() - DAY_MS)
  await docs.refreshes.delete({ phase: 'done', cause: 'operator', now: { $lt: yesterday } })
  const order = await nextValue(docs.meta, 'refresh')
  await docs.refreshes.updateEach([
    {
      id,
      where: { phase: 'done', ...(occasion !== undefined && { occasion: { $not: { $gte: occasion } } }) },
      upsert: true,
      update: {
        $set: { ...rest, size, phase: 'waiting', order, rev: 0, from: 1, changes: 0 },
        $unset: { now: 1, seq: 1, knownAt: 1, definitions: 1, againAt: 1, fed: 1, aside: 1, failing: 1, failed: 1 },
      },
    },
  ])
}

/** Whether one is open. */
export async function isRefreshing({ docs }: Pick<Deps, 'docs'>): Promise<boolean> {
  return (await docs.refreshes.findOne({ phase: { $ne: 'done' } }, { skipUnfit: true })) !== undefined
}

/** A refresh that was given up. `at`: ISO 8601. */
export type FailedRefresh = { refresh: string; at: string; reason: string }

/** Those that were given up and not done since, the latest first; a week later their schedule has had its turn. */
export async function listFailedRefreshes({ docs, clock }: Pick<Deps, 'docs' | 'clock'>): Promise<FailedRefresh[]> {
  const since = new Date(clock.now().getTime() - FAILED_SHOWN_MS)
  const failed = await docs.refreshes.find({ 'failed.at': { $gte: since } }, { skipUnfit: true })
  return failed
    .map(({ _id, failed }) => ({ refresh: _id, at: failed!.at.toISOString(), reason: failed!.reason })) // found by it
    .sort((a, b) => (a.at > b.at || (a.at === b.at && a.refresh < b.refresh) ? -1 : 1))
}

/**
 * idle: nothing is open. more: go on at once. waiting: for groups of ingest that are under way, or for somebody who can read
 * what is published.
 */
export type RefreshState = 'idle' | 'more' | 'waiting'

/**
 * Works the first open refresh on by one range, or by a piece of what was overtaken; those that end with it are followed by
 * the next. Between two calls anything may happen, a crash included: the cursor is stored, with the instant and the number
 * that a repeat needs.
 *
 * Ingest works on the same profiles at the same time, here or in another process. That nothing is lost is due to this:
 *
 * 1. Every evaluation has a number from one counter. The higher one wins in a document (`seq`), in `tag_state` (`version`)
 *    and as the last row of `tag_changes`.
 * 2. Two evaluations of a profile of which one had ended when the other took its number need no care: the other has the
 *    higher number and has read everything. Two groups of ingest never work on one profile at a time, nor do two ranges.
 *    So only a group beside a refresh is left.
 * 3. A group that is under way at any moment while ranges are evaluated is stamped in `overtaken`. It stores its plan, then
 *    looks for an open refresh; a refresh says that it is open, then looks for stored plans. One of the two sees the other.
 *    It is stamped before it reads or changes anything, so what a range read before is followed by a stamp.
 * 4. A stamp goes only when the profile was evaluated again by a number that was taken while no group was at it: stamps are
 *    read first, stored plans after that, the number last. A group that was done by then has a lower number; a group that
 *    is under way keeps its profiles out; one that came later has stamped anew, and then the stamp is another one
 *    (`seq`, `times`) and stays. Should its number be the lower one, it takes a higher one (`claimProfiles`).
 * 5. That evaluation is of every rule that ingest evaluates and of every rule of the refresh, and compares documents too:
 *    where a document is written before the state (ingest, windows), one whose evaluation died in between may tell what no
 *    state tells. Documents are given that number first: what a slow worker found in a range before, it does not write any
 *    more.
 * 6. Behind the ranges a group stamps only profiles that bear a stamp: nobody else is evaluated any more. So there are ever
 *    fewer, and the refresh ends however much comes in.
 *
 * A range of everybody (`all`) is recorded first, inside the engine (`appendRange`), and acted on from the log afterwards
 * (`feedRange`). That nothing is lost there either, and nothing is done that is not true, is due to this:
 *
 * 7. A range reads no half of a group. One with a higher number is not read at all. One with a lower number had stamped its
 *    profiles before it took that, so it is done, or they are among those that are left out.
 * 8. Nobody finds as a difference any more what a range has recorded. So the cursor says that it is recorded and up to whom
 *    it was acted on (`fed`), and before anything else happens to the refresh, also before other definitions begin it anew, it
 *    is acted on to the end. Nobody appends under its number by then: it was closed before.
 * 9. Doing that twice is doing it once: documents go by the number, reactions by the instant of the refresh.
 * 10. Of whom a group has stamped since, the log may tell what is true no more, and the group may have found the state as the
 *    range left it, and done nothing. So she is left to 4. and 5.; her stamp says what is owed to her, and it is done then if it
 *    is true over all that is known, at the instant of the range: an entry that a range had made before it was cut off, or that
 *    a slow worker makes, is the same one.
 *
 * One bad thing stops nobody: a range that fails is worked off by halves, down to the profiles that make it fail, who are set
 * aside (`rangeAlone`, `eachAlone`); a refresh that cannot go on otherwise is given up (`end`).
 */
export async function workRefreshes(deps: Deps, signal?: AbortSignal): Promise<RefreshState> {
  while (signal?.aborted !== true) {
    const [first] = await deps.docs.refreshes.find(
      { phase: { $ne: 'done' } },
      { sort: { order: 1 }, limit: 1, skipUnfit: true },
    )
    if (first === undefined) return 'idle'
    // After it is known how far it is: whoever is behind would begin it anew, by definitions that count no more.
    const held = await holdPublished(deps)
    if (held === undefined) return 'waiting'
    const left = await workOrGiveUp(held, first)
    if (left !== 'done') return left
  }
  return 'more'
}

/** Too many profiles of a refresh cannot be evaluated. */
class TooManyAside extends Error {}

/** A refresh that cannot go on is ended, so that those behind it are worked off. @throws what it failed with, for a while */
async function workOrGiveUp(deps: Deps, first: Refresh): Promise<RefreshState | 'done'> {
  try {
    return await workOn(deps, first)
  } catch (err) {
    if (!mayStay(err) || deps.worker.isLate()) throw err
    const { docs, clock, log } = deps
    const stored = await docs.refreshes.get(first._id)
    if (stored === undefined || stored.order !== first.order || stored.phase === 'done') throw err
    const now = clock.now()
    const reason = messageOf(err)
    const { since } = stored.failing ?? { since: now }
    if (!(err instanceof TooManyAside) && now.getTime() - since.getTime() < PATIENCE_MS) {
      const { order, rev } = stored
      await docs.refreshes.update(stored._id, { $set: { failing: { since, reason } } }, { order, rev })
      throw err
    }
    log.error('a refresh cannot go on and is given up', { refresh: stored._id, phase: stored.phase, cause: reason })
    return end(deps, stored, { at: now, reason })
  }
}

/**
 * Ends a refresh where it is, by what holds for one that goes on: what its last range has recorded is acted on to the end, and
 * whom ingest has overtaken is evaluated again. Where even that is not to be had, stamps stay: the next refresh leaves those
 * people out of its ranges and evaluates them behind them.
 */
async function end(deps: Deps, stored: Refresh, failed: NonNullable<Refresh['failed']>): Promise<'more' | 'done'> {
  const fed = await endRange(deps, stored)
  const isRanged = fed.phase === 'ranges' && fed.kind !== 'enter'
  const phase = isRanged ? 'overtaken' : 'done'
  await step(deps, fed, { $set: { phase, failed: fed.failed ?? failed }, $unset: { fed: 1 } })
  return isRanged ? 'more' : 'done'
}

/**
 * Opens a refresh and works it off, by `alone` where lanes may run beside.
 *
 * @returns how many values changed; `failed`: why it was given up
 */
export async function refreshNow(
  deps: Deps,
  request: RefreshRequest,
  alone: RunAlone,
  onRange: (profiles: number) => void = () => undefined,
): Promise<{ changes: number; failed?: string }> {
  const { docs } = deps
  await openRefresh(deps, request)
  for (;;) {
    const left = await alone(({ signal, fence, isLate }) =>
      workRefreshes({ ...deps, worker: { ...deps.worker, fence, isLate } }, signal),
    )
    const cursor = await docs.refreshes.get(request._id)
    const last = (await docs.meta.get('counter:profile'))?.value ?? 0
    onRange(cursor === undefined || cursor.phase === 'done' ? last : Math.min(cursor.from - 1, last))
    // What ingest is at this very moment, the lane evaluates again.
    if (cursor === undefined || cursor.phase === 'done' || left !== 'more')
      return { changes: cursor?.changes ?? 0, ...(cursor?.failed !== undefined && { failed: cursor.failed.reason }) }
  }
}

async function workOn(deps: Deps, stored: Refresh): Promise<'done' | 'more' | 'waiting'> {
  const work = workOf(deps, stored)
  const isStarted = stored.phase !== 'waiting' && stored.phase !== 'opening' && stored.definitions === work.definitions
  let cursor = isStarted ? (stored as Started) : await begin(deps, await endRange(deps, stored), work.definitions)
  if (cursor.phase === 'ranges') {
    cursor = await workRange(deps, cursor, work)
    if (cursor.phase === 'ranges') return 'more'
  }
  const left = cursor.kind === 'enter' ? 'none' : await evaluateOvertaken(deps, cursor, work)
  if (left !== 'none') return left
  // All is written: what another process has at hand from before counts no more.
  await nextNumber(deps)
  // It stays: whoever asked for it reads what came of it, and its occasion is over.
  await step(deps, cursor, { $set: { phase: 'done' } })
  return 'done'
}

/**
 * Stores a step of a refresh. Resolves to the cursor's next `rev`.
 *
 * @throws {ConflictError} when somebody else has taken a step since the cursor was read
 */
async function step(
  { docs }: Deps,
  { _id, order, rev, failing }: Refresh,
  update: Update<Refresh>,
): Promise<{ rev: number }> {
  const $unset = { ...update.$unset, ...(failing !== undefined && { failing: 1 as const }) }
  const taken = { ...update, $inc: { rev: 1 }, ...(Object.keys($unset).length > 0 && { $unset }) }
  if (await docs.refreshes.update(_id, taken, { order, rev })) return { rev: rev + 1 }
  throw new ConflictError(`refresh "${_id}" has gone on elsewhere`)
}

/** Of an evaluation, and when it was given out. */
type Numbered = { seq: number; knownAt: Date }

async function nextNumber(deps: Pick<Deps, 'docs' | 'clock' | 'facts'>): Promise<Numbered> {
  const { now, seq } = await takeMoment(deps)
  return { seq, knownAt: now }
}

type Started = Refresh & { now: Date } & Numbered

/** What there is to do, under the definitions as they are now. */
type Work = { evaluables: readonly Evaluable[]; definitions: string }

function workOf({ definitions }: Deps, { kind, ids }: Refresh): Work {
  const { current } = definitions
  const chosen = ids === undefined ? undefined : new Set(ids)
  const evaluables = kind === 'enter' ? [] : current.evaluables.filter((e) => chosen?.has(e.id) !== false)
  const journeys = kind === 'enter' ? (ids ?? []).flatMap((id) => current.journeys.get(id)?.journey ?? []) : []
  const entries = journeys.flatMap((journey): Evaluable[] => {
    const rule = entryRule(journey)
    return rule === undefined ? [] : [{ id: journey.id, rule }]
  })
  const rules = textOfRules([...evaluables, ...entries], current.segments)
  return { evaluables, definitions: hashKey(32, rules, JSON.stringify(journeys)) }
}

/** At the first range, at the instant that it is. Groups of ingest that did not see it open are stamped in their place. */
async function begin(deps: Deps, refresh: Refresh, definitions: string): Promise<Started> {
  const isRepeat = refresh.phase === 'opening' && refresh.definitions === definitions
  const now = isRepeat ? refresh.now! : await presentInstant(deps.docs.meta, deps.clock) // an opening one has its instant
  const opening = { phase: 'opening', now, definitions, from: 1 } as const
  const none = { againAt: 1, fed: 1, aside: 1, failed: 1 } as const
  const opened = { ...refresh, ...(await step(deps, refresh, { $set: opening, $unset: none })) }
  for (const plan of await plansUnderWay(deps)) await stampProfiles(deps, plan, true)
  const ranges = { phase: 'ranges', ...(await nextNumber(deps)) } as const
  const { againAt: _againAt, fed: _fed, failed: _failed, ...rest } = opened
  return { ...rest, ...opening, ...ranges, ...(await step(deps, opened, { $set: ranges })) }
}

async function workRange(deps: Deps, stored: Started, work: Work): Promise<Started> {
  const { docs } = deps
  const { from, size, kind } = stored
  const last = (await docs.meta.get('counter:profile'))?.value ?? 0
  const range = { from, to: from + size }
  const isLast = range.to > last
  const isEmpty = from > last || (kind !== 'enter' && work.evaluables.length === 0)
  const cursor = kind === 'all' && !isEmpty ? await appendAndFeed(deps, stored, work, range) : stored
  const changes = kind === 'all' || isEmpty ? 0 : await evaluate(deps, cursor, work, range)
  const next = {
    ...(isLast ? { phase: 'overtaken' as const } : await nextNumber(deps)),
    from: range.to,
    changes: cursor.changes + changes,
  }
  const { fed: _fed, ...rest } = cursor
  return { ...rest, ...next, ...(await step(deps, cursor, { $set: next, $unset: { fed: 1 } })) }
}

async function appendAndFeed(deps: Deps, stored: Started, { evaluables }: Work, range: Range): Promise<Started> {
  let cursor = stored
  if (cursor.fed === undefined) {
    await appendRange(deps, evaluationOf(cursor, evaluables, cursor.now, cursor), range, asideOf(deps, cursor))
    cursor = { ...cursor, fed: range.from, ...(await step(deps, cursor, { $set: { fed: range.from } })) }
  }
  return feedTo(deps, cursor, range.to)
}

/** @param cursor - of an appended range that ends before `to` */
async function feedTo(deps: Deps, stored: Started, to: number): Promise<Started> {
  let cursor = stored
  const { seq, now } = cursor
  for await (const { fed, changes } of feedRange(deps, { seq, now, key: keyOf(cursor) }, { from: cursor.fed!, to })) {
    const next = { fed, changes: cursor.changes + changes }
    cursor = { ...cursor, ...next, ...(await step(deps, cursor, { $set: next })) }
  }
  return cursor
}

/**
 * Before it is begun anew: what its last range has appended, or still might, is acted on to the end. The state says it
 * already, so nobody else would find it.
 */
async function endRange(deps: Deps, stored: Refresh): Promise<Refresh> {
  if (stored.phase !== 'ranges' || stored.kind !== 'all') return stored
  const cursor = stored as Started
  if (cursor.fed === undefined) await closeNumber(deps, cursor.seq)
  return feedTo(deps, { ...cursor, fed: cursor.fed ?? cursor.from }, cursor.from + cursor.size)
}

async function evaluate(deps: Deps, cursor: Started, { evaluables }: Work, range: Range): Promise<number> {
  if (cursor.kind === 'enter') return enterRecurring(deps, cursor, range)
  const evaluation = evaluationOf(cursor, evaluables, cursor.now, cursor)
  const since = (cursor.since ?? cursor.now).getTime()
  const setAside = asideOf(deps, cursor)
  const crossed: number[] = []
  const find = async (part: Range) => {
    const crossings = compileCrossings(evaluables, deps.definitions.current, since, cursor.now.getTime(), part)
    if (crossings !== undefined) crossed.push(...(await crossedBy(deps, crossings, part)))
  }
  await rangeAlone(range, find, setAside)
  const survivors = new Set<number>()
  const follow = async (some: readonly number[]) => {
    for (const p of await deps.docs.profiles.getMany(some)) survivors.add(p.mergedInto ?? p._id)
  }
  await eachAlone(crossed, follow, setAside)
  const ids = [...survivors].sort((a, b) => a - b)
  let changes = 0
  const evaluateSome = async (profileIds: readonly number[]) => {
    changes += (await evaluateTouched(deps, { ...evaluation, profileIds })).changes
  }
  for (let i = 0; i < ids.length; i += CHUNK)
    await eachAlone(await withoutOvertaken(deps, ids.slice(i, i + CHUNK)), evaluateSome, setAside)
  return changes
}

/** Who cannot be evaluated is set aside as in ingest (`siyu ingest rejected`), up to a number; beyond, it is not about them. */
function asideOf(deps: Deps, { _id, order }: Refresh): SetAside {
  return async (profileId, err) => {
    await rejectProfile(deps, `refresh:${_id}`, profileId, err)
    const cursor = await deps.docs.refreshes.findOneAndUpdate({ _id, order }, { $inc: { aside: 1 } })
    if ((cursor?.aside ?? 0) > ASIDE_MAX) throw new TooManyAside(messageOf(err), { cause: err })
  }
}

/** By what is at hand where that is everybody; else of stored events, and of those that wait, which need not be stored for this. */
async function crossedBy({ events, facts }: Deps, { sql, spans }: Crossings, { from, to }: Range): Promise<number[]> {
  const isIn = (p: number) => p >= from && p < to
  const atHand = await facts.within(spans)
  if (atHand !== undefined) return [...atHand].filter(isIn)
  // First what waits: what is stored meanwhile is in both.
  const waiting = new Instants()
  for (const { profile_id, name, occurred_at } of events.unread(eventsTable))
    if (isIn(profile_id)) waiting.add(profile_id, { name, ms: occurred_at.getTime() })
  const stored = await events.query(sql, z.object({ p: z.number() }), 'serving', { behind: true })
  return [...new Set([...waiting.within(spans), ...stored.map((row) => row.p)])]
}

function evaluationOf(cursor: Started, evaluables: readonly Evaluable[], now: Date, { seq, knownAt }: Numbered) {
  return { evaluables, now, seq, knownAt, cause: cursor.cause, key: keyOf({ ...cursor, now }) }
}

/** What effects of an evaluation at its instant are keyed under. */
function keyOf({ _id, kind, now }: Started): string {
  return `${_id}:${kind}:${now.getTime()}`
}

/** @returns 0: what a journey does counts elsewhere */
async function enterRecurring(deps: Deps, cursor: Started, range: Range): Promise<number> {
  const { ids, now } = cursor
  for (const journeyId of ids ?? []) {
    const enter = deps.definitions.current.journeys.get(journeyId)?.journey.enter
    if (enter === undefined || !('every' in enter)) continue
    const enterSome = async (profileIds: readonly number[]) => {
      const holds = await testRules(deps, [enter.when], profileIds, now)
      const entering = profileIds
        .filter((id) => holds.get(id)?.[0] === true)
        .map((profileId) => ({ profileId, journeyId }))
      await enterJourneys(deps, entering, now, `every:${journeyId}:${now.getTime()}`)
    }
    const alive = { _id: { $gte: range.from, $lt: range.to }, mergedInto: { $exists: false } }
    for await (const batch of deps.docs.profiles.scan(alive, 2_000, { skipUnfit: true }))
      await eachAlone(
        batch.map((p) => p._id),
        enterSome,
        asideOf(deps, cursor),
      )
  }
  return 0
}

/**
 * Evaluates again a piece of what ingest touched meanwhile and is done with. It takes a number of its own, anew after a
 * crash too: groups that were done since must have a lower one (4. above). Its instant is kept, so that a repeat enters
 * journeys at the same one.
 */
async function evaluateOvertaken(deps: Deps, cursor: Started, work: Work): Promise<'none' | 'more' | 'waiting'> {
  const { docs } = deps
  let left: 'none' | 'waiting' = 'none'
  for (let after = 0; ;) {
    const stamps = await docs.overtaken.find({ _id: { $gt: after } }, { limit: CHUNK })
    if (stamps.length === 0) return left
    const underWay = new Set((await plansUnderWay(deps)).flatMap(touchedBy))
    const free = stamps.filter((stamp) => !underWay.has(stamp._id))
    if (free.length > 0) {
      await evaluateAgain(deps, cursor, work, free)
      return 'more'
    }
    left = 'waiting'
    after = stamps.at(-1)!._id
  }
}

async function evaluateAgain(deps: Deps, stored: Started, work: Work, stamps: readonly Overtaken[]): Promise<void> {
  const { docs, definitions } = deps
  const number = await nextNumber(deps)
  const againAt = stored.againAt ?? number.knownAt
  const cursor = { ...stored, ...(await step(deps, stored, { $set: { ...number, againAt } })) }
  const none = new Set<string>()
  const touched = evaluablesFor(definitions.current, { events: none, traits: none, identifiers: none, all: true })
  // A stamp may be of a refresh that was given up, and what is owed then of values that this one does not look at.
  const owed = stamps.flatMap((stamp) => stamp.owed ?? [])
  const chosen = new Set([...work.evaluables, ...touched, ...owed].map((e) => e.id))
  const evaluables = definitions.current.evaluables.filter((e) => chosen.has(e.id))
  const evaluation = evaluationOf(cursor, evaluables, againAt, number)
  const moment = { seq: number.seq, now: againAt }
  let changes = 0
  const evaluateSome = async (some: readonly Overtaken[]) => {
    const profileIds = some.map((stamp) => stamp._id)
    await markEvaluated(deps, profileIds, moment)
    const heal = new Map(some.map((stamp) => [stamp._id, stamp.owed ?? []]))
    const found = await evaluateTouched(deps, { ...evaluation, profileIds, heal })
    const merged = await docs.profiles.find({ _id: { $in: profileIds }, mergedInto: { $exists: true } })
    const gone = merged.map((p) => p._id)
    if (gone.length > 0) await leaveNoTags(deps, gone, moment)
    changes += found.changes
  }
  const setAside = asideOf(deps, cursor)
  await eachAlone(stamps, evaluateSome, (stamp, err) => setAside(stamp._id, err))
  const alike = new Map<string, Overtaken[]>()
  for (const stamp of stamps) {
    const key = `${stamp.seq}:${stamp.times}`
    alike.set(key, [...(alike.get(key) ?? []), stamp])
  }
  for (const [{ seq: stampedBy, times }, ids] of [...alike.values()].map(
    (group) => [group[0]!, group.map((stamp) => stamp._id)] as const,
  ))
    await docs.overtaken.delete({ _id: { $in: ids }, seq: stampedBy, times })
  await step(deps, cursor, { $set: { changes: cursor.changes + changes }, $unset: { againAt: 1 } })
}
