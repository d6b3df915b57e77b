import { setTimeout as sleep } from 'node:timers/promises'
import { SourceRecord, type SourceRecordInput } from '../../domain/events/record.js'
import { findIdentifierProblem } from '../../domain/identity/resolve.js'
import type { WecomEvent, WecomEventOf } from '../../domain/wecom/event.js'
import { eventRecord } from '../../domain/wecom/event-record.js'
import type { WecomMember } from '../../domain/wecom/mirror.js'
import { type Relation, relationId } from '../../domain/wecom/relation.js'
import { messageOf } from '../../errors.js'
import { parseInput } from '../../parse.js'
import { hashKey } from '../../random.js'
import { readStored } from './answer-callbacks.js'
import { holdPublished } from '../definitions/follow-published.js'
import { closeTask } from '../guides/close-task.js'
import type { Filter } from '../../ports/document-language.js'
import type { StoredCallback } from '../../stored/wecom.js'
import { eachAlone } from '../runtime/each-alone.js'
import { inParallel } from '../runtime/in-parallel.js'
import type { ServiceDeps } from '../runtime/deps.js'
import { mirrorGroup, mirrorMembers, mirrorTags } from './mirror-company.js'
import { mirrorRelations } from './mirror-relations.js'
import { elapsedMs, MINUTE_MS, SECOND_MS } from '../../time.js'
import { hurryTransfers } from './transfer-customers.js'

/** Callbacks that are looked at for what has to be read anew; what else waits about the same is found by that. */
const BATCH = 100
/** Customers whose changes are written together. */
const CHUNK = 50
const PAUSE_MS = 200
/** Callbacks a second above which a burst is on: far more than the platform's quota lets us read (10,000 contacts a minute). */
const BURST_PER_SECOND = 500
/** A burst holds work up no longer than this. */
const MAX_HOLD_MS = MINUTE_MS
/** Contacts asked for at the same time; the client keeps to the platform's limits. */
const AT_ONCE = 16

type Told = { stored: StoredCallback; event: WecomEvent }
type Contact = { externalUserId: string; told: Told[] }

/**
 * Works stored callbacks off. What changed is read anew from the platform, once for all that wait and say something about
 * it, so their order is of no account. What cannot be read now is left for the next run; the others go on.
 */
export async function handleCallbacks(deps: ServiceDeps, signal?: AbortSignal): Promise<void> {
  const { callbacks } = deps.docs
  const failures = new Map<string, unknown>()
  const failed: Book['failed'] = (told, err) => {
    for (const { stored } of told) failures.set(stored._id, err)
    deps.log.warn('callbacks not handled yet', { callbacks: told.length, cause: messageOf(err) })
  }
  // Written whole, not changed: they are this lane's alone, and it spares reading them again.
  const done: Book['done'] = (told) =>
    callbacks.put(told.map(({ stored: { message: _m, card: _c, ...rest } }) => ({ ...rest, state: 'done' })))
  const book = { done, failed }
  const burst = createBurstWatch(deps)
  while (!isAborted(signal)) {
    const open: Filter<StoredCallback> = { state: 'accepted', _id: { $nin: [...failures.keys()] } }
    const first = await callbacks.find(open, { sort: { seq: 1 }, limit: BATCH, skipUnfit: true })
    if (first.length === 0) break
    if (first.length === BATCH && (await burst.isOn(first[0]!))) {
      await sleep(PAUSE_MS)
      continue
    }
    const held = await holdPublished(deps)
    if (held === undefined) break
    const subjects = [...new Set(first.flatMap((c) => c.about ?? []))]
    for (let i = 0; i < subjects.length && !isAborted(signal); i += CHUNK) {
      const same = await callbacks.find(
        { ...open, about: { $in: subjects.slice(i, i + CHUNK) } },
        { sort: { seq: 1 }, skipUnfit: true },
      )
      await workOff(held, same, book)
      // Many wait: who calls is answered first. The platform's quota (10,000 contacts a minute) allows no more anyway.
      if (first.length === BATCH) await sleep(PAUSE_MS)
    }
    await workOff(
      held,
      first.filter((c) => c.about === undefined),
      book,
    )
  }
  if (failures.size > 0) throw failures.values().next().value
}

/**
 * During a burst callbacks are only taken in: who calls is answered in time, and what is told of a contact many times is
 * read once, when it is over.
 */
function createBurstWatch({ docs: { callbacks }, clock }: ServiceDeps) {
  let before: { atMs: number; seq: number } | undefined
  return {
    async isOn(oldest: StoredCallback): Promise<boolean> {
      const newest = await callbacks.findOne({ state: 'accepted' }, { sort: { seq: -1 } })
      const now = { atMs: elapsedMs(), seq: newest?.seq ?? 0 }
      const perSecond =
        before === undefined ? 0 : ((now.seq - before.seq) * SECOND_MS) / Math.max(1, now.atMs - before.atMs)
      before = now
      return perSecond > BURST_PER_SECOND && clock.now().getTime() - oldest.acceptedAt.getTime() < MAX_HOLD_MS
    },
  }
}

/** Asked anew each time: it changes while others work. */
function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true
}

type Book = {
  /** Marks it as done. */
  done(told: readonly Told[]): Promise<void>
  /** Leaves it for the next run. */
  failed(told: readonly Told[], err: unknown): void
}

