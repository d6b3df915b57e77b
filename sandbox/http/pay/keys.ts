import { checkPrimeSync, createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto'
import { hashKey, intOf } from '../../../src/random.js'
import { DAY_MS } from '../../../src/time.js'

/** What the merchant has from the console. Plainly fake, the same for the same seed. */
export type PayAccount = {
  mchId: string
  serialNo: string
  /** PEM. */
  privateKey: string
  apiV3Key: string
  apiV2Key: string
  /** For merchants in public-key mode. */
  publicKey: { id: string; pem: string }
}

/** A key that the platform signs with, by the serial it names in `Wechatpay-Serial`. */
export type PlatformKey = { serial: string; privateKey: KeyObject }
export type PlatformCertificate = PlatformKey & { pem: string; notBefore: Date; notAfter: Date }

const PRIME_BITS = 1024
const PUBLIC_EXPONENT = 65_537n
const CERTIFICATE_MS = 5 * 365 * DAY_MS
const EPOCH = Date.UTC(2024, 0, 1)

const accounts = new Map<number, PayAccount>()
const keys = new Map<string, KeyObject>()

export function payAccountOf(seed: number): PayAccount {
  let account = accounts.get(seed)
  if (account === undefined) {
    account = {
      mchId: `99${String(intOf(10 ** 8, seed, 'mchid')).padStart(8, '0')}`,
      serialNo: `FA4E${hashKey(36, seed, 'merchant-serial').toUpperCase()}`,
      privateKey: keyOf(seed, 'merchant').export({ type: 'pkcs8', format: 'pem' }) as string,
      apiV3Key: `sandbox-apiv3-key-${hashKey(14, seed, 'apiv3')}`,
      apiV2Key: `sandbox-apiv2-key-${hashKey(14, seed, 'apiv2')}`,
      publicKey: {
        id: publicKeyId(seed),
        pem: createPublicKey(keyOf(seed, 'public')).export({ type: 'spki', format: 'pem' }) as string,
      },
    }
    accounts.set(seed, account)
  }
  return account
}

/** @param generation - 0 at first, one more with every rotation */
export function platformCertificateOf(seed: number, generation: number): PlatformCertificate {
  const serial = `FACE${hashKey(36, seed, 'platform-serial', generation).toUpperCase()}`
  const privateKey = keyOf(seed, `platform-${generation}`)
  const notBefore = new Date(EPOCH + generation * DAY_MS)
  const notAfter = new Date(notBefore.getTime() + 4 * CERTIFICATE_MS)
  return { serial, privateKey, notBefore, notAfter, pem: certificatePem({ serial, privateKey, notBefore, notAfter }) }
}

export function platformPublicKeyOf(seed: number): PlatformKey {
  return { serial: publicKeyId(seed), privateKey: keyOf(seed, 'public') }
}

function publicKeyId(seed: number): string {
  return `PUB_KEY_ID_0${String(intOf(10 ** 15, seed, 'public-key-id')).padStart(25, '0')}`
}

/** An RSA key of 2048 bits from the seed: fit for a sandbox, where anybody may know it, and for nothing else. */
function keyOf(seed: number, purpose: string): KeyObject {
  const id = `${seed}/${purpose}`
  let key = keys.get(id)
  if (key === undefined) {
    const p = primeOf(id, 'p')
    const q = primeOf(id, 'q')
    const d = inverse(PUBLIC_EXPONENT, (p - 1n) * (q - 1n))
    const numbers = { n: p * q, e: PUBLIC_EXPONENT, d, p, q, dp: d % (p - 1n), dq: d % (q - 1n), qi: inverse(q, p) }
    const jwk = Object.fromEntries(Object.entries(numbers).map(([name, n]) => [name, bytesOf(n).toString('base64url')]))
    key = createPrivateKey({ key: { kty: 'RSA', ...jwk }, format: 'jwk' })
    keys.set(id, key)
  }
  return key
}

function primeOf(id: string, which: string): bigint {
  const hex = Array.from({ length: PRIME_BITS / 256 }, (_, i) => hashKey(64, id, which, i)).join('')
  // The two highest bits make the product of two primes 2048 bits long.
  let candidate = BigInt(`0x${hex}`) | (3n << BigInt(PRIME_BITS - 2)) | 1n
  while (candidate % PUBLIC_EXPONENT === 1n || !checkPrimeSync(candidate)) candidate += 2n
  return candidate
}

function inverse(a: bigint, modulus: bigint): bigint {
  let [r, nextR, t, nextT] = [modulus, a % modulus, 0n, 1n]
  while (nextR !== 0n) {
    const quotient = r / nextR
    ;[r, nextR, t, nextT] = [nextR, r - quotient * nextR, nextT, t - quotient * nextT]
  }
  return t < 0n ? t + modulus : t
}

function bytesOf(n: bigint): Buffer {
  const hex = n.toString(16)
  return Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex')
}

/** A self-signed X.509 certificate (RFC 5280), as DER in PEM. */
function certificatePem(of: { serial: string; privateKey: KeyObject; notBefore: Date; notAfter: Date }): string {
  const algorithm = der(0x30, oid('2a864886f70d01010b'), der(0x05)) // sha256WithRSAEncryption
  const name = der(0x30, der(0x31, der(0x30, oid('550403'), der(0x0c, Buffer.from('WeChat Pay sandbox (fake)')))))
  const spki = createPublicKey(of.privateKey).export({ type: 'spki', format: 'der' })
  const body = der(
    0x30,
    der(0xa0, der(0x02, Buffer.from([2]))), // version 3
    der(0x02, Buffer.from(`00${of.serial}`, 'hex')),
    algorithm,
    name,
    der(0x30, derTime(of.notBefore), derTime(of.notAfter)),
    name,
    spki,
  )
  const signature = der(0x03, Buffer.from([0]), sign('RSA-SHA256', body, of.privateKey))
  const lines = der(0x30, body, algorithm, signature)
    .toString('base64')
    .match(/.{1,64}/g)!
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n')
}

/** Tag, length, value. */
function der(tag: number, ...parts: Buffer[]): Buffer {
  const value = Buffer.concat(parts)
  const size = bytesOf(BigInt(value.length))
  const length = value.length < 0x80 ? [value.length] : [0x80 | size.length, ...size]
  return Buffer.concat([Buffer.from([tag, ...length]), value])
}

function oid(hex: string): Buffer {
  return der(0x06, Buffer.from(hex, 'hex'))
}

/** GeneralizedTime, which RFC 5280 wants from 2050 on and every reader takes. */
function derTime(at: Date): Buffer {
  return der(0x18, Buffer.from(`${at.toISOString().replace(/[-:T]/g, '').slice(0, 14)}Z`))
}
