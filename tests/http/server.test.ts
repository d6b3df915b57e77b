import { once } from 'node:events'
import { Agent, get as httpGet } from 'node:http'
import { connect, createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from '@jest/globals'
import Router from '@koa/router'
import {
  ConfigError,
  ConflictError,
  InvalidInputError,
  NotFoundError,
  UnknownOutcomeError,
  UpstreamError,
} from '../../src/errors.js'
import { HTTP_BOUNDS } from '../../src/bounds.js'
import { HttpError } from '../../src/http/error-middleware.js'
import { createMetrics } from '../../src/http/metrics.js'
import { createHttpServer, type HttpServer, type HttpServerOptions } from '../../src/http/server.js'
import type { RawRoute } from '../../src/http/raw-routes.js'
import type { Log } from '../../src/log.js'
import { HOUR_MS } from '../../src/time.js'
import { waitUntil } from '../support/wait-until.js'

const KEY = 'test-key-0123456789'
const OTHER_KEY = 'next-key-0123456789'
const WITH_KEY = { Authorization: `Bearer ${KEY}` }

const running = new Set<HttpServer>()
afterEach(async () => {
  await Promise.all([...running].map((server) => server.close()))
  running.clear()
})

async function start(
  routes: (router: Router) => void = () => undefined,
  options: Partial<HttpServerOptions> = {},
): Promise<{ url: string; server: HttpServer; logged: string[] }> {
  const router = new Router()
  routes(router)
  const logged: string[] = []
  const write = (level: string) => (fact: string, fields?: object) =>
    void logged.push(JSON.stringify({ level, fact, ...fields }))
  const log: Log = { info: write('info'), warn: write('warn'), error: write('error') }
  const server = createHttpServer({
    host: '127.0.0.1',
    port: 0,
    apiKeys: [KEY, OTHER_KEY],
    log,
    routes: [router],
    publicRoutes: [],
    health: async () => ({ ready: true, parts: { documents: 'ok' } }),
    metrics: createMetrics(),
    ...options,
  })
  running.add(server)
  const { url } = await server.listen()
  return { url, server, logged }
}

function post(url: string, body: string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(url, { method: 'POST', body, headers: { 'Content-Type': 'application/json', ...headers } })
}

const hello = (router: Router) =>
  router.get('/v1/hello', (ctx) => {
    ctx.body = { hello: true }
  })

describe('keys', () => {
  it.each([
    ['a bearer key', { Authorization: `Bearer ${KEY}` }, 200],
    ['the other key', { Authorization: `bearer ${OTHER_KEY}` }, 200],
    ['X-Api-Key', { 'X-Api-Key': KEY }, 200],
    ['no key', {}, 401],
    ['an empty key', { 'X-Api-Key': '' }, 401],
    ['a wrong key', { 'X-Api-Key': `${KEY}x` }, 401],
    ['another scheme', { Authorization: `Basic ${KEY}` }, 401],
  ])('%s gives %2$s', async (_what, headers, status) => {
    const { url } = await start(hello)
    expect((await fetch(`${url}/v1/hello`, { headers: headers as Record<string, string> })).status).toBe(status)
  })

  it('are asked for on every path but the health ones, known or not', async () => {
    const { url } = await start(hello)
    for (const path of ['/v1/hello', '/metrics', '/nothing', '/v1/hello/']) {
      const reply = await fetch(url + path)
      expect(reply.status).toBe(401)
      expect(await reply.json()).toEqual({
        error: { code: 'unauthorized', message: expect.stringContaining('Authorization: Bearer KEY') },
      })
    }
    expect((await fetch(`${url}/healthz`)).status).toBe(200)
    expect((await fetch(`${url}/readyz`)).status).toBe(200)
  })

  it.each<[string, number, string, (url: string, i: number) => Promise<Response>]>([
    [
      'keys',
      401,
      'request without a key or a session of ours',
      (url, i) => fetch(`${url}/v1/hello`, { headers: { 'X-Api-Key': `guess-${i}` } }),
    ],
    [
      'sessions',
      401,
      'request without a key or a session of ours',
      (url, i) => fetch(`${url}/sidebar`, { headers: { Cookie: `siyu_guide=guess-${i}` } }),
    ],
    [
      'signatures',
      400,
      'callback that WeCom has not signed',
      (url, i) => fetch(`${url}/callback?msg_signature=guess-${i}`),
    ],
  ])(
    '%s that are none are in the log without being shown, and wait where one address tries many',
    async (_what, status, fact, ask) => {
      const sidebar = new Router().get('/sidebar', () => {
        throw new HttpError(401, 'sign_in', 'sign in first')
      })
      const raw: RawRoute = {
        ...{ method: 'GET', path: '/callback' },
        handle: () => {
          throw new InvalidInputError('refused', [{ path: 'msg_signature', message: 'does not fit' }])
        },
      }
      const { url, server, logged } = await start(hello, { publicRoutes: [sidebar], rawRoutes: [raw] })
      const { freeAttempts } = HTTP_BOUNDS.failed
      for (let i = 0; i < freeAttempts; i++) expect((await ask(url, i)).status).toBe(status)
      const lines = () => logged.filter((line) => line.includes(fact))
      expect(lines()).toEqual([
        expect.stringMatching(/"level":"warn".*"from":"[^"]*127\.0\.0\.1".*GET \/.*"attempts":1/),
      ])

      const order: string[] = []
      const late = ask(url, 99).then(({ status }) => order.push(`none ${status}`))
      const ours = () => fetch(`${url}/v1/hello`, { headers: { 'X-Api-Key': KEY } })
      for (let i = 0; i < 3; i++) order.push(`ours ${(await ours()).status}`)
      await late
      expect(order).toEqual(['ours 200', 'ours 200', 'ours 200', `none ${status}`])
      const metrics = await (await fetch(`${url}/metrics`, { headers: WITH_KEY })).text()
      expect(metrics).toMatch(
        new RegExp(`^siyu_http_refused_total\\{by="(key|signature)"\\} ${freeAttempts + 1}$`, 'm'),
      )
      await server.close()
      expect(lines()).toEqual([
        expect.anything(),
        expect.stringContaining(`"attempts":${freeAttempts + 1},"addresses":1,"notShown":${freeAttempts - 1}`),
      ])
      expect(logged.join('')).not.toContain('guess-')
    },
  )

  it('let nobody in when there are none', async () => {
    const { url } = await start(hello, { apiKeys: ['', ''] })
    expect((await fetch(`${url}/v1/hello`)).status).toBe(401)
    expect((await fetch(`${url}/v1/hello`, { headers: { 'X-Api-Key': '' } })).status).toBe(401)
  })
})

describe('public routes', () => {
  const callback = new Router()
  callback.post('/callbacks/wecom', (ctx) => {
    ctx.body = { got: ctx.request.rawBody }
  })

  it.each(['text/xml', 'application/json', undefined])(
    'get the body as it was sent (%s), without a key',
    async (type) => {
      const { url } = await start(hello, { publicRoutes: [callback] })
      const body = '<xml>你好</xml>'
      const headers: Record<string, string> = type === undefined ? {} : { 'Content-Type': type }
      const reply = await fetch(`${url}/callbacks/wecom`, {
        method: 'POST',
        body: new TextEncoder().encode(body),
        headers,
      })
      expect(await reply.json()).toEqual({ got: body })
    },
  )

  it('and raw ones take as much as the bound, and no byte more', async () => {
    const raw: RawRoute = { method: 'POST', path: '/raw', handle: (_query, body) => String(body.length) }
    const { url } = await start(hello, { publicRoutes: [callback], rawRoutes: [raw] })
    const statusOf = async (path: string, bytes: number) => {
      const reply = await post(url + path, 'x'.repeat(bytes))
      await reply.text()
      return reply.status
    }
    expect(await statusOf('/callbacks/wecom', HTTP_BOUNDS.publicBytes)).toBe(200)
    expect(await statusOf('/callbacks/wecom', HTTP_BOUNDS.publicBytes + 1)).toBe(413)
    expect(await statusOf('/raw', HTTP_BOUNDS.callbackBytes)).toBe(200)
    expect(await statusOf('/raw', HTTP_BOUNDS.callbackBytes + 1)).toBe(413)
  })

  it('with a key take as much as their bound, and no byte more', async () => {
    const { url } = await start((router) => {
      router.post('/v1/echo', (ctx) => {
        ctx.body = { chars: (ctx.request.body as { text: string }).text.length }
      })
    })
    const statusOf = async (bytes: number) => {
      const text = 'x'.repeat(bytes - JSON.stringify({ text: '' }).length)
      const reply = await fetch(`${url}/v1/echo`, {
        method: 'POST',
        headers: { ...WITH_KEY, 'Content-Type': 'application/json' },
        body: JSON.stringify({ text }),
      })
      await reply.text()
      return reply.status
    }
    expect(await statusOf(HTTP_BOUNDS.bodyBytes)).toBe(200)
    expect(await statusOf(HTTP_BOUNDS.bodyBytes + 1)).toBe(413)
  })

  it('open nothing else', async () => {
    const { url } = await start(hello, { publicRoutes: [callback] })
    expect((await fetch(`${url}/callbacks/wecom`)).status).toBe(401)
    expect((await fetch(`${url}/v1/hello`)).status).toBe(401)
  })
})

describe('errors', () => {
  it.each([
    ['invalid_input', new InvalidInputError('Bad', [{ path: 'a.b', message: 'wrong', hint: 'mend' }]), 400],
    ['not_found', new NotFoundError('none'), 404],
    ['conflict', new ConflictError('taken'), 409],
    ['bad_config', new ConfigError('broken'), 500],
    ['upstream_failed', new UpstreamError('wecom', '45009', true, 'busy'), 502],
    ['unknown_outcome', new UnknownOutcomeError('wecom', 'no answer'), 502],
  ])('%s becomes its status', async (code, error, status) => {
    const { url } = await start((router) =>
      router.get('/fail', () => {
        throw error
      }),
    )
    const reply = await fetch(`${url}/fail`, { headers: WITH_KEY })
    expect(reply.status).toBe(status)
    expect(await reply.json()).toEqual({
      error: {
        code,
        message: error.message.split('\n')[0],
        ...(error instanceof InvalidInputError && { problems: error.problems }),
      },
    })
  })

  it('nobody foresaw are a 500 that says nothing, and are logged with their cause', async () => {
    const { url, logged } = await start((router) =>
      router.get('/fail', () => {
        throw new Error('outer detail', { cause: new TypeError('inner detail') })
      }),
    )
    const reply = await fetch(`${url}/fail`, { headers: WITH_KEY })
    expect(reply.status).toBe(500)
    expect(await reply.text()).not.toContain('detail')
    expect(logged).toHaveLength(1)
    expect(logged[0]).toContain('Error: outer detail ← TypeError: inner detail')
    expect(logged[0]).toContain('"level":"error"')
  })

  it('of callers are not logged', async () => {
    const { url, logged } = await start(hello)
    expect((await fetch(`${url}/nothing`, { headers: WITH_KEY })).status).toBe(404)
    expect(logged).toEqual([])
  })
})

describe('bodies', () => {
  const echo = (router: Router) =>
    router.post('/echo', (ctx) => {
      ctx.body = { got: ctx.request.body }
    })

  it.each([
    ['no JSON', '{"a":', { ...WITH_KEY }, 400, 'invalid_input'],
    [
      'another type',
      'a=1',
      { ...WITH_KEY, 'Content-Type': 'application/x-www-form-urlencoded' },
      415,
      'unsupported_type',
    ],
    ['too much', JSON.stringify('x'.repeat(10 * 1024 * 1024)), { ...WITH_KEY }, 413, 'too_large'],
  ])('with %s are refused', async (_what, body, headers, status, code) => {
    const { url } = await start(echo)
    const reply = await post(`${url}/echo`, body, headers)
    expect(reply.status).toBe(status)
    expect(await reply.json()).toMatchObject({ error: { code } })
  })

  it.each(['gzip', 'br', 'deflate', 'none'])(
    'that cannot be unpacked (%s), however long, leave their connection to the next requests',
    async (encoding) => {
      const { url } = await start(echo)
      const long = await post(`${url}/echo`, 'x'.repeat(3_000_000), { ...WITH_KEY, 'Content-Encoding': encoding })
      expect([400, 415]).toContain(long.status)
      await long.text()
      for (let i = 0; i < 3; i++) {
        const next = await post(`${url}/echo`, `{"a":${i}}`, WITH_KEY)
        expect(await next.json()).toEqual({ got: { a: i } })
      }
    },
  )

  it.each<[string, Buffer, string, number]>([
    ['GBK that does not say so', Buffer.from('{"a":"\xd5\xc5"}', 'latin1'), 'application/json', 400],
    ['half a character of UTF-8', Buffer.from('{"a":"张"}').subarray(0, -3), 'application/json', 400],
    ['GBK', Buffer.from('{"a":"x"}'), 'application/json; charset=gbk', 415],
    ['UTF-16', Buffer.from('{"a":"x"}', 'utf16le'), 'application/json; charset=utf-16', 415],
    ['UTF-8 with a mark', Buffer.from('\ufeff{"a":"张🎁"}'), 'application/json; charset=UTF-8', 200],
    ['UTF-8 in quotes', Buffer.from('{"a":"张🎁"}'), 'application/json; charset="utf-8"', 200],
  ])('are UTF-8: %s', async (_what, bytes, type, status) => {
    const { url } = await start(echo)
    const headers = { ...WITH_KEY, 'Content-Type': type }
    const reply = await fetch(`${url}/echo`, { method: 'POST', headers, body: new Uint8Array(bytes) })
    expect(reply.status).toBe(status)
    const { got, error } = (await reply.json()) as { got?: object; error?: { message: string } }
    if (status === 200) expect(got).toEqual({ a: '张🎁' })
    else expect(error?.message).toContain('UTF-8')
  })

  it('are parsed', async () => {
    const { url } = await start(echo)
    expect(await (await post(`${url}/echo`, '{"a":[1]}', WITH_KEY)).json()).toEqual({ got: { a: [1] } })
  })
})

describe('health and metrics', () => {
  it('is not ready while a part is down', async () => {
    const { url } = await start(hello, {
      health: async () => ({ ready: false, parts: { documents: 'ok', jobs: 'down' } }),
    })
    const reply = await fetch(`${url}/readyz`)
    expect(reply.status).toBe(503)
    expect(await reply.json()).toEqual({ ready: false, parts: { documents: 'ok', jobs: 'down' } })
    expect((await fetch(`${url}/healthz`)).status).toBe(200)
  })

  it('counts requests by pattern, not by path', async () => {
    const { url } = await start((router) =>
      router.get('/v1/profiles/:id', (ctx) => {
        ctx.body = {}
      }),
    )
    await fetch(`${url}/v1/profiles/17`, { headers: WITH_KEY })
    await fetch(`${url}/v1/profiles/18`, { headers: WITH_KEY })
    const text = await (await fetch(`${url}/metrics`, { headers: WITH_KEY })).text()
    expect(text).toContain('siyu_http_request_seconds_count{method="GET",route="/v1/profiles/:id",status="200"} 2')
    expect(text).toContain('process_cpu_seconds_total')
    expect(text).not.toContain('profiles/17')
  })
})

describe('time', () => {
  it('is up for a handler that does not answer', async () => {
    const { url } = await start((router) => router.get('/slow', () => new Promise(() => undefined)), { timeoutMs: 50 })
    const reply = await fetch(`${url}/slow`, { headers: WITH_KEY })
    expect(reply.status).toBe(503)
    expect(await reply.json()).toMatchObject({ error: { code: 'timeout' } })
  })
})

describe('listen', () => {
  it('names the port that is in use and the field to change', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    const { port } = other.address() as AddressInfo
    try {
      await expect(start(hello, { port })).rejects.toMatchObject({
        code: 'bad_config',
        details: {
          problems: [
            {
              path: 'http.port',
              message: expect.stringContaining(`port ${port} on 127.0.0.1 is already in use`) as unknown,
            },
          ],
        },
      })
    } finally {
      other.close()
    }
  })

  it('names the host that is not of this machine', async () => {
    await expect(start(hello, { host: '192.0.2.1' })).rejects.toMatchObject({
      details: { problems: [{ path: 'http.host' }] },
    })
  })
})

