import { z } from 'zod'
import { ConflictError, NotFoundError } from '../../../src/errors.js'
import { parseInput } from '../../../src/parse.js'
import { hashKey } from '../../../src/random.js'
import type { World } from '../../world/world.js'
import type { ControlParts, ControlRoutes } from './parts.js'

const Pair = { userId: z.string(), externalUserId: z.string() }

const Bodies = {
  press: z.strictObject({
    taskId: z.string(),
    userId: z.string(),
    key: z.string(),
    selected: z.record(z.string(), z.array(z.string())).default({}),
  }),
  send: z.strictObject({ msgid: z.string(), userId: z.string(), externalUserIds: z.array(z.string()).optional() }),
  add: z.strictObject({
    userId: z.string(),
    externalUserId: z.string().min(1).max(64).optional(),
    name: z.string().min(1).optional(),
    unionId: z.string().optional(),
    gender: z.int().min(0).max(2).default(0),
    addWay: z.int().default(1),
    state: z.string().optional(),
  }),
  order: z.strictObject({ externalUserId: z.string(), amountMinor: z.coerce.number().int().min(1).default(10_000) }),
  reply: z.strictObject({
    externalUserId: z.string(),
    reply: z.enum(['interested', 'stop', 'other']).default('other'),
  }),
  delete: z.strictObject({ ...Pair, by: z.enum(['customer', 'member']).default('customer') }),
  edit: z.strictObject({
    ...Pair,
    remark: z.string().optional(),
    addTags: z.array(z.string()).default([]),
    removeTags: z.array(z.string()).default([]),
  }),
}

/** What members and customers do in their clients with cards, tasks and each other. */
export function clientControls(parts: ControlParts): ControlRoutes {
  const { world, sandbox } = parts
  return {
    'POST /control/press': async (body) => {
      const { taskId, userId, key, selected } = parseInput(Bodies.press, body)
      const row = world.state.get<{ msgid: string }>('SELECT msgid FROM app_message WHERE task_id = ?', taskId)
      if (row === undefined) throw new NotFoundError(`no card with task_id "${taskId}"`)
      return act(parts, 'press', () =>
        world.cards.press(row.msgid, memberOf(world, userId), key, sandbox.now(), selected),
      )
    },
    'POST /control/send': async (body) => {
      const { msgid, userId, externalUserIds } = parseInput(Bodies.send, body)
      const only = externalUserIds === undefined ? undefined : new Set(externalUserIds)
      return act(parts, 'send', () => world.sending.confirm(msgid, memberOf(world, userId), sandbox.now(), only))
    },
    'POST /control/contacts/add': async (body) => {
      const { name, gender, unionId, userId, addWay, state, ...given } = parseInput(Bodies.add, body)
      const externalUserId = given.externalUserId ?? newCustomerId(world)
      return act(parts, 'add', () => {
        const contact = { externalUserId, unionId, name: name ?? `顾客 ${externalUserId.slice(-4)}`, gender }
        world.relations.putContact(contact)
        const adding = { userId: memberOf(world, userId), externalUserId, addWay, remarkMobiles: [], tagIds: [] }
        return world.relations.add({ ...adding, ...(state === undefined ? {} : { state }) }, sandbox.now())
      })
    },
    'POST /control/orders/add': async (body) => {
      const { externalUserId, amountMinor } = parseInput(Bodies.order, body)
      const userId = world.relations.ownerOf(customerOf(world, externalUserId))
      return act(parts, 'order', () => {
        world.shop.buy({ externalUserId, userId, amountMinor }, `control/${world.shop.count()}`, sandbox.now())
        return true
      })
    },
    'POST /control/reply': async (body) => {
      const { externalUserId, reply } = parseInput(Bodies.reply, body)
      return act(parts, 'reply', () => world.sending.answer(customerOf(world, externalUserId), reply, sandbox.now()))
    },
    'POST /control/contacts/delete': async (body) => {
      const { userId, externalUserId, by } = parseInput(Bodies.delete, body)
      return act(parts, 'delete', () =>
        world.relations.delete(memberOf(world, userId), externalUserId, by, sandbox.now()),
      )
    },
    'POST /control/contacts/edit': async (body) => {
      const { userId, externalUserId, remark, addTags, removeTags } = parseInput(Bodies.edit, body)
      for (const tagId of addTags) {
        if (world.state.get('SELECT 1 FROM tag WHERE tag_id = ?', tagId) === undefined)
          throw new NotFoundError(`no corp tag "${tagId}"`)
      }
      const edit = { addTags, removeTags, ...(remark === undefined ? {} : { remark }) }
      return act(parts, 'edit', () =>
        world.relations.edit(memberOf(world, userId), externalUserId, edit, sandbox.now()),
      )
    },
  }
}

/** One human action; its callbacks are on their way when it is answered. */
async function act({ world, act: send }: ControlParts, what: string, work: () => boolean): Promise<{ json: unknown }> {
  if (!world.write(work)) throw new ConflictError(`${what}: nothing to do, it is not there or was done already`)
  await send()
  return { json: { ok: true } }
}

function customerOf(world: World, externalUserId: string): string {
  if (world.state.get('SELECT 1 FROM contact WHERE external_user_id = ?', externalUserId) !== undefined)
    return externalUserId
  throw new NotFoundError(`no customer "${externalUserId}": the page lists them`)
}

/** The next one that nobody has. */
function newCustomerId({ state, seed }: World): string {
  const { n } = state.get<{ n: number }>('SELECT count(*) AS n FROM contact')!
  return `wm${hashKey(30, seed, 'added by hand', n)}`
}

function memberOf(world: World, userId: string): string {
  const found = world.member(userId)
  if (found === undefined) throw new NotFoundError(`no member "${userId}" in the scenario`)
  return found.userId
}
