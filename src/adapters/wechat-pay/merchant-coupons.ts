import { z } from 'zod'
import { Instant, type PayCalls } from './calls.js'
import { couponSign } from './signature.js'
import { segment, toWireTime } from './transport.js'

/** What a stock of merchant coupons is made of. Amounts are integers in fen. */
export type MerchantStock = {
  /** At most 21 characters. */
  name: string
  /** At most 15 characters. */
  goodsName: string
  /** At most 20 characters. */
  comment?: string
  /** At most a year. */
  availableFrom: Date
  availableUntil: Date
  worth:
    | { type: 'NORMAL'; discountMinor: number; minimumAmountMinor: number }
    /** 88 takes 12 % off. */
    | { type: 'DISCOUNT'; percent: number; minimumAmountMinor: number }
    | { type: 'EXCHANGE'; priceMinor: number; minimumAmountMinor: number }
  use:
    { method: 'OFF_LINE' | 'SELF_CONSUME' | 'PAYMENT_CODE' } | { method: 'MINI_PROGRAMS'; appId: string; path: string }
  /** At most 1,000,000,000. */
  maxCoupons: number
  /** At most 100. */
  maxCouponsPerUser: number
  maxCouponsByDay?: number
  /** Who makes the codes: the platform, we when sending, or we beforehand (`uploadCodes`). */
  codes: 'WECHATPAY_MODE' | 'MERCHANT_API' | 'MERCHANT_UPLOAD'
  /** Needed to be told openid and unionid when a customer takes one. */
  notifyAppId?: string
  /** Optional fields as the platform spells them: `custom_entrance`, `display_pattern_info` … */
  more?: Readonly<Record<string, unknown>>
}

export const MerchantCoupon = z.looseObject({
  coupon_code: z.string().min(1),
  stock_id: z.string().min(1),
  /** `SENDED`, `USED`, `EXPIRED`, `DELETED`, `DEACTIVATED`; others may come. */
  coupon_state: z.string(),
  stock_name: z.string().nullish(),
  belong_merchant: z.string().nullish(),
  available_start_time: Instant.nullish(),
  expire_time: Instant.nullish(),
  receive_time: Instant.nullish(),
  use_time: Instant.nullish(),
  send_request_no: z.string().nullish(),
  use_request_no: z.string().nullish(),
  associate_out_trade_no: z.string().nullish(),
})
export type MerchantCoupon = z.infer<typeof MerchantCoupon>

const Stock = z.looseObject({
  stock_id: z.string().min(1),
  stock_name: z.string(),
  /** `UNAUDIT`, `RUNNING`, `STOPED` (spelt so), `PAUSED`; others may come. */
  stock_state: z.string(),
  belong_merchant: z.string().nullish(),
  coupon_code_mode: z.string().nullish(),
  stock_send_rule: z.looseObject({ max_coupons: z.int().nullish(), max_coupons_per_user: z.int().nullish() }).nullish(),
  coupon_code_count: z.looseObject({ total_count: z.int(), available_count: z.int() }).nullish(),
})
export type MerchantStockState = z.infer<typeof Stock>

const Created = z.looseObject({ stock_id: z.string().min(1), create_time: Instant })
const Used = z.looseObject({ openid: z.string(), stock_id: z.string(), wechatpay_use_time: Instant })
const Failed = z.looseObject({ coupon_code: z.string(), code: z.string(), message: z.string().default('') })
const Uploaded = z.looseObject({
  success_codes: z.array(z.string()).nullish(),
  fail_codes: z.array(Failed).nullish(),
  exist_codes: z.array(z.string()).nullish(),
  duplicate_codes: z.array(z.string()).nullish(),
})
const StoredCode = z.looseObject({ coupon_code: z.string(), coupon_code_status: z.string().nullish() })
const Sent = z.looseObject({ send_coupon_result: z.looseObject({ stock_id: z.string(), coupon_code: z.string() }) })
const Budget = z.looseObject({ max_coupons: z.int() })
const CallbackSet = z.looseObject({ notify_url: z.string() })
const Nothing = z.looseObject({})
const LIST_LIMIT = 20
const CODE_LIMIT = 200

/**
 * Merchant coupons (商家券): WeChat keeps and shows them, the merchant redeems them with `use`. Every write carries a
 * request number of the caller's, so a lost answer is repeated with the same number.
 *
 * @param mchId - ours, the one the stocks belong to
 * @see pay.weixin.qq.com/doc/v3/merchant/4012535066 (read 2026-08)
 */
