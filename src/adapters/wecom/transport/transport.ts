import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import { setTimeout as sleep } from 'node:timers/promises'
import axios, { type AxiosAdapter, isAxiosError, isCancel } from 'axios'
import { z } from 'zod'
import { UnknownOutcomeError, UpstreamError } from '../../../errors.js'
import type { Log } from '../../../log.js'
import { TOO_LATE } from '../../../ports/channel.js'
import { type Clock, SECOND_MS } from '../../../time.js'
import { createCallStats, type WecomStats } from './call-stats.js'
import { meaningOf, PASSING, WecomError } from './error-codes.js'
import { createGate, patienceOf } from './gate.js'
import { planOf, type Priority } from './limits.js'
import { type CallEnd, leaseMsOf, type QuotaStore } from './quota.js'
import { createInProcessQuota } from './quota-in-process.js'
import { createTokenSource } from './token.js'

export type { Priority } from './limits.js'

export type WecomOptions = {
  /** Default `https://qyapi.weixin.qq.com`. */
  baseUrl?: string
  corpId: string
  /** The number of the app; must belong to `secret`. */
  agentId: number
  secret: string
  /** Measures token life, call windows and blocks. */
  clock: Clock
  /** Per exchange, connecting and reading included. Default 10,000. */
  timeoutMs?: number
  log: Log
  /**
   * Limits and calls at a time that this client shares with others of the same company, in this process or (Redis) beyond; whoever
   * opened it closes it. Default: one of its own.
   */
  quota?: QuotaStore
  /**
   * How to wait, in milliseconds; default real time. Whoever runs on a virtual clock gives its own, which may end early when
   * the signal is aborted.
   */
  pause?: (ms: number, signal?: AbortSignal) => Promise<void>
  /** What ends an exchange that takes too long; default real time. */
  timeoutSignal?: (ms: number) => AbortSignal
  /** In place of sockets. */
  adapter?: AxiosAdapter
}

export type WecomCall<S extends z.ZodType> = {
  /** Path below `/cgi-bin/`. */
  api: string
  query?: Record<string, string | number>
  /** Present: POST, as JSON or as a form; absent: GET. */
  body?: Record<string, unknown> | FormData
  reply: S
  /**
   * `harmless`: changes nothing that matters, so the transport may repeat it. `idempotent`: a write that leaves the same
   * state however often it is applied (marking tags, a remark, a deletion); repeated as well, but when every answer was
   * lost, whether it was applied is unknown. `effect`: sent again only when it was certainly not applied.
   */
  repeat: 'harmless' | 'idempotent' | 'effect'
  /** Default: what the table says for the API, else the client's own. */
  priority?: Priority
  /** The answer is a file, unless it is a refusal: the reply has its `content` and `fileName`. */
  binary?: boolean
  /** A key in the query is the credential. */
  withoutToken?: boolean
  /**
   * Whether the caller may not ask any more. The last thing that is looked at before each request: after waits, tokens and
   * earlier tries.
   */
  isLate?: () => boolean
}

export interface WecomTransport {
  /**
   * @throws {WecomError} the platform refused
   * @throws {UpstreamError} not reached, or too late to ask (`TOO_LATE`), both retryable; or an answer to a harmless call
   *   that cannot be read
   * @throws {UnknownOutcomeError} the call has an effect and its answer was lost or unreadable
   */
  call<S extends z.ZodType>(call: WecomCall<S>): Promise<z.infer<S>>
  /** Since the client was created, by API. */
  stats(): WecomStats
  /** Closes kept connections and turns away whoever waits. May be called twice. */
  close(): void
}

/** Exchanges in all for one call: as many as the platform allows after -1, more where it only asks for patience. */
const TRIES = 3
const TRIES_WHEN_REFUSED = 6
const FIRST_PAUSE_MS = 500
const LONGEST_PAUSE_MS = 8 * SECOND_MS
const NO_ANSWER = 'no_answer'
const MAX_REPLY_BYTES = 50_000_000

/** The request certainly never left this machine. */
const NOT_SENT = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'EADDRNOTAVAIL'])

const TokenReply = z.object({ access_token: z.string().min(1), expires_in: z.number().positive() })
const ReplyHead = z.looseObject({ errcode: z.number().int().default(0), errmsg: z.string().default('') })

