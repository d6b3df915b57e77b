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
const CreatedReply = z.object({ strategy_id: z.number() })
const RangeReply = z.object({ range: List(RangeEntry), next_cursor: Cursor })

export type StrategyRange = ({ userId: string } | { departmentId: number })[]
export type NewStrategy = {
  /** Default: at the top. At most 5 levels. */
  parentId?: number
  name: string
  /** At most 20; no super administrators. */
  admins: readonly string[]
  /** What its members may do; default everything. Keys as the platform spells them. */
  privilege?: Record<string, boolean>
  /** At most 100 in one call. */
  range: StrategyRange
}

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
    range: (strategyId: number): AsyncIterable<StrategyRange> =>
      calls.pages(
        'externalcontact/customer_strategy/get_range',
        RangeReply,
        { strategy_id: strategyId, limit: 1_000 },
        (page) => ({ items: page.range.flatMap(toRange), next: page.next_cursor }),
      ),
    /** Resolves to its id. Calls about rule groups must not overlap. */
    async create({ parentId, name, admins, privilege, range }: NewStrategy): Promise<number> {
      const body = { parent_id: parentId, strategy_name: name, admin_list: admins, privilege, range: range.map(toWire) }
      return (await calls.act('externalcontact/customer_strategy/create', CreatedReply, body)).strategy_id
    },
    /** What is left out stays. */
    async edit(
      strategyId: number,
      change: Partial<Pick<NewStrategy, 'name' | 'admins' | 'privilege'>> & {
        add?: StrategyRange
        remove?: StrategyRange
      },
    ): Promise<void> {
      await calls.put('externalcontact/customer_strategy/edit', Nothing, {
        strategy_id: strategyId,
        strategy_name: change.name,
        admin_list: change.admins,
        privilege: change.privilege,
        range_add: change.add?.map(toWire),
        range_del: change.remove?.map(toWire),
      })
    },
    async delete(strategyId: number): Promise<void> {
      await calls.act('externalcontact/customer_strategy/del', Nothing, { strategy_id: strategyId })
    },
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
      await calls.put('externalcontact/edit_strategy_tag', Nothing, { id, ...change })
    },
    async deleteTags(of: TagIds): Promise<void> {
      await calls.act('externalcontact/del_strategy_tag', Nothing, idsToWire(of))
    },
  }
}

function toWire(entry: StrategyRange[number]): Record<string, unknown> {
  return 'userId' in entry ? { type: 1, userid: entry.userId } : { type: 2, partyid: entry.departmentId }
}

function toRange({ userid, partyid }: z.infer<typeof RangeEntry>): StrategyRange {
  if (userid !== undefined) return [{ userId: userid }]
  return partyid === undefined ? [] : [{ departmentId: partyid }]
}
