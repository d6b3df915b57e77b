import { ConflictError, NotFoundError } from '../../../src/errors.js'
import { SECOND_MS } from '../../../src/time.js'
import type { Objects } from '../../objects.js'
import { drawHandledAt } from '../../world/draws.js'
import type { World } from '../../world/world.js'
import { countClick, countCustomer, type Link, links, quotaOf, tellRequest, tellUnavailable } from './acquisition.js'
import { type ContactWay, contactWays, type JoinWay, joinWays, targetsOf, temporaryChats } from './ways.js'

/** Page 92122: people in a customer group. */
const GROUP_MAX = 500
/** Page 92114, add_way. */
const ADD_WAY = { code: 1, link: 16 }

export type Scan = {
  /** Of a contact way or join way, or of an acquisition link. */
  configId: string
  externalUserId: string
  name?: string
  unionId?: string
  /** `customer_channel` of an acquisition link. */
  channel?: string
}
/** What a scan led to: `asked` waits for the member's consent, `half` for her to add the customer back. */
export type Scanned =
  | { kind: 'added' | 'half' | 'asked' | 'known' | 'temporary'; userId: string }
  | { kind: 'joined' | 'in_group'; chatId: string }
  /** The link leads to nobody: no member of it can be added, or the quota is used up. */
  | { kind: 'unavailable' }

/**
 * A customer scans a live code or opens an acquisition link. Which of several members she gets is not documented: here they
 * take turns. Inside the caller's transaction.
 *
 * @throws {NotFoundError} no such way or link; {ConflictError} it leads nowhere
 */
export function scan(world: World, { configId, externalUserId, name, unionId, channel }: Scan, now: Date): Scanned {
  world.relations.putContact({ externalUserId, unionId, name: name ?? `顾客 ${externalUserId.slice(-4)}`, gender: 0 })
  const way = contactWays(world).get(configId)
  if (way !== undefined) return scanContactWay(world, configId, way, externalUserId, unionId, now)
  const join = joinWays(world).get(configId)
  if (join !== undefined) return scanJoinWay(world, configId, join, externalUserId, now)
  const link = links(world).get(configId)
  if (link !== undefined) return openLink(world, configId, link, externalUserId, channel ?? '', now)
  throw new NotFoundError(`no contact way, join way or acquisition link "${configId}"`)
}

function scanContactWay(
  world: World,
  configId: string,
  way: ContactWay,
  externalUserId: string,
  unionId: string | undefined,
  now: Date,
): Scanned {
  const userId = nextMember(world, contactWays(world), configId, way, externalUserId, [])
  if (way.is_temp) {
    if (way.createdMs + way.expires_in * SECOND_MS <= now.getTime()) throw new ConflictError('the code has expired')
    if (way.unionid !== '' && way.unionid !== unionId) throw new ConflictError('the code is for somebody else')
    contactWays(world).delete(configId) // good for one customer
    const untilMs = now.getTime() + way.chat_expires_in * SECOND_MS
    temporaryChats(world).put(`${userId}/${externalUserId}`, { configId, untilMs })
    return { kind: 'temporary', userId }
  }
  return meet(world, { userId, externalUserId, addWay: ADD_WAY.code, state: way.state }, way.skip_verify, now)
}

function openLink(
  world: World,
  linkId: string,
  link: Link,
  externalUserId: string,
  channel: string,
  now: Date,
): Scanned {
  countClick(world, linkId, now)
  const usable = targetsOf(world, link).some((id) => world.member(id)?.isActivated)
  if (!usable || quotaOf(world).balance === 0) {
    tellUnavailable(world, linkId, now)
    return { kind: 'unavailable' }
  }
  const preferred =
    link.priority?.priority_type === 2
      ? link.priority.priority_userid_list
      : link.priority?.priority_type === 1
        ? friendsOf(world, externalUserId)
        : []
  const userId = nextMember(world, links(world), linkId, link, externalUserId, preferred)
  tellRequest(world, linkId, channel, now)
  const met = meet(world, { userId, externalUserId, addWay: ADD_WAY.link, state: channel }, link.skipVerify, now)
  if (met.kind !== 'known') countCustomer(world, linkId, { externalUserId, userId, state: channel }, now)
  return met
}

