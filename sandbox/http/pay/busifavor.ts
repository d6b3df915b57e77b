import { createHmac } from 'node:crypto'
import { z } from 'zod'
import { DAY_MS, MINUTE_MS, SECOND_MS } from '../../../src/time.js'
import type { World } from '../../world/world.js'
import { personOf } from '../weixin/people.js'
import { isNotifyUrl } from './favor.js'
import { payAccountOf } from './keys.js'
import {
  checkAppId,
  once,
  PayRefusal,
  type PayReply,
  type PayRequest,
  type PayRoute,
  readParams,
  wireTime,
} from './merchant.js'
import { raisePayCallback } from './outbox.js'
import {
  addStock,
  couponOf,
  type CouponRow,
  couponsOf,
  giveCoupon,
  setCoupon,
  setStock,
  statusAt,
  stockOf,
  type StockRow,
} from './stocks.js'

const Instant = z.iso.datetime({ offset: true }).transform((text) => Date.parse(text))
const RequestNo = z.string().min(1).max(128)
const YEAR_MS = 366 * DAY_MS

const StockBody = z.looseObject({
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
type StockBody = z.infer<typeof StockBody>

const WORTH_FIELD = { NORMAL: 'fixed_normal_coupon', DISCOUNT: 'discount_coupon', EXCHANGE: 'exchange_coupon' } as const
const CODE = /^[A-Za-z0-9_-]{1,32}$/

const Budget = z.looseObject({
  target_max_coupons: z.int().min(1).max(1_000_000_000),
  current_max_coupons: z.int(),
  modify_budget_request_no: RequestNo,
})
const Upload = z.looseObject({ coupon_code_list: z.array(z.string()).min(1).max(200), upload_request_no: RequestNo })
const Send = z.looseObject({
  openid: z.string().min(1),
  appid: z.string().min(1),
  stock_id: z.string().min(1),
  out_request_no: RequestNo,
  coupon_code: z.string().regex(CODE).optional(),
})
const Use = z.looseObject({
  coupon_code: z.string().min(1),
  stock_id: z.string().min(1).optional(),
  appid: z.string().min(1),
  use_time: Instant,
  use_request_no: RequestNo,
})
const CouponRef = z.looseObject({ coupon_code: z.string().min(1), stock_id: z.string().min(1) })
const Trade = CouponRef.extend({ out_trade_no: z.string().min(1).max(32), out_request_no: RequestNo })
const List = z.looseObject({
  offset: z.coerce.number().int().min(0).default(0),
  limit: z.coerce.number().int().min(1).max(200).default(20),
  appid: z.string().min(1),
  stock_id: z.string().optional(),
  coupon_state: z.string().optional(),
  status: z.enum(['AVAILABLE', 'DISPATCHED']).optional(),
})

const ROOT = '/v3/marketing/busifavor'

/** Merchant coupons (商家券). @see pay.weixin.qq.com/doc/v3/merchant/4012535066 (read 2026-08) */
export function busifavorRoutes(world: World): PayRoute[] {
  return [
    { method: 'POST', path: `${ROOT}/stocks`, limit: [1_000, MINUTE_MS], handle: (call) => createStock(world, call) },
    {
      method: 'GET',
      path: `${ROOT}/stocks/:stock_id`,
      handle: (request) => stockView(world, stockFor(world, request)),
    },
    { method: 'PATCH', path: `${ROOT}/stocks/:stock_id`, handle: (call) => modifyStock(world, call) },
    { method: 'PATCH', path: `${ROOT}/stocks/:stock_id/budget`, handle: (call) => modifyBudget(world, call) },
    { method: 'POST', path: `${ROOT}/stocks/:stock_id/couponcodes`, handle: (call) => addCodes(world, call) },
    { method: 'GET', path: `${ROOT}/stocks/:stock_id/couponcodes`, handle: (call) => listCodes(world, call) },
    { method: 'POST', path: `${ROOT}/coupons/send`, handle: (call) => sendCoupon(world, call) },
    { method: 'POST', path: `${ROOT}/coupons/use`, limit: [500, SECOND_MS], handle: (call) => useCoupon(world, call) },
    move(
      world,
      'return',
      'return_request_no',
      'USED',
      () => ({ status: 'SENDED', used_ms: null }),
      'wechatpay_return_time',
    ),
    move(
      world,
      'deactivate',
      'deactivate_request_no',
      'SENDED',
      () => ({ status: 'DEACTIVATED' }),
      'wechatpay_deactivate_time',
    ),
    trade(world, 'associate'),
    trade(world, 'disassociate'),
    { method: 'GET', path: `${ROOT}/users/:openid/coupons`, handle: (call) => listCoupons(world, call) },
    {
      method: 'GET',
      path: `${ROOT}/users/:openid/coupons/:coupon_code/appids/:appid`,
      handle: (call) => getCoupon(world, call),
    },
    { method: 'POST', path: `${ROOT}/callbacks`, handle: (call) => setCallback(world, call) },
    {
      method: 'GET',
      path: `${ROOT}/callbacks`,
      handle: () => ({ notify_url: world.state.meta('pay_callback_busifavor') ?? '', mchid: mchId(world) }),
    },
  ]
}

function createStock(world: World, request: PayRequest): PayReply {
  const body = readParams(StockBody, request)
  checkStock(body, mchId(world))
  return once(world, 'busifavor-stock', body.out_request_no, request, () => ({
    stock_id: addStock(world, 'busifavor', request.params, 'RUNNING', request.now),
    create_time: at(request),
  }))
}

function modifyStock(world: World, request: PayRequest): PayReply {
  const { out_request_no: number, ...fields } = readParams(z.looseObject({ out_request_no: RequestNo }), request)
  once(world, 'busifavor-modify', number, request, () => {
    const stock = stockFor(world, request)
    setStock(world, stock.stock_id, { body: { ...(JSON.parse(stock.body) as object), ...fields } })
    return {}
  })
  return undefined
}

function modifyBudget(world: World, request: PayRequest): PayReply {
  const body = readParams(Budget, request)
  return once(world, 'budget', body.modify_budget_request_no, request, () => {
    const stock = stockFor(world, request)
    const stored = JSON.parse(stock.body) as Record<string, unknown> & { stock_send_rule: object }
    if (StockBody.parse(stored).stock_send_rule.max_coupons !== body.current_max_coupons) {
      throw new PayRefusal(400, 'INVALID_REQUEST', '当前批次最大发放个数与实际不符')
    }
    if (body.target_max_coupons < stock.sent) throw new PayRefusal(400, 'INVALID_REQUEST', '不能少于已发放个数')
    const rule = { ...stored.stock_send_rule, max_coupons: body.target_max_coupons }
    setStock(world, stock.stock_id, { body: { ...stored, stock_send_rule: rule } })
    return { max_coupons: body.target_max_coupons }
  })
}

function addCodes(world: World, request: PayRequest): PayReply {
  const body = readParams(Upload, request)
  return once(world, 'upload', body.upload_request_no, request, () =>
    uploadCodes(world, stockFor(world, request), body.coupon_code_list, at(request)),
  )
}

function listCodes(world: World, request: PayRequest): PayReply {
  const { offset, limit, status } = readParams(List, request)
  const rows = world.state
    .all<{ code: string; status: string }>(
      'SELECT code, status FROM pay_code WHERE stock_id = ? ORDER BY code',
      stockFor(world, request).stock_id,
    )
    .filter((row) => status === undefined || row.status === status)
  const data = rows
    .slice(offset, offset + limit)
    .map((row) => ({ coupon_code: row.code, coupon_code_status: row.status }))
  return { total_count: rows.length, offset, limit, ...(rows.length > 0 && { data }) }
}

function sendCoupon(world: World, request: PayRequest): PayReply {
  const body = readParams(Send, request)
  checkAppId(world, body.appid)
  return once(world, 'busifavor-send', body.out_request_no, request, () => {
    const give = { ...body, code: body.coupon_code, channel: 'API' as const }
    const coupon = takeMerchantCoupon(world, { ...give, requestNo: body.out_request_no }, request.now)
    const { stock_id, coupon_id } = coupon
    return { send_coupon_result: { stock_id, out_request_no: body.out_request_no, coupon_code: coupon_id } }
  })
}

function useCoupon(world: World, request: PayRequest): PayReply {
  const body = readParams(Use, request)
  checkAppId(world, body.appid)
  return once(world, 'use', body.use_request_no, request, () => {
    const coupon = couponOf(world, 'busifavor', body.coupon_code, body.stock_id)
    const mode = StockBody.parse(JSON.parse(stockOf(world, 'busifavor', coupon.stock_id).body)).coupon_code_mode
    if (mode !== 'WECHATPAY_MODE' && body.stock_id === undefined) {
      throw new PayRefusal(400, 'PARAM_ERROR', '该批次核销时必须传stock_id', { field: '/stock_id' })
    }
    if (statusAt(coupon, request.now) !== 'SENDED') throw wrongState(coupon, request.now)
    const more = { ...(JSON.parse(coupon.more) as object), use_request_no: body.use_request_no }
    setCoupon(world, coupon, { status: 'USED', used_ms: body.use_time, more: JSON.stringify(more) })
    return { stock_id: coupon.stock_id, openid: coupon.openid, wechatpay_use_time: at(request) }
  })
}

function listCoupons(world: World, request: PayRequest): PayReply {
  const query = readParams(List, request)
  const { offset, limit } = query
  const { rows, total } = couponsOf(world, 'busifavor', request.parts[0]!, request.now, {
    stockId: query.stock_id,
    status: query.coupon_state,
    offset,
    limit,
  })
  const data = rows.map((row) => couponView(world, row, request.now))
  return { total_count: total, offset, limit, ...(total > 0 && { data }) }
}

function getCoupon(world: World, { parts: [openid, code, appid], now }: PayRequest): PayReply {
  const coupon = couponOf(world, 'busifavor', code!)
  if (coupon.openid !== openid || coupon.appid !== appid) {
    throw new PayRefusal(404, 'RESOURCE_NOT_EXISTS', '券不存在')
  }
  return couponView(world, coupon, now)
}

function setCallback(world: World, request: PayRequest): PayReply {
  const schema = z.looseObject({ notify_url: z.string().refine(isNotifyUrl, '必须是不带参数的https地址') })
  const { notify_url: url } = readParams(schema, request)
  world.state.setMeta('pay_callback_busifavor', url)
  return { update_time: at(request), notify_url: url, mchid: mchId(world) }
}

function mchId(world: World) {
  return payAccountOf(world.seed).mchId
}

function at({ now }: PayRequest) {
  return wireTime(now.getTime())
}

function stockFor(world: World, request: PayRequest) {
  return stockOf(world, 'busifavor', request.parts[0]!)
}

/** Changes a coupon from one state to another, under a request number. */
function move(
  world: World,
  name: string,
  numberField: string,
  from: string,
  change: (request: PayRequest) => Pick<CouponRow, 'status'> & Partial<CouponRow>,
  timeField: string,
): PayRoute {
  return {
    method: 'POST',
    path: `${ROOT}/coupons/${name}`,
    handle: (request) => {
      const schema = CouponRef.extend({ [numberField]: RequestNo })
      const body = readParams(schema, request) as z.infer<typeof CouponRef> & Record<string, unknown>
      return once(world, name, String(body[numberField]), request, () => {
        const coupon = couponOf(world, 'busifavor', body.coupon_code, body.stock_id)
        if (statusAt(coupon, request.now) !== from) throw wrongState(coupon, request.now)
        setCoupon(world, coupon, change(request))
        return { [timeField]: at(request) }
      })
    },
  }
}

function trade(world: World, name: 'associate' | 'disassociate'): PayRoute {
  return {
    method: 'POST',
    path: `${ROOT}/coupons/${name}`,
    handle: (request) => {
      const body = readParams(Trade, request)
      return once(world, name, body.out_request_no, request, () => {
        const coupon = couponOf(world, 'busifavor', body.coupon_code, body.stock_id)
        const { associate_out_trade_no: before, ...more } = JSON.parse(coupon.more) as Record<string, unknown>
        if (name === 'associate' && before !== undefined && before !== body.out_trade_no) {
          throw new PayRefusal(400, 'INVALID_REQUEST', '券已关联其他订单')
        }
        if (name === 'disassociate' && before !== body.out_trade_no) {
          throw new PayRefusal(400, 'INVALID_REQUEST', '券未关联该订单')
        }
        const next = name === 'associate' ? { ...more, associate_out_trade_no: body.out_trade_no } : more
        setCoupon(world, coupon, { more: JSON.stringify(next) })
        return { [`wechatpay_${name}_time`]: at(request) }
      })
    },
  }
}

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

function uploadCodes(world: World, stock: StockRow, codes: readonly string[], at: string): Record<string, unknown> {
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

function stockView(world: World, stock: StockRow): Record<string, unknown> {
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

function couponView(world: World, coupon: CouponRow, now: Date): Record<string, unknown> {
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

function checkStock(body: StockBody, mchId: string): void {
  const wrong = (field: string, issue: string) =>
    new PayRefusal(400, 'PARAM_ERROR', `${field} ${issue}`, { field, issue, location: 'body' })
  if (body.belong_merchant !== mchId) throw new PayRefusal(403, 'NO_AUTH', '批次归属商户号必须为调用方')
  const { available_begin_time: from, available_end_time: to } = body.coupon_use_rule.coupon_available_time
  if (to <= from || to - from > YEAR_MS) throw wrong('/coupon_use_rule/coupon_available_time', '有效期最长1年')
  const field = WORTH_FIELD[body.stock_type]
  if (body.coupon_use_rule[field] === undefined) throw wrong(`/coupon_use_rule/${field}`, '不能为空')
}

function wrongState(coupon: CouponRow, now: Date): PayRefusal {
  return new PayRefusal(400, 'INVALID_REQUEST', `券状态为${statusAt(coupon, now)}`)
}
