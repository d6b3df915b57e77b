import { z } from 'zod'
import { DAY_MS, HOUR_MS, SECOND_MS } from '../../../src/time.js'
import type { App } from '../../identity.js'
import { type Objects, openObjects } from '../../objects.js'
import type { World } from '../../world/world.js'
import {
  type Call,
  type Endpoints,
  fromCursor,
  memberId,
  OptionalText,
  read,
  Refusal,
  type Reply,
  toCursor,
} from '../core/endpoint.js'
import { departmentMembers } from './recipients.js'
import { sees } from './visibility.js'

/** Page 92228: contact ways and join ways of a company together; temporary ones in a day; members of one. */
const WAYS_MAX = 500_000
const TEMPORARY_PER_DAY = 100_000
const USERS_MAX = 100
/** Page 92229. */
const GROUPS_MAX = 5
const TEXT_MAX = 30
const LIST_DEFAULT = 100
const LIST_MAX = 1_000
const LIST_SPAN_MS = 90 * DAY_MS

export type ContactWay = {
  maker: string
  createdMs: number
  type: number
  scene: number
  style: number
  remark: string
  skip_verify: boolean
  state: string
  user: string[]
  party: number[]
  is_temp: boolean
  expires_in: number
  chat_expires_in: number
  unionid: string
  is_exclusive: boolean
  mark_source: boolean
  conclusions?: z.infer<typeof Conclusions>
  /** How many customers have come this way. */
  scans: number
}
export type JoinWay = {
  maker: string
  scene: number
  remark: string
  auto_create_room: number
  room_base_name: string
  room_base_id: number
  chat_id_list: string[]
  state: string
  mark_source: boolean
  /** How many groups it has made. */
  made: number
}
/** A chat that a temporary way began, until it ends. */
export type TemporaryChat = { configId: string; untilMs: number }

export function contactWays({ state, seed }: World): Objects<ContactWay> {
  return openObjects<ContactWay>(state, seed, 'contact_way')
}
export function joinWays({ state, seed }: World): Objects<JoinWay> {
  return openObjects<JoinWay>(state, seed, 'join_way')
}
export function temporaryChats({ state, seed }: World): Objects<TemporaryChat> {
  return openObjects<TemporaryChat>(state, seed, 'temporary_chat')
}

const Short = z.string().refine((text) => [...text].length <= TEXT_MAX, `exceed max length ${TEXT_MAX}`)
const Seconds = z
  .int()
  .min(1)
  .max((14 * DAY_MS) / SECOND_MS)
const Conclusions = z.object({
  text: z.object({ content: z.string() }).nullish(),
  image: z.object({ media_id: z.string() }).nullish(),
  link: z.object({ title: z.string(), picurl: OptionalText, desc: OptionalText, url: z.string() }).nullish(),
  miniprogram: z.object({ title: z.string(), pic_media_id: z.string(), appid: z.string(), page: z.string() }).nullish(),
})
const Changeable = z.object({
  style: z.int().nullish(),
  remark: Short.nullish(),
  skip_verify: z.boolean().nullish(),
  state: Short.nullish(),
  user: z.array(z.string()).nullish(),
  party: z.array(z.int()).nullish(),
  expires_in: Seconds.nullish(),
  chat_expires_in: Seconds.nullish(),
  unionid: z.string().nullish(),
  mark_source: z.boolean().nullish(),
  conclusions: Conclusions.nullish(),
})
const JoinFields = z.object({
  scene: z.int(),
  remark: z
    .string()
    .default('')
    .transform((text) => [...text].slice(0, TEXT_MAX).join('')),
  auto_create_room: z.int().min(0).max(1).default(1),
  room_base_name: z.string().default(''),
  room_base_id: z.int().min(0).default(1),
  chat_id_list: z.array(z.string()).min(1, 'unexpected empty array'),
  state: Short.default(''),
  mark_source: z.boolean().default(false),
})

/** Contact ways (「联系我」, page 92228) and group join ways (page 92229). An app manages the ways it made. */
export function wayEndpoints(world: World): Endpoints {
  return {
    '/cgi-bin/externalcontact/add_contact_way': { writes: true, handle: (call) => addContactWay(world, call) },
    '/cgi-bin/externalcontact/get_contact_way': { handle: (call) => getContactWay(world, call) },
    '/cgi-bin/externalcontact/list_contact_way': {
      empty: { contact_way: [] },
      handle: (call) => listContactWay(world, call),
    },
    '/cgi-bin/externalcontact/update_contact_way': { writes: true, handle: (call) => updateContactWay(world, call) },
    '/cgi-bin/externalcontact/del_contact_way': { writes: true, handle: (call) => delContactWay(world, call) },
    '/cgi-bin/externalcontact/close_temp_chat': { writes: true, handle: (call) => closeTempChat(world, call) },

    '/cgi-bin/externalcontact/groupchat/add_join_way': { writes: true, handle: (call) => addJoinWay(world, call) },
    '/cgi-bin/externalcontact/groupchat/get_join_way': { handle: (call) => getJoinWay(world, call) },
    '/cgi-bin/externalcontact/groupchat/update_join_way': {
      writes: true,
      handle: (call) => updateJoinWay(world, call),
    },
    '/cgi-bin/externalcontact/groupchat/del_join_way': { writes: true, handle: (call) => delJoinWay(world, call) },
  }
}