/** Talks to the platform: tokens, limits, time-outs, and the difference between refused, not reached and unknown. */
export function createTransport(options: WecomOptions): WecomTransport {
  const { clock, log, agentId, timeoutMs = 10 * SECOND_MS, pause = realPause } = options
  const timeoutSignal = options.timeoutSignal ?? ((ms: number) => AbortSignal.timeout(ms))
  const store = options.quota ?? createInProcessQuota(clock)
  const gate = createGate({ store, clock, leaseMs: leaseMsOf(timeoutMs), pause })
  const stats = createCallStats()
  // Calls with an effect get a connection of their own: on a kept one that the other side is just closing, the request
  // would be lost with an unknown outcome.
  const kept = { httpAgent: new HttpAgent({ keepAlive: true }), httpsAgent: new HttpsAgent({ keepAlive: true }) }
  const fresh = { httpAgent: new HttpAgent(), httpsAgent: new HttpsAgent() }
  const baseUrl = (options.baseUrl ?? 'https://qyapi.weixin.qq.com').replace(/\/+$/, '')
  const http = axios.create({
    baseURL: `${baseUrl}/cgi-bin/`,
    ...(options.adapter && { adapter: options.adapter }),
    // The company's way out to the internet does not lead back to this machine.
    ...(/^https?:\/\/(127\.0\.0\.1|localhost)\b/.test(baseUrl) && { proxy: false as const }),
    // The platform answers 200 whatever happened and with any content type: the body alone counts.
    validateStatus: () => true,
    responseType: 'text',
    transformResponse: (data: unknown) => data,
    maxRedirects: 0,
    maxContentLength: MAX_REPLY_BYTES,
  })

  const tokens = createTokenSource(clock, () =>
    repeated(
      {
        api: 'gettoken',
        query: { corpid: options.corpId, corpsecret: options.secret },
        reply: TokenReply,
        repeat: 'harmless',
      },
      (call) => exchange(call),
    ),
  )

  /** Waits its turn, asks once, and tells the limits what came of it. */
  async function exchange<S extends z.ZodType>(call: WecomCall<S>, token?: string): Promise<z.infer<S>> {
    const { api } = call
    const plan = planOf(call, agentId)
    const priority = call.priority ?? plan.priority ?? 'interactive'
    const place = await gate.enter(plan, priority, call.repeat === 'effect' ? 0 : patienceOf(priority))
    const answer = await ask(call, token)
    const blockedMs = await gate.leave(place, answer.kind === 'reply' ? endOf(answer.errcode) : 'none')
    stats.add(api, place, answer.kind === 'reply' ? answer.errcode : answer.kind, blockedMs)

    if (answer.kind === 'not_sent') {
      const message = `${api}: cannot connect; check the address and the network`
      throw new UpstreamError('wecom', answer.code, true, message)
    }
    if (answer.kind === 'too_late') throw new UpstreamError('wecom', TOO_LATE, true, `${api}: its time was over`)
    if (answer.kind === 'lost') throw lost(call, answer.why)
    const { errcode, errmsg } = answer
    if (errcode !== 0) {
      const { meaning, say } = meaningOf(api, errcode)
      if (meaning === 'tell_a_person') log.error(`WeCom needs a person: ${say}`, { api, errcode })
      if (errcode === 45009) log.warn('WeCom limit is used up', { api, blockedMs })
      throw new WecomError(api, errcode, withoutSecrets(errmsg, call, token), errcode === 45009 ? blockedMs : undefined)
    }
    if (/warning: wrong json format/i.test(errmsg)) {
      log.error('WeCom dropped fields of a request it could not parse', { api })
      // A read may have answered another question (its cursor was dropped, say): it is asked again.
      throw lost(call, 'it answered "wrong json format" and may have applied a part', call.repeat === 'harmless')
    }
    const reply = call.reply.safeParse(answer.body)
    if (reply.success) return reply.data
    const fields = reply.error.issues.map((issue) => issue.path.join('.')).join(', ')
    throw lost(call, `the answer lacks or misspells ${fields}`, false)
  }

  /** The platform, or whoever answers in its place, may repeat what it was sent. */
  function withoutSecrets(text: string, { query }: { query?: WecomCall<z.ZodType>['query'] }, token = ''): string {
    const secrets = [options.secret, token, String(query?.['key'] ?? '')].filter((secret) => secret !== '')
    return secrets.reduce((rest, secret) => rest.replaceAll(secret, '…'), text)
  }

  /** Never throws: axios' own errors carry the URL and with it the token. */
  async function ask(call: WecomCall<z.ZodType>, token: string | undefined): Promise<Answer> {
    const request = {
      ...(call.repeat === 'effect' ? fresh : kept),
      url: call.api,
      method: call.body === undefined ? 'GET' : 'POST',
      params: token === undefined ? call.query : { ...call.query, access_token: token },
      data: call.body,
      ...(call.binary === true && { responseType: 'arraybuffer' as const }),
      signal: timeoutSignal(timeoutMs),
    }
    try {
      // Nothing may come between this and the request.
      if (call.isLate?.() === true) return { kind: 'too_late' }
      const { status, data, headers } = await http.request<unknown>(request)
      if (call.binary === true && status === 200) {
        const file = fileOf(data, headers)
        if (file !== undefined) return { kind: 'reply', errcode: 0, errmsg: 'ok', body: file }
      }
      const head = ReplyHead.safeParse(parseJson(String(data)))
      // Some successes come without errcode, but never with another status than 200.
      if (!head.success || (status !== 200 && head.data.errcode === 0))
        return { kind: 'lost', why: 'the answer is not WeCom JSON; a proxy may have answered instead' }
      return { kind: 'reply', errcode: head.data.errcode, errmsg: head.data.errmsg, body: head.data }
    } catch (err) {
      if (isCancel(err)) return { kind: 'lost', why: `no answer within ${timeoutMs} ms` }
      const code = isAxiosError(err) ? (err.code ?? 'no code') : 'no code'
      return NOT_SENT.has(code) ? { kind: 'not_sent', code } : { kind: 'lost', why: `the connection broke (${code})` }
    }
  }

  async function repeated<S extends z.ZodType>(
    call: WecomCall<S>,
    attempt: (call: WecomCall<S>) => Promise<z.infer<S>>,
  ): Promise<z.infer<S>> {
    let isOpen = false
    for (let tries = 1; ; tries++) {
      try {
        return await attempt(call)
      } catch (err) {
        if (!(err instanceof UpstreamError)) throw err
        isOpen ||= call.repeat === 'idempotent' && err.upstreamCode === NO_ANSWER
        const pauseMs = isClosed ? undefined : pauseBefore(call.repeat, tries, err)
        if (pauseMs === undefined) {
          if (isOpen && !(err instanceof WecomError)) throw unknown(call.api, 'no answer came', err)
          throw err
        }
        log.warn('WeCom call is repeated', { api: call.api, tries, code: err.upstreamCode })
        if (pauseMs > 0) await pause(pauseMs)
      }
    }
  }

  let isClosed = false
  return {
    call: (call) =>
      repeated(call, async () => {
        if (call.withoutToken === true) return exchange(call)
        const token = await tokens.get()
        try {
          return await exchange(call, token)
        } catch (err) {
          if (!(err instanceof WecomError) || err.meaning !== 'refresh_token') throw err
          log.warn('WeCom token is renewed', { api: call.api, errcode: err.errcode })
          return exchange(call, await tokens.renew(token))
        }
      }),
    stats: () => stats.read(),
    close() {
      isClosed = true
      gate.close()
      for (const { httpAgent, httpsAgent } of [kept, fresh]) {
        httpAgent.destroy()
        httpsAgent.destroy()
      }
    },
  }
}

