import { afterEach, describe, expect, it } from '@jest/globals'
import { createWechatClient, type WechatClient } from '../../../src/adapters/wechat/client.js'
import { WechatError } from '../../../src/adapters/wechat/error-codes.js'
import type { WechatOptions } from '../../../src/adapters/wechat/transport.js'
import { UnknownOutcomeError } from '../../../src/errors.js'
import { quietLog } from '../../../src/log.js'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../../src/time.js'
import { openServer } from '../../../sandbox/http/core/server.js'
import { weixinControls } from '../../../sandbox/http/weixin/control.js'
import { personByContact, weixinAccountsOf } from '../../../sandbox/http/weixin/people.js'
import { wrongField } from '../../../sandbox/http/weixin/template-values.js'
import { weixinNeighbour } from '../../../sandbox/http/weixin/weixin.js'
import { identityOf } from '../../../sandbox/identity.js'
import { parseScenario } from '../../../sandbox/scenario.js'
import { State } from '../../../sandbox/state.js'
import { World } from '../../../sandbox/world/world.js'
import { contact, smallScenario } from '../support.js'

const AT = new Date('2026-03-02T02:00:00Z')
const TEMPLATE = 'sandbox-template-order'
const ONCE = 'sandbox-subscribe-coupon'
const LONG = 'sandbox-subscribe-service'

type Stand = {
  world: World
  account: WechatClient
  miniProgram: WechatClient
  clientWith(options: Partial<WechatOptions>, which?: 'officialAccount' | 'miniProgram'): WechatClient
  openIdOf(externalUserId: string, which?: 'officialAccount' | 'miniProgram'): string
  control(route: string, body?: unknown): Promise<Record<string, unknown>>
  setNow(at: Date): void
  /** For the next answers, in order. */
  faults: ('lose' | 'html' | { errcode: number })[]
  /** Paths, without queries. */
  requests: string[]
}
const closers: (() => Promise<void> | void)[] = []

afterEach(async () => {
  for (let close = closers.pop(); close !== undefined; close = closers.pop()) await close()
})

/** Everybody follows the account. */
async function openWeixin(followRatio = 1, contacts = 5): Promise<Stand> {
  const seed = 1
  const state = new State(':memory:')
  const more = Array.from({ length: contacts }, (_, i) => contact(`wmc${i + 1}`, 'g1', { unionId: `ou${i + 1}` }))
  const scenario = parseScenario(smallScenario({ weixin: { followRatio }, contacts: more }))
  const world = new World(state, seed, scenario, identityOf(seed), () => false)
  world.write(() => world.populate(AT))
  let nowMs = AT.getTime()
  const now = () => new Date(nowMs)
  const neighbour = weixinNeighbour(world, true)
  const faults: Stand['faults'] = []
  const requests: string[] = []
  const server = await openServer(
    async (request) => {
      const { pathname: path, searchParams: query } = new URL(request.url, 'http://sandbox')
      requests.push(path)
      if (!neighbour.matches(path, query)) return { status: 404, headers: {}, body: Buffer.alloc(0) }
      const fault = faults.shift()
      if (typeof fault === 'object') return { status: 200, headers: {}, body: Buffer.from(JSON.stringify(fault)) }
      const answer = neighbour.answer({ ...request, path, query, now: now(), speed: 1 })
      if (fault === 'lose') return undefined
      return fault === 'html' ? { status: 502, headers: {}, body: Buffer.from('<html>') } : answer
    },
    0,
    quietLog,
  )
  const accounts = weixinAccountsOf(seed)
  const clientWith: Stand['clientWith'] = (options, which = 'officialAccount') => {
    const client = createWechatClient({
      baseUrl: `http://127.0.0.1:${server.port}`,
      ...accounts[which],
      clock: { now },
      log: quietLog,
      pause: () => Promise.resolve(),
      ...options,
    })
    closers.push(() => client.close())
    return client
  }
  const controls = weixinControls(world, now)
  closers.push(async () => {
    await server.close()
    state.close()
  })
  return {
    world,
    account: clientWith({}),
    miniProgram: clientWith({}, 'miniProgram'),
    clientWith,
    openIdOf: (id, which = 'miniProgram') => personByContact(world, accounts[which].appId, id, now())!.openid,
    control: async (route, body = {}) =>
      (await controls[route]!(body, new URLSearchParams())).json as Record<string, unknown>,
    setNow: (at) => (nowMs = at.getTime()),
    faults,
    requests,
  }
}

