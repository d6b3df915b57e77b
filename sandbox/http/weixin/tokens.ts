import { z } from 'zod'
import { hashKey } from '../../../src/random.js'
import { HOUR_MS, MINUTE_MS, SECOND_MS } from '../../../src/time.js'
import type { World } from '../../world/world.js'
import { Refusal } from '../core/endpoint.js'
import { weixinAccountsOf } from './people.js'

/** By it a request to a path that WeCom has too is known to be ours. */
export const TOKEN_PREFIX = 'sandbox-weixin-'

const TOKEN_MS = 2 * HOUR_MS
/** The old token lives on so long; and a stable one is exchanged so long before its end. */
const OVERLAP_MS = 5 * MINUTE_MS
const FORCE_PAUSE_MS = 30 * SECOND_MS
const FORCES_A_DAY = 20

type Api = 'token' | 'stable_token'
/** The two APIs have token spaces of their own; neither ends the other's. */
type Slot = {
  n: number
  token: string
  expiresMs: number
  before?: { token: string; expiresMs: number }
  forcedMs: number
  /** Forced on this day. */
  day: string
  forced: number
}
const Credentials = z.looseObject({
  grant_type: z.string().optional(),
  appid: z.string().optional(),
  secret: z.string().optional(),
  force_refresh: z.boolean().default(false),
})

/** The appid and secret of a request. @throws {Refusal} 41002, 40013, 41004, 40125 */
export function accountOf(world: World, given: { appid?: string | undefined; secret?: string | undefined }): string {
  if (given.appid === undefined) throw new Refusal(41002, 'appid missing')
  const account = Object.values(weixinAccountsOf(world.seed)).find((a) => a.appId === given.appid)
  if (account === undefined) throw new Refusal(40013, 'invalid appid')
  if (given.secret === undefined) throw new Refusal(41004, 'appsecret missing')
  if (given.secret !== account.secret) throw new Refusal(40125, 'invalid appsecret')
  return account.appId
}

export function issueToken(
  world: World,
  api: Api,
  params: Record<string, unknown>,
  { now, speed }: { now: Date; speed: number },
): Record<string, unknown> {
  const given = Credentials.parse(params)
  if (given.grant_type !== 'client_credential') throw new Refusal(40002, 'invalid grant_type')
  const appId = accountOf(world, given)
  const nowMs = now.getTime()
  const slot = readSlot(world, appId, api)
  const isFresh = slot !== undefined && nowMs < slot.expiresMs - OVERLAP_MS
  const force = api === 'stable_token' && given.force_refresh
  if (force) checkForce(slot, now)
  let current = slot
  if (api === 'token' || !isFresh || force) {
    const n = (slot?.n ?? 0) + 1
    const day = now.toISOString().slice(0, 10)
    current = {
      n,
      token: `${TOKEN_PREFIX}${hashKey(64, world.seed, 'weixin-token', appId, api, n)}`,
      expiresMs: nowMs + TOKEN_MS,
      // Forcing ends the old token at once.
      ...(slot !== undefined &&
        !force && { before: { token: slot.token, expiresMs: Math.min(slot.expiresMs, nowMs + OVERLAP_MS) } }),
      forcedMs: force ? nowMs : (slot?.forcedMs ?? 0),
      day,
      forced: (slot?.day === day ? slot.forced : 0) + (force ? 1 : 0),
    }
    world.state.setMeta(slotKey(appId, api), JSON.stringify(current))
  }
  return {
    access_token: current!.token,
    expires_in: Math.max(1, Math.floor((current!.expiresMs - nowMs) / SECOND_MS / speed)),
  }
}

/** Whose token it is. @throws {Refusal} 41001, 40001, 42001 */
export function appOf(world: World, token: string | undefined, now: Date): string {
  if (token === undefined || token === '') throw new Refusal(41001, 'access_token missing')
  for (const { appId } of Object.values(weixinAccountsOf(world.seed))) {
    for (const api of ['token', 'stable_token'] as const) {
      const slot = readSlot(world, appId, api)
      const found = [slot, slot?.before].find((one) => one?.token === token)
      if (found === undefined) continue
      if (now.getTime() >= found.expiresMs) throw new Refusal(42001, 'access_token expired')
      return appId
    }
  }
  throw new Refusal(40001, 'invalid credential, access_token is invalid or not latest')
}

function checkForce(slot: Slot | undefined, now: Date): void {
  if (slot === undefined) return
  const isToday = slot.day === now.toISOString().slice(0, 10)
  if (now.getTime() - slot.forcedMs < FORCE_PAUSE_MS || (isToday && slot.forced >= FORCES_A_DAY)) {
    throw new Refusal(45009, 'reach max api daily quota limit')
  }
}

function slotKey(appId: string, api: Api): string {
  return `weixin_${api}_${appId}`
}

function readSlot(world: World, appId: string, api: Api): Slot | undefined {
  const text = world.state.meta(slotKey(appId, api))
  return text === undefined ? undefined : (JSON.parse(text) as Slot)
}