describe('close', () => {
  it('lets a running request end, refuses new ones and drops idle sockets', async () => {
    let release: (() => void) | undefined
    const { url, server, logged } = await start(
      (router) => {
        hello(router)
        router.get('/slow', async (ctx) => {
          await new Promise<void>((resolve) => (release = resolve))
          ctx.body = { done: true }
        })
      },
      { graceMs: HOUR_MS, timeoutMs: HOUR_MS },
    )
    const agent = new Agent({ keepAlive: true })
    await new Promise<void>((resolve) => {
      httpGet(`${url}/healthz`, { agent }, (res) => res.resume().on('end', resolve))
    })
    const silent = connect(Number(new URL(url).port), '127.0.0.1')
    await once(silent, 'connect')
    const slow = fetch(`${url}/slow`, { headers: WITH_KEY })
    await waitUntil(() => release !== undefined, { what: 'the slow request' })

    const closed = server.close()
    await expect(fetch(`${url}/healthz`)).rejects.toThrow()
    release!()
    const reply = await slow
    expect(await reply.json()).toEqual({ done: true })
    expect(reply.headers.get('connection')).toBe('close')
    await closed
    await server.close()
    expect(logged.join('\n')).not.toContain('requests cut at shutdown')
    agent.destroy()
    silent.destroy()
  })

  it('cuts what does not end within the grace period', async () => {
    let leave: (() => void) | undefined
    const { url, server, logged } = await start(
      (router) => router.get('/never', () => new Promise<void>((resolve) => (leave = resolve))),
      { graceMs: 100, timeoutMs: HOUR_MS },
    )
    const never = fetch(`${url}/never`, { headers: WITH_KEY })
    const outcome = expect(never).rejects.toThrow()
    await waitUntil(() => leave !== undefined, { what: 'the request' })
    await server.close()
    await outcome
    expect(logged.join('\n')).toContain('requests cut at shutdown')
    leave!() // or its time limit would keep the process
  })

  it('is fine before listening', async () => {
    const server = createHttpServer({
      host: '127.0.0.1',
      port: 0,
      apiKeys: [KEY],
      log: { info: () => undefined, warn: () => undefined, error: () => undefined },
      routes: [],
      publicRoutes: [],
      health: async () => ({ ready: true, parts: {} }),
      metrics: createMetrics(),
    })
    await expect(server.close()).resolves.toBeUndefined()
  })
})
