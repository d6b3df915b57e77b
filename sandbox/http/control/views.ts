import { z } from 'zod'
import { parseInput } from '../../../src/parse.js'
import type { ControlParts, ControlRoutes } from './parts.js'

const LOG_PAGE = 1_000

/** What can be looked at. */
export function viewControls({ world, sandbox, clock, faults, callbacks, handler }: ControlParts): ControlRoutes {
  return {
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
      const { calls } = handler()
      return { json: { total: calls.total, byPath: calls.byPath(), last: calls.last() } }
    },
    'GET /control/callbacks': async () => ({ json: { last: callbacks.last } }),
    'GET /control/limits': async () => ({ json: { usage: handler().limiter.usage(clock.now().getTime()) } }),
    'GET /control/apps': async () => ({ json: { apps: [...sandbox.apps, world.identity.contactSync] } }),
    'GET /control/faults': async () => ({ json: { faults: faults.list() } }),
    'GET /control/orders': async (_body, query) => list('orders', query, (after) => sandbox.purchases(after, LOG_PAGE)),
    'GET /control/clicks': async (_body, query) => list('clicks', query, (after) => sandbox.clicks(after, LOG_PAGE)),
    'GET /control/log': async (_body, query) => {
      const skip = parseInput(z.coerce.number().int().min(0).default(0), query.get('skip') ?? undefined, 'skip')
      const messages = sandbox.log(skip).slice(0, LOG_PAGE)
      return { json: { messages, next: skip + messages.length } }
    },
  }
}

/** A page of rows after `?after=`; `next` is what to ask for after it. */
function list(name: string, query: URLSearchParams, read: (after: number) => readonly { seq: number }[]) {
  const after = parseInput(z.coerce.number().int().min(0).default(0), query.get('after') ?? undefined, 'after')
  const rows = read(after)
  return { json: { [name]: rows, next: rows.at(-1)?.seq ?? after } }
}
