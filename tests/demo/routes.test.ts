import type { AddressInfo } from 'node:net'
import { createServer, type Server } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import Koa from 'koa'
import type { DemoStatus } from '../../demo/demo-status.js'
import { createDemoRoutes } from '../../demo/routes.js'

const status: DemoStatus = {
  phase: 'live',
  virtualNow: '2011-10-01T09:15:00.000Z',
  from: '2011-09-10T12:00:00.000Z',
  to: '2011-12-09T12:50:00.000Z',
  progress: 0.23,
  profiles: 4_511,
  merges: 4_380,
  events: 401_233,
  touches: { planned: 12, delivered: 30 },
  tasks: { open: 4, done: 9 },
  journeys: { 'dormant-vip': { entered: 18, waiting: 3, heldOut: 2 } },
  recent: [{ at: '2011-10-01T09:10:00.000Z', kind: 'delivered', text: '送达 1 条 1 delivered' }],
  messagesPerDay: [0, 3, 27],
}

describe('demo routes', () => {
  let server: Server
  let base: string
  let report: string | undefined

  beforeAll(async () => {
    const app = new Koa()
    const routes = createDemoRoutes({
      status: () => status,
      report: () => report,
      lang: 'en',
      requireKey: async (ctx, next) => {
        if (ctx.get('Authorization') !== 'Bearer right') ctx.throw(401)
        await next()
      },
    })
    app.silent = true
    app.use(routes.routes())
    const answer = app.callback()
    server = createServer((request, response) => void answer(request, response))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  afterAll(() => new Promise((resolve) => server.close(resolve)))

  const get = (path: string, key?: string) =>
    fetch(base + path, { headers: key === undefined ? {} : { Authorization: `Bearer ${key}` } })

  it('gives the page to anybody, with nothing but itself allowed', async () => {
    const answer = await get('/demo')
    expect(answer.status).toBe(200)
    expect(answer.headers.get('content-type')).toContain('text/html')
    expect(answer.headers.get('content-security-policy')).toContain("default-src 'none'")
    const html = await answer.text()
    expect(html).toContain('<html lang="en">')
    expect(html).toContain('Authorization: `Bearer ${key}`')
    expect(html).not.toMatch(/https?:\/\/(?!www\.w3\.org\/2000\/svg)/)
  })

  it.each(['/demo/status', '/demo/report'])('keeps %s behind the key', async (path) => {
    expect((await get(path)).status).toBe(401)
    expect((await get(path, 'wrong')).status).toBe(401)
  })

  it('gives the status as JSON that no cache keeps', async () => {
    const answer = await get('/demo/status', 'right')
    expect(answer.headers.get('cache-control')).toBe('no-store')
    expect(await answer.json()).toEqual(status)
  })

  it('has no report before the end and the report after it', async () => {
    const early = await get('/demo/report', 'right')
    expect(early.status).toBe(404)
    expect(await early.json()).toEqual({ error: expect.objectContaining({ code: 'not_found' }) as unknown })
    report = '<!doctype html><title>report</title>'
    const late = await get('/demo/report', 'right')
    expect(late.headers.get('content-type')).toContain('text/html')
    expect(await late.text()).toBe(report)
  })
})
