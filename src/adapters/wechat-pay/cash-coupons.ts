import { createHash } from 'node:crypto'
import { z } from 'zod'
import { UpstreamError } from '../../errors.js'
import { Instant, type PayCalls } from './calls.js'
import { segment, toWireTime } from './transport.js'

/** What a stock of cash coupons is made of. Amounts are integers in fen. */
export type CashStock = {
  /** At most 20 letters or 9 Chinese characters, without `_ , ; |`. */
  name: string
  /** The instant from which and until which coupons are sent and used; at most 90 days, begun within 365. */
  availableFrom: Date
  availableUntil: Date
  /** Taken off at payment. */
  couponAmountMinor: number
  /** Spent at least. */
  minimumAmountMinor: number
  maxCoupons: number
  /** At most 60. */
  maxCouponsPerUser: number
  /** At most this much a day. */
  maxAmountByDayMinor?: number
  /** True: the discount is settled at payment; false: the budget is paid when the stock is started. */
  noCash: boolean
  comment?: string
  /** One person has one coupon limit over all accounts. Default false. */
  naturalPersonLimit?: boolean
  /** Default false. */
  preventApiAbuse?: boolean
  /** Optional fields as the platform spells them: `pattern_info`, `ext_info` … */
  more?: Readonly<Record<string, unknown>>
  /** Optional members of `coupon_use_rule` as the platform spells them: `available_merchants`, `trade_type` … */
  moreUseRules?: Readonly<Record<string, unknown>>
}

const StockCreated = z.looseObject({ stock_id: z.string().min(1), create_time: Instant })

/** `stoped` is spelt so by the platform. */
const STOCK_STATES = ['unactivated', 'audit', 'running', 'stoped', 'paused'] as const
const Stock = z.looseObject({
  stock_id: z.string().min(1),
  stock_creator_mchid: z.string(),
  stock_name: z.string(),
  /** One of `unactivated audit running stoped paused`; others may come. */
  status: z.enum(STOCK_STATES).or(z.string()),
  available_begin_time: Instant,
  available_end_time: Instant,
  distributed_coupons: z.int().nullish(),
  stock_use_rule: z.looseObject({ max_coupons: z.int(), max_amount: z.int() }).nullish(),
})
export type CashStockState = z.infer<typeof Stock>

export const CashCoupon = z.looseObject({
  stock_creator_mchid: z.string(),
  stock_id: z.string(),
  coupon_id: z.string().min(1),
  coupon_name: z.string().nullish(),
  /** `SENDED`, `USED` or `EXPIRED`; others may come. */
  status: z.enum(['SENDED', 'USED', 'EXPIRED']).or(z.string()),
  create_time: Instant.nullish(),
  available_begin_time: Instant.nullish(),
  available_end_time: Instant.nullish(),
  normal_coupon_information: z.looseObject({ coupon_amount: z.int(), transaction_minimum: z.int() }).nullish(),
  consume_information: z
    .looseObject({ consume_time: Instant, consume_mchid: z.string(), transaction_id: z.string() })
    .nullish(),
})
export type CashCoupon = z.infer<typeof CashCoupon>

const Flow = z.looseObject({ url: z.url(), hash_value: z.string(), hash_type: z.literal('SHA1') })
const CallbackSet = z.looseObject({ notify_url: z.string() })
const Nothing = z.looseObject({})
const LIST_LIMIT = 10
const COUPON_LIMIT = 20

/**
 * Cash coupons (代金券): sent by the server, taken off by WeChat Pay at payment.
 *
 * @param mchId - ours, also the creator of the stocks: by default a merchant sends only its own
 * @see pay.weixin.qq.com/doc/v3/merchant/4012534633 (read 2026-08)
 */
