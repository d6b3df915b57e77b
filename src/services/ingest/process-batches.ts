import {
  consentChangesTable,
  eventsTable,
  identityChangesTable,
  profilesTable,
  type RowOf,
  traitChangesTable,
} from '../../domain/events/tables.js'
import { eventKey } from '../../domain/events/record.js'
import {
  type ChangeLog,
  logChanges,
  logIdentities,
  logStanding,
  type Moment,
  statesSomething,
} from '../../domain/identity/change-log.js'
import { profileUnit } from '../../domain/identity/identity-unit.js'
import { identifierTypes, traitTexts, type Profile } from '../../domain/identity/profile.js'
import {
  evidencePairs,
  type InboxRecord,
  linkKey,
  resolveIdentities,
  sharedKey,
  usableIdentifiers,
} from '../../domain/identity/resolve.js'
import { ENTRY_PREFIX } from '../../domain/journeys/definition.js'
import type { Filter, Update } from '../../ports/document-language.js'
import { holdPublished } from '../definitions/follow-published.js'
import { evaluablesFor, evaluateTouched, leaveNoTags } from '../tags/evaluate-profiles.js'
import { endUnfounded } from '../journeys/end-unfounded.js'
import { entriesByEvents, exitByEvents, refuseHistory } from '../journeys/enter-journeys.js'
import { bucketOf } from '../../stored/buckets.js'
import type { Batch, BatchPlan, OwnedEvent } from '../../stored/ingest.js'
import type { Run } from '../../stored/journeys.js'
import type { StoredProfile } from '../../stored/profiles.js'
import { EVALUATIONS, PLANS_BEGUN } from '../../stored/runtime.js'
import type { Deps } from '../runtime/deps.js'
import { notAhead } from './accept-records.js'
import { documentBytes, MAX_DOCUMENT_BYTES } from './document-size.js'
import { isLook, rejectProfile, rejectRecord } from './rejected.js'
import { eachAlone, isOfItem } from '../runtime/each-alone.js'
import { takeMoment } from '../runtime/take-moment.js'
import { claimProfiles, isPlanned } from '../tags/claim-profiles.js'
import { queueArrivals } from '../tags/queue-writebacks.js'
import { react } from '../tags/reactions/react.js'
import { takeBackOptedOut, takeBackTouches } from '../touches/take-back.js'

/** Batches that may be worked on: all but what our own lanes said at this very instant. (One from ahead is by another's clock.) */
export function waitingAt(now: Date): Filter<Batch> {
  return { state: 'accepted', $or: [{ own: { $exists: false } }, { acceptedAt: { $ne: now } }] }
}

/** Batches that wait together are worked on together, up to about this many records and this much of what they say. */
const GROUP_RECORDS = 5_000
/** Of stores that keep a document below 16 MB. */
const SHARED_GROUP_RECORDS = 1_000
const GROUP_CHARS = 4 * 2 ** 20
/** Read at a time while a group is gathered. */
const PAGE = 100

/**
 * Works accepted batches off in order: who is it, append events, patch profiles, evaluate what changed, start and end
 * journeys. The plan of a group is stored before anything of it is applied, so a repeat after a crash applies the same; and
 * plans are begun one after the other, so a worker that slept neither begins an old one nor overwrites what came after.
 */
export async function processBatches(deps: Deps, signal?: AbortSignal): Promise<void> {
  try {
    await workOffBatches(deps, signal)
  } catch (err) {
    // How far it came, only the stores know.
    deps.facts.clear()
    throw err
  }
}

/** Ends what a crash left half applied, and takes up nothing new. */
export async function finishPlanned(deps: Deps): Promise<void> {
  await workOffBatches(deps, undefined, true)
}

