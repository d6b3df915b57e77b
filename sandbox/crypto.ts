import { createCipheriv, createDecipheriv, hash, timingSafeEqual } from 'node:crypto'

/** Page 90968 (read 2026-11): AES-256-CBC, PKCS#7 to blocks of 32, plaintext = random(16) ‖ length(4, BE) ‖ message ‖ receive id. */
const BLOCK = 32

/** @param random - exactly 16 bytes */
export function encrypt(encodingAesKey: string, message: string, receiveId: string, random: Buffer): string {
  const key = keyOf(encodingAesKey)
  const length = Buffer.byteLength(message)
  const plainBytes = 20 + length + Buffer.byteLength(receiveId)
  const pad = BLOCK - (plainBytes % BLOCK)
  const padded = Buffer.alloc(plainBytes + pad, pad)
  random.copy(padded)
  padded.writeUInt32BE(length, 16)
  padded.write(message, 20)
  padded.write(receiveId, 20 + length)
  const cipher = createCipheriv('aes-256-cbc', key, key.subarray(0, 16)).setAutoPadding(false)
  // Whole blocks go in, so `final` has nothing left to say.
  return cipher.update(padded).toString('base64')
}

/** @throws {Error} when the text is not what `encrypt` makes. */
export function decrypt(
  encodingAesKey: string,
  encrypted: string,
): { message: string; receiveId: string; random: Buffer } {
  const key = keyOf(encodingAesKey)
  const decipher = createDecipheriv('aes-256-cbc', key, key.subarray(0, 16)).setAutoPadding(false)
  const padded = Buffer.concat([decipher.update(encrypted, 'base64'), decipher.final()])
  const pad = padded[padded.length - 1] ?? 0
  if (pad < 1 || pad > BLOCK) throw new Error('callback text has an impossible padding: wrong EncodingAESKey?')
  const plain = padded.subarray(0, padded.length - pad)
  const end = 20 + plain.readUInt32BE(16)
  if (end > plain.length) throw new Error('callback text is shorter than it says: wrong EncodingAESKey?')
  return {
    message: plain.toString('utf8', 20, end),
    receiveId: plain.toString('utf8', end),
    random: Buffer.from(plain.subarray(0, 16)),
  }
}

/** Lower-case hex SHA-1 over the four texts, sorted byte by byte; all are ASCII, where the order of texts is that. */
export function signatureOf(token: string, timestamp: string, nonce: string, encrypted: string): string {
  return hash('sha1', [token, timestamp, nonce, encrypted].sort().join(''))
}

export function isSignature(given: string, expected: string): boolean {
  const a = Buffer.from(given)
  const b = Buffer.from(expected)
  return a.length === b.length && timingSafeEqual(a, b)
}

/** Read once: callbacks come by the thousand. */
const keys = new Map<string, Buffer>()

function keyOf(encodingAesKey: string): Buffer {
  let key = keys.get(encodingAesKey)
  if (key !== undefined) return key
  key = Buffer.from(`${encodingAesKey}=`, 'base64')
  if (key.length !== 32) throw new Error('EncodingAESKey must be 43 letters and digits')
  keys.set(encodingAesKey, key)
  return key
}
