import { createCipheriv, createHash, createPublicKey, type KeyObject, sign, verify } from 'node:crypto'
import type { z } from 'zod'
import { hashKey } from '../../../src/random.js'
import { HOUR_MS, MINUTE_MS, SECOND_MS } from '../../../src/time.js'
import type { World } from '../../world/world.js'
import { weixinAccountsOf } from '../weixin/people.js'
import { payAccountOf, platformCertificateOf, type PlatformKey, platformPublicKeyOf } from './keys.js'

/** WeChat Pay says no. */
export class PayRefusal extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly detail?: Record<string, string>,
  ) {
    super(message)
  }
}

export type PayRequest = {
  /** Query and JSON body together. */
  params: Record<string, unknown>
  /** The variable parts of the path, unescaped. */
  parts: readonly string[]
  body: string
  /** Where the caller reached us, for addresses in replies. */
  origin: string
  now: Date
}
/** `undefined`: 204 without a body. Text: a download, not signed. */
export type PayReply = Record<string, unknown> | string | undefined
export type PayRoute = {
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  /** `:name` stands for one part. */
  path: string
  /** Calls in a window of so many milliseconds; beyond it 429. */
  limit?: readonly [calls: number, windowMs: number]
  handle(request: PayRequest): PayReply
}

const MAX_SKEW_MS = 5 * MINUTE_MS

/** Reads parameters; what does not fit is PARAM_ERROR with its JSON pointer. */
export function readParams<S extends z.ZodType>(schema: S, { params, body }: PayRequest): z.infer<S> {
  const result = schema.safeParse(params)
  if (result.success) return result.data
  const issue = result.error.issues[0]!
  const field = `/${issue.path.map(String).join('/')}`
  const location = body === '' ? 'query' : 'body'
  throw new PayRefusal(400, 'PARAM_ERROR', `参数错误: ${field}`, { field, issue: issue.message, location })
}

/** The first result of a request number is the result of every repetition. */
export function once(
  world: World,
  scope: string,
  number: string,
  request: PayRequest,
  work: () => Record<string, unknown>,
): Record<string, unknown> {
  const { state } = world
  const hash = createHash('sha256').update(request.parts.join('/')).update(request.body).digest('hex')
  const seen = state.get<{ hash: string; reply: string }>(
    'SELECT hash, reply FROM pay_request WHERE scope = ? AND number = ?',
    scope,
    number,
  )
  if (seen !== undefined) {
    if (seen.hash !== hash) throw new PayRefusal(400, 'INVALID_REQUEST', '请求单号已被使用且参数不一致')
    return JSON.parse(seen.reply) as Record<string, unknown>
  }
  const reply = work()
  state.run('INSERT INTO pay_request VALUES (?, ?, ?, ?)', scope, number, hash, JSON.stringify(reply))
  return reply
}

/** @throws {PayRefusal} when the merchant's `Authorization` does not fit the request. */
export function checkAuthorization(
  world: World,
  request: { method: string; url: string; body: Buffer; now: Date; authorization: string },
): void {
  const account = payAccountOf(world.seed)
  const wrong = (message: string) => new PayRefusal(401, 'SIGN_ERROR', message)
  const match = /^WECHATPAY2-SHA256-RSA2048\s+(.+)$/.exec(request.authorization)
  if (match === null) throw wrong('Http头Authorization值格式错误')
  const fields = new Map([...match[1]!.matchAll(/(\w+)="([^"]*)"/g)].map(([, name, value]) => [name!, value!]))
  const of = (name: string): string => {
    const value = fields.get(name)
    if (value === undefined || value === '') throw wrong(`Authorization中缺少${name}`)
    return value
  }
  if (of('mchid') !== account.mchId) throw new PayRefusal(400, 'MCH_NOT_EXISTS', '商户号不存在')
  if (of('serial_no').toUpperCase() !== account.serialNo) throw wrong('商户证书序列号有误')
  if (Math.abs(Number(of('timestamp')) * SECOND_MS - request.now.getTime()) > MAX_SKEW_MS) {
    throw wrong('Http头Authorization中的timestamp与发起请求的时间不得超过5分钟')
  }
  const text = Buffer.concat([
    Buffer.from(`${request.method}\n${request.url}\n${of('timestamp')}\n${of('nonce_str')}\n`),
    request.body,
    Buffer.from('\n'),
  ])
  const key = createPublicKey(account.privateKey)
  if (!verify('RSA-SHA256', text, key, Buffer.from(of('signature'), 'base64'))) {
    throw wrong('错误的签名，验签失败')
  }
}

/** How many times the platform's certificate was exchanged. */
export function generationOf(world: World): number {
  return Number(world.state.meta('pay_generation') ?? 0)
}

/** The key that signs for who names `serial`: its public key when that is asked for, else the newest certificate. */
export function signingKeyFor(world: World, serial: string | undefined): PlatformKey {
  const publicKey = platformPublicKeyOf(world.seed)
  return serial === publicKey.serial ? publicKey : platformCertificateOf(world.seed, generationOf(world))
}

/** Headers by which an answer or a callback is verified. @param what - makes the nonce: the same for the same message */
export function signatureHeaders(key: PlatformKey, body: string, now: Date, what: string): Record<string, string> {
  const timestamp = String(Math.floor(now.getTime() / SECOND_MS))
  const nonce = hashKey(32, 'pay-nonce', what, timestamp)
  return {
    'wechatpay-timestamp': timestamp,
    'wechatpay-nonce': nonce,
    'wechatpay-signature': signText(key.privateKey, `${timestamp}\n${nonce}\n${body}\n`),
    'wechatpay-serial': key.serial,
    'wechatpay-signature-type': 'WECHATPAY2-SHA256-RSA2048',
  }
}

function signText(key: KeyObject, text: string): string {
  return sign('RSA-SHA256', Buffer.from(text), key).toString('base64')
}

/** Seals a text as callbacks and certificates are sealed. @param what - makes the nonce: never two texts under one */
export function seal(world: World, text: string, associatedData: string, what: string): Record<string, string> {
  const nonce = hashKey(12, world.seed, 'seal', what)
  const cipher = createCipheriv('aes-256-gcm', Buffer.from(payAccountOf(world.seed).apiV3Key), Buffer.from(nonce))
  cipher.setAAD(Buffer.from(associatedData))
  const ciphertext = Buffer.concat([cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()])
  return {
    algorithm: 'AEAD_AES_256_GCM',
    ciphertext: ciphertext.toString('base64'),
    associated_data: associatedData,
    nonce,
  }
}

/** The sandbox's merchant is bound to its official account and its mini program. @throws {PayRefusal} */
export function checkAppId(world: World, appId: string): void {
  const { officialAccount, miniProgram } = weixinAccountsOf(world.seed)
  if (appId !== officialAccount.appId && appId !== miniProgram.appId) {
    throw new PayRefusal(400, 'APPID_MCHID_NOT_MATCH', 'appid与商户号未绑定')
  }
}

const BEIJING_OFFSET_MS = 8 * HOUR_MS

export function wireTime(ms: number): string {
  return `${new Date(ms + BEIJING_OFFSET_MS).toISOString().slice(0, 19)}+08:00`
}

/** The day or month in Beijing, where budgets and caps are counted. */
export function beijingDay(ms: number): string {
  return wireTime(ms).slice(0, 10)
}

export function beijingDayStartMs(ms: number): number {
  return Date.parse(`${beijingDay(ms)}T00:00:00+08:00`)
}

export function beijingMonthStartMs(ms: number): number {
  return Date.parse(`${beijingDay(ms).slice(0, 7)}-01T00:00:00+08:00`)
}
