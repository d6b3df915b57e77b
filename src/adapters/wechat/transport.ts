import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { UnknownOutcomeError, UpstreamError } from '../../errors.js'
import type { Log } from '../../log.js'
import { MINUTE_MS, SECOND_MS, type Clock } from '../../time.js'
import { createHttpExchange } from '../http-exchange.js'
import { meaningOf, WechatError } from './error-codes.js'

export type WechatOptions = {
  /** Default `https://api.weixin.qq.com`. */
  baseUrl?: string
  appId: string
  secret: string
  /** `stable_token` (default) gives every process the same token; `token` takes the others' away. */
  tokenApi?: 'stable_token' | 'token'
  clock: Clock
  log: Log
  /** Per exchange. Default 10,000. */
  timeoutMs?: number
  /** How to wait, in milliseconds; default real time. */
  pause?: (ms: number) => Promise<void>
}

export type WechatCall<S extends z.ZodType> = {
  /** From the root of the host: `/cgi-bin/user/get`. */
  api: string
  query?: Readonly<Record<string, string | number>>
  /** Present: POST as JSON; absent: GET. */
  body?: Readonly<Record<string, unknown>>
  reply: S
  /** `harmless` calls may be repeated by the transport; those with an `effect` never are. */
  repeat: 'harmless' | 'effect'
  /** `secret`: appid and secret in the query instead of a token. */
  by?: 'token' | 'secret'
}

export interface WechatTransport {
  /**
   * @throws {WechatError} refused
   * @throws {UpstreamError} not reached, or no usable answer to a harmless call
   * @throws {UnknownOutcomeError} the answer to an effect was lost
   */
  call<S extends z.ZodType>(call: WechatCall<S>): Promise<z.infer<S>>
  close(): void
}

const TRIES = 3
const FIRST_PAUSE_MS = 500
/** A token is given up this long before its end: in that time the platform hands out the next one. */
const EARLY_MS = MINUTE_MS
/** Forced renewals: at most 20 a day, 30 s apart. */
const FORCE_PAUSE_MS = 30 * SECOND_MS

const TokenReply = z.object({ access_token: z.string().min(1), expires_in: z.number().positive() })
/** Many successes come without `errcode`. */
const ReplyHead = z.looseObject({ errcode: z.number().int().default(0), errmsg: z.string().default('') })

