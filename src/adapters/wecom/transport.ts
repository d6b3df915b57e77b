import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import { setTimeout as sleep } from 'node:timers/promises'
import axios, { isAxiosError, isCancel } from 'axios'
import { z } from 'zod'
import { UnknownOutcomeError, UpstreamError } from '../../errors.js'
import type { Log } from '../../log.js'
import { MINUTE_MS, SECOND_MS, type Clock } from '../../time.js'
import { meaningOf, WecomError } from './error-codes.js'
import { createLimiter } from './limits.js'
import { createTokenSource, TokenReply } from './token.js'

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
  /** How to wait, in milliseconds; default real time. Whoever runs on a virtual clock gives its own. */
  pause?: (ms: number) => Promise<void>
}

/** Who waits less when calls queue, first to last. */
export type Priority = 'welcome' | 'callback' | 'interactive' | 'send' | 'sync'

export type WecomCall<S extends z.ZodType> = {
  /** Path below `/cgi-bin/`. */
  api: string
  query?: Record<string, string | number>
  /** Present: POST, as JSON or as a form; absent: GET. */
  body?: Record<string, unknown> | FormData
  reply: S
  /** `harmless` calls may be repeated by the transport; those with an `effect` never are. */
  repeat: 'harmless' | 'effect'
  /** Default `interactive`. */
  priority?: Priority
}

export interface WecomTransport {
  /**
   * @throws {WecomError} the platform refused
   * @throws {UpstreamError} not reached (retryable), or an answer to a harmless call that cannot be read
   * @throws {UnknownOutcomeError} the call has an effect and its answer was lost or unreadable
   */
  call<S extends z.ZodType>(call: WecomCall<S>): Promise<z.infer<S>>
  /** Closes kept connections. May be called twice. */
  close(): void
}

/** Exchanges in all for a harmless call. */
const TRIES = 3
const FIRST_PAUSE_MS = 500
const MAX_REPLY_BYTES = 50_000_000

/** Answers that may be another one in a moment, for this and any call. */
const PASSING = new Set([-1, 6000, 45009, 45033, 45035])

/** The request certainly never left this machine. */
const NOT_SENT = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'EADDRNOTAVAIL'])

const ReplyHead = z.looseObject({ errcode: z.number().int().default(0), errmsg: z.string().default('') })

