import type { WecomTagName } from '../../domain/tags/kinds/kind.js'
import { planWriteback, targetKey, type WritebackChange, writebackTargets } from '../../domain/tags/writeback.js'
import type { Profile } from '../../domain/identity/profile.js'
import type { WecomRelation } from '../../domain/wecom/mirror.js'
import { linkKey } from '../../domain/identity/resolve.js'
import type { Filter } from '../../ports/document-language.js'
import type { ActOutcome } from '../../ports/wecom-actions.js'
import { messageOf } from '../../errors.js'
import { hashKey } from '../../random.js'
import { HOUR_MS, MINUTE_MS, SECOND_MS } from '../../time.js'
import type { StoredWay } from '../../stored/wecom.js'
import type { Writeback } from '../../stored/tags.js'
import { holdPublished } from '../definitions/follow-published.js'
import { alone, eachAlone } from '../runtime/each-alone.js'
import { inParallel } from '../runtime/in-parallel.js'
import type { ServiceDeps } from '../runtime/deps.js'
import { queueTagChanges } from './queue-writebacks.js'
import { renderRemark } from '../../domain/content/render.js'
import { isStopped } from '../touches/switch-sending.js'
import { TagDirectory } from './tag-directory.js'
import { findHolders } from './tag-holders.js'

const BATCH = 200
/** WeCom takes five calls of `mark_tag` at once. */
const AT_ONCE = 5
/** What was worked out is sent within this long: by then nobody has taken the lane over and sent what is newer. */
const PLAN_LIFE_MS = 15 * SECOND_MS
const CURSOR = 'writeback'
const MODE = 'writeback:mode'

/** off: nothing is worked out. dry: worked out and parked. allow_list: parked but for those on it. on: sent. */
function modeOf({ wecomSettings, sending }: ServiceDeps): 'off' | 'dry' | 'allow_list' | 'on' {
  if (wecomSettings.writeback === 'off' || sending.mode === 'off') return 'off'
  if (wecomSettings.writeback === 'dry' || sending.mode === 'dry') return 'dry'
  return sending.mode === 'allow_list' ? 'allow_list' : 'on'
}

/** When a push is due; at once when definitions or the mode changed. */
export async function nextPushAt(deps: ServiceDeps): Promise<Date | undefined> {
  if (modeOf(deps) === 'off' || (await isStopped(deps))) return undefined
  const { docs } = deps
  const cursor = (await docs.meta.get(CURSOR))?.text ?? '{}'
  if (cursor !== JSON.stringify(targetsOf(deps))) return new Date(0)
  const stored = (await docs.meta.get(MODE))?.text
  if (stored !== undefined && stored !== modeKey(deps)) return new Date(0)
  return (await docs.writebacks.findOne({ nextAt: { $exists: true } }, { sort: { nextAt: 1 }, skipUnfit: true }))
    ?.nextAt
}

/**
 * Brings WeCom's tags and remarks in line with what changed here. Everything is worked out anew from what is true now, so a
 * repeat after a crash, or a change that was taken back meanwhile, does no harm.
 */
