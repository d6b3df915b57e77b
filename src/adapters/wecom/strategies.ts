import { z } from 'zod'
import type { Calls } from './calls.js'
import {
  AddedTagsReply,
  idsToWire,
  newTagsToWire,
  type NewTags,
  type TagGroup,
  TagGroupsReply,
  type TagIds,
} from './tags.js'
import { Cursor, List, Nothing, Text, UnixSeconds } from './wire.js'

const StrategyIdsReply = z.object({
  strategy: List(z.object({ strategy_id: z.number() })),
  next_cursor: Cursor,
})
const Strategy = z.object({
  strategy_id: z.number(),
  parent_id: z.number().optional(),
  strategy_name: Text,
  create_time: UnixSeconds.optional(),
  admin_list: List(z.string()),
  privilege: z.record(z.string(), z.boolean()).optional(),
})
export type Strategy = z.infer<typeof Strategy>
const StrategyReply = z.object({ strategy: Strategy })
const RangeEntry = z.object({ type: z.number(), userid: Text, partyid: z.number().optional() })
const RangeReply = z.object({ range: List(RangeEntry), next_cursor: Cursor })

/**
 * Rule groups (规则组) of the customer-contact feature, and the tags that belong to one. For the old customer-contact secret,
 * or the app that made them.
 */
export function strategyCalls(calls: Calls) {
  return {
    /** Ids, in pages of at most 1,000 (page 94883). */
    list: (): AsyncIterable<number[]> =>
      calls.pages('externalcontact/customer_strategy/list', StrategyIdsReply, { limit: 1_000 }, (page) => ({
        items: page.strategy.map((row) => row.strategy_id),
        next: page.next_cursor,
      })),
    async get(strategyId: number): Promise<Strategy> {
      const body = { strategy_id: strategyId }
      return (await calls.read('externalcontact/customer_strategy/get', StrategyReply, body)).strategy
    },
    /** Members and departments it is about. */
    range: (strategyId: number): AsyncIterable<({ userId: string } | { departmentId: number })[]> =>
      calls.pages(
        'externalcontact/customer_strategy/get_range',
        RangeReply,
        { strategy_id: strategyId, limit: 1_000 },
        (page) => ({ items: page.range.flatMap(toRange), next: page.next_cursor }),
      ),
    /** Its tags, or those named (page 94882). */
    async tags(strategyId?: number, of?: TagIds): Promise<TagGroup[]> {
      const body = { strategy_id: strategyId, ...(of && idsToWire(of)) }
      return (await calls.read('externalcontact/get_strategy_tag_list', TagGroupsReply, body)).tag_group
    },
    /** To a rule group of the first level. */
    async addTags(strategyId: number, tags: NewTags): Promise<TagGroup> {
      const body = { strategy_id: strategyId, ...newTagsToWire(tags) }
      return (await calls.act('externalcontact/add_strategy_tag', AddedTagsReply, body)).tag_group
    },
    async editTag(id: string, change: { name?: string; order?: number }): Promise<void> {
      await calls.act('externalcontact/edit_strategy_tag', Nothing, { id, ...change })
    },
    async deleteTags(of: TagIds): Promise<void> {
      await calls.act('externalcontact/del_strategy_tag', Nothing, idsToWire(of))
    },
  }
}

function toRange({ userid, partyid }: z.infer<typeof RangeEntry>): ({ userId: string } | { departmentId: number })[] {
  if (userid !== undefined) return [{ userId: userid }]
  return partyid === undefined ? [] : [{ departmentId: partyid }]
}
