import type { Profile } from '../../domain/identity/profile.js'
import { channelsWith } from '../../domain/touches/channels.js'
import type { TouchFacts } from '../../domain/touches/plan-touches.js'
import type { Touch, TouchState } from '../../domain/touches/touch.js'
import type { WecomMember, WecomRelation } from '../../domain/wecom/mirror.js'
import { relationId } from '../../domain/wecom/relation.js'
import type { Filter } from '../../ports/document-language.js'
import { DAY_MS } from '../../time.js'
import type { Deps } from '../runtime/deps.js'
import { contentsOfTouches } from './pinned-content.js'

const LOOK_BACK_MS = 62 * DAY_MS
/** States in which a touch has taken its place among a person's caps. */
const RELEASED: TouchState[] = ['created', 'confirmed', 'delivered', 'unknown']
/** A message that expired was taken back, and nobody got it; of a card that did, the guide may have pressed a button in time. */
const MAY_HAVE_REACHED: Filter<Touch> = {
  state: 'expired',
  channel: { $in: channelsWith((kind) => kind.address.kind === 'staff') },
}

/** The most are not, and need not be read. */
export const IS_OVER: Filter<WecomRelation> = { state: { $ne: 'active' } }
/** Left, or disabled by the company. */
const IS_GONE: Filter<WecomMember> = { $or: [{ state: 'left' }, { status: { $in: [2, 5] } }] }

/** Reads what `planTouches` goes by, for the people as given. */
export async function readTouchFacts(
  deps: Deps,
  due: readonly Touch[],
  profiles: ReadonlyMap<number, Profile>,
  now: Date,
): Promise<TouchFacts> {
  const { docs, sending, definitions, brand } = deps
  const earlier = await docs.touches.find({
    _id: { $nin: due.map((t) => t._id) },
    profileId: { $in: [...profiles.keys()] },
    $or: [{ state: { $in: ['planned', ...RELEASED] } }, MAY_HAVE_REACHED],
    releasedAt: { $gt: new Date(now.getTime() - LOOK_BACK_MS) },
  })
  const contentOf = await contentsOfTouches(deps, due)
  return {
    now,
    timeZone: brand.timeZone,
    sending: sending.mode,
    allowList: sending.allowList,
    profiles,
    ended: await endedRelations(deps, [...profiles.values()]),
    gone: await goneMembers(deps, [...profiles.values()]),
    earlier: earlier.map((t) => ({ ...t, releasedAt: t.releasedAt! })), // they were found by it
    left: await leftRuns(deps, due),
    withdrawn: definitions.current.withdrawn,
    contentOf,
    ...(await readStock(deps, due, contentOf)),
  }
}

async function readStock(
  { docs }: Deps,
  due: readonly Touch[],
  contentOf: TouchFacts['contentOf'],
): Promise<Pick<TouchFacts, 'stock' | 'holding'>> {
  const pools = new Map<string, string[]>()
  for (const touch of due) {
    const content = contentOf(touch)
    if (content === undefined || 'unreadable' in content || content.coupon === undefined) continue
    pools.set(content.coupon, [...(pools.get(content.coupon) ?? []), touch._id])
  }
  const stock = new Map<string, number>()
  for (const pool of pools.keys()) stock.set(pool, await docs.coupons.count({ pool, state: 'free' }))
  const touchIds = [...pools.values()].flat()
  const held = touchIds.length === 0 ? [] : await docs.coupons.find({ touchId: { $in: touchIds } })
  return { stock, holding: new Set(held.flatMap((coupon) => coupon.touchId ?? [])) }
}

/** Runs that were left between the moment they were read for their next step and the moment it was written down. */
export async function leftRuns({ docs }: Pick<Deps, 'docs'>, touches: readonly Touch[]): Promise<Set<string>> {
  const runs = await docs.runs.getMany([...new Set(touches.map((t) => t.runId))])
  return new Set(runs.filter((r) => r.outcome === 'exited' || r.outcome === 'merged').map((r) => r._id))
}

/** Relations that ended by the mirror's word, which may be ahead of the profile, by id. */
async function endedRelations({ docs }: Deps, profiles: readonly Profile[]): Promise<Map<string, Date>> {
  const ids = profiles.flatMap((p) => p.contacts.map((c) => relationId(c.userId, c.externalUserId)))
  const ended = await docs.wecomRelations.find({ _id: { $in: ids }, ...IS_OVER })
  return new Map(ended.flatMap((r) => (r.endedAt === undefined ? [] : [[r._id, r.endedAt]])))
}

/** Those of them that the mirror knows as gone: nobody is written to through them. */
async function goneMembers({ docs }: Deps, profiles: readonly Profile[]): Promise<Set<string>> {
  const userIds = [...new Set(profiles.flatMap((p) => p.contacts.map((c) => c.userId)))]
  const members = await docs.wecomMembers.find({ _id: { $in: userIds }, ...IS_GONE })
  return new Set(members.map((m) => m._id))
}