export function merchantCouponCalls({ get, once, pages }: PayCalls, mchId: string) {
  const root = '/v3/marketing/busifavor'
  const stockPath = (stockId: string) => `${root}/stocks/${segment(stockId)}`
  const couponsPath = (openId: string) => `${root}/users/${segment(openId)}/coupons`

  return {
    /** Creates a stock; it runs from then on. @param requestNo - at most 128 characters */
    async createStock(stock: MerchantStock, requestNo: string): Promise<{ stockId: string; createdAt: Date }> {
      const reply = await once('POST', `${root}/stocks`, Created, {
        stock_name: stock.name,
        belong_merchant: mchId,
        ...(stock.comment !== undefined && { comment: stock.comment }),
        goods_name: stock.goodsName,
        stock_type: stock.worth.type,
        coupon_use_rule: {
          coupon_available_time: {
            available_begin_time: toWireTime(stock.availableFrom),
            available_end_time: toWireTime(stock.availableUntil),
          },
          ...worthOf(stock.worth),
          use_method: stock.use.method,
          ...(stock.use.method === 'MINI_PROGRAMS' && {
            mini_programs_appid: stock.use.appId,
            mini_programs_path: stock.use.path,
          }),
        },
        stock_send_rule: {
          max_coupons: stock.maxCoupons,
          max_coupons_per_user: stock.maxCouponsPerUser,
          ...(stock.maxCouponsByDay !== undefined && { max_coupons_by_day: stock.maxCouponsByDay }),
          natural_person_limit: false,
          prevent_api_abuse: false,
        },
        out_request_no: requestNo,
        coupon_code_mode: stock.codes,
        ...(stock.notifyAppId !== undefined && { notify_config: { notify_appid: stock.notifyAppId } }),
        ...stock.more,
      })
      return { stockId: reply.stock_id, createdAt: reply.create_time }
    },
    stock: (stockId: string): Promise<MerchantStockState> => get(stockPath(stockId), Stock),
    /** @param fields - as the platform spells them: `stock_name`, `comment`, `goods_name`, `custom_entrance` … */
    async modifyStock(stockId: string, fields: Readonly<Record<string, unknown>>, requestNo: string): Promise<void> {
      await once('PATCH', stockPath(stockId), Nothing, { ...fields, out_request_no: requestNo })
    },
    /** Refused when `from` is not what the platform has. Resolves to the new maximum. */
    async changeBudget(stockId: string, change: { from: number; to: number; requestNo: string }): Promise<number> {
      const reply = await once('PATCH', `${stockPath(stockId)}/budget`, Budget, {
        target_max_coupons: change.to,
        current_max_coupons: change.from,
        modify_budget_request_no: change.requestNo,
      })
      return reply.max_coupons
    },

    /** @param codes - at most 200, of 1–32 characters. What is there already is no failure. */
    async uploadCodes(stockId: string, codes: readonly string[], requestNo: string) {
      const reply = await once('POST', `${stockPath(stockId)}/couponcodes`, Uploaded, {
        coupon_code_list: codes,
        upload_request_no: requestNo,
      })
      return {
        added: reply.success_codes ?? [],
        existing: [...(reply.exist_codes ?? []), ...(reply.duplicate_codes ?? [])],
        failed: reply.fail_codes ?? [],
      }
    },
    /** Uploaded codes, `AVAILABLE` or `DISPATCHED`. */
    codes: (stockId: string, appId: string, status?: 'AVAILABLE' | 'DISPATCHED') =>
      pages(`${stockPath(stockId)}/couponcodes`, StoredCode, { appid: appId, status }, CODE_LIMIT),

    /** Sends one directly; a permission of its own. @param to.code - for stocks whose codes we make */
    async send(to: {
      openId: string
      appId: string
      stockId: string
      requestNo: string
      code?: string
    }): Promise<{ couponCode: string }> {
      const reply = await once('POST', `${root}/coupons/send`, Sent, {
        openid: to.openId,
        appid: to.appId,
        stock_id: to.stockId,
        out_request_no: to.requestNo,
        ...(to.code !== undefined && { coupon_code: to.code }),
      })
      return { couponCode: reply.send_coupon_result.coupon_code }
    },
    /** Redeems a coupon. Resolves to whose it was, under `appId`. */
    async use(coupon: {
      code: string
      stockId: string
      appId: string
      usedAt: Date
      requestNo: string
    }): Promise<{ openId: string; usedAt: Date }> {
      const reply = await once('POST', `${root}/coupons/use`, Used, {
        coupon_code: coupon.code,
        stock_id: coupon.stockId,
        appid: coupon.appId,
        use_time: toWireTime(coupon.usedAt),
        use_request_no: coupon.requestNo,
      })
      return { openId: reply.openid, usedAt: reply.wechatpay_use_time }
    },
    /** Takes a use back. */
    async giveBack(coupon: { code: string; stockId: string; requestNo: string }): Promise<void> {
      await once('POST', `${root}/coupons/return`, Nothing, {
        coupon_code: coupon.code,
        stock_id: coupon.stockId,
        return_request_no: coupon.requestNo,
      })
    },
    /** @param coupon.reason - at most 64 characters */
    async deactivate(coupon: { code: string; stockId: string; requestNo: string; reason: string }): Promise<void> {
      await once('POST', `${root}/coupons/deactivate`, Nothing, {
        coupon_code: coupon.code,
        stock_id: coupon.stockId,
        deactivate_request_no: coupon.requestNo,
        deactivate_reason: coupon.reason,
      })
    },
    /** Says which order the coupon belongs to. */
    associate: (coupon: Trade) => trade('associate', coupon),
    disassociate: (coupon: Trade) => trade('disassociate', coupon),

    /** `undefined` filters mean any. */
    couponsOf: (
      openId: string,
      appId: string,
      filter: { stockId?: string; state?: 'SENDED' | 'USED' | 'EXPIRED' } = {},
    ): AsyncIterable<MerchantCoupon[]> =>
      pages(
        couponsPath(openId),
        MerchantCoupon,
        { appid: appId, stock_id: filter.stockId, coupon_state: filter.state, creator_merchant: mchId },
        LIST_LIMIT,
      ),
    coupon: (openId: string, code: string, appId: string): Promise<MerchantCoupon> =>
      get(`${couponsPath(openId)}/${segment(code)}/appids/${segment(appId)}`, MerchantCoupon),

    /** Where takings are called back; the console's "营销事件推送" must be on too. */
    async setCallbackUrl(url: string): Promise<void> {
      await once('POST', `${root}/callbacks`, Nothing, { mchid: mchId, notify_url: url })
    },
    async callbackUrl(): Promise<string> {
      return (await get(`${root}/callbacks`, CallbackSet, { mchid: mchId })).notify_url
    },
  }

  type Trade = { code: string; stockId: string; outTradeNo: string; requestNo: string }
  async function trade(action: 'associate' | 'disassociate', coupon: Trade): Promise<void> {
    await once('POST', `${root}/coupons/${action}`, Nothing, {
      stock_id: coupon.stockId,
      coupon_code: coupon.code,
      out_trade_no: coupon.outTradeNo,
      out_request_no: coupon.requestNo,
    })
  }
}