async function collect<T>(pages: AsyncIterable<T[]>): Promise<T[]> {
  const all: T[] = []
  for await (const page of pages) all.push(...page)
  return all
}

const tokenCalls = ({ requests }: Stand) => requests.filter((r) => r.endsWith('token')).length

describe('tokens', () => {
  it('are fetched once for ten callers, and once more when all ten find them stale', async () => {
    const stand = await openWeixin()
    const ten = () => Promise.all(Array.from({ length: 10 }, () => stand.account.followers.tags.list()))
    await ten()
    expect(tokenCalls(stand)).toBe(1)
    // The platform forgets the token: the ordinary fetch still brings the old one, so a new one is forced.
    stand.requests.length = 0
    stand.faults.push(...Array.from({ length: 10 }, () => ({ errcode: 40001 })))
    await ten()
    expect(stand.requests.filter((r) => r.endsWith('stable_token'))).toHaveLength(2)
  })

  it.each(['stable_token', 'token'] as const)('of %s are renewed before they end', async (tokenApi) => {
    const stand = await openWeixin()
    const client = stand.clientWith({ tokenApi })
    await client.followers.tags.list()
    stand.setNow(new Date(AT.getTime() + 2 * HOUR_MS - 30_000))
    await client.followers.tags.list()
    expect(stand.requests.filter((r) => r === `/cgi-bin/${tokenApi}`)).toHaveLength(2)
    expect(stand.requests).toHaveLength(4)
  })

  it('of two processes are the same one when stable', async () => {
    const stand = await openWeixin()
    const other = stand.clientWith({})
    await stand.account.followers.tags.list()
    await other.followers.tags.list()
    await stand.account.followers.tags.list()
    expect(stand.requests).toHaveLength(5) // nobody had to renew
  })

  it('with a wrong secret are asked for once a minute, and the error names no secret', async () => {
    const stand = await openWeixin()
    const client = stand.clientWith({ secret: 'guessed-secret' })
    for (const _ of [1, 2, 3]) {
      const asking = client.followers.tags.list()
      await expect(asking).rejects.toMatchObject({ errcode: 40125, meaning: 'tell_a_person' })
      await expect(asking).rejects.not.toThrow(/guessed-secret/)
    }
    expect(tokenCalls(stand)).toBe(1)
    stand.setNow(new Date(AT.getTime() + MINUTE_MS))
    await expect(client.followers.tags.list()).rejects.toThrow(WechatError)
    expect(tokenCalls(stand)).toBe(2)
  })
})

describe('followers', () => {
  it('are listed to the last page with their unionids', async () => {
    const stand = await openWeixin(1, 250)
    const ids = await collect(stand.account.followers.ids())
    expect(new Set(ids).size).toBe(250)
    const followers = await collect(stand.account.followers.getMany(ids))
    expect(followers.map((f) => f.openid)).toEqual(ids)
    expect(new Set(followers.map((f) => f.unionid)).size).toBe(250)
    expect(stand.requests.filter((r) => r.endsWith('batchget'))).toHaveLength(3)
  })

  it('who left show no more than who they are', async () => {
    const stand = await openWeixin()
    const openid = stand.openIdOf('wmc1', 'officialAccount')
    await stand.control('POST /control/weixin/follow', { openid, follows: false })
    const follower = await stand.account.followers.get(openid)
    expect(follower).toEqual(expect.objectContaining({ subscribe: 0, openid, unionid: 'ou1' }))
    expect(follower).not.toHaveProperty('subscribe_time')
    expect(await collect(stand.account.followers.ids())).not.toContain(openid)
    await expect(stand.account.followers.get('oNobody')).rejects.toMatchObject({ meaning: 'give_up_recipient' })
  })

  it('carry tags, up to 20, and one refusal leaves a batch undone', async () => {
    const stand = await openWeixin()
    const { tags } = stand.account.followers
    const openid = stand.openIdOf('wmc1', 'officialAccount')
    const ids: number[] = []
    for (let i = 0; i < 21; i++) ids.push(await tags.create(`标签${i}`))
    for (const id of ids.slice(0, 20)) await tags.mark(id, [openid])
    await expect(tags.mark(ids[20]!, [openid])).rejects.toMatchObject({ errcode: 45059 })
    expect(await tags.of(openid)).toEqual(ids.slice(0, 20))
    expect(await collect(tags.followers(ids[0]!))).toEqual([openid])
    await tags.unmark(ids[0]!, [openid])
    await tags.rename(ids[1]!, '改名')
    await tags.delete(ids[2]!)
    expect((await tags.list()).slice(0, 2)).toMatchObject([{ count: 0 }, { name: '改名', count: 1 }])
    await expect(tags.create('改名')).rejects.toMatchObject({ errcode: 45157 })
    await expect(tags.delete(2)).rejects.toMatchObject({ errcode: 45058 })
  })

  it('may be listed 500 times a day', async () => {
    const stand = await openWeixin(0)
    const { account } = stand
    for (let i = 0; i < 500; i++) await collect(account.followers.ids())
    await expect(collect(account.followers.ids())).rejects.toMatchObject({ errcode: 45009, meaning: 'slow_down' })
    stand.setNow(new Date(AT.getTime() + DAY_MS))
    expect(await collect(account.followers.ids())).toEqual([])
  })
})

