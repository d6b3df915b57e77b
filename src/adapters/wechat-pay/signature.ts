import { createHmac, type KeyObject, sign, verify } from 'node:crypto'
import { SECOND_MS } from '../../time.js'

/** What a request, an answer or a callback is signed over: every line ends with a line break, the last one too. */
export function signedText(...lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join('')
}

export type Merchant = {
  mchId: string
  /** Serial of the merchant's API certificate: 40 hex digits, upper case. */
  serialNo: string
  privateKey: KeyObject
}

/**
 * The `Authorization` header of a request.
 *
 * @param path - with query, exactly as sent
 * @param body - exactly as sent; empty for GET; of an upload the `meta` part
 * @param nonce - 32 letters and digits
 * @see 签名生成, pay.weixin.qq.com/doc/v3/merchant/4012365336 (SHA256 with RSA, PKCS#1 v1.5; read 2026-08)
 */
export function authorizationOf(
  { mchId, serialNo, privateKey }: Merchant,
  request: { method: string; path: string; body: string; nonce: string; at: Date },
): string {
  const timestamp = String(Math.floor(request.at.getTime() / SECOND_MS))
  const text = signedText(request.method, request.path, timestamp, request.nonce, request.body)
  const fields = {
    mchid: mchId,
    nonce_str: request.nonce,
    signature: sign('RSA-SHA256', Buffer.from(text), privateKey).toString('base64'),
    timestamp,
    serial_no: serialNo,
  }
  const pairs = Object.entries(fields).map(([name, value]) => `${name}="${value}"`)
  return `WECHATPAY2-SHA256-RSA2048 ${pairs.join(',')}`
}

/** Whether WeChat Pay signed these bytes with the private half of `key`. */
export function isSignedBy(
  key: KeyObject,
  { timestamp, nonce, body, signature }: { timestamp: string; nonce: string; body: string; signature: string },
): boolean {
  return verify('RSA-SHA256', Buffer.from(signedText(timestamp, nonce, body)), key, Buffer.from(signature, 'base64'))
}

/**
 * The `sign` of merchant coupons that the customer takes in a mini program or on an H5 page: HMAC-SHA256 over the
 * sorted pairs, empty ones left out, with the APIv2 key (not the v3 key) at the end and as the key.
 */
export function couponSign(fields: Readonly<Record<string, string>>, apiV2Key: string): string {
  const pairs = Object.keys(fields)
    .filter((name) => fields[name] !== '')
    .sort()
    .map((name) => `${name}=${fields[name]}`)
  return createHmac('sha256', apiV2Key)
    .update([...pairs, `key=${apiV2Key}`].join('&'))
    .digest('hex')
    .toUpperCase()
}
