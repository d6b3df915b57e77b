import { createHmac } from 'node:crypto'
import { z } from 'zod'
import { DAY_MS } from '../../../src/time.js'
import type { World } from '../../world/world.js'
import { personOf } from '../weixin/people.js'
import { payAccountOf } from './keys.js'
import { PayRefusal, wireTime } from './merchant.js'
import { raisePayCallback } from './outbox.js'
import { type CouponRow, giveCoupon, statusAt, stockOf, type StockRow } from './stocks.js'

export const Instant = z.iso.datetime({ offset: true }).transform((text) => Date.parse(text))
export const RequestNo = z.string().min(1).max(128)
/** A coupon's code. */
export const CODE = /^[A-Za-z0-9_-]{1,32}$/
const YEAR_MS = 366 * DAY_MS

export const StockBody = z.looseObject({
  stock_name: z.string().min(1).max(21),
  belong_merchant: z.string().max(15),
  comment: z.string().max(20).optional(),
  goods_name: z.string().min(1).max(15),
  stock_type: z.enum(['NORMAL', 'DISCOUNT', 'EXCHANGE']),
  coupon_use_rule: z.looseObject({
    coupon_available_time: z.looseObject({
      available_begin_time: Instant,
      available_end_time: Instant,
      available_day_after_receive: z.int().min(1).optional(),
      wait_days_after_receive: z.int().min(0).max(30).optional(),
    }),
    fixed_normal_coupon: z.looseObject({ discount_amount: z.int().min(1), transaction_minimum: z.int() }).optional(),
    discount_coupon: z
      .looseObject({ discount_percent: z.int().min(1).max(99), transaction_minimum: z.int() })
      .optional(),
    exchange_coupon: z.looseObject({ exchange_price: z.int().min(0), transaction_minimum: z.int() }).optional(),
    use_method: z.enum(['OFF_LINE', 'MINI_PROGRAMS', 'SELF_CONSUME', 'PAYMENT_CODE']),
  }),
  stock_send_rule: z.looseObject({
    max_coupons: z.int().min(1).max(1_000_000_000),
    max_coupons_per_user: z.int().min(1).max(100),
    max_coupons_by_day: z.int().min(1).optional(),
  }),
  out_request_no: RequestNo,
  coupon_code_mode: z.enum(['WECHATPAY_MODE', 'MERCHANT_API', 'MERCHANT_UPLOAD']),
  notify_config: z.looseObject({ notify_appid: z.string().optional() }).optional(),
})
export type StockBody = z.infer<typeof StockBody>

const WORTH_FIELD = { NORMAL: 'fixed_normal_coupon', DISCOUNT: 'discount_coupon', EXCHANGE: 'exchange_coupon' } as const

export type Taking = {
  openid: string
  appid: string
  stock_id: string
  requestNo: string
  code?: string | undefined
  channel: 'API' | 'MINIAPP' | 'H5'
}

/** A person gets a merchant coupon, whichever way; the receiver is told. @throws {PayRefusal} */
export function takeMerchantCoupon(world: World, taking: Taking, now: Date): CouponRow {
  const stock = stockOf(world, 'busifavor', taking.stock_id)
  const rules = StockBody.parse(JSON.parse(stock.body))
  const time = rules.coupon_use_rule.coupon_available_time
  if (stock.status !== 'RUNNING' || now.getTime() >= time.available_end_time) {
    throw new PayRefusal(400, 'INVALID_REQUEST', '批次不在可发放状态')
  }
  const days = time.available_day_after_receive
  const coupon = giveCoupon(
    world,
    stock,
    {
      maxCoupons: rules.stock_send_rule.max_coupons,
      maxCouponsPerUser: rules.stock_send_rule.max_coupons_per_user,
      maxCouponsByDay: rules.stock_send_rule.max_coupons_by_day,
    },
    {
      openid: taking.openid,
      appid: taking.appid,
      amount: 0,
      request_no: taking.requestNo,
      expires_ms: Math.min(
        time.available_end_time,
        days === undefined ? Infinity : now.getTime() + ((time.wait_days_after_receive ?? 0) + days) * DAY_MS,
      ),
      ...codeFor(world, stock, rules, taking.code),
    },
    now,
  )
  const told = rules.notify_config?.notify_appid === taking.appid ? personOf(world, taking.openid, now) : undefined
  raisePayCallback(
    world,
    'busifavor',
    'COUPON.SEND',
    {
      event_type: 'EVENT_TYPE_BUSICOUPON_SEND',
      coupon_code: coupon.coupon_id,
      stock_id: coupon.stock_id,
      send_time: wireTime(now.getTime()),
      ...(told !== undefined && { openid: told.openid, unionid: told.unionid }),
      send_channel: `BUSICOUPON_SEND_CHANNEL_${taking.channel}`,
      send_merchant: payAccountOf(world.seed).mchId,
      attach_info: {},
    },
    now,
  )
  return coupon
}

/**
 * The `sign` of the mini program plugin and of the H5 page: HMAC-SHA256 with the APIv2 key over the sorted pairs.
 *
 * @throws {PayRefusal} when the given one does not fit
 */
