import { afterEach, describe, expect, it } from '@jest/globals'
import type { CashStock } from '../../../src/adapters/wechat-pay/cash-coupons.js'
import { PayError } from '../../../src/adapters/wechat-pay/error-codes.js'
import { UnknownOutcomeError, UpstreamError } from '../../../src/errors.js'
import { DAY_MS, SECOND_MS } from '../../../src/time.js'
import { AT, closeStands, openPay, type PayStand } from './support.js'

afterEach(closeStands)

const STOCK: CashStock = {
  name: '春日满减',
  availableFrom: AT,
  availableUntil: new Date(AT.getTime() + 30 * DAY_MS),
  couponAmountMinor: 500,
  minimumAmountMinor: 5_000,
  maxCoupons: 3,
  maxCouponsPerUser: 2,
  noCash: true,
}

async function runningStock(stand: PayStand, more: Partial<CashStock> = {}): Promise<string> {
  const { stockId } = await stand.client.cashCoupons.createStock({ ...STOCK, ...more }, 'stock-1')
  await stand.client.cashCoupons.start(stockId)
  return stockId
}

const sendTo = (stand: PayStand, stockId: string, customer: string, requestNo: string) =>
  stand.client.cashCoupons.send({ openId: stand.openIdOf(customer), appId: stand.appId, stockId, requestNo })

