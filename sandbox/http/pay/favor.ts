import { createHash } from 'node:crypto'
import { z } from 'zod'
import { hashKey } from '../../../src/random.js'
import { DAY_MS, MINUTE_MS, SECOND_MS } from '../../../src/time.js'
import type { World } from '../../world/world.js'
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
const WindowMs = { day: 90 * DAY_MS, ahead: 365 * DAY_MS }
/** 5,000 yuan of prepaid coupons a person, merchant and month. */
const PREPAID_CAP = 500_000
/** The address of a flow lives 30 s. */
const FLOW_MS = 30 * SECOND_MS

const StockBody = z.looseObject({
  stock_name: z.string().min(1).refine(isStockName, '最多20个字母或9个汉字，不能含有 _ , ; |'),
  comment: z.string().max(60).optional(),
  belong_merchant: z.string(),
  available_begin_time: Instant,
  available_end_time: Instant,
  stock_use_rule: z.looseObject({
    max_coupons: z.int().min(1),
    max_amount: z.int().min(1),
    max_amount_by_day: z.int().min(1).optional(),
    max_coupons_per_user: z.int().min(1).max(60),
    natural_person_limit: z.boolean(),
    prevent_api_abuse: z.boolean(),
  }),
  coupon_use_rule: z.looseObject({
    fixed_normal_coupon: z.looseObject({ coupon_amount: z.int().min(1), transaction_minimum: z.int().min(1) }),
  }),
  no_cash: z.boolean(),
  stock_type: z.literal('NORMAL'),
  out_request_no: z.string().min(1).max(128),
})
type StockBody = z.infer<typeof StockBody>

const SendBody = z.looseObject({
  stock_id: z.string().min(1),
  out_request_no: z.string().min(1).max(128),
  appid: z.string().min(1),
  stock_creator_mchid: z.string().min(1),
})
const Creator = z.looseObject({ stock_creator_mchid: z.string().min(1) })
const paging = (max: number, byDefault: number) => ({
  offset: z.coerce.number().int().min(0).default(0),
  limit: z.coerce.number().int().min(1).max(max).default(byDefault),
})
const StockQuery = Creator.extend({ ...paging(10, 10), status: z.string().optional() })
const CouponQuery = z.looseObject({
  ...paging(20, 20),
  appid: z.string().min(1),
  stock_id: z.string().optional(),
  status: z.enum(['SENDED', 'USED']).optional(),
})
const CallbackBody = z.looseObject({
  mchid: z.string(),
  notify_url: z.string().refine(isNotifyUrl, '必须是不带参数的https地址'),
  switch: z.boolean().default(true),
})

/** From which states each action is allowed; `stoped` is spelt so. */
const MOVES = {
  start: { from: ['unactivated'], to: 'running', field: 'start_time' },
  pause: { from: ['running'], to: 'paused', field: 'pause_time' },
  restart: { from: ['paused'], to: 'running', field: 'restart_time' },
  stop: { from: ['unactivated', 'running', 'paused'], to: 'stoped', field: 'stop_time' },
} as const

/** Cash coupons (代金券). @see pay.weixin.qq.com/doc/v3/merchant/4012534633 (read 2026-08) */
export function favorRoutes(world: World): PayRoute[] {
  return [
    {
      method: 'POST',
      path: '/v3/marketing/favor/coupon-stocks',
      limit: [60, MINUTE_MS],
      handle: (call) => createStock(world, call),
    },
    ...(Object.keys(MOVES) as (keyof typeof MOVES)[]).map((action) => moveRoute(world, action)),
    {
      method: 'POST',
      path: '/v3/marketing/favor/users/:openid/coupons',
      limit: [500, SECOND_MS],
      handle: (call) => sendCoupon(world, call),
    },
    { method: 'GET', path: '/v3/marketing/favor/users/:openid/coupons', handle: (call) => listCoupons(world, call) },
    {
      method: 'GET',
      path: '/v3/marketing/favor/users/:openid/coupons/:coupon_id',
      handle: (call) => getCoupon(world, call),
    },
    { method: 'GET', path: '/v3/marketing/favor/stocks', handle: (call) => listStocks(world, call) },
    {
      method: 'GET',
      path: '/v3/marketing/favor/stocks/:stock_id',
      limit: [1_000, SECOND_MS],
      handle: (request) => stockView(world, stockFor(world, request)),
    },
    ...(['merchants', 'items'] as const).map((list) => listRoute(world, list)),
    ...(['use-flow', 'refund-flow'] as const).map((flow) => flowRoute(world, flow)),
    { method: 'GET', path: '/v3/billdownload/file', handle: (call) => downloadFlow(world, call) },
    { method: 'POST', path: '/v3/marketing/favor/callbacks', handle: (call) => setCallback(world, call) },
    {
      method: 'GET',
      path: '/v3/marketing/favor/callbacks',
      handle: () => ({ mchid: mchId(world), notify_url: world.state.meta('pay_callback_favor') ?? '' }),
    },
  ]
}