function addContactWay(world: World, { params, app, now }: Call): Reply {
  const ways = contactWays(world)
  const Body = Changeable.extend({
    type: z.int().nullish(),
    scene: z.int().nullish(),
    is_temp: z.boolean().nullish(),
    is_exclusive: z.boolean().nullish(),
  })
  const body = read(Body, params)
  if (body.type == null) throw new Refusal(41037, 'missing contact way type')
  if (body.scene == null) throw new Refusal(41038, 'missing contact way scene')
  if (body.type !== 1 && body.type !== 2) throw new Refusal(41039, 'invalid contact way type')
  if (body.scene !== 1 && body.scene !== 2) throw new Refusal(41040, 'invalid contact way scene')
  if (body.style != null && (body.style < 1 || body.style > 3)) throw new Refusal(41042, 'invalid contact way style')
  const isTemporary = body.is_temp ?? false
  if (isTemporary && body.type !== 1) throw new Refusal(40058, 'is_temp needs type 1. invalid Request Parameter')
  if (isTemporary) checkDay(world, now)
  else checkRoom(world)
  const way: ContactWay = {
    maker: app.name,
    createdMs: now.getTime(),
    type: body.type,
    scene: body.scene,
    style: body.style ?? 1,
    remark: body.remark ?? '',
    skip_verify: body.skip_verify ?? true,
    state: body.state ?? '',
    user: usersOf(world, app, body.user ?? []),
    party: body.party ?? [],
    is_temp: isTemporary,
    expires_in: body.expires_in ?? (7 * DAY_MS) / SECOND_MS,
    chat_expires_in: body.chat_expires_in ?? DAY_MS / SECOND_MS,
    unionid: body.unionid ?? '',
    is_exclusive: body.is_exclusive ?? false,
    mark_source: body.mark_source ?? false,
    ...(body.conclusions != null && { conclusions: body.conclusions }),
    scans: 0,
  }
  checkTargets(world, way)
  const id = ways.newId('', 32)
  ways.put(id, way)
  return { config_id: id, ...(way.scene === 2 && { qr_code: qrCode(id) }) }
}

function getContactWay(world: World, call: Call): Reply {
  const ways = contactWays(world)
  const [id, { maker: _maker, createdMs: _createdMs, scans: _scans, conclusions, ...way }] = own(ways, call)
  return {
    contact_way: {
      config_id: id,
      ...way,
      ...(way.scene === 2 && { qr_code: qrCode(id) }),
      ...(conclusions && { conclusions: shown(conclusions) }),
    },
  }
}

function listContactWay(world: World, { params, app, now }: Call): Reply {
  const ways = contactWays(world)
  const Body = z.object({
    start_time: z.int().nullish(),
    end_time: z.int().nullish(),
    cursor: OptionalText,
    limit: z.int().min(1).max(LIST_MAX).default(LIST_DEFAULT),
  })
  const body = read(Body, params)
  const fromMs = body.start_time == null ? now.getTime() - LIST_SPAN_MS : body.start_time * SECOND_MS
  const toMs = body.end_time == null ? now.getTime() : (body.end_time + 1) * SECOND_MS
  const after = fromCursor(body.cursor, z.tuple([z.literal('ways'), z.int()]))?.[1] ?? 0
  const rows = ways
    .list(after)
    .filter((row) => row.body.maker === app.name && !row.body.is_temp)
    .filter((row) => row.body.createdMs >= fromMs && row.body.createdMs < toMs)
  const page = rows.slice(0, body.limit)
  return {
    contact_way: page.map((row) => ({ config_id: row.id })),
    next_cursor: rows.length > body.limit ? toCursor('ways', page.at(-1)!.seq) : '',
  }
}

function updateContactWay(world: World, call: Call): Reply {
  const ways = contactWays(world)
  const [id, way] = own(ways, call)
  const { user, ...change } = read(Changeable, call.params)
  const given = Object.fromEntries(Object.entries(change).filter(([, value]) => value != null))
  const updated = { ...way, ...given, ...(user != null && { user: usersOf(world, call.app, user) }) }
  checkTargets(world, updated)
  ways.put(id, updated)
  return {}
}

function delContactWay(world: World, call: Call): Reply {
  const ways = contactWays(world)
  const [id] = own(ways, call)
  ways.delete(id)
  return {}
}

function closeTempChat(world: World, { params, now }: Call): Reply {
  const chats = temporaryChats(world)
  const { userid, external_userid: id } = read(
    z.object({ userid: OptionalText, external_userid: OptionalText }),
    params,
  )
  const userId = memberId(world, userid)
  if (id === undefined) throw new Refusal(41035, 'missing external userid')
  const chat = chats.get(`${userId}/${id}`)
  if (chat === undefined || chat.untilMs <= now.getTime()) throw new Refusal(84061, 'not external contact')
  chats.delete(`${userId}/${id}`)
  return {}
}

