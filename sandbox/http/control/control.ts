import { createHash, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import { AppError, ConflictError, NotFoundError } from '../../../src/errors.js'
import { parseInput } from '../../../src/parse.js'
import type { App } from '../../identity.js'
import { AppSettings } from '../../switches.js'
import { customerControls } from './customers.js'
import { messagingControls } from './messaging.js'
import { Fault } from '../core/faults.js'
import type { HandleParts } from '../core/handle.js'
import { page } from './page.js'
import type { ControlParts } from './parts.js'
import { payControls } from '../pay/control.js'
import { weixinControls } from '../weixin/control.js'

class WrongControlKeyError extends AppError {
  readonly code = 'wrong_control_key'
}

const Instant = z.iso.datetime({ offset: true }).transform((text) => new Date(text))
const Pair = { userId: z.string(), externalUserId: z.string() }
const LOG_PAGE = 1_000

const Bodies = {
  advance: z.union([z.strictObject({ to: Instant }), z.strictObject({ byMs: z.int().min(1) })]),
  callback: z.strictObject({ url: z.url(), app: z.string().optional() }),
  verify: z.strictObject({ app: z.string().optional() }),
  app: AppSettings.pick({ name: true }).extend({
    disabled: z.boolean().optional(),
    customerContact: z.boolean().optional(),
    trustedIps: z.array(z.string()).nullable().optional(),
    visible: AppSettings.shape.visible.nullable(),
  }),
  press: z.strictObject({
    taskId: z.string(),
    userId: z.string(),
    key: z.string(),
    selected: z.record(z.string(), z.array(z.string())).default({}),
  }),
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

/** What people do in their clients, the clock, faults and a view of it all: nothing here exists on the real platform. */
export function controlRoutes(parts: ControlParts): HandleParts['control'] {
  const { world, sandbox, clock, faults, callbacks } = parts
  const member = (userId: string): string => {
    const found = world.member(userId)
    if (found === undefined) throw new NotFoundError(`no member "${userId}" in the scenario`)
    return found.userId
  }
  /** One human action; its callbacks are on their way when it is answered. */
  const act = async (what: string, work: () => boolean): Promise<{ json: unknown }> => {
    if (!world.write(work)) throw new ConflictError(`${what}: nothing to do, it is not there or was done already`)
    await parts.act()
    return { json: { ok: true } }
  }
  const routes: Record<string, (body: unknown, query: URLSearchParams) => Promise<{ json: unknown }>> = {
    ...customerControls({ world, apps: sandbox.apps, now: sandbox.now, act: parts.act }),
    ...messagingControls({ world, now: sandbox.now, act: parts.act }),
    'GET /control/state': async () => ({
      json: {
        now: sandbox.now(),
        clock: { kind: clock.kind, speed: clock.speed },
        nextAt: sandbox.nextAt() ?? null,
        corpId: sandbox.corpId,
        counts: sandbox.counts(),
        eventLog: sandbox.eventLog(),
      },
    }),
    'GET /control/calls': async () => {
      const { calls } = parts.handler()
      return { json: { total: calls.total, byPath: calls.byPath(), last: calls.last() } }
    },
    'GET /control/callbacks': async () => ({ json: { last: callbacks.last } }),
    'GET /control/limits': async () => ({ json: { usage: parts.handler().limiter.usage(clock.now().getTime()) } }),
    'GET /control/apps': async () => ({ json: { apps: [...sandbox.apps, world.identity.contactSync] } }),
    'POST /control/apps': async (body) => {
      const { name, disabled, customerContact, trustedIps, visible } = parseInput(Bodies.app, body)
      const app: App | undefined = sandbox.apps.find((a) => a.name === name)
      if (app === undefined) throw new NotFoundError(`no app "${name}" in the scenario`)
      if (disabled !== undefined) app.disabled = disabled
      if (customerContact !== undefined) app.customerContact = customerContact
      if (trustedIps !== undefined) app.trustedIps = trustedIps ?? undefined
      if (visible !== undefined) app.visible = visible ?? undefined
      return { json: { ok: true } }
    },
    'GET /control/orders': async (_body, query) => list('orders', query, (after) => sandbox.purchases(after, LOG_PAGE)),
    'GET /control/clicks': async (_body, query) => list('clicks', query, (after) => sandbox.clicks(after, LOG_PAGE)),
    'GET /control/log': async (_body, query) => {
      const skip = parseInput(z.coerce.number().int().min(0).default(0), query.get('skip') ?? undefined, 'skip')
      const messages = sandbox.log(skip).slice(0, LOG_PAGE)
      return { json: { messages, next: skip + messages.length } }
    },
    'POST /control/advance': async (body) => {
      const advance = parseInput(Bodies.advance, body)
      if (clock.kind !== 'step')
        throw new ConflictError(`the clock is ${clock.kind}: only --clock step can be advanced`)
      await sandbox.advanceTo('to' in advance ? advance.to : new Date(sandbox.now().getTime() + advance.byMs))
      return { json: { now: sandbox.now(), nextAt: sandbox.nextAt() ?? null } }
    },
    'POST /control/callback': async (body) => {
      const { url, app } = parseInput(Bodies.callback, body)
      sandbox.setCallbackUrl(url, app)
      return { json: { ok: true } }
    },
    'POST /control/callback/verify': async (body) => {
      const problem = await sandbox.verifyCallbackUrl(parseInput(Bodies.verify, body).app)
      return { json: problem === undefined ? { ok: true } : { ok: false, problem } }
    },
    'POST /control/press': async (body) => {
      const { taskId, userId, key, selected } = parseInput(Bodies.press, body)
      const row = world.state.get<{ msgid: string }>('SELECT msgid FROM app_message WHERE task_id = ?', taskId)
      if (row === undefined) throw new NotFoundError(`no card with task_id "${taskId}"`)
      return act('press', () => world.cards.press(row.msgid, member(userId), key, sandbox.now(), selected))
    },
    'POST /control/send': async (body) => {
      const { msgid, userId, externalUserIds } = parseInput(Bodies.send, body)
      const only = externalUserIds === undefined ? undefined : new Set(externalUserIds)
      return act('send', () => world.sending.confirm(msgid, member(userId), sandbox.now(), only))
    },
    'POST /control/contacts/add': async (body) => {
      const { name, gender, unionId, ...pair } = parseInput(Bodies.add, body)
      const { userId, externalUserId, addWay, state } = pair
      return act('add', () => {
        world.relations.putContact({
          externalUserId,
          unionId,
          name: name ?? `顾客 ${externalUserId.slice(-4)}`,
          gender,
        })
        return world.relations.add(
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
      return act('delete', () => world.relations.delete(member(userId), externalUserId, by, sandbox.now()))
    },
    'POST /control/contacts/edit': async (body) => {
      const { userId, externalUserId, remark, addTags, removeTags } = parseInput(Bodies.edit, body)
      for (const tagId of addTags) {
        if (world.state.get('SELECT 1 FROM tag WHERE tag_id = ?', tagId) === undefined)
          throw new NotFoundError(`no corp tag "${tagId}"`)
      }
      const edit = { addTags, removeTags, ...(remark === undefined ? {} : { remark }) }
      return act('edit', () => world.relations.edit(member(userId), externalUserId, edit, sandbox.now()))
    },
    'POST /control/fault': async (body) => {
      sandbox.fault(parseInput(Fault, body))
      return { json: { ok: true } }
    },
    'GET /control/faults': async () => ({ json: { faults: faults.list() } }),
    'POST /control/faults/clear': async () => {
      faults.clear()
      return { json: { ok: true } }
    },
    'POST /control/tokens/expire': async () => {
      sandbox.expireTokens()
      return { json: { ok: true } }
    },
    ...payControls(world, () => sandbox.now(), parts.act),
    ...weixinControls(world, () => sandbox.now()),
  }
  /** A page of rows after `?after=`; `next` is what to ask for after it. */
  function list(name: string, query: URLSearchParams, read: (after: number) => readonly { seq: number }[]) {
    const after = parseInput(z.coerce.number().int().min(0).default(0), query.get('after') ?? undefined, 'after')
    const rows = read(after)
    return { json: { [name]: rows, next: rows.at(-1)?.seq ?? after } }
  }
  return async ({ method, path, key, query, body }) => {
    if (path === '/' && method === 'GET') {
      const mayAct = isSame(key ?? '', sandbox.controlKey)
      return { html: page({ ...parts, mayAct }, query) }
    }
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
