import { z } from 'zod'
import { DAY_MS, HOUR_MS, SECOND_MS } from '../../../src/time.js'
import { type Objects, openObjects } from '../../objects.js'
import type { World } from '../../world/world.js'
import {
  type Call,
  type Endpoints,
  fromCursor,
  memberId,
  OptionalText,
  read,
  Refusal,
  type Reply,
  toCursor,
} from '../core/endpoint.js'
import { checkMember } from './ways.js'

/** Pages 92125 and 95703: of one customer or group within 90 days; groups of one owner in a day. */
const MOST_IN_90_DAYS = 2
const GROUPS_PER_DAY = 300
const BATCH_MAX = 100
const PAGE_MAX = 1_000
/** Page 92124: beyond this only the cursor leads on. */
const PAGED_ROWS_MAX = 50_000
/** How long after leaving a member's customers can be given to others. */
const INHERITANCE_MS = 365 * DAY_MS

const Pair = { handover_userid: OptionalText, takeover_userid: OptionalText }

/** Customers and groups change hands (客户继承, pages 92125, 94081, 94088, 94082, 92124, 95703, 92127). */
export function transferEndpoints(world: World): Endpoints {
  return {
    '/cgi-bin/externalcontact/transfer_customer': {
      writes: true,
      empty: { customer: [] },
      handle: (call) => transferCustomers(world, false, call),
    },
    '/cgi-bin/externalcontact/resigned/transfer_customer': {
      writes: true,
      empty: { customer: [] },
      handle: (call) => transferCustomers(world, true, call),
    },
    '/cgi-bin/externalcontact/transfer_result': {
      empty: { customer: [] },
      handle: (call) => results(world, false, call),
    },
    '/cgi-bin/externalcontact/resigned/transfer_result': {
      empty: { customer: [] },
      handle: (call) => results(world, true, call),
    },
    '/cgi-bin/externalcontact/get_unassigned_list': {
      empty: { info: [] },
      handle: (call) => getUnassignedList(world, call),
    },
    '/cgi-bin/externalcontact/groupchat/onjob_transfer': {
      writes: true,
      empty: { failed_chat_list: [] },
      handle: (call) => transferGroups(world, false, call),
    },
    '/cgi-bin/externalcontact/groupchat/transfer': {
      writes: true,
      empty: { failed_chat_list: [] },
      handle: (call) => transferGroups(world, true, call),
    },
    '/cgi-bin/externalcontact/transfer': {
      handle: () => {
        throw new Refusal(48005, 'api forbidden, this api is retired')
      },
    },
  }
}

function groupTransfersOf({ state, seed }: World): Objects<number[]> {
  return openObjects<number[]>(state, seed, 'chat_transfer')
}

function getUnassignedList(world: World, { params, now }: Call): Reply {
  const Body = z.object({
    page_id: z.int().min(0).nullish(),
    page_size: z.int().min(1).max(PAGE_MAX).default(PAGE_MAX),
    cursor: OptionalText,
  })
  const { page_id: pageId, page_size: size, cursor } = read(Body, params)
  const skip = cursor === undefined ? (pageId ?? 0) * size : 0
  if (skip >= PAGED_ROWS_MAX) throw new Refusal(40058, 'page_id exceed limit. invalid Request Parameter')
  const Key = z.tuple([z.literal('unassigned'), z.int(), z.string(), z.string()])
  const [, ...after] = fromCursor(cursor, Key) ?? (['unassigned', 0, '', ''] as const)
  const rows = unassigned(world, after, now, size + 1, skip)
  const page = rows.slice(0, size)
  const last = page.at(-1)
  const isLast = rows.length <= size
  return {
    info: page.map((row) => ({
      handover_userid: row.user_id,
      external_userid: row.external_user_id,
      dimission_time: Math.floor(row.at_ms / SECOND_MS),
    })),
    is_last: isLast,
    next_cursor: isLast || !last ? '' : toCursor('unassigned', last.at_ms, last.user_id, last.external_user_id),
  }
}

function transferCustomers(world: World, resigned: boolean, call: Call): Reply {
  const Body = z.object({
    ...Pair,
    external_userid: z.array(z.string()).min(1).max(BATCH_MAX),
    transfer_success_msg: z.string().max(200, 'exceed max length 200').nullish(),
  })
  const body = read(Body, call.params)
  const from = everMember(world, body.handover_userid)
  const to = memberId(world, body.takeover_userid)
  checkMember(world, call.app, to)
  return {
    customer: body.external_userid.map((id) => {
      const errcode = refusalOf(world, from, to, id, resigned, call.now)
      if (errcode === 0) world.transfers.start({ handover: from, takeover: to, externalUserId: id, resigned }, call.now)
      return { external_userid: id, errcode }
    }),
  }
}

function results(world: World, resigned: boolean, { params }: Call): Reply {
  const body = read(z.object({ ...Pair, cursor: OptionalText }), params)
  const from = everMember(world, body.handover_userid)
  const to = everMember(world, body.takeover_userid)
  const after = fromCursor(body.cursor, z.tuple([z.literal('transfers'), z.int()]))?.[1] ?? 0
  const rows = world.transfers.between(from, to, resigned, after, PAGE_MAX + 1)
  const page = rows.slice(0, PAGE_MAX)
  return {
    customer: page.map((t) => ({
      external_userid: t.externalUserId,
      status: t.status,
      takeover_time: Math.floor(t.takeoverAt.getTime() / SECOND_MS),
    })),
    next_cursor: rows.length > PAGE_MAX ? toCursor('transfers', page.at(-1)!.seq) : '',
  }
}