describe('messages', () => {
  const data = { thing1: '秋季新品', time2: '2026-03-02 10:00' }

  it('of templates reach followers only, once per client_msg_id', async () => {
    const stand = await openWeixin()
    const openId = stand.openIdOf('wmc1', 'officialAccount')
    const message = { openId, templateId: TEMPLATE, data, clientMsgId: 'order-1' }
    stand.faults.push({ errcode: -1 }) // spent on the token, which is asked for again
    const { msgId } = await stand.account.messages.template(message)
    stand.faults.push('lose')
    expect(await stand.account.messages.template(message)).toEqual({ msgId })
    const { messages } = await stand.control('GET /control/weixin/messages')
    expect(messages).toHaveLength(1)

    await stand.control('POST /control/weixin/follow', { openid: openId, follows: false })
    await expect(stand.account.messages.template({ ...message, clientMsgId: 'order-2' })).rejects.toMatchObject({
      errcode: 43004,
      meaning: 'give_up_recipient',
    })
  })

  it('without client_msg_id are never repeated', async () => {
    const stand = await openWeixin()
    const openId = stand.openIdOf('wmc1', 'officialAccount')
    await stand.account.followers.tags.list()
    stand.faults.push('lose')
    const sending = stand.account.messages.template({ openId, templateId: TEMPLATE, data })
    await expect(sending).rejects.toBeInstanceOf(UnknownOutcomeError)
    expect(stand.requests.filter((r) => r.endsWith('template/send'))).toHaveLength(1)
  })

  it('by consent: one each time, or as long as it is not taken back', async () => {
    const stand = await openWeixin()
    const openId = stand.openIdOf('wmc1')
    const once = { openId, templateId: ONCE, data: { thing1: '优惠券', amount2: '20元', time3: '2026年3月2日 10:00' } }
    const refused = { errcode: 43101, meaning: 'give_up_recipient' }
    await expect(stand.miniProgram.messages.subscribe(once)).rejects.toMatchObject(refused)
    await stand.control('POST /control/weixin/consent', { openid: openId, templateId: ONCE })
    await stand.miniProgram.messages.subscribe(once)
    await expect(stand.miniProgram.messages.subscribe(once)).rejects.toMatchObject(refused)

    const long = { openId, templateId: LONG, data }
    await stand.control('POST /control/weixin/consent', { openid: openId, templateId: LONG })
    for (const _ of [1, 2]) await stand.miniProgram.messages.subscribe(long)
    await expect(stand.account.messages.subscribeByAccount(long)).rejects.toMatchObject({ errcode: 49003 })
  })

  it.each([
    ['a value too long', { ...data, thing1: '字'.repeat(21) }, 47003],
    ['a value missing', { thing1: '秋季新品' }, 47003],
  ])('with %s are refused', async (_what, wrong, errcode) => {
    const stand = await openWeixin()
    const openId = stand.openIdOf('wmc1', 'officialAccount')
    const sending = stand.account.messages.template({ openId, templateId: TEMPLATE, data: wrong })
    await expect(sending).rejects.toMatchObject({ errcode, meaning: 'give_up_request' })
    await expect(stand.account.messages.template({ openId, templateId: 'another', data })).rejects.toMatchObject({
      errcode: 40037,
    })
  })

  it.each([
    ['number1', '12.5', true],
    ['number1', '12元', false],
    ['amount2', '¥99.90', true],
    ['amount2', '20元', true],
    ['amount2', '二十元', false],
    ['character_string3', 'SN-2026', true],
    ['character_string3', '编号1', false],
    ['name4', '十个汉字的名字就是这么', false],
    ['phrase5', '已发货', true],
    ['phrase5', 'sent', false],
    ['time6', '10:05', true],
    ['date7', '2026年3月2日', true],
    ['phone_number8', '+86-00000000000', true],
    ['letter9', 'abc1', false],
  ])('field %s takes "%s": %s', (field, value, fits) => {
    expect(wrongField([field], { [field]: value }) === undefined).toBe(fits)
  })
})

