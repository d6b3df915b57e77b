import { hashKey, intOf } from '../../../src/random.js'
import type { World } from '../../world/world.js'
import { personOf } from '../weixin/people.js'
import { beijingDayStartMs, beijingMonthStartMs, PayRefusal } from './merchant.js'

export type Family = 'favor' | 'busifavor'
export type StockRow = {
  stock_id: string
  family: Family
  status: string
  body: string
  created_ms: number
  sent: number
}
export type CouponRow = {
  stock_id: string
  coupon_id: string
  family: Family
  openid: string
  appid: string
  status: string
  sent_ms: number
  expires_ms: number
  /** In fen, 0 where it does not apply. */
  amount: number
  request_no: string
  used_ms: number | null
  more: string
}

export function addStock(
  world: World,
  family: Family,
  body: Record<string, unknown>,
  status: string,
  now: Date,
): string {
  const { n } = world.state.get<{ n: number }>('SELECT count(*) AS n FROM pay_stock')!
  const stockId = `${family === 'favor' ? '1' : '12'}${String(10_000_000 + n * 7 + intOf(7, world.seed, 'stock', n))}`
  world.state.run(
    'INSERT INTO pay_stock VALUES (?, ?, ?, ?, ?, 0)',
    stockId,
    family,
    status,
    JSON.stringify(body),
    now.getTime(),
  )
  return stockId
}

/** @throws {PayRefusal} 404 */
export function stockOf(world: World, family: Family, stockId: string): StockRow {
  const row = world.state.get<StockRow>('SELECT * FROM pay_stock WHERE stock_id = ? AND family = ?', stockId, family)
  if (row === undefined) throw new PayRefusal(404, 'RESOURCE_NOT_EXISTS', '批次不存在')
  return row
}

export function setStock(world: World, stockId: string, change: { status?: string; body?: unknown }): void {
  if (change.status !== undefined) {
    world.state.run('UPDATE pay_stock SET status = ? WHERE stock_id = ?', change.status, stockId)
  }
  if (change.body !== undefined) {
    world.state.run('UPDATE pay_stock SET body = ? WHERE stock_id = ?', JSON.stringify(change.body), stockId)
  }
}

export type Limits = {
  maxCoupons: number
  maxCouponsPerUser: number
  maxCouponsByDay?: number | undefined
  maxAmountByDay?: number | undefined
  /** Fen a person and month over every stock that counts `amount`. */
  maxAmountPerUserAndMonth?: number
}