async function workOff(deps: ServiceDeps, batch: readonly StoredCallback[], book: Book): Promise<void> {
  const contacts = new Map<string, Contact>()
  const others = new Map<string, Told[]>()
  for (const stored of batch) {
    const event = readStored(deps, stored) ?? ({ kind: 'other', name: 'unreadable', at: deps.clock.now() } as const)
    if ('externalUserId' in event && event.externalUserId !== undefined && event.kind !== 'acquisition') {
      const { externalUserId } = event
      const contact = contacts.get(externalUserId) ?? { externalUserId, told: [] }
      contact.told.push({ stored, event })
      if (event.kind === 'transfer_failed') await hurryTransfers(deps, externalUserId)
      contacts.set(externalUserId, contact)
    } else {
      const key = event.kind === 'group' ? event.chatId : event.kind === 'tags' ? 'tags' : stored._id
      others.set(key, [...(others.get(key) ?? []), { stored, event }])
    }
  }
  await refreshContacts(deps, [...contacts.values()], book)
  for (const told of others.values()) {
    try {
      await handleOther(deps, told)
      await book.done(told)
    } catch (err) {
      book.failed(told, err)
    }
  }
}

/** Reads customers side by side and writes what changed of all of them at once. */
async function refreshContacts(deps: ServiceDeps, contacts: readonly Contact[], book: Book): Promise<void> {
  const read: (Contact & { relations: Relation[] })[] = []
  const readAt = deps.clock.now()
  await inParallel(contacts, AT_ONCE, async (contact) => {
    try {
      const relations = await deps.wecom.relationsOf(contact.externalUserId, 'callback')
      read.push({ ...contact, relations })
    } catch (err) {
      book.failed(contact.told, err)
    }
  })
  if (read.length === 0) return
  // In the order of the callbacks, whichever answer came first.
  const inOrder = contacts.flatMap((c) => read.filter((r) => r.externalUserId === c.externalUserId))
  const told = inOrder.flatMap((c) => c.told)
  try {
    const one = ({ told: hers }: Contact, err: unknown) => Promise.resolve(book.failed(hers, err))
    await eachAlone(inOrder, (some) => mirrorContacts(deps, some, readAt, book), one)
  } catch (err) {
    book.failed(told, err)
  }
}

async function mirrorContacts(
  deps: ServiceDeps,
  contacts: readonly (Contact & { relations: Relation[] })[],
  readAt: Date,
  book: Book,
): Promise<void> {
  const told = contacts.flatMap((c) => c.told)
  const relations = contacts.flatMap((c) => c.relations)
  const cause = causeOf(told)
  await learnTags(deps, relations, cause)
  const complete = contacts.map((c) => c.externalUserId)
  const added = told.flatMap(({ event: e }) =>
    e.kind === 'contact' && e.why === 'added' ? [{ id: relationId(e.userId, e.externalUserId), at: e.at }] : [],
  )
  await mirrorRelations(deps, { relations, complete, added, records: recordsOf(deps, told), readAt, cause })
  await book.done(told)
}

/** A group, the tags, or one callback of another kind. */
async function handleOther(deps: ServiceDeps, told: readonly Told[]): Promise<void> {
  const cause = causeOf(told)
  const { event } = told.at(-1)! // never empty; the last one knows best
  switch (event.kind) {
    case 'group':
      return mirrorGroup(deps, event.chatId, cause, event.at)
    case 'tags':
      return void (await mirrorTags(deps, cause))
    case 'department':
      return void (await mirrorMembers(deps))
    case 'member':
      return changeMember(deps, event)
    case 'card':
      await closeTask(deps, event)
      break
    case 'acquisition':
      deps.log.info('acquisition link', { change: event.change, linkId: event.linkId, state: event.state })
      break
    case 'other':
      deps.log.info('callback without use', { name: event.name })
  }
  await mirrorRelations(deps, { records: recordsOf(deps, told), readAt: deps.clock.now(), cause })
}

function causeOf(told: readonly Told[]): string {
  return `callback:${hashKey(16, ...told.map((t) => t.stored._id))}`
}

/** What the callbacks themselves say of people whom we may know. */
function recordsOf({ definitions, clock }: ServiceDeps, told: readonly Told[]): SourceRecordInput[] {
  return told
    .flatMap(({ event }) => eventRecord(event, clock.now()) ?? [])
    .filter((r) => findIdentifierProblem(definitions.current.identity, parseInput(SourceRecord, r)) === undefined)
}

/** A tag may be newer than the mirror. */
async function learnTags(deps: ServiceDeps, relations: readonly Relation[], cause: string): Promise<void> {
  const ids = [...new Set(relations.flatMap((r) => r.follow.tagIds))]
  if (ids.length > 0 && (await deps.docs.wecomTags.getMany(ids)).length < ids.length) await mirrorTags(deps, cause)
}

async function changeMember(
  { docs }: ServiceDeps,
  { change, userId, newUserId }: WecomEventOf<'member'>,
): Promise<void> {
  const known = await docs.wecomMembers.get(userId)
  const member: WecomMember = known ?? { _id: userId, departmentIds: [], serves: false, state: 'active' }
  if (change === 'delete' || newUserId !== undefined)
    await docs.wecomMembers.put([{ ...member, serves: false, state: 'left' }])
  if (change !== 'delete') await docs.wecomMembers.put([{ ...member, _id: newUserId ?? userId, state: 'active' }])
}
