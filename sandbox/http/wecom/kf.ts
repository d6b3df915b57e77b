import { z } from 'zod'
import { hashKey } from '../../../src/random.js'
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from '../../../src/time.js'
import { openObjects } from '../../objects.js'
import type { World } from '../../world/world.js'
import {
  checkBytes,
  checkUrl,
  type Endpoints,
  fromCursor,
  OptionalText,
  read,
  Refusal,
  toCursor,
} from '../core/endpoint.js'
import { checkMedia } from './media.js'
import { countWithin } from '../core/quota.js'
import { departmentMembers } from './recipients.js'

/** Pages 94670, 94677, 94669, 95122, 94662, 94646. */
const MAX_NAME_CHARS = 16
const MAX_SERVICERS_PER_CALL = 100
const MAX_DEPARTMENTS_PER_CALL = 20
const MAX_CUSTOMERS_PER_CALL = 100
const SEND_WINDOW_MS = 48 * HOUR_MS
const MAX_SENT_PER_TURN = 5
const KEPT_MS = 3 * DAY_MS
const TOKEN_MS = 10 * MINUTE_MS
const WELCOME_CODE_MS = 20 * SECOND_MS
const MAX_MENU_ITEMS = 10
const PAGE_MAX = 1_000
/** "Strictly limited"; the platform does not say how much. */
const SYNCS_WITHOUT_TOKEN = { name: 'kf_sync_without_token', per: 'minute', most: 10 } as const

/** 0 untouched, 1 bot, 2 queue, 3 human, 4 ended. */
type ServiceState = 0 | 1 | 2 | 3 | 4
const CHANGES: Record<ServiceState, readonly ServiceState[]> = {
  0: [1, 2, 3, 4],
  1: [2, 3, 4],
  2: [3, 4],
  3: [2, 3, 4],
  4: [],
}
/** Who chats with a bot or with nobody yet can be written to through the API. */
const SENDABLE: readonly ServiceState[] = [0, 1]

type Account = { name: string; mediaId: string; users: string[]; departments: number[] }
type Session = {
  openKfId: string
  externalUserId: string
  state: ServiceState
  servicer?: string
  scene: string
  /** When the customer wrote last; absent: came in without a word. */
  writtenMs?: number
  /** Messages through the API since then. */
  sent: number
  welcomedMs?: number
}
/** What `sync_msg` tells: messages of customers and events. */
type Item = {
  msgid: string
  atMs: number
  open_kfid: string
  external_userid: string
  origin: 3 | 4
  msgtype: string
} & Record<string, unknown>
/** A message that the API sent, as the customer sees it. */
export type KfSent = { openKfId: string; externalUserId: string; at: string; msgtype: string; body: unknown }
/** Lets one message answer an event. */
type Code = { session: string; expiresMs: number; used: boolean }
type Visitor = { nickname: string; unionId?: string }

