import { said } from '../../said.js'
import type { HandoverKind, HandoverResult } from '../../ports/wecom-actions.js'
import type { WecomEventOf } from '../../domain/wecom/event.js'
import { InvalidInputError, isUpstreamFault, messageOf } from '../../errors.js'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../time.js'
import type { Filter, Update } from '../../ports/document-language.js'
import type { Transfer } from '../../stored/wecom.js'
import { handOver } from './hand-over.js'
import type { ServiceDeps } from '../runtime/deps.js'
import { isOfItem } from '../runtime/each-alone.js'

const BATCH = 100
/** It takes 24 hours; a result that is still missing after this long never comes. */
const GIVE_UP_MS = 3 * DAY_MS
const POLL_MS = 6 * HOUR_MS
const OPEN: Transfer['state'][] = ['ready', 'asking', 'waiting', 'seen']

export type TransferRequest = {
  from: string
  to: string
  kind: HandoverKind
  /** Default: every customer of `from`. */
  externalUserIds?: readonly string[]
  message?: string
}

/**
 * Writes down who is to change hands; the lane asks WeCom. Somebody whose transfer is under way is not asked for again.
 *
 * @returns how many were new, and how many under way already
 */
export async function transferCustomers(
  deps: ServiceDeps,
  { from, to, kind, externalUserIds, message }: TransferRequest,
): Promise<{ asked: number; underWay: number }> {
  if (from === to)
    throw new InvalidInputError(said('没有人需要移交', 'Nobody changes hands'), [
      { path: '--to', message: said('与 --from 相同', 'it is the same as --from') },
    ])
  const customers = externalUserIds ?? (await customersOf(deps, from, kind))
  if (customers.length === 0) {
    const hint = said(
      '先 siyu wecom sync；已离职的成员加 --resigned',
      'siyu wecom sync first; add --resigned for who has left',
    )
    throw new InvalidInputError(said('没有人需要移交', 'Nobody changes hands'), [
      { path: '--from', message: said(`${from} 没有客户`, `${from} has no customers`), hint },
    ])
  }
  const now = deps.clock.now()
  const known = await deps.docs.transfers.find({ externalUserId: { $in: [...customers] }, from })
  const underWay = new Set(known.filter((t) => OPEN.includes(t.state)).map((t) => t.externalUserId))
  const fresh = [...new Set(customers)].filter((id) => !underWay.has(id))
  const { refused } = await deps.docs.transfers.insert(
    fresh.map((externalUserId): Transfer => ({
      // The same customer may change hands between the same two again.
      _id: `${externalUserId}:${from}:${to}:${known.filter((t) => t.externalUserId === externalUserId).length}`,
      kind,
      from,
      to,
      externalUserId,
      state: 'ready',
      askedAt: now,
      nextAt: now,
      polls: 0,
      ...(message !== undefined && { message }),
    })),
  )
  await deps.jobs.add('follow-transfers', undefined, { key: 'follow-transfers' })
  return { asked: fresh.length - refused.length, underWay: underWay.size }
}

async function customersOf({ docs, wecomActions }: ServiceDeps, userId: string, kind: HandoverKind): Promise<string[]> {
  if (kind === 'resigned') return wecomActions.transfers.unassignedOf(userId)
  return (await docs.wecomRelations.find({ userId, state: 'active' })).map((r) => r.externalUserId)
}

/** A callback says that she left her owner for another one: ours is looked at now, one made elsewhere is taken up. */
export async function noteTransfer(deps: ServiceDeps, lost: WecomEventOf<'contact_lost'>): Promise<void> {
  const { externalUserId, userId: from, at } = lost
  const { transfers } = deps.docs
  const now = deps.clock.now()
  const mine = { externalUserId, from, askedAt: { $lte: at } }
  if (
    (await transfers.updateMany({ ...mine, state: { $in: ['asking', 'waiting'] } }, { $set: { nextAt: now } })) === 0
  ) {
    const done = await transfers.findOne({ ...mine, state: 'done', at: { $gte: new Date(at.getTime() - HOUR_MS) } })
    if (done !== undefined) return
    const _id = `${externalUserId}:${from}:seen:${at.getTime() / 1000}`
    const seen = {
      kind: 'onjob' as const,
      from,
      externalUserId,
      state: 'seen' as const,
      askedAt: at,
      nextAt: now,
      polls: 0,
    }
    await transfers.insert([{ _id, ...seen }])
  }
  await deps.jobs.add('follow-transfers', undefined, { key: 'follow-transfers' })
}

