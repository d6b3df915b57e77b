import { z } from 'zod'
import { messageOf } from '../../../src/errors.js'
import { hashKey, intOf } from '../../../src/random.js'
import { DAY_MS, MINUTE_MS, SECOND_MS } from '../../../src/time.js'
import type { World } from '../../world/world.js'
import { type Neighbour, type NeighbourRequest, Refusal } from '../core/endpoint.js'
import { meetPeople, type Person, personOf, weixinAccountsOf } from './people.js'
import { wrongField } from './template-values.js'
import { accountOf, appOf, issueToken, TOKEN_PREFIX } from './tokens.js'

type Call = {
  params: Record<string, unknown>
  /** The appid whose token it is; empty where there is none. */
  appId: string
  now: Date
  speed: number
}
type Route = {
  /** False: called with appid and secret. */
  token?: false
  /** Which account may call it. */
  only?: 'officialAccount' | 'miniProgram'
  /** In a window of so many milliseconds, per account and, with `per`, per what it says. */
  limit?: {
    calls: number
    windowMs: number
    errcode: 45009 | 45011
    per?: (params: Record<string, unknown>) => string
    /** Name of a count that several calls share. */
    shared?: string
  }
  handle(call: Call): Record<string, unknown>
}

const PAGE = 10_000
const MAX_TAGS = 100
const MAX_TAGS_OF_ONE = 20
const RESERVED_TAGS = new Set([0, 1, 2])
const MAX_LINK_DAYS = 30

