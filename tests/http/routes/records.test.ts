import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import type { SourceRecord } from '../../../src/domain/events/record.js'
import { createMetrics } from '../../../src/http/metrics.js'
import { recordsRouter } from '../../../src/http/routes/records.js'
import { createHttpServer, type HttpServer } from '../../../src/http/server.js'
import { quietLog } from '../../../src/log.js'

const KEY = 'test-key-0123456789'
let server: HttpServer
let url: string
let accepted: SourceRecord[][]

beforeEach(async () => {
  accepted = []
  const router = recordsRouter({
    findProblem: (r) => (r.identifiers[0]!.value === 'M0' ? { path: 'identifiers', message: 'of no use' } : undefined),
    accept: async (records, key) => {
      accepted.push([...records])
      return { batchId: key ?? `b${accepted.length}` }
    },
  })
  server = createHttpServer({
    host: '127.0.0.1',
    port: 0,
    apiKeys: [KEY],
    log: quietLog,
    routes: [router],
    publicRoutes: [],
    health: async () => ({ ready: true, parts: {} }),
    metrics: createMetrics(),
  })
  url = `${(await server.listen()).url}/v1/records`
})
afterEach(() => server.close())

async function send(body: unknown): Promise<{ status: number; body: unknown }> {
  const reply = await fetch(url, {
    method: 'POST',
    headers: { 'X-Api-Key': KEY, 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  })
  return { status: reply.status, body: await reply.json() }
}

function record(changes: object = {}): object {
  return {
    ref: 'shop:1',
    source: 'shop',
    observedAt: '2026-01-31T09:00:00+08:00',
    identifiers: [{ type: 'member_id', value: 'M1' }],
    ...changes,
  }
}

describe('POST /v1/records', () => {
  it('lists records by which nobody could be found', async () => {
    const useless = record({ identifiers: [{ type: 'member_id', value: 'M0' }] })
    expect(await send({ records: [useless, record()] })).toEqual({
      status: 202,
      body: {
        batchId: 'b1',
        accepted: 1,
        rejected: [{ index: 0, problems: [{ path: 'identifiers', message: 'of no use' }] }],
      },
    })
    expect((await send({ records: [useless] })).status).toBe(400)
  })

  it('takes records with instants as text with a zone or as milliseconds', async () => {
    const event = { id: 'shop:1', name: 'order_paid', occurredAt: 1769821200000, amountMinor: 100 }
    expect(await send({ records: [record({ events: [event] })] })).toEqual({
      status: 202,
      body: { batchId: 'b1', accepted: 1, rejected: [] },
    })
    expect(accepted).toEqual([
      [
        {
          ref: 'shop:1',
          source: 'shop',
          observedAt: new Date('2026-01-31T01:00:00Z'),
          identifiers: [{ type: 'member_id', value: 'M1' }],
          traits: {},
          events: [{ ...event, occurredAt: new Date('2026-01-31T01:00:00Z'), properties: {} }],
        },
      ],
    ])
  })

  it('hands the caller’s key on, so that a batch sent again is known', async () => {
    expect((await send({ records: [record()], key: 'import:1' })).body).toMatchObject({ batchId: 'import:1' })
    expect((await send({ records: [record()], key: '' })).status).toBe(400)
  })

  it('takes the good ones and lists the bad ones by index', async () => {
    const bad = [
      record({ identifiers: [] }),
      record({ observedAt: '2026-01-31 09:00' }),
      record({ extra: 1, source: 'Shop!' }),
      'nothing',
    ]
    const { status, body } = await send({ records: [bad[0], record(), ...bad.slice(1), record({ ref: 'shop:2' })] })
    expect(status).toBe(202)
    expect(body).toMatchObject({
      accepted: 2,
      rejected: [
        { index: 0, problems: [{ path: 'identifiers' }] },
        { index: 2, problems: [{ path: 'observedAt', message: expect.stringContaining('+08:00') }] },
        { index: 3, problems: [{ path: 'source' }, { path: 'extra' }] },
        { index: 4, problems: [{ path: '' }] },
      ],
    })
    expect(accepted[0]?.map((r) => r.ref)).toEqual(['shop:1', 'shop:2'])
  })

  it('refuses a batch without one good record and accepts nothing', async () => {
    const { status, body } = await send({ records: [record({ ref: '' })] })
    expect(status).toBe(400)
    expect(body).toMatchObject({ error: { code: 'invalid_input', problems: [{ path: 'records.0.ref' }] } })
    expect(accepted).toEqual([])
  })

  it.each([
    ['none', { records: [] }],
    ['more than 1,000', { records: Array.from({ length: 1001 }, () => record()) }],
    ['no list', { records: 'x' }],
    ['other fields', { records: [record()], dryRun: true }],
    ['an array', [record()]],
  ])('refuses a body with %s', async (_what, body) => {
    expect((await send(body)).status).toBe(400)
    expect(accepted).toEqual([])
  })
})