function createStock(world: World, request: PayRequest): PayReply {
  const body = readParams(StockBody, request)
  if (body.belong_merchant !== mchId(world)) throw new PayRefusal(403, 'NO_AUTH', '批次归属商户号必须为调用方')
  checkStock(body, request.now)
  return once(world, 'favor-stock', body.out_request_no, request, () => ({
    stock_id: addStock(world, 'favor', request.params, 'unactivated', request.now),
    create_time: wireTime(request.now.getTime()),
  }))
}

function sendCoupon(world: World, request: PayRequest): PayReply {
  const body = readParams(SendBody, request)
  checkCreator(world, body.stock_creator_mchid)
  checkAppId(world, body.appid)
  return once(world, 'favor-send', body.out_request_no, request, () => {
    const stock = stockOf(world, 'favor', body.stock_id)
    const rules = StockBody.parse(JSON.parse(stock.body))
    const nowMs = request.now.getTime()
    if (stock.status !== 'running') throw new PayRefusal(400, 'INVALID_REQUEST', '活动未开始或已结束')
    if (nowMs < rules.available_begin_time || nowMs >= rules.available_end_time) {
      throw new PayRefusal(403, 'REQUEST_BLOCKED', '不在批次可发放时间内')
    }
    const amount = rules.coupon_use_rule.fixed_normal_coupon.coupon_amount
    const coupon = giveCoupon(
      world,
      stock,
      {
        maxCoupons: rules.stock_use_rule.max_coupons,
        maxCouponsPerUser: rules.stock_use_rule.max_coupons_per_user,
        maxAmountByDay: rules.stock_use_rule.max_amount_by_day,
        ...(!rules.no_cash && { maxAmountPerUserAndMonth: PREPAID_CAP }),
      },
      {
        openid: request.parts[0]!,
        appid: body.appid,
        amount,
        request_no: body.out_request_no,
        expires_ms: rules.available_end_time,
      },
      request.now,
    )
    return { coupon_id: coupon.coupon_id }
  })
}

function listCoupons(world: World, request: PayRequest): PayReply {
  const query = readParams(CouponQuery, request)
  const { rows, total } = couponsOf(world, 'favor', request.parts[0]!, request.now, {
    stockId: query.stock_id,
    status: query.status,
    offset: query.offset,
    limit: query.limit,
  })
  const data = rows.map((row) => couponView(world, row, request.now))
  return { total_count: total, offset: query.offset, limit: query.limit, ...(total > 0 && { data }) }
}

function getCoupon(world: World, request: PayRequest): PayReply {
  const { appid } = readParams(z.looseObject({ appid: z.string().min(1) }), request)
  const coupon = couponOf(world, 'favor', request.parts[1]!)
  if (coupon.openid !== request.parts[0] || coupon.appid !== appid) {
    throw new PayRefusal(404, 'RESOURCE_NOT_EXISTS', '券不存在')
  }
  return couponView(world, coupon, request.now)
}

function listStocks(world: World, request: PayRequest): PayReply {
  const { stock_creator_mchid: creator, status, offset, limit } = readParams(StockQuery, request)
  checkCreator(world, creator)
  const rows = world.state
    .all<StockRow>(`SELECT * FROM pay_stock WHERE family = 'favor' ORDER BY created_ms, stock_id`)
    .filter((row) => status === undefined || row.status === status)
  const data = rows.slice(offset, offset + limit).map((row) => stockView(world, row))
  return { total_count: rows.length, offset, limit, ...(rows.length > 0 && { data }) }
}

