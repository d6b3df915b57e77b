import { readFileSync } from 'node:fs'
import { describe, expect, it } from '@jest/globals'
import { encrypt, getSignature } from '@wecom/crypto'
import { openCallback } from '../../../../src/adapters/wecom/transport/callback.js'
import { ConfigError, InvalidInputError } from '../../../../src/errors.js'

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

/** Official samples (documents 90968 and 90930, sbzhu/weworkapi_php, xen0n/go-workwx) and two derived from them. */
const vectors = JSON.parse(
  readFileSync(new URL('../../../fixtures/wecom-crypto-vectors.json', import.meta.url), 'utf8'),
) as Vector[]
const [official] = vectors as [Vector]
const customerEvent = vectors.find(({ name }) => name === 'derived customer event')!

const queryOf = (v: Vector) => ({ msg_signature: v.signature, timestamp: v.timestamp, nonce: v.nonce })
const envelopeOf = (v: Vector) =>
  `<xml><ToUserName><![CDATA[${v.corpId}]]></ToUserName><AgentID><![CDATA[218]]></AgentID><Encrypt><![CDATA[${v.encrypt}]]></Encrypt></xml>`

describe.each(vectors)('vector: $name', (v) => {
  it('is decrypted after its signature was checked', () => {
    expect(openCallback(v).verifyUrl({ ...queryOf(v), echostr: v.encrypt })).toBe(v.message)
  })

  it('is encrypted and signed to the same bytes', () => {
    expect(encrypt(v.encodingAesKey, v.message, v.corpId, Buffer.from(v.randomHex, 'hex'))).toBe(v.encrypt)
    expect(getSignature(v.token, v.timestamp, v.nonce, v.encrypt)).toBe(v.signature)
  })
})

describe('reading a delivery', () => {
  it('gives the elements as text, the agent, and a key that only the content decides', () => {
    const { agentId, content, contentKey } = openCallback(official).read(queryOf(official), envelopeOf(official))
    expect(agentId).toBe('218')
    expect(content).toEqual({
      ToUserName: 'wx5823bf96d3bd56c7',
      FromUserName: 'mycreate',
      CreateTime: '1409659813',
      MsgType: 'text',
      Content: 'hello',
      MsgId: '4561255354251345929', // 64 bits: more than a number holds
      AgentID: '218',
    })

    const nonce = 'another'
    const repeated = encrypt(official.encodingAesKey, official.message, official.corpId)
    const signature = getSignature(official.token, official.timestamp, nonce, repeated)
    const again = openCallback(official).read(
      { msg_signature: signature, timestamp: official.timestamp, nonce },
      envelopeOf({ ...official, encrypt: repeated }),
    )
    expect(repeated).not.toBe(official.encrypt)
    expect(again.contentKey).toBe(contentKey)
    expect(openCallback(official).read(queryOf(customerEvent), envelopeOf(customerEvent)).contentKey).not.toBe(
      contentKey,
    )
  })

  it('takes the JSON envelope in either spelling', () => {
    const reader = openCallback(customerEvent)
    for (const body of [
      { ToUserName: 'x', Encrypt: customerEvent.encrypt, AgentID: 218 },
      { tousername: 'x', encrypt: customerEvent.encrypt, agentid: '218' },
    ]) {
      const { agentId, content } = reader.read(queryOf(customerEvent), JSON.stringify(body))
      expect(agentId).toBe('218')
      expect(content['ChangeType']).toBe('add_external_contact')
    }
  })

  it('takes XML with blanks, and as it is sent without CDATA, without a whole parser', () => {
    const { encrypt: sealed } = customerEvent
    for (const body of [
      `<?xml version="1.0"?>\n<xml>\n  <Encrypt>\n${sealed}\n</Encrypt>\n  <AgentID>218</AgentID>\n</xml>\n`,
      // What else is in there is never looked at: it is not signed.
      `<xml><Encrypt><![CDATA[${sealed}]]></Encrypt>${'<a>'.repeat(10_000)}`,
    ]) {
      const { content } = openCallback(customerEvent).read(queryOf(customerEvent), body)
      expect(content['ChangeType']).toBe('add_external_contact')
    }
  })

  it('takes an echo string whose plus signs became spaces', () => {
    const check = vectors.find(({ name }) => name === 'official URL check')!
    expect(check.encrypt).toContain('+')
    const echostr = check.encrypt.replaceAll('+', ' ')
    expect(openCallback(check).verifyUrl({ ...queryOf(check), echostr })).toBe(check.message)
  })
})

describe('refuses, saying what to check,', () => {
  const refusal = (run: () => unknown): InvalidInputError => {
    try {
      run()
    } catch (err) {
      if (err instanceof InvalidInputError) return err
      throw err
    }
    throw new Error('nothing was refused')
  }
  const body = envelopeOf(official)

  it('a wrong signature, of the right length or not', () => {
    const reader = openCallback({ ...official, token: 'AnotherToken' })
    expect(refusal(() => reader.read(queryOf(official), body)).message).toContain('Token')
    const short = { ...queryOf(official), msg_signature: 'abc' }
    expect(refusal(() => openCallback(official).read(short, body)).message).toContain('msg_signature')
  })

  it('a message for another company', () => {
    const reader = openCallback({ ...official, corpId: 'ww0000000000000009' })
    expect(refusal(() => reader.read(queryOf(official), body)).message).toContain('企业ID')
  })

  it('what another key encrypted', () => {
    const encodingAesKey = vectors.find(({ name }) => name === 'URL check with another key')!.encodingAesKey
    const err = refusal(() => openCallback({ ...official, encodingAesKey }).read(queryOf(official), body))
    expect(err.message).toMatch(/EncodingAESKey|企业ID/)
    expect(err.message).not.toContain(encodingAesKey)
  })

  it.each([
    ['no XML', 'hello'],
    ['no envelope', '<xml><Other>1</Other></xml>'],
    ['a DTD', `<!DOCTYPE xml [<!ENTITY a "b">]>${body}`],
    ['broken JSON', '{"Encrypt":'],
    ['an empty body', ''],
    ['an element that is not closed', '<xml><Encrypt><![CDATA[AAAA'],
    ['something else than Base64', '<xml><Encrypt><![CDATA[A<B>A]]></Encrypt></xml>'],
    ['JSON of 30,000 lists in each other', `{"encrypt": ${'['.repeat(30_000)}${']'.repeat(30_000)}}`],
    ['JSON that is not closed', `{"encrypt": ${'['.repeat(60_000)}`],
    ['an object where text is meant', '{"encrypt": {"length": 1}}'],
    ['60,000 elements that nobody asked for', `<xml>${'<a>'.repeat(20_000)}`],
  ])('a body with %s', (_what, text) => {
    expect(refusal(() => openCallback(official).read(queryOf(official), text)).code).toBe('invalid_input')
  })

  it('a query without a signature', () => {
    expect(refusal(() => openCallback(official).read({}, body)).message).toContain('msg_signature')
    expect(refusal(() => openCallback(official).verifyUrl(queryOf(official))).message).toContain('echostr')
  })

  it('settings of the wrong shape, without repeating them', () => {
    const open = () => openCallback({ token: 'not allowed!', encodingAesKey: 'tooshort', corpId: 'ww1' })
    expect(open).toThrow(ConfigError)
    expect(open).toThrow(/43 letters and digits \(got 8\)/)
    expect(open).not.toThrow(/tooshort/)
  })
})
