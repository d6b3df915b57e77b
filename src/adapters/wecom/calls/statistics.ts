import { z } from 'zod'
import type { Calls } from './calls.js'
import { List, toUnixSeconds, UnixSeconds } from './wire.js'

/** Longest span of one question, and how far back there are figures. @see document/path/92132 (read 2026-08) */
export const STATISTICS_DAYS = { span: 30, back: 180 } as const

const BehaviourDay = z.object({
  /** Unix seconds of 00:00 in Shanghai. */
  stat_time: UnixSeconds,
  /** Chats in which a member sent something. */
  chat_cnt: z.number().default(0),
  message_cnt: z.number().default(0),
  /** Percent of the chats opened by customers that were answered the same day; absent without a reply. */
  reply_percentage: z.number().optional(),
  /** Minutes; absent without a reply. */
  avg_reply_time: z.number().optional(),
  /** Customers who deleted or blocked a member. */
  negative_feedback_cnt: z.number().default(0),
  new_apply_cnt: z.number().default(0),
  new_contact_cnt: z.number().default(0),
})
export type BehaviourDay = z.infer<typeof BehaviourDay>
const BehaviourReply = z.object({ behavior_data: List(BehaviourDay) })

const GroupFigures = z.object({
  new_chat_cnt: z.number().default(0),
  chat_total: z.number().default(0),
  chat_has_msg: z.number().default(0),
  new_member_cnt: z.number().default(0),
  member_total: z.number().default(0),
  member_has_msg: z.number().default(0),
  msg_total: z.number().default(0),
})
export type GroupFigures = z.infer<typeof GroupFigures>
const OwnersReply = z.object({
  items: List(z.object({ owner: z.string().min(1), data: GroupFigures })),
  total: z.number(),
  next_offset: z.number(),
})
const DaysReply = z.object({ items: List(z.object({ stat_time: UnixSeconds, data: GroupFigures })) })

const ORDERS = { new_groups: 1, groups: 2, new_members: 3, members: 4 } as const
const PAGE = 1_000

/** Closed: the day of `to` is included. At most 30 days, within the last 180. */
export type DaySpan = { from: Date; to: Date }

/** Figures by day, in Shanghai (统计管理); today's are not there yet. */
export function statisticsCalls(calls: Calls) {
  const range = ({ from, to }: DaySpan) => ({ day_begin_time: toUnixSeconds(from), day_end_time: toUnixSeconds(to) })
  return {
    /** Sums over the members and departments named: ask one by one for figures of each (page 92132). */
    async behaviour(
      of: { userIds: readonly string[] } | { departmentIds: readonly number[] },
      { from, to }: DaySpan,
    ): Promise<BehaviourDay[]> {
      const reply = await calls.read('externalcontact/get_user_behavior_data', BehaviourReply, {
        ...('userIds' in of ? { userid: of.userIds } : { partyid: of.departmentIds }),
        start_time: toUnixSeconds(from),
        end_time: toUnixSeconds(to),
      })
      return reply.behavior_data
    },
    /** Groups by owner, in pages (page 92133). @param owners - at most 100 */
    async *groupsByOwner(
      owners: readonly string[],
      span: DaySpan,
      orderBy: keyof typeof ORDERS = 'new_groups',
    ): AsyncIterable<{ owner: string; data: GroupFigures }[]> {
      for (let offset = 0; ;) {
        const { items, total, next_offset } = await calls.read('externalcontact/groupchat/statistic', OwnersReply, {
          ...range(span),
          owner_filter: { userid_list: owners },
          order_by: ORDERS[orderBy],
          offset,
          limit: PAGE,
        })
        if (items.length > 0) yield items
        if (next_offset >= total || next_offset <= offset) return
        offset = next_offset
      }
    },
    /** Groups of these owners together, by day (page 93476). @param owners - at most 100 */
    async groupsByDay(owners: readonly string[], span: DaySpan): Promise<{ stat_time: number; data: GroupFigures }[]> {
      const body = { ...range(span), owner_filter: { userid_list: owners } }
      return (await calls.read('externalcontact/groupchat/statistic_group_by_day', DaysReply, body)).items
    },
  }
}
