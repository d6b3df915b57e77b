import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createPayClient, type PayClient } from '../../../src/adapters/wechat-pay/client.js'
import type { PayOptions } from '../../../src/adapters/wechat-pay/transport.js'
import { quietLog } from '../../../src/log.js'
import { payAccountOf } from '../../../sandbox/http/pay/keys.js'
import { personByContact, weixinAccountsOf } from '../../../sandbox/http/weixin/people.js'
import { identityOf } from '../../../sandbox/identity.js'
import { openServer } from '../../../sandbox/http/core/server.js'
import { payNeighbour } from '../../../sandbox/http/pay/pay.js'
import { PaySender } from '../../../sandbox/http/pay/outbox.js'
import { payControls } from '../../../sandbox/http/pay/control.js'
import { parseScenario, type ScenarioInput } from '../../../sandbox/scenario.js'
import { State } from '../../../sandbox/state.js'
import { World } from '../../../sandbox/world/world.js'
import { smallScenario } from '../support.js'

export const AT = new Date('2026-03-02T02:00:00Z') // 10:00 in Shanghai

export type PayStand = {
  url: string
  client: PayClient
  world: World
  account: ReturnType<typeof payAccountOf>
  appId: string
  /** Of the mini program. */
  openIdOf(externalUserId: string): string
  control(route: string, body?: unknown): Promise<unknown>
  sender: PaySender
  setNow(at: Date): void
  /** What happens to the next answers, in order: the request takes effect and its answer is lost, or is changed. */
  faults: ('lose' | 'forge' | 'strip' | 'html' | 'busy')[]
  requests: string[]
  clientWith(options: Partial<PayOptions>): PayClient
}

const opened: (() => Promise<void>)[] = []

export async function closeStands(): Promise<void> {
  for (let close = opened.pop(); close !== undefined; close = opened.pop()) await close()
}

/** WeChat Pay alone, on a port, with a clock that the test sets. */
export async function openPay(weixin: ScenarioInput['weixin'] = {}, limits = true): Promise<PayStand> {
  const seed = 1
  const state = new State(':memory:')
  const world = new World(state, seed, parseScenario(smallScenario({ weixin })), identityOf(seed), () => false)
  world.write(() => world.populate(AT))
  let nowMs = AT.getTime()
  const now = () => new Date(nowMs)
  const neighbour = payNeighbour(world, limits)
  const faults: PayStand['faults'] = []
  const requests: string[] = []
  const server = await openServer(
    async (request) => {
      requests.push(`${request.method} ${request.url}`)
      const { pathname: path, searchParams: query } = new URL(request.url, 'http://sandbox')
      const fault = faults.shift()
      if (fault === 'busy') return { status: 429, headers: {}, body: Buffer.from('{"code":"FREQUENCY_LIMITED"}') }
      const answer = neighbour.answer({ ...request, path, query, now: now(), speed: 1 })
      if (fault === 'lose') return undefined
      if (fault === 'html') return { status: 502, headers: {}, body: Buffer.from('<html>proxy</html>') }
      if (fault === 'forge') return { ...answer, body: Buffer.from(answer.body.toString().replace(/\d/, '7')) }
      if (fault === 'strip') return { ...answer, headers: {} }
      return answer
    },
    0,
    quietLog,
  )
  const url = `http://127.0.0.1:${server.port}`
  const account = payAccountOf(seed)
  const { appId } = weixinAccountsOf(seed).miniProgram
  const clientWith = (options: Partial<PayOptions>) => {
    const client = createPayClient({
      baseUrl: url,
      mchId: account.mchId,
      serialNo: account.serialNo,
      privateKey: account.privateKey,
      apiV3Key: account.apiV3Key,
      clock: { now },
      log: quietLog,
      pause: () => Promise.resolve(),
      ...options,
    })
    opened.push(async () => client.close())
    return client
  }
  const sender = new PaySender(world, now, quietLog)
  const controls = payControls(world, now, () => sender.deliver())
  opened.push(async () => {
    sender.stop()
    await server.close()
    state.close()
  })
  return {
    url,
    client: clientWith({}),
    world,
    account,
    appId,
    openIdOf: (externalUserId) => personByContact(world, appId, externalUserId, now())!.openid,
    control: async (route, body = {}) => (await controls[route]!(body, new URLSearchParams())).json,
    sender,
    setNow: (at) => (nowMs = at.getTime()),
    faults,
    requests,
    clientWith,
  }
}

export type Delivery = { headers: Record<string, string | undefined>; body: string }

/** Takes callbacks; answers with the status that `next` says, 204 by default. */
export async function openReceiver(next: () => number = () => 204): Promise<{ url: string; deliveries: Delivery[] }> {
  const deliveries: Delivery[] = []
  const server: Server = createServer((req, res) => {
    const chunks: Buffer[] = []
    req.on('data', (chunk: Buffer) => chunks.push(chunk))
    req.on('end', () => {
      deliveries.push({
        headers: req.headers as Record<string, string | undefined>,
        body: Buffer.concat(chunks).toString('utf8'),
      })
      res.writeHead(next()).end()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  opened.push(
    () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  )
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/pay`, deliveries }
}
