import { z } from 'zod'
import type { World } from '../../world/world.js'
import { messageOf } from '../../../src/errors.js'
import { hashKey } from '../../../src/random.js'
import { systemClock } from '../../../src/time.js'
import type { Neighbour, NeighbourRequest } from '../core/endpoint.js'
import { personOf } from '../weixin/people.js'
import { busifavorRoutes } from './busifavor.js'
import { favorRoutes } from './favor.js'
import { payAccountOf, platformCertificateOf } from './keys.js'
import {
  checkAuthorization,
  generationOf,
  PayRefusal,
  type PayReply,
  type PayRequest,
  type PayRoute,
  seal,
  signatureHeaders,
  signingKeyFor,
  wireTime,
} from './merchant.js'
import { checkCouponSign, takeMerchantCoupon } from './merchant-coupons.js'

const COUPON_PAGE = '/busifavor/getcouponinfo'
const CouponPage = z.object({
  stock_id: z.string().min(1),
  out_request_no: z.string().min(1),
  send_coupon_merchant: z.string().min(1),
  open_id: z.string().min(1),
  coupon_code: z.string().min(1).optional(),
})

/** WeChat Pay's marketing API on its real paths, and the page on which customers take merchant coupons. */
export function payNeighbour(world: World, limits: boolean): Neighbour {
  const routes = [...favorRoutes(world), ...busifavorRoutes(world), certificateRoute(world)].map((route) => ({
    ...route,
    pattern: new RegExp(`^${route.path.replace(/:[a-z_]+/g, '([^/]+)')}$`),
  }))
  const windows = new Map<string, { startMs: number; calls: number }>()

  /** Counts a call; false beyond the limit of the window. */
  function take(route: PayRoute, now: Date): boolean {
    if (!limits || route.limit === undefined) return true
    const [calls, windowMs] = route.limit
    const startMs = Math.floor(now.getTime() / windowMs) * windowMs
    const key = `${route.method} ${route.path}`
    const window = windows.get(key)
    const n = window?.startMs === startMs ? window.calls + 1 : 1
    windows.set(key, { startMs, calls: n })
    return n <= calls
  }

  function handle(request: NeighbourRequest): PayReply {
    const body = request.body.toString('utf8')
    const authorization = headerOf(request, 'authorization')
    checkAuthorization(world, { ...request, now: stampOf(request), authorization })
    for (const route of routes) {
      const match = request.method === route.method ? route.pattern.exec(request.path) : null
      if (match === null) continue
      if (!take(route, request.now)) throw new PayRefusal(429, 'FREQUENCY_LIMITED', '频率超限')
      const call: PayRequest = {
        params: { ...Object.fromEntries(request.query), ...parseBody(body) },
        parts: match.slice(1).map((part) => decodeURIComponent(part)),
        body,
        origin: `http://${headerOf(request, 'host')}`,
        now: request.now,
      }
      return request.method === 'GET' ? route.handle(call) : world.write(() => route.handle(call))
    }
    throw new PayRefusal(404, 'RESOURCE_NOT_EXISTS', '接口不存在')
  }

  return {
    matches: (path) => path.startsWith('/v3/') || path === COUPON_PAGE,
    answer(request) {
      if (request.path === COUPON_PAGE) return couponPage(world, request)
      const { status, reply } = settle(() => handle(request))
      return respond(world, request, status, reply)
    },
  }
}

/** What a call answers, or why it is refused. */
function settle(work: () => PayReply): { status: number; reply: PayReply } {
  try {
    const reply = work()
    return { status: reply === undefined ? 204 : 200, reply }
  } catch (err) {
    const { status, code, message, detail } =
      err instanceof PayRefusal ? err : new PayRefusal(500, 'SYSTEM_ERROR', `系统错误: ${messageOf(err)}`)
    return { status, reply: { code, message, ...(detail && { detail }) } }
  }
}

