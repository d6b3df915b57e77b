import { createCipheriv, createPublicKey, sign, verify } from 'node:crypto'
import { afterEach, describe, expect, it } from '@jest/globals'
import axios from 'axios'
import { createPayClient } from '../../../src/adapters/wechat-pay/client.js'
import { ConfigError, InvalidInputError, UpstreamError } from '../../../src/errors.js'
import { quietLog } from '../../../src/log.js'
import { DAY_MS, MINUTE_MS } from '../../../src/time.js'
import { platformCertificateOf } from '../../../sandbox/http/pay/keys.js'
import { AT, closeStands, openPay, openReceiver, type PayStand } from './support.js'

afterEach(closeStands)

async function usedCoupon(stand: PayStand, callbackUrl: string): Promise<string> {
  const { cashCoupons } = stand.client
  await cashCoupons.setCallbackUrl(callbackUrl)
  const { stockId } = await cashCoupons.createStock(
    {
      name: 'a',
      availableFrom: AT,
      availableUntil: new Date(AT.getTime() + DAY_MS),
      couponAmountMinor: 100,
      minimumAmountMinor: 200,
      maxCoupons: 10,
      maxCouponsPerUser: 10,
      noCash: true,
    },
    'stock-1',
  )
  await cashCoupons.start(stockId)
  const to = { openId: stand.openIdOf('wmc1'), appId: stand.appId, stockId, requestNo: 'send-1' }
  const { couponId } = await cashCoupons.send(to)
  await stand.control('POST /control/pay/use', { couponId })
  return couponId
}

describe('what the sandbox makes of our signature', () => {
  it.each([
    ['another key', (s: PayStand) => ({ privateKey: otherKey(s) }), 401, 'SIGN_ERROR'],
    ['another serial', () => ({ serialNo: 'ABCDEF0123456789' }), 401, 'SIGN_ERROR'],
    [
      'a clock six minutes behind',
      () => ({ clock: { now: () => new Date(AT.getTime() - 6 * MINUTE_MS) } }),
      401,
      'SIGN_ERROR',
    ],
    ['another merchant', () => ({ mchId: '1900000001' }), 400, 'MCH_NOT_EXISTS'],
  ])('%s is refused', async (_what, options, status, upstreamCode) => {
    const stand = await openPay()
    const client = stand.clientWith(options(stand))
    await expect(client.cashCoupons.callbackUrl()).rejects.toMatchObject({
      status,
      upstreamCode,
      meaning: 'tell_a_person',
      retryable: false,
    })
  })

  it('answers a signature that OpenSSL made over the written-out text, and signs its answer alike', async () => {
    const { url, account } = await openPay()
    const text = `GET\n/v3/marketing/favor/callbacks?mchid=1\n${AT.getTime() / 1000}\nNONCE\n\n`
    const signature = sign('RSA-SHA256', Buffer.from(text), account.privateKey).toString('base64')
    const answer = await axios.get<string>(`${url}/v3/marketing/favor/callbacks?mchid=1`, {
      headers: {
        Authorization: `WECHATPAY2-SHA256-RSA2048 mchid="${account.mchId}",serial_no="${account.serialNo}",nonce_str="NONCE",timestamp="${AT.getTime() / 1000}",signature="${signature}"`,
      },
      transformResponse: (data: string) => data,
      proxy: false,
    })
    const { headers, data } = answer
    const signed = `${String(headers['wechatpay-timestamp'])}\n${String(headers['wechatpay-nonce'])}\n${data}\n`
    const key = createPublicKey(platformCertificateOf(1, 0).privateKey)
    const given = Buffer.from(String(headers['wechatpay-signature']), 'base64')
    expect(verify('RSA-SHA256', Buffer.from(signed), key, given)).toBe(true)
  })

  const otherKey = (stand: PayStand) =>
    platformCertificateOf(stand.world.seed, 0).privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
})

describe('what we make of its signature', () => {
  it('downloads certificates once, however many ask, and again when they are exchanged', async () => {
    const stand = await openPay()
    const { cashCoupons } = stand.client
    const downloads = () => stand.requests.filter((r) => r === 'GET /v3/certificates').length
    await Promise.all([1, 2, 3].map(() => cashCoupons.callbackUrl()))
    expect(downloads()).toBe(1)
    stand.setNow(new Date(AT.getTime() + 2 * MINUTE_MS))
    await stand.control('POST /control/pay/rotate')
    await cashCoupons.callbackUrl()
    await cashCoupons.callbackUrl()
    expect(downloads()).toBe(2)
    // Twelve hours later they are looked at again; a failure leaves the ones there are.
    stand.setNow(new Date(AT.getTime() + DAY_MS))
    stand.requests.length = 0
    await cashCoupons.callbackUrl()
    expect(downloads()).toBe(1)
  })

  it('needs no download with the platform’s public key', async () => {
    const stand = await openPay()
    const client = stand.clientWith({ publicKey: stand.account.publicKey })
    await client.cashCoupons.callbackUrl()
    expect(stand.requests).not.toContain('GET /v3/certificates')
  })

  it.each(['forge', 'strip'] as const)(
    'an answer that is not as it was signed (%s) counts for nothing',
    async (fault) => {
      const stand = await openPay()
      await stand.client.cashCoupons.callbackUrl() // certificates are there
      stand.faults.push(fault)
      const reading = stand.client.cashCoupons.callbackUrl()
      await expect(reading).rejects.toBeInstanceOf(UpstreamError)
      await expect(reading).rejects.toMatchObject({ upstreamCode: 'no_answer', retryable: false })
    },
  )
})

