import { z } from 'zod'
import { SECOND_MS } from '../../../src/time.js'
import { openObjects } from '../../objects.js'
import type { World } from '../../world/world.js'
import { type Endpoints, memberId, read, Refusal } from '../core/endpoint.js'
import { numbered, readPage } from '../core/pages.js'

/** Page 94890: who may do what with moments, by group of members. */
const MAX_ADMINS = 20
const Entry = z.union([
  z.object({ type: z.literal(1), userid: z.string() }),
  z.object({ type: z.literal(2), partyid: z.int() }),
])
type Entry = z.infer<typeof Entry>
const Privilege = z.object({
  view_moment_list: z.boolean().default(true),
  send_moment: z.boolean().default(true),
  manage_moment_cover_and_sign: z.boolean().default(true),
})
type Strategy = {
  createdMs: number
  parent_id: number
  strategy_name: string
  admin_list: string[]
  privilege: z.infer<typeof Privilege>
  range: Entry[]
}

/** Rule groups for moments (规则组, page 94890); their ids are numbers from 1 on. */
export function momentStrategyEndpoints(world: World): Endpoints {
  const strategies = openObjects<Strategy>(world.state, world.seed, 'moment_strategy')
  const path = '/cgi-bin/externalcontact/moment_strategy'
  const Admins = z.array(z.string()).max(MAX_ADMINS)
  return {
    [`${path}/list`]: {
      empty: { strategy: [] },
      handle: ({ params }) => {
        const rules = { what: 'moment_strategy', fallback: 1_000, max: 1_000 }
        const { rows, next_cursor } = readPage(params, rules, strategies.list)
        return { strategy: rows.map(({ id }) => ({ strategy_id: Number(id) })), next_cursor }
      },
    },
    [`${path}/get`]: {
      handle: ({ params }) => {
        const { id, strategy } = strategyOf(params)
        const { createdMs, range: _range, ...shown } = strategy
        return { strategy: { strategy_id: Number(id), ...shown, create_time: Math.floor(createdMs / SECOND_MS) } }
      },
    },
    [`${path}/get_range`]: {
      empty: { range: [] },
      handle: ({ params }) => {
        const rules = { what: 'moment_range', fallback: 1_000, max: 1_000 }
        const { rows, next_cursor } = readPage(params, rules, numbered(strategyOf(params).strategy.range))
        return { range: rows.map(({ item }) => item), next_cursor }
      },
    },
    [`${path}/create`]: {
      writes: true,
      handle: ({ params, now }) => {
        const Body = z.object({
          parent_id: z.int().min(0).default(0),
          strategy_name: z.string().min(1),
          admin_list: Admins.min(1),
          privilege: Privilege.default(() => Privilege.parse({})),
          range: z.array(Entry).min(1),
        })
        const { admin_list, ...body } = read(Body, params)
        if (body.parent_id !== 0 && strategies.get(String(body.parent_id)) === undefined)
          throw new Refusal(40058, 'parent_id invalid. invalid Request Parameter')
        const last = strategies.list().at(-1)
        const id = String(last === undefined ? 1 : Number(last.id) + 1)
        const admins = admin_list.map((userId) => memberId(world, userId))
        strategies.put(id, { createdMs: now.getTime(), ...body, admin_list: admins })
        return { strategy_id: Number(id) }
      },
    },
    [`${path}/edit`]: {
      writes: true,
      handle: ({ params }) => {
        const { id, strategy } = strategyOf(params)
        const Body = z.object({
          strategy_name: z.string().min(1).optional(),
          admin_list: Admins.optional(),
          privilege: Privilege.optional(),
          range_add: z.array(Entry).default([]),
          range_del: z.array(Entry).default([]),
        })
        const { strategy_name, admin_list, privilege, range_add, range_del } = read(Body, params)
        const gone = new Set(range_del.map(keyOf))
        const kept = [...strategy.range, ...range_add].filter((entry) => !gone.has(keyOf(entry)))
        strategies.put(id, {
          ...strategy,
          strategy_name: strategy_name ?? strategy.strategy_name,
          admin_list: admin_list?.map((userId) => memberId(world, userId)) ?? strategy.admin_list,
          privilege: privilege ?? strategy.privilege,
          range: [...new Map(kept.map((entry) => [keyOf(entry), entry])).values()],
        })
        return {}
      },
    },
    [`${path}/del`]: {
      writes: true,
      handle: ({ params }) => {
        strategies.delete(strategyOf(params).id)
        return {}
      },
    },
  }

  function strategyOf(params: Record<string, unknown>): { id: string; strategy: Strategy } {
    const id = String(read(z.object({ strategy_id: z.int() }), params).strategy_id)
    const strategy = strategies.get(id)
    if (strategy === undefined) throw new Refusal(40058, 'strategy_id invalid. invalid Request Parameter')
    return { id, strategy }
  }
}

function keyOf(entry: Entry): string {
  return entry.type === 1 ? `user ${entry.userid}` : `party ${entry.partyid}`
}