/** Talks to an official account or a mini program. Secrets and tokens stay out of logs and errors. */
export function createWechatTransport(options: WechatOptions): WechatTransport {
  const { appId, secret, clock, log, timeoutMs = 10 * SECOND_MS, pause = (ms: number) => sleep(ms) } = options
  const tokenApi = options.tokenApi ?? 'stable_token'
  const http = createHttpExchange(options.baseUrl ?? 'https://api.weixin.qq.com', timeoutMs)
  let current: { token: string; untilMs: number } | undefined
  let underWay: Promise<string> | undefined
  let refusal: { error: WechatError; untilMs: number } | undefined
  let forcedAtMs = -Infinity

  async function exchange<S extends z.ZodType>(call: WechatCall<S>, token?: string): Promise<z.infer<S>> {
    const credentials: Record<string, string> =
      token === undefined ? (call.by === 'secret' ? { appid: appId, secret } : {}) : { access_token: token }
    const query = Object.entries({ ...call.query, ...credentials }).map(
      ([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`,
    )
    const outcome = await http.request({
      method: call.body === undefined ? 'GET' : 'POST',
      url: query.length === 0 ? call.api : `${call.api}?${query.join('&')}`,
      ...(call.body !== undefined && {
        body: JSON.stringify(call.body),
        headers: { 'Content-Type': 'application/json' },
      }),
      fresh: call.repeat === 'effect',
    })
    if (outcome.kind === 'not_sent') {
      throw new UpstreamError(
        'wechat',
        outcome.code,
        true,
        `${call.api}: cannot connect; check the address and the network`,
      )
    }
    if (outcome.kind === 'lost') throw lost(call, outcome.why)
    const head = ReplyHead.safeParse(parseJson(outcome.body))
    if (!head.success || outcome.status >= 300) {
      throw lost(call, 'the answer is not the platform’s JSON; a proxy may have answered instead')
    }
    const { errcode, errmsg } = head.data
    if (errcode !== 0) {
      const { meaning, say } = meaningOf(call.api, errcode)
      if (meaning === 'tell_a_person') log.error(`WeChat needs a person: ${say}`, { api: call.api, errcode })
      throw new WechatError(call.api, errcode, errmsg)
    }
    const reply = call.reply.safeParse(head.data)
    if (reply.success) return reply.data
    const fields = reply.error.issues.map((issue) => issue.path.join('.')).join(', ')
    throw lost(call, `the answer lacks or misspells ${fields}`, false)
  }

  async function repeated<S extends z.ZodType>(
    call: WechatCall<S>,
    attempt: () => Promise<z.infer<S>>,
  ): Promise<z.infer<S>> {
    for (let tries = 1; ; tries++) {
      try {
        return await attempt()
      } catch (err) {
        const isPassing = err instanceof UpstreamError && err.retryable && err.upstreamCode !== '45009'
        if (call.repeat === 'effect' || tries === TRIES || !isPassing) throw err
        log.warn('WeChat call is repeated', { api: call.api, tries, code: err.upstreamCode })
        await pause(FIRST_PAUSE_MS * 4 ** (tries - 1))
      }
    }
  }

  async function fetchToken(force: boolean): Promise<string> {
    const base = { api: `/cgi-bin/${tokenApi}`, reply: TokenReply, repeat: 'harmless' as const }
    const ask =
      tokenApi === 'stable_token'
        ? { ...base, body: { grant_type: 'client_credential', appid: appId, secret, force_refresh: force } }
        : { ...base, by: 'secret' as const, query: { grant_type: 'client_credential' } }
    const askedAtMs = clock.now().getTime()
    try {
      const reply = await repeated(ask, () => exchange(ask))
      const lifeMs = reply.expires_in * SECOND_MS
      current = { token: reply.access_token, untilMs: askedAtMs + lifeMs - Math.min(EARLY_MS, lifeMs / 2) }
      return reply.access_token
    } catch (err) {
      // A wrong secret asked over and over is itself a reason to be blocked: once a minute at most.
      if (err instanceof WechatError && err.meaning === 'tell_a_person') {
        refusal = { error: err, untilMs: askedAtMs + MINUTE_MS }
      }
      throw err
    }
  }

  /** One fetch however many wait for it. */
  async function sharedToken(stale?: string): Promise<string> {
    if (underWay !== undefined) return underWay
    const nowMs = clock.now().getTime()
    if (current !== undefined && current.token !== stale && nowMs < current.untilMs) return current.token
    if (refusal !== undefined && nowMs < refusal.untilMs) throw refusal.error
    underWay = renew(stale).finally(() => (underWay = undefined))
    return underWay
  }

  /** A refused token may have been renewed by another process; only when it has not is a new one forced. */
  async function renew(stale: string | undefined): Promise<string> {
    const token = await fetchToken(false)
    const nowMs = clock.now().getTime()
    if (token !== stale || tokenApi === 'token' || nowMs - forcedAtMs < FORCE_PAUSE_MS) return token
    forcedAtMs = nowMs
    return fetchToken(true)
  }

  return {
    call: (call) =>
      repeated(call, async () => {
        if (call.by === 'secret') return exchange(call)
        const token = await sharedToken()
        try {
          return await exchange(call, token)
        } catch (err) {
          if (!(err instanceof WechatError) || err.meaning !== 'refresh_token') throw err
          log.warn('WeChat token is renewed', { api: call.api, errcode: err.errcode })
          return exchange(call, await sharedToken(token))
        }
      }),
    close: () => http.close(),
  }
}

function lost(
  call: { api: string; repeat: string },
  what: string,
  retryable = true,
): UpstreamError | UnknownOutcomeError {
  return call.repeat === 'effect'
    ? new UnknownOutcomeError('wechat', `${call.api}: ${what}; whether it was applied is not known`)
    : new UpstreamError('wechat', 'no_answer', retryable, `${call.api}: ${what}`)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // not JSON: the schema refuses it, the caller says what that means
  }
}
