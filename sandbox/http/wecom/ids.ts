import { z } from 'zod'
import { hashKey } from '../../../src/random.js'
import { DAY_MS } from '../../../src/time.js'
import { type Objects, openObjects } from '../../objects.js'
import type { World } from '../../world/world.js'
import { type Call, type Endpoints, OptionalText, read, Refusal, type Reply } from '../core/endpoint.js'
import { sees } from './visibility.js'
import { personByContact, personOf, weixinAccountsOf } from '../weixin/people.js'

/** Pages 95900 and 97357. */
const PENDING_ID_MS = 90 * DAY_MS
const PENDING_BATCH_MAX = 100

type Pending = { pendingId: string; expiresMs: number }

/**
 * Id conversion. The mini program and the official account of the sandbox belong to the company itself, so only
 * `subject_type` 0 matches; a self-built app is refused what is made for providers (48002).
 */
export function idEndpoints(world: World): Endpoints {
  return {
    '/cgi-bin/externalcontact/convert_to_openid': { writes: true, handle: (call) => convertToOpenid(world, call) },
    '/cgi-bin/externalcontact/unionid_to_external_userid': {
      writes: true,
      handle: (call) => unionidToExternalUserid(world, call),
    },
    '/cgi-bin/idconvert/unionid_to_external_userid': { writes: true, handle: (call) => convertUnionId(world, call) },
    '/cgi-bin/idconvert/batch/external_userid_to_pending_id': {
      handle: (call) => externalUseridToPendingId(world, call),
    },
  }
}

function pendingOf({ state, seed }: World): Objects<Pending> {
  return openObjects<Pending>(state, seed, 'pending_id')
}

function convertToOpenid(world: World, { params, now }: Call): Reply {
  const { external_userid: id } = read(z.object({ external_userid: OptionalText }), params)
  if (id === undefined) throw new Refusal(41035, 'missing external userid')
  const appId = weixinAccountsOf(world.seed).officialAccount.appId
  const person = id.startsWith('wo') ? undefined : personByContact(world, appId, id, now)
  if (person === undefined) throw new Refusal(40096, 'invalid external userid')
  return { openid: person.openid }
}

function unionidToExternalUserid(world: World, call: Call): Reply {
  checkKind(call)
  const id = match(world, call, 0)
  if (!isCustomer(world, id, call)) throw new Refusal(84024, 'no register info')
  return { external_userid: id }
}

function convertUnionId(world: World, call: Call): Reply {
  checkKind(call)
  const { subject_type: subject } = read(z.object({ subject_type: z.int().min(0).max(1) }), call.params)
  const id = match(world, call, subject)
  return isCustomer(world, id, call) ? { external_userid: id } : { pending_id: pendingIdOf(world, id, call.now) }
}

function externalUseridToPendingId(world: World, call: Call): Reply {
  const pending = pendingOf(world)
  checkKind(call)
  const Body = z.object({
    external_userid: z.array(z.string()).min(1).max(PENDING_BATCH_MAX),
    chat_id: OptionalText,
  })
  const { external_userid: ids, chat_id: chatId } = read(Body, call.params)
  const inGroup = chatId === undefined ? undefined : peopleOf(world, chatId, call)
  const known = ids.filter((id) => (inGroup === undefined ? isCustomer(world, id, call) : inGroup.has(id)))
  return {
    result: known.flatMap((id) => {
      const found = pending.get(id)
      const isLive = found !== undefined && found.expiresMs > call.now.getTime()
      return isLive ? [{ external_userid: id, pending_id: found.pendingId }] : []
    }),
  }
}

function checkKind({ app }: Call) {
  if (app.kind !== 'agency' && app.kind !== 'third_party') throw new Refusal(48002, 'api forbidden')
}

/** Whether a member the app sees has the customer. */
function isCustomer(world: World, externalUserId: string, { app }: Call): boolean {
  return world.state
    .all<{ user_id: string }>(
      `SELECT user_id FROM relation WHERE external_user_id = ? AND status IN ('active', 'customer_deleted')`,
      externalUserId,
    )
    .some((row) => sees(world, app, row.user_id))
}

function match(world: World, call: Call, subject: number): string {
  const { unionid, openid } = read(z.object({ unionid: OptionalText, openid: OptionalText }), call.params)
  if (unionid === undefined) throw new Refusal(610014, 'invalid unionid')
  const person = openid === undefined ? undefined : personOf(world, openid, call.now)
  if (person === undefined) throw new Refusal(845001, 'invalid openid')
  if (subject !== 0) throw new Refusal(845002, 'openid subject mismatch')
  if (person.unionid !== unionid) throw new Refusal(610018, 'openid and unionid mismatch')
  return person.external_user_id
}

/** The same one until it expires. */
function pendingIdOf(world: World, externalUserId: string, now: Date): string {
  const pending = pendingOf(world)
  const found = pending.get(externalUserId)
  if (found !== undefined && found.expiresMs > now.getTime()) return found.pendingId
  const pendingId = hashKey(32, world.seed, 'pending', externalUserId, now.getTime())
  pending.put(externalUserId, { pendingId, expiresMs: now.getTime() + PENDING_ID_MS })
  return pendingId
}

function peopleOf(world: World, chatId: string, { app }: Call): Set<string> {
  const chat = world.chats.get(chatId)
  if (chat === undefined || !sees(world, app, chat.owner)) throw new Refusal(90501, 'chat is not external group chat')
  return new Set(world.chats.members(chatId).map((m) => m.id))
}
