import { AppError, messageOf } from '../../../src/errors.js'
import type { Log } from '../../../src/log.js'
import { intOf, unitOf } from '../../../src/random.js'
import { SECOND_MS } from '../../../src/time.js'
import type { SandboxClock } from '../../clock.js'
import type { World } from '../../world/world.js'
import { allNeighbours } from '../wecom/endpoints.js'
import { CallLog } from './call-log.js'
import type { Endpoint, Neighbour } from './endpoint.js'
import type { CallFault, Faults } from './faults.js'
import type { Limiter } from './limits.js'
import { type Answer, Platform } from './platform.js'
import {
  JSON_HEADERS,
  jsonResponse,
  neighbourRefusal,
  NOT_FOUND,
  proxyError,
  type SandboxResponse,
  statusOf,
  textResponse,
} from './responses.js'

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

export type ControlAnswer = { json: unknown } | { html: string } | undefined
export type HandleParts = {
  world: World
  clock: SandboxClock
  limits: boolean
  faults: Faults
  log: Log
  /** After every call that may have changed the world. */
  changed: () => void
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
  calls: CallLog
  limiter: Limiter
  /** Ends every token now. */
  expireTokens: () => void
}

/** A request that goes to the platform or a neighbour of it. */
type Asked = {
  request: SandboxRequest
  path: string
  query: URLSearchParams
  ip: string
  fault: CallFault | undefined
}
type Answered = { response: SandboxResponse; leave?: (() => void) | undefined }

/** Distance of the 99th percentile from the median in standard deviations. */
const Z99 = 2.3263
const LOCAL_IP = '127.0.0.1'

/** The whole sandbox without sockets: the platform's paths, its neighbours', and the control paths. */
export function createHandler(parts: HandleParts): Handler {
  const { world, clock, limits, faults } = parts
  const platform = new Platform(parts)
  const neighbours = allNeighbours(world, limits)
  const calls = new CallLog()

  return { handle, calls, limiter: platform.limiter, expireTokens: () => platform.expireTokens() }

  async function handle(request: SandboxRequest): Promise<SandboxResponse | undefined> {
    const mark = request.url.indexOf('?')
    const path = mark < 0 ? request.url : request.url.slice(0, mark)
    const query = new URLSearchParams(mark < 0 ? '' : request.url.slice(mark + 1))
    if (path === '/' || path.startsWith('/control/')) return control(parts, request, path, query)
    const neighbour = neighbours.find((n) => n.matches(path, query))
    const endpoint = neighbour === undefined ? platform.endpoint(path) : undefined
    if (endpoint === undefined && neighbour === undefined) return NOT_FOUND
    const nth = calls.begin(path)
    const fault = faults.take(path, nth)
    const asked: Asked = { request, path, query, ip: request.ip ?? LOCAL_IP, fault }
    if (fault?.kind === 'timeout' || fault?.kind === 'reset' || fault?.kind === 'html') {
      note(asked)
      if (fault.kind === 'timeout') return never(request.signal)
      return fault.kind === 'reset' ? undefined : proxyError(fault.status)
    }
    // Without an endpoint there is a neighbour.
    const { response, leave } = endpoint === undefined ? askNeighbour(asked, neighbour!) : askPlatform(asked, endpoint)
    parts.changed()
    const delayMs = latencyMs(world, clock, path, nth) + (fault?.kind === 'slow' ? fault.ms : 0)
    if (delayMs > 0) await clock.sleep(delayMs, request.signal)
    leave?.()
    if (fault?.kind === 'truncated') return { ...response, body: response.body.subarray(0, response.body.length >> 1) }
    return fault?.kind === 'lost_reply' ? undefined : response
  }

  function askNeighbour(asked: Asked, neighbour: Neighbour): Answered {
    const { request, path, query, fault } = asked
    const response =
      fault?.kind === 'errcode'
        ? neighbourRefusal(path, fault.errcode)
        : neighbour.answer({ ...request, path, query, now: platform.now(), speed: clock.speed })
    note(asked)
    return { response }
  }

  function askPlatform(asked: Asked, endpoint: Endpoint): Answered {
    const { headers, body } = asked.request
    const answer = platform.answer({ ...asked, contentType: textOf(headers['content-type']), body }, endpoint)
    const response = respond(answer, asked.ip, () => hint(clock.now(), calls.total))
    note(asked, answer)
    return { response, leave: answer.leave }
  }

  function note({ path, ip, fault }: Asked, answer?: Answer): void {
    calls.end(
      {
        at: clock.now(),
        app: answer?.app.name ?? '',
        ip,
        path,
        ...(answer === undefined ? {} : { errcode: answer.errcode }),
        ...(fault === undefined ? {} : { fault: fault.kind }),
      },
      answer?.insideBlock === true,
    )
  }
}

/** Drawn per call of a path: log-normal with the scenario's median and 99th percentile. */
function latencyMs({ seed, scenario: { latency } }: World, clock: SandboxClock, path: string, nth: number): number {
  if (latency === undefined || clock.kind === 'step') return 0
  const sigma = Math.log(latency.p99Ms / latency.p50Ms) / Z99
  return latency.p50Ms * Math.exp(sigma * normalOf(seed, 'latency', path, nth))
}

function respond({ errcode, errmsg, reply }: Answer, ip: string, hinted: () => string): SandboxResponse {
  if (Buffer.isBuffer(reply['content'])) {
    const headers = {
      'content-type': 'application/octet-stream',
      'content-disposition': `attachment; filename="${encodeURIComponent(String(reply['fileName']))}"`,
    }
    return { status: 200, headers, body: reply['content'] }
  }
  const text =
    errcode === 0
      ? errmsg
      : `${errmsg}, hint: [${hinted()}], from ip: ${ip}, more info at https://open.work.weixin.qq.com/devtool/query?e=${errcode}`
  const headers =
    errcode === 0
      ? JSON_HEADERS
      : { ...JSON_HEADERS, 'error-code': String(errcode), 'error-msg': encodeURI(Buffer.from(text).toString()) }
  return { status: 200, headers, body: Buffer.from(JSON.stringify({ errcode, errmsg: text, ...reply })) }
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
    return jsonResponse(200, result.json)
  } catch (err) {
    const status = statusOf(err)
    if (status === 500) parts.log.error('sandbox control failed', { path, cause: messageOf(err) })
    const error = err instanceof AppError ? err.code : 'failed'
    return jsonResponse(status, { error, message: messageOf(err) })
  }
}

/** Standard normal from two uniform draws (Box and Muller). */
function normalOf(...parts: readonly (string | number)[]): number {
  const radius = Math.sqrt(-2 * Math.log(1 - unitOf(...parts, 'radius')))
  return radius * Math.cos(2 * Math.PI * unitOf(...parts, 'angle'))
}

/** Silence, until whoever asked gives up. */
function never(signal: AbortSignal | undefined): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) resolve(undefined)
    signal?.addEventListener('abort', () => resolve(undefined), { once: true })
  })
}

function textOf(header: string | string[] | undefined): string {
  return Array.isArray(header) ? (header[0] ?? '') : (header ?? '')
}

/** 10 digits of seconds and 15 more, as replies have shown since 2022. */
function hint(now: Date, n: number): string {
  return `${Math.floor(now.getTime() / SECOND_MS)}${String(intOf(10 ** 15, 'hint', n)).padStart(15, '0')}`
}