export function cashCouponCalls({ get, once, act, pages, download }: PayCalls, mchId: string) {
  const stocks = '/v3/marketing/favor/stocks'
  const change = (action: 'start' | 'pause' | 'restart' | 'stop') => (stockId: string) =>
    act(`${stocks}/${segment(stockId)}/${action}`, Nothing, { stock_creator_mchid: mchId }).then(() => undefined)

  async function readFlow(stockId: string, kind: 'use-flow' | 'refund-flow'): Promise<string> {
    // The address lives for 30 s.
    const { url, hash_value: hash } = await get(`${stocks}/${segment(stockId)}/${kind}`, Flow)
    const text = await download(url)
    if (createHash('sha1').update(text).digest('hex') === hash.toLowerCase()) return text
    throw new UpstreamError('wechat-pay', 'bad_hash', true, `the ${kind} came damaged: its SHA-1 differs`)
  }

  return {
    /** Creates a stock that is not started yet. @param requestNo - at most 128 characters; the same one again gives the same stock */
    async createStock(stock: CashStock, requestNo: string): Promise<{ stockId: string; createdAt: Date }> {
      const reply = await once('POST', '/v3/marketing/favor/coupon-stocks', StockCreated, {
        stock_name: stock.name,
        ...(stock.comment !== undefined && { comment: stock.comment }),
        belong_merchant: mchId,
        available_begin_time: toWireTime(stock.availableFrom),
        available_end_time: toWireTime(stock.availableUntil),
        stock_use_rule: {
          max_coupons: stock.maxCoupons,
          max_amount: stock.maxCoupons * stock.couponAmountMinor,
          ...(stock.maxAmountByDayMinor !== undefined && { max_amount_by_day: stock.maxAmountByDayMinor }),
          max_coupons_per_user: stock.maxCouponsPerUser,
          natural_person_limit: stock.naturalPersonLimit ?? false,
          prevent_api_abuse: stock.preventApiAbuse ?? false,
        },
        coupon_use_rule: {
          fixed_normal_coupon: {
            coupon_amount: stock.couponAmountMinor,
            transaction_minimum: stock.minimumAmountMinor,
          },
          ...stock.moreUseRules,
        },
        no_cash: stock.noCash,
        stock_type: 'NORMAL',
        out_request_no: requestNo,
        ...stock.more,
      })
      return { stockId: reply.stock_id, createdAt: reply.create_time }
    },
    /** Prepaid stocks deduct their budget now. No request number: after a lost answer read `stock`. */
    start: change('start'),
    pause: change('pause'),
    restart: change('restart'),
    /** For good. */
    stop: change('stop'),

    /**
     * Sends one coupon. A lost answer is repeated with the same number, so one number is one coupon.
     *
     * @param to.openId - of `appId`, which must be bound to the merchant
     * @param to.requestNo - at most 128 characters
     */
    async send(to: {
      openId: string
      appId: string
      stockId: string
      requestNo: string
    }): Promise<{ couponId: string }> {
      const path = `/v3/marketing/favor/users/${segment(to.openId)}/coupons`
      const reply = await once('POST', path, z.looseObject({ coupon_id: z.string().min(1) }), {
        stock_id: to.stockId,
        out_request_no: to.requestNo,
        appid: to.appId,
        stock_creator_mchid: mchId,
      })
      return { couponId: reply.coupon_id }
    },

    coupon: (openId: string, couponId: string, appId: string): Promise<CashCoupon> =>
      get(`/v3/marketing/favor/users/${segment(openId)}/coupons/${segment(couponId)}`, CashCoupon, { appid: appId }),
    /** Coupons of one customer, of our stocks. */
    couponsOf: (
      openId: string,
      appId: string,
      filter: { stockId?: string; status?: 'SENDED' | 'USED' } = {},
    ): AsyncIterable<CashCoupon[]> =>
      pages(
        `/v3/marketing/favor/users/${segment(openId)}/coupons`,
        CashCoupon,
        { appid: appId, stock_id: filter.stockId, status: filter.status, creator_mchid: mchId },
        COUPON_LIMIT,
      ),

    stock: (stockId: string): Promise<CashStockState> =>
      get(`${stocks}/${segment(stockId)}`, Stock, { stock_creator_mchid: mchId }),
    stocks: (filter: { status?: (typeof STOCK_STATES)[number]; from?: Date; to?: Date } = {}) =>
      pages(
        stocks,
        Stock,
        {
          stock_creator_mchid: mchId,
          status: filter.status,
          create_start_time: filter.from && toWireTime(filter.from),
          create_end_time: filter.to && toWireTime(filter.to),
        },
        LIST_LIMIT,
      ),
    /** Merchants and goods where the coupons count. */
    merchants: (stockId: string): AsyncIterable<string[]> =>
      pages(`${stocks}/${segment(stockId)}/merchants`, z.string(), { stock_creator_mchid: mchId }, 50),
    items: (stockId: string): AsyncIterable<string[]> =>
      pages(`${stocks}/${segment(stockId)}/items`, z.string(), { stock_creator_mchid: mchId }, 100),

    /** The CSV of uses, as the platform writes it. */
    useFlow: (stockId: string) => readFlow(stockId, 'use-flow'),
    refundFlow: (stockId: string) => readFlow(stockId, 'refund-flow'),

    /** Where uses are called back: https, without a query. Setting the same again is harmless. */
    async setCallbackUrl(url: string, on = true): Promise<void> {
      await once('POST', '/v3/marketing/favor/callbacks', Nothing, { mchid: mchId, notify_url: url, switch: on })
    },
    async callbackUrl(): Promise<string> {
      return (await get('/v3/marketing/favor/callbacks', CallbackSet, { mchid: mchId })).notify_url
    },
  }
}