/** Gives a coupon to a person, within stock, budgets and personal limits. @throws {PayRefusal} */
export function giveCoupon(
  world: World,
  stock: StockRow,
  limits: Limits,
  coupon: Pick<CouponRow, 'openid' | 'appid' | 'amount' | 'request_no' | 'expires_ms'> & { code?: string },
  now: Date,
): CouponRow {
  const { state, seed } = world
  if (personOf(world, coupon.openid, now)?.appid !== coupon.appid) {
    throw new PayRefusal(400, 'INVALID_REQUEST', '用户openid与appid不匹配')
  }
  if (stock.sent >= limits.maxCoupons) throw new PayRefusal(403, 'NOT_ENOUGH', '批次库存不足')
  const { n: mine } = state.get<{ n: number }>(
    'SELECT count(*) AS n FROM pay_coupon WHERE stock_id = ? AND openid = ?',
    stock.stock_id,
    coupon.openid,
  )!
  if (mine >= limits.maxCouponsPerUser) throw new PayRefusal(403, 'RULE_LIMIT', '用户已达领取上限')
  const today = state.get<{ n: number; amount: number }>(
    'SELECT count(*) AS n, total(amount) AS amount FROM pay_coupon WHERE stock_id = ? AND sent_ms >= ?',
    stock.stock_id,
    beijingDayStartMs(now.getTime()),
  )!
  const isDayOver =
    today.n >= (limits.maxCouponsByDay ?? Infinity) ||
    today.amount + coupon.amount > (limits.maxAmountByDay ?? Infinity)
  if (isDayOver) throw new PayRefusal(403, 'NOT_ENOUGH', '批次当日预算不足')
  if (limits.maxAmountPerUserAndMonth !== undefined) {
    const { amount } = state.get<{ amount: number }>(
      'SELECT total(amount) AS amount FROM pay_coupon WHERE openid = ? AND sent_ms >= ?',
      coupon.openid,
      beijingMonthStartMs(now.getTime()),
    )!
    if (amount + coupon.amount > limits.maxAmountPerUserAndMonth) {
      throw new PayRefusal(403, 'RULE_LIMIT', '用户当月领取的预充值代金券已达上限')
    }
  }
  const row: CouponRow = {
    stock_id: stock.stock_id,
    coupon_id: coupon.code ?? codeOf(seed, stock.stock_id, stock.sent),
    family: stock.family,
    openid: coupon.openid,
    appid: coupon.appid,
    status: 'SENDED',
    sent_ms: now.getTime(),
    expires_ms: coupon.expires_ms,
    amount: coupon.amount,
    request_no: coupon.request_no,
    used_ms: null,
    more: '{}',
  }
  state.run(
    `INSERT INTO pay_coupon (stock_id, coupon_id, family, openid, appid, status, sent_ms, expires_ms, amount, request_no, used_ms, more)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, '{}')`,
    row.stock_id, row.coupon_id, row.family, row.openid, row.appid, row.status, row.sent_ms, row.expires_ms, row.amount, row.request_no,
  ) // prettier-ignore
  state.run('UPDATE pay_stock SET sent = sent + 1 WHERE stock_id = ?', stock.stock_id)
  return row
}

/** @throws {PayRefusal} 404 */
export function couponOf(world: World, family: Family, couponId: string, stockId?: string): CouponRow {
  const sql = 'SELECT * FROM pay_coupon WHERE coupon_id = ? AND family = ?'
  const row =
    stockId === undefined
      ? world.state.get<CouponRow>(sql, couponId, family)
      : world.state.get<CouponRow>(`${sql} AND stock_id = ?`, couponId, family, stockId)
  if (row === undefined) throw new PayRefusal(404, 'RESOURCE_NOT_EXISTS', '券不存在')
  return row
}

export function setCoupon(
  world: World,
  coupon: CouponRow,
  change: Partial<Pick<CouponRow, 'status' | 'used_ms' | 'more'>>,
): CouponRow {
  const next = { ...coupon, ...change }
  world.state.run(
    'UPDATE pay_coupon SET status = ?, used_ms = ?, more = ? WHERE stock_id = ? AND coupon_id = ?',
    next.status,
    next.used_ms,
    next.more,
    coupon.stock_id,
    coupon.coupon_id,
  )
  return next
}

/** Coupons expire by themselves. */
export function statusAt(coupon: CouponRow, now: Date): string {
  return coupon.status === 'SENDED' && now.getTime() >= coupon.expires_ms ? 'EXPIRED' : coupon.status
}

/** One page of a person's coupons, oldest first, with the number of all. */
export function couponsOf(
  world: World,
  family: Family,
  openid: string,
  now: Date,
  filter: { stockId?: string | undefined; status?: string | undefined; offset: number; limit: number },
): { rows: CouponRow[]; total: number } {
  const all = world.state
    .all<CouponRow>(
      'SELECT * FROM pay_coupon WHERE openid = ? AND family = ? ORDER BY sent_ms, stock_id, coupon_id',
      openid,
      family,
    )
    .filter((row) => filter.stockId === undefined || row.stock_id === filter.stockId)
    .filter((row) => filter.status === undefined || statusAt(row, now) === filter.status)
  return { rows: all.slice(filter.offset, filter.offset + filter.limit), total: all.length }
}

function codeOf(seed: number, stockId: string, n: number): string {
  return `${stockId.slice(-4)}${BigInt(`0x${hashKey(12, seed, 'coupon', stockId, n)}`)
    .toString()
    .padStart(15, '0')}`
}
