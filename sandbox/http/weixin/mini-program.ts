import { z } from 'zod'
import { hashKey, intOf } from '../../../src/random.js'
import { DAY_MS, MINUTE_MS, SECOND_MS } from '../../../src/time.js'
import type { World } from '../../world/world.js'
import { Refusal } from '../core/endpoint.js'
import { type Person, personOf } from './people.js'
import { type Call, MINI_PROGRAM, OK, parse, type Reply, type Routes, text } from './route.js'
import { accountOf } from './tokens.js'

const MAX_LINK_DAYS = 30
const LINKS = { calls: 500_000, windowMs: DAY_MS, errcode: 45009 as const, shared: 'links' }

const Page = z.looseObject({
  path: z.string().default(''),
  query: z.string().max(1024).default(''),
  expire_type: z.union([z.literal(0), z.literal(1)]).default(0),
  expire_time: z.int().optional(),
  expire_interval: z.int().min(1).max(MAX_LINK_DAYS).optional(),
})

/** The mini program: who signs in, with which number, and links to its pages. */
export function miniProgramRoutes(world: World): Routes {
  return {
    '/sns/jscode2session': {
      token: false,
      limit: {
        calls: 100,
        windowMs: MINUTE_MS,
        errcode: 45011,
        per: (params) => ownerOf(world, text(params['js_code'])),
      },
      handle: (call) => jscode2session(world, call),
    },
    '/wxa/business/getuserphonenumber': { ...MINI_PROGRAM, handle: (call) => getuserphonenumber(world, call) },
    '/wxa/generate_urllink': {
      ...MINI_PROGRAM,
      limit: LINKS,
      handle: ({ params, now }) => ({
        ...OK,
        url_link: `https://wxaurl.cn/${keepLink(world, parse(Page, params), now)}`,
      }),
    },
    '/wxa/query_urllink': { ...MINI_PROGRAM, handle: (call) => queryUrllink(world, call) },
    '/wxa/generatescheme': { ...MINI_PROGRAM, limit: LINKS, handle: (call) => generatescheme(world, call) },
    '/wxa/genwxashortlink': { ...MINI_PROGRAM, handle: (call) => genwxashortlink(world, call) },
  }
}

function jscode2session(world: World, { params, now }: Call): Reply {
  accountOf(world, { appid: text(params['appid']) || undefined, secret: text(params['secret']) || undefined })
  const person = useCode(world, 'login', text(params['js_code']), now)
  const session = hashKey(32, world.seed, 'session', person.openid, now.getTime())
  return {
    openid: person.openid,
    session_key: Buffer.from(session, 'hex').toString('base64'),
    unionid: person.unionid,
  }
}

function getuserphonenumber(world: World, { params, appId, now }: Call): Reply {
  const person = useCode(world, 'phone', text(params['code']), now)
  // No Chinese mobile number begins with 000.
  const number = `000${String(intOf(10 ** 8, world.seed, 'phone', person.external_user_id)).padStart(8, '0')}`
  const watermark = { timestamp: Math.floor(now.getTime() / SECOND_MS), appid: appId }
  return { ...OK, phone_info: { phoneNumber: number, purePhoneNumber: number, countryCode: '86', watermark } }
}

function queryUrllink({ state }: World, { params }: Call): Reply {
  const key = /^https:\/\/wxaurl\.cn\/(\w+)/.exec(text(params['url_link']))?.[1] ?? ''
  const link = state.meta(`weixin_link_${key}`)
  if (link === undefined) throw new Refusal(40225, 'invalid url link')
  return { ...OK, url_link_info: JSON.parse(link) as unknown, quota_info: { remain_visit_quota: 3_000_000 } }
}

function generatescheme(world: World, { params, now }: Call): Reply {
  const page = parse(z.looseObject({ jump_wxa: z.looseObject({}).default({}) }), params)
  const key = keepLink(world, parse(Page, { ...page, ...page.jump_wxa }), now)
  return { ...OK, openlink: `weixin://dl/business/?t=${key}` }
}

function genwxashortlink({ seed }: World, { params, now }: Call): Reply {
  const schema = z.looseObject({
    page_url: z.string().min(1).max(1024),
    page_title: z.string().max(20).default(''),
  })
  const { page_url: url, page_title: title } = parse(schema, params)
  return { ...OK, link: `#小程序://${title || '沙盒'}/${hashKey(10, seed, 'short', url, now.getTime())}` }
}

function ownerOf({ state }: World, code: string): string {
  return state.get<{ openid: string }>('SELECT openid FROM weixin_code WHERE code = ?', code)?.openid ?? ''
}

function useCode(world: World, kind: 'login' | 'phone', code: string, now: Date): Person {
  const row = world.state.get<{ openid: string; expires_ms: number; used: number }>(
    'SELECT openid, expires_ms, used FROM weixin_code WHERE code = ? AND kind = ?',
    code,
    kind,
  )
  if (row === undefined || now.getTime() >= row.expires_ms) throw new Refusal(40029, 'invalid code')
  if (row.used === 1) throw new Refusal(40163, 'code been used')
  world.state.run('UPDATE weixin_code SET used = 1 WHERE code = ?', code)
  return personOf(world, row.openid, now)!
}

/** @returns the link's key */
function keepLink({ state, seed }: World, page: z.infer<typeof Page>, now: Date): string {
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
