import { createHash, timingSafeEqual } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { bodyParser } from '@koa/bodyparser'
import Router from '@koa/router'
import Koa, { type Middleware } from 'koa'
import { Histogram, type Registry } from 'prom-client'
import { said } from '../said.js'
import { ConfigError, messageOf, NotFoundError } from '../errors.js'
import type { Log } from '../log.js'
import { parseJson } from '../parse.js'
import { elapsedMs, SECOND_MS } from '../time.js'
import { HTTP_BOUNDS } from '../bounds.js'
import { FailedAttempts } from './failed-attempts.js'
import { proofRoute } from './local-key.js'
import { errorMiddleware, HttpError, toReply } from './error-middleware.js'
import { type RawRoute, serveRaw } from './raw-routes.js'

/**
 * Whether requests can be served now, and by part; `still`: it makes no progress. Anyone may read it, so a part says no more
 * than that.
 */
export type Health = { ready: boolean; parts: Readonly<Record<string, 'ok' | 'down' | 'still'>> }

export type HttpServerOptions = {
  host: string
  /** 0 picks a free port. */
  port: number
  /** Each of them opens every API path. */
  apiKeys: readonly string[]
  /** One more of them, for commands of this machine; it is shown to be here before they send it. */
  localKey?: string
  log: Log
  /** Ask for a key; JSON bodies are in `ctx.request.body`. */
  routes: readonly Router[]
  /** Ask for no key, so they check who calls themselves. The body is text, of whatever type, in `ctx.request.rawBody`. */
  publicRoutes: readonly Router[]
  /** Served before everything else, without the layers that the other routes pass through. */
  rawRoutes?: readonly RawRoute[]
  health: () => Promise<Health>
  metrics: Registry
  /** For a handler to answer; default 30,000. */
  timeoutMs?: number
  /** For requests that run when the server closes; default 10,000. */
  graceMs?: number
}

export interface HttpServer {
  /** @throws {ConfigError} when the address cannot be used, naming host, port and field */
  listen(): Promise<{ url: string }>
  /** Every route it serves, as `POST /v1/records`. */
  readonly routes: readonly string[]
  /** Accepts nothing new, lets running requests end, then cuts what is left. May be called twice. */
  close(): Promise<void>
}

export function createHttpServer(options: HttpServerOptions): HttpServer {
  const { host, port, log, timeoutMs = HTTP_BOUNDS.answerMs, graceMs = 10 * SECOND_MS } = options
  let closing: Promise<void> | undefined

  const app = new Koa()
  app.on('error', (err: NodeJS.ErrnoException) => {
    // The caller went away: nobody is left to be helped.
    if (err.code === 'ECONNRESET' || err.code === 'EPIPE') return
    log.error('response failed', { cause: messageOf(err) })
  })
  const seconds = requestSeconds(options.metrics)
  app.use(measure(seconds))
  app.use(async (ctx, next) => {
    ctx.set('X-Content-Type-Options', 'nosniff')
    await next()
    if (closing !== undefined) ctx.set('Connection', 'close')
  })
  app.use(errorMiddleware(log))
  const failed = new FailedAttempts(log, options.metrics)
  app.use(noteRefused(failed))
  app.use(timeLimit(timeoutMs))
  const health = healthRoutes(options.health, () => closing !== undefined)
  app.use(health.routes())
  const proof = options.localKey === undefined ? [] : [proofRoute(options.localKey)]
  for (const router of proof) app.use(router.routes())
  for (const router of options.publicRoutes) app.use(asText(router))
  app.use(requireKey([...options.apiKeys, options.localKey ?? '']))
  const metrics = metricsRoute(options.metrics)
  app.use(metrics.routes())
  app.use(jsonBody())
  for (const router of options.routes) app.use(router.routes())
  app.use((ctx) => {
    throw new NotFoundError(said(`没有 ${ctx.method} ${ctx.path}`, `there is no ${ctx.method} ${ctx.path}`))
  })

  const handle = app.callback()
  const server = createServer((req, res) => {
    busy.add(req.socket)
    res.once('close', () => busy.delete(req.socket))
    const startedMs = elapsedMs()
    const raw = serveRaw(options.rawRoutes ?? [], req, res, { log, failed })
    if (raw === undefined) {
      void handle(req, res)
      return
    }
    if (closing !== undefined) res.setHeader('Connection', 'close')
    void raw.done.finally(() => {
      const { method, path: route } = raw.route
      seconds.observe({ method, route, status: res.statusCode }, (elapsedMs() - startedMs) / SECOND_MS)
    })
  })
  server.requestTimeout = HTTP_BOUNDS.requestMs
  server.headersTimeout = HTTP_BOUNDS.headersMs
  const sockets = new Set<Socket>()
  const busy = new Set<Socket>()
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })

  const routers = [health, ...proof, metrics, ...options.publicRoutes, ...options.routes]
  return {
    routes: [
      ...routers.flatMap(({ stack }) =>
        stack.flatMap(({ methods, path }) => methods.map((m) => `${m} ${String(path)}`)),
      ),
      ...(options.rawRoutes ?? []).map(({ method, path }) => `${method} ${path}`),
    ].filter((route) => !route.startsWith('HEAD ')),
    listen: async () => {
      await new Promise<void>((resolve, reject) => {
        server.once('error', (err: NodeJS.ErrnoException) => reject(listenError(err, host, port)))
        server.listen(port, host, resolve)
      })
      const { port: boundPort } = server.address() as AddressInfo
      return { url: `http://${host.includes(':') ? `[${host}]` : host}:${boundPort}` }
    },
    close: () => {
      closing ??= new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => {
          log.warn('requests cut at shutdown', { requests: busy.size })
          server.closeAllConnections()
        }, graceMs)
        server.close((err) => {
          clearTimeout(timer)
          failed.close()
          // A server that never listened has nothing to close.
          if (err !== undefined && (err as NodeJS.ErrnoException).code !== 'ERR_SERVER_NOT_RUNNING') reject(err)
          else resolve()
        })
        for (const socket of sockets) if (!busy.has(socket)) socket.destroy()
      })
      return closing
    },
  }
}