/** With the platform's signature. */
function respond(
  world: World,
  request: NeighbourRequest,
  status: number,
  reply: PayReply,
): ReturnType<Neighbour['answer']> {
  if (typeof reply === 'string') {
    return { status, headers: { 'content-type': 'text/plain; charset=utf-8' }, body: Buffer.from(reply) }
  }
  const text = reply === undefined ? '' : JSON.stringify(reply)
  const requestId = hashKey(24, request.url, request.now.getTime(), text).toUpperCase()
  const key = signingKeyFor(world, headerOf(request, 'wechatpay-serial'))
  const headers = {
    ...(text !== '' && { 'content-type': 'application/json; charset=utf-8' }),
    'request-id': requestId,
    ...signatureHeaders(key, text, stampOf(request), requestId),
  }
  return { status, headers, body: Buffer.from(text) }
}

/** The certificate that signs now, and the one before it. */
function certificateRoute(world: World): PayRoute {
  return {
    method: 'GET',
    path: '/v3/certificates',
    handle: () => {
      const generation = generationOf(world)
      const generations = generation === 0 ? [0] : [generation, generation - 1]
      const data = generations.map((n) => {
        const { serial, pem, notBefore, notAfter } = platformCertificateOf(world.seed, n)
        return {
          serial_no: serial,
          effective_time: wireTime(notBefore.getTime()),
          expire_time: wireTime(notAfter.getTime()),
          encrypt_certificate: seal(world, pem, 'certificate', `certificate/${serial}`),
        }
      })
      return { data }
    },
  }
}

/** The customer opens the page, and has the coupon. */
function couponPage(world: World, { query, now }: NeighbourRequest): ReturnType<Neighbour['answer']> {
  const html = (status: number, text: string) => ({
    status,
    headers: { 'content-type': 'text/html; charset=utf-8' },
    body: Buffer.from(`<!doctype html><meta charset="utf-8"><title>领券</title><p>${text}</p>`),
  })
  const parsed = CouponPage.safeParse(Object.fromEntries(query))
  if (!parsed.success) return html(400, '参数错误')
  const fields = parsed.data
  try {
    checkCouponSign(world, dropUndefined(fields), query.get('sign') ?? '')
    const person = personOf(world, fields.open_id, now)
    if (person === undefined || fields.send_coupon_merchant !== payAccountOf(world.seed).mchId) {
      return html(400, 'openid与appid不匹配 272756757')
    }
    world.write(() => takeOnce(world, { ...fields, openid: person.openid, appid: person.appid, channel: 'H5' }, now))
    return html(200, '领取成功')
  } catch (err) {
    if (!(err instanceof PayRefusal)) throw err
    return html(400, err.message)
  }
}

type TakeRequest = {
  openid: string
  appid: string
  stock_id: string
  out_request_no: string
  coupon_code?: string | undefined
  channel: 'H5' | 'MINIAPP'
}

/** Taking again under the same number shows the coupon there is. @returns its code */
export function takeOnce(world: World, take: TakeRequest, now: Date): string {
  const before = world.state.get<{ coupon_id: string }>(
    'SELECT coupon_id FROM pay_coupon WHERE stock_id = ? AND request_no = ? AND openid = ?',
    take.stock_id,
    take.out_request_no,
    take.openid,
  )
  if (before !== undefined) return before.coupon_id
  return takeMerchantCoupon(
    world,
    { ...take, requestNo: take.out_request_no, ...(take.coupon_code !== undefined && { code: take.coupon_code }) },
    now,
  ).coupon_id
}

export function dropUndefined(fields: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(Object.entries(fields).filter((pair): pair is [string, string] => pair[1] !== undefined))
}

/** Clients hold timestamps against their own clock: beside a clock that runs faster, signatures carry real time. */
function stampOf({ now, speed }: NeighbourRequest): Date {
  return speed === 1 ? now : systemClock.now()
}

function headerOf({ headers }: NeighbourRequest, name: string): string {
  const value = headers[name]
  return Array.isArray(value) ? (value[0] ?? '') : (value ?? '')
}

function parseBody(body: string): Record<string, unknown> {
  if (body === '') return {}
  let data: unknown
  try {
    data = JSON.parse(body)
  } catch {
    data = undefined // refused below like any other body that is no object
  }
  if (data === null || typeof data !== 'object' || Array.isArray(data)) {
    throw new PayRefusal(400, 'PARAM_ERROR', '请求体不是合法的JSON')
  }
  return data as Record<string, unknown>
}