describe('cash coupons', () => {
  it('are created, started, sent, read and listed', async () => {
    const stand = await openPay()
    const { cashCoupons } = stand.client
    const { stockId, createdAt } = await cashCoupons.createStock(STOCK, 'stock-1')
    expect(createdAt).toEqual(AT)
    expect(await cashCoupons.stock(stockId)).toMatchObject({ status: 'unactivated', stock_name: '春日满减' })
    await cashCoupons.start(stockId)

    const { couponId } = await sendTo(stand, stockId, 'wmc1', 'send-1')
    const openId = stand.openIdOf('wmc1')
    expect(await cashCoupons.coupon(openId, couponId, stand.appId)).toMatchObject({
      stock_id: stockId,
      coupon_id: couponId,
      status: 'SENDED',
      normal_coupon_information: { coupon_amount: 500, transaction_minimum: 5_000 },
      available_end_time: STOCK.availableUntil,
    })
    const listed: string[] = []
    for await (const page of cashCoupons.couponsOf(openId, stand.appId)) listed.push(...page.map((c) => c.coupon_id))
    expect(listed).toEqual([couponId])
    const stocks: unknown[] = []
    for await (const page of cashCoupons.stocks({ status: 'running' })) stocks.push(...page)
    expect(stocks).toMatchObject([{ stock_id: stockId, distributed_coupons: 1 }])
    const merchants: string[] = []
    for await (const page of cashCoupons.merchants(stockId)) merchants.push(...page)
    expect(merchants).toEqual([stand.account.mchId])
    const items: string[] = []
    for await (const page of cashCoupons.items(stockId)) items.push(...page)
    expect(items).toEqual([])
  })

  it('are one per request number, however often an answer is lost', async () => {
    const stand = await openPay()
    const stockId = await runningStock(stand)
    stand.faults.push('lose', 'html')
    const first = await sendTo(stand, stockId, 'wmc1', 'send-1')
    expect(stand.requests.filter((r) => r.startsWith('POST') && r.endsWith('/coupons'))).toHaveLength(3)
    expect(await sendTo(stand, stockId, 'wmc1', 'send-1')).toEqual(first)
    expect((await stand.client.cashCoupons.stock(stockId)).distributed_coupons).toBe(1)
    // The same number for somebody else is refused, not taken for the first.
    await expect(sendTo(stand, stockId, 'wmc2', 'send-1')).rejects.toMatchObject({
      upstreamCode: 'INVALID_REQUEST',
      meaning: 'give_up_request',
    })
  })

  it('stop at the limit of a person, of the stock, and of the day', async () => {
    const stand = await openPay()
    const stockId = await runningStock(stand, { maxAmountByDayMinor: 1_000 })
    await sendTo(stand, stockId, 'wmc1', 'send-1')
    await sendTo(stand, stockId, 'wmc1', 'send-2')
    await expect(sendTo(stand, stockId, 'wmc1', 'send-3')).rejects.toMatchObject({
      status: 403,
      upstreamCode: 'RULE_LIMIT',
      meaning: 'give_up_recipient',
    })
    await expect(sendTo(stand, stockId, 'wmc2', 'send-4')).rejects.toMatchObject({ upstreamCode: 'NOT_ENOUGH' })
    stand.setNow(new Date(AT.getTime() + DAY_MS))
    await sendTo(stand, stockId, 'wmc2', 'send-5')
    await expect(sendTo(stand, stockId, 'wmc3', 'send-6')).rejects.toMatchObject({
      upstreamCode: 'NOT_ENOUGH',
      meaning: 'used_up',
    })
  })

  it('go to nobody while the stock does not run, nor to an openid of another account', async () => {
    const stand = await openPay()
    const { cashCoupons } = stand.client
    const stockId = await runningStock(stand)
    await cashCoupons.pause(stockId)
    await expect(sendTo(stand, stockId, 'wmc1', 'send-1')).rejects.toMatchObject({ upstreamCode: 'INVALID_REQUEST' })
    await cashCoupons.restart(stockId)
    const to = { openId: 'oStranger', appId: stand.appId, stockId, requestNo: 'send-2' }
    await expect(cashCoupons.send(to)).rejects.toMatchObject({ upstreamCode: 'INVALID_REQUEST' })
    await expect(cashCoupons.send({ ...to, appId: 'wxother' })).rejects.toMatchObject({
      upstreamCode: 'APPID_MCHID_NOT_MATCH',
      meaning: 'tell_a_person',
    })
    await cashCoupons.stop(stockId)
    expect((await cashCoupons.stock(stockId)).status).toBe('stoped')
    await expect(cashCoupons.start(stockId)).rejects.toBeInstanceOf(PayError)
  })

  it('prepaid ones reach a person with at most 5,000 yuan a month', async () => {
    const stand = await openPay()
    const prepaid = { noCash: false, couponAmountMinor: 260_000, minimumAmountMinor: 300_000 }
    const stockId = await runningStock(stand, prepaid)
    await sendTo(stand, stockId, 'wmc1', 'send-1')
    await expect(sendTo(stand, stockId, 'wmc1', 'send-2')).rejects.toMatchObject({ upstreamCode: 'RULE_LIMIT' })
    await sendTo(stand, stockId, 'wmc2', 'send-3')
  })

  it.each([
    ['a window of more than 90 days', { availableUntil: new Date(AT.getTime() + 91 * DAY_MS) }, 'available_end_time'],
    ['a name of ten Chinese characters', { name: '一二三四五六七八九十' }, 'stock_name'],
    ['more than 60 a person', { maxCouponsPerUser: 61 }, 'max_coupons_per_user'],
    ['a begin in the past', { availableFrom: new Date(AT.getTime() - 1_000) }, 'available_begin_time'],
  ])('a stock with %s is refused by name', async (_what, more, field) => {
    const { client } = await openPay()
    const creating = client.cashCoupons.createStock({ ...STOCK, ...more }, 'stock-1')
    await expect(creating).rejects.toMatchObject({ status: 400, upstreamCode: 'PARAM_ERROR' })
    await expect(creating).rejects.toThrow(field)
  })

  it('a lost answer to a call without a number is an open question, not a repetition', async () => {
    const stand = await openPay()
    const { stockId } = await stand.client.cashCoupons.createStock(STOCK, 'stock-1')
    stand.faults.push('lose')
    await expect(stand.client.cashCoupons.start(stockId)).rejects.toBeInstanceOf(UnknownOutcomeError)
    expect(stand.requests.filter((r) => r.endsWith('/start'))).toHaveLength(1)
    expect((await stand.client.cashCoupons.stock(stockId)).status).toBe('running') // settled by reading back
  })

  it('the flow of uses is a file whose hash is checked', async () => {
    const stand = await openPay()
    const stockId = await runningStock(stand)
    const { couponId } = await sendTo(stand, stockId, 'wmc1', 'send-1')
    await stand.control('POST /control/pay/use', { couponId, transactionId: '4200001' })
    const csv = await stand.client.cashCoupons.useFlow(stockId)
    expect(csv.split('\n')[1]).toBe(
      [stockId, couponId, '代金券', '5.00', '4200001', '2026-03-02T10:00:00+08:00']
        .map((cell) => `\`${cell}`)
        .join(','),
    )
    expect((await stand.client.cashCoupons.refundFlow(stockId)).trimEnd().split('\n')).toHaveLength(1)
  })
})

describe('limits', () => {
  it('answer 429 above 60 creations a minute, and the next minute is open', async () => {
    const stand = await openPay()
    const { cashCoupons } = stand.client
    for (let i = 0; i < 60; i++) await cashCoupons.createStock(STOCK, `stock-${i}`)
    await expect(cashCoupons.createStock(STOCK, 'stock-60')).rejects.toMatchObject({
      status: 429,
      upstreamCode: 'FREQUENCY_LIMITED',
      meaning: 'slow_down',
      retryable: true,
    })
    stand.setNow(new Date(AT.getTime() + 60 * SECOND_MS))
    const later = { ...STOCK, availableFrom: new Date(AT.getTime() + 60 * SECOND_MS) }
    await cashCoupons.createStock(later, 'stock-61')
  })

  it('are waited out with growing pauses, at most twice', async () => {
    const stand = await openPay()
    const pauses: number[] = []
    const client = stand.clientWith({ pause: async (ms) => void pauses.push(ms) })
    stand.faults.push('busy', 'busy')
    await client.cashCoupons.callbackUrl()
    expect(pauses).toEqual([500, 2_000])
    stand.faults.push('busy', 'busy', 'busy')
    await expect(client.cashCoupons.callbackUrl()).rejects.toBeInstanceOf(UpstreamError)
  })
})