function listenError(err: NodeJS.ErrnoException, host: string, port: number): Error {
  const [path, message, hint] =
    err.code === 'EADDRINUSE'
      ? [
          'http.port',
          said(`${host} 的端口 ${port} 已被占用`, `port ${port} on ${host} is already in use`),
          said(
            '停掉占用它的程序，或换一个端口（http.port、--port）',
            'stop the program that uses it, or choose another port (http.port, --port)',
          ),
        ]
      : err.code === 'EACCES'
        ? [
            'http.port',
            said(`${host} 的端口 ${port} 需要更高的权限`, `port ${port} on ${host} needs more rights`),
            said('换一个 1023 以上的端口（http.port、--port）', 'choose a port above 1023 (http.port, --port)'),
          ]
        : [
            'http.host',
            said(
              `不能在 ${host}:${port} 监听（${err.code ?? err.message}）`,
              `cannot listen on ${host}:${port} (${err.code ?? err.message})`,
            ),
            said('用本机的地址（http.host）', 'use an address of this machine (http.host)'),
          ]
  return new ConfigError(said('HTTP 服务启动不了', 'HTTP server cannot start'), [{ path, message, hint }], {
    cause: err,
  })
}

type RequestSeconds = Histogram<'method' | 'route' | 'status'>

function requestSeconds(registry: Registry): RequestSeconds {
  return new Histogram({
    name: 'siyu_http_request_seconds',
    help: 'Time to answer HTTP requests',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.005, 0.02, 0.1, 0.5, 2, 10, 30],
    registers: [registry],
  })
}

function measure(seconds: RequestSeconds): Middleware {
  return async (ctx, next) => {
    const startedMs = elapsedMs()
    await next()
    // The pattern, never the path: paths are endless and may hold ids.
    const { _matchedRoute: route } = ctx as { _matchedRoute?: string | RegExp }
    const labels = { method: ctx.method, route: String(route ?? 'none'), status: ctx.status }
    seconds.observe(labels, (elapsedMs() - startedMs) / SECOND_MS)
  }
}

/** Answers in time even if a handler does not; what the handler still does is not undone. */
function timeLimit(timeoutMs: number): Middleware {
  return async (_ctx, next) => {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(
        () =>
          reject(
            new HttpError(503, 'timeout', `no answer within ${timeoutMs / SECOND_MS} s: it may still take effect`),
          ),
        timeoutMs,
      )
    })
    try {
      await Promise.race([next(), late])
    } finally {
      clearTimeout(timer)
    }
  }
}

function healthRoutes(health: () => Promise<Health>, isClosing: () => boolean): Router {
  const router = new Router()
  router.get('/healthz', (ctx) => {
    ctx.body = { status: 'ok' }
  })
  router.get('/readyz', async (ctx) => {
    const { ready, parts } = await health()
    const isReady = ready && !isClosing()
    ctx.status = isReady ? 200 : 503
    ctx.body = { ready: isReady, parts }
  })
  return router
}

function metricsRoute(registry: Registry): Router {
  const router = new Router()
  router.get('/metrics', async (ctx) => {
    ctx.type = registry.contentType
    ctx.body = await registry.metrics()
  })
  return router
}

/** Of the key that a request came with, as the audit names it: the first 8 digits of its SHA-256. */
export function keyIdOf({ state }: { state: unknown }): string {
  const { keyId } = state as { keyId?: string }
  if (keyId === undefined) throw new RangeError('this route is not behind a key')
  return keyId
}

