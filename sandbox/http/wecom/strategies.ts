import { z } from 'zod'
import { SECOND_MS } from '../../../src/time.js'
import { type Objects, openObjects } from '../../objects.js'
import type { World } from '../../world/world.js'
import {
  type Call,
  type Endpoints,
  fromCursor,
  OptionalText,
  read,
  Refusal,
  type Reply,
  toCursor,
} from '../core/endpoint.js'
import { checkName, NewTags, TagEdit, TagIds } from './tags.js'

const LIST_MAX = 1_000
/** Page 94883. */
const LEVELS = 5

const RangeEntry = z.union([
  z.object({ type: z.literal(1), userid: z.string() }),
  z.object({ type: z.literal(2), partyid: z.int() }),
])
type RangeEntry = z.infer<typeof RangeEntry>
const Ranges = z
  .array(RangeEntry)
  .max(100)
  .nullish()
  .transform((range) => range ?? [])
const Names = z.array(z.string()).min(1).max(20)
const Page = { cursor: OptionalText, limit: z.int().min(1).max(LIST_MAX).default(LIST_MAX) }
const StrategyId = z.object({ strategy_id: z.int() })

type Strategy = {
  maker: string
  parentId: number
  name: string
  createdMs: number
  admins: string[]
  privilege: Record<string, boolean>
  range: RangeEntry[]
}
type StrategyTag = { id: string; name: string; create_time: number; order: number }
type StrategyTags = {
  strategyId: number
  group_id: string
  group_name: string
  create_time: number
  order: number
  tag: StrategyTag[]
}

/**
 * Rule groups (pages 94883, 94882) and their tags; an app manages what it made. Privileges are kept and not enforced: they
 * are about what members may do in the admin pages.
 */
export function strategyEndpoints(world: World): Endpoints {
  return {
    '/cgi-bin/externalcontact/customer_strategy/list': { handle: (call) => listStrategies(world, call) },
    '/cgi-bin/externalcontact/customer_strategy/get': { handle: (call) => getStrategy(world, call) },
    '/cgi-bin/externalcontact/customer_strategy/get_range': { handle: (call) => getRange(world, call) },
    '/cgi-bin/externalcontact/customer_strategy/create': {
      writes: true,
      handle: (call) => createStrategy(world, call),
    },
    '/cgi-bin/externalcontact/customer_strategy/edit': { writes: true, handle: (call) => editStrategy(world, call) },
    '/cgi-bin/externalcontact/customer_strategy/del': { writes: true, handle: (call) => deleteStrategy(world, call) },

    '/cgi-bin/externalcontact/get_strategy_tag_list': { handle: (call) => getStrategyTagList(world, call) },
    '/cgi-bin/externalcontact/add_strategy_tag': { writes: true, handle: (call) => addStrategyTag(world, call) },
    '/cgi-bin/externalcontact/edit_strategy_tag': { writes: true, handle: (call) => editStrategyTag(world, call) },
    '/cgi-bin/externalcontact/del_strategy_tag': { writes: true, handle: (call) => delStrategyTag(world, call) },
  }
}

function strategiesOf({ state, seed }: World): Objects<Strategy> {
  return openObjects<Strategy>(state, seed, 'customer_strategy')
}

function groupsOf({ state, seed }: World): Objects<StrategyTags> {
  return openObjects<StrategyTags>(state, seed, 'strategy_tags')
}

function listStrategies(world: World, { params, app }: Call): Reply {
  const strategies = strategiesOf(world)
  const { cursor, limit } = read(z.object(Page), params)
  const after = fromCursor(cursor, z.tuple([z.literal('strategies'), z.int()]))?.[1] ?? 0
  const rows = strategies.list(after).filter(({ body }) => body.maker === app.name)
  const page = rows.slice(0, limit)
  return {
    strategy: page.map(({ id }) => ({ strategy_id: Number(id) })),
    next_cursor: rows.length > limit ? toCursor('strategies', page.at(-1)!.seq) : '',
  }
}