export async function pushTags(deps: ServiceDeps, signal?: AbortSignal): Promise<void> {
  if (modeOf(deps) === 'off') return
  await queueNewTargets(deps)
  await unpark(deps)
  const directory = new TagDirectory(deps)
  while (signal?.aborted !== true && !(await isStopped(deps))) {
    const due = await deps.docs.writebacks.find(
      { nextAt: { $lte: deps.clock.now() } },
      { sort: { nextAt: 1, _id: 1 }, limit: BATCH, skipUnfit: true },
    )
    if (due.length === 0) return
    const held = await holdPublished(deps)
    if (held === undefined) return
    const deadlineMs = deps.worker.elapsedMs() + PLAN_LIFE_MS
    const planned: Planned[] = []
    const plan = async (some: readonly Writeback[]) => void planned.push(...(await planBatch(held, some)))
    const aside = (doc: Writeback, err: unknown) => putOff(held, doc, err)
    await eachAlone(due, plan, aside)
    await directory.provide(planned.flatMap((p) => (whyParked(deps, p) === undefined ? p.change.add : [])))
    let pushed = 0
    // Two edits of one customer at the same time are refused (45033, 45035): hers go one after the other.
    const byCustomer = new Map<string, Planned[]>()
    for (const p of planned) byCustomer.set(p.doc.externalUserId, [...(byCustomer.get(p.doc.externalUserId) ?? []), p])
    await inParallel([...byCustomer.values()], AT_ONCE, async (hers) => {
      for (const p of hers) {
        // Too old to be sure of: it is due as before, and planned anew.
        if (signal?.aborted === true || deps.worker.elapsedMs() >= deadlineMs) return
        const pushOne = async () => void ((await push(deps, directory, p)) && pushed++)
        await alone(p.doc, pushOne, aside)
      }
    })
    if (pushed > 0) deps.log.info('tags pushed to WeCom', { relations: pushed })
  }
}

/** What is to be pushed of it cannot be worked out, or pushed: the others go on. */
async function putOff({ docs, clock, log }: ServiceDeps, doc: Writeback, err: unknown): Promise<void> {
  const reason = messageOf(err)
  log.error('tags cannot be pushed', { relation: doc._id, cause: reason })
  const nextAt = new Date(clock.now().getTime() + HOUR_MS)
  await docs.writebacks.update(doc._id, { $set: { nextAt, reason }, $inc: { attempts: 1 } }, asRead(doc))
}

/** Tags whose corp tag is new or another one: everybody who has a value is due. */
async function queueNewTargets(deps: ServiceDeps): Promise<void> {
  const before = (await deps.docs.meta.get(CURSOR))?.text ?? '{}'
  const held = await holdPublished(deps)
  if (held === undefined) return
  const targets = targetsOf(held)
  const text = JSON.stringify(targets)
  if (text === before) return
  const old = JSON.parse(before) as Record<string, string>
  const changed = Object.keys(targets).filter((id) => targets[id] !== old[id])
  for await (const holders of findHolders(deps, changed)) await queueTagChanges(deps, holders)
  await deps.docs.meta.updateEach([{ id: CURSOR, update: { $set: { text } }, upsert: true }])
}

function targetsOf({ definitions }: ServiceDeps): Record<string, string> {
  return Object.fromEntries(
    definitions.current.tags.flatMap((tag) => {
      const targets = writebackTargets(tag).map(({ value, target }) => [value, targetKey(target)])
      return targets.length === 0 ? [] : [[tag.id, hashKey(16, JSON.stringify(targets))]]
    }),
  )
}

/** What was parked under other settings is looked at again. */
async function unpark(deps: ServiceDeps): Promise<void> {
  const text = modeKey(deps)
  if ((await deps.docs.meta.get(MODE))?.text === text) return
  await deps.docs.writebacks.updateMany(
    { parked: { $exists: true } },
    { $set: { nextAt: deps.clock.now() }, $unset: { parked: 1 } },
  )
  await deps.docs.meta.updateEach([{ id: MODE, update: { $set: { text } }, upsert: true }])
}

function modeKey(deps: ServiceDeps): string {
  return hashKey(16, modeOf(deps), ...deps.sending.allowList)
}

type Planned = {
  doc: Writeback
  relation: WecomRelation | undefined
  profile: Profile | undefined
  change: WritebackChange
  remark?: string
}