type Answer =
  | { kind: 'reply'; errcode: number; errmsg: string; body: unknown }
  | { kind: 'not_sent'; code: string }
  | { kind: 'too_late' }
  | { kind: 'lost'; why: string }

function endOf(errcode: number): CallEnd {
  return errcode === 45009 ? 'too_often' : errcode === 45033 ? 'too_parallel' : 'answered'
}

/** How long to pause before asking again; `undefined`: not at all. */
function pauseBefore(repeat: WecomCall<z.ZodType>['repeat'], tries: number, err: UpstreamError): number | undefined {
  const pauseMs = Math.min(FIRST_PAUSE_MS * 4 ** (tries - 1), LONGEST_PAUSE_MS)
  if (err instanceof WecomError && PASSING.has(err.errcode))
    return tries < (err.errcode === 45033 ? TRIES_WHEN_REFUSED : TRIES) ? pauseMs : undefined
  if (repeat === 'effect' || tries === TRIES) return undefined
  if (!(err instanceof WecomError)) return err.retryable ? pauseMs : undefined
  if (err.errcode === -1) return pauseMs
  return err.errcode === 45009 ? 0 : undefined // the gate waits for the end of the block, or turns the call away
}

/** The answer was lost or cannot be read: for a harmless call a fault, for one with an effect an open question. */
function lost(call: WecomCall<z.ZodType>, what: string, again = true): UpstreamError | UnknownOutcomeError {
  return call.repeat === 'effect' || (call.repeat === 'idempotent' && !again)
    ? unknown(call.api, what)
    : new UpstreamError('wecom', NO_ANSWER, again, `${call.api}: ${what}`)
}

function unknown(api: string, what: string, cause?: Error): UnknownOutcomeError {
  return new UnknownOutcomeError('wecom', `${api}: ${what}; whether it was applied must be read back`, { cause })
}

/** What is not JSON is a file; its name comes in `Content-Disposition`. */
function fileOf(
  data: unknown,
  headers: Readonly<Record<string, unknown>>,
): { content: Buffer; fileName: string | undefined } | undefined {
  const content = Buffer.from(data as ArrayBuffer)
  const header = (name: string) => (typeof headers[name] === 'string' ? headers[name] : '')
  if (header('content-type').includes('json') && parseJson(content.toString()) !== undefined) return undefined
  const name = /filename="?([^";]+)"?/.exec(header('content-disposition'))?.[1]
  return { content, fileName: name }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // not JSON: the schema refuses it, the caller says what that means
  }
}

/** Ends early, without an error, when the signal is aborted. */
async function realPause(ms: number, signal?: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, { signal })
  } catch (err) {
    if (signal?.aborted !== true) throw err
  }
}
