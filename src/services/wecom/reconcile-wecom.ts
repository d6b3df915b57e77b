import { nextAt } from '../../domain/schedule.js'
import { intOf } from '../../random.js'
import { DAY_MS, parseTimeOfDay, toDay } from '../../time.js'
import { pastInstant } from '../../stored/runtime.js'
import { inParallel } from '../runtime/in-parallel.js'
import type { ServiceDeps } from '../runtime/deps.js'
import { mirrorGroups, mirrorMembers, mirrorTags } from './mirror-company.js'
import { mirrorRelations } from './mirror-relations.js'
import { eachUnlessRefused } from './skip-refused.js'

/** What the API changed calls nobody back: every member and group is read in full once in this many days. */
const ROLL_DAYS = 7
const READERS = 8
const PLACE = 'wecom-reconciled'
const CALLBACKS_SEEN = 'callbacks-seen'

/**
 * Once a day finds what callbacks missed: contacts added and gone by one list a member, tags by one list, groups by one list,
 * and for a part of the members and groups everything, in turn. Broken off, it is done again: it costs a call a member.
 */
export async function reconcileWecom(deps: ServiceDeps, signal?: AbortSignal): Promise<void> {
  const { docs, clock, brand, log } = deps
  const now = clock.now()
  const dueAt = await nextReconciliationAt(deps)
  if (dueAt === undefined || dueAt > now) return
  const day = toDay(now, brand.timeZone)
  const cause = `reconcile:${day}`
  const turn = Math.floor(Date.parse(day) / DAY_MS) % ROLL_DAYS
  const isTurn = (id: string) => intOf(ROLL_DAYS, 'wecom-roll', id) === turn
  const members = await mirrorMembers(deps)
  await mirrorTags(deps, cause)
  let found = 0
  await eachUnlessRefused(deps, members, READERS, async (userId) => {
    if (signal?.aborted === true) return
    const { ended, added } = await reconcileMember(deps, userId, cause)
    found += ended + added + (isTurn(userId) ? await readMember(deps, userId, cause) : 0)
  })
  if (signal?.aborted === true) return
  await mirrorGroups(deps, cause, isTurn)
  await forgetCallbacks(deps)
  await docs.meta.updateEach([{ id: PLACE, update: { $max: { at: now } }, upsert: true }])
  log.info('WeCom reconciled', { members: members.length, found })
}

/** When the next reconciliation is due; `undefined` when there is none. Seen for the first time, it counts from now. */
export async function nextReconciliationAt({
  docs,
  clock,
  brand,
  wecomSettings,
}: ServiceDeps): Promise<Date | undefined> {
  if (wecomSettings.reconcileAt === 'off') return undefined
  const minutes = parseTimeOfDay(wecomSettings.reconcileAt) ?? 0
  const now = clock.now()
  const at = (await docs.meta.get(PLACE))?.at
  if (at === undefined) await docs.meta.updateEach([{ id: PLACE, update: { $set: { at: now } }, upsert: true }])
  const last = at === undefined ? now : await pastInstant(docs.meta, { _id: PLACE, at }, now)
  return nextAt(`${minutes % 60} ${Math.floor(minutes / 60)} * * *`, last, brand.timeZone)
}

/**
 * Holds one member's list of customers against the mirror; those missing are read one by one.
 *
 * @returns relations that were found ended, and found new
 */
export async function reconcileMember(
  deps: ServiceDeps,
  userId: string,
  cause: string,
): Promise<{ ended: number; added: number }> {
  const readAt = deps.clock.now()
  const listed = new Set(await deps.wecom.customersOf(userId))
  const gone: string[] = []
  for await (const relations of deps.docs.wecomRelations.scan({ userId })) {
    for (const { _id, externalUserId, state } of relations) {
      if (state === 'ended') continue
      if (!listed.delete(externalUserId)) gone.push(_id)
    }
  }
  const ended = gone.length === 0 ? 0 : await mirrorRelations(deps, { gone, readAt, cause })
  let added = 0
  await inParallel(listed, READERS, async (externalUserId) => {
    const from = deps.clock.now()
    const relations = await deps.wecom.relationsOf(externalUserId, 'sync')
    added += await mirrorRelations(deps, { relations, complete: [externalUserId], readAt: from, cause })
  })
  return { ended, added }
}

/** Reads one member's customers in full. @returns how many have changed */
async function readMember(deps: ServiceDeps, userId: string, cause: string): Promise<number> {
  let changed = 0
  let cursor: string | undefined
  for (;;) {
    const readAt = deps.clock.now()
    const page = await deps.wecom.relationPage([userId], cursor)
    cursor = page === 'expired' ? undefined : page.next
    if (page === 'expired') continue
    changed += await mirrorRelations(deps, { relations: page.relations, readAt, cause })
    if (cursor === undefined) return changed
  }
}

/** Callbacks are kept for a day or two after they were worked on, to know repeats by. */
async function forgetCallbacks({ docs }: ServiceDeps): Promise<void> {
  const before = (await docs.meta.get(CALLBACKS_SEEN))?.value ?? 0
  const latest = (await docs.meta.get('counter:callback'))?.value ?? 0
  await docs.callbacks.delete({ state: 'done', seq: { $lte: before } })
  await docs.meta.updateEach([{ id: CALLBACKS_SEEN, update: { $max: { value: latest } }, upsert: true }])
}
