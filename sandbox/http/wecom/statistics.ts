import { z } from 'zod'
import { DAY_MS, HOUR_MS, SECOND_MS } from '../../../src/time.js'
import type { World } from '../../world/world.js'
import { type Call, type Endpoints, memberId, read, Refusal, type Reply } from '../core/endpoint.js'
import { OwnerFilter, ownersFor } from './groups.js'
import { departmentMembers } from './recipients.js'

/** Pages 92132 and 92133: the longest span, and how far back. */
const SPAN_DAYS = 30
const BACK_DAYS = 180
const LIMIT = { default: 500, max: 1_000 }
const SHANGHAI_MS = 8 * HOUR_MS

const Ids = <T extends z.ZodType>(item: T) =>
  z
    .array(item)
    .max(100)
    .nullish()
    .transform((ids) => ids ?? [])

type Figures = {
  new_chat_cnt: number
  chat_total: number
  chat_has_msg: number
  new_member_cnt: number
  member_total: number
  member_has_msg: number
  msg_total: number
  migrate_trainee_chat_cnt: number
}
const ORDERS = ['new_chat_cnt', 'chat_total', 'new_member_cnt', 'member_total'] as const

/**
 * Figures by day of Shanghai (pages 92132, 92133, 93476), counted from what happened. Nobody talks in the sandbox's groups,
 * and its guides answer nobody by hand: those figures are 0 or, where the platform leaves them out, absent.
 */
export function statisticsEndpoints(world: World): Endpoints {
  return {
    '/cgi-bin/externalcontact/get_user_behavior_data': {
      empty: { behavior_data: [] },
      handle: (call) => getUserBehaviorData(world, call),
    },
    '/cgi-bin/externalcontact/groupchat/statistic': { empty: { items: [] }, handle: (call) => statistic(world, call) },
    '/cgi-bin/externalcontact/groupchat/statistic_group_by_day': {
      empty: { items: [] },
      handle: (call) => statisticGroupByDay(world, call),
    },
  }
}

function getUserBehaviorData(world: World, { params, now }: Call): Reply {
  const Body = z.object({
    userid: Ids(z.string()),
    partyid: Ids(z.int()),
    start_time: z.int(),
    end_time: z.int(),
  })
  const body = read(Body, params)
  const users = new Set(body.userid.map((id) => memberId(world, id)))
  for (const id of body.partyid) for (const user of departmentMembers(world, id) ?? []) users.add(user)
  if (body.userid.length + body.partyid.length === 0)
    throw new Refusal(40058, 'userid and partyid unexpected empty. invalid Request Parameter')
  const days = daysOf(body.start_time, body.end_time, now)
  return { behavior_data: days.map((day) => behaviourOf(world, [...users], day)) }
}

function statistic(world: World, call: Call): Reply {
  const Body = z.object({
    order_by: z.int().min(1).max(4).default(1),
    order_asc: z.int().min(0).max(1).default(0),
    offset: z.int().min(0).default(0),
    limit: z.int().min(1).max(LIMIT.max).default(LIMIT.default),
  })
  const { order_by: orderBy, order_asc: ascending, offset, limit } = read(Body, call.params)
  const { owners, days } = asked(world, call)
  const [from, to] = [days[0]!, days.at(-1)! + DAY_MS]
  const field = ORDERS[orderBy - 1]!
  const rows = owners
    .map((owner) => ({ owner, data: groupFigures(world, [owner], from, to) }))
    .filter(({ data }) => data.chat_total > 0)
    .sort((a, b) => (ascending === 1 ? 1 : -1) * (a.data[field] - b.data[field]) || (a.owner < b.owner ? -1 : 1))
  const items = rows.slice(offset, offset + limit)
  return { total: rows.length, next_offset: offset + items.length, items }
}

function statisticGroupByDay(world: World, call: Call): Reply {
  const { owners, days } = asked(world, call)
  return {
    items: days.map((day) => ({
      stat_time: day / SECOND_MS,
      data: groupFigures(world, owners, day, day + DAY_MS),
    })),
  }
}

