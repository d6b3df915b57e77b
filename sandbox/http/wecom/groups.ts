import { z } from 'zod'
import { hashKey } from '../../../src/random.js'
import { SECOND_MS } from '../../../src/time.js'
import type { Chat, ChatMember, ChatStatus } from '../../world/chats.js'
import type { World } from '../../world/world.js'
import {
  type Call,
  type Endpoints,
  fromCursor,
  OptionalText,
  read,
  Refusal,
  type Reply,
  toCursor,
} from '../core/endpoint.js'
import { sees } from './visibility.js'

const LIST_MAX = 1_000
/** Page 92120: without a filter. */
const OWNERS_MAX = 1_000

export const OwnerFilter = z
  .object({
    userid_list: z
      .array(z.string())
      .max(100)
      .nullish()
      .transform((ids) => ids ?? []),
  })
  .nullish()
  .transform((filter) => filter?.userid_list ?? [])

/** Customer groups (pages 92120, 92122, 94822). */
export function groupEndpoints(world: World): Endpoints {
  return {
    '/cgi-bin/externalcontact/groupchat/list': {
      empty: { group_chat_list: [] },
      handle: (call) => listGroupchat(world, call),
    },
    '/cgi-bin/externalcontact/groupchat/get': { handle: (call) => getGroupchat(world, call) },
    '/cgi-bin/externalcontact/opengid_to_chatid': { handle: (call) => opengidToChatid(world, call) },
  }
}

function listGroupchat(world: World, call: Call): Reply {
  const Body = z.object({
    status_filter: z.int().min(0).max(3).default(0),
    owner_filter: OwnerFilter,
    cursor: OptionalText,
    limit: z.int().min(1).max(LIST_MAX),
  })
  const { status_filter: status, owner_filter: named, cursor, limit } = read(Body, call.params)
  const after = fromCursor(cursor, z.tuple([z.literal('groups'), z.string()]))?.[1]
  const rows = world.chats.list({
    owners: ownersFor(world, call, named),
    ...(status !== 0 && { status: status as ChatStatus }),
    ...(after !== undefined && { after }),
    limit: limit + 1,
  })
  const page = rows.slice(0, limit)
  return {
    group_chat_list: page.map((chat) => ({ chat_id: chat.chatId, status: chat.status })),
    next_cursor: rows.length > limit ? toCursor('groups', page.at(-1)!.chatId) : '',
  }
}

function getGroupchat(world: World, { params, app }: Call): Reply {
  const { chat_id: id, need_name: named } = read(
    z.object({ chat_id: z.string().min(1), need_name: z.int().default(0) }),
    params,
  )
  const chat = world.chats.get(id)
  if (chat === undefined) throw new Refusal(90501, 'chat is not external group chat')
  if (chat.dismissedAt !== undefined) throw new Refusal(49008, 'group chat dismissed')
  if (!sees(world, app, chat.owner) && world.member(chat.owner) !== undefined)
    throw new Refusal(60011, 'no privilege to access/modify contact/party/agent')
  return { group_chat: toGroup(world, chat, named === 1) }
}

function opengidToChatid(world: World, { params }: Call): Reply {
  const { opengid } = read(z.object({ opengid: z.string().min(1) }), params)
  for (const chat of allChats(world)) if (openGidOf(world, chat.chatId) === opengid) return { chat_id: chat.chatId }
  throw new Refusal(90511, 'invalid opengid')
}

function toGroup(world: World, chat: Chat, named: boolean): Record<string, unknown> {
  const members = world.chats.members(chat.chatId)
  return {
    chat_id: chat.chatId,
    name: chat.name,
    owner: chat.owner,
    create_time: seconds(chat.createdAt),
    notice: chat.notice,
    member_list: members.map((m) => toMember(world, m, named)),
    admin_list: members.filter((m) => m.isAdmin).map((m) => ({ userid: m.id })),
    member_version: chat.memberVersion,
  }
}

function toMember(world: World, m: ChatMember, named: boolean): Record<string, unknown> {
  const person =
    m.type === 1
      ? { name: world.staff.find(m.id)?.name ?? m.id, union_id: null }
      : world.state.get<{ name: string; union_id: string | null }>(
          'SELECT name, union_id FROM contact WHERE external_user_id = ?',
          m.id,
        )
  return {
    userid: m.id,
    type: m.type,
    ...(person?.union_id != null && { unionid: person.union_id }),
    join_time: seconds(m.joinedAt),
    join_scene: m.joinScene,
    ...(m.invitor !== undefined && { invitor: { userid: m.invitor } }),
    group_nickname: m.nickname,
    ...(named && { name: person?.name ?? m.nickname }),
    ...(m.state !== undefined && { state: m.state }),
  }
}

/**
 * Whose groups a question is about: those named, or all that the app sees. Members who have left must be named.
 * @throws {Refusal} 81017 more than 1,000 owners without a filter
 */
export function ownersFor(world: World, { app }: Pick<Call, 'app'>, named: readonly string[]): string[] {
  if (named.length > 0) {
    return named.map((id) => {
      const member = world.staff.find(id)
      if (member === undefined) throw new Refusal(40003, 'invalid userid')
      if (!sees(world, app, member.userId) && world.member(id) !== undefined)
        throw new Refusal(60011, 'no privilege to access/modify contact/party/agent')
      return member.userId
    })
  }
  const owners = world.staff.employed.map((m) => m.userId).filter((id) => sees(world, app, id))
  if (owners.length > OWNERS_MAX) throw new Refusal(81017, 'request count exceed limit')
  return owners
}

/** The id under which a mini program opened in the group knows it. */
export function openGidOf(world: World, chatId: string): string {
  return `tG${hashKey(26, world.seed, 'opengid', chatId)}`
}

/** Every group that was not dismissed. */
export function* allChats(world: World): Iterable<Chat> {
  for (let after: string | undefined; ;) {
    const page = world.chats.list({ ...(after !== undefined && { after }), limit: LIST_MAX })
    yield* page
    after = page.at(-1)?.chatId
    if (after === undefined) return
  }
}

function seconds(at: Date): number {
  return Math.floor(at.getTime() / SECOND_MS)
}
