import { z } from 'zod'
import type { App } from '../../identity.js'
import { type Objects, openObjects } from '../../objects.js'
import type { World } from '../../world/world.js'
import { type Call, type Endpoints, OptionalText, read, Refusal, type Reply } from '../core/endpoint.js'
import { checkChatMessage } from './messages.js'
import { countWithin, takeQuota } from '../core/quota.js'

/** Page 90244: an app's own groups of members. */
const MEMBERS = { least: 2, most: 2_000 }
const MAX_NAME_CHARS = 50
/** Page 90454: person-times of all app groups of the company, and what one member gets before the rest is dropped. */
const SENT = [
  { name: 'appchat_send', per: 'minute', most: 20_000 },
  { name: 'appchat_send', per: 'hour', most: 300_000 },
] as const
const RECEIVED = [
  { per: 'minute', most: 200 },
  { per: 'day', most: 10_000 },
] as const

type AppChat = { agentId: number; name: string; owner: string; userlist: string[] }
/** A message in an app's group: who got it, after the silent drops. */
export type AppChatMessage = { chatId: string; at: string; msgtype: string; body: unknown; to: string[] }

/** Groups that an app makes and speaks in (pages 90244, 90245, 98913, 90248). */
export function appChatEndpoints(world: World, limits: boolean): Endpoints {
  return {
    '/cgi-bin/appchat/create': { writes: true, handle: (call) => createChat(world, call) },
    '/cgi-bin/appchat/update': { writes: true, handle: (call) => updateChat(world, call) },
    '/cgi-bin/appchat/get': { handle: (call) => getChat(world, call) },
    '/cgi-bin/appchat/send': { writes: true, handle: (call) => sendToChat(world, limits, call) },
  }
}

function chatsOf({ state, seed }: World): Objects<AppChat> {
  return openObjects<AppChat>(state, seed, 'appchat')
}

function messagesOf({ state, seed }: World): Objects<AppChatMessage> {
  return openObjects<AppChatMessage>(state, seed, 'appchat_message')
}

function createChat(world: World, { params, app }: Call): Reply {
  const chats = chatsOf(world)
  checkRoot(app)
  const Body = z.object({
    name: OptionalText,
    owner: OptionalText,
    userlist: z.array(z.string()),
    chatid: OptionalText,
  })
  const body = read(Body, params) // prettier-ignore
  if (body.chatid !== undefined && !/^[0-9a-zA-Z]{1,32}$/.test(body.chatid)) throw new Refusal(86001, 'invalid chatid')
  if (body.chatid !== undefined && chats.get(body.chatid) !== undefined)
    throw new Refusal(86215, 'chatid already exists')
  const userlist = membersOf(world, body.userlist, 86007)
  checkSize(userlist)
  const owner = body.owner === undefined ? userlist[0]! : membersOf(world, [body.owner], 86005)[0]!
  if (!userlist.includes(owner)) throw new Refusal(86005, 'owner is not in userlist')
  const chatId = body.chatid ?? chats.newId('', 32)
  chats.put(chatId, { agentId: app.agentId, name: nameOf(body.name) ?? '', owner, userlist })
  return { chatid: chatId }
}

function updateChat(world: World, { params, app }: Call): Reply {
  const chats = chatsOf(world)
  const List = z.array(z.string()).default([])
  const Body = z.object({
    chatid: OptionalText,
    name: OptionalText,
    owner: OptionalText,
    add_user_list: List,
    del_user_list: List,
  })
  const body = read(Body, params)
  const { id, chat } = ownChat(world, body.chatid, app)
  const gone = new Set(membersOf(world, body.del_user_list, 86216))
  const stay = chat.userlist.filter((userId) => !gone.has(userId))
  const userlist = [...new Set([...stay, ...membersOf(world, body.add_user_list, 86216)])]
  checkSize(userlist)
  const owner = body.owner === undefined ? chat.owner : membersOf(world, [body.owner], 86005)[0]!
  if (!userlist.includes(owner)) throw new Refusal(86005, 'owner is not in userlist')
  chats.put(id, { ...chat, name: nameOf(body.name) ?? chat.name, owner, userlist })
  return {}
}

function getChat(world: World, { params, app }: Call): Reply {
  const { id, chat } = ownChat(world, read(z.object({ chatid: OptionalText }), params).chatid, app)
  const { name, owner, userlist } = chat
  return { chat_info: { chatid: id, name, owner, userlist, chat_type: 0 } }
}

function sendToChat(world: World, limits: boolean, { params, app, now }: Call): Reply {
  const messages = messagesOf(world)
  const Body = z.object({
    chatid: OptionalText,
    msgtype: z.string().default(''),
    safe: z.int().min(0).max(1).default(0),
  })
  const { chatid, msgtype, safe } = read(Body, params)
  const { id, chat } = ownChat(world, chatid, app)
  const body = checkChatMessage(world, msgtype, params, safe, now)
  if (limits) for (const quota of SENT) takeQuota(world.state, quota, now, chat.userlist.length)
  const to = chat.userlist.filter(
    (userId) =>
      !limits ||
      RECEIVED.every((limit) => countWithin(world.state, { name: `appchat ${app.agentId} ${userId}`, ...limit }, now)),
  )
  messages.put(messages.newId('', 32), { chatId: id, at: now.toISOString(), msgtype, body, to })
  return {}
}

/** A self-built app that sees the whole company. */
function checkRoot({ kind, visible }: App): void {
  if (kind !== 'self_built' || (visible !== undefined && !visible.departments.includes(1)))
    throw new Refusal(60011, 'no privilege to access/modify contact/party/agent')
}

function ownChat(world: World, chatId: string | undefined, app: App): { id: string; chat: AppChat } {
  const chats = chatsOf(world)
  checkRoot(app)
  if (chatId === undefined) throw new Refusal(86003, 'missing chatid')
  const chat = chats.get(chatId)
  if (chat === undefined) throw new Refusal(40050, 'chatid not exist')
  if (chat.agentId !== app.agentId) throw new Refusal(86008, 'chatid of another agent')
  return { id: chatId, chat }
}

function membersOf(world: World, ids: readonly string[], code: number): string[] {
  const members = ids.map((id) => {
    const member = world.member(id)
    if (member === undefined) throw new Refusal(code, `invalid userid \`${id}\``)
    return member.userId
  })
  return [...new Set(members)]
}

function checkSize(userlist: readonly string[]): void {
  if (userlist.length < MEMBERS.least || userlist.length > MEMBERS.most)
    throw new Refusal(86006, 'invalid chat member size')
}

/** Longer names are cut. */
function nameOf(name: string | undefined): string | undefined {
  return name === undefined ? undefined : [...name].slice(0, MAX_NAME_CHARS).join('')
}