/** The member whose turn it is, unless the customer has one of them already, or some are preferred. */
function nextMember<T extends { user: string[]; party: number[]; scans: number }>(
  world: World,
  store: Objects<T>,
  id: string,
  way: T,
  externalUserId: string,
  preferred: readonly string[],
): string {
  const members = targetsOf(world, way).filter((userId) => world.member(userId)?.isActivated)
  const known = members.find((userId) => world.relations.status(userId, externalUserId) === 'active')
  if (known !== undefined) return known
  const choice = preferred.length > 0 ? preferred.filter((userId) => world.member(userId)?.isActivated) : members
  const candidates = choice.length > 0 ? choice : members
  const userId = candidates[way.scans % candidates.length]
  if (userId === undefined) throw new ConflictError('no member it leads to can be added')
  store.put(id, { ...way, scans: way.scans + 1 })
  return userId
}

/** Consent and adding back take the member the time that her tasks take her, and may never come. */
function meet(
  world: World,
  { userId, externalUserId, addWay, state }: { userId: string; externalUserId: string; addWay: number; state: string },
  skipsConsent: boolean,
  now: Date,
): Scanned {
  const status = world.relations.status(userId, externalUserId)
  if (status === 'active' || status === 'half') return { kind: 'known', userId }
  const data = { userId, externalUserId, addWay, remarkMobiles: [], tagIds: [], ...(state !== '' && { state }) }
  if (skipsConsent && world.scenario.behaviour.skipVerifyAdds === 'at_once') {
    world.relations.add(data, now)
    return { kind: 'added', userId }
  }
  if (skipsConsent) world.relations.addHalf(data, now)
  const { seed, scenario } = world
  const at = drawHandledAt(seed, world.member(userId)!, scenario.timeZone, 'consent', externalUserId, now)
  if (at !== undefined) world.agenda.schedule(at, 'add', `${externalUserId}/${userId}`, data)
  return { kind: skipsConsent ? 'half' : 'asked', userId }
}

function scanJoinWay(world: World, configId: string, way: JoinWay, externalUserId: string, now: Date): Scanned {
  const open = way.chat_id_list.filter((id) => world.chats.get(id)?.dismissedAt === undefined)
  const members = new Map(open.map((id) => [id, world.chats.members(id)]))
  const inside = open.find((id) => members.get(id)!.some((m) => m.id === externalUserId))
  if (inside !== undefined) return { kind: 'in_group', chatId: inside }
  const joining = {
    id: externalUserId,
    type: 2 as const,
    scene: 3 as const,
    ...(way.state !== '' && { state: way.state }),
  }
  const free = open.find((id) => members.get(id)!.length < GROUP_MAX)
  if (free !== undefined) {
    world.chats.join(free, [joining], now)
    return { kind: 'joined', chatId: free }
  }
  const full = world.chats.get(open[0] ?? '')
  if (way.auto_create_room !== 1 || full === undefined) throw new ConflictError('every group of the way is full')
  const name = `${way.room_base_name === '' ? full.name : way.room_base_name}${way.room_base_id + way.made}`
  const chatId = world.chats.create({ owner: full.owner, name, members: [joining] }, now)
  joinWays(world).put(configId, { ...way, made: way.made + 1, chat_id_list: [...way.chat_id_list.slice(1), chatId] })
  return { kind: 'joined', chatId }
}

function friendsOf(world: World, externalUserId: string): string[] {
  return world.state
    .all<{ user_id: string }>(
      `SELECT user_id FROM relation WHERE external_user_id = ? AND status = 'active' ORDER BY created_ms, user_id`,
      externalUserId,
    )
    .map((row) => row.user_id)
}