async function planBatch(deps: ServiceDeps, due: readonly Writeback[]): Promise<Planned[]> {
  const { docs, definitions } = deps
  const relations = new Map((await docs.wecomRelations.getMany(due.map((d) => d._id))).map((r) => [r._id, r]))
  const ways = new Map((await docs.wecomWays.getMany(due.flatMap((d) => d.wayKeys))).map((w) => [w._id, w]))
  const links = await docs.identifiers.getMany(
    due.map((d) => linkKey({ type: 'external_userid', value: d.externalUserId })),
  )
  const profileIdOf = new Map(links.map((l) => [l._id, l.profileId]))
  const profiles = new Map((await docs.profiles.getMany([...new Set(profileIdOf.values())])).map((p) => [p._id, p]))
  const held = new Map((await docs.profileTags.getMany([...profiles.keys()])).map((doc) => [doc._id, doc.tags]))
  const known = await docs.wecomTags.getMany([...new Set([...relations.values()].flatMap((r) => r.follow.tagIds))])
  const active = known.filter((t) => t.state === 'active')
  const nameOf = new Map(active.map((t) => [t._id, targetKey({ group: t.groupName, name: t.name })]))
  return due.map((doc): Planned => {
    const relation = relations.get(doc._id)
    const profile = profiles.get(profileIdOf.get(linkKey({ type: 'external_userid', value: doc.externalUserId })) ?? 0)
    const tags = (profile && held.get(profile._id)) ?? {}
    const mine = new Map(Object.entries(tags).map(([tagId, { v }]) => [tagId, v]))
    const arrived = doc.wayKeys.flatMap((key) => ways.get(key) ?? [])
    const present = relation && new Set(relation.follow.tagIds.map((id) => nameOf.get(id) ?? id))
    const change = planWriteback(definitions.current.tags, new Set(doc.tagIds), mine, arrived.flatMap(tagsOf), present)
    const remark = relation && remarkOf(arrived, relation)
    return { doc, relation, profile, change, ...(remark !== undefined && { remark }) }
  })
}

function tagsOf(way: StoredWay): WecomTagName[] {
  if (way.kind === 'join_way') return []
  return way.definition.tags.map((tag) => {
    const [group = '', name = ''] = tag.split('/')
    return { group, name }
  })
}

/** A remark that somebody wrote by hand stays. */
function remarkOf(ways: readonly StoredWay[], { contact, follow }: WecomRelation): string | undefined {
  const isOwn = follow.remark !== undefined && follow.remark !== contact.name
  const way = ways.find((w) => w.kind !== 'join_way' && w.definition.remark !== undefined)
  if (isOwn || way === undefined || way.kind === 'join_way') return undefined
  const remark = renderRemark(way.definition.remark!, { name: contact.name ?? '', way: way.definition.name })
  return remark === '' || remark === follow.remark ? undefined : remark
}

/** Why nothing of it is made in WeCom now, no corp tag either. */
function whyParked(deps: ServiceDeps, { profile }: Planned): NonNullable<Writeback['parked']>['why'] | undefined {
  const mode = modeOf(deps)
  if (mode === 'dry') return 'dry'
  const isListed = profile?.identifiers.some((i) => deps.sending.allowList.includes(i.value)) === true
  return mode === 'allow_list' && !isListed ? 'not_on_allow_list' : undefined
}

/** Resolves to whether WeCom was changed. */
async function push(deps: ServiceDeps, directory: TagDirectory, planned: Planned): Promise<boolean> {
  const { doc, relation, change, remark } = planned
  if (relation !== undefined && relation.state !== 'active') return drop(deps, doc, `relation ${relation.state}`)
  const isNothing = change.add.length + change.remove.length === 0 && remark === undefined
  if (isNothing) return drop(deps, doc)
  const why = whyParked(deps, planned)
  if (why !== undefined) {
    const parked: NonNullable<Writeback['parked']> = {
      why,
      add: change.add.map(targetKey),
      remove: change.remove.map(targetKey),
    }
    await deps.docs.writebacks.update(doc._id, { $set: { parked }, $unset: { nextAt: 1 } }, asRead(doc))
    deps.log.info('tags not pushed', {
      relation: doc._id,
      why: parked.why,
      add: parked.add.join(),
      remove: parked.remove.join(),
    })
    return false
  }
  const outcome = await changeRelation(deps, directory, planned)
  if (outcome.kind === 'done') {
    await drop(deps, doc)
    return true
  }
  if (outcome.kind !== 'later') return drop(deps, doc, outcome.reason)
  const again = {
    $set: { nextAt: new Date(deps.clock.now().getTime() + outcome.afterMs), reason: outcome.reason },
    $inc: { attempts: 1 },
  }
  await deps.docs.writebacks.update(doc._id, again, { nextAt: doc.nextAt })
  return false
}