function transferGroups(world: World, resigned: boolean, call: Call): Reply {
  const Body = z.object({ chat_id_list: z.array(z.string()).min(1).max(BATCH_MAX), new_owner: OptionalText })
  const body = read(Body, call.params)
  const to = memberId(world, body.new_owner)
  checkMember(world, call.app, to)
  const failed = body.chat_id_list.flatMap((chatId) => {
    const refusal = groupRefusalOf(world, chatId, to, resigned, call.now)
    if (refusal === undefined) handOver(world, chatId, to, resigned, call.now)
    return refusal === undefined ? [] : [{ chat_id: chatId, errcode: refusal.errcode, errmsg: refusal.message }]
  })
  return { failed_chat_list: failed }
}

/** Somebody who works or worked here. */
function everMember(world: World, userId: string | undefined): string {
  if (userId === undefined) throw new Refusal(41009, 'missing userid')
  const member = world.staff.find(userId)
  if (member === undefined) throw new Refusal(40003, 'invalid userid')
  return member.userId
}

/** Why one customer cannot be handed over; 0: she can. */
function refusalOf(
  world: World,
  from: string,
  to: string,
  externalUserId: string,
  resigned: boolean,
  now: Date,
): number {
  const leftAt = world.staff.leftAt(from)
  if (resigned && leftAt === undefined) return 40097
  if (from === to) return 40130
  if (world.state.get('SELECT 1 FROM relation WHERE external_user_id = ? LIMIT 1', externalUserId) === undefined)
    return 40096
  const status = world.relations.status(from, externalUserId)
  if (status !== 'active' && status !== 'customer_deleted') return 40131
  if (leftAt !== undefined && (!resigned || now.getTime() - leftAt.getTime() > INHERITANCE_MS)) return 40131
  const earlier = world.transfers.ofContact(externalUserId)
  if (earlier.some((t) => t.status === 2)) return 40100
  const since = now.getTime() - 90 * DAY_MS
  const recent = earlier.filter((t) => !t.resigned && t.status === 1 && t.askedAt.getTime() > since)
  if (!resigned && recent.length >= MOST_IN_90_DAYS) return 40128
  return 0
}

function groupRefusalOf(world: World, chatId: string, to: string, resigned: boolean, now: Date): Refusal | undefined {
  const groupTransfers = groupTransfersOf(world)
  const chat = world.chats.get(chatId)
  if (chat === undefined || chat.dismissedAt !== undefined) return new Refusal(90501, 'chat is not external group chat')
  if (chat.owner === to) return new Refusal(90504, 'the owner of this chat is not changed')
  const ownerLeft = world.staff.leftAt(chat.owner) !== undefined
  if (resigned && chat.status === 3) return new Refusal(90508, 'the chat is inherited')
  if (resigned && !ownerLeft) return new Refusal(90500, 'the owner of this chat is not resigned')
  if (!resigned && ownerLeft) return new Refusal(90502, 'the owner of this chat is resigned')
  const since = now.getTime() - 90 * DAY_MS
  const recent = (groupTransfers.get(chatId) ?? []).filter((ms) => ms > since)
  const today = world.state.counter(dayCounter(chat.owner, now))
  if ((!resigned && recent.length >= MOST_IN_90_DAYS) || today >= GROUPS_PER_DAY)
    return new Refusal(40128, 'transfer too frequently')
  return undefined
}

function handOver(world: World, chatId: string, to: string, resigned: boolean, now: Date): void {
  const groupTransfers = groupTransfersOf(world)
  const { owner } = world.chats.get(chatId)!
  groupTransfers.put(chatId, [...(groupTransfers.get(chatId) ?? []), now.getTime()])
  world.state.count(dayCounter(owner, now))
  world.chats.changeOwner(chatId, to, now, resigned ? 3 : 0)
}

/** Customers of those who have left within a year, whom nobody is taking over yet. */
function unassigned(
  { state }: World,
  [atMs, userId, id]: readonly [number, string, string],
  now: Date,
  limit: number,
  skip: number,
) {
  return state.all<{ at_ms: number; user_id: string; external_user_id: string }>(
    `SELECT q.at_ms, r.user_id, r.external_user_id
     FROM resignation q JOIN relation r ON r.user_id = q.user_id AND r.status IN ('active', 'customer_deleted')
     WHERE q.at_ms > ? AND (q.at_ms, r.user_id, r.external_user_id) > (?, ?, ?)
       AND NOT EXISTS (SELECT 1 FROM transfer t WHERE t.external_user_id = r.external_user_id AND t.status = 2)
     ORDER BY q.at_ms, r.user_id, r.external_user_id LIMIT ? OFFSET ?`,
    now.getTime() - INHERITANCE_MS,
    atMs,
    userId,
    id,
    limit,
    skip,
  )
}

function dayCounter(owner: string, now: Date): string {
  return `chat_transfers:${owner}:${Math.floor((now.getTime() + 8 * HOUR_MS) / DAY_MS)}`
}
