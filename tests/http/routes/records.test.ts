import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { openSqliteDocuments } from '../../../src/adapters/documents/sqlite.js'
import { createMetrics } from '../../../src/http/metrics.js'
import { recordsRouter } from '../../../src/http/routes/records.js'
import { createHttpServer, type HttpServer } from '../../../src/http/server.js'
import { quietLog } from '../../../src/log.js'
import type { DocumentStore } from '../../../src/ports/document-store.js'
import { takeRecords } from '../../../src/services/ingest/take-records.js'
import { type Collections, openCollections } from '../../../src/stored/collections.js'
import { fixedClock, MINUTE_MS } from '../../../src/time.js'
import { define } from '../../support/build-deps.js'

const KEY = 'test-key-0123456789'
const NOW = '2026-02-01T00:00:00Z'
let store: DocumentStore
let docs: Collections
let server: HttpServer
let url: string

beforeEach(async () => {
  store = openSqliteDocuments({ file: ':memory:', fsync: false })
  docs = await openCollections(store)
  const deps = {
    docs,
    clock: fixedClock(NOW),
    log: quietLog,
    jobs: { add: () => Promise.resolve() },
    definitions: { current: { ...define({}), eventNames: new Set(['order_paid']) } as never },
    ingest: { aheadMs: 5 * MINUTE_MS },
  }
  server = createHttpServer({
    host: '127.0.0.1',
    port: 0,
    apiKeys: [KEY],
    log: quietLog,
    routes: [recordsRouter({ take: (records, key) => takeRecords(deps, records, key) })],
    publicRoutes: [],
    health: async () => ({ ready: true, parts: {} }),
    metrics: createMetrics(),
  })
  url = `${(await server.listen()).url}/v1/records`
})
afterEach(async () => {
  await server.close()
  await store.close()
})

const accepted = async () => (await docs.batches.find({}, { sort: { seq: 1 } })).map((b) => b.records!)

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
  it('keeps birthdays in one form, and says which is none', async () => {
    const born = (birthday: unknown, ref: string) => record({ ref, traits: { birthday, city: '杭州' } })
    const sent = [born('1990年1月31日', 'a'), born(19900131, 'b'), born('1990-02-30', 'c'), born(null, 'd')]
    expect(await send({ records: sent })).toMatchObject({
      status: 202,
      body: { accepted: 4, rejected: [], warnings: [{ index: 2, problems: [{ path: 'traits.birthday' }] }] },
    })
    const [batch] = await accepted()
    expect(batch!.map((r) => r.traits)).toEqual([
      { birthday: '1990-01-31', city: '杭州' },
      { birthday: '1990-01-31', city: '杭州' },
      { city: '杭州' },
      { birthday: null, city: '杭州' },
    ])
  })

  it('lists records by which nobody could be found', async () => {
    const useless = record({ identifiers: [{ type: 'taobao', value: 'M0' }] })
    expect(await send({ records: [useless, record()] })).toEqual({
      status: 202,
      body: {
        batchId: expect.stringMatching(/^http:[0-9a-f]{32}$/),
        accepted: 1,
        rejected: [
          { index: 0, problems: [{ path: 'identifiers', message: expect.any(String), hint: expect.any(String) }] },
        ],
      },
    })
    expect((await send({ records: [useless] })).status).toBe(400)
  })

  it('takes records with instants as text with a zone or as milliseconds', async () => {
    const event = { id: 'shop:1', name: 'order_paid', occurredAt: 1769821200000, amountMinor: 100 }
    expect(await send({ records: [record({ events: [event] })] })).toEqual({
      status: 202,
      body: { batchId: expect.any(String), accepted: 1, rejected: [] },
    })
    expect(await accepted()).toEqual([
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
    expect((await send({ records: [record()], key: 'import:1' })).body).toMatchObject({ batchId: 'key:import:1' })
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
    expect((await accepted())[0]?.map((r) => r.ref)).toEqual(['shop:1', 'shop:2'])
  })

  it('refuses a batch without one good record and accepts nothing', async () => {
    const { status, body } = await send({ records: [record({ ref: '' })] })
    expect(status).toBe(400)
    expect(body).toMatchObject({ error: { code: 'invalid_input', problems: [{ path: 'records.0.ref' }] } })
    expect(await accepted()).toEqual([])
  })

  it.each([
    ['none', { records: [] }],
    ['more than 1,000', { records: Array.from({ length: 1001 }, () => record()) }],
    ['no list', { records: 'x' }],
    ['other fields', { records: [record()], dryRun: true }],
    ['an array', [record()]],
  ])('refuses a body with %s', async (_what, body) => {
    expect((await send(body)).status).toBe(400)
    expect(await accepted()).toEqual([])
  })

  it('counts what lies a little ahead of our clock as now, keeps what was said, and refuses what lies further', async () => {
    const event = (id: string, occurredAt: string) => ({ id, name: 'order_paid', occurredAt })
    const soon = record({ observedAt: '2026-02-01T00:04:59Z', events: [event('a', '2026-02-01T00:00:01Z')] })
    const late = record({ events: [event('b', '2026-02-01T00:05:01Z')] })
    const { status, body } = await send({ records: [soon, late, record({ observedAt: '+275760-09-12T00:00:00Z' })] })
    expect(status).toBe(202)
    expect(body).toMatchObject({
      accepted: 1,
      rejected: [
        { index: 1, problems: [{ path: 'events.0.occurredAt', message: expect.stringContaining('5 min ahead') }] },
        { index: 2, problems: [{ path: 'observedAt' }] },
      ],
    })
    expect(await accepted()).toMatchObject([
      [
        {
          observedAt: new Date(NOW),
          saidAt: new Date('2026-02-01T00:04:59Z'),
          events: [{ id: 'a', occurredAt: new Date(NOW), saidAt: new Date('2026-02-01T00:00:01Z') }],
        },
      ],
    ])
  })

  it('takes events of names that no file knows, says which, and remembers how many', async () => {
    const event = (id: string, name: string) => ({ id, name, occurredAt: '2026-01-31T09:00:00+08:00' })
    const events = [
      event('1', 'order_payed'),
      event('2', 'order_paid'),
      event('3', 'order_payed'),
      event('4', 'opted_in'),
    ]
    expect((await send({ records: [record({ events })] })).body).toMatchObject({
      accepted: 1,
      unknownEvents: { order_payed: 2 },
    })
    await send({ records: [record({ events: [event('5', 'order_payed')] })] })
    expect(await docs.meta.get('unknown-event:order_payed')).toMatchObject({ value: 3 })
  })

  it('says which identifiers of a record that was taken are of no use', async () => {
    const phones = ['N/A', '１３８００００００００', '13800000000.0', '13800000000；', '1/2'].map((value) => ({
      type: 'phone',
      value,
    }))
    const { body } = await send({ records: [record({ identifiers: [{ type: 'member_id', value: 'M1' }, ...phones] })] })
    expect(body).toMatchObject({
      accepted: 1,
      warnings: [{ index: 0, problems: [{ path: 'identifiers.1.value' }, { path: 'identifiers.5.value' }] }],
    })
  })
})