/** Marks, then sets the remark; the mirror learns at once what WeCom tells nobody. */
async function changeRelation(
  deps: ServiceDeps,
  directory: TagDirectory,
  { doc, change, remark }: Planned,
): Promise<ActOutcome> {
  const { userId, externalUserId } = doc
  const { tags } = deps.wecomActions
  const add = directory.idsOf(change.add)
  const remove = directory.idsOf(change.remove)
  if (add.missing.length > 0)
    return { kind: 'later', afterMs: 5 * MINUTE_MS, reason: `no corp tag ${add.missing.join()}` }
  if (add.ids.length + remove.ids.length > 0) {
    const marked = await mark(deps, directory, doc, { add: add.ids, remove: remove.ids }, change)
    if (marked.kind !== 'done') return marked
    await deps.docs.wecomRelations.update(doc._id, { $addToSet: { 'follow.tagIds': { $each: marked.added } } })
    await deps.docs.wecomRelations.update(doc._id, { $pull: { 'follow.tagIds': { $in: remove.ids } } })
  }
  if (remark === undefined) return { kind: 'done' }
  const outcome = await tags.remark(userId, externalUserId, remark)
  if (outcome.kind === 'done') await deps.docs.wecomRelations.update(doc._id, { $set: { 'follow.remark': remark } })
  return outcome
}

/** One deleted tag must not keep the others back: it is made again, or left out when even that does not help. */
async function mark(
  deps: ServiceDeps,
  directory: TagDirectory,
  { userId, externalUserId }: Writeback,
  ids: { add: string[]; remove: string[] },
  change: WritebackChange,
): Promise<{ kind: 'done'; added: string[] } | Exclude<ActOutcome, { kind: 'done' }>> {
  const { tags } = deps.wecomActions
  const first = await tags.mark(userId, externalUserId, ids)
  if (first.kind === 'done') return { kind: 'done', added: ids.add }
  if (first.kind !== 'unknown_tag') return first
  await directory.refresh()
  await directory.provide(change.add)
  const add = directory.idsOf(change.add).ids
  const remove = directory.idsOf(change.remove).ids
  if (add.length + remove.length === 0) return { kind: 'done', added: [] }
  const second = await tags.mark(userId, externalUserId, { add, remove })
  if (second.kind === 'done') return { kind: 'done', added: add }
  if (second.kind !== 'unknown_tag') return second
  const added: string[] = []
  for (const [id, one] of [
    ...add.map((id) => [id, { add: [id], remove: [] as string[] }] as const),
    ...remove.map((id) => [id, { add: [] as string[], remove: [id] }] as const),
  ]) {
    const outcome = await tags.mark(userId, externalUserId, one)
    if (outcome.kind === 'unknown_tag') deps.log.warn('corp tag left out: WeCom does not take it', { tagId: id })
    else if (outcome.kind !== 'done') return outcome
    else added.push(...one.add)
  }
  return { kind: 'done', added }
}

/** What came in meanwhile stays and is pushed next. */
async function drop(deps: ServiceDeps, doc: Writeback, reason?: string): Promise<false> {
  if (reason !== undefined) deps.log.warn('tags not pushed', { relation: doc._id, why: reason })
  await deps.docs.writebacks.delete({ _id: doc._id, ...asRead(doc) })
  return false
}

/** One that was done and has come up anew counts from the start, but is due later. */
function asRead({ rev, nextAt }: Writeback): Filter<Writeback> {
  return { rev, nextAt }
}
