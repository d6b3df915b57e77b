import { z } from 'zod'
import { MINUTE_MS, SECOND_MS } from '../../../src/time.js'
import type { World } from '../../world/world.js'
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
import {
  checkStock,
  CODE,
  couponView,
  Instant,
  RequestNo,
  StockBody,
  stockView,
  takeMerchantCoupon,
  uploadCodes,
} from './merchant-coupons.js'
import { addStock, couponOf, type CouponRow, couponsOf, setCoupon, setStock, statusAt, stockOf } from './stocks.js'

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

function wrongState(coupon: CouponRow, now: Date): PayRefusal {
  return new PayRefusal(400, 'INVALID_REQUEST', `券状态为${statusAt(coupon, now)}`)
}
