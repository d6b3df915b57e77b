import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { httpRoutes } from '../../src/app/wire-http.js'
import { createMetrics } from '../../src/http/metrics.js'
import { createHttpServer, type HttpServer } from '../../src/http/server.js'
import { quietLog } from '../../src/log.js'
import { buildWorld, type EventHome, openEventHome, operationsOf, type World } from '../support/build-deps.js'

const KEY = 'test-key-0123456789'
let home: EventHome
let world: World
let server: HttpServer
beforeAll(async () => {
  home = await openEventHome()
})
beforeEach(async () => {
  world = await buildWorld(home, { at: '2026-03-02T02:00:00Z' })
  server = createHttpServer({
    host: '127.0.0.1',
    port: 0,
    apiKeys: [KEY],
    log: quietLog,
    ...httpRoutes({ operations: operationsOf(world), publicRoutes: [], callbackRoutes: [] }, quietLog),
    health: () => Promise.resolve({ ready: true, parts: {} }),
    metrics: createMetrics(),
  })
})
afterEach(async () => {
  await server.close()
  await world.close()
})
afterAll(() => home.close())

describe('POST /v1/records', () => {
  it('refuses a record with an event of ours, and takes the others; a wish may be told', async () => {
    const { url } = await server.listen()
    const record = (name: string) => ({
      ref: name,
      source: 'shop',
      observedAt: '2026-03-02T10:00:00+08:00',
      identifiers: [{ type: 'member_id', value: 'M1' }],
      events: [{ id: `shop:${name}`, name, occurredAt: '2026-03-02T10:00:00+08:00' }],
    })
    const reply = await fetch(`${url}/v1/records`, {
      method: 'POST',
      headers: { 'X-Api-Key': KEY, 'Content-Type': 'application/json' },
      body: JSON.stringify({ records: [record('order_paid'), record('contact_added'), record('opted_out')] }),
    })
    expect([reply.status, await reply.json()]).toMatchObject([
      202,
      {
        accepted: 2,
        rejected: [
          {
            index: 1,
            problems: [
              {
                path: 'events.0.name',
                message: expect.stringMatching(/"contact_added" .*only siyu itself writes/) as unknown,
                hint: expect.stringMatching(/another name/) as unknown,
              },
            ],
          },
        ],
      },
    ])
    const [batch] = await world.docs.batches.find({})
    expect(batch?.records?.map((r) => r.ref)).toEqual(['order_paid', 'opted_out'])
  })
})
