import { type RecordEvent, SourceRecord, type SourceRecordInput } from '../../domain/events/record.js'
import { systemEvent } from '../../domain/events/system-events.js'
import type { WecomRelation } from '../../domain/wecom/mirror.js'
import { contactRecord, type Relation, relationHash, relationId, wecomTagName } from '../../domain/wecom/relation.js'
import { parseInput } from '../../parse.js'
import { hashKey } from '../../random.js'
import { acceptRecords } from '../ingest/accept-records.js'
import type { Collections } from '../../stored/collections.js'
import type { Deps } from '../runtime/deps.js'

/** What was read from the platform, or said by it. */
export type Seen = {
  relations?: readonly Relation[]
  /** Customers all of whose relations are in `relations`: any other of theirs has ended. */
  complete?: readonly string[]
  /** Relations that the platform shows no more, by id; found so now. */
  gone?: readonly string[]
  /** Relations that ended by the platform's word. */
  ended?: readonly { userId: string; externalUserId: string; state: 'lost' | 'ended'; at: Date }[]
  /** Relations that began by the platform's word. */
  added?: readonly { id: string; at: Date }[]
  /** What else is to be said, in one batch with it. */
  records?: readonly SourceRecordInput[]
  /** When the reading began: what was mirrored after it is newer. */
  readAt: Date
  /** Whose work this is, e.g. `sync:12`: the same content again for the same cause is taken once. */
  cause: string
}

type MirrorDeps = Pick<Deps, 'docs' | 'clock' | 'jobs'>

/** As many as one batch may hold. */
const MAX_RECORDS = 1_000

/** One reader at a time compares and writes: two pages may hold relations of one customer. */
const turns = new WeakMap<Collections, Promise<unknown>>()

/**
 * Compares what was seen with the mirror, hands the customers that changed to the inbox, then writes the mirror. After a
 * crash in between the same differences are found again, and say the same.
 *
 * @returns how many relations changed
 */
export function mirrorRelations(deps: MirrorDeps, seen: Seen): Promise<number> {
  const turn = (turns.get(deps.docs) ?? Promise.resolve()).then(() => compareAndWrite(deps, seen))
  turns.set(
    deps.docs,
    turn.catch(() => undefined), // whoever asked for that turn has the error
  )
  return turn
}

type Change = { to: WecomRelation; from?: WecomRelation }

async function compareAndWrite(deps: MirrorDeps, seen: Seen): Promise<number> {
  const changes = await changesOf(deps, seen)
  const customers = [...new Set(changes.map((c) => c.to.externalUserId))]
  const records = [...(await recordsOf(deps, customers, changes, seen)), ...(seen.records ?? [])]
  await accept(deps, records, seen.cause)
  if (changes.length > 0) {
    // What another process has read since stays.
    await deps.docs.wecomRelations.put(
      changes.map((c) => c.to),
      { unlessNewer: 'readAt' },
    )
  }
  return changes.length
}

async function changesOf(
  { docs }: MirrorDeps,
  { relations = [], complete = [], gone = [], ended = [], added = [], readAt }: Seen,
): Promise<Change[]> {
  const ids = [
    ...relations.map((r) => relationId(r.userId, r.externalUserId)),
    ...gone,
    ...ended.map((e) => relationId(e.userId, e.externalUserId)),
  ]
  const known = new Map((await docs.wecomRelations.getMany(ids)).map((r) => [r._id, r]))
  const changed = new Map<string, Change>()
  const change = (to: WecomRelation, from?: WecomRelation) => {
    const first = changed.get(to._id)?.from ?? from
    changed.set(to._id, first === undefined ? { to } : { to, from: first })
    known.set(to._id, to)
  }
  const addedAt = new Map<string, Date>()
  for (const { id, at } of [...added].sort((a, b) => a.at.getTime() - b.at.getTime())) addedAt.set(id, at)
  for (const relation of relations) {
    const _id = relationId(relation.userId, relation.externalUserId)
    const old = known.get(_id)
    const hash = relationHash(relation)
    if (old === undefined) {
      change({ ...relation, _id, state: 'active', hash, revision: 1, readAt })
    } else {
      const { endedAt, ...rest } = old
      const backAt = addedAt.get(_id) ?? relation.follow.addedAt
      // The platform goes on showing a relation that the customer has ended: it is one again once she is added anew.
      const isBack = old.state !== 'active' && endedAt !== undefined && backAt > endedAt
      const isLost = old.state === 'lost' && !isBack
      if (old.readAt > readAt || (old.hash === hash && (isLost || old.state === 'active'))) continue
      const state = isLost ? { state: 'lost' as const, endedAt } : { state: 'active' as const }
      const back = isBack && backAt > relation.follow.addedAt ? { backAt } : {}
      change({ ...rest, ...relation, hash, readAt, revision: old.revision + 1, ...state, ...back }, old)
    }
  }
  const shown = new Set(ids.slice(0, relations.length))
  const theirs = complete.length === 0 ? [] : await docs.wecomRelations.find({ externalUserId: { $in: [...complete] } })
  const missing = [...theirs.filter((r) => !shown.has(r._id)), ...gone.flatMap((id) => known.get(id) ?? [])]
  for (const old of missing) {
    if (old.state === 'ended' || old.readAt > readAt) continue
    change({ ...old, state: 'ended', endedAt: old.endedAt ?? readAt, readAt, revision: old.revision + 1 }, old)
  }
  for (const { userId, externalUserId, state, at } of ended) {
    const _id = relationId(userId, externalUserId)
    const old = known.get(_id)
    // An end that is told late, after she was added anew, is none.
    if (old !== undefined && (old.state === 'ended' || old.state === state || (old.backAt ?? old.follow.addedAt) > at))
      continue
    const newest = old !== undefined && old.readAt > readAt ? old.readAt : readAt
    const revision = (old?.revision ?? 0) + 1
    change({ ...(old ?? unread(userId, externalUserId)), state, endedAt: at, readAt: newest, revision }, old)
  }
  return [...changed.values()]
}