async function workOffBatches(deps: Deps, signal?: AbortSignal, onlyPlanned = false): Promise<void> {
  const { docs } = deps
  while (signal?.aborted !== true) {
    // In this order: what was begun later shows in what was begun, what was begun before shows as planned or is done.
    const basis = await lastBegun(deps)
    const [planned] = await docs.batches.find({ state: 'planned' }, { sort: { seq: 1 }, limit: 1 })
    const waiting = planned?.plan === undefined && !onlyPlanned ? await nextBatches(deps) : []
    if (planned?.plan === undefined && waiting.length === 0) return
    // After the batches are known: whatever they speak of began under what is published now, or before.
    const held = await holdPublished(deps)
    if (held === undefined) return
    const found =
      planned?.plan === undefined ? await planGroup(held, waiting, basis) : await loadGroup(held, planned, planned.plan)
    const group = found === 'overtaken' ? undefined : await begin(deps, found)
    if (group === undefined) continue
    const { first, batches } = group
    const { records: part } = group.plan
    // Records go when all is applied.
    if (batches.every((b) => b.state !== 'done')) {
      const plan = await claimProfiles(deps, first._id, group.plan)
      if (plan === undefined) continue
      const records = recordsOf(batches, plan)
      const events = ownedEvents(records, plan)
      await applyPlan(held, first, plan, records, events, group.profiles)
      keepAtHand(held, plan, events, planned === undefined)
      // What is evaluated at the plan's instant must not be what has happened since.
      if ((await docs.batches.count({ _id: first._id, ...isPlanned(plan) })) === 0) {
        deps.facts.clear()
        continue
      }
      await actOn(held, first, plan, events, group.profiles)
    }
    if (part !== undefined) {
      await leaveRest(deps, group, part)
      continue
    }
    // The first goes last: it holds the plan.
    await docs.batches.put(
      [...batches]
        .reverse()
        .map(({ records: _records, plan: _plan, ...batch }) => ({ ...batch, state: 'done' as const })),
    )
  }
}

/** The part of a batch that is planned is done: the others wait. A worker that is late leaves them as they are. */
async function leaveRest({ docs }: Deps, { first, plan }: Group, done: number): Promise<void> {
  const { _id, records = [], part = 0 } = first
  const rest: Update<Batch> = {
    $set: { state: 'accepted', records: records.slice(done), part: part + 1 },
    $unset: { plan: 1 },
  }
  await docs.batches.update(_id, rest, isPlanned(plan))
}

/** Those that a plan is of, as it counts them: what its making found ahead of its instant counts as then. */
function recordsOf(batches: readonly Batch[], { records, notAfter }: BatchPlan): InboxRecord[] {
  const planned = batches.flatMap((b) => b.records ?? []).slice(0, records)
  return notAfter === undefined ? planned : planned.map((record) => notAhead(record, notAfter))
}

/** Names what is said of a group, part by part where its batch goes in parts. */
function keyOf({ _id, part }: Batch): string {
  return part === undefined ? _id : `${_id}/${part}`
}

async function lastBegun({ docs }: Deps): Promise<number> {
  const begun = await docs.meta.get(PLANS_BEGUN)
  if (begun?.value !== undefined) return begun.value
  // The first plan of these stores that is begun in turn: its number is above what version 0.1 numbered by batches.
  const batches = (await docs.meta.get('counter:batch'))?.value ?? 0
  await docs.meta.updateEach([{ id: `counter:${EVALUATIONS}`, update: { $max: { value: batches } }, upsert: true }])
  await docs.meta.insert([{ _id: PLANS_BEGUN, value: 0 }])
  return 0
}

/**
 * Makes a stored plan the one that counts, unless another was begun since it was made: then it is not, and its batches wait
 * to be planned anew. One that is dated when somebody has asked how things stood then is dated anew first: nothing of it is
 * applied yet, and the answer did not tell of it.
 */
async function begin(deps: Deps, group: Group): Promise<Group | undefined> {
  const { docs } = deps
  const { plan, first } = group
  const { basis = 0 } = plan
  const begun = { value: basis + 1, text: first._id }
  const isDue = { value: basis, ...(plan.takenOver === undefined && { at: { $not: { $gte: plan.now } } }) }
  if (await docs.meta.update(PLANS_BEGUN, { $set: begun }, { $or: [isDue, begun] })) return group
  if ((await docs.meta.get(PLANS_BEGUN))?.value === basis) {
    const { now, seq } = await takeMoment(deps)
    const dated = { $set: { 'plan.now': now, 'plan.seq': seq } }
    if (!(await docs.batches.update(first._id, dated, isPlanned(plan)))) return undefined
    return begin(deps, { ...group, plan: { ...plan, now, seq } })
  }
  await docs.batches.update(
    first._id,
    { $set: { state: 'accepted' }, $unset: { plan: 1 } },
    { state: 'planned', 'plan.seq': plan.seq },
  )
  return undefined
}

