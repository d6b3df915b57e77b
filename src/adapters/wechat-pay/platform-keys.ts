import { createPublicKey, type KeyObject, X509Certificate } from 'node:crypto'
import { z } from 'zod'
import { InvalidInputError, messageOf } from '../../errors.js'
import type { Log } from '../../log.js'
import { parseInput } from '../../parse.js'
import { HOUR_MS, MINUTE_MS, SECOND_MS, type Clock } from '../../time.js'
import { isSignedBy } from './signature.js'
import { openSealed, Sealed } from './sealed.js'

/** A text with the headers that WeChat Pay signed it by. Header names in lower case. */
export type SignedMessage = { headers: Readonly<Record<string, string | undefined>>; body: string }

export interface PlatformKeys {
  /**
   * What is wrong with the signature of an answer or a callback; `undefined` when it is good. Keys that are not known
   * yet are downloaded, at most once a minute.
   */
  problemOf(message: SignedMessage): Promise<string | undefined>
}

const MAX_SKEW_MS = 5 * MINUTE_MS
/** The documentation asks for a look at new certificates at least twice a day. */
const FRESH_MS = 12 * HOUR_MS
const PAUSE_MS = MINUTE_MS

const Instant = z.string().pipe(z.coerce.date())
const CertificateList = z.object({
  data: z.array(z.object({ serial_no: z.string().min(1), expire_time: Instant, encrypt_certificate: Sealed })).min(1),
})

/**
 * Keys that the platform signs with: certificates, downloaded and renewed, and the public key of merchants in
 * public-key mode. While a merchant changes from one to the other, messages come signed by either.
 *
 * @param download - `GET /v3/certificates`, its signature not checked yet
 * @see 微信支付公钥 and 平台证书, pay.weixin.qq.com/doc/v3/merchant/4012154180 and 4012068814 (read 2026-08)
 */
export function createPlatformKeys(options: {
  clock: Clock
  log: Log
  apiV3Key: string
  /** `id` begins with `PUB_KEY_ID_`. */
  publicKey?: { id: string; pem: string }
  download: () => Promise<SignedMessage>
}): PlatformKeys {
  const { clock, log, apiV3Key, publicKey } = options
  const fixed = new Map<string, KeyObject>()
  if (publicKey !== undefined) fixed.set(publicKey.id, createPublicKey(publicKey.pem))
  let downloaded = new Map<string, { key: KeyObject; expiresAt: Date }>()
  let downloadedAtMs = -Infinity
  let askedAtMs = -Infinity
  let underWay: Promise<void> | undefined

  const nowMs = () => clock.now().getTime()

  async function download(): Promise<void> {
    askedAtMs = nowMs()
    const list = await options.download()
    const certificates = new Map(
      parseInput(CertificateList, JSON.parse(list.body), 'Not a list of certificates').data.map((item) => {
        const certificate = new X509Certificate(openSealed(apiV3Key, item.encrypt_certificate))
        return [item.serial_no, { key: certificate.publicKey, expiresAt: item.expire_time }]
      }),
    )
    // Only WeChat Pay can seal with our APIv3 key; the signature by one of the new keys says that the list is whole.
    const problem = checkSignature(list, (serial) => certificates.get(serial)?.key ?? fixed.get(serial), nowMs())
    if (problem !== undefined) throw new InvalidInputError('WeChat Pay certificates refused', [problemWith(problem)])
    downloaded = certificates
    downloadedAtMs = nowMs()
  }

  /** However many wait, one download; what is there stays usable when it fails. */
  async function refresh(): Promise<void> {
    if (nowMs() - askedAtMs < PAUSE_MS && underWay === undefined) return
    underWay ??= download().finally(() => (underWay = undefined))
    try {
      await underWay
    } catch (err) {
      log.warn('WeChat Pay certificates could not be downloaded', { cause: messageOf(err) })
    }
  }

  function keyOf(serial: string): KeyObject | undefined {
    const certificate = downloaded.get(serial)
    if (certificate === undefined) return fixed.get(serial)
    return certificate.expiresAt.getTime() > nowMs() ? certificate.key : undefined
  }

  return {
    async problemOf(message) {
      const serial = message.headers['wechatpay-serial'] ?? ''
      const isStale = downloaded.has(serial) && nowMs() - downloadedAtMs > FRESH_MS
      if (serial !== '' && (keyOf(serial) === undefined || isStale)) await refresh()
      return checkSignature(message, keyOf, nowMs())
    },
  }
}

function checkSignature(
  { headers, body }: SignedMessage,
  keyOf: (serial: string) => KeyObject | undefined,
  nowMs: number,
): string | undefined {
  const timestamp = headers['wechatpay-timestamp'] ?? ''
  const nonce = headers['wechatpay-nonce'] ?? ''
  const signature = headers['wechatpay-signature'] ?? ''
  const serial = headers['wechatpay-serial'] ?? ''
  if (timestamp === '' || nonce === '' || signature === '' || serial === '') return 'it is not signed'
  if (!/^\d+$/.test(timestamp) || Math.abs(nowMs - Number(timestamp) * SECOND_MS) > MAX_SKEW_MS) {
    return 'its Wechatpay-Timestamp is more than 5 minutes away: check the clock of this machine'
  }
  const key = keyOf(serial)
  if (key === undefined) return `its Wechatpay-Serial (…${serial.slice(-6)}) names no key we have`
  // The platform now and then sends `WECHATPAY/SIGNTEST/…` to see that a wrong signature is refused.
  return isSignedBy(key, { timestamp, nonce, body, signature }) ? undefined : 'its signature does not fit'
}

function problemWith(message: string) {
  return { path: 'Wechatpay-Signature', message, hint: 'a proxy may have changed the message; try without it' }
}
