import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import Koa from 'koa'
import { bodyParser } from '@koa/bodyparser'

export type StubCall = { api: string; token: string; query: Record<string, unknown>; body: Record<string, unknown> }
/** JSON to answer (`httpStatus` sets the status); text is sent as it is (HTML of a proxy), but `hang` never answers, which `timeoutSignal` tells the client, and `cut` breaks the connection. */
export type StubAnswer = Record<string, unknown> | string

export interface WecomStub {
  readonly url: string
  /** Every call but gettoken, in order. */
  readonly calls: StubCall[]
  tokenCalls: number
  /** The token that is good now; others get 42001. */
  token: string
  /** Answers of a path below `/cgi-bin/`: a function, or one after the other, the last one for good. */
  on(api: string, ...answers: (StubAnswer | ((call: StubCall) => StubAnswer))[]): void
  /** For the client, in place of real time: ends its exchanges as soon as one of them is left without an answer. */
  timeoutSignal(): AbortSignal
  close(): Promise<void>
}

/** The smallest server that answers in WeCom's shapes; no behaviour of its own but tokens. */
export async function openWecomStub(): Promise<WecomStub> {
  const answers = new Map<string, (StubAnswer | ((call: StubCall) => StubAnswer))[]>()
  let hanging = new AbortController()
  const app = new Koa()
  app.use(bodyParser())
  const stub = {
    calls: [] as StubCall[],
    tokenCalls: 0,
    token: 'token-1',
    on: (api: string, ...given: (StubAnswer | ((call: StubCall) => StubAnswer))[]) => void answers.set(api, given),
  }

  app.use((ctx) => {
    const api = ctx.path.replace('/cgi-bin/', '')
    const body = (ctx.request.body ?? {}) as Record<string, unknown>
    const call: StubCall = { api, token: String(ctx.query['access_token'] ?? ''), query: { ...ctx.query }, body }
    let queue = answers.get(api)
    if (api === 'gettoken') {
      stub.tokenCalls++
      queue ??= [{ errcode: 0, errmsg: 'ok', access_token: stub.token, expires_in: 7200 }]
    } else {
      stub.calls.push(call)
      if (call.token !== stub.token) queue = [{ errcode: 42001, errmsg: 'access_token expired' }]
    }
    const next = queue !== undefined && queue.length > 1 ? queue.shift() : queue?.[0]
    const answer = typeof next === 'function' ? next(call) : next
    if (answer === 'hang') {
      ctx.respond = false
      hanging.abort(new DOMException('The operation was aborted due to timeout', 'TimeoutError'))
      hanging = new AbortController()
    } else if (answer === 'cut') {
      ctx.respond = false
      ctx.req.socket.destroy()
    } else if (answer === undefined) {
      ctx.status = 404
      ctx.body = ''
    } else {
      if (typeof answer === 'object' && typeof answer['httpStatus'] === 'number') ctx.status = answer['httpStatus']
      ctx.body = typeof answer === 'string' ? answer : JSON.stringify({ errcode: 0, errmsg: 'ok', ...answer })
      ctx.remove('Content-Type') // the platform's replies are read whatever their type, or without one
    }
  })

  const handle = app.callback()
  const server: Server = createServer((req, res) => void handle(req, res))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return Object.assign(stub, {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    timeoutSignal: () => hanging.signal,
    close: () =>
      new Promise<void>((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  })
}