export function checkCouponSign(world: World, fields: Readonly<Record<string, string>>, given: string): void {
  const key = payAccountOf(world.seed).apiV2Key
  const pairs = Object.entries(fields).sort(([a], [b]) => (a < b ? -1 : 1))
  const text = [...pairs.map(([name, value]) => `${name}=${value}`), `key=${key}`].join('&')
  const expected = createHmac('sha256', key).update(text).digest('hex').toUpperCase()
  if (given !== expected) throw new PayRefusal(401, 'SIGN_ERROR', '签名错误 272758293')
}

function codeFor(world: World, stock: StockRow, rules: StockBody, given: string | undefined): { code?: string } {
  if (rules.coupon_code_mode === 'WECHATPAY_MODE') return {}
  if (rules.coupon_code_mode === 'MERCHANT_API') {
    if (given === undefined) throw new PayRefusal(400, 'PARAM_ERROR', '必须传入coupon_code', { field: '/coupon_code' })
    const isTaken =
      world.state.get('SELECT 1 FROM pay_coupon WHERE stock_id = ? AND coupon_id = ?', stock.stock_id, given) !==
      undefined
    if (isTaken) throw new PayRefusal(400, 'RESOURCE_ALREADY_EXISTS', '券code已被使用')
    return { code: given }
  }
  const free = world.state.get<{ code: string }>(
    `SELECT code FROM pay_code WHERE stock_id = ? AND status = 'AVAILABLE' ORDER BY code LIMIT 1`,
    stock.stock_id,
  )
  if (free === undefined) throw new PayRefusal(403, 'NOT_ENOUGH', '预存code不足')
  world.state.run(
    `UPDATE pay_code SET status = 'DISPATCHED' WHERE stock_id = ? AND code = ?`,
    stock.stock_id,
    free.code,
  )
  return { code: free.code }
}

export function uploadCodes(
  world: World,
  stock: StockRow,
  codes: readonly string[],
  at: string,
): Record<string, unknown> {
  if (StockBody.parse(JSON.parse(stock.body)).coupon_code_mode !== 'MERCHANT_UPLOAD') {
    throw new PayRefusal(400, 'INVALID_REQUEST', '批次不是预存code模式')
  }
  const [success, fail, exist, duplicate]: [string[], unknown[], string[], string[]] = [[], [], [], []]
  const seen = new Set<string>()
  for (const code of codes) {
    if (!CODE.test(code)) fail.push({ coupon_code: code, code: 'PARAM_ERROR', message: 'code格式错误' })
    else if (seen.has(code)) duplicate.push(code)
    else if (world.state.run(`INSERT OR IGNORE INTO pay_code VALUES (?, ?, 'AVAILABLE')`, stock.stock_id, code) === 0) {
      exist.push(code)
    } else success.push(code)
    seen.add(code)
  }
  return {
    stock_id: stock.stock_id,
    total_count: codes.length,
    success_count: success.length,
    success_codes: success,
    success_time: at,
    fail_count: fail.length,
    fail_codes: fail,
    exist_codes: exist,
    duplicate_codes: duplicate,
  }
}

export function stockView(world: World, stock: StockRow): Record<string, unknown> {
  const { out_request_no: _number, ...body } = JSON.parse(stock.body) as Record<string, unknown>
  const codes = world.state.get<{ n: number; free: number }>(
    `SELECT count(*) AS n, total(status = 'AVAILABLE') AS free FROM pay_code WHERE stock_id = ?`,
    stock.stock_id,
  )!
  return {
    ...body,
    stock_id: stock.stock_id,
    stock_state: stock.status,
    send_count_information: { total_send_num: stock.sent },
    ...(codes.n > 0 && { coupon_code_count: { total_count: codes.n, available_count: codes.free } }),
  }
}

export function couponView(world: World, coupon: CouponRow, now: Date): Record<string, unknown> {
  const stock = stockOf(world, 'busifavor', coupon.stock_id)
  const body = JSON.parse(stock.body) as Record<string, unknown>
  return {
    belong_merchant: body['belong_merchant'],
    stock_name: body['stock_name'],
    comment: body['comment'] ?? '',
    goods_name: body['goods_name'],
    stock_type: body['stock_type'],
    transferable: false,
    shareable: false,
    coupon_state: statusAt(coupon, now),
    coupon_use_rule: body['coupon_use_rule'],
    coupon_code: coupon.coupon_id,
    stock_id: coupon.stock_id,
    available_start_time: wireTime(coupon.sent_ms),
    expire_time: wireTime(coupon.expires_ms),
    receive_time: wireTime(coupon.sent_ms),
    send_request_no: coupon.request_no,
    ...(coupon.used_ms !== null && { use_time: wireTime(coupon.used_ms) }),
    ...(JSON.parse(coupon.more) as Record<string, unknown>),
  }
}

/** @throws {PayRefusal} */
export function checkStock(body: StockBody, mchId: string): void {
  const wrong = (field: string, issue: string) =>
    new PayRefusal(400, 'PARAM_ERROR', `${field} ${issue}`, { field, issue, location: 'body' })
  if (body.belong_merchant !== mchId) throw new PayRefusal(403, 'NO_AUTH', '批次归属商户号必须为调用方')
  const { available_begin_time: from, available_end_time: to } = body.coupon_use_rule.coupon_available_time
  if (to <= from || to - from > YEAR_MS) throw wrong('/coupon_use_rule/coupon_available_time', '有效期最长1年')
  const field = WORTH_FIELD[body.stock_type]
  if (body.coupon_use_rule[field] === undefined) throw wrong(`/coupon_use_rule/${field}`, '不能为空')
}
