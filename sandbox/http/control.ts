import { createHash, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import { AppError, ConflictError, NotFoundError } from '../../src/errors.js'
import { parseInput } from '../../src/parse.js'
import type { Sandbox } from '../sandbox.js'
import type { World } from '../world/world.js'
import { Fault } from './faults.js'
import { page } from './page.js'
import type { HandleParts } from './handle.js'

class WrongControlKeyError extends AppError {
  readonly code = 'wrong_control_key'
}

const Instant = z.iso.datetime({ offset: true }).transform((text) => new Date(text))
const Pair = { userId: z.string(), externalUserId: z.string() }
const LOG_PAGE = 1_000

const Bodies = {
  advance: z.strictObject({ to: Instant }),
  callback: z.strictObject({ url: z.url() }),
  press: z.strictObject({ taskId: z.string(), userId: z.string(), key: z.string() }),
  send: z.strictObject({ msgid: z.string(), userId: z.string(), externalUserIds: z.array(z.string()).optional() }),
  add: z.strictObject({
    ...Pair,
    name: z.string().min(1).optional(),
    unionId: z.string().optional(),
    gender: z.int().min(0).max(2).default(0),
    addWay: z.int().default(1),
    state: z.string().optional(),
  }),
  delete: z.strictObject({ ...Pair, by: z.enum(['customer', 'member']).default('customer') }),
  edit: z.strictObject({
    ...Pair,
    remark: z.string().optional(),
    addTags: z.array(z.string()).default([]),
    removeTags: z.array(z.string()).default([]),
  }),
}

type ControlParts = {
  world: World
  sandbox: Omit<Sandbox, 'url' | 'close' | 'handle' | 'sleep'>
  deliver: () => Promise<void>
  clock: 'step' | 'real'
}

/** What people do in their clients, the clock, faults and a view of it all: nothing here exists on the real platform. */
export function controlRoutes({ world, sandbox, deliver, clock }: ControlParts): HandleParts['control'] {
  const member = (userId: string): string => {
    const found = world.member(userId)
    if (found === undefined) throw new NotFoundError(`no member "${userId}" in the scenario`)
    return found.userId
  }
  /** One human action; its callbacks are on their way when it is answered. */
  const act = async (what: string, work: () => boolean): Promise<{ json: unknown }> => {
    if (!world.write(work)) throw new ConflictError(`${what}: nothing to do, it is not there or was done already`)
    await deliver()
    return { json: { ok: true } }
  }
  const routes: Record<string, (body: unknown, query: URLSearchParams) => Promise<{ json: unknown }>> = {
    'GET /control/state': async () => ({
      json: { now: sandbox.now(), nextAt: sandbox.nextAt() ?? null, corpId: sandbox.corpId, counts: sandbox.counts() },
    }),
    'GET /control/log': async (_body, query) => {
      const skip = parseInput(z.coerce.number().int().min(0).default(0), query.get('skip') ?? undefined, 'skip')
      const messages = sandbox.log(skip).slice(0, LOG_PAGE)
      return { json: { messages, next: skip + messages.length } }
    },
    'POST /control/advance': async (body) => {
      const { to } = parseInput(Bodies.advance, body)
      if (clock === 'real') throw new ConflictError('the clock is real: only --clock step can be advanced')
      await sandbox.advanceTo(to)
      return { json: { now: sandbox.now(), nextAt: sandbox.nextAt() ?? null } }
    },
    'POST /control/callback': async (body) => {
      sandbox.setCallbackUrl(parseInput(Bodies.callback, body).url)
      return { json: { ok: true } }
    },
    'POST /control/callback/verify': async () => {
      const problem = await sandbox.verifyCallbackUrl()
      return { json: problem === undefined ? { ok: true } : { ok: false, problem } }
    },
    'POST /control/press': async (body) => {
      const { taskId, userId, key } = parseInput(Bodies.press, body)
      const row = world.state.get<{ msgid: string }>('SELECT msgid FROM app_message WHERE task_id = ?', taskId)
      if (row === undefined) throw new NotFoundError(`no card with task_id "${taskId}"`)
      return act('press', () => world.press(row.msgid, member(userId), key, sandbox.now()))
    },
    'POST /control/send': async (body) => {
      const { msgid, userId, externalUserIds } = parseInput(Bodies.send, body)
      const only = externalUserIds === undefined ? undefined : new Set(externalUserIds)
      return act('send', () => world.confirm(msgid, member(userId), sandbox.now(), only))
    },
    'POST /control/contacts/add': async (body) => {
      const { name, gender, unionId, ...pair } = parseInput(Bodies.add, body)
      const { userId, externalUserId, addWay, state } = pair
      return act('add', () => {
        world.putContact({ externalUserId, unionId, name: name ?? `顾客 ${externalUserId.slice(-4)}`, gender })
        return world.addContact(
          {
            userId: member(userId),
            externalUserId,
            addWay,
            remarkMobiles: [],
            tagIds: [],
            ...(state === undefined ? {} : { state }),
          },
          sandbox.now(),
        )
      })
    },
    'POST /control/contacts/delete': async (body) => {
      const { userId, externalUserId, by } = parseInput(Bodies.delete, body)
      return act('delete', () => world.deleteContact(member(userId), externalUserId, by, sandbox.now()))
    },
    'POST /control/contacts/edit': async (body) => {
      const { userId, externalUserId, remark, addTags, removeTags } = parseInput(Bodies.edit, body)
      for (const tagId of addTags) {
        if (world.state.get('SELECT 1 FROM tag WHERE tag_id = ?', tagId) === undefined)
          throw new NotFoundError(`no corp tag "${tagId}"`)
      }
      const edit = { addTags, removeTags, ...(remark === undefined ? {} : { remark }) }
      return act('edit', () => world.editContact(member(userId), externalUserId, edit, sandbox.now()))
    },
    'POST /control/fault': async (body) => {
      sandbox.fault(parseInput(Fault, body))
      return { json: { ok: true } }
    },
    'POST /control/tokens/expire': async () => {
      sandbox.expireTokens()
      return { json: { ok: true } }
    },
  }
  return async ({ method, path, key, query, body }) => {
    if (path === '/' && method === 'GET') return { html: page(world, sandbox) }
    if (!path.startsWith('/control/')) return undefined
    if (!isSame(key ?? '', sandbox.controlKey)) {
      throw new WrongControlKeyError('control key missing or wrong: send "Authorization: Bearer <control key>"')
    }
    return routes[`${method} ${path}`]?.(body, query)
  }
}

function isSame(given: string, expected: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(given), digest(expected))
}