/**
 * Whoever was refused by a route for want of a key or a session is in the log, and waits for the answer the longer the more often
 * the address tries. Who has one waits for nobody.
 */
function noteRefused(failed: FailedAttempts): Middleware {
  return async (ctx, next) => {
    try {
      await next()
    } catch (err) {
      if ([401, 403].includes(toReply(err).status)) await failed.note(ctx.ip, 'key', `${ctx.method} ${ctx.path}`)
      throw err
    }
  }
}

/** Lets a request with one of the keys through, answers 401 to any other. */
export function requireKey(apiKeys: readonly string[]): Middleware {
  const digests = apiKeys.filter((key) => key !== '').map(digestOf)
  return async (ctx, next) => {
    const given = /^Bearer\s+(\S+)$/i.exec(ctx.get('Authorization'))?.[1] ?? ctx.get('X-Api-Key')
    // Digests have one length, and every key is compared: the time taken tells nothing.
    const digest = digestOf(given)
    const matches = digests.filter((known) => timingSafeEqual(known, digest))
    if (matches.length === 0) {
      const what = given === '' ? 'an API key is needed' : 'this API key is not known'
      throw new HttpError(
        401,
        'unauthorized',
        `${what}: send one of http.apiKeys as "Authorization: Bearer KEY" or "X-Api-Key: KEY"`,
      )
    }
    ;(ctx.state as { keyId?: string }).keyId = digest.toString('hex').slice(0, 8)
    await next()
  }
}

function digestOf(key: string): Buffer {
  return createHash('sha256').update(key).digest()
}

/** Reads a body as text. What cannot be unpacked was sent so: of that the parsers' errors have no status. */
function unpacking(options: { extendTypes: { text: string[] }; textLimit: string }): Middleware {
  // As bytes, one a character: what they stand for is seen below.
  const parse = bodyParser({ enableTypes: ['text'], encoding: 'latin1', ...options })
  return async (ctx, next) => {
    let isRead = false
    try {
      await parse(ctx, async () => {
        isRead = true
        const { body: bytes, charset } = ctx.request
        if (typeof bytes === 'string') ctx.request.body = ctx.request.rawBody = toText(bytes, charset)
        await next()
      })
    } catch (err) {
      if (isRead) throw err
      // What is left of the body would stand before the next request on the connection, which would wait in vain.
      ctx.req.resume()
      if ((err as { status?: unknown }).status !== undefined) throw err
      throw new HttpError(400, 'invalid_input', `request body cannot be unpacked (${messageOf(err)}): send it again`)
    }
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** Bytes of another encoding would become other words, and nobody would notice. */
function toText(bytes: string, charset: string): string {
  if (!['', 'utf-8', 'utf8', 'us-ascii'].includes(charset.toLowerCase()))
    throw new HttpError(
      415,
      'unsupported_type',
      `the body must be UTF-8, not ${charset.slice(0, 40)}: send it as UTF-8`,
    )
  try {
    return utf8.decode(Buffer.from(bytes, 'latin1'))
  } catch {
    throw new HttpError(400, 'invalid_input', 'request body cannot be read: it is not UTF-8, send it as UTF-8')
  }
}

/** Read as text first: what numbers stand for is told by `parseJson`, and what names stand for by who takes them. */
function jsonBody(): Middleware {
  const parse = unpacking({ extendTypes: { text: ['json', '+json'] }, textLimit: `${HTTP_BOUNDS.bodyBytes}b` })
  return async (ctx, next) => {
    if (ctx.is('json', '+json') === false) {
      throw new HttpError(415, 'unsupported_type', 'the body must be JSON: send "Content-Type: application/json"')
    }
    await parse(ctx, async () => {
      const { body } = ctx.request
      if (typeof body === 'string') ctx.request.body = body === '' ? {} : readJson(body)
      await next()
    })
  }
}

function readJson(body: string): unknown {
  try {
    return parseJson(body)
  } catch (err) {
    throw new HttpError(400, 'invalid_input', `request body cannot be read: ${messageOf(err)}`)
  }
}

/** A router behind a parser that reads any body as text, and only for paths of that router. */
function asText(router: Router): Middleware {
  const parse = unpacking({ extendTypes: { text: ['*/*'] }, textLimit: `${HTTP_BOUNDS.publicBytes}b` })
  const routes = router.routes()
  return async (ctx, next) => {
    if (!router.match(ctx.path, ctx.method).route) {
      await next()
      return
    }
    // The parser needs a type to go by; a caller may send none.
    ctx.req.headers['content-type'] ??= 'text/plain'
    await parse(ctx, async () => {
      await routes(ctx as Parameters<typeof routes>[0], next)
    })
  }
}