/** What follows for everybody whom the group touches. Of whom it cannot be worked out, that is said, and the others go on. */
async function actOn(
  deps: Deps,
  first: Batch,
  plan: BatchPlan,
  events: readonly OwnedEvent[],
  profiles: Group['profiles'],
): Promise<void> {
  const reactFor = (ids: readonly number[]) => {
    if (ids.length === plan.touchedIds.length) return reactTo(deps, first, plan, events, profiles)
    const some = new Set(ids)
    const hers = events.filter((e) => some.has(e.profileId))
    return reactTo(deps, first, { ...plan, touchedIds: [...ids] }, hers, profiles)
  }
  await eachAlone(plan.touchedIds, reactFor, (profileId, err) => rejectProfile(deps, first._id, profileId, err))
}

/** Journeys end before values change and begin after, so that an entry's rule sees the event that caused it. */
async function reactTo(
  deps: Deps,
  first: Batch,
  plan: BatchPlan,
  events: readonly OwnedEvent[],
  profiles: Group['profiles'],
): Promise<void> {
  const { current } = deps.definitions
  await stopOptedOut(deps, plan, events)
  await exitByEvents(deps, events, plan.now)
  await endUnfounded(deps, events, plan.now)
  await refuseHistory(deps, events, plan.now)
  const entries = entriesByEvents(deps, events, plan.now)
  const { holds } = await evaluateTouched(deps, {
    profileIds: plan.touchedIds,
    ...(profiles !== undefined && { profiles }),
    evaluables: evaluablesFor(current, {
      events: new Set(events.map((e) => e.name)),
      traits: new Set(plan.changedTraits),
      identifiers: new Set(plan.links.map((l) => l.type)),
      all: plan.all === true || plan.newProfileIds.length + plan.merges.length > 0,
    }),
    tests: entries.map((e) => e.rule),
    now: plan.now,
    cause: 'realtime',
    key: keyOf(first),
    seq: plan.seq,
    knownAt: plan.now,
    // Who was set aside may have a state of which her document does not tell.
    ...(plan.all === true && { heal: new Map() }),
  })
  const entering = entries.flatMap(({ journeyId, profileIds }, i) =>
    profileIds
      .filter((id) => holds.get(id)?.[i] === true)
      .map((p) => ({ p, id: `${ENTRY_PREFIX}${journeyId}`, new: '1' })),
  )
  await react(deps, entering, { now: plan.now, key: `${keyOf(first)}:on` })
  await queueArrivals(deps, events)
}

/** Whoever has said stop, or was found to be one with somebody who has, gets nothing that is on its way. */
async function stopOptedOut({ docs }: Deps, { merges, now }: BatchPlan, events: readonly OwnedEvent[]): Promise<void> {
  const said = events.flatMap((e) => (e.name === 'opted_out' ? e.profileId : []))
  const ids = [...new Set([...said, ...merges.map((m) => m.to)])]
  if (ids.length > 0) await takeBackOptedOut(docs, await docs.profiles.getMany(ids), now)
}

/** Batches in order, and what is to become of them. The first holds the plan. */
type Group = {
  plan: BatchPlan
  first: Batch
  batches: readonly Batch[]
  /** Of a plan that was made a moment ago: everybody it speaks of, as the plan makes them. */
  profiles?: ReadonlyMap<number, Profile>
}

/** One that was planned before a crash, or by a worker that is slow. `overtaken`: somebody else has taken it up meanwhile. */
async function loadGroup(deps: Deps, first: Batch, stored: BatchPlan): Promise<Group | 'overtaken'> {
  const { docs } = deps
  const batches = (await docs.batches.getMany(stored.batchIds)).sort((a, b) => a.seq - b.seq)
  if (stored.owners !== undefined || stored.takenOver !== undefined) return { plan: stored, first, batches }
  const takenOver = await takeMoment(deps)
  const plan = { ...stored, seq: takenOver.seq, takenOver }
  const untouched: Filter<Batch> = { state: 'planned', 'plan.takenOver': { $exists: false } }
  return (await docs.batches.update(first._id, { $set: { plan } }, untouched)) ? { plan, first, batches } : 'overtaken'
}