function downloadFlow(world: World, request: PayRequest): PayReply {
  const { token } = readParams(z.looseObject({ token: z.string() }), request)
  const [stockId = '', flow = '', until = '', hash] = token.split('.')
  const isOurs = hash === hashKey(16, world.seed, 'flow', stockId, flow, Number(until))
  if (!isOurs || request.now.getTime() > Number(until)) {
    throw new PayRefusal(400, 'INVALID_REQUEST', '下载地址已失效')
  }
  return flowText(world, stockId, flow)
}

function setCallback(world: World, request: PayRequest): PayReply {
  const { notify_url: url, switch: on } = readParams(CallbackBody, request)
  world.state.setMeta('pay_callback_favor', on ? url : '')
  return { update_time: wireTime(request.now.getTime()), notify_url: url }
}

function mchId(world: World) {
  return payAccountOf(world.seed).mchId
}

function checkCreator(world: World, given: string) {
  if (given !== mchId(world)) throw new PayRefusal(403, 'NO_AUTH', '无权操作其他商户的批次')
}

function stockFor(world: World, request: PayRequest): StockRow {
  checkCreator(world, readParams(Creator, request).stock_creator_mchid)
  return stockOf(world, 'favor', request.parts[0]!)
}

function moveRoute(world: World, action: keyof typeof MOVES): PayRoute {
  const { from, to, field } = MOVES[action]
  return {
    method: 'POST',
    path: `/v3/marketing/favor/stocks/:stock_id/${action}`,
    handle: (request) => {
      const stock = stockFor(world, request)
      if (!(from as readonly string[]).includes(stock.status)) {
        throw new PayRefusal(400, 'INVALID_REQUEST', `批次状态${stock.status}不允许${action}`)
      }
      setStock(world, stock.stock_id, { status: to })
      return { stock_id: stock.stock_id, [field]: wireTime(request.now.getTime()) }
    },
  }
}

function listRoute(world: World, list: 'merchants' | 'items'): PayRoute {
  return {
    method: 'GET',
    path: `/v3/marketing/favor/stocks/:stock_id/${list}`,
    handle: (request) => {
      const stock = stockFor(world, request)
      const { offset, limit } = readParams(z.looseObject(paging(list === 'items' ? 100 : 50, 50)), request)
      const rules = (JSON.parse(stock.body) as { coupon_use_rule: Record<string, unknown> }).coupon_use_rule
      const all = (rules[`available_${list}`] as string[] | undefined) ?? (list === 'merchants' ? [mchId(world)] : [])
      const data = all.slice(offset, offset + limit)
      return { total_count: all.length, offset, limit, stock_id: stock.stock_id, ...(all.length > 0 && { data }) }
    },
  }
}

function flowRoute(world: World, flow: 'use-flow' | 'refund-flow'): PayRoute {
  return {
    method: 'GET',
    path: `/v3/marketing/favor/stocks/:stock_id/${flow}`,
    handle: ({ parts, now, origin }) => {
      const { stock_id: stockId } = stockOf(world, 'favor', parts[0]!)
      const until = now.getTime() + FLOW_MS
      const token = [stockId, flow, until, hashKey(16, world.seed, 'flow', stockId, flow, until)].join('.')
      const hash = createHash('sha1')
        .update(flowText(world, stockId, flow))
        .digest('hex')
      const url = `${origin}/v3/billdownload/file?token=${token}`
      return { url, hash_value: hash, hash_type: 'SHA1' }
    },
  }
}

/** The customer pays and the coupon is taken off. @throws {PayRefusal} when it cannot be used (any more) */
export function useCashCoupon(world: World, couponId: string, transactionId: string, now: Date): void {
  const coupon = couponOf(world, 'favor', couponId)
  if (statusAt(coupon, now) !== 'SENDED') {
    throw new PayRefusal(400, 'INVALID_REQUEST', `券状态为${statusAt(coupon, now)}`)
  }
  const used = setCoupon(world, coupon, {
    status: 'USED',
    used_ms: now.getTime(),
    more: JSON.stringify({
      consume_information: {
        consume_time: wireTime(now.getTime()),
        consume_mchid: payAccountOf(world.seed).mchId,
        transaction_id: transactionId,
        goods_detail: [],
      },
    }),
  })
  raisePayCallback(world, 'favor', 'COUPON.USE', couponView(world, used, now), now)
}

