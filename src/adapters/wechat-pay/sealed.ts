import { createDecipheriv } from 'node:crypto'
import { z } from 'zod'
import { InvalidInputError } from '../../errors.js'

/** An encrypted part of a callback or of the certificate list. */
export const Sealed = z.object({
  algorithm: z.literal('AEAD_AES_256_GCM'),
  /** Base64 of the cipher text and its tag of 16 bytes. */
  ciphertext: z.string().min(1),
  nonce: z.string().min(1),
  associated_data: z.string().nullish(),
})
export type Sealed = z.infer<typeof Sealed>

const TAG_BYTES = 16

/**
 * @param apiV3Key - 32 characters, used as bytes
 * @throws {InvalidInputError} when the key is another one or the text was changed on the way
 */
export function openSealed(apiV3Key: string, { ciphertext, nonce, associated_data }: Sealed): string {
  const bytes = Buffer.from(ciphertext, 'base64')
  try {
    const decipher = createDecipheriv('aes-256-gcm', Buffer.from(apiV3Key), Buffer.from(nonce))
    decipher.setAAD(Buffer.from(associated_data ?? ''))
    decipher.setAuthTag(bytes.subarray(-TAG_BYTES))
    return Buffer.concat([decipher.update(bytes.subarray(0, -TAG_BYTES)), decipher.final()]).toString('utf8')
  } catch (err) {
    const hint = 'compare the APIv3 key with 商户平台 → 账户中心 → API安全'
    throw new InvalidInputError(
      'WeChat Pay message refused',
      [{ path: 'ciphertext', message: 'cannot be decrypted', hint }],
      { cause: err },
    )
  }
}