/** WeChat customer service (微信客服): accounts, who serves, states of sessions, messages both ways. */
export function kfEndpoints(world: World, limits: boolean): Endpoints {
  const { state, seed } = world
  const { accounts, sessions, items, sent, codes, visitors } = openKf(world)
  const path = '/cgi-bin/kf'
  const AccountId = { open_kfid: OptionalText }
  const Pair = { ...AccountId, external_userid: OptionalText }
  const Servicers = z.object({
    ...AccountId,
    userid_list: z.array(z.string()).max(MAX_SERVICERS_PER_CALL).default([]),
    department_id_list: z.array(z.int()).max(MAX_DEPARTMENTS_PER_CALL).default([]),
  })
  const Naming = z.object({ ...AccountId, name: OptionalText, media_id: OptionalText })

  return {
    [`${path}/account/add`]: {
      writes: true,
      handle: ({ params, now }) => {
        const { name, media_id: mediaId } = read(Naming, params)
        checkMedia(world, mediaId ?? '', now, 'image')
        const id = accounts.newId('wk', 30)
        accounts.put(id, { name: nameOf(name), mediaId: mediaId!, users: [], departments: [] })
        return { open_kfid: id }
      },
    },
    [`${path}/account/del`]: {
      writes: true,
      handle: ({ params }) => {
        accounts.delete(accountOf(read(z.object(AccountId), params).open_kfid).id)
        return {}
      },
    },
    [`${path}/account/update`]: {
      writes: true,
      handle: ({ params, now }) => {
        const { open_kfid, name, media_id: mediaId } = read(Naming, params)
        const { id, account } = accountOf(open_kfid)
        if (mediaId !== undefined) checkMedia(world, mediaId, now, 'image')
        accounts.put(id, {
          ...account,
          name: name === undefined ? account.name : nameOf(name),
          mediaId: mediaId ?? account.mediaId,
        })
        return {}
      },
    },
    [`${path}/account/list`]: {
      empty: { account_list: [] },
      handle: ({ params }) => {
        const Body = z.object({ offset: z.int().min(0).default(0), limit: z.int().min(1).max(100).default(100) })
        const { offset, limit } = read(Body, params)
        const page = accounts.list().slice(offset, offset + limit)
        return {
          account_list: page.map(({ id, body }) => ({
            open_kfid: id,
            name: body.name,
            avatar: `https://wework.qpic.cn/sandbox/${body.mediaId}/0`,
            manage_privilege: true,
          })),
        }
      },
    },
    [`${path}/add_contact_way`]: {
      handle: ({ params }) => {
        const { open_kfid, scene } = read(z.object({ ...AccountId, scene: OptionalText }), params)
        const { id } = accountOf(open_kfid)
        if (scene !== undefined && !/^[0-9a-zA-Z_-]{1,32}$/.test(scene))
          throw new Refusal(40058, 'scene invalid. invalid Request Parameter')
        const extra = scene === undefined ? '' : `?enc_scene=${scene}`
        return { url: `https://work.weixin.qq.com/kfid/kfc${hashKey(14, seed, 'kf-link', id)}${extra}` }
      },
    },
    [`${path}/servicer/add`]: { writes: true, handle: ({ params }) => changeServicers(params, 'add') },
    [`${path}/servicer/del`]: { writes: true, handle: ({ params }) => changeServicers(params, 'del') },
    [`${path}/servicer/list`]: {
      empty: { servicer_list: [] },
      handle: ({ params }) => {
        const { account } = accountOf(read(z.object(AccountId), params).open_kfid)
        return {
          servicer_list: [
            ...account.users.map((userid) => ({ userid, status: 0 })),
            ...account.departments.map((department_id) => ({ department_id })),
          ],
        }
      },
    },
    [`${path}/service_state/get`]: {
      handle: ({ params }) => {
        const { open_kfid, external_userid } = read(z.object(Pair), params)
        const { session } = sessionOf(open_kfid, external_userid)
        return {
          service_state: session.state,
          ...(session.servicer === undefined ? {} : { servicer_userid: session.servicer }),
        }
      },
    },
    [`${path}/service_state/trans`]: {
      writes: true,
      handle: ({ params, now }) => {
        const Body = z.object({ ...Pair, service_state: z.int().min(0).max(4), servicer_userid: OptionalText })
        const { open_kfid, external_userid, service_state, servicer_userid } = read(Body, params)
        const { key, session, account } = sessionOf(open_kfid, external_userid)
        const next = service_state as ServiceState
        if (session.state === 4) throw new Refusal(95013, 'session has ended')
        if (!CHANGES[session.state].includes(next)) throw new Refusal(95016, 'state change not allowed')
        const servicer = next === 3 ? servicerOf(account, servicer_userid) : undefined
        const { servicer: _before, ...rest } = session
        sessions.put(key, { ...rest, state: next, ...(servicer === undefined ? {} : { servicer }) })
        return next === 1 ? {} : { msg_code: newCode(key, now.getTime() + SEND_WINDOW_MS) }
      },
    },
    [`${path}/send_msg`]: {
      writes: true,
      handle: ({ params, now }) => {
        const Body = z.object({
          ...AccountId,
          touser: OptionalText,
          msgid: OptionalText,
          msgtype: z.string().default(''),
        })
        const { open_kfid, touser, msgid, msgtype } = read(Body, params)
        const { key, session } = sessionOf(open_kfid, touser)
        if (session.state === 4) throw new Refusal(95013, 'session has ended')
        if (!SENDABLE.includes(session.state)) throw new Refusal(95018, 'send msg session status invalid')
        if (session.writtenMs === undefined || now.getTime() > session.writtenMs + SEND_WINDOW_MS)
          throw new Refusal(95002, 'send msg time limit')
        if (session.sent >= MAX_SENT_PER_TURN) throw new Refusal(95001, 'send msg count limit')
        const body = checkMessage(msgtype, params, now)
        const id = putSent(session, msgid, msgtype, body, now)
        sessions.put(key, { ...session, sent: session.sent + 1 })
        return { msgid: id }
      },
    },
    [`${path}/send_msg_on_event`]: {
      writes: true,
      handle: ({ params, now }) => {
        const Body = z.object({ code: OptionalText, msgid: OptionalText, msgtype: z.string().default('') })
        const { code: id, msgid, msgtype } = read(Body, params)
        const code = id === undefined ? undefined : codes.get(id)
        if (id === undefined || code === undefined || code.used || now.getTime() > code.expiresMs)
          throw new Refusal(95007, 'invalid msg token')
        if (msgtype !== 'text' && msgtype !== 'msgmenu') throw new Refusal(40008, 'invalid message type')
        const body = checkMessage(msgtype, params, now)
        const session = sessions.get(code.session)!
        codes.put(id, { ...code, used: true })
        return { msgid: putSent(session, msgid, msgtype, body, now) }
      },
    },
    [`${path}/sync_msg`]: {
      writes: true,
      empty: { next_cursor: '', has_more: 0, msg_list: [] },
      handle: ({ params, now }) => {
        const Body = z.object({
          cursor: OptionalText,
          token: OptionalText,
          limit: z.int().min(1).max(PAGE_MAX).default(PAGE_MAX),
          voice_format: z.int().min(0).max(1).default(0),
          ...AccountId,
        })
        const { cursor, token, limit, open_kfid } = read(Body, params)
        if (token === undefined && limits && !countWithin(state, SYNCS_WITHOUT_TOKEN, now))
          throw new Refusal(45009, 'api freq out of limit')
        if (token !== undefined && !isToken(world, token, now)) throw new Refusal(95007, 'invalid msg token')
        const only = open_kfid === undefined ? undefined : accountOf(open_kfid).id
        const after = fromCursor(cursor, z.tuple([z.literal('kf'), z.int()]))?.[1] ?? 0
        const found = items.list(after).filter(({ body }) => body.atMs > now.getTime() - KEPT_MS)
        const wanted = found.filter(({ body }) => only === undefined || body.open_kfid === only)
        const page = wanted.slice(0, limit)
        return {
          next_cursor: toCursor('kf', page.at(-1)?.seq ?? after),
          has_more: wanted.length > limit ? 1 : 0,
          msg_list: page.map(({ body: { atMs, ...item } }) => ({ ...item, send_time: Math.floor(atMs / SECOND_MS) })),
        }
      },
    },
    [`${path}/customer/batchget`]: {
      empty: { customer_list: [], invalid_external_userid: [] },
      handle: ({ params }) => {
        const Body = z.object({
          external_userid_list: z.array(z.string()).min(1).max(MAX_CUSTOMERS_PER_CALL),
          need_enter_session_context: z.int().min(0).max(1).default(0),
        })
        const { external_userid_list: ids, need_enter_session_context } = read(Body, params)
        const known = ids.filter((id) => visitors.get(id) !== undefined)
        return {
          customer_list: known.map((id) => {
            const { nickname, unionId } = visitors.get(id)!
            const last = sessions
              .list()
              .filter(({ body }) => body.externalUserId === id)
              .at(-1)
            const context = need_enter_session_context === 1 && last !== undefined
            return {
              external_userid: id,
              nickname,
              avatar: '',
              gender: genderOf(id),
              ...(unionId === undefined ? {} : { unionid: unionId }),
              ...(context ? { enter_session_context: { scene: last.body.scene, scene_param: '' } } : {}),
            }
          }),
          invalid_external_userid: ids.filter((id) => !known.includes(id)),
        }
      },
    },
  }

  function accountOf(openKfId: string | undefined): { id: string; account: Account } {
    if (openKfId === undefined || !openKfId.startsWith('wk')) throw new Refusal(95000, 'invalid open_kfid')
    const account = accounts.get(openKfId)
    if (account === undefined) throw new Refusal(95004, 'open_kfid not exist')
    return { id: openKfId, account }
  }

  function sessionOf(
    openKfId: string | undefined,
    externalUserId: string | undefined,
  ): { key: string; session: Session; account: Account } {
    const { id, account } = accountOf(openKfId)
    const key = `${id}/${externalUserId ?? ''}`
    const session = sessions.get(key)
    if (session === undefined) throw new Refusal(40096, 'invalid external userid')
    return { key, session, account }
  }

  function servicerOf(account: Account, userId: string | undefined): string {
    const member = userId === undefined ? undefined : world.member(userId)
    const serves =
      member !== undefined &&
      (account.users.includes(member.userId) ||
        account.departments.some((id) => departmentMembers(world, id)?.includes(member.userId)))
    if (!serves) throw new Refusal(95014, 'user is not a servicer')
    return member.userId
  }

  function changeServicers(params: Record<string, unknown>, what: 'add' | 'del'): Record<string, unknown> {
    const { open_kfid, userid_list: userIds, department_id_list: departmentIds } = read(Servicers, params)
    const { id, account } = accountOf(open_kfid)
    if (userIds.length + departmentIds.length === 0)
      throw new Refusal(40058, 'userid_list and department_id_list unexpected empty. invalid Request Parameter')
    const users = new Set(account.users)
    const departments = new Set(account.departments)
    const ok = { errcode: 0, errmsg: 'success' }
    const result_list = [
      ...userIds.map((userid) => {
        const member = world.member(userid)
        if (member === undefined) return { userid, errcode: 60111, errmsg: 'userid not found' }
        if (what === 'add') users.add(member.userId)
        else if (!users.delete(member.userId)) return { userid, errcode: 95014, errmsg: 'user is not a servicer' }
        return { userid, ...ok }
      }),
      ...departmentIds.map((department_id) => {
        if (departmentMembers(world, department_id) === undefined)
          return { department_id, errcode: 60123, errmsg: 'invalid department id' }
        if (what === 'add') departments.add(department_id)
        else if (!departments.delete(department_id))
          return { department_id, errcode: 95014, errmsg: 'department is not a servicer' }
        return { department_id, ...ok }
      }),
    ]
    accounts.put(id, { ...account, users: [...users], departments: [...departments] })
    return { result_list }
  }

  function newCode(session: string, expiresMs: number): string {
    const id = codes.newId('', 32)
    codes.put(id, { session, expiresMs, used: false })
    return id
  }

  /** @throws {Refusal} 40058 when the account has used that msgid before */
  function putSent(session: Session, given: string | undefined, msgtype: string, body: unknown, now: Date): string {
    if (given !== undefined && !/^[0-9a-zA-Z_-]{1,32}$/.test(given))
      throw new Refusal(40058, 'msgid invalid. invalid Request Parameter')
    const { openKfId, externalUserId } = session
    const id = given ?? sent.newId('', 32)
    const key = `${openKfId}/${id}`
    if (sent.get(key) !== undefined) throw new Refusal(40058, 'msgid already exists. invalid Request Parameter')
    sent.put(key, { openKfId, externalUserId, at: now.toISOString(), msgtype, body })
    return id
  }

  function checkMessage(type: string, params: Record<string, unknown>, now: Date): Record<string, unknown> {
    const body = (params[type] ?? {}) as Record<string, unknown>
    const some = z.string().min(1)
    const checks: Record<string, () => void> = {
      text: () => {
        const { content } = read(z.object({ content: OptionalText }), body)
        if (content === undefined) throw new Refusal(44004, 'empty content')
        checkBytes('text.content', content, 2_048)
      },
      image: () => checkMedia(world, read(z.object({ media_id: some }), body).media_id, now, 'image'),
      voice: () => checkMedia(world, read(z.object({ media_id: some }), body).media_id, now, 'voice'),
      video: () => checkMedia(world, read(z.object({ media_id: some }), body).media_id, now, 'video'),
      file: () => checkMedia(world, read(z.object({ media_id: some }), body).media_id, now, 'file'),
      link: () => {
        const {
          title,
          desc,
          url,
          thumb_media_id: thumb,
        } = read(z.object({ title: some, desc: OptionalText, url: some, thumb_media_id: some }), body)
        checkBytes('link.title', title, 128)
        checkBytes('link.desc', desc ?? '', 512)
        checkUrl('link.url', url)
        checkMedia(world, thumb, now, 'image')
      },
      miniprogram: () => {
        const { title, thumb_media_id: thumb } = read(
          z.object({ appid: some, title: OptionalText, thumb_media_id: some, pagepath: some }),
          body,
        )
        checkBytes('miniprogram.title', title ?? '', 64)
        checkMedia(world, thumb, now, 'image')
      },
      msgmenu: () => {
        const Item = z.object({ type: z.enum(['click', 'view', 'miniprogram', 'text']) }).loose()
        const { head_content, tail_content, list } = read(
          z.object({ head_content: OptionalText, tail_content: OptionalText, list: z.array(Item).default([]) }),
          body,
        )
        checkBytes('msgmenu.head_content', head_content ?? '', 1_024)
        checkBytes('msgmenu.tail_content', tail_content ?? '', 1_024)
        if (list.length > MAX_MENU_ITEMS) throw new Refusal(95008, 'menu item count out of limit')
      },
      location: () =>
        void read(z.object({ latitude: z.number().min(-90).max(90), longitude: z.number().min(-180).max(180) }), body),
      business_card: () => {
        const { userid } = read(z.object({ userid: some }), body)
        if (world.member(userid) === undefined) throw new Refusal(60111, 'userid not found')
      },
      ca_link: () => checkUrl('ca_link.link_url', read(z.object({ link_url: some }), body).link_url),
    }
    if (!Object.hasOwn(checks, type)) throw new Refusal(40008, 'invalid message type')
    checks[type]!()
    return body
  }

  function genderOf(externalUserId: string): number {
    const row = state.get<{ gender: number }>('SELECT gender FROM contact WHERE external_user_id = ?', externalUserId)
    return row?.gender ?? 0
  }
}

