import { readFileSync } from 'node:fs'
import { describe, expect, it } from '@jest/globals'
import * as official from '@wecom/crypto'
import { decrypt, encrypt, isSignature, signatureOf } from '../../sandbox/crypto.js'

type Vector = {
  name: string
  token: string
  encodingAesKey: string
  corpId: string
  timestamp: string
  nonce: string
  signature: string
  encrypt: string
  randomHex: string
  message: string
}
/** Samples of page 90968 and of its official code samples; the receiver's side is held to the same ones. */
const VECTORS = JSON.parse(readFileSync('tests/fixtures/wecom-crypto-vectors.json', 'utf8')) as Vector[]
const { token: TOKEN, encodingAesKey: KEY, corpId: RECEIVER } = VECTORS[0]!

describe('callback encryption', () => {
  it.each(VECTORS)('reads and repeats the published sample: $name', (sample) => {
    const { message, receiveId, random } = decrypt(sample.encodingAesKey, sample.encrypt)
    expect({ message, receiveId, random: random.toString('hex') }).toEqual({
      message: sample.message,
      receiveId: sample.corpId,
      random: sample.randomHex,
    })
    expect(encrypt(sample.encodingAesKey, message, receiveId, random)).toBe(sample.encrypt)
    expect(signatureOf(sample.token, sample.timestamp, sample.nonce, sample.encrypt)).toBe(sample.signature)
  })

  it('pads a length that fits the block with a whole block', () => {
    const random = Buffer.from('0123456789abcdef')
    for (let bytes = 1; bytes <= 64; bytes++) {
      const text = encrypt(KEY, 'x'.repeat(bytes), RECEIVER, random)
      expect(Buffer.from(text, 'base64').length % 32).toBe(0)
      expect(decrypt(KEY, text).message).toBe('x'.repeat(bytes))
    }
  })

  it('is what the official package reads and signs', () => {
    const text = encrypt(KEY, '<xml>你好</xml>', RECEIVER, Buffer.from('0123456789abcdef'))
    expect(official.decrypt(KEY, text)).toMatchObject({ message: '<xml>你好</xml>', id: RECEIVER })
    expect(signatureOf(TOKEN, '1409659813', 'abc', text)).toBe(official.getSignature(TOKEN, '1409659813', 'abc', text))
  })

  it('tells signatures apart', () => {
    expect(isSignature('abc', 'abc')).toBe(true)
    expect(isSignature('abd', 'abc')).toBe(false)
    expect(isSignature('abcd', 'abc')).toBe(false)
  })
})
