import { z } from 'zod'
import { intOf } from '../../../src/random.js'
import { HOUR_MS, SECOND_MS } from '../../../src/time.js'
import type { World } from '../../world/world.js'
import { type Call, type Endpoints, OptionalText, read, Refusal, type Reply } from '../core/endpoint.js'

/** Page 91774. */
const MAX_PAIRS = 100

/** Texts as they are on the wire, with the platform's spelling: `exteranalopenid` carries an external_userid. */
type Agreement = {
  status_change_time: number
  exteranalopenid: string
  agree_status: 'Agree' | 'Disagree' | 'Default_Agree'
}

const PATH = '/cgi-bin/msgaudit'

/**
 * Who is archived and who agreed to it (会话内容存档, page 91774). Only apps that the scenario gives the archive may ask;
 * the real platform wants the archive's own secret. Messages themselves come through a native library, not over HTTP.
 */
export function archiveEndpoints(world: World): Endpoints {
  return {
    [`${PATH}/get_permit_user_list`]: { empty: { ids: [] }, handle: (call) => getPermitUserList(world, call) },
    [`${PATH}/check_single_agree`]: { empty: { agreeinfo: [] }, handle: (call) => checkSingleAgree(world, call) },
    [`${PATH}/check_room_agree`]: { empty: { agreeinfo: [] }, handle: (call) => checkRoomAgree(world, call) },
    [`${PATH}/groupchat/get`]: { handle: (call) => getGroupchat(world, call) },
  }
}

function getPermitUserList(world: World, { params }: Call): Reply {
  checkEnabled(world)
  const { type } = read(z.object({ type: z.int().min(1).max(3).optional() }), params)
  const known = permitted(world, type).flatMap((m) => world.member(m.userId)?.userId ?? [])
  return { ids: [...new Set(known)].sort() }
}

function checkSingleAgree(world: World, { params }: Call): Reply {
  checkEnabled(world)
  const { info } = read(
    z.object({ info: z.array(z.object({ userid: z.string(), exteranalopenid: z.string() })).min(1) }),
    params,
  )
  if (info.length > MAX_PAIRS) throw new Refusal(301060, 'info size out of limit')
  return {
    agreeinfo: info.map(({ userid, exteranalopenid }) => {
      const userId = permittedMember(world, userid)
      if (world.relations.status(userId, exteranalopenid) === undefined)
        throw new Refusal(301061, 'external user not found')
      return { userid: userId, ...agreementOf(world, exteranalopenid, relationMs(world, userId, exteranalopenid)) }
    }),
  }
}

function checkRoomAgree(world: World, { params }: Call): Reply {
  checkEnabled(world)
  const { roomid } = read(z.object({ roomid: OptionalText }), params)
  const chat = roomid === undefined ? undefined : world.chats.get(roomid)
  if (chat === undefined) throw new Refusal(301059, 'invalid roomid')
  const customers = world.chats.members(chat.chatId).filter((m) => m.type === 2)
  return { agreeinfo: customers.map((m) => agreementOf(world, m.id, m.joinedAt.getTime())) }
}

function getGroupchat(world: World, { params }: Call): Reply {
  checkEnabled(world)
  const { roomid } = read(z.object({ roomid: OptionalText }), params)
  const chat = roomid === undefined ? undefined : world.chats.get(roomid)
  const members = chat === undefined ? [] : world.chats.members(chat.chatId)
  // Only groups without customers.
  if (chat === undefined || members.some((m) => m.type === 2)) throw new Refusal(301059, 'invalid roomid')
  return {
    roomname: chat.name,
    creator: chat.owner,
    room_create_time: Math.floor(chat.createdAt.getTime() / SECOND_MS),
    notice: chat.notice,
    members: members.map((m) => ({ memberid: m.id, jointime: Math.floor(m.joinedAt.getTime() / SECOND_MS) })),
  }
}

function permitted(world: World, type?: number) {
  return world.scenario.archive.members.filter((m) => type === undefined || m.edition === type)
}

function checkEnabled(world: World): void {
  if (world.scenario.archive.members.length === 0) throw new Refusal(301053, 'msgaudit is not enabled')
}

function permittedMember(world: World, userId: string): string {
  const member = world.member(userId)
  if (member === undefined) throw new Refusal(301061, 'user not found')
  if (!world.scenario.archive.members.some((m) => m.userId.toLowerCase() === userId.toLowerCase()))
    throw new Refusal(301061, 'user has no archive licence')
  return member.userId
}

function relationMs(world: World, userId: string, externalUserId: string): number {
  return world.relations.get(userId, externalUserId)!.createdAt.getTime()
}

/** A customer answers within a day of the first chat, the same to everybody. */
function agreementOf(world: World, externalUserId: string, sinceMs: number): Agreement {
  const share = intOf(100, world.seed, 'archive', externalUserId)
  const { agreeRatio, disagreeRatio } = world.scenario.archive
  const status =
    share < agreeRatio * 100 ? 'Agree' : share < (agreeRatio + disagreeRatio) * 100 ? 'Disagree' : 'Default_Agree'
  const answeredMs = sinceMs + intOf(24 * HOUR_MS, world.seed, 'archive-at', externalUserId)
  return {
    status_change_time: Math.floor(answeredMs / SECOND_MS),
    exteranalopenid: externalUserId,
    agree_status: status,
  }
}