/** A callback says that a transfer failed: its result says why. */
export async function hurryTransfers(deps: ServiceDeps, externalUserId: string): Promise<void> {
  const open: Filter<Transfer> = { externalUserId, state: { $in: ['asking', 'waiting'] } }
  if ((await deps.docs.transfers.updateMany(open, { $set: { nextAt: deps.clock.now() } })) > 0)
    await deps.jobs.add('follow-transfers', undefined, { key: 'follow-transfers' })
}

export async function nextTransferAt({ docs }: ServiceDeps): Promise<Date | undefined> {
  const open: Filter<Transfer> = { state: { $in: OPEN }, nextAt: { $exists: true } }
  return (await docs.transfers.findOne(open, { sort: { nextAt: 1 }, skipUnfit: true }))?.nextAt
}

/** Asks for transfers that are written down, reads what became of those under way, and hands over what is done. */
export async function followTransfers(deps: ServiceDeps, signal?: AbortSignal): Promise<void> {
  const now = deps.clock.now()
  const due = (...states: Transfer['state'][]) =>
    deps.docs.transfers.find({ nextAt: { $lte: now }, state: { $in: states } }, { skipUnfit: true })
  for (const group of groupsOf(await due('asking', 'waiting'))) {
    if (signal?.aborted === true) return
    await orPutOff(deps, group, () => readResults(deps, group))
  }
  for (const group of groupsOf(await due('ready'))) {
    for (let i = 0; i < group.length && signal?.aborted !== true; i += BATCH) {
      const batch = group.slice(i, i + BATCH)
      await orPutOff(deps, batch, () => ask(deps, batch))
    }
  }
  for (const seen of await due('seen')) {
    if (signal?.aborted === true) return
    await orPutOff(deps, [seen], () => takeUp(deps, seen))
  }
}

/** What fails with one pair, or is refused of it (the old owner has left, say), does not hold up the others. */
async function orPutOff(deps: ServiceDeps, group: readonly Transfer[], work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (err) {
    if (!isUpstreamFault(err) && !isOfItem(err)) throw err
    const now = deps.clock.now()
    const reason = messageOf(err)
    deps.log.warn('transfers put off', { from: group[0]!.from, customers: group.length, cause: reason })
    const isOver = (t: Transfer) => now.getTime() - t.askedAt.getTime() > GIVE_UP_MS
    const over: Update<Transfer> = { $set: { state: 'failed', reason }, $unset: { nextAt: 1 } }
    const again: Update<Transfer> = { $set: { nextAt: new Date(now.getTime() + HOUR_MS), reason } }
    await deps.docs.transfers.updateEach(
      group.map((t) => ({ id: t._id, where: { state: { $in: OPEN } }, update: isOver(t) ? over : again })),
    )
  }
}

function groupsOf(transfers: readonly Transfer[]): Transfer[][] {
  const groups = new Map<string, Transfer[]>()
  for (const t of transfers) {
    const key = JSON.stringify([t.kind, t.from, t.to, t.message])
    groups.set(key, [...(groups.get(key) ?? []), t])
  }
  return [...groups.values()]
}

async function ask(deps: ServiceDeps, batch: readonly Transfer[]): Promise<void> {
  const { kind, from, to = '', message } = batch[0]!
  const now = deps.clock.now()
  const set = (state: Transfer['state'], afterMs: number) => ({ state, nextAt: new Date(now.getTime() + afterMs) })
  // Written down before it is asked for: after a crash the results tell whether it was.
  await update(deps, batch, { $set: set('asking', 0) })
  const externalUserIds = batch.map((t) => t.externalUserId)
  const outcome = await deps.wecomActions.transfers.ask({
    kind,
    from,
    to,
    externalUserIds,
    ...(message !== undefined && { message }),
  })
  if (outcome.kind === 'later') {
    await update(deps, batch, { $set: { ...set('ready', outcome.afterMs), reason: outcome.reason } }, 'asking')
  } else if (outcome.kind === 'unknown') {
    await update(deps, batch, { $set: { ...set('asking', MINUTE_MS), reason: outcome.reason } }, 'asking')
  } else if (outcome.kind !== 'done') {
    await update(deps, batch, { $set: { state: 'failed', reason: outcome.reason }, $unset: { nextAt: 1 } }, 'asking')
  } else {
    const refused = new Map(outcome.refused.filter((r) => !r.underWay).map((r) => [r.externalUserId, r.reason]))
    await update(
      deps,
      batch.filter((t) => !refused.has(t.externalUserId)),
      { $set: set('waiting', POLL_MS) },
      'asking',
    )
    for (const t of batch) {
      const reason = refused.get(t.externalUserId)
      if (reason !== undefined)
        await update(deps, [t], { $set: { state: 'failed', reason }, $unset: { nextAt: 1 } }, 'asking')
    }
    deps.log.info('transfer asked for', { from, to, customers: batch.length - refused.size, refused: refused.size })
  }
}

