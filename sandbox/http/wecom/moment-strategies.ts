import { z } from 'zod'
import { SECOND_MS } from '../../../src/time.js'
import { type Objects, openObjects } from '../../objects.js'
import type { World } from '../../world/world.js'
import { type Call, type Endpoints, memberId, read, Refusal, type Reply } from '../core/endpoint.js'
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

const PATH = '/cgi-bin/externalcontact/moment_strategy'
const Admins = z.array(z.string()).max(MAX_ADMINS)

/** Rule groups for moments (规则组, page 94890); their ids are numbers from 1 on. */
export function momentStrategyEndpoints(world: World): Endpoints {
  return {
    [`${PATH}/list`]: { empty: { strategy: [] }, handle: (call) => listStrategies(world, call) },
    [`${PATH}/get`]: { handle: (call) => getStrategy(world, call) },
    [`${PATH}/get_range`]: { empty: { range: [] }, handle: (call) => getRange(world, call) },
    [`${PATH}/create`]: { writes: true, handle: (call) => createStrategy(world, call) },
    [`${PATH}/edit`]: { writes: true, handle: (call) => editStrategy(world, call) },
    [`${PATH}/del`]: { writes: true, handle: (call) => deleteStrategy(world, call) },
  }
}

function strategiesOf({ state, seed }: World): Objects<Strategy> {
  return openObjects<Strategy>(state, seed, 'moment_strategy')
}

function listStrategies(world: World, { params }: Call): Reply {
  const strategies = strategiesOf(world)
  const rules = { what: 'moment_strategy', fallback: 1_000, max: 1_000 }
  const { rows, next_cursor } = readPage(params, rules, strategies.list)
  return { strategy: rows.map(({ id }) => ({ strategy_id: Number(id) })), next_cursor }
}

function getStrategy(world: World, { params }: Call): Reply {
  const { id, strategy } = strategyOf(world, params)
  const { createdMs, range: _range, ...shown } = strategy
  return { strategy: { strategy_id: Number(id), ...shown, create_time: Math.floor(createdMs / SECOND_MS) } }
}

function getRange(world: World, { params }: Call): Reply {
  const rules = { what: 'moment_range', fallback: 1_000, max: 1_000 }
  const { rows, next_cursor } = readPage(params, rules, numbered(strategyOf(world, params).strategy.range))
  return { range: rows.map(({ item }) => item), next_cursor }
}

function createStrategy(world: World, { params, now }: Call): Reply {
  const strategies = strategiesOf(world)
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
}

function editStrategy(world: World, { params }: Call): Reply {
  const strategies = strategiesOf(world)
  const { id, strategy } = strategyOf(world, params)
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
}

function deleteStrategy(world: World, { params }: Call): Reply {
  const strategies = strategiesOf(world)
  strategies.delete(strategyOf(world, params).id)
  return {}
}

function strategyOf(world: World, params: Record<string, unknown>): { id: string; strategy: Strategy } {
  const strategies = strategiesOf(world)
  const id = String(read(z.object({ strategy_id: z.int() }), params).strategy_id)
  const strategy = strategies.get(id)
  if (strategy === undefined) throw new Refusal(40058, 'strategy_id invalid. invalid Request Parameter')
  return { id, strategy }
}

function keyOf(entry: Entry): string {
  return entry.type === 1 ? `user ${entry.userid}` : `party ${entry.partyid}`
}