function getStrategy(world: World, call: Call): Reply {
  const [id, strategy] = strategyOf(world, call)
  return {
    strategy: {
      strategy_id: id,
      parent_id: strategy.parentId,
      strategy_name: strategy.name,
      create_time: Math.floor(strategy.createdMs / SECOND_MS),
      admin_list: strategy.admins,
      privilege: strategy.privilege,
    },
  }
}

function getRange(world: World, call: Call): Reply {
  const [, { range }] = strategyOf(world, call)
  const { cursor, limit } = read(z.object(Page), call.params)
  const after = fromCursor(cursor, z.tuple([z.literal('range'), z.int()]))?.[1] ?? 0
  const next = after + limit < range.length ? toCursor('range', after + limit) : ''
  return { range: range.slice(after, after + limit), next_cursor: next }
}

function createStrategy(world: World, { params, app, now }: Call): Reply {
  const strategies = strategiesOf(world)
  const Body = z.object({
    parent_id: z.int().default(0),
    strategy_name: z.string().min(1),
    admin_list: Names,
    privilege: z.record(z.string(), z.boolean()).default({}),
    range: Ranges,
  })
  const body = read(Body, params)
  if (body.range.length === 0) throw new Refusal(40058, 'range unexpected empty. invalid Request Parameter')
  if (depthOf(world, body.parent_id) >= LEVELS)
    throw new Refusal(40058, `parent_id exceed max level ${LEVELS}. invalid Request Parameter`)
  const id = strategies.count() === 0 ? 1 : Number(strategies.list().at(-1)!.id) + 1
  strategies.put(String(id), {
    maker: app.name,
    parentId: body.parent_id,
    name: body.strategy_name,
    createdMs: now.getTime(),
    admins: body.admin_list,
    privilege: body.privilege,
    range: body.range,
  })
  return { strategy_id: id }
}

function editStrategy(world: World, call: Call): Reply {
  const strategies = strategiesOf(world)
  const [id, strategy] = strategyOf(world, call)
  const Body = z.object({
    strategy_name: OptionalText,
    admin_list: Names.optional(),
    privilege: z.record(z.string(), z.boolean()).optional(),
    range_add: Ranges,
    range_del: Ranges,
  })
  const body = read(Body, call.params)
  const gone = new Set(body.range_del.map((entry) => JSON.stringify(entry)))
  strategies.put(String(id), {
    ...strategy,
    name: body.strategy_name ?? strategy.name,
    admins: body.admin_list ?? strategy.admins,
    privilege: { ...strategy.privilege, ...body.privilege },
    range: [...strategy.range, ...body.range_add].filter((entry) => !gone.has(JSON.stringify(entry))),
  })
  return {}
}

function deleteStrategy(world: World, call: Call): Reply {
  const strategies = strategiesOf(world)
  const groups = groupsOf(world)
  const [id] = strategyOf(world, call)
  strategies.delete(String(id))
  for (const { id: groupId, body } of groups.list()) if (body.strategyId === id) groups.delete(groupId)
  return {}
}

function getStrategyTagList(world: World, call: Call): Reply {
  const { tag_id: tagIds, group_id: groupIds } = read(TagIds, call.params)
  const { strategy_id: id } = read(z.object({ strategy_id: z.int().nullish() }), call.params)
  const found = ownGroups(world, call)
    .map(({ body }) => body)
    .filter((group) => id == null || group.strategyId === id)
    .filter((group) => groupIds.length === 0 || groupIds.includes(group.group_id))
    .map((group) =>
      groupIds.length > 0 || tagIds.length === 0
        ? group
        : { ...group, tag: group.tag.filter((t) => tagIds.includes(t.id)) },
    )
  return { tag_group: found.filter((group) => group.tag.length > 0).map(toGroup) }
}

function addStrategyTag(world: World, call: Call): Reply {
  const groups = groupsOf(world)
  const [strategyId, strategy] = strategyOf(world, call)
  if (strategy.parentId !== 0) throw new Refusal(40058, 'strategy_id is not a top one. invalid Request Parameter')
  const body = read(NewTags, call.params)
  for (const { name } of body.tag) checkName(name)
  const seconds = Math.floor(call.now.getTime() / SECOND_MS)
  const group = groupFor(world, body, strategyId, call, seconds)
  const added: StrategyTag[] = []
  for (const { name, order } of body.tag) {
    if (added.some((t) => t.name === name)) continue // duplicates in one request collapse
    if (group.tag.some((t) => t.name === name)) throw new Refusal(40071, 'UserTag Name Already Exist')
    added.push({ id: groups.newId('st', 30), name, create_time: seconds, order })
  }
  groups.put(group.group_id, { ...group, tag: [...group.tag, ...added] })
  return { tag_group: toGroup({ ...group, tag: added }) }
}

