import { AppError, ConflictError, InvalidInputError, messageOf, NotFoundError } from '../../src/errors.js'
import type { Log } from '../../src/log.js'
import { intOf } from '../../src/random.js'
import { SECOND_MS } from '../../src/time.js'
import type { World } from '../world/world.js'
import { type Caller, type Endpoint, Refusal, type Reply } from './endpoint.js'
import { allEndpoints, allNeighbours } from './endpoints.js'
import type { Fault, Faults } from './faults.js'
import { Rates } from './rates.js'
import { callerOf } from './tokens.js'

export type SandboxRequest = {
  method: string
  /** Path and query. */
  url: string
  /** Names in lower case. */
  headers: Readonly<Record<string, string | string[] | undefined>>
  body: Buffer
  /** Where the call seems to come from. Default 127.0.0.1. */
  ip?: string
  /** Whoever asked has gone: a call that is never answered ends then. */
  signal?: AbortSignal
}
export type SandboxResponse = { status: number; headers: Record<string, string>; body: Buffer }

export type ControlAnswer = { json: unknown } | { html: string } | undefined
export type HandleParts = {
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
export type Handler = {
  /** Answers one request; `undefined` when the connection is dropped without an answer, whatever took effect. */
  handle: (request: SandboxRequest) => Promise<SandboxResponse | undefined>
  /** Platform calls so far. */
  calls: () => number
}

type Answer = { errcode: number; errmsg: string; reply: Record<string, unknown> }

/** The whole sandbox without sockets: the platform's paths, its neighbours', and the control paths. */
export function createHandler(parts: HandleParts): Handler {
  const { world, limits, faults } = parts
  const endpoints = new Map(Object.entries(allEndpoints(world, limits)))
  const neighbours = allNeighbours(world, limits)
  const rates = new Rates()
  let calls = 0

  return { handle, calls: () => calls }

  async function handle(request: SandboxRequest): Promise<SandboxResponse | undefined> {
    const mark = request.url.indexOf('?')
    const path = mark < 0 ? request.url : request.url.slice(0, mark)
    const query = new URLSearchParams(mark < 0 ? '' : request.url.slice(mark + 1))
    if (path === '/' || path.startsWith('/control/')) return control(parts, request, path, query)
    const endpoint = endpoints.get(path)
    const neighbour = endpoint === undefined ? neighbours.find((n) => n.matches(path)) : undefined
    if (endpoint === undefined && neighbour === undefined) return NOT_FOUND
    calls++
    const fault = faults.take(path)
    if (fault?.kind === 'timeout') return never(request.signal)
    if (fault?.kind === 'html') return PROXY_ERROR
    const response =
      endpoint !== undefined
        ? respond(answer(path, endpoint, query, request, fault), request.ip ?? LOCAL_IP)
        : neighbour!.answer({ ...request, path, query, now: parts.now() })
    return fault?.kind === 'lost_reply' ? undefined : response
  }

  /** Token presence, token validity, frequency, permission, parameters, business rules: in the platform's order. */
  function answer(
    path: string,
    endpoint: Endpoint,
    query: URLSearchParams,
    request: SandboxRequest,
    fault: Fault | undefined,
  ): Answer {
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
      const contentType = textOf(request.headers['content-type'])
      const params = { ...Object.fromEntries(query), ...parseJson(request.body, contentType) }
      delete params['access_token']
      const call = { params, raw: request.body, contentType, caller, now }
      const work = (): Reply => endpoint.handle(call)
      return { errcode: 0, errmsg: 'ok', reply: endpoint.writes === true ? world.write(work) : work() }
    } catch (err) {
      if (err instanceof Refusal) return { errcode: err.errcode, errmsg: err.message, reply: endpoint.empty ?? {} }
      parts.log.error('sandbox endpoint failed', {
        path,
        cause: err instanceof Error ? (err.stack ?? err.message) : String(err),
      })
      return { errcode: -1, errmsg: 'system busy', reply: {} }
    }
  }

  function respond({ errcode, errmsg, reply }: Answer, ip: string): SandboxResponse {
    if (Buffer.isBuffer(reply['content'])) {
      const headers = {
        'content-type': 'application/octet-stream',
        'content-disposition': `attachment; filename="${encodeURIComponent(String(reply['fileName']))}"`,
      }
      return { status: 200, headers, body: reply['content'] }
    }
    if (errcode === 0) {
      return { status: 200, headers: JSON_HEADERS, body: Buffer.from(JSON.stringify({ errcode, errmsg, ...reply })) }
    }
    const text = `${errmsg}, hint: [${hint(parts.now(), calls)}], from ip: ${ip}, more info at https://open.work.weixin.qq.com/devtool/query?e=${errcode}`
    const headers = { ...JSON_HEADERS, 'error-code': String(errcode), 'error-msg': encodeURI(text) }
    return { status: 200, headers, body: Buffer.from(JSON.stringify({ errcode, errmsg: text, ...reply })) }
  }
}

const LOCAL_IP = '127.0.0.1'
const JSON_HEADERS = { 'content-type': 'application/json; charset=UTF-8' }
/** As the platform: nothing. */
const NOT_FOUND: SandboxResponse = { status: 404, headers: {}, body: Buffer.alloc(0) }
const PROXY_ERROR: SandboxResponse = {
  status: 502,
  headers: { 'content-type': 'text/html' },
  body: Buffer.from('<html><head><title>502 Bad Gateway</title></head><body>proxy</body></html>'),
}

/** Silence, until whoever asked gives up. */
function never(signal: AbortSignal | undefined): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) resolve(undefined)
    signal?.addEventListener('abort', () => resolve(undefined), { once: true })
  })
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

async function control(
  parts: HandleParts,
  request: SandboxRequest,
  path: string,
  query: URLSearchParams,
): Promise<SandboxResponse> {
  const key = /^Bearer (.+)$/.exec(textOf(request.headers['authorization']))?.[1] ?? query.get('key') ?? undefined
  try {
    const body = request.body.length === 0 ? {} : (JSON.parse(request.body.toString('utf8')) as unknown)
    const result = await parts.control({ method: request.method, path, key, query, body })
    if (result === undefined) return NOT_FOUND
    if ('html' in result) return textResponse(200, 'text/html; charset=utf-8', result.html)
    return textResponse(200, JSON_HEADERS['content-type'], JSON.stringify(result.json))
  } catch (err) {
    const status = statusOf(err)
    if (status === 500) parts.log.error('sandbox control failed', { path, cause: messageOf(err) })
    const error = err instanceof AppError ? err.code : 'failed'
    return textResponse(status, JSON_HEADERS['content-type'], JSON.stringify({ error, message: messageOf(err) }))
  }
}

function textResponse(status: number, contentType: string, text: string): SandboxResponse {
  return { status, headers: { 'content-type': contentType }, body: Buffer.from(text) }
}

function textOf(header: string | string[] | undefined): string {
  return Array.isArray(header) ? (header[0] ?? '') : (header ?? '')
}

function statusOf(err: unknown): number {
  if (err instanceof InvalidInputError || err instanceof SyntaxError) return 400
  if (err instanceof NotFoundError) return 404
  if (err instanceof ConflictError) return 409
  if (err instanceof AppError && err.code === 'upstream_failed') return 502
  return err instanceof AppError ? 403 : 500
}

/** 10 digits of seconds and 15 more, as replies have shown since 2022. */
function hint(now: Date, n: number): string {
  return `${Math.floor(now.getTime() / SECOND_MS)}${String(intOf(10 ** 15, 'hint', n)).padStart(15, '0')}`
}
