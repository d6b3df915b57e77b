import { PassThrough } from 'node:stream'
import Router from '@koa/router'
import type { Log } from '../../log.js'
import type { OnProgress, OperationDeps, OperationName } from '../../services/runtime/operations.js'
import { operations } from '../../services/runtime/operations.js'
import { beginOperation } from '../../services/runtime/run-operation.js'
import type { PersonQuery } from '../../services/identity/find-person.js'
import { messageOf } from '../../errors.js'
import { SECOND_MS } from '../../time.js'
import { toReply } from '../error-middleware.js'
import { keyIdOf } from '../server.js'

/** So that neither side takes a quiet connection for a dead one. */
const SIGN_OF_LIFE_MS = 10 * SECOND_MS

/**
 * `POST /v1/<operation>` for each of `operations`. A quick one answers its result as JSON; a long one answers lines of
 * JSON: `{"done":n}` as it goes on, then `{"result":…}` or `{"error":…}`.
 */
export function adminRouter(app: OperationDeps, log: Log): Router {
  const router = new Router({ prefix: '/v1' })
  for (const name of Object.keys(operations) as OperationName[]) {
    const { long } = operations[name]
    router.post(`/${name}`, async (ctx) => {
      const work = await beginOperation(app, `key:${keyIdOf(ctx)}`, name, ctx.request.body ?? {})
      if (!long) {
        ctx.body = await work()
        return
      }
      ctx.type = 'application/x-ndjson'
      ctx.body = lines(log, name, work)
    })
  }
  /** The same by GET, for programs that read profiles. */
  router.get('/profiles', async (ctx) => {
    const { after, limit, fields, ...unknown } = ctx.query
    const query = { ...unknown, ...wholes({ after, limit }), ...listOf(fields) }
    ctx.body = await (await beginOperation(app, `key:${keyIdOf(ctx)}`, 'profiles', query))()
  })
  router.get('/profiles/:id', async (ctx) => {
    const { fields, ...unknown } = ctx.query
    const query = { ...unknown, of: personOf(ctx.params.id!), ...listOf(fields) } // the route has it
    ctx.body = await (await beginOperation(app, `key:${keyIdOf(ctx)}`, 'profiles/get', query))()
  })
  return router
}

/** Numbers of a query string; what is none goes on as it is, and is refused with its name. */
function wholes(given: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const named = Object.entries(given).filter(([, value]) => value !== undefined)
  return Object.fromEntries(
    named.map(([name, value]) => [name, typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value]),
  )
}

/** `fields=traits,tags`, or `fields` several times. */
function listOf(fields: string | string[] | undefined): { fields?: string[] } {
  return fields === undefined ? {} : { fields: [fields].flat().flatMap((part) => part.split(',')) }
}

/**
 * `42`, `unionid:oABC`, `openid:<appid>:<value>`, or the value alone. Up to nine digits are a profile's number, whether there is
 * one or not, so that a program gets what it asked for; more are a phone or another identifier.
 */
function personOf(id: string): PersonQuery {
  if (/^[1-9]\d{0,8}$/.test(id)) return { profileId: Number(id) }
  return { value: id }
}

function lines(log: Log, name: string, work: (onProgress: OnProgress) => Promise<unknown>): PassThrough {
  const out = new PassThrough()
  const write = (line: object) => void (out.writable && out.write(`${JSON.stringify(line)}\n`))
  const beat = setInterval(() => write({}), SIGN_OF_LIFE_MS)
  work((done) => write({ done }))
    .then(
      (result) => write({ result }),
      (err: unknown) => {
        const { status, ...error } = toReply(err)
        if (status >= 500) log.error('operation failed', { operation: name, cause: messageOf(err) })
        write({ error })
      },
    )
    .finally(() => {
      clearInterval(beat)
      out.end()
    })
  return out
}