/** The end of a relation came before its beginning: noted, so that the beginning does not make it stand. */
function unread(userId: string, externalUserId: string): Omit<WecomRelation, 'state' | 'readAt' | 'revision'> {
  const follow = { addedAt: new Date(0), mobiles: [], tagIds: [] }
  return { _id: relationId(userId, externalUserId), userId, externalUserId, contact: {}, follow, hash: UNREAD }
}
const UNREAD = ''

async function recordsOf(
  deps: MirrorDeps,
  customers: readonly string[],
  changes: readonly Change[],
  { ended = [], readAt }: Seen,
): Promise<SourceRecordInput[]> {
  if (customers.length === 0) return []
  const stored = await deps.docs.wecomRelations.find({ externalUserId: { $in: [...customers] } })
  const all = new Map(stored.map((r) => [r._id, r]))
  for (const { to } of changes) all.set(to._id, to)
  const byCustomer = new Map<string, WecomRelation[]>(customers.map((id) => [id, []]))
  for (const relation of [...all.values()].filter((r) => r.hash !== UNREAD))
    byCustomer.get(relation.externalUserId)?.push(relation)
  const names = await tagNames(
    deps,
    [...changes.flatMap((c) => [c.to, ...(c.from === undefined ? [] : [c.from])]), ...all.values()].flatMap(
      (r) => r.follow.tagIds,
    ),
  )
  const told = new Set(ended.map((e) => relationId(e.userId, e.externalUserId)))
  const eventsOf = new Map<string, RecordEvent[]>()
  for (const change of changes) {
    const { externalUserId } = change.to
    const events = [...tagEvents(change, names), ...(told.has(change.to._id) ? [] : goneEvents(change))]
    eventsOf.set(externalUserId, [...(eventsOf.get(externalUserId) ?? []), ...events])
  }
  const now = deps.clock.now()
  const observedAt = now > readAt ? now : readAt
  return [...byCustomer].flatMap(([externalUserId, relations]) => {
    if (relations.length === 0) return []
    const record = contactRecord(relations, observedAt, names)
    return [{ ...record, events: [...(record.events ?? []), ...(eventsOf.get(externalUserId) ?? [])] }]
  })
}

function tagEvents({ to, from }: Change, names: ReadonlyMap<string, string>): RecordEvent[] {
  if (from === undefined) return []
  const nameOf = (id: string) => names.get(id) ?? id
  const added = to.follow.tagIds.filter((id) => !from.follow.tagIds.includes(id)).map(nameOf)
  const removed = from.follow.tagIds.filter((id) => !to.follow.tagIds.includes(id)).map(nameOf)
  if (added.length + removed.length === 0) return []
  const { userId, externalUserId, revision } = to
  return [
    systemEvent('wecom_tags_changed', {
      id: `wecom:tags:${externalUserId}:${userId}:${revision}`,
      occurredAt: to.readAt,
      properties: { userId, added, removed },
    }),
  ]
}

/** An end that nobody told us of. What a customer ended herself has been told. */
function goneEvents({ to, from }: Change): RecordEvent[] {
  if (to.state !== 'ended' || from?.state !== 'active') return []
  const { userId, externalUserId, revision, endedAt = to.readAt } = to
  return [
    systemEvent('contact_deleted', {
      id: `wecom:gone:${externalUserId}:${userId}:${revision}`,
      occurredAt: endedAt,
      properties: { userId, externalUserId, by: 'unknown' },
    }),
  ]
}

async function tagNames({ docs }: MirrorDeps, ids: readonly string[]): Promise<Map<string, string>> {
  const tags = await docs.wecomTags.getMany([...new Set(ids)])
  return new Map(tags.map((t) => [t._id, wecomTagName(t.groupName, t.name)]))
}

/** Hands over anew what the mirror says of these customers: a tag has another name. */
export async function retellCustomers(
  deps: MirrorDeps,
  externalUserIds: readonly string[],
  cause: string,
): Promise<void> {
  await accept(deps, await recordsOf(deps, externalUserIds, [], { readAt: deps.clock.now(), cause }), cause)
}

async function accept(deps: MirrorDeps, given: readonly SourceRecordInput[], cause: string): Promise<void> {
  const records = given.map((r) => parseInput(SourceRecord, r, 'WeCom contact'))
  for (let i = 0; i < records.length; i += MAX_RECORDS) {
    const batch = records.slice(i, i + MAX_RECORDS)
    const content = batch.map((r) => ({ ...r, observedAt: undefined }))
    await acceptRecords(deps, `wecom:${cause}:${hashKey(32, JSON.stringify(content))}`, batch)
  }
}
