import { AppError, ConflictError, InvalidInputError, messageOf, NotFoundError } from '../../../src/errors.js'
import type { Log } from '../../../src/log.js'
import { intOf, unitOf } from '../../../src/random.js'
import { SECOND_MS } from '../../../src/time.js'
import type { SandboxClock } from '../../clock.js'
import type { App } from '../../identity.js'
import type { World } from '../../world/world.js'
import { CallLog } from './call-log.js'
import { type Call, type Endpoint, Refusal, type Reply } from './endpoint.js'
import { allEndpoints, allNeighbours } from '../wecom/endpoints.js'
import type { CallFault, Faults } from './faults.js'
import { parseBody } from './json.js'
import { Bans, Lanes, Limiter } from './limits.js'
import { openTokens } from '../wecom/tokens.js'
import { checkNamed, visibleReply } from '../wecom/visibility.js'

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

/** What went out for one call. */
type Answer = {
  errcode: number
  errmsg: string
  reply: Record<string, unknown>
  app?: App
  insideBlock?: boolean
  /** Ends the call's stay in its lanes. */
  leave?: () => void
}

/** Edits of one customer, which must not overlap. */
const EDITS = new Set(['/cgi-bin/externalcontact/mark_tag', '/cgi-bin/externalcontact/remark'])
/** Refusals that say nothing against the caller's request, so they do not lead to a ban. */
const BLAMELESS = new Set([-1, 45009, 45033, 45035])
/** Distance of the 99th percentile from the median in standard deviations. */
const Z99 = 2.3263

/** The whole sandbox without sockets: the platform's paths, its neighbours', and the control paths. */
export function createHandler(parts: HandleParts): Handler {
  const { world, clock, limits, faults } = parts
  const { seed, scenario, identity } = world
  const { behaviour } = scenario
  const tokens = openTokens(world)
  const endpoints = new Map(Object.entries({ ...tokens.endpoints, ...allEndpoints(world, limits) }))
  const neighbours = allNeighbours(world, limits)
  const limiter = new Limiter(seed, behaviour.window, scenario.otherApps)
  const lanes = new Lanes(scenario.limits)
  const bans = new Bans(scenario.limits)
  const edited = new Set<string>()
  const calls = new CallLog()

  return { handle, calls, limiter, expireTokens: () => tokens.expire(platformNow()) }

  function platformNow(): Date {
    return faults.skewMs === 0 ? clock.now() : new Date(clock.now().getTime() + faults.skewMs)
  }

  async function handle(request: SandboxRequest): Promise<SandboxResponse | undefined> {
    const mark = request.url.indexOf('?')
    const path = mark < 0 ? request.url : request.url.slice(0, mark)
    const query = new URLSearchParams(mark < 0 ? '' : request.url.slice(mark + 1))
    if (path === '/' || path.startsWith('/control/')) return control(parts, request, path, query)
    const neighbour = neighbours.find((n) => n.matches(path, query))
    const endpoint = neighbour === undefined ? endpoints.get(path) : undefined
    if (endpoint === undefined && neighbour === undefined) return NOT_FOUND
    const nth = calls.begin(path)
    const fault = faults.take(path, nth)
    const ip = request.ip ?? LOCAL_IP
    const note = (answer?: Answer) =>
      calls.end(
        {
          at: clock.now(),
          app: answer?.app?.name ?? '',
          ip,
          path,
          ...(answer === undefined ? {} : { errcode: answer.errcode }),
          ...(fault === undefined ? {} : { fault: fault.kind }),
        },
        answer?.insideBlock === true,
      )
    if (fault?.kind === 'timeout' || fault?.kind === 'reset' || fault?.kind === 'html') {
      note()
      if (fault.kind === 'timeout') return never(request.signal)
      return fault.kind === 'reset' ? undefined : proxyError(fault.status)
    }
    let response: SandboxResponse
    let leave: (() => void) | undefined
    if (endpoint === undefined) {
      response =
        fault?.kind === 'errcode'
          ? neighbourRefusal(path, fault.errcode)
          : neighbour!.answer({ ...request, path, query, now: platformNow(), speed: clock.speed })
      note()
    } else {
      const answer = answerCall(path, endpoint, query, request, ip, fault)
      leave = answer.leave
      response = respond(answer, ip)
      note(answer)
    }
    parts.changed()
    const delayMs = latencyMs(path, nth) + (fault?.kind === 'slow' ? fault.ms : 0)
    if (delayMs > 0) await clock.sleep(delayMs, request.signal)
    leave?.()
    if (fault?.kind === 'truncated') return { ...response, body: response.body.subarray(0, response.body.length >> 1) }
    return fault?.kind === 'lost_reply' ? undefined : response
  }

  /** Token presence, token validity, app and address, frequency, lanes, permission, parameters, business rules: in the platform's order. */
  function answerCall(
    path: string,
    endpoint: Endpoint,
    query: URLSearchParams,
    request: SandboxRequest,
    ip: string,
    fault: CallFault | undefined,
  ): Answer {
    const now = platformNow()
    const nowMs = clock.now().getTime()
    let app: App = identity.app
    let insideBlock = false
    let leave: (() => void) | undefined
    const judge = (): { errmsg: string; reply: Reply } => {
      if (fault?.kind === 'errcode') throw new Refusal(fault.errcode, 'injected fault')
      if (limits && bans.isBanned(`ip ${ip}`, nowMs)) throw new Refusal(45009, 'api freq out of limit')
      if (endpoint.token !== false) {
        app = tokens.appOf(query.get('access_token'), now)
        if (app.disabled) throw new Refusal(50003, 'app disabled')
        if (app.trustedIps !== undefined && !app.trustedIps.includes(ip))
          throw new Refusal(60020, 'not allow to access from your ip')
      }
      if (limits) {
        if (bans.isBanned(`app ${app.name}`, nowMs)) throw new Refusal(45009, 'api freq out of limit')
        const verdict = endpoint.unlimited === true ? 'ok' : limiter.take(path, app.name, ip, query, nowMs)
        if (verdict !== 'ok') {
          insideBlock = verdict.refusal === 'blocked'
          throw new Refusal(45009, 'api freq out of limit')
        }
        if (!lanes.enter(path)) throw new Refusal(45033, 'api concurrent out of limit')
        leave = () => lanes.leave(path)
      }
      checkPermission(app, path, endpoint)
      const contentType = textOf(request.headers['content-type'])
      const { params: body, isMalformed } = parseBody(request.body, contentType, behaviour.lenientJson)
      const params = { ...Object.fromEntries(query), ...body }
      delete params['access_token']
      checkNamed(world, app, path, params)
      if (limits && EDITS.has(path)) leave = lockCustomer(String(params['external_userid']), leave)
      const call: Call = { params, raw: request.body, contentType, app, ip, now, speed: clock.speed }
      const work = (): Reply => visibleReply(world, app, path, endpoint.handle(call))
      const reply = endpoint.writes === true ? world.write(work) : work()
      const warned = isMalformed || fault?.kind === 'malformed_json_warning'
      return { errmsg: warned ? 'ok. Warning: wrong json format. ' : 'ok', reply }
    }
    const more = () => ({ app, insideBlock, ...(leave === undefined ? {} : { leave }) })
    try {
      return { errcode: 0, ...judge(), ...more() }
    } catch (err) {
      if (!(err instanceof Refusal)) {
        parts.log.error('sandbox endpoint failed', {
          path,
          cause: err instanceof Error ? (err.stack ?? err.message) : String(err),
        })
        return { errcode: -1, errmsg: 'system busy', reply: {}, ...more() }
      }
      if (fault?.kind !== 'errcode') {
        if (err.errcode === 40001) bans.wrongSecret(ip, nowMs)
        if (!BLAMELESS.has(err.errcode) && endpoint.token !== false) bans.failingCall(app.name, nowMs)
      }
      return { errcode: err.errcode, errmsg: err.message, reply: endpoint.empty ?? {}, ...more() }
    }
  }

  /** One edit of a customer at a time; a second one that overlaps is refused. */
  function lockCustomer(externalUserId: string, leave: (() => void) | undefined): () => void {
    if (edited.has(externalUserId)) throw new Refusal(behaviour.concurrentEdit, 'api concurrent out of limit')
    edited.add(externalUserId)
    return () => {
      edited.delete(externalUserId)
      leave?.()
    }
  }

  /** Drawn per call of a path: log-normal with the scenario's median and 99th percentile. */
  function latencyMs(path: string, nth: number): number {
    const { latency } = scenario
    if (latency === undefined || clock.kind === 'step') return 0
    const sigma = Math.log(latency.p99Ms / latency.p50Ms) / Z99
    return latency.p50Ms * Math.exp(sigma * normalOf(seed, 'latency', path, nth))
  }

  function respond({ errcode, errmsg, reply }: Answer, ip: string): SandboxResponse {
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
        : `${errmsg}, hint: [${hint(clock.now(), calls.total)}], from ip: ${ip}, more info at https://open.work.weixin.qq.com/devtool/query?e=${errcode}`
    const headers =
      errcode === 0
        ? JSON_HEADERS
        : { ...JSON_HEADERS, 'error-code': String(errcode), 'error-msg': encodeURI(Buffer.from(text).toString()) }
    const body = Buffer.from(JSON.stringify({ errcode, errmsg: text, ...reply }))
    return { status: 200, headers, body }
  }
}

