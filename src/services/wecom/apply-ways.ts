import { said, sentencesOf } from '../../said.js'
import { channelOf, type Ways } from '../../domain/ways/definition.js'
import { type PlannedWay, planWays, type WantedWay, wantedWays, wayKey } from '../../domain/ways/plan.js'
import { nextChangeAt } from '../../domain/ways/staff.js'
import type { FoundWayAt, Undone } from '../../ports/wecom-actions.js'
import { HOUR_MS } from '../../time.js'
import type { StoredWay } from '../../stored/wecom.js'
import type { ServiceDeps } from '../runtime/deps.js'

export type WayRow = PlannedWay & {
  /** Picture of the code, or address of the link with its channel. */
  address?: string
  /** After applying. */
  result?: 'done' | 'failed'
  reason?: string
}

type Known = { wanted: WantedWay[]; found: Map<string, FoundWayAt>; rows: PlannedWay[]; stored: Map<string, StoredWay> }

/** What `applyWays` would do; changes nothing. */
export async function planWayFiles(deps: ServiceDeps, files: Ways, prune: boolean): Promise<WayRow[]> {
  const { rows, found, stored } = await compare(deps, files, prune)
  return rows.map((row) => withAddress(row, found, stored))
}

/**
 * Makes WeCom hold what the files say. What is asked for is written down before, so that after a crash the next run finds
 * ways and links again by channel code and name; a group code, which nothing lists, is made anew.
 */
export async function applyWays(deps: ServiceDeps, files: Ways, prune: boolean): Promise<WayRow[]> {
  const { rows, wanted, found, stored } = await compare(deps, files, prune)
  const done: WayRow[] = []
  for (const row of rows) {
    const want = wanted.find((w) => w.kind === row.kind && w.id === row.id)
    const outcome = want === undefined ? await remove(deps, row) : await apply(deps, files, want, row, found)
    done.push({ ...withAddress(row, found, stored), ...outcome })
  }
  await forget(deps, wanted, done)
  deps.log.info('ways applied', {
    made: done.filter((r) => r.action === 'create' && r.result === 'done').length,
    changed: done.filter((r) => r.action === 'update' && r.result === 'done').length,
    failed: done.filter((r) => r.result === 'failed').length,
  })
  return done
}

async function compare(deps: ServiceDeps, files: Ways, prune: boolean): Promise<Known> {
  const now = deps.clock.now()
  const stored = new Map((await deps.docs.wecomWays.find({})).map((w) => [w._id, w]))
  const known = new Map(
    [...stored].flatMap(([key, w]) => (w.remoteId === undefined ? [] : [[key, w.remoteId] as const])),
  )
  const joinWayIds = [...stored.values()].flatMap((w) => (w.kind === 'join_way' && w.remoteId ? [w.remoteId] : []))
  const found = new Map<string, FoundWayAt>()
  for await (const way of deps.wecomActions.ways.find(joinWayIds, now)) found.set(way.remoteId, way)
  const wanted = wantedWays(files, now, deps.brand.timeZone, await unavailableMembers(deps))
  return { wanted, found, stored, rows: planWays(wanted, [...found.values()], known, prune) }
}

/** Members who left or were disabled, as far as the mirror knows. */
export async function unavailableMembers({ docs }: Pick<ServiceDeps, 'docs'>): Promise<Set<string>> {
  const gone = await docs.wecomMembers.find({ $or: [{ state: 'left' }, { status: { $in: [2, 5] } }] })
  return new Set(gone.map((m) => m._id))
}

function withAddress(row: PlannedWay, found: Known['found'], stored: Known['stored']): WayRow {
  const address = row.remoteId === undefined ? undefined : found.get(row.remoteId)?.address
  const channel = row.id === undefined ? undefined : stored.get(wayKey(row.kind, row.id))?.channel
  const full =
    row.kind === 'link' && address !== undefined && channel !== undefined ? linkWithChannel(address, channel) : address
  return full === undefined ? row : { ...row, address: full }
}

/** The channel travels in the address and comes back as the contact's `state` (page 97297). */
function linkWithChannel(url: string, channel: string): string {
  return `${url}${url.includes('?') ? '&' : '?'}customer_channel=${encodeURIComponent(channel)}`
}

type Outcome = Pick<WayRow, 'result' | 'reason' | 'remoteId' | 'address'>

