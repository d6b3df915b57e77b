import { afterEach, describe, expect, it } from '@jest/globals'
import axios from 'axios'
import { createWechatClient } from '../../../src/adapters/wechat/client.js'
import { createPayClient } from '../../../src/adapters/wechat-pay/client.js'
import { quietLog } from '../../../src/log.js'
import { DAY_MS, MINUTE_MS, systemClock } from '../../../src/time.js'
import { sandboxCommand } from '../../../sandbox/command.js'
import type { Sandbox } from '../../../sandbox/sandbox.js'
import { closeStands, openReceiver } from '../pay/support.js'
import { open, smallScenario, START } from '../support.js'

const closers: (() => Promise<void> | void)[] = []

afterEach(async () => {
  for (let close = closers.pop(); close !== undefined; close = closers.pop()) await close()
  await closeStands()
})

function payClientOf(sandbox: Sandbox) {
  const { mchId, serialNo, privateKey, apiV3Key } = sandbox.pay()
  const clock = { now: () => sandbox.now() }
  const settings = { baseUrl: sandbox.url, mchId, serialNo, privateKey, apiV3Key, clock, log: quietLog }
  const client = createPayClient(settings)
  closers.push(() => client.close())
  return client
}

const control = async (sandbox: Sandbox, path: string, body?: unknown): Promise<Record<string, unknown>> =>
  (
    await axios.request<Record<string, unknown>>({
      url: `${sandbox.url}/control/${path}`,
      method: body === undefined ? 'GET' : 'POST',
      data: body,
      headers: { Authorization: `Bearer ${sandbox.controlKey}` },
      proxy: false,
    })
  ).data

describe('beside WeCom, on one port', () => {
  it('a path that both have goes to the one whose token it is', async () => {
    const sandbox = await open(smallScenario({ weixin: { followRatio: 1 } }))
    closers.push(() => sandbox.close())
    const account = createWechatClient({
      baseUrl: sandbox.url,
      ...sandbox.weixin().officialAccount,
      clock: { now: () => sandbox.now() },
      log: quietLog,
    })
    closers.push(() => account.close())
    const ids: string[] = []
    for await (const page of account.followers.ids()) ids.push(...page)
    expect(ids).toHaveLength(5)

    const { corpId, app } = sandbox
    const get = async (path: string, params: Record<string, string>) =>
      (await axios.get<Record<string, unknown>>(sandbox.url + path, { params, proxy: false })).data
    const { access_token } = await get('/cgi-bin/gettoken', { corpid: corpId, corpsecret: app.secret })
    const member = await get('/cgi-bin/user/get', { access_token: String(access_token), userid: 'g1' })
    expect(member).toMatchObject({ errcode: 0, userid: 'g1' })
  })

  it('callbacks of WeChat Pay that were not taken come again as the clock moves', async () => {
    const sandbox = await open()
    closers.push(() => sandbox.close())
    const statuses = [500]
    const receiver = await openReceiver(() => statuses.shift() ?? 204)
    const { cashCoupons, readCallback } = payClientOf(sandbox)
    await cashCoupons.setCallbackUrl(receiver.url)
    const { stockId } = await cashCoupons.createStock(
      {
        name: '满减',
        availableFrom: START,
        availableUntil: new Date(START.getTime() + DAY_MS),
        couponAmountMinor: 100,
        minimumAmountMinor: 200,
        maxCoupons: 1,
        maxCouponsPerUser: 1,
        noCash: true,
      },
      'stock-1',
    )
    await cashCoupons.start(stockId)
    const { people } = (await control(sandbox, 'weixin/people')) as { people: { openid: string; appid: string }[] }
    const { openid, appid } = people[0]!
    const { couponId } = await cashCoupons.send({ openId: openid, appId: appid, stockId, requestNo: 'send-1' })
    await control(sandbox, 'pay/use', { couponId })
    expect(receiver.deliveries).toHaveLength(1)
    await sandbox.advanceTo(new Date(START.getTime() + 5 * MINUTE_MS))
    expect(receiver.deliveries).toHaveLength(2)
    expect(await readCallback(receiver.deliveries[1]!)).toMatchObject({ coupon: { coupon_id: couponId } })
  })

  it('beside a fast clock signatures carry real time, so that clients need no other clock', async () => {
    const sandbox = await open(smallScenario(), { clock: '1000x' })
    closers.push(() => sandbox.close())
    const { mchId, serialNo, privateKey, apiV3Key } = sandbox.pay()
    const settings = { baseUrl: sandbox.url, mchId, serialNo, privateKey, apiV3Key, clock: systemClock, log: quietLog }
    const client = createPayClient(settings)
    closers.push(() => client.close())
    expect(await client.cashCoupons.callbackUrl()).toBe('')
  })

  it('programs are told every key in the first line', async () => {
    const lines: string[] = []
    const sandbox = await sandboxCommand({
      clock: 'step',
      startAt: START,
      json: true,
      write: (line) => lines.push(line),
    })
    closers.push(() => sandbox.close())
    const told = JSON.parse(lines[0]!) as Record<string, unknown>
    expect(told['pay']).toEqual(sandbox.pay())
    expect(told['weixin']).toEqual(sandbox.weixin())
  })
})
