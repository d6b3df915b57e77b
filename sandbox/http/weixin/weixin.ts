import { messageOf } from '../../../src/errors.js'
import { hashKey } from '../../../src/random.js'
import { DAY_MS, MINUTE_MS } from '../../../src/time.js'
import type { World } from '../../world/world.js'
import { type Neighbour, type NeighbourRequest, Refusal } from '../core/endpoint.js'
import { followerRoutes } from './followers.js'
import { messageRoutes } from './messages.js'
import { miniProgramRoutes } from './mini-program.js'
import { weixinAccountsOf } from './people.js'
import type { Call, Reply, Route, Routes } from './route.js'
import { appOf, issueToken, TOKEN_PREFIX } from './tokens.js'

/** The official account and the mini program on their real paths. */
export function weixinNeighbour(world: World, limits: boolean): Neighbour {
  const routes = new Map(Object.entries(weixinRoutes(world)))
  const windows = new Map<string, { startMs: number; calls: number }>()

  function checkLimit(path: string, { limit }: Route, { appId, params, now }: Call): void {
    if (!limits || limit === undefined) return
    const key = [limit.shared ?? path, appId, limit.per?.(params) ?? ''].join(' ')
    const startMs = Math.floor(now.getTime() / limit.windowMs) * limit.windowMs
    const window = windows.get(key)
    const calls = window?.startMs === startMs ? window.calls + 1 : 1
    windows.set(key, { startMs, calls })
    if (calls > limit.calls) throw new Refusal(limit.errcode, 'reach max api quota limit')
  }

  function handle({ path, query, body, now, speed }: NeighbourRequest): Reply {
    const route = routes.get(path)
    if (route === undefined) throw new Refusal(40066, 'invalid url')
    const params = { ...Object.fromEntries(query), ...parseBody(body) }
    const appId = route.token === false ? '' : appOf(world, query.get('access_token') ?? undefined, now)
    if (route.only !== undefined && appId !== weixinAccountsOf(world.seed)[route.only].appId) {
      throw new Refusal(48001, 'api unauthorized')
    }
    const call = { params, appId, now, speed }
    checkLimit(path, route, call)
    return world.write(() => route.handle(call))
  }

  return {
    matches: (path, query) =>
      path === '/cgi-bin/token' ||
      path === '/cgi-bin/stable_token' ||
      path.startsWith('/sns/') ||
      path.startsWith('/wxa/') ||
      (path.startsWith('/cgi-bin/') && (query.get('access_token') ?? '').startsWith(TOKEN_PREFIX)),
    answer(request) {
      let reply: Reply
      try {
        reply = handle(request)
      } catch (err) {
        const refusal = err instanceof Refusal ? err : new Refusal(-1, `system error: ${messageOf(err)}`)
        const rid = hashKey(24, request.url, request.now.getTime())
        reply = { errcode: refusal.errcode, errmsg: `${refusal.message} rid: ${rid}` }
      }
      const body = Buffer.from(JSON.stringify(reply))
      return { status: 200, headers: { 'content-type': 'application/json; encoding=utf-8' }, body }
    },
  }
}

function weixinRoutes(world: World): Routes {
  return {
    '/cgi-bin/token': {
      token: false,
      limit: { calls: 2_000, windowMs: DAY_MS, errcode: 45009 },
      handle: (call) => issueToken(world, 'token', call.params, call),
    },
    '/cgi-bin/stable_token': {
      token: false,
      limit: { calls: 10_000, windowMs: MINUTE_MS, errcode: 45009 },
      handle: (call) => issueToken(world, 'stable_token', call.params, call),
    },
    ...followerRoutes(world),
    ...messageRoutes(world),
    ...miniProgramRoutes(world),
  }
}

function parseBody(body: Buffer): Record<string, unknown> {
  if (body.length === 0) return {}
  let data: unknown
  try {
    data = JSON.parse(body.toString('utf8'))
  } catch {
    data = undefined // refused below like any other body that is no object
  }
  if (data === null || typeof data !== 'object' || Array.isArray(data)) throw new Refusal(47001, 'data format error')
  return data as Record<string, unknown>
}