async function nextBatches({ docs, clock, worker }: Deps): Promise<Batch[]> {
  const most = worker.alone ? GROUP_RECORDS : SHARED_GROUP_RECORDS
  const group: Batch[] = []
  let [records, chars] = [0, 0]
  for (;;) {
    const after = group.at(-1)?.seq
    const waiting = { ...waitingAt(clock.now()), ...(after !== undefined && { seq: { $gt: after } }) }
    const page = await docs.batches.find(waiting, { sort: { seq: 1 }, limit: PAGE, skipUnfit: true })
    for (const batch of page) {
      records += batch.records?.length ?? 0
      chars += (batch.records ?? []).reduce((sum, record) => sum + charsOf(record), 0)
      if (group.length > 0 && (records > most || chars > GROUP_CHARS)) return group
      group.push(batch)
    }
    if (page.length < PAGE) return group
  }
}

/** About what a record adds to a plan, which is one document: of its identifiers pairs are evidence. */
function charsOf({ identifiers, traits, events }: InboxRecord): number {
  const said = Object.values(traits).reduce<number>((sum, value) => sum + 100 + String(value).length, 0)
  const pairs = evidencePairs(identifiers)
  return 200 * (identifiers.length + pairs.length) + said + 30 * events.length
}

/**
 * Plans as many of the batches, or as many records of the first, as make one document of a size that all stores hold, and as
 * can be planned at all: one record that cannot is set aside, and leaves an empty place. `overtaken`: somebody else has planned
 * these batches meanwhile.
 */
async function planGroup(deps: Deps, batches: readonly Batch[], basis: number): Promise<Group | 'overtaken'> {
  const fits = ({ plan }: Planned) => documentBytes(plan) + documentBytes(batches[0]!.records) <= MAX_DOCUMENT_BYTES
  let group = batches
  let records: number | undefined
  for (;;) {
    const all = group.flatMap((b) => b.records ?? [])
    let refusal: unknown = 'it is larger than a document may be'
    try {
      const planned = withPart(await planRecords(deps, group, all.slice(0, records), basis), records)
      // Stores of one process hold whatever it can.
      if (deps.worker.alone || fits(planned)) return await storePlan(deps, group, planned)
    } catch (err) {
      if (!isOfItem(err) || all.length === 0) throw err
      refusal = err
    }
    const size = records ?? all.length
    if (group.length > 1) group = group.slice(0, Math.ceil(group.length / 2))
    else if (size > 1) records = Math.ceil(size / 2)
    else return planWithout(deps, group, all, basis, refusal)
  }
}

/** Plans the first record of a batch as an empty one: that this can be planned, and it cannot, shows that the reason lies in it. */
async function planWithout(
  deps: Deps,
  group: readonly Batch[],
  [culprit, ...others]: readonly InboxRecord[],
  basis: number,
  refusal: unknown,
): Promise<Group | 'overtaken'> {
  const { profileId: _profileId, ...said } = culprit! // a batch with none is planned as it is
  const empty = { ...said, identifiers: [], traits: {}, events: [] }
  const planned = withPart(await planRecords(deps, group, [empty], basis), others.length > 0 ? 1 : undefined)
  const undo = await rejectRecord(deps, group[0]!._id, culprit!, refusal)
  try {
    return await storePlan(deps, group, planned)
  } catch (err) {
    await undo()
    throw err
  }
}

async function storePlan(deps: Deps, batches: readonly Batch[], planned: Planned): Promise<Group | 'overtaken'> {
  const { plan, profiles } = planned
  const first = batches[0]!
  const update: Update<Batch> = { $set: { state: 'planned', plan } }
  const unchanged: Filter<Batch> = { state: 'accepted', part: first.part ?? { $exists: false } }
  const isStored = await deps.docs.batches.update(first._id, update, unchanged)
  return isStored ? { plan, first, batches, profiles } : 'overtaken'
}

type Planned = { plan: BatchPlan; profiles: ReadonlyMap<number, Profile> }

function withPart({ plan, profiles }: Planned, records: number | undefined): Planned {
  return { plan: records === undefined ? plan : { ...plan, records }, profiles }
}

