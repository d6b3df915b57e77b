import { createPrivateKey } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { z } from 'zod'
import { ConfigError, messageOf, type Problem, UnknownOutcomeError, UpstreamError } from '../../errors.js'
import type { Log } from '../../log.js'
import { secretHex } from '../../random.js'
import { HOUR_MS, SECOND_MS, type Clock } from '../../time.js'
import { createHttpExchange, type HttpOutcome } from '../http-exchange.js'
import { PayError, PayErrorBody } from './error-codes.js'
import { createPlatformKeys, type PlatformKeys } from './platform-keys.js'
import { authorizationOf, type Merchant } from './signature.js'

export type PayOptions = {
  /** Default `https://api.mch.weixin.qq.com`; the spare host is `https://api2.mch.weixin.qq.com`. */
  baseUrl?: string
  mchId: string
  /** Serial of the merchant's API certificate: 40 hex digits. */
  serialNo: string
  /** The merchant's private key, PEM (apiclient_key.pem). */
  privateKey: string
  /** 商户平台 → 账户中心 → API安全 → APIv3密钥: 32 characters. */
  apiV3Key: string
  /** In public-key mode: `PUB_KEY_ID_…` and its PEM. Without it, platform certificates are downloaded. */
  publicKey?: { id: string; pem: string }
  clock: Clock
  log: Log
  /** Per exchange. Default 10,000. */
  timeoutMs?: number
  /** How to wait, in milliseconds; default real time. */
  pause?: (ms: number) => Promise<void>
}

export type PayCall<S extends z.ZodType> = {
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  /** From `/v3/` on; parts of it are escaped by the caller (`segment`). */
  path: string
  query?: Readonly<Record<string, string | number | undefined>>
  body?: Readonly<Record<string, unknown>>
  reply: S
  /**
   * `harmless`: a read, or a write that carries a request number, so that the same request again has the same result;
   * repeated by the transport, byte for byte. `effect`: never repeated.
   */
  repeat: 'harmless' | 'effect'
}

export interface PayTransport {
  readonly keys: PlatformKeys
  /**
   * @throws {PayError} refused
   * @throws {UpstreamError} not reached, or no usable answer to a harmless call after 3 tries (retryable with the same number)
   * @throws {UnknownOutcomeError} the answer to an effect was lost
   */
  call<S extends z.ZodType>(call: PayCall<S>): Promise<z.infer<S>>
  /** A signed GET of an address that a reply gave us, on the platform's host; not signed in return. */
  download(url: string): Promise<string>
  close(): void
}

const TRIES = 3
const FIRST_PAUSE_MS = 500

/** Signs, sends, verifies. @throws {ConfigError} when keys have the wrong shape */
export function createPayTransport(options: PayOptions): PayTransport {
  const { clock, log, timeoutMs = 10 * SECOND_MS, pause = (ms: number) => sleep(ms) } = options
  const merchant = readMerchant(options)
  const baseUrl = options.baseUrl ?? 'https://api.mch.weixin.qq.com'
  const http = createHttpExchange(baseUrl, timeoutMs)
  const keys = createPlatformKeys({
    clock,
    log,
    apiV3Key: options.apiV3Key,
    ...(options.publicKey && { publicKey: options.publicKey }),
    download: () => repeat('GET /v3/certificates', () => getUnverified('GET /v3/certificates', '/v3/certificates')),
  })

  function send(method: PayCall<z.ZodType>['method'], url: string, body: string, fresh: boolean): Promise<HttpOutcome> {
    const path = /^https?:\/\//.test(url) ? pathOf(url) : url
    const nonce = secretHex(16)
    return http.request({
      method,
      url,
      headers: {
        Authorization: authorizationOf(merchant, { method, path, body, nonce, at: clock.now() }),
        Accept: 'application/json',
        'User-Agent': 'siyu',
        ...(body !== '' && { 'Content-Type': 'application/json' }),
        ...(options.publicKey && { 'Wechatpay-Serial': options.publicKey.id }),
      },
      ...(body !== '' && { body }),
      fresh,
    })
  }

  async function getUnverified(name: string, url: string): Promise<Answer> {
    const answer = toAnswer(await send('GET', url, '', false))
    if (answer.status >= 300) throw refusal(name, answer)
    return answer
  }

  async function exchange<S extends z.ZodType>(call: PayCall<S>): Promise<z.infer<S>> {
    const path = withQuery(call.path, call.query)
    const body = call.body === undefined ? '' : JSON.stringify(call.body)
    const answer = toAnswer(await send(call.method, path, body, call.repeat === 'effect'))
    if (answer.status >= 300) throw refusal(nameOf(call), answer)
    const problem = await keys.problemOf(answer)
    if (problem !== undefined) {
      log.error('an answer of WeChat Pay cannot be trusted', { call: nameOf(call), cause: problem })
      throw new NoAnswer(problem, false)
    }
    const reply = call.reply.safeParse(answer.body === '' ? {} : parseJson(answer.body))
    if (reply.success) return reply.data
    const fields = reply.error.issues.map((issue) => issue.path.join('.')).join(', ')
    throw new NoAnswer(`the answer lacks or misspells ${fields}`, false)
  }

  async function repeat<T>(name: string, attempt: () => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await attempt()
      } catch (err) {
        if (!isPassing(err) || tries === TRIES) throw said(name, err)
        log.warn('WeChat Pay call is repeated', { call: name, tries, cause: messageOf(err) })
        await pause(FIRST_PAUSE_MS * 4 ** (tries - 1))
      }
    }
  }

  return {
    keys,
    async call(call) {
      if (call.repeat === 'harmless') return repeat(nameOf(call), () => exchange(call))
      try {
        return await exchange(call)
      } catch (err) {
        const isOpen = (err instanceof NoAnswer && err.sent) || (err instanceof PayError && err.status >= 500)
        if (!isOpen) throw said(nameOf(call), err)
        throw new UnknownOutcomeError(
          'wechat-pay',
          `${nameOf(call)}: ${messageOf(err)}; whether it was applied must be read back`,
          { cause: err },
        )
      }
    },
    async download(url) {
      if (new URL(url).host !== new URL(baseUrl).host) {
        throw new UpstreamError('wechat-pay', 'foreign_host', false, 'a download lies on another host than the API')
      }
      return (await repeat('download', () => getUnverified('download', url))).body
    },
    close: () => http.close(),
  }
}