async function apply(
  deps: ServiceDeps,
  files: Ways,
  want: WantedWay,
  row: PlannedWay,
  found: Known['found'],
): Promise<Outcome> {
  const { ways } = deps.wecomActions
  if (row.action === 'blocked')
    return {
      result: 'failed',
      reason: said('场景不能改，换一个 id 另建', 'the scene cannot change: give it another id'),
    }
  if (row.remoteId === undefined) {
    await store(deps, files, want, {})
    const made = await ways.create(want)
    if (made.kind !== 'done') return failed(made)
    const address = made.address ?? (await addressOf(deps, want, made.remoteId))
    await store(deps, files, want, { remoteId: made.remoteId, ...(address !== undefined && { address }) })
    return { result: 'done', remoteId: made.remoteId, ...(address !== undefined && { address }) }
  }
  if (row.action === 'update') {
    const outcome = await ways.update(row.remoteId, want)
    if (outcome.kind !== 'done') return failed(outcome)
  }
  const address = found.get(row.remoteId)?.address
  await store(deps, files, want, { remoteId: row.remoteId, ...(address !== undefined && { address }) })
  return { result: 'done' }
}

/** The picture of a group code is not told when it is made. */
async function addressOf(deps: ServiceDeps, want: WantedWay, remoteId: string): Promise<string | undefined> {
  if (want.kind !== 'join_way') return undefined
  for await (const way of deps.wecomActions.ways.find([remoteId], deps.clock.now()))
    if (way.remoteId === remoteId) return way.address
  return undefined
}

async function remove(deps: ServiceDeps, row: PlannedWay): Promise<Outcome> {
  if (row.action !== 'delete') return {}
  const outcome = await deps.wecomActions.ways.delete(row.kind, row.remoteId!)
  return outcome.kind === 'done' ? { result: 'done' } : failed(outcome)
}

function failed(outcome: Undone): Outcome {
  const { kind, reason } = outcome
  if (kind !== 'unknown') return { result: 'failed', reason }
  const { zh, en } = sentencesOf(reason)
  const again = { zh: '可能已生效，再执行一次即可', en: 'it may have been done: apply again' }
  return { result: 'failed', reason: said(`${zh}；${again.zh}`, `${en}; ${again.en}`) }
}

async function store(
  deps: ServiceDeps,
  files: Ways,
  want: WantedWay,
  at: { remoteId?: string; address?: string },
): Promise<void> {
  const now = deps.clock.now()
  const placed = definitionOf(files, want)
  const lookAt = placed.kind === 'join_way' ? undefined : nextLookAt(placed.definition, now, deps.brand.timeZone)
  await deps.docs.wecomWays.put([
    {
      _id: wayKey(want.kind, want.id),
      ...placed,
      state: at.remoteId === undefined ? 'creating' : 'live',
      channel: channelOf(placed.definition),
      appliedAt: now,
      ...at,
      ...(want.kind !== 'join_way' && { staffed: want.spec.userIds }),
      ...(lookAt !== undefined && { lookAt }),
    },
  ])
}

function definitionOf(files: Ways, { kind, id }: WantedWay): StoredWayKind {
  const of = <T extends { id: string }>(list: readonly T[]): T => list.find((w) => w.id === id)!
  if (kind === 'way') return { kind, definition: of(files.ways) }
  return kind === 'link' ? { kind, definition: of(files.links) } : { kind, definition: of(files.joinWays) }
}
type StoredWayKind =
  | { kind: 'way'; definition: Ways['ways'][number] }
  | { kind: 'join_way'; definition: Ways['joinWays'][number] }
  | { kind: 'link'; definition: Ways['links'][number] }

/** At the next change of shift; hourly where a backup is to stand in for members who leave. */
export function nextLookAt(
  staff: Ways['ways'][number] | Ways['links'][number],
  now: Date,
  timeZone: string,
): Date | undefined {
  const change = nextChangeAt(staff, now, timeZone)
  const hourly = staff.backup.length > 0 || staff.shifts.length > 0 ? new Date(now.getTime() + HOUR_MS) : undefined
  const times = [change, hourly].filter((t) => t !== undefined).map((t) => t.getTime())
  return times.length === 0 ? undefined : new Date(Math.min(...times))
}

/**
 * What no file names any more is not kept in step; it stays in WeCom unless it was deleted. Group codes are remembered as
 * long as they are there, since nothing lists them.
 */
async function forget({ docs }: ServiceDeps, wanted: readonly WantedWay[], done: readonly WayRow[]): Promise<void> {
  const named = wanted.map((w) => wayKey(w.kind, w.id))
  const deleted = done.filter((r) => r.action === 'delete' && r.result === 'done').map((r) => r.remoteId!)
  await docs.wecomWays.delete({ _id: { $nin: named }, kind: { $in: ['way', 'link'] } })
  await docs.wecomWays.delete({ _id: { $nin: named }, remoteId: { $in: deleted } })
}
