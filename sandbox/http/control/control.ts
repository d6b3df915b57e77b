import { createHash, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import { AppError, ConflictError, NotFoundError } from '../../../src/errors.js'
import { parseInput } from '../../../src/parse.js'
import type { App } from '../../identity.js'
import { AppSettings } from '../../switches.js'
import { clientControls } from './clients.js'
import { customerControls } from './customers.js'
import { messagingControls } from './messaging.js'
import { Fault } from '../core/faults.js'
import type { HandleParts } from '../core/handle.js'
import { page } from './page.js'
import type { ControlParts, ControlRoutes } from './parts.js'
import { viewControls } from './views.js'
import { payControls } from '../pay/control.js'
import { weixinControls } from '../weixin/control.js'

class WrongControlKeyError extends AppError {
  readonly code = 'wrong_control_key'
}

const Instant = z.iso.datetime({ offset: true }).transform((text) => new Date(text))
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
}

/** What people do in their clients, the clock, faults and a view of it all: nothing here exists on the real platform. */
export function controlRoutes(parts: ControlParts): HandleParts['control'] {
  const { world, sandbox } = parts
  const routes: ControlRoutes = {
    ...customerControls({ world, apps: sandbox.apps, now: sandbox.now, act: parts.act }),
    ...messagingControls({ world, now: sandbox.now, act: parts.act }),
    ...viewControls(parts),
    ...clientControls(parts),
    ...adminControls(parts),
    ...payControls(world, () => sandbox.now(), parts.act),
    ...weixinControls(world, () => sandbox.now()),
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

/** The clock, faults, and what an administrator sets. */
function adminControls({ sandbox, clock, faults }: ControlParts): ControlRoutes {
  return {
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
    'POST /control/fault': async (body) => {
      sandbox.fault(parseInput(Fault, body))
      return { json: { ok: true } }
    },
    'POST /control/faults/clear': async () => {
      faults.clear()
      return { json: { ok: true } }
    },
    'POST /control/tokens/expire': async () => {
      sandbox.expireTokens()
      return { json: { ok: true } }
    },
  }
}

function isSame(given: string, expected: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(given), digest(expected))
}
