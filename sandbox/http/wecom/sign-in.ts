import { z } from 'zod'
import { hashKey } from '../../../src/random.js'
import { HOUR_MS, MINUTE_MS, SECOND_MS } from '../../../src/time.js'
import type { App } from '../../identity.js'
import { type Objects, openObjects } from '../../objects.js'
import type { World } from '../../world/world.js'
import { type Call, type Endpoints, OptionalText, read, Refusal, type Reply } from '../core/endpoint.js'
import { privateDataOf } from './members.js'
import { sees } from './visibility.js'

/** Pages 91023 and 95833. */
const CODE_MS = 5 * MINUTE_MS
const TICKET_MS = 30 * MINUTE_MS
/** Page 90506. */
const JS_TICKET_MS = 2 * HOUR_MS

/** Who comes to one of the app's pages, and whether she let it see her private data. */
export type Visit = { userId: string; privateInfo: boolean } | { openId: string; externalUserId?: string }
type Code = { agentId: number; visit: Visit; expiresMs: number; used: boolean }
type UserTicket = { agentId: number; userId: string; expiresMs: number }
type JsTicket = { ticket: string; expiresMs: number }

/** Sign-in (pages 91022, 91023, 95833) and the tickets of JS-SDK signatures (page 90506). */
export function signInEndpoints(world: World): Endpoints {
  return {
    '/cgi-bin/auth/getuserinfo': { writes: true, unlimited: true, handle: (call) => getUserInfo(world, call) },
    // The old form, which clients still use, in its own spelling.
    '/cgi-bin/user/getuserinfo': { writes: true, unlimited: true, handle: (call) => getUserInfoOld(world, call) },
    '/cgi-bin/auth/getuserdetail': { handle: (call) => getuserdetail(world, call) },
    '/cgi-bin/get_jsapi_ticket': { writes: true, handle: (call) => jsTicket(world, 'corp', call) },
    '/cgi-bin/ticket/get': { writes: true, handle: (call) => getTicket(world, call) },
  }
}

function userTicketsOf({ state, seed }: World): Objects<UserTicket> {
  return openObjects<UserTicket>(state, seed, 'user_ticket')
}

function jsTicketsOf({ state, seed }: World): Objects<JsTicket> {
  return openObjects<JsTicket>(state, seed, 'js_ticket')
}

function getUserInfo(world: World, call: Call): Reply {
  const visit = redeem(world, call)
  if ('openId' in visit) {
    return { openid: visit.openId, ...(visit.externalUserId && { external_userid: visit.externalUserId }) }
  }
  const ticket = visit.privateInfo && sees(world, call.app, visit.userId)
  return { userid: visit.userId, ...(ticket && { user_ticket: giveTicket(world, visit.userId, call) }) }
}

function getUserInfoOld(world: World, call: Call): Reply {
  const visit = redeem(world, call)
  if ('openId' in visit) {
    return {
      OpenId: visit.openId,
      DeviceId: '',
      ...(visit.externalUserId && { external_userid: visit.externalUserId }),
    }
  }
  return { UserId: visit.userId, DeviceId: '' }
}

function getuserdetail(world: World, { params, app, now }: Call): Reply {
  const userTickets = userTicketsOf(world)
  const { user_ticket: ticket } = read(z.object({ user_ticket: OptionalText }), params)
  const found = ticket === undefined ? undefined : userTickets.get(ticket)
  if (found?.agentId !== app.agentId) throw new Refusal(84015, 'invalid user ticket')
  if (found.expiresMs <= now.getTime()) throw new Refusal(84014, 'user ticket expired')
  const { userId } = found
  return {
    userid: userId,
    gender: '0',
    avatar: 'http://wx.qlogo.cn/mmhead/sandbox/0',
    qr_code: `https://open.work.weixin.qq.com/wwopen/userQRCode?vcode=sandbox${hashKey(10, world.seed, 'vcode', userId)}`,
    ...privateDataOf(world, userId),
    address: '',
  }
}

function getTicket(world: World, call: Call): Reply {
  const { type } = read(z.object({ type: OptionalText }), call.params)
  if (type !== 'agent_config') throw new Refusal(91040, 'invalid ticket type')
  return jsTicket(world, `agent ${call.app.agentId}`, call)
}

/** Who has the code, which is then used up. */
function redeem(world: World, { params, app, now }: Call): Visit {
  const codes = codesOf(world)
  const { code } = read(z.object({ code: OptionalText }), params)
  if (code === undefined) throw new Refusal(41008, 'missing code')
  const found = codes.get(code)
  if (found?.agentId !== app.agentId) throw new Refusal(40029, 'invalid code')
  if (found.used) throw new Refusal(42022, 'code used')
  if (found.expiresMs <= now.getTime()) throw new Refusal(42003, 'code expired')
  codes.put(code, { ...found, used: true })
  return found.visit
}

/** The same ticket until it expires, as for tokens. */
function jsTicket(world: World, name: string, { now, speed }: Call): Record<string, unknown> {
  const jsTickets = jsTicketsOf(world)
  const kept = jsTickets.get(name)
  const isLive = kept !== undefined && kept.expiresMs > now.getTime()
  const ticket = isLive
    ? kept
    : { ticket: hashKey(64, world.seed, 'js-ticket', name, now.getTime()), expiresMs: now.getTime() + JS_TICKET_MS }
  if (!isLive) jsTickets.put(name, ticket)
  return { ticket: ticket.ticket, expires_in: Math.ceil((ticket.expiresMs - now.getTime()) / SECOND_MS / speed) }
}

function giveTicket(world: World, userId: string, { app, now }: Call): string {
  const userTickets = userTicketsOf(world)
  const ticket = userTickets.newId('USERTICKET', 48)
  userTickets.put(ticket, { agentId: app.agentId, userId, expiresMs: now.getTime() + TICKET_MS })
  return ticket
}

/** A code as the browser brings it back from the sign-in page; works once, within 5 minutes. Inside a transaction. */
export function issueCode(world: World, app: App, visit: Visit, now: Date): string {
  const code = codesOf(world).newId('CODE', 40)
  codesOf(world).put(code, { agentId: app.agentId, visit, expiresMs: now.getTime() + CODE_MS, used: false })
  return code
}

function codesOf({ state, seed }: World): Objects<Code> {
  return openObjects<Code>(state, seed, 'oauth_code')
}