async function planRecords(
  deps: Deps,
  group: readonly Batch[],
  told: readonly InboxRecord[],
  basis: number,
): Promise<Planned> {
  const { docs, definitions } = deps
  // Another process took them in, perhaps by a clock ahead of ours: nothing is evaluated before it has happened.
  const instants = told.flatMap((r) => [r.observedAt, ...r.events.map((e) => e.occurredAt)])
  const { now, seq } = await takeMoment(deps, instants)
  const isAhead = instants.some((at) => at > now)
  const records = isAhead ? told.map((record) => notAhead(record, now)) : told
  const config = definitions.current.identity
  const identifiers = records.flatMap((r) => usableIdentifiers(config, r))
  const keys = new Set(identifiers.flatMap((i) => [linkKey(i), sharedKey(i)]))
  const links = new Map((await docs.identifiers.getMany([...keys])).map((l) => [l._id, l]))
  const profiles = await loadProfiles(deps, [
    ...[...links.values()].map((l) => l.profileId),
    ...records.flatMap((r) => r.profileId ?? []),
  ])
  const counter = await docs.meta.get('counter:profile')
  const resolution = resolveIdentities(config, records, { links, profiles }, (counter?.value ?? 0) + 1)

  const known = await deps.knownEvents.find(
    records.flatMap(({ source, events }) => events.map(({ id }) => ({ source, id }))),
  )
  const seen = new Set(known)
  const eventOwners = records.flatMap((record, i) =>
    record.events.map((event) => {
      const profileId = resolution.profileIds[i]
      const key = eventKey(record.source, event.id)
      if (profileId === undefined || seen.has(key)) return 0
      seen.add(key)
      return profileId
    }),
  )
  const { profileIds, ...rest } = resolution
  // A merge takes along what no record here names: that it is shared, and joins nobody, only its document tells.
  const unnamed = rest.links.flatMap(({ _id }) => (keys.has(_id) ? [] : _id))
  const shared = new Set((await docs.identifiers.getMany(unnamed)).flatMap(({ _id, shared }) => (shared ? _id : [])))
  const dropped = records.filter((_record, i) => profileIds[i] === undefined).map((record) => record.ref)
  if (dropped.length > 0)
    deps.log.warn('records without a usable identifier left out', { records: dropped.length, first: dropped[0] })
  const before = (counter?.value ?? 0) + 1
  const plan: BatchPlan = {
    ...rest,
    links: rest.links.map((link) => (shared.has(link._id) ? { ...link, shared: true } : link)),
    basis,
    batchIds: group.map((b) => b._id),
    definitions: definitions.current.version,
    now,
    seq,
    owners: profileIds.map((id) => id ?? 0),
    eventOwners,
    newProfileIds: resolution.profiles.map((p) => p._id).filter((id) => id >= before),
    touchedIds: [...new Set(profileIds.filter((id) => id !== undefined))].sort((a, b) => a - b),
    changedTraits: [...new Set(records.flatMap((r) => Object.keys(r.traits)))].sort(),
    endedRuns: await runsEndedBy(deps, resolution.merges),
    ...(records.some(isLook) && { all: true }),
    ...(isAhead && { notAfter: now }),
  }
  for (const profile of plan.profiles) profiles.set(profile._id, profile)
  return { plan, profiles }
}

function ownedEvents(records: readonly InboxRecord[], plan: BatchPlan): OwnedEvent[] {
  return records
    .flatMap((record, i) => record.events.map((event) => ({ ...event, source: record.source, unit: plan.units?.[i] })))
    .flatMap(({ unit, ...event }, i) => {
      const profileId = plan.eventOwners[i]!
      return profileId > 0 ? [{ ...event, profileId, unit: unit ?? profileUnit(profileId) }] : []
    })
}

/** The named profiles; for merged ones also their survivors. */
async function loadProfiles(deps: Deps, ids: readonly number[]): Promise<Map<number, Profile>> {
  const found = new Map<number, Profile>()
  let wanted = [...new Set(ids)]
  while (wanted.length > 0) {
    const docs = await deps.docs.profiles.getMany(wanted)
    for (const doc of docs) found.set(doc._id, doc)
    wanted = [...new Set(docs.flatMap((d) => d.mergedInto ?? []))].filter((id) => !found.has(id))
  }
  return found
}