function couponView(world: World, coupon: CouponRow, now: Date): Record<string, unknown> {
  const rules = StockBody.parse(JSON.parse(stockOf(world, 'favor', coupon.stock_id).body))
  const { coupon_amount, transaction_minimum } = rules.coupon_use_rule.fixed_normal_coupon
  return {
    stock_creator_mchid: payAccountOf(world.seed).mchId,
    stock_id: coupon.stock_id,
    coupon_id: coupon.coupon_id,
    coupon_name: rules.stock_name,
    status: statusAt(coupon, now),
    description: rules.comment ?? '',
    create_time: wireTime(coupon.sent_ms),
    coupon_type: 'NORMAL',
    no_cash: rules.no_cash,
    available_begin_time: wireTime(rules.available_begin_time),
    available_end_time: wireTime(rules.available_end_time),
    singleitem: false,
    normal_coupon_information: { coupon_amount, transaction_minimum },
    ...(JSON.parse(coupon.more) as Record<string, unknown>),
  }
}

function stockView(world: World, row: StockRow): Record<string, unknown> {
  const body = JSON.parse(row.body) as Record<string, unknown> & StockBody
  return {
    stock_id: row.stock_id,
    stock_creator_mchid: payAccountOf(world.seed).mchId,
    stock_name: body.stock_name,
    status: row.status,
    create_time: wireTime(row.created_ms),
    description: body.comment ?? '',
    stock_use_rule: body.stock_use_rule,
    available_begin_time: body.available_begin_time,
    available_end_time: body.available_end_time,
    distributed_coupons: row.sent,
    no_cash: body.no_cash,
    singleitem: false,
    stock_type: 'NORMAL',
  }
}

/** Uses as CSV; the columns are a part of the platform's. Nothing is refunded here, so that flow is its head alone. */
function flowText(world: World, stockId: string, flow: string): string {
  const head = '批次id,优惠id,优惠类型,优惠金额（元）,交易单号,消费时间'
  if (flow !== 'use-flow') return `${head}\n`
  const rows = world.state.all<CouponRow>(
    `SELECT * FROM pay_coupon WHERE stock_id = ? AND status = 'USED' ORDER BY used_ms, coupon_id`,
    stockId,
  )
  const lines = rows.map((row) => {
    const { consume_information: use } = JSON.parse(row.more) as { consume_information: { transaction_id: string } }
    return [stockId, row.coupon_id, '代金券', (row.amount / 100).toFixed(2), use.transaction_id, wireTime(row.used_ms!)]
  })
  return [head, ...lines.map((cells) => cells.map((cell) => `\`${cell}`).join(',')), ''].join('\n')
}

function checkStock(body: StockBody, now: Date): void {
  const { available_begin_time: from, available_end_time: to, stock_use_rule: rule } = body
  const wrong = (field: string, issue: string) =>
    new PayRefusal(400, 'PARAM_ERROR', `${field} ${issue}`, { field, issue, location: 'body' })
  // Whole seconds on the wire.
  if (from < Math.floor(now.getTime() / SECOND_MS) * SECOND_MS) throw wrong('/available_begin_time', '不能早于当前时间')
  if (from > now.getTime() + WindowMs.ahead) throw wrong('/available_begin_time', '最多提前365天')
  if (to <= from || to - from > WindowMs.day) throw wrong('/available_end_time', '有效期最长90天')
  if (rule.max_amount !== rule.max_coupons * body.coupon_use_rule.fixed_normal_coupon.coupon_amount) {
    throw wrong('/stock_use_rule/max_amount', '总预算必须等于面额乘以发放个数')
  }
}

function isStockName(name: string): boolean {
  const width = [...name].reduce((sum, char) => sum + (char.charCodeAt(0) < 128 ? 9 : 20), 0)
  return width <= 180 && !/[_,;|]/.test(name)
}

/** https without a query; plain http only to this machine, so that tests need no certificate. */
export function isNotifyUrl(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, hostname, search } = new URL(text)
  return search === '' && (protocol === 'https:' || ['127.0.0.1', 'localhost'].includes(hostname))
}