/**
 * A customer opens the chat of a customer-service account, and may write; inside a transaction. The app is called back
 * and fetches what happened by `sync_msg`.
 *
 * @param visit.scene - of the link the customer came through
 * @returns whether the account is there
 */
export function visitKf(
  world: World,
  visit: {
    openKfId: string
    externalUserId: string
    nickname: string
    unionId?: string
    scene?: string
    text?: string
  },
  at: Date,
): boolean {
  const { accounts, sessions, items, codes, visitors } = openKf(world)
  const { openKfId, externalUserId, nickname, unionId, scene = '', text } = visit
  if (accounts.get(openKfId) === undefined) return false
  visitors.put(externalUserId, { nickname, ...(unionId === undefined ? {} : { unionId }) })
  const key = `${openKfId}/${externalUserId}`
  const before = sessions.get(key)
  const isNew = before === undefined || before.state === 4
  const session: Session = isNew ? { openKfId, externalUserId, state: 0, scene, sent: 0 } : { ...before }
  const pair = { open_kfid: openKfId, external_userid: externalUserId }
  const add = (item: { origin: 3 | 4; msgtype: string } & Record<string, unknown>) => {
    const msgid = items.newId('', 32)
    items.put(msgid, { msgid, atMs: at.getTime(), ...pair, ...item })
  }
  if (isNew) {
    // Only who was neither welcomed nor wrote in the last 48 h is welcomed.
    const recent = Math.max(before?.welcomedMs ?? -Infinity, before?.writtenMs ?? -Infinity)
    const welcome = at.getTime() > recent + SEND_WINDOW_MS
    const code = welcome ? codes.newId('', 32) : undefined
    if (code !== undefined) {
      codes.put(code, { session: key, expiresMs: at.getTime() + WELCOME_CODE_MS, used: false })
      session.welcomedMs = at.getTime()
    }
    const event = { event_type: 'enter_session', ...pair, scene, scene_param: '' }
    add({ origin: 4, msgtype: 'event', event: { ...event, ...(code === undefined ? {} : { welcome_code: code }) } })
  }
  if (text !== undefined) {
    session.writtenMs = at.getTime()
    session.sent = 0
    add({ origin: 3, msgtype: 'text', text: { content: text } })
  }
  sessions.put(key, session)
  world.raise(at, {
    ToUserName: world.identity.corpId,
    CreateTime: Math.floor(at.getTime() / SECOND_MS),
    MsgType: 'event',
    Event: 'kf_msg_or_event',
    Token: tokenAt(world, at),
    OpenKfId: openKfId,
  })
  return true
}

function openKf(world: World) {
  const open = <T>(kind: string) => openObjects<T>(world.state, world.seed, kind)
  return {
    accounts: open<Account>('kf_account'),
    sessions: open<Session>('kf_session'),
    items: open<Item>('kf_item'),
    sent: open<KfSent>('kf_sent'),
    codes: open<Code>('kf_code'),
    visitors: open<Visitor>('kf_visitor'),
  }
}

/** Carries its own time, so that nothing has to be stored for it. */
function tokenAt(world: World, at: Date): string {
  const ms = at.getTime().toString(36)
  return `ENC${ms}x${hashKey(32, world.seed, 'kf-token', ms)}`
}

function isToken(world: World, token: string, now: Date): boolean {
  const at = new Date(parseInt(/^ENC([0-9a-z]+?)x[0-9a-f]{32}$/.exec(token)?.[1] ?? '', 36))
  return !Number.isNaN(at.getTime()) && token === tokenAt(world, at) && now.getTime() <= at.getTime() + TOKEN_MS
}

function nameOf(name: string | undefined): string {
  if (name === undefined || [...name].length > MAX_NAME_CHARS) throw new Refusal(95006, 'invalid kf account name')
  return name
}