/** Page 90312 and the reference's table of special secrets. @throws {Refusal} 48002 */
function checkPermission(app: App, path: string, endpoint: Endpoint): void {
  const allowed =
    app.kind === 'contact_sync'
      ? endpoint.forContactSync === true || endpoint.onlyContactSync === true
      : endpoint.onlyContactSync !== true &&
        (app.customerContact || endpoint.token === false || !path.startsWith('/cgi-bin/externalcontact/'))
  if (!allowed) throw new Refusal(48002, 'api forbidden')
}

/** Standard normal from two uniform draws (Box and Muller). */
function normalOf(...parts: readonly (string | number)[]): number {
  const radius = Math.sqrt(-2 * Math.log(1 - unitOf(...parts, 'radius')))
  return radius * Math.cos(2 * Math.PI * unitOf(...parts, 'angle'))
}

const LOCAL_IP = '127.0.0.1'
const JSON_HEADERS = { 'content-type': 'application/json; charset=UTF-8' }
/** As the platform: nothing. */
const NOT_FOUND: SandboxResponse = { status: 404, headers: {}, body: Buffer.alloc(0) }
/** Silence, until whoever asked gives up. */
function never(signal: AbortSignal | undefined): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) resolve(undefined)
    signal?.addEventListener('abort', () => resolve(undefined), { once: true })
  })
}

function proxyError(status: number): SandboxResponse {
  const text = `<html><head><title>${status}</title></head><body>proxy</body></html>`
  return textResponse(status, 'text/html', text)
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

/** WeChat Pay refuses with a status and a code of words, the official account as WeCom does. */
function neighbourRefusal(path: string, errcode: number): SandboxResponse {
  const isPay = path.startsWith('/v3/')
  const body = isPay ? { code: 'SYSTEM_ERROR', message: 'injected fault' } : { errcode, errmsg: 'injected fault' }
  return textResponse(isPay ? 500 : 200, JSON_HEADERS['content-type'], JSON.stringify(body))
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
