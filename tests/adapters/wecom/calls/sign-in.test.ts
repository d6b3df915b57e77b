import axios from 'axios'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { signInUrl, signPage, webSignInUrl } from '../../../../src/adapters/wecom/calls/sign-in.js'
import { HOUR_MS, MINUTE_MS } from '../../../../src/time.js'
import { client as bareClient } from '../../../sandbox/support.js'
import { codeOf, openStand, type Stand } from '../stand.js'

let stand: Stand

beforeEach(async () => {
  stand = await openStand()
})
afterEach(() => stand.close())

const visit = async (who: object) => (await stand.control<{ code: string }>('sign-in', who)).code
const wait = (ms: number) => stand.sandbox.advanceTo(new Date(stand.sandbox.now().getTime() + ms))

describe('visitors', () => {
  it('are members by their id, or outsiders', async () => {
    const { signIn } = stand.client
    expect(await signIn.visitor(await visit({ userId: 'G1' }))).toEqual({ kind: 'member', userId: 'g1' })
    expect(await signIn.visitor(await visit({ openId: 'o1' }))).toEqual({ kind: 'outsider', openId: 'o1' })
    expect(await signIn.visitor(await visit({ openId: 'o1', externalUserId: 'wmc1' }))).toEqual({
      kind: 'outsider',
      openId: 'o1',
      externalUserId: 'wmc1',
    })
  })

  it('come with a code that works once, within 5 minutes, for its app', async () => {
    const code = await visit({ userId: 'g1' })
    expect(await codeOf(stand.other.signIn.visitor(code))).toBe(40029)
    await stand.client.signIn.visitor(code)
    expect(await codeOf(stand.client.signIn.visitor(code))).toBe(42022)
    const late = await visit({ userId: 'g1' })
    await wait(5 * MINUTE_MS)
    expect(await codeOf(stand.client.signIn.visitor(late))).toBe(42003)
    expect(await codeOf(stand.client.signIn.visitor('CODEnothing'))).toBe(40029)
  })

  it('show what they agreed to for 30 minutes', async () => {
    const visitor = await stand.client.signIn.visitor(await visit({ userId: 'g1', privateInfo: true }))
    if (visitor.kind !== 'member' || visitor.ticket === undefined) throw new Error('a ticket was expected')
    const details = await stand.client.signIn.details(visitor.ticket)
    expect(details).toMatchObject({ userid: 'g1', gender: '0', biz_mail: 'g1@sandbox.invalid' })
    expect(details.mobile).toMatch(/^100\d{8}$/) // no number in China begins like this
    await wait(30 * MINUTE_MS)
    expect(await codeOf(stand.client.signIn.details(visitor.ticket))).toBe(84014)
    expect(await codeOf(stand.client.signIn.details('nothing'))).toBe(84015)
  })

  it('are told in capitals by the old call', async () => {
    const api = await bareClient(stand.sandbox)
    expect(await api.get('user/getuserinfo', { code: await visit({ userId: 'g1' }) })).toMatchObject({ UserId: 'g1' })
    expect(await api.get('user/getuserinfo', { code: await visit({ openId: 'o1' }) })).toMatchObject({ OpenId: 'o1' })
  })
})

it.each([
  ['inside WeCom', signInUrl],
  ['on a desk', webSignInUrl],
])('leads from a page %s through the sandbox and back', async (_where, urlOf) => {
  const { corpId, app, url: origin } = stand.sandbox
  const redirectUrl = 'https://siyu.example.com/back?x=1'
  const page = urlOf({ corpId, agentId: app.agentId, redirectUrl, state: 's1', origin }).replace('#wechat_redirect', '')
  const get = (url: string) => axios.get<string>(url, { maxRedirects: 0, validateStatus: () => true, proxy: false })
  expect((await get(page)).data).toContain('导购 002')
  const { status, headers } = await get(`${page}&userid=g2`)
  const back = new URL(String(headers['location']))
  expect([status, back.searchParams.get('x'), back.searchParams.get('state')]).toEqual([302, '1', 's1'])
  const visitor = await stand.client.signIn.visitor(back.searchParams.get('code') ?? '')
  expect(visitor).toMatchObject({ kind: 'member', userId: 'g2' })
  expect((await get(page.replace(corpId, 'wwOther'))).status).toBe(400)
})

describe('page signatures', () => {
  it('match the published example', () => {
    const page = {
      ticket: 'sM4AOVdWfPE4DxkXGEs8VMCPGGVi4C3VM0P37wVUCFvkVAy_90u5h9nbSlYy3-Sl-HhTdfl2fzFy1AOcHKP7qg',
      nonceStr: 'Wm3WZYTPz0wzccnW',
      timestamp: 1414587457,
      url: 'http://mp.weixin.qq.com?params=value',
    }
    expect(signPage(page)).toBe('0f9de62fce790f9a083d5c99e95740ceb90c27ed')
    expect(signPage({ ...page, url: `${page.url}#here` })).toBe('0f9de62fce790f9a083d5c99e95740ceb90c27ed')
  })

  it('are made with a ticket that is kept until it expires, one for each identity', async () => {
    const url = 'https://siyu.example.com/sidebar?a=1'
    const callsBefore = stand.sandbox.counts().apiCalls
    const signed = await stand.client.signIn.signPage(url, 'agent')
    for (let i = 0; i < 20; i++) await stand.client.as('welcome').signIn.signPage(url, 'agent')
    expect(stand.sandbox.counts().apiCalls - callsBefore).toBe(2) // the token and one ticket
    const api = await bareClient(stand.sandbox)
    const { ticket } = await api.get('ticket/get', { type: 'agent_config' })
    expect(signed.signature).toBe(signPage({ ticket: String(ticket), url, ...signed }))

    const corp = await stand.client.signIn.signPage(url, 'corp')
    const { ticket: corpTicket } = await api.get('get_jsapi_ticket')
    expect(corpTicket).not.toBe(ticket)
    expect(corp.signature).toBe(signPage({ ticket: String(corpTicket), url, ...corp }))

    await wait(2 * HOUR_MS)
    const renewed = await stand.client.signIn.signPage(url, 'agent')
    const { ticket: nextTicket } = await api
      .get('ticket/get', { type: 'agent_config' })
      .then(async (reply) =>
        reply.errcode === 42001 ? (await bareClient(stand.sandbox)).get('ticket/get', { type: 'agent_config' }) : reply,
      )
    expect(nextTicket).not.toBe(ticket)
    expect(renewed.signature).toBe(signPage({ ticket: String(nextTicket), url, ...renewed }))
    expect((await api.get('ticket/get', { type: 'wx_card' })).errcode).not.toBe(0)
  })
})

it('sends people to sign in where WeCom wants them', () => {
  const page = { corpId: 'ww1', agentId: 1000002, redirectUrl: 'https://a.example.com/back?x=1', state: 's1' }
  expect(signInUrl(page)).toBe(
    'https://open.weixin.qq.com/connect/oauth2/authorize?appid=ww1&redirect_uri=https%3A%2F%2Fa.example.com%2Fback%3Fx%3D1&response_type=code&scope=snsapi_base&state=s1&agentid=1000002#wechat_redirect',
  )
  expect(signInUrl({ ...page, privateInfo: true })).toContain('scope=snsapi_privateinfo')
  expect(webSignInUrl(page)).toBe(
    'https://login.work.weixin.qq.com/wwlogin/sso/login?login_type=CorpApp&appid=ww1&agentid=1000002&redirect_uri=https%3A%2F%2Fa.example.com%2Fback%3Fx%3D1&state=s1&lang=zh',
  )
})