export type CouponToTake = { stockId: string; requestNo: string; code?: string }

/**
 * The page on which a customer takes a merchant coupon; opened inside WeChat, not inside a mini program.
 *
 * @param baseUrl - default `https://action.weixin.qq.com`
 */
export function couponPageUrl(
  options: { mchId: string; apiV2Key: string; baseUrl?: string },
  openId: string,
  coupon: CouponToTake,
): string {
  const fields = {
    stock_id: coupon.stockId,
    out_request_no: coupon.requestNo,
    send_coupon_merchant: options.mchId,
    open_id: openId,
    ...(coupon.code !== undefined && { coupon_code: coupon.code }),
  }
  const query = new URLSearchParams({ ...fields, sign: couponSign(fields, options.apiV2Key) })
  return `${options.baseUrl ?? 'https://action.weixin.qq.com'}/busifavor/getcouponinfo?${query.toString()}#wechat_redirect`
}

/**
 * What the mini program hands to the plugin `sendCoupon`: its attributes, signed.
 *
 * @param coupons - at most 10
 */
export function couponPluginParams(options: { mchId: string; apiV2Key: string }, coupons: readonly CouponToTake[]) {
  const params = coupons.map((coupon) => ({
    stock_id: coupon.stockId,
    out_request_no: coupon.requestNo,
    ...(coupon.code !== undefined && { coupon_code: coupon.code }),
  }))
  const numbered = params.flatMap((one, i) =>
    Object.entries(one).map(([name, value]) => [`${name}${i}`, value] as const),
  )
  const sign = couponSign({ ...Object.fromEntries(numbered), send_coupon_merchant: options.mchId }, options.apiV2Key)
  return { send_coupon_params: params, sign, send_coupon_merchant: options.mchId }
}

function worthOf(worth: MerchantStock['worth']): Record<string, unknown> {
  switch (worth.type) {
    case 'NORMAL':
      return {
        fixed_normal_coupon: { discount_amount: worth.discountMinor, transaction_minimum: worth.minimumAmountMinor },
      }
    case 'DISCOUNT':
      return { discount_coupon: { discount_percent: worth.percent, transaction_minimum: worth.minimumAmountMinor } }
    case 'EXCHANGE':
      return { exchange_coupon: { exchange_price: worth.priceMinor, transaction_minimum: worth.minimumAmountMinor } }
  }
}
