import { createHash, createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto'
import { describe, expect, it } from '@jest/globals'
import { couponPageUrl, couponPluginParams } from '../../../src/adapters/wechat-pay/merchant-coupons.js'
import { openSealed } from '../../../src/adapters/wechat-pay/sealed.js'
import { authorizationOf, couponSign, isSignedBy, signedText } from '../../../src/adapters/wechat-pay/signature.js'
import { InvalidInputError } from '../../../src/errors.js'

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')
const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })

describe('request signature', () => {
  it.each([
    {
      method: 'GET',
      path: '/v3/certificates',
      body: '',
      hash: 'fab5c8a222049f386cb01453c7dc712c7997e756271557b0ef6e2e5060575373',
    },
    {
      method: 'POST',
      path: '/v3/marketing/favor/users/2323dfsdf342342/coupons',
      body: '{"stock_id":"9856000","out_request_no":"89560002019101000121","appid":"wx233544546545989","stock_creator_mchid":"8956000"}',
      hash: '7e14c323f895447d75c164683ba8e86133ea50a26299631d37be57d3d9df16e8',
    },
  ])('is made over the five lines of $method $path', ({ method, path, body, hash }) => {
    const nonce = '593BEC0C930BF1AFEB40B4A08C8FB242'
    const text = signedText(method, path, '1554208460', nonce, body)
    expect(sha256(text)).toBe(hash)

    const header = authorizationOf(
      { mchId: '1900000001', serialNo: 'ABCD', privateKey },
      { method, path, body, nonce, at: new Date(1_554_208_460_999) },
    )
    const [scheme, fields] = [header.slice(0, header.indexOf(' ')), header.slice(header.indexOf(' ') + 1)]
    expect(scheme).toBe('WECHATPAY2-SHA256-RSA2048')
    const of = (name: string) => new RegExp(`${name}="([^"]*)"`).exec(fields)![1]!
    expect([of('mchid'), of('nonce_str'), of('timestamp'), of('serial_no')]).toEqual([
      '1900000001',
      nonce,
      '1554208460',
      'ABCD',
    ])
    expect(verify('RSA-SHA256', Buffer.from(text), publicKey, Buffer.from(of('signature'), 'base64'))).toBe(true)
  })
})

describe('answer signature', () => {
  it('covers time, nonce and body, and an empty body too', () => {
    const key = createPublicKey(privateKey)
    const signed = { timestamp: '1554208460', nonce: 'abc', body: '' }
    const signature = sign('RSA-SHA256', Buffer.from('1554208460\nabc\n\n'), privateKey).toString('base64')
    expect(isSignedBy(key, { ...signed, signature })).toBe(true)
    expect(isSignedBy(key, { ...signed, body: ' ', signature })).toBe(false)
    expect(isSignedBy(key, { ...signed, signature: 'WECHATPAY/SIGNTEST/abcdef' })).toBe(false)
  })
})

describe('sealed texts', () => {
  const vector = {
    algorithm: 'AEAD_AES_256_GCM' as const,
    nonce: 'abcdefghijkl',
    associated_data: 'coupon',
    ciphertext: 'Eu6q0L6VAr08f511b7tiHW4Biy+IokN5bcpR/7kDp45O8oLFFmTElnpKoYJzRM2Q8deuqrb4MUTCBdOHhg==',
  }
  const key = '0123456789abcdef0123456789abcdef'

  it('are opened with the APIv3 key', () => {
    expect(openSealed(key, vector)).toBe('{"coupon_code":"20001","stock_id":"98065001"}')
  })

  it.each([
    ['another key', key.replace('0', '1'), vector],
    ['another associated data', key, { ...vector, associated_data: '' }],
    ['a changed text', key, { ...vector, ciphertext: vector.ciphertext.replace('Eu6q', 'Eu6r') }],
    ['a text too short for its tag', key, { ...vector, ciphertext: 'AAAA' }],
  ])('are refused with %s', (_what, withKey, sealed) => {
    expect(() => openSealed(withKey, sealed)).toThrow(InvalidInputError)
  })
})

describe('coupon sign with the APIv2 key', () => {
  const apiV2Key = '192006250b4c09247ec02edce69f6a2d'
  const mchId = '10016226'

  it('signs the H5 page, empty fields left out', () => {
    const fields = {
      open_id: 'oUpF8uMuAJO_M2pxb1Q9zNjWeS6o',
      out_request_no: '1000320200601ABCDEF',
      send_coupon_merchant: mchId,
      stock_id: '98065001',
    }
    const sign = 'AA55E0599EB02B44AADD31FD94BF519D1C9968627FDC54D314420493CF69BED3'
    expect(couponSign({ ...fields, coupon_code: '' }, apiV2Key)).toBe(sign)

    const coupon = { stockId: '98065001', requestNo: '1000320200601ABCDEF' }
    const url = new URL(couponPageUrl({ mchId, apiV2Key }, fields.open_id, coupon))
    expect(url.origin + url.pathname).toBe('https://action.weixin.qq.com/busifavor/getcouponinfo')
    expect(Object.fromEntries(url.searchParams)).toEqual({ ...fields, sign })
    expect(url.hash).toBe('#wechat_redirect')
  })

  it('signs the parameters of the mini program plugin, numbered', () => {
    expect(couponPluginParams({ mchId, apiV2Key }, [{ stockId: '98065001', requestNo: 'abc123' }])).toEqual({
      send_coupon_params: [{ stock_id: '98065001', out_request_no: 'abc123' }],
      sign: 'B2FEDE94B1E255F2B2508222E4466CBB36AF75AF88AFA410E0E7C84399B39DEA',
      send_coupon_merchant: mchId,
    })
  })
})
