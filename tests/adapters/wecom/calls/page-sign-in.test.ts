import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import type { Sandbox } from '../../../../sandbox/sandbox.js'
import { createWecomClient, type WecomClient } from '../../../../src/adapters/wecom/client.js'
import { createSignIn } from '../../../../src/adapters/wecom/calls/sign-in.js'
import { quietLog } from '../../../../src/log.js'
import type { WecomSignIn } from '../../../../src/ports/wecom-sign-in.js'
import { open } from '../../../sandbox/support.js'

let sandbox: Sandbox
let client: WecomClient
let signIn: WecomSignIn

beforeEach(async () => {
  sandbox = await open()
  client = createWecomClient({
    baseUrl: sandbox.url,
    corpId: sandbox.corpId,
    agentId: sandbox.app.agentId,
    secret: sandbox.app.secret,
    clock: { now: () => sandbox.now() },
    log: quietLog,
  })
  signIn = createSignIn(client, sandbox.corpId)
})
afterEach(async () => {
  client.close()
  await sandbox.close()
})

async function visit(visitor: object): Promise<string> {
  const reply = await fetch(`${sandbox.url}/control/sign-in`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${sandbox.controlKey}`, 'Content-Type': 'application/json' },
    body: JSON.stringify(visitor),
  })
  expect(reply.status).toBe(200)
  return ((await reply.json()) as { code: string }).code
}

describe('signing in to our pages', () => {
  it('knows the member behind a code, once; customers and made-up codes are nobody', async () => {
    const code = await visit({ userId: 'g1' })
    expect(await signIn.memberOf(code)).toBe('g1')
    expect(await signIn.memberOf(code)).toBeUndefined()
    expect(await signIn.memberOf('made-up')).toBeUndefined()
    expect(await signIn.memberOf(await visit({ openId: 'oo1', externalUserId: 'wmc1' }))).toBeUndefined()
  })

  it('signs pages with tickets that are asked for once', async () => {
    const [corp, agent] = [
      await signIn.signature('corp', 'https://siyu.example.com/sidebar'),
      await signIn.signature('agent', 'https://siyu.example.com/sidebar'),
    ]
    expect(corp.signature).toMatch(/^[0-9a-f]{40}$/)
    expect(agent.signature).not.toBe(corp.signature)
    const calls = sandbox.counts().apiCalls
    await signIn.signature('corp', 'https://siyu.example.com/other')
    expect(sandbox.counts().apiCalls).toBe(calls)
  })

  it('sends the browser to WeCom with our address, the app and the state', () => {
    const url = new URL(signIn.authorizeUrl('https://siyu.example.com/sidebar/signed-in', 'abc123'))
    expect(Object.fromEntries(url.searchParams)).toMatchObject({
      appid: sandbox.corpId,
      redirect_uri: 'https://siyu.example.com/sidebar/signed-in',
      agentid: String(sandbox.app.agentId),
      state: 'abc123',
    })
    expect(url.hash).toBe('#wechat_redirect')
  })
})
