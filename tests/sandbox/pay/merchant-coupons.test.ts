import { afterEach, describe, expect, it } from '@jest/globals'
import axios from 'axios'
import {
  couponPageUrl,
  couponPluginParams,
  type MerchantStock,
} from '../../../src/adapters/wechat-pay/merchant-coupons.js'
import { DAY_MS } from '../../../src/time.js'
import { AT, closeStands, openPay, openReceiver, type PayStand } from './support.js'

afterEach(closeStands)

const STOCK: MerchantStock = {
  name: '到店礼',
  goodsName: '小样一份',
  availableFrom: AT,
  availableUntil: new Date(AT.getTime() + 60 * DAY_MS),
  worth: { type: 'EXCHANGE', priceMinor: 0, minimumAmountMinor: 0 },
  use: { method: 'OFF_LINE' },
  maxCoupons: 100,
  maxCouponsPerUser: 1,
  codes: 'WECHATPAY_MODE',
}

const signer = ({ account }: PayStand) => ({ mchId: account.mchId, apiV2Key: account.apiV2Key })

async function collect<T>(pages: AsyncIterable<T[]>): Promise<T[]> {
  const all: T[] = []
  for await (const page of pages) all.push(...page)
  return all
}

describe('merchant coupons', () => {
  it('are sent, used, given back, tied to an order and deactivated, each once per number', async () => {
    const stand = await openPay()
    const { merchantCoupons } = stand.client
    const { stockId } = await merchantCoupons.createStock(STOCK, 'stock-1')
    expect(await merchantCoupons.stock(stockId)).toMatchObject({ stock_state: 'RUNNING', stock_name: '到店礼' })
    const openId = stand.openIdOf('wmc1')
    const { couponCode: code } = await merchantCoupons.send({
      openId,
      appId: stand.appId,
      stockId,
      requestNo: 'send-1',
    })

    const use = { code, stockId, appId: stand.appId, usedAt: AT, requestNo: 'use-1' }
    stand.faults.push('lose')
    expect(await merchantCoupons.use(use)).toEqual({ openId, usedAt: AT })
    await expect(merchantCoupons.use({ ...use, requestNo: 'use-2' })).rejects.toMatchObject({
      upstreamCode: 'INVALID_REQUEST',
    })
    expect(await merchantCoupons.coupon(openId, code, stand.appId)).toMatchObject({
      coupon_state: 'USED',
      use_time: AT,
    })

    await merchantCoupons.giveBack({ code, stockId, requestNo: 'return-1' })
    const trade = { code, stockId, outTradeNo: 'order-7', requestNo: 'trade-1' }
    await merchantCoupons.associate(trade)
    expect(await collect(merchantCoupons.couponsOf(openId, stand.appId, { stockId, state: 'SENDED' }))).toMatchObject([
      { coupon_code: code, associate_out_trade_no: 'order-7' },
    ])
    await expect(merchantCoupons.associate({ ...trade, outTradeNo: 'order-8', requestNo: 'trade-2' })).rejects.toThrow()
    await merchantCoupons.disassociate({ ...trade, requestNo: 'trade-3' })
    await merchantCoupons.deactivate({ code, stockId, requestNo: 'off-1', reason: '退货' })
    expect((await merchantCoupons.coupon(openId, code, stand.appId)).coupon_state).toBe('DEACTIVATED')
  })

  it('are changed in text, and in budget only from what the platform has', async () => {
    const { client } = await openPay()
    const { stockId } = await client.merchantCoupons.createStock(STOCK, 'stock-1')
    await client.merchantCoupons.modifyStock(stockId, { stock_name: '到店好礼' }, 'modify-1')
    expect((await client.merchantCoupons.stock(stockId)).stock_name).toBe('到店好礼')
    await expect(
      client.merchantCoupons.changeBudget(stockId, { from: 99, to: 200, requestNo: 'budget-1' }),
    ).rejects.toMatchObject({ upstreamCode: 'INVALID_REQUEST' })
    expect(await client.merchantCoupons.changeBudget(stockId, { from: 100, to: 200, requestNo: 'budget-2' })).toBe(200)
    expect((await client.merchantCoupons.stock(stockId)).stock_send_rule?.max_coupons).toBe(200)
  })

  it('with codes of ours are uploaded in batches that say what happened to each', async () => {
    const stand = await openPay()
    const { merchantCoupons } = stand.client
    const { stockId } = await merchantCoupons.createStock({ ...STOCK, codes: 'MERCHANT_UPLOAD' }, 'stock-1')
    await merchantCoupons.uploadCodes(stockId, ['A1'], 'upload-1')
    expect(await merchantCoupons.uploadCodes(stockId, ['A1', 'A2', 'A2', '坏'], 'upload-2')).toMatchObject({
      added: ['A2'],
      existing: ['A1', 'A2'],
      failed: [{ coupon_code: '坏', code: 'PARAM_ERROR' }],
    })
    const openId = stand.openIdOf('wmc1')
    const sent = await merchantCoupons.send({ openId, appId: stand.appId, stockId, requestNo: 'send-1' })
    expect(sent.couponCode).toBe('A1')
    const codes = await collect(merchantCoupons.codes(stockId, stand.appId))
    expect(codes).toMatchObject([
      { coupon_code: 'A1', coupon_code_status: 'DISPATCHED' },
      { coupon_code: 'A2', coupon_code_status: 'AVAILABLE' },
    ])
  })

  it('expire by themselves', async () => {
    const stand = await openPay()
    const { stockId } = await stand.client.merchantCoupons.createStock(STOCK, 'stock-1')
    const openId = stand.openIdOf('wmc1')
    const to = { openId, appId: stand.appId, stockId, requestNo: 'send-1' }
    const { couponCode } = await stand.client.merchantCoupons.send(to)
    stand.setNow(STOCK.availableUntil)
    const coupon = await stand.client.merchantCoupons.coupon(openId, couponCode, stand.appId)
    expect(coupon.coupon_state).toBe('EXPIRED')
  })
})