async function readResults(deps: ServiceDeps, group: readonly Transfer[]): Promise<void> {
  const { kind, from, to = '' } = group[0]!
  const rows = new Map<string, HandoverResult[]>()
  for await (const page of deps.wecomActions.transfers.results(kind, from, to))
    for (const row of page) rows.set(row.externalUserId, [...(rows.get(row.externalUserId) ?? []), row])
  for (const t of group) {
    // An earlier transfer between the same two is in the list as well.
    const row = (rows.get(t.externalUserId) ?? [])
      .filter((r) => r.state !== 'done' || r.at === undefined || r.at >= t.askedAt)
      .at(-1)
    await settle(deps, t, row)
  }
}

const FAILURES: Partial<Record<HandoverResult['state'], string>> = {
  refused: said('客户拒绝', 'the customer refused'),
  takeover_full: said('接替成员客户已满', 'the new owner has as many customers as she may have'),
}

async function settle(deps: ServiceDeps, t: Transfer, row: HandoverResult | undefined): Promise<void> {
  const now = deps.clock.now()
  const failure = row === undefined ? undefined : FAILURES[row.state]
  if (failure !== undefined) {
    await update(deps, [t], { $set: { state: 'failed', reason: failure }, $unset: { nextAt: 1 } })
    deps.log.warn('customer not handed over', { externalUserId: t.externalUserId, from: t.from, why: failure })
  } else if (row?.state === 'done') {
    await finish(deps, { ...t, to: t.to! }, row.at ?? now)
  } else if (t.state === 'asking' && (row === undefined || row.state === 'no_record')) {
    await update(deps, [t], { $set: { state: 'ready', nextAt: now } })
  } else if (now.getTime() - t.askedAt.getTime() > GIVE_UP_MS) {
    const reason = said('三天没有结果', 'no result within three days')
    await update(deps, [t], { $set: { state: 'failed', reason }, $unset: { nextAt: 1 } })
  } else {
    const dueMs = row?.at !== undefined && row.at > now ? row.at.getTime() + MINUTE_MS : now.getTime() + HOUR_MS
    const nextAt = new Date(Math.min(dueMs, now.getTime() + POLL_MS))
    await update(deps, [t], { $set: { state: 'waiting', nextAt }, $inc: { polls: 1 } })
  }
}

async function finish(deps: ServiceDeps, t: Transfer & { to: string }, at: Date): Promise<void> {
  try {
    await handOver(deps, { id: t._id, from: t.from, to: t.to, externalUserId: t.externalUserId, at })
  } catch (err) {
    // The others go on; this one is due again in a moment.
    deps.log.error('handing over failed', { externalUserId: t.externalUserId, cause: messageOf(err) })
    await update(deps, [t], { $set: { nextAt: new Date(deps.clock.now().getTime() + 5 * MINUTE_MS) } })
    return
  }
  await update(deps, [t], { $set: { state: 'done', to: t.to, at }, $unset: { nextAt: 1 } })
}

/** Done elsewhere: whoever was added last, about then, has taken her over; a friend already, when there is only one. */
async function takeUp(deps: ServiceDeps, seen: Transfer): Promise<void> {
  const relations = await deps.wecom.relationsOf(seen.externalUserId, 'callback')
  const others = relations.filter((r) => r.userId !== seen.from)
  const fresh = others
    .filter((r) => r.follow.addedAt.getTime() >= seen.askedAt.getTime() - HOUR_MS)
    .sort((a, b) => b.follow.addedAt.getTime() - a.follow.addedAt.getTime())[0]
  const heir = fresh ?? (others.length === 1 ? others[0] : undefined)
  if (heir !== undefined) return finish(deps, { ...seen, to: heir.userId }, seen.askedAt)
  const reason = said('找不到接替成员', 'nobody is seen to have taken her over')
  const again = { $set: { nextAt: new Date(deps.clock.now().getTime() + 5 * MINUTE_MS) }, $inc: { polls: 1 } }
  await update(deps, [seen], seen.polls < 5 ? again : { $set: { state: 'failed', reason }, $unset: { nextAt: 1 } })
}

/** While they are still as they were read, or as `state` says. */
async function update(
  deps: ServiceDeps,
  transfers: readonly Transfer[],
  change: object,
  state?: Transfer['state'],
): Promise<void> {
  await deps.docs.transfers.updateEach(
    transfers.map((t) => ({ id: t._id, where: { state: state ?? t.state }, update: change })),
  )
}
