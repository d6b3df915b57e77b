import { describe, expect, it } from '@jest/globals'
import * as official from '@wecom/crypto'
import { decrypt, encrypt, isSignature, signatureOf } from '../../sandbox/crypto.js'

// Samples of page 90968 and its official code samples.
const TOKEN = 'QDG6eK'
const KEY = 'jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C'
const RECEIVER = 'wx5823bf96d3bd56c7'
const MESSAGE = `<xml><ToUserName><![CDATA[wx5823bf96d3bd56c7]]></ToUserName>
<FromUserName><![CDATA[mycreate]]></FromUserName>
<CreateTime>1409659813</CreateTime>
<MsgType><![CDATA[text]]></MsgType>
<Content><![CDATA[hello]]></Content>
<MsgId>4561255354251345929</MsgId>
<AgentID>218</AgentID>
</xml>`
const ENCRYPTED =
  'RypEvHKD8QQKFhvQ6QleEB4J58tiPdvo+rtK1I9qca6aM/wvqnLSV5zEPeusUiX5L5X/0lWfrf0QADHHhGd3QczcdCUpj911L3vg3W/sYYvuJTs3TUUkSUXxaccAS0qhxchrRYt66wiSpGLYL42aM6A8dTT+6k4aSknmPj48kzJs8qLjvd4Xgpue06DOdnLxAUHzM6+kDZ+HMZfJYuR+LtwGc2hgf5gsijff0ekUNXZiqATP7PF5mZxZ3Izoun1s4zG4LUMnvw2r+KqCKIw+3IQH03v+BCA9nMELNqbSf6tiWSrXJB3LAVGUcallcrw8V2t9EL4EhzJWrQUax5wLVMNS0+rUPA3k22Ncx4XXZS9o0MBH27Bo6BpNelZpS+/uh9KsNlY6bHCmJU9p8g7m3fVKn28H3KDYA5Pl/T8Z1ptDAVe0lXdQ2YoyyH2uyPIGHBZZIs2pDBS8R07+qN+E7Q=='

describe('callback encryption', () => {
  it('re-encrypts the official sample to the same Base64', () => {
    expect(encrypt(KEY, MESSAGE, RECEIVER, Buffer.from('0960688932c47ef1'))).toBe(ENCRYPTED)
    expect(signatureOf(TOKEN, '1409659813', '1372623149', ENCRYPTED)).toBe('477715d11cdb4164915debcba66cb864d751f3e6')
    expect(decrypt(KEY, ENCRYPTED)).toMatchObject({ message: MESSAGE, receiveId: RECEIVER })
  })

  it.each([
    {
      name: 'official URL check',
      token: TOKEN,
      key: KEY,
      receiver: RECEIVER,
      timestamp: '1409659589',
      nonce: '263014780',
      text: 'P9nAzCzyDtyTWESHep1vC5X9xho/qYX3Zpb4yKa9SKld1DsH3Iyt3tP3zNdtp+4RPcs8TgAE7OaBO+FZXvnaqQ==',
      signature: '5c45ff5e21c57e6ad56bac8758b79b1d9ac89fd3',
      message: '1616140317555161061',
    },
    {
      name: 'URL check with another key',
      token: 'kjr2TKI8umCBfVF3wAHk8JiPwma5VBme',
      key: '4Ma3YBrSBbX2aez8MJpXGBne5LSDwgGqHbhM9WPYIws',
      receiver: 'ww6a112864f8022910',
      timestamp: '1583940690',
      nonce: 'VHh7ymSeb0jc4lSb',
      text: '6KmUQuPVu7UhjyVqRdbo5SfcRqaHvbUlKSHFvBV2ZuR6TIlKsygcfeSd1GDplg1C5KSKr6UPHCaC/nIX3ZNt9w==',
      signature: '1ba3cb09c0d2c2b3ed6900d37f91a6efae6cb011',
      message: '94966531020182955848408',
    },
    {
      name: 'app message with binary random',
      token: 'kz7Yx62CH8SaLN',
      key: 'cD0d7jx4tYvVtzqrmh3Dm3QFCXe6f8SlHoMtMh3qQEP',
      receiver: 'ww6a112864f8022910',
      timestamp: '1583995625',
      nonce: '1584392382',
      text: 'EUCt7xMcNiyASzZj0Hjc5yDjFQrCum6AfQ3ntHiUzjGQ51xieKmbvtrZ40/EcB2W/W8yH0n4Lqx48gJl/T9HD/R309I0P/r5pIZucK3lyEn48FYMr4YdE0QdL2jIJ3xkcXUr6uzefzCxG6lMvwpAJaOyVCzN7sRRw47njfxy5EIqU6R9ZBhlTzfdnhhOhK/nTwzrZX3SoGlXFA9OBeZ6ru1NWpXFk76x9DUMe0lcxPPiUqK8ctnQcYXSGUHVqC6DfG7E7mab0OmruNN8cBZY5d3dYOBA4OgaH55Q0AJmUpdT8vNiXpXx+6TxT3TIjySXpDrHVyrsb772aYywgg/Nu4kUmGkALwFZlzhjNegR7wDwb9lr4ERXsSSS8JZ8lbBmaQ3F2Tq584xoPj5rIhXAF734ynm4no1g+SdHiNqR328=',
      signature: 'f265ae551b1932727204c3d707628d01376a6940',
      message:
        '<xml><ToUserName><![CDATA[ww6a112864f8022910]]></ToUserName><FromUserName><![CDATA[foobar]]></FromUserName><CreateTime>1583995625</CreateTime><MsgType><![CDATA[text]]></MsgType><Content><![CDATA[x123]]></Content><MsgId>2018405441</MsgId><AgentID>1000002</AgentID></xml>',
    },
  ])('reads and repeats the published sample: $name', (sample) => {
    const { message, receiveId, random } = decrypt(sample.key, sample.text)
    expect({ message, receiveId }).toEqual({ message: sample.message, receiveId: sample.receiver })
    expect(encrypt(sample.key, message, receiveId, random)).toBe(sample.text)
    expect(signatureOf(sample.token, sample.timestamp, sample.nonce, sample.text)).toBe(sample.signature)
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