function addJoinWay(world: World, { params, app }: Call): Reply {
  const joins = joinWays(world)
  const body = read(JoinFields, params)
  checkJoin(world, body)
  checkRoom(world)
  const id = joins.newId('', 32)
  joins.put(id, { maker: app.name, ...body, made: 0 })
  return { config_id: id }
}

function getJoinWay(world: World, call: Call): Reply {
  const joins = joinWays(world)
  const [id, { maker: _maker, made: _made, ...way }] = own(joins, call)
  return { join_way: { config_id: id, ...way, qr_code: qrCode(id) } }
}

function updateJoinWay(world: World, call: Call): Reply {
  const joins = joinWays(world)
  const [id, way] = own(joins, call)
  const body = read(JoinFields, call.params) // all of it: what is left out returns to its default
  checkJoin(world, body)
  joins.put(id, { maker: way.maker, made: way.made, ...body })
  return {}
}

function delJoinWay(world: World, call: Call): Reply {
  const joins = joinWays(world)
  const [id] = own(joins, call)
  joins.delete(id)
  return {}
}

function own<T extends { maker: string }>(store: Objects<T>, { app, params }: Call): [string, T] {
  const { config_id: id } = read(z.object({ config_id: OptionalText }), params)
  if (id === undefined) throw new Refusal(41043, 'missing config id')
  const way = store.get(id)
  if (way?.maker !== app.name) throw new Refusal(41044, 'invalid config id')
  return [id, way]
}

function checkRoom(world: World) {
  const ways = contactWays(world)
  const joins = joinWays(world)
  if (ways.count() + joins.count() >= WAYS_MAX) throw new Refusal(41045, 'contact way count limit')
}

/** The members as the company spells them. */
function usersOf(world: World, app: App, named: readonly string[]): string[] {
  const users = named.map((id) => memberId(world, id))
  for (const id of users) checkMember(world, app, id)
  return users
}

function checkTargets(world: World, way: Pick<ContactWay, 'type' | 'user' | 'party'>) {
  if (way.type === 1 && (way.user.length !== 1 || way.party.length > 0))
    throw new Refusal(40058, 'user must be exactly one. invalid Request Parameter')
  if (way.user.length + way.party.length === 0)
    throw new Refusal(40058, 'user and party unexpected empty. invalid Request Parameter')
  if (targetsOf(world, way).length > USERS_MAX) throw new Refusal(41041, `contact way user exceed ${USERS_MAX}`)
}

function checkJoin(
  world: World,
  { scene, chat_id_list: chatIds, room_base_name: name }: z.infer<typeof JoinFields>,
): void {
  if (scene !== 1 && scene !== 2) throw new Refusal(41040, 'invalid scene')
  if (chatIds.length > GROUPS_MAX) throw new Refusal(41091, `chat_id_list exceed max length ${GROUPS_MAX}`)
  if ([...name].length > 40) throw new Refusal(40058, 'room_base_name exceed max length 40. invalid Request Parameter')
  for (const id of chatIds) {
    const chat = world.chats.get(id)
    if (chat === undefined || chat.dismissedAt !== undefined)
      throw new Refusal(90501, 'chat is not external group chat')
  }
}

function checkDay(world: World, now: Date): void {
  const day = Math.floor((now.getTime() + 8 * HOUR_MS) / DAY_MS)
  if (world.state.counter(`temporary_ways:${day}`) >= TEMPORARY_PER_DAY)
    throw new Refusal(41045, 'contact way count limit')
  world.state.count(`temporary_ways:${day}`)
}

/** Members a way leads to: those named, and everybody in the departments. */
export function targetsOf(world: World, { user, party }: Pick<ContactWay, 'user' | 'party'>): string[] {
  const inDepartments = party.flatMap((id) => {
    const members = departmentMembers(world, id)
    if (members === undefined) throw new Refusal(60003, 'department not found')
    return members
  })
  return [...new Set([...user, ...inDepartments])]
}

/** @throws {Refusal} 41054, 60011, 84074 when customers cannot be led to this member */
export function checkMember(world: World, app: App, userId: string): void {
  const member = world.member(userId)!
  if (!sees(world, app, userId)) throw new Refusal(60011, 'no privilege to access/modify contact/party/agent')
  if (!member.isActivated) throw new Refusal(41054, 'user not activated')
  if (!member.hasCustomerContact) throw new Refusal(84074, 'no external contact permission')
}

function qrCode(configId: string): string {
  return `http://p.qpic.cn/wwhead/sandbox/${configId}/0`
}

/** Pictures go in as media ids and come back as addresses. */
function shown({ image, ...rest }: NonNullable<ContactWay['conclusions']>): Record<string, unknown> {
  return { ...rest, ...(image != null && { image: { pic_url: `http://p.qpic.cn/pic_wework/${image.media_id}/0` } }) }
}
