import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import Koa from 'koa'
import { AppError, ConflictError, InvalidInputError, messageOf, NotFoundError } from '../../src/errors.js'
import type { Log } from '../../src/log.js'
import { intOf } from '../../src/random.js'
import { SECOND_MS } from '../../src/time.js'
import type { World } from '../world/world.js'
import { type Caller, type Endpoint, Refusal, type Reply } from './endpoint.js'
import { allEndpoints } from './endpoints.js'
import type { Fault, Faults } from './faults.js'
import { Rates } from './rates.js'
import { callerOf } from './tokens.js'

/** A request body above this is 40206. */
const MAX_BODY_BYTES = 32 * 1024 * 1024

export type ControlAnswer = { json: unknown } | { html: string } | undefined
export type ServerParts = {
  world: World
  now: () => Date
  limits: boolean
  faults: Faults
  log: Log
  /** Answers what is not the platform's; `undefined` means 404. */
  control: (request: {
    method: string
    path: string
    key: string | undefined
    query: URLSearchParams
    body: unknown
  }) => Promise<ControlAnswer>
}

/** The platform's paths and the control paths on one port of 127.0.0.1. @throws {ConflictError} when the port is taken. */
export async function openServer(
  parts: ServerParts,
  port: number,
): Promise<{ port: number; calls: () => number; close: () => Promise<void> }> {
  const { world, limits } = parts
  const endpoints = allEndpoints(world, limits)
  const rates = new Rates()
  let calls = 0
  const app = new Koa()
  app.on('error', (err: unknown) => parts.log.error('sandbox request failed', { cause: messageOf(err) }))
  app.use(async (ctx) => {
    if (!ctx.path.startsWith('/cgi-bin/')) return control(parts, ctx)
    const endpoint = Object.hasOwn(endpoints, ctx.path) ? endpoints[ctx.path] : undefined
    const raw = await readBody(ctx.req)
    if (endpoint === undefined) {
      ctx.status = 404
      ctx.body = '' // as the platform: nothing
      return
    }
    calls++
    const fault = parts.faults.take(ctx.path)
    if (fault?.kind === 'timeout') {
      ctx.respond = false // the connection stays open until the client gives up
      return
    }
    if (fault?.kind === 'html') {
      ctx.status = 502
      ctx.type = 'text/html'
      ctx.body = '<html><head><title>502 Bad Gateway</title></head><body>proxy</body></html>'
      return
    }
    const query = new URL(ctx.url, 'http://sandbox').searchParams
    const { errcode, errmsg, reply } = answer(
      parts,
      rates,
      ctx.path,
      endpoint,
      query,
      raw,
      ctx.get('Content-Type'),
      fault,
    )
    if (fault?.kind === 'lost_reply') {
      ctx.respond = false
      ctx.req.socket.destroy()
      return
    }
    if (Buffer.isBuffer(reply['content'])) {
      ctx.attachment(String(reply['fileName']))
      ctx.type = 'application/octet-stream'
      ctx.body = reply['content']
      return
    }
    const text =
      errcode === 0
        ? errmsg
        : `${errmsg}, hint: [${hint(parts.now(), calls)}], from ip: 127.0.0.1, more info at https://open.work.weixin.qq.com/devtool/query?e=${errcode}`
    ctx.status = 200
    ctx.set('Content-Type', 'application/json; charset=UTF-8')
    if (errcode !== 0) {
      ctx.set('Error-Code', String(errcode))
      ctx.set('Error-Msg', encodeURI(text))
    }
    ctx.body = JSON.stringify({ errcode, errmsg: text, ...reply })
  })
  const server = createServer((req, res) => void app.callback()(req, res))
  await listen(server, port)
  return {
    port: (server.address() as AddressInfo).port,
    calls: () => calls,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

type Answer = { errcode: number; errmsg: string; reply: Record<string, unknown> }

/** Token presence, token validity, frequency, permission, parameters, business rules: in the platform's order. */
function answer(
  parts: ServerParts,
  rates: Rates,
  path: string,
  endpoint: Endpoint,
  query: URLSearchParams,
  raw: Buffer,
  contentType: string,
  fault: Fault | undefined,
): Answer {
  const { world, limits } = parts
  const now = parts.now()
  try {
    if (fault?.kind === 'errcode') throw new Refusal(fault.errcode, 'injected fault')
    const caller: Caller =
      endpoint.token === false ? 'app' : callerOf(world, query.get('access_token') ?? undefined, now)
    if (limits && endpoint.unlimited !== true && !rates.take(path, now))
      throw new Refusal(45009, 'api freq out of limit')
    const allowed =
      caller === 'app'
        ? endpoint.onlyContactSync !== true
        : endpoint.forContactSync === true || endpoint.onlyContactSync === true
    if (!allowed) throw new Refusal(48002, 'api forbidden')
    const params = { ...Object.fromEntries(query), ...parseJson(raw, contentType) }
    delete params['access_token']
    const handle = (): Reply => endpoint.handle({ params, raw, contentType, caller, now })
    return { errcode: 0, errmsg: 'ok', reply: endpoint.writes === true ? world.write(handle) : handle() }
  } catch (err) {
    if (err instanceof Refusal) return { errcode: err.errcode, errmsg: err.message, reply: endpoint.empty ?? {} }
    parts.log.error('sandbox endpoint failed', {
      path,
      cause: err instanceof Error ? (err.stack ?? err.message) : String(err),
    })
    return { errcode: -1, errmsg: 'system busy', reply: {} }
  }
}

/** The body is JSON whatever its Content-Type says, or without one; only a form with a file is not. */
function parseJson(raw: Buffer, contentType: string): Record<string, unknown> {
  if (raw.length === 0 || contentType.startsWith('multipart/')) return {}
  let data: unknown
  try {
    data = JSON.parse(raw.toString('utf8'))
  } catch {
    throw new Refusal(40058, 'Warning: wrong json format. invalid Request Parameter')
  }
  if (data === null || typeof data !== 'object' || Array.isArray(data))
    throw new Refusal(40058, 'Warning: wrong json format. invalid Request Parameter')
  return data as Record<string, unknown>
}

async function control(parts: ServerParts, ctx: Koa.Context): Promise<void> {
  const query = new URL(ctx.url, 'http://sandbox').searchParams
  const key = /^Bearer (.+)$/.exec(ctx.get('Authorization'))?.[1] ?? query.get('key') ?? undefined
  try {
    const raw = await readBody(ctx.req)
    const result = await parts.control({
      method: ctx.method,
      path: ctx.path,
      key,
      query,
      body: raw.length === 0 ? {} : (JSON.parse(raw.toString('utf8')) as unknown),
    })
    if (result === undefined) return
    if ('html' in result) {
      ctx.type = 'text/html; charset=utf-8'
      ctx.body = result.html
    } else {
      ctx.body = result.json
    }
  } catch (err) {
    ctx.status = statusOf(err)
    ctx.body = { error: err instanceof AppError ? err.code : 'failed', message: messageOf(err) }
    if (ctx.status === 500) parts.log.error('sandbox control failed', { path: ctx.path, cause: messageOf(err) })
  }
}

function statusOf(err: unknown): number {
  if (err instanceof InvalidInputError || err instanceof SyntaxError) return 400
  if (err instanceof NotFoundError) return 404
  if (err instanceof ConflictError) return 409
  if (err instanceof AppError && err.code === 'upstream_failed') return 502
  return err instanceof AppError ? 403 : 500
}

async function readBody(req: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of req as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > MAX_BODY_BYTES) throw new RangeError(`request body above ${MAX_BODY_BYTES} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** 10 digits of seconds and 15 more, as replies have shown since 2022. */
function hint(now: Date, n: number): string {
  return `${Math.floor(now.getTime() / SECOND_MS)}${String(intOf(10 ** 15, 'hint', n)).padStart(15, '0')}`
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (err: NodeJS.ErrnoException) =>
      reject(
        err.code === 'EADDRINUSE'
          ? new ConflictError(
              `port ${port} is in use: stop what listens there or choose another with --port`,
              { port },
              { cause: err },
            )
          : err,
      ),
    )
    server.listen(port, '127.0.0.1', resolve)
  })
}