async function applyPlan(
  deps: Deps,
  batch: Batch,
  plan: BatchPlan,
  records: readonly InboxRecord[],
  events: readonly OwnedEvent[],
  profiles: Group['profiles'],
): Promise<void> {
  const { docs } = deps
  const { now: known_at, seq } = momentOf(plan)
  const numbered = { seq: plan.seq }
  const log = await changesOf(deps, plan, records, profiles)
  await endRuns(deps, plan.endedRuns ?? (await runsEndedBy(deps, plan.merges)), plan.now)
  for (const merge of plan.merges) await moveToSurvivor(deps, merge.from, merge.to, plan)
  // Profiles that were merged into one that is merged now follow it.
  const followers = plan.merges.flatMap(
    (m) => plan.profiles.find((p) => p._id === m.from)?.mergedIds.map((id) => ({ id, to: m.to })) ?? [],
  )
  const merges = plan.merges.map((m) => ({ _id: String(m.from), ...m, undone: false }))
  // The plan is stored, so their order is of no account.
  await allDone([
    docs.profiles.put(
      plan.profiles.map((p) => ({ ...p, ...numbered })),
      { unlessNewer: 'seq' },
    ),
    docs.identifiers.put(
      plan.links.map((l) => ({ ...l, ...numbered })),
      { unlessNewer: 'seq' },
    ),
    docs.evidence.insert(plan.evidence),
    docs.conflicts.insert(plan.conflicts),
    docs.merges.insert(merges),
    docs.profiles.updateEach(
      followers.map(({ id, to }) => ({
        id,
        where: notAfter(plan.seq),
        update: { $set: { mergedInto: to, ...numbered } },
      })),
    ),
    docs.meta.updateEach([
      { id: 'counter:profile', update: { $max: { value: plan.nextProfileId - 1 } }, upsert: true },
    ]),
    // Tokens name the work, whose number may have been replaced: a repeat says nothing a second time.
    insertProfileRows(deps, plan, `profiles:${keyOf(batch)}`),
    deps.events.insert(traitChangesTable, log.traits, `traits:${keyOf(batch)}`),
    deps.events.insert(consentChangesTable, log.consents, `consents:${keyOf(batch)}`),
    deps.events.insert(identityChangesTable, log.identities, `identities:${keyOf(batch)}`),
    deps.events.insert(
      eventsTable,
      events.map((e) => ({
        profile_id: e.profileId,
        name: e.name,
        occurred_at: e.occurredAt,
        event_id: e.id,
        source: e.source,
        amount_minor: e.amountMinor ?? 0,
        has_amount: e.amountMinor !== undefined,
        properties: JSON.stringify(e.properties),
        batch: batch.seq,
        unit: e.unit,
        known_at,
        seq,
        ...(e.saidAt && { said_at: e.saidAt }),
      })),
      `batch:${keyOf(batch)}`,
    ),
  ])
}

/** Documents that no later plan has written. */
function notAfter(seq: number): Filter<StoredProfile> {
  return { seq: { $not: { $gt: seq } } }
}

/** @param isNew - the plan was made a moment ago: of its new profiles nothing can be stored that is not in it */
function keepAtHand({ facts }: Deps, plan: BatchPlan, events: readonly OwnedEvent[], isNew: boolean) {
  if (isNew) facts.begin(plan.newProfileIds, plan.seq)
  else facts.forget(plan.newProfileIds)
  facts.add(events)
  for (const { from, to } of plan.merges) facts.merge(from, to)
}

/** When the group came to know what it brings. */
function momentOf({ now, seq, takenOver }: BatchPlan): Moment {
  return takenOver ?? { now, seq }
}

/** What is to be remembered of the group for good. What it does not change is read: it stays so until the group is done. */
async function changesOf(
  { docs }: Deps,
  plan: BatchPlan,
  records: readonly InboxRecord[],
  known: Group['profiles'] = new Map(),
): Promise<ChangeLog> {
  const moment = momentOf(plan)
  const { owners, units } = plan
  const profiles = new Map([...known, ...plan.profiles.map((p) => [p._id, p] as const)])
  if (owners === undefined || units === undefined) {
    const standing = logStanding(plan.profiles, plan.batchIds[0]!, moment)
    return { ...standing, identities: logIdentities(plan, profiles, moment) }
  }
  const unchanged = records.flatMap((record, i) =>
    owners[i]! > 0 && statesSomething(record) && !profiles.has(owners[i]!) ? [owners[i]!] : [],
  )
  for (const profile of await docs.profiles.getMany([...new Set(unchanged)])) profiles.set(profile._id, profile)
  return logChanges({ ...plan, owners, units }, records, profiles, moment)
}