/** A part of a path, escaped. */
export function segment(text: string): string {
  return encodeURIComponent(text)
}

const BEIJING_OFFSET_MS = 8 * HOUR_MS

/** RFC 3339 at the platform's zone, in whole seconds. */
export function toWireTime(at: Date): string {
  return `${new Date(at.getTime() + BEIJING_OFFSET_MS).toISOString().slice(0, 19)}+08:00`
}

/** No answer that can be used. */
class NoAnswer extends Error {
  constructor(
    message: string,
    readonly retryable: boolean,
    /** False: it certainly never left this machine. */
    readonly sent = true,
  ) {
    super(message)
  }
}

type Answer = { status: number; headers: Readonly<Record<string, string>>; body: string }

function toAnswer(outcome: HttpOutcome): Answer {
  if (outcome.kind === 'answer') return outcome
  if (outcome.kind === 'lost') throw new NoAnswer(outcome.why, true)
  throw new NoAnswer(`cannot connect (${outcome.code}); check the address and the network`, true, false)
}

/** Whatever is no error of WeChat Pay came from something on the way. */
function refusal(name: string, { status, headers, body }: Answer): PayError | NoAnswer {
  const error = PayErrorBody.safeParse(parseJson(body))
  if (error.success) return new PayError(status, name, error.data, headers['request-id'])
  return new NoAnswer(`HTTP ${status} without an error of WeChat Pay; a proxy may have answered instead`, true)
}

function isPassing(err: unknown): boolean {
  return (err instanceof NoAnswer || err instanceof PayError) && err.retryable
}

function said(name: string, err: unknown): unknown {
  if (!(err instanceof NoAnswer)) return err
  return new UpstreamError('wechat-pay', 'no_answer', err.retryable, `${name}: ${err.message}`, { cause: err })
}

/** Names the call in errors without what is personal in its path. */
function nameOf({ method, path }: { method: string; path: string }): string {
  return `${method} ${path.replace(/\/users\/[^/]+/, '/users/…')}`
}

function pathOf(url: string): string {
  const { pathname, search } = new URL(url)
  return pathname + search
}

function withQuery(path: string, query: PayCall<z.ZodType>['query'] = {}): string {
  const pairs = Object.entries(query).flatMap(([name, value]) =>
    value === undefined ? [] : [`${encodeURIComponent(name)}=${encodeURIComponent(value)}`],
  )
  return pairs.length === 0 ? path : `${path}?${pairs.join('&')}`
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // not JSON: the schema refuses it, the caller says what that means
  }
}

function readMerchant({ mchId, serialNo, privateKey, apiV3Key }: PayOptions): Merchant {
  const where = 'see 商户平台 → 账户中心 → API安全'
  const problems: Problem[] = []
  if (!/^\d{6,32}$/.test(mchId)) problems.push({ path: 'mchId', message: 'must be the digits of 商户号', hint: where })
  if (!/^[0-9A-F]{8,64}$/i.test(serialNo)) {
    problems.push({ path: 'serialNo', message: 'must be the hex digits of the API certificate', hint: where })
  }
  if (Buffer.byteLength(apiV3Key) !== 32) {
    problems.push({ path: 'apiV3Key', message: `must be 32 bytes (got ${Buffer.byteLength(apiV3Key)})`, hint: where })
  }
  let key: Merchant['privateKey'] | undefined
  try {
    key = createPrivateKey(privateKey)
  } catch {
    // What the parser says could quote the key.
    problems.push({ path: 'privateKey', message: 'is no private key in PEM', hint: 'use apiclient_key.pem as it is' })
  }
  if (key === undefined || problems.length > 0) throw new ConfigError('WeChat Pay settings are not usable', problems)
  return { mchId, serialNo: serialNo.toUpperCase(), privateKey: key }
}