function editStrategyTag(world: World, call: Call): Reply {
  const groups = groupsOf(world)
  const { id, name, order } = read(TagEdit, call.params)
  if (id === undefined) throw new Refusal(40068, 'missing tagid')
  const { group, tag } = findTag(world, call, id)
  if (name !== undefined) checkName(name)
  if (tag === undefined) {
    groups.put(id, { ...group, group_name: name ?? group.group_name, order: order ?? group.order })
  } else {
    const edited = { ...tag, name: name ?? tag.name, order: order ?? tag.order }
    groups.put(group.group_id, { ...group, tag: group.tag.map((t) => (t.id === id ? edited : t)) })
  }
  return {}
}

function delStrategyTag(world: World, call: Call): Reply {
  const groups = groupsOf(world)
  const { tag_id: tagIds, group_id: groupIds } = read(TagIds, call.params)
  if (tagIds.length + groupIds.length === 0) throw new Refusal(40068, 'missing tagid')
  for (const id of [...tagIds, ...groupIds]) {
    const { group, tag } = findTag(world, call, id)
    const rest = tag === undefined ? [] : group.tag.filter((t) => t.id !== id)
    if (rest.length === 0) groups.delete(group.group_id)
    else groups.put(group.group_id, { ...group, tag: rest })
  }
  return {}
}

function strategyOf(world: World, { app, params }: Call): [number, Strategy] {
  const strategies = strategiesOf(world)
  const { strategy_id: id } = read(StrategyId, params)
  const strategy = strategies.get(String(id))
  if (strategy === undefined) throw new Refusal(40058, 'invalid strategy_id. invalid Request Parameter')
  if (strategy.maker !== app.name) throw new Refusal(48002, 'api forbidden')
  return [id, strategy]
}

function ownGroups(world: World, { app }: Call) {
  const groups = groupsOf(world)
  const strategies = strategiesOf(world)
  return groups.list().filter(({ body }) => strategies.get(String(body.strategyId))?.maker === app.name)
}

function findTag(world: World, call: Call, id: string): { group: StrategyTags; tag?: StrategyTag } {
  for (const { body: group } of ownGroups(world, call)) {
    if (group.group_id === id) return { group }
    const tag = group.tag.find((t) => t.id === id)
    if (tag !== undefined) return { group, tag }
  }
  throw new Refusal(40068, `invalid tagid: ${id}`)
}

function toGroup({ strategyId, ...group }: StrategyTags) {
  return { strategy_id: strategyId, ...group }
}

/** Levels above and including the parent. @throws {Refusal} */
function depthOf(world: World, parentId: number): number {
  const strategies = strategiesOf(world)
  let depth = 0
  for (let id = parentId; id !== 0; depth++) {
    const parent = strategies.get(String(id))
    if (parent === undefined) throw new Refusal(40058, 'invalid parent_id. invalid Request Parameter')
    id = parent.parentId
  }
  return depth
}

function groupFor(
  world: World,
  body: z.infer<typeof NewTags>,
  strategyId: number,
  call: Call,
  seconds: number,
): StrategyTags {
  const groups = groupsOf(world)
  const own = ownGroups(world, call)
    .map((row) => row.body)
    .filter((group) => group.strategyId === strategyId)
  if (body.group_id !== undefined) {
    const group = own.find((g) => g.group_id === body.group_id)
    if (group === undefined) throw new Refusal(40068, `invalid tag group id: ${body.group_id}`)
    return group
  }
  const name = body.group_name ?? ''
  checkName(name)
  const made = { strategyId, group_id: '', group_name: name, create_time: seconds, order: body.order, tag: [] }
  return own.find((g) => g.group_name === name) ?? { ...made, group_id: groups.newId('st', 30) }
}