/** Talks to the platform: tokens, limits, time-outs, and the difference between refused, not reached and unknown. */
export function createTransport(options: WecomOptions): WecomTransport {
  const { clock, log, timeoutMs = 10 * SECOND_MS, pause = (ms: number) => sleep(ms) } = options
  const limiter = createLimiter(clock)
  // Calls with an effect get a connection of their own: on a kept one that the other side is just closing, the request
  // would be lost with an unknown outcome.
  const agents = {
    harmless: { httpAgent: new HttpAgent({ keepAlive: true }), httpsAgent: new HttpsAgent({ keepAlive: true }) },
    effect: { httpAgent: new HttpAgent(), httpsAgent: new HttpsAgent() },
  }
  const baseUrl = (options.baseUrl ?? 'https://qyapi.weixin.qq.com').replace(/\/+$/, '')
  const http = axios.create({
    baseURL: `${baseUrl}/cgi-bin/`,
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
    repeatIfHarmless(
      {
        api: 'gettoken',
        query: { corpid: options.corpId, corpsecret: options.secret },
        reply: TokenReply,
        repeat: 'harmless',
      },
      (call) => exchange(call),
    ),
  )

  /** One request, one answer. Errors are built anew: axios' own carry the URL and with it the token. */
  async function exchange<S extends z.ZodType>(call: WecomCall<S>, token?: string): Promise<z.infer<S>> {
    await waitForTurn(call)
    let answer: { status: number; text: string }
    try {
      const response = await http.request<unknown>({
        ...agents[call.repeat],
        url: call.api,
        method: call.body === undefined ? 'GET' : 'POST',
        params: token === undefined ? call.query : { ...call.query, access_token: token },
        data: call.body,
        signal: AbortSignal.timeout(timeoutMs),
      })
      answer = { status: response.status, text: String(response.data) }
    } catch (err) {
      const code = isAxiosError(err) ? (err.code ?? 'no code') : 'no code'
      if (NOT_SENT.has(code)) {
        throw new UpstreamError('wecom', code, true, `${call.api}: cannot connect; check the address and the network`)
      }
      throw lost(call, isCancel(err) ? `no answer within ${timeoutMs} ms` : `the connection broke (${code})`)
    }

    const head = ReplyHead.safeParse(parseJson(answer.text))
    // Some successes come without errcode, but never with another status than 200.
    const isWecom = head.success && (answer.status === 200 || head.data.errcode !== 0)
    if (!isWecom) throw lost(call, 'the answer is not WeCom JSON; a proxy may have answered instead')
    const { errcode, errmsg } = head.data
    if (errcode !== 0) {
      const { meaning, say } = meaningOf(call.api, errcode)
      if (meaning === 'tell_a_person') log.error(`WeCom needs a person: ${say}`, { api: call.api, errcode })
      throw new WecomError(call.api, errcode, errmsg, errcode === 45009 ? limiter.blocked(call.api) : undefined)
    }
    limiter.passed(call.api)
    if (/warning: wrong json format/i.test(errmsg)) {
      log.error('WeCom dropped fields of a request it could not parse', { api: call.api })
      throw lost(call, 'it answered "wrong json format" and may have applied a part', false)
    }
    const reply = call.reply.safeParse(head.data)
    if (reply.success) return reply.data
    const fields = reply.error.issues.map((issue) => issue.path.join('.')).join(', ')
    throw lost(call, `the answer lacks or misspells ${fields}`, false)
  }

  async function waitForTurn({ api, repeat }: { api: string; repeat: string }): Promise<void> {
    const blockedMs = limiter.blockedMs(api)
    if (blockedMs > 0) {
      if (repeat === 'effect' || blockedMs > MINUTE_MS)
        throw new WecomError(api, 45009, 'not asked again yet', blockedMs)
      await pause(blockedMs)
    }
    const waitMs = limiter.reserveMs(api)
    if (waitMs > 0) await pause(waitMs)
  }

  async function repeatIfHarmless<S extends z.ZodType>(
    call: WecomCall<S>,
    attempt: (call: WecomCall<S>) => Promise<z.infer<S>>,
  ): Promise<z.infer<S>> {
    for (let tries = 1; ; tries++) {
      try {
        return await attempt(call)
      } catch (err) {
        if (call.repeat === 'effect' || tries === TRIES || !isPassing(err)) throw err
        log.warn('WeCom call is repeated', { api: call.api, tries, code: err.upstreamCode })
        // After 45009 the next attempt waits for the end of the block by itself.
        if (err.upstreamCode !== '45009') await pause(FIRST_PAUSE_MS * 4 ** (tries - 1))
      }
    }
  }

  return {
    call: (call) =>
      repeatIfHarmless(call, async () => {
        const token = await tokens.get()
        try {
          return await exchange(call, token)
        } catch (err) {
          if (!(err instanceof WecomError) || err.meaning !== 'refresh_token') throw err
          log.warn('WeCom token is renewed', { api: call.api, errcode: err.errcode })
          return exchange(call, await tokens.renew(token))
        }
      }),
    close() {
      for (const { httpAgent, httpsAgent } of Object.values(agents)) {
        httpAgent.destroy()
        httpsAgent.destroy()
      }
    },
  }
}

/** The answer was lost or cannot be read: for a harmless call a fault, for one with an effect an open question. */
function lost(
  call: { api: string; repeat: string },
  what: string,
  retryable = true,
): UpstreamError | UnknownOutcomeError {
  return call.repeat === 'effect'
    ? new UnknownOutcomeError('wecom', `${call.api}: ${what}; whether it was applied must be read back`)
    : new UpstreamError('wecom', 'no_answer', retryable, `${call.api}: ${what}`)
}

/** A block of an hour or a day is not passing: it is for the caller to sit out. */
function isPassing(err: unknown): err is UpstreamError {
  if (err instanceof WecomError) return PASSING.has(err.errcode) && (err.retryAfterMs ?? 0) <= MINUTE_MS
  return err instanceof UpstreamError && err.retryable
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // not JSON: the schema refuses it, the caller says what that means
  }
}