/** Waits for all, also when one fails: nobody goes on while the others still write. @throws the first failure */
async function allDone(works: readonly Promise<unknown>[]): Promise<void> {
  const failed = (await Promise.allSettled(works)).find((r) => r.status === 'rejected')
  if (failed !== undefined) throw failed.reason
}

/** The columnar copy that rules read. Profiles whose merge target moved get a row too. */
async function insertProfileRows(deps: Deps, plan: BatchPlan, token: string): Promise<void> {
  const { now: known_at, seq } = momentOf(plan)
  const known = { version: plan.seq, known_at, seq }
  const rows: RowOf<typeof profilesTable>[] = plan.profiles.map((p) => ({
    profile_id: p._id,
    anchor: p.anchor,
    traits: traitTexts(p),
    identifier_types: identifierTypes(p),
    created_at: p.createdAt,
    merged_into: p.mergedInto ?? 0,
    ...known,
  }))
  const written = new Set(plan.profiles.map((p) => p._id))
  for (const survivor of plan.profiles.filter((p) => p.mergedInto === undefined)) {
    for (const id of survivor.mergedIds) {
      if (written.has(id) || plan.merges.length === 0) continue
      rows.push({
        profile_id: id,
        anchor: '',
        traits: {},
        identifier_types: [],
        created_at: survivor.createdAt,
        merged_into: survivor._id,
        ...known,
      })
    }
  }
  await deps.events.insert(profilesTable, rows, token)
}

/** Where people who are merged are both in one journey, the oldest run stays. Decided once, with the plan. */
async function runsEndedBy({ docs }: Deps, merges: BatchPlan['merges']): Promise<string[]> {
  if (merges.length === 0) return []
  const survivorOf = new Map<number, number>()
  for (const { from, to } of merges) {
    for (const [id, survivor] of survivorOf) if (survivor === from) survivorOf.set(id, to)
    survivorOf.set(from, to)
  }
  const ids = [...new Set([...survivorOf].flat())]
  const waiting = (await docs.runs.find({ profileId: { $in: ids }, state: 'waiting' })).sort(
    (a, b) => a.enteredAt.getTime() - b.enteredAt.getTime() || (a._id < b._id ? -1 : 1),
  )
  const staying = new Map<string, Run>()
  return waiting.flatMap((run) => {
    const key = `${survivorOf.get(run.profileId) ?? run.profileId} ${run.journeyId}`
    const older = staying.get(key)
    if (older === undefined) staying.set(key, run)
    return older === undefined || older.profileId === run.profileId ? [] : [run._id]
  })
}

/** What they wanted to say is taken back, also where it is in a dispatch that was not asked for yet. */
async function endRuns({ docs }: Deps, runIds: readonly string[], now: Date): Promise<void> {
  if (runIds.length === 0) return
  const ended: Partial<Run> = { state: 'ended', outcome: 'merged', endedAt: now }
  await docs.runs.updateEach(
    runIds.map((id) => ({ id, where: { state: 'waiting' }, update: { $set: ended, $unset: { dueAt: 1 } } })),
  )
  for (const runId of runIds) await takeBackTouches(docs, { runId }, 'exited', now)
}

/**
 * Runs, touches and tasks of a merged profile go on under the survivor. Her tags stay behind as none, with the number of the
 * plan, so that somebody who is late does not bring them back.
 */
async function moveToSurvivor({ docs }: Deps, from: number, to: number, plan: BatchPlan): Promise<void> {
  await docs.runs.updateMany({ profileId: from }, { $set: { profileId: to, bucket: bucketOf(to) } })
  for (const collection of [docs.touches, docs.tasks, docs.refusals]) {
    await collection.updateMany({ profileId: from }, { $set: { profileId: to } })
  }
  await leaveNoTags({ docs }, [from], plan)
}
