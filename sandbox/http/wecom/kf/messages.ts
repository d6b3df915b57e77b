import { z } from 'zod'
import { DAY_MS, SECOND_MS } from '../../../../src/time.js'
import type { World } from '../../../world/world.js'
import {
  type Call,
  type Endpoints,
  fromCursor,
  OptionalText,
  read,
  Refusal,
  type Reply,
  toCursor,
} from '../../core/endpoint.js'
import { countWithin } from '../../core/quota.js'
import { checkKfMessage } from './message-body.js'
import {
  AccountId,
  accountOf,
  isToken,
  KF_PATH,
  openKf,
  SEND_WINDOW_MS,
  type ServiceState,
  type Session,
  sessionOf,
} from './store.js'

/** Pages 94677, 94670. */
const MAX_SENT_PER_TURN = 5
const KEPT_MS = 3 * DAY_MS
const PAGE_MAX = 1_000
/** "Strictly limited"; the platform does not say how much. */
const SYNCS_WITHOUT_TOKEN = { name: 'kf_sync_without_token', per: 'minute', most: 10 } as const
/** Who chats with a bot or with nobody yet can be written to through the API. */
const SENDABLE: readonly ServiceState[] = [0, 1]

/** Messages both ways: sent by the app, and fetched with the events. */
export function kfMessageEndpoints(world: World, limits: boolean): Endpoints {
  return {
    [`${KF_PATH}/send_msg`]: { writes: true, handle: (call) => sendMsg(world, call) },
    [`${KF_PATH}/send_msg_on_event`]: { writes: true, handle: (call) => sendMsgOnEvent(world, call) },
    [`${KF_PATH}/sync_msg`]: {
      writes: true,
      empty: { next_cursor: '', has_more: 0, msg_list: [] },
      handle: (call) => syncMsg(world, limits, call),
    },
  }
}

function sendMsg(world: World, { params, now }: Call): Reply {
  const kf = openKf(world)
  const Body = z.object({
    ...AccountId,
    touser: OptionalText,
    msgid: OptionalText,
    msgtype: z.string().default(''),
  })
  const { open_kfid, touser, msgid, msgtype } = read(Body, params)
  const { key, session } = sessionOf(kf, open_kfid, touser)
  if (session.state === 4) throw new Refusal(95013, 'session has ended')
  if (!SENDABLE.includes(session.state)) throw new Refusal(95018, 'send msg session status invalid')
  if (session.writtenMs === undefined || now.getTime() > session.writtenMs + SEND_WINDOW_MS)
    throw new Refusal(95002, 'send msg time limit')
  if (session.sent >= MAX_SENT_PER_TURN) throw new Refusal(95001, 'send msg count limit')
  const body = checkKfMessage(world, msgtype, params, now)
  const id = putSent(world, session, msgid, msgtype, body, now)
  kf.sessions.put(key, { ...session, sent: session.sent + 1 })
  return { msgid: id }
}

function sendMsgOnEvent(world: World, { params, now }: Call): Reply {
  const kf = openKf(world)
  const Body = z.object({ code: OptionalText, msgid: OptionalText, msgtype: z.string().default('') })
  const { code: id, msgid, msgtype } = read(Body, params)
  const code = id === undefined ? undefined : kf.codes.get(id)
  if (id === undefined || code === undefined || code.used || now.getTime() > code.expiresMs)
    throw new Refusal(95007, 'invalid msg token')
  if (msgtype !== 'text' && msgtype !== 'msgmenu') throw new Refusal(40008, 'invalid message type')
  const body = checkKfMessage(world, msgtype, params, now)
  const session = kf.sessions.get(code.session)!
  kf.codes.put(id, { ...code, used: true })
  return { msgid: putSent(world, session, msgid, msgtype, body, now) }
}

function syncMsg(world: World, limits: boolean, { params, now }: Call): Reply {
  const kf = openKf(world)
  const Body = z.object({
    cursor: OptionalText,
    token: OptionalText,
    limit: z.int().min(1).max(PAGE_MAX).default(PAGE_MAX),
    voice_format: z.int().min(0).max(1).default(0),
    ...AccountId,
  })
  const { cursor, token, limit, open_kfid } = read(Body, params)
  if (token === undefined && limits && !countWithin(world.state, SYNCS_WITHOUT_TOKEN, now))
    throw new Refusal(45009, 'api freq out of limit')
  if (token !== undefined && !isToken(world, token, now)) throw new Refusal(95007, 'invalid msg token')
  const only = open_kfid === undefined ? undefined : accountOf(kf, open_kfid).id
  const after = fromCursor(cursor, z.tuple([z.literal('kf'), z.int()]))?.[1] ?? 0
  const found = kf.items.list(after).filter(({ body }) => body.atMs > now.getTime() - KEPT_MS)
  const wanted = found.filter(({ body }) => only === undefined || body.open_kfid === only)
  const page = wanted.slice(0, limit)
  return {
    next_cursor: toCursor('kf', page.at(-1)?.seq ?? after),
    has_more: wanted.length > limit ? 1 : 0,
    msg_list: page.map(({ body: { atMs, ...item } }) => ({ ...item, send_time: Math.floor(atMs / SECOND_MS) })),
  }
}

/** @throws {Refusal} 40058 when the account has used that msgid before */
function putSent(
  world: World,
  session: Session,
  given: string | undefined,
  msgtype: string,
  body: unknown,
  now: Date,
): string {
  const kf = openKf(world)
  if (given !== undefined && !/^[0-9a-zA-Z_-]{1,32}$/.test(given))
    throw new Refusal(40058, 'msgid invalid. invalid Request Parameter')
  const { openKfId, externalUserId } = session
  const id = given ?? kf.sent.newId('', 32)
  const key = `${openKfId}/${id}`
  if (kf.sent.get(key) !== undefined) throw new Refusal(40058, 'msgid already exists. invalid Request Parameter')
  kf.sent.put(key, { openKfId, externalUserId, at: now.toISOString(), msgtype, body })
  return id
}