describe('the mini program', () => {
  it('signs a person in once per code, within five minutes', async () => {
    const stand = await openWeixin()
    const login = async () =>
      (await stand.control('POST /control/weixin/login', { externalUserId: 'wmc1' }))['code'] as string
    const code = await login()
    const session = await stand.miniProgram.miniProgram.signIn(code)
    expect(session).toMatchObject({ openId: stand.openIdOf('wmc1'), unionId: 'ou1' })
    expect(session.sessionKey).not.toBe('')
    await expect(stand.miniProgram.miniProgram.signIn(code)).rejects.toMatchObject({ errcode: 40163 })
    const late = await login()
    stand.setNow(new Date(AT.getTime() + 5 * MINUTE_MS))
    await expect(stand.miniProgram.miniProgram.signIn(late)).rejects.toMatchObject({ errcode: 40029 })
  })

  it('a lost answer to a sign-in is not asked for again: the code is spent', async () => {
    const stand = await openWeixin()
    const { code } = await stand.control('POST /control/weixin/login', { externalUserId: 'wmc1' })
    stand.faults.push('html')
    const signing = stand.miniProgram.miniProgram.signIn(code as string)
    await expect(signing).rejects.toBeInstanceOf(UnknownOutcomeError)
    await expect(signing).rejects.not.toThrow(/sandbox-mp-secret|sandbox-code/)
    expect(stand.requests).toHaveLength(1)
  })

  it('lets a person sign in 100 times a minute', async () => {
    const stand = await openWeixin()
    const signIn = async () => {
      const { code } = await stand.control('POST /control/weixin/login', { externalUserId: 'wmc1' })
      return stand.miniProgram.miniProgram.signIn(code as string)
    }
    for (let i = 0; i < 100; i++) await signIn()
    await expect(signIn()).rejects.toMatchObject({ errcode: 45011 })
  })

  it('tells the phone number for a code of its button', async () => {
    const stand = await openWeixin()
    const { code } = await stand.control('POST /control/weixin/phone', { externalUserId: 'wmc1' })
    const phone = await stand.miniProgram.miniProgram.phoneNumber(code as string)
    expect(phone).toEqual({ phone: expect.stringMatching(/^000\d{8}$/) as unknown, countryCode: '86' })
  })

  it('makes links that say where they lead and when they end', async () => {
    const stand = await openWeixin()
    const { miniProgram } = stand.miniProgram
    const link = await miniProgram.urlLink({ path: 'pages/index', query: 'from=siyu', days: 30 })
    expect(link).toMatch(/^https:\/\/wxaurl\.cn\/\w+$/)
    expect(await miniProgram.urlLinkInfo(link)).toEqual({
      path: 'pages/index',
      query: 'from=siyu',
      expiresAt: new Date(AT.getTime() + 30 * DAY_MS),
    })
    expect(await miniProgram.scheme({ path: 'pages/index', days: 1 })).toMatch(/^weixin:\/\/dl\/business\/\?t=\w+$/)
    expect(await miniProgram.shortLink('pages/index?a=1', '首页')).toMatch(/^#小程序:\/\/首页\//)
    await expect(miniProgram.urlLink({ path: '/pages/index', days: 1 })).rejects.toMatchObject({ errcode: 40165 })
    await expect(miniProgram.urlLink({ days: 31 })).rejects.toMatchObject({ meaning: 'give_up_request' })
  })

  it('and the account each make their own calls only', async () => {
    const stand = await openWeixin()
    await expect(stand.miniProgram.followers.tags.list()).rejects.toMatchObject({
      errcode: 48001,
      meaning: 'tell_a_person',
    })
  })
})