describe('callbacks', () => {
  it('say that a cash coupon was used, after a probe that is refused', async () => {
    const stand = await openPay({ paySignTest: true })
    const receiver = await openReceiver()
    const couponId = await usedCoupon(stand, receiver.url)
    const [probe, genuine] = receiver.deliveries
    await expect(stand.client.readCallback(probe!)).rejects.toThrow('signature does not fit')
    expect(await stand.client.readCallback(genuine!)).toMatchObject({
      kind: 'cash_coupon_used',
      coupon: {
        coupon_id: couponId,
        status: 'USED',
        consume_information: { consume_time: AT, consume_mchid: stand.account.mchId },
      },
    })
  })

  it('come again every minute until they are taken, under the same id', async () => {
    const stand = await openPay()
    const statuses = [500, 500]
    const receiver = await openReceiver(() => statuses.shift() ?? 204)
    await usedCoupon(stand, receiver.url)
    for (const minute of [1, 2, 3]) {
      stand.setNow(new Date(AT.getTime() + minute * MINUTE_MS))
      await stand.sender.deliver()
    }
    expect(receiver.deliveries).toHaveLength(3)
    const ids = receiver.deliveries.map(({ body }) => (JSON.parse(body) as { id: string }).id)
    expect(new Set(ids).size).toBe(1)
  })

  it.each(['certificate', 'public_key'] as const)(
    'signed with the %s are read by who has both',
    async (payCallbackKey) => {
      const stand = await openPay({ payCallbackKey })
      const receiver = await openReceiver()
      await usedCoupon(stand, receiver.url)
      const [delivery] = receiver.deliveries
      const both = stand.clientWith({ publicKey: stand.account.publicKey })
      expect(await both.readCallback(delivery!)).toMatchObject({ kind: 'cash_coupon_used' })
      const serial = delivery!.headers['wechatpay-serial']!
      expect(serial.startsWith('PUB_KEY_ID_')).toBe(payCallbackKey === 'public_key')
    },
  )

  it('that are old, changed or signed by somebody else are refused', async () => {
    const stand = await openPay()
    const receiver = await openReceiver()
    await usedCoupon(stand, receiver.url)
    const { headers, body } = receiver.deliveries[0]!
    const refuse = (delivery: { headers: Record<string, string | undefined>; body: string }) =>
      expect(stand.client.readCallback(delivery)).rejects.toBeInstanceOf(InvalidInputError)
    await refuse({ headers, body: body.replace('COUPON.USE', 'COUPON.END') })
    await refuse({ headers: { ...headers, 'wechatpay-serial': 'F00' }, body })
    await refuse({ headers: { ...headers, 'wechatpay-signature': undefined }, body })
    stand.setNow(new Date(AT.getTime() + 6 * MINUTE_MS))
    await refuse({ headers, body })
  })

  it('an event of tomorrow is no error', async () => {
    const stand = await openPay()
    const { serial, privateKey } = platformCertificateOf(1, 0)
    const cipher = createCipheriv('aes-256-gcm', stand.account.apiV3Key, 'abcdefghijkl')
    const sealed = Buffer.concat([cipher.update('{}'), cipher.final(), cipher.getAuthTag()]).toString('base64')
    const resource = { algorithm: 'AEAD_AES_256_GCM', nonce: 'abcdefghijkl', ciphertext: sealed }
    const body = JSON.stringify({
      id: 'EV-1',
      create_time: '2026-03-02T10:00:00+08:00',
      event_type: 'COUPON.NEW',
      resource,
    })
    const timestamp = String(AT.getTime() / 1000)
    const headers = {
      'wechatpay-timestamp': timestamp,
      'wechatpay-nonce': 'n',
      'wechatpay-serial': serial,
      'wechatpay-signature': sign('RSA-SHA256', Buffer.from(`${timestamp}\nn\n${body}\n`), privateKey).toString(
        'base64',
      ),
    }
    expect(await stand.client.readCallback({ headers, body })).toMatchObject({ kind: 'other', eventType: 'COUPON.NEW' })
  })
})

describe('settings', () => {
  it('of the wrong shape are named, without their values', () => {
    const open = () =>
      createPayClient({
        mchId: 'abc',
        serialNo: 'xyz',
        privateKey: 'not-a-key-but-secret',
        apiV3Key: 'short-secret',
        clock: { now: () => AT },
        log: quietLog,
      })
    expect(open).toThrow(ConfigError)
    for (const field of ['mchId', 'serialNo', 'privateKey', 'apiV3Key']) expect(open).toThrow(field)
    expect(open).not.toThrow(/secret/)
  })
})