const OpenId = z.looseObject({ openid: z.string().min(1) })
const TagBody = z.looseObject({ tag: z.looseObject({ id: z.int().optional(), name: z.string().min(1).optional() }) })
const TagMembers = z.looseObject({ openid_list: z.array(z.string()).min(1), tagid: z.int() })
const Send = z.looseObject({
  touser: z.string(),
  template_id: z.string(),
  page: z.string().optional(),
  client_msg_id: z.string().optional(),
  data: z.record(z.string(), z.looseObject({ value: z.union([z.string(), z.number()]).transform(String) })),
})
const Page = z.looseObject({
  path: z.string().default(''),
  query: z.string().max(1024).default(''),
  expire_type: z.union([z.literal(0), z.literal(1)]).default(0),
  expire_time: z.int().optional(),
  expire_interval: z.int().min(1).max(MAX_LINK_DAYS).optional(),
})

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

  function handle({ path, query, body, now, speed }: NeighbourRequest): Record<string, unknown> {
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
      let reply: Record<string, unknown>
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

function weixinRoutes(world: World): Record<string, Route> {
  const { state, seed } = world
  const account = { only: 'officialAccount' as const }
  const miniProgram = { only: 'miniProgram' as const }
  const ok = { errcode: 0, errmsg: 'ok' }
  const links = { calls: 500_000, windowMs: DAY_MS, errcode: 45009 as const, shared: 'links' }

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

    '/cgi-bin/user/get': {
      ...account,
      limit: { calls: 500, windowMs: DAY_MS, errcode: 45009 },
      handle: ({ params, appId, now }) => {
        meetPeople(world, now)
        const { total } = state.get<{ total: number }>(
          'SELECT count(*) AS total FROM weixin_user WHERE appid = ? AND subscribed = 1',
          appId,
        )!
        const openids = state
          .all<{ openid: string }>(
            'SELECT openid FROM weixin_user WHERE appid = ? AND subscribed = 1 AND openid > ? ORDER BY openid LIMIT ?',
            appId,
            text(params['next_openid']),
            PAGE,
          )
          .map((row) => row.openid)
        return { total, ...pageOf(openids) }
      },
    },
    '/cgi-bin/user/info': {
      ...account,
      handle: ({ params, appId, now }) => userInfo(readPerson(parse(OpenId, params).openid, appId, now)),
    },
    '/cgi-bin/user/info/batchget': {
      ...account,
      handle: ({ params, appId, now }) => {
        const { user_list: users } = parse(z.looseObject({ user_list: z.array(OpenId).min(1) }), params)
        if (users.length > 100) throw new Refusal(40032, 'invalid openid list size')
        return { user_info_list: users.map(({ openid }) => userInfo(readPerson(openid, appId, now))) }
      },
    },

    '/cgi-bin/tags/create': {
      ...account,
      handle: ({ params }) => {
        const name = tagName(params)
        if (state.get<{ n: number }>('SELECT count(*) AS n FROM weixin_tag')!.n >= MAX_TAGS) {
          throw new Refusal(45056, 'too many tag now, can not add new')
        }
        const id = Math.max(99, state.get<{ id: number | null }>('SELECT max(id) AS id FROM weixin_tag')!.id ?? 0) + 1
        state.run('INSERT INTO weixin_tag VALUES (?, ?)', id, name)
        return { tag: { id, name } }
      },
    },
    '/cgi-bin/tags/get': {
      ...account,
      handle: () => ({
        tags: state.all(
          `SELECT id, name, (SELECT count(*) FROM weixin_user_tag WHERE tag_id = id) AS count FROM weixin_tag ORDER BY id`,
        ),
      }),
    },
    '/cgi-bin/tags/update': {
      ...account,
      handle: ({ params }) => {
        const id = knownTag(parse(TagBody, params).tag.id)
        state.run('UPDATE weixin_tag SET name = ? WHERE id = ?', tagName(params, id), id)
        return ok
      },
    },
    '/cgi-bin/tags/delete': {
      ...account,
      handle: ({ params }) => {
        const id = knownTag(parse(TagBody, params).tag.id)
        state.run('DELETE FROM weixin_user_tag WHERE tag_id = ?', id)
        state.run('DELETE FROM weixin_tag WHERE id = ?', id)
        return ok
      },
    },
    '/cgi-bin/user/tag/get': {
      ...account,
      handle: ({ params }) => {
        const body = parse(z.looseObject({ tagid: z.int(), next_openid: z.string().default('') }), params)
        const rows = state.all<{ openid: string }>(
          'SELECT openid FROM weixin_user_tag WHERE tag_id = ? AND openid > ? ORDER BY openid LIMIT ?',
          knownTag(body.tagid),
          body.next_openid,
          PAGE,
        )
        return pageOf(rows.map((row) => row.openid))
      },
    },
    '/cgi-bin/tags/members/batchtagging': {
      ...account,
      handle: ({ params, appId, now }) => {
        const { id, openids } = tagMembers(params, appId, now)
        for (const openid of openids) {
          state.run('INSERT OR IGNORE INTO weixin_user_tag VALUES (?, ?)', id, openid)
          if (tagsOf(openid).length > MAX_TAGS_OF_ONE) throw new Refusal(45059, 'has too many tags')
        }
        return ok
      },
    },
    '/cgi-bin/tags/members/batchuntagging': {
      ...account,
      handle: ({ params, appId, now }) => {
        const { id, openids } = tagMembers(params, appId, now)
        for (const openid of openids)
          state.run('DELETE FROM weixin_user_tag WHERE tag_id = ? AND openid = ?', id, openid)
        return ok
      },
    },
    '/cgi-bin/tags/getidlist': {
      ...account,
      handle: ({ params, appId, now }) => ({
        tagid_list: tagsOf(readPerson(parse(OpenId, params).openid, appId, now).openid),
      }),
    },

    '/cgi-bin/message/template/send': {
      ...account,
      limit: { calls: 100_000, windowMs: DAY_MS, errcode: 45009 },
      handle: ({ params, appId, now }) => {
        const message = parse(Send, params)
        const before = message.client_msg_id && messageOfClient(message.client_msg_id)
        if (before) return { ...ok, msgid: before.seq }
        const person = readPerson(message.touser, appId, now)
        if (person.subscribed === 0) throw new Refusal(43004, 'require subscribe')
        return { ...ok, msgid: store('template', person, message, now) }
      },
    },
    '/cgi-bin/message/subscribe/send': { ...miniProgram, handle: sendSubscribe },
    '/cgi-bin/message/subscribe/bizsend': { ...account, handle: sendSubscribe },

    '/sns/jscode2session': {
      token: false,
      limit: { calls: 100, windowMs: MINUTE_MS, errcode: 45011, per: (params) => ownerOf(text(params['js_code'])) },
      handle: ({ params, now }) => {
        accountOf(world, { appid: text(params['appid']) || undefined, secret: text(params['secret']) || undefined })
        const person = useCode('login', text(params['js_code']), now)
        const session = hashKey(32, seed, 'session', person.openid, now.getTime())
        return {
          openid: person.openid,
          session_key: Buffer.from(session, 'hex').toString('base64'),
          unionid: person.unionid,
        }
      },
    },
    '/wxa/business/getuserphonenumber': {
      ...miniProgram,
      handle: ({ params, appId, now }) => {
        const person = useCode('phone', text(params['code']), now)
        // No Chinese mobile number begins with 000.
        const number = `000${String(intOf(10 ** 8, seed, 'phone', person.external_user_id)).padStart(8, '0')}`
        const watermark = { timestamp: Math.floor(now.getTime() / SECOND_MS), appid: appId }
        return { ...ok, phone_info: { phoneNumber: number, purePhoneNumber: number, countryCode: '86', watermark } }
      },
    },
    '/wxa/generate_urllink': {
      ...miniProgram,
      limit: links,
      handle: ({ params, now }) => ({ ...ok, url_link: `https://wxaurl.cn/${keepLink(parse(Page, params), now)}` }),
    },
    '/wxa/query_urllink': {
      ...miniProgram,
      handle: ({ params }) => {
        const key = /^https:\/\/wxaurl\.cn\/(\w+)/.exec(text(params['url_link']))?.[1] ?? ''
        const link = state.meta(`weixin_link_${key}`)
        if (link === undefined) throw new Refusal(40225, 'invalid url link')
        return { ...ok, url_link_info: JSON.parse(link) as unknown, quota_info: { remain_visit_quota: 3_000_000 } }
      },
    },
    '/wxa/generatescheme': {
      ...miniProgram,
      limit: links,
      handle: ({ params, now }) => {
        const page = parse(z.looseObject({ jump_wxa: z.looseObject({}).default({}) }), params)
        const key = keepLink(parse(Page, { ...page, ...page.jump_wxa }), now)
        return { ...ok, openlink: `weixin://dl/business/?t=${key}` }
      },
    },
    '/wxa/genwxashortlink': {
      ...miniProgram,
      handle: ({ params, now }) => {
        const schema = z.looseObject({
          page_url: z.string().min(1).max(1024),
          page_title: z.string().max(20).default(''),
        })
        const { page_url: url, page_title: title } = parse(schema, params)
        return { ...ok, link: `#小程序://${title || '沙盒'}/${hashKey(10, seed, 'short', url, now.getTime())}` }
      },
    },
  }

  function sendSubscribe({ params, appId, now }: Call): Record<string, unknown> {
    const message = parse(Send, params)
    const person = readPerson(message.touser, appId, now)
    const template = templateOf(message.template_id, ['subscribe_once', 'subscribe_long'])
    if (message.page?.startsWith('/') === true) throw new Refusal(41030, 'invalid page')
    const left = state.get<{ n: number }>(
      'SELECT n FROM weixin_consent WHERE openid = ? AND template_id = ?',
      person.openid,
      template.id,
    )
    if (left === undefined || left.n === 0) throw new Refusal(43101, 'user refuse to accept the msg')
    store('subscribe', person, message, now)
    if (template.kind === 'subscribe_once') {
      state.run('UPDATE weixin_consent SET n = n - 1 WHERE openid = ? AND template_id = ?', person.openid, template.id)
    }
    return ok
  }

  function store(kind: 'template' | 'subscribe', person: Person, message: z.infer<typeof Send>, now: Date): number {
    const template = templateOf(
      message.template_id,
      kind === 'template' ? ['template'] : ['subscribe_once', 'subscribe_long'],
    )
    const values = Object.fromEntries(Object.entries(message.data).map(([field, { value }]) => [field, value]))
    const wrong = wrongField(template.fields, values)
    if (wrong !== undefined) throw new Refusal(47003, `argument invalid! data.${wrong}.value invalid`)
    state.run(
      'INSERT INTO weixin_message (kind, openid, template_id, body, sent_ms, client_msg_id) VALUES (?, ?, ?, ?, ?, ?)',
      kind,
      person.openid,
      template.id,
      JSON.stringify(message),
      now.getTime(),
      message.client_msg_id ?? null,
    )
    return state.get<{ seq: number }>('SELECT max(seq) AS seq FROM weixin_message')!.seq
  }

  function messageOfClient(id: string): { seq: number } | undefined {
    return state.get<{ seq: number }>('SELECT seq FROM weixin_message WHERE client_msg_id = ?', id)
  }

  function templateOf(id: string, kinds: readonly string[]) {
    const template = world.scenario.weixin.templates.find((t) => t.id === id && kinds.includes(t.kind))
    if (template === undefined) throw new Refusal(40037, 'invalid template_id')
    return template
  }

  function readPerson(openid: string, appId: string, now: Date): Person {
    const person = personOf(world, openid, now)
    if (person === undefined) throw new Refusal(40003, 'invalid openid')
    if (person.appid !== appId) throw new Refusal(49003, 'not match openid with appid')
    return person
  }

  function userInfo({ openid, subscribed, unionid, subscribe_ms: since }: Person): Record<string, unknown> {
    if (subscribed === 0) return { subscribe: 0, openid, unionid }
    return {
      subscribe: 1,
      openid,
      language: 'zh_CN',
      subscribe_time: Math.floor(since / SECOND_MS),
      unionid,
      remark: '',
      groupid: 0,
      tagid_list: tagsOf(openid),
      subscribe_scene: 'ADD_SCENE_QR_CODE',
      qr_scene: 0,
      qr_scene_str: '',
    }
  }

  function tagsOf(openid: string): number[] {
    return state
      .all<{ tag_id: number }>('SELECT tag_id FROM weixin_user_tag WHERE openid = ? ORDER BY tag_id', openid)
      .map((row) => row.tag_id)
  }

  function tagName(params: Record<string, unknown>, ownId?: number): string {
    const { name } = parse(TagBody, params).tag
    if (name === undefined) throw new Refusal(45157, 'invalid tag name')
    if ([...name].length > 30) throw new Refusal(45158, 'tag name too long')
    const taken = state.get<{ id: number }>('SELECT id FROM weixin_tag WHERE name = ?', name)
    if (taken !== undefined && taken.id !== ownId) throw new Refusal(45157, 'invalid tag name')
    return name
  }

  function knownTag(id: number | undefined): number {
    if (id !== undefined && RESERVED_TAGS.has(id)) throw new Refusal(45058, "can't modify sys tag")
    if (id === undefined || state.get('SELECT 1 FROM weixin_tag WHERE id = ?', id) === undefined) {
      throw new Refusal(45159, 'invalid tag id')
    }
    return id
  }

  function tagMembers(params: Record<string, unknown>, appId: string, now: Date): { id: number; openids: string[] } {
    const { openid_list: openids, tagid } = parse(TagMembers, params)
    if (openids.length > 50) throw new Refusal(40032, 'invalid openid list size')
    return { id: knownTag(tagid), openids: openids.map((openid) => readPerson(openid, appId, now).openid) }
  }

  function ownerOf(code: string): string {
    return state.get<{ openid: string }>('SELECT openid FROM weixin_code WHERE code = ?', code)?.openid ?? ''
  }

  function useCode(kind: 'login' | 'phone', code: string, now: Date): Person {
    const row = state.get<{ openid: string; expires_ms: number; used: number }>(
      'SELECT openid, expires_ms, used FROM weixin_code WHERE code = ? AND kind = ?',
      code,
      kind,
    )
    if (row === undefined || now.getTime() >= row.expires_ms) throw new Refusal(40029, 'invalid code')
    if (row.used === 1) throw new Refusal(40163, 'code been used')
    state.run('UPDATE weixin_code SET used = 1 WHERE code = ?', code)
    return personOf(world, row.openid, now)!
  }

  /** @returns the link's key */
  function keepLink(page: z.infer<typeof Page>, now: Date): string {
    if (page.path.startsWith('/')) throw new Refusal(40165, 'invalid weapp pagepath')
    const nowS = Math.floor(now.getTime() / SECOND_MS)
    const dayS = DAY_MS / SECOND_MS
    const expireTime = page.expire_type === 1 ? nowS + (page.expire_interval ?? 1) * dayS : page.expire_time
    if (expireTime === undefined || expireTime <= nowS || expireTime > nowS + MAX_LINK_DAYS * dayS) {
      throw new Refusal(85400, 'expire_time must be in 30 days')
    }
    const n = Number(state.meta('weixin_links') ?? 0) + 1
    state.setMeta('weixin_links', String(n))
    const key = hashKey(11, seed, 'link', n)
    const info = { path: page.path, query: page.query, create_time: nowS, expire_time: expireTime }
    state.setMeta(`weixin_link_${key}`, JSON.stringify(info))
    return key
  }
}

function pageOf(openids: readonly string[]): Record<string, unknown> {
  return {
    count: openids.length,
    ...(openids.length > 0 && { data: { openid: openids } }),
    next_openid: openids.at(-1) ?? '',
  }
}

function parse<S extends z.ZodType>(schema: S, params: Record<string, unknown>): z.infer<S> {
  const result = schema.safeParse(params)
  if (result.success) return result.data
  const issue = result.error.issues[0]!
  throw new Refusal(47003, `argument invalid! ${issue.path.map(String).join('.')} ${issue.message}`)
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

function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