function asked(world: World, call: Call): { owners: string[]; days: number[] } {
  const Body = z.object({ day_begin_time: z.int(), day_end_time: z.int().nullish(), owner_filter: OwnerFilter })
  const { day_begin_time: from, day_end_time: to, owner_filter: named } = read(Body, call.params)
  return { owners: ownersFor(world, call, named), days: daysOf(from, to ?? from, call.now) }
}

function behaviourOf({ state }: World, users: readonly string[], day: number): Record<string, number> {
  const range = [JSON.stringify(users), day, day + DAY_MS] as const
  const IN = 'user_id IN (SELECT value FROM json_each(?))'
  const sent = state.get<{ chats: number; messages: number }>(
    `SELECT count(DISTINCT user_id || '/' || external_user_id) AS chats, count(*) AS messages
     FROM delivery WHERE ${IN} AND sent_ms >= ? AND sent_ms < ? AND kind <> 'group'`,
    ...range,
  )!
  const count = (where: string) =>
    state.get<{ n: number }>(`SELECT count(*) AS n FROM relation WHERE ${IN} AND ${where}`, ...range)!.n
  return {
    stat_time: day / SECOND_MS,
    chat_cnt: sent.chats,
    message_cnt: sent.messages,
    negative_feedback_cnt: count(`last_ms >= ? AND last_ms < ? AND status = 'customer_deleted'`),
    new_apply_cnt: 0,
    new_contact_cnt: count(`created_ms >= ? AND created_ms < ? AND status <> 'half'`),
  }
}

/** Totals are those at the end; who has left since is counted back in. */
function groupFigures({ state }: World, owners: readonly string[], fromMs: number, toMs: number): Figures {
  const group = 'SELECT chat_id FROM chat WHERE owner IN (SELECT value FROM json_each(?))'
  const named = JSON.stringify(owners)
  const count = (sql: string, ...times: number[]) =>
    state.get<{ n: number }>(`SELECT count(*) AS n FROM ${sql}`, named, ...times)!.n
  const chats = 'chat WHERE owner IN (SELECT value FROM json_each(?))'
  const alive = `${chats} AND created_ms < ? AND (dismissed_ms IS NULL OR dismissed_ms >= ?)`
  const left = count(`chat_move WHERE chat_id IN (${group}) AND joined = 0 AND at_ms >= ?`, toMs)
  return {
    new_chat_cnt: count(`${chats} AND created_ms >= ? AND created_ms < ?`, fromMs, toMs),
    chat_total: count(alive, toMs, toMs),
    chat_has_msg: 0,
    new_member_cnt: count(`chat_move WHERE chat_id IN (${group}) AND joined = 1 AND at_ms >= ? AND at_ms < ?`, fromMs, toMs), // prettier-ignore
    member_total: count(`chat_member WHERE chat_id IN (${group}) AND join_ms < ?`, toMs) + left,
    member_has_msg: 0,
    msg_total: 0,
    migrate_trainee_chat_cnt: 0,
  }
}

/** The starts of the days, the last one included. @throws {Refusal} 40058 too many, or too long ago */
function daysOf(fromSeconds: number, toSeconds: number, now: Date): number[] {
  const [first, last, today] = [fromSeconds * SECOND_MS, toSeconds * SECOND_MS, now.getTime()].map(startOfDay)
  if (last! < first! || last! - first! > SPAN_DAYS * DAY_MS || first! < today! - BACK_DAYS * DAY_MS)
    throw new Refusal(40058, 'invalid time range. invalid Request Parameter')
  return Array.from({ length: (last! - first!) / DAY_MS + 1 }, (_, i) => first! + i * DAY_MS)
}

/** 00:00 in Shanghai, where the platform's days are. */
function startOfDay(ms: number): number {
  return Math.floor((ms + SHANGHAI_MS) / DAY_MS) * DAY_MS - SHANGHAI_MS
}