describe('taking a coupon', () => {
  const withNotice = (stand: PayStand): MerchantStock => ({ ...STOCK, notifyAppId: stand.appId })

  it('on the H5 page needs our sign, and is told with openid and unionid', async () => {
    const stand = await openPay()
    const { merchantCoupons } = stand.client
    const receiver = await openReceiver()
    await merchantCoupons.setCallbackUrl(receiver.url)
    expect(await merchantCoupons.callbackUrl()).toBe(receiver.url)
    const { stockId } = await merchantCoupons.createStock(withNotice(stand), 'stock-1')
    const openId = stand.openIdOf('wmc1')
    const page = couponPageUrl({ ...signer(stand), baseUrl: stand.url }, openId, { stockId, requestNo: 'take-1' })
    const forged = page.replace(/sign=[0-9A-F]{4}/, 'sign=0000')
    expect((await axios.get(forged, { validateStatus: () => true, proxy: false })).status).toBe(400)
    for (const _ of [1, 2]) expect((await axios.get(page, { proxy: false })).status).toBe(200)

    await stand.sender.deliver()
    expect(receiver.deliveries).toHaveLength(1)
    expect(await stand.client.readCallback(receiver.deliveries[0]!)).toMatchObject({
      kind: 'merchant_coupon_taken',
      coupon: { stock_id: stockId, openid: openId, unionid: 'ou1', send_time: AT },
    })
  })

  it('in the mini program takes what the plugin was given, and says no more than it may', async () => {
    const stand = await openPay()
    const receiver = await openReceiver()
    await stand.client.merchantCoupons.setCallbackUrl(receiver.url)
    const { stockId } = await stand.client.merchantCoupons.createStock(STOCK, 'stock-1')
    const params = couponPluginParams(signer(stand), [{ stockId, requestNo: 'take-1' }])
    const openid = stand.openIdOf('wmc2')
    await expect(stand.control('POST /control/pay/take', { openid, ...params, sign: 'F00' })).rejects.toThrow(
      'SIGN_ERROR',
    )
    const { codes } = (await stand.control('POST /control/pay/take', { openid, ...params })) as { codes: string[] }
    expect(codes).toHaveLength(1)
    const told = await stand.client.readCallback(receiver.deliveries[0]!)
    expect(told).toMatchObject({ kind: 'merchant_coupon_taken', coupon: { coupon_code: codes[0] } })
    expect(told).not.toHaveProperty('coupon.openid')
  })
})
