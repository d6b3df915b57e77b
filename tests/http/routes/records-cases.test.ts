import { readFileSync } from 'node:fs'
// eslint-disable-next-line no-restricted-syntax -- only the long form asserts it: run by hand, on a machine that does nothing else
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { z } from 'zod'
import { createMetrics } from '../../../src/http/metrics.js'
import { recordsRouter } from '../../../src/http/routes/records.js'
import { createHttpServer, type HttpServer } from '../../../src/http/server.js'
import { quietLog } from '../../../src/log.js'
import type { Taken } from '../../../src/services/ingest/take-records.js'
import { takeRecords } from '../../../src/services/ingest/take-records.js'
import { buildWorld, type EventHome, openEventHome, type World } from '../../support/build-deps.js'
import { type Body, randomBody } from '../../support/random-bodies.js'
import { MINUTE_MS, SECOND_MS } from '../../../src/time.js'
import { sized } from '../../support/sized.js'

const KEY = 'test-key-0123456789'
const AT = '2026-11-30T04:00:00Z'
const Count = z.object({ n: z.number() })
let home: EventHome
let world: World
let server: HttpServer
let url: string

beforeAll(async () => {
  home = await openEventHome()
  world = await buildWorld(home, {
    at: AT,
    definitions: {
      identity: { identifiers: [{ type: 'member_id', strength: 'strong', max: 20 }, { type: 'phone', strength: 'weak', max: 20, normalise: 'phone' }, { type: 'unionid', strength: 'strong', max: 20 }] }, // prettier-ignore
      tags: [
        { id: 'overseas', type: 'flag', when: { event: 'order_paid', where: { country: { in: ['EIRE'] } } } },
        { id: 'abroad', type: 'flag', when: { not: { event: 'order_paid', where: { country: 'United Kingdom' } } } },
        { id: 'constructor', type: 'text', trait: 'constructor' },
        { id: 'town', type: 'text', trait: 'city' },
      ],
      contents: [{ id: 'hello', text: 'hello' }],
      journeys: [
        {
          id: 'welcome',
          enter: { on: 'registered' },
          exit: { on: 'order_paid' },
          steps: [{ wait: '1h' }, { send: { channel: 'wecom', content: 'hello' } }],
        },
      ],
    },
  })
  server = createHttpServer({
    host: '127.0.0.1',
    port: 0,
    apiKeys: [KEY],
    log: quietLog,
    routes: [recordsRouter({ take: (records, key) => takeRecords(world.deps, records, key) })],
    publicRoutes: [],
    health: async () => ({ ready: true, parts: {} }),
    metrics: createMetrics(),
  })
  url = `${(await server.listen()).url}/v1/records`
})
afterAll(async () => {
  await server.close()
  await world.close()
  await home.close()
})

async function post({ bytes, headers }: Body): Promise<{ status: number; text: string }> {
  const body = new Uint8Array(bytes)
  const reply = await fetch(url, { method: 'POST', headers: { 'X-Api-Key': KEY, ...headers }, body })
  return { status: reply.status, text: await reply.text() }
}
const send = async (text: string) => {
  const { status, text: answer } = await post({
    bytes: Buffer.from(text),
    headers: { 'Content-Type': 'application/json' },
  })
  return { status, body: JSON.parse(answer) as Taken }
}
const sendCase = (name: string) => send(readFileSync(`tests/fixtures/cases/${name}/body.json`, 'utf8'))
const record = (member: string, more: object = {}) => ({
  ref: member,
  source: 'shop',
  observedAt: AT,
  identifiers: [{ type: 'member_id', value: member }],
  ...more,
})
const person = async (member: string) => {
  const link = await world.docs.identifiers.get(`member_id:${member}`)
  return (await world.docs.profiles.get(link?.profileId ?? 0))!
}
const tagsOf = async (member: string) => {
  const { tags = {} } = (await world.docs.profileTags.get((await person(member))._id)) ?? {}
  return Object.fromEntries(Object.entries(tags).map(([id, { v }]) => [id, v]))
}

describe('inputs that were wrong once', () => {
  it('keeps half an emoji as U+FFFD and counts it; nothing waits behind it', async () => {
    expect(await sendCase('lone-surrogate')).toMatchObject({
      status: 202,
      body: { accepted: 1, rejected: [], mended: 1 },
    })
    await world.run()
    expect((await person('S2')).traits['name']).toMatchObject({ mini_program: { value: 'abc\ufffd' } })
    expect((await world.docs.meta.get('mended-texts'))?.value).toBe(1)
    expect(await world.docs.batches.count({ state: { $ne: 'done' } })).toBe(0)
  })

  it('takes a trait named constructor as any other, for this person and for the next', async () => {
    expect((await sendCase('trait-constructor')).status).toBe(202)
    expect(
      (await send(JSON.stringify({ records: [record('C3', { source: 'constructor', traits: { city: 'x' } })] })))
        .status,
    ).toBe(202)
    await world.run()
    expect(await tagsOf('C2')).toMatchObject({ constructor: 'Acme' })
    expect(await tagsOf('C3')).toEqual({ town: 'x', abroad: '1' })
    expect(Object.hasOwn(Object, 'entries')).toBe(true)
    expect(Object.keys(Object)).toEqual([])
  })

  it('reads the properties of an event beside a number of 20 digits and beside half an emoji', async () => {
    expect(await sendCase('unreadable-properties')).toMatchObject({ status: 202, body: { accepted: 3 } })
    await world.run()
    for (const member of ['Q1', 'S9', 'S8']) expect(await tagsOf(member)).toEqual({})
    const rows = await world.query(
      "SELECT JSONExtractString(properties, 'orderNo') AS no FROM events WHERE event_id = 'q1'",
      z.object({ no: z.string() }),
    )
    expect(rows).toEqual([{ no: '20261130000012345678' }])
  })

  it('leaves a trait absent that was withdrawn after an older statement that comes later', async () => {
    expect((await sendCase('late-older-trait')).status).toBe(202)
    await world.run()
    expect(await tagsOf('Z1')).toEqual({ abroad: '1' })
  })
})

describe('what stands in the way of one record only', () => {
  const good = record('G1')
  it.each([
    ['a field that objects have for themselves', '"__proto__": {"a": 1}', '__proto__'],
    ['a trait that objects have for themselves', '"traits": {"__proto__": "x"}', 'traits.__proto__'],
    ['a trait with NUL in its name', '"traits": {"a\\u0000b": "x"}', 'traits.a␀b'],
    ['a long source', `"source": "${'s'.repeat(201)}"`, 'source'],
    ['a long type', `"identifiers": [{"type":"openid:${'w'.repeat(200)}","value":"x"}]`, 'identifiers.0.type'],
    [
      'a long name of an event',
      `"events": [{"id":"d","name":"${'n'.repeat(201)}","occurredAt":"${AT}"}]`,
      'events.0.name',
    ],
    ['a long trait', `"traits": {"note": "${'x'.repeat(10_001)}"}`, 'traits.note'],
    [
      '501 traits',
      `"traits": ${JSON.stringify(Object.fromEntries(Array.from({ length: 501 }, (_, i) => [`t${i}`, 1])))}`,
      'traits',
    ],
    [
      '51 identifiers',
      `"identifiers": ${JSON.stringify(Array(51).fill({ type: 'member_id', value: 'x' }))}`,
      'identifiers',
    ],
    ['1,001 events', `"events": [${Array(1001).fill('{}').join(',')}]`, 'events'],
    [
      'deep properties',
      `"events": [{"id":"d","name":"x","occurredAt":"${AT}","properties":${'{"a":'.repeat(21)}1${'}'.repeat(21)}}]`,
      `events.0.properties${'.a'.repeat(20)}`,
    ],
    [
      'very deep properties',
      `"events": [{"id":"d","name":"x","occurredAt":"${AT}","properties":${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}}]`,
      `events.0.properties${'.a'.repeat(20)}`,
    ],
    [
      'huge properties',
      `"events": [{"id":"d","name":"x","occurredAt":"${AT}","properties":{"a":"${'x'.repeat(100_001)}"}}]`,
      'events.0.properties',
    ],
    [
      'an amount beyond 2⁵³',
      `"events": [{"id":"d","name":"x","occurredAt":"${AT}","amountMinor":20261130000012345678}]`,
      'events.0.amountMinor',
    ],
    [
      'an amount of 1e400',
      `"events": [{"id":"d","name":"x","occurredAt":"${AT}","amountMinor":1e400}]`,
      'events.0.amountMinor',
    ],
    ['a time that no calendar has', '"observedAt": "+275760-09-13T00:00:00Z"', 'observedAt'],
    ['a time of 2099', '"observedAt": "2099-01-01T00:00:00Z"', 'observedAt'],
    [
      'an event of 2099',
      `"events": [{"id":"d","name":"opted_in","occurredAt":"2099-01-01T00:00:00Z"}]`,
      'events.0.occurredAt',
    ],
    ['a time before clocks', '"observedAt": "0001-01-01T00:00:00Z"', 'observedAt'],
    ...['siyu', 'wecom', 'wechaty'].map((source) => [
      `the source ${source}, which is ours`,
      `"source": "${source}"`,
      'source',
    ]),
    ['an id with NUL', `"events": [{"id":"d\\u0000","name":"x","occurredAt":"${AT}"}]`, 'events.0.id'],
  ])('%s: it is refused by name', async (_what, field, path) => {
    const bad = JSON.stringify(record('B1')).replace(/}$/, `, ${field}}`)
    const { status, body } = await send(`{"records": [${JSON.stringify(good)}, ${bad}]}`)
    expect([status, body.accepted]).toEqual([202, 1])
    expect(body.rejected).toMatchObject([{ index: 1, problems: [{ path }] }])
  })

  it.each([
    ['traits', '"traits": {"a": 1e400, "b": -0, "c": 9007199254740993}', { a: '1e400', b: 0, c: '9007199254740993' }],
    [
      'traits as far as doubles hold them',
      '"traits": {"a": 9007199254740991, "b": 0.1}',
      { a: 9007199254740991, b: 0.1 },
    ],
  ])('numbers in %s are kept digit by digit', async (_what, field, traits) => {
    const given = JSON.stringify(record('N1')).replace(/}$/, `, ${field}}`)
    const { status } = await send(`{"records": [${given}]}`)
    expect(status).toBe(202)
    await world.run()
    const said = (await person('N1')).traits
    expect(Object.fromEntries(Object.keys(traits).map((t) => [t, said[t]?.['shop']?.value]))).toEqual(traits)
  })

  it('names that every object has count as names, in one event after the other', async () => {
    const properties = { constructor: 'a', toString: 'b', hasOwnProperty: 1, $date: 5, 'a.b': [{ $set: 1 }] }
    const events = [{ id: 'names', name: 'constructor', occurredAt: AT, properties }]
    expect((await send(JSON.stringify({ records: [record('P1', { events })] }))).status).toBe(202)
    await world.run()
    const rows = await world.query(
      "SELECT properties AS p FROM events WHERE event_id = 'names'",
      z.object({ p: z.string() }),
    )
    expect(rows.map(({ p }) => JSON.parse(p) as object)).toEqual([properties])
  })

  it('a body of many mistakes is answered in less than a megabyte', async () => {
    const wrong = {
      ...record('W'),
      [`${'\u0001'.repeat(500)}`]: 1,
      identifiers: Array(50).fill({ type: '!', value: '' }),
      extra: '订'.repeat(1_000),
    }
    const { status, text } = await post({
      bytes: Buffer.from(JSON.stringify({ records: Array(1000).fill(wrong) })),
      headers: { 'Content-Type': 'application/json' },
    })
    expect(status).toBe(400)
    expect(text.length).toBeLessThan(1_000_000)
    const names = Object.fromEntries(Array.from({ length: 100_000 }, (_, i) => [`field${i}`, 1]))
    const many = await post({
      bytes: Buffer.from(JSON.stringify(names)),
      headers: { 'Content-Type': 'application/json' },
    })
    expect([many.status, many.text.length < 100_000]).toEqual([400, true])
  })

  it('broken compression is the sender’s mistake', async () => {
    const headers = { 'Content-Type': 'application/json', 'Content-Encoding': 'gzip' }
    expect((await post({ bytes: Buffer.from('{"records":[]}'), headers })).status).toBe(400)
  })
})

describe('keys of senders', () => {
  it('stand for what was sent under them: another body is a conflict that is said', async () => {
    const body = (name: string) => JSON.stringify({ key: 'order-7', records: [record(name)] })
    expect((await send(body('K1'))).status).toBe(202)
    expect((await send(body('K1'))).status).toBe(202)
    const { status, body: answer } = await send(body('K2'))
    expect([status, JSON.stringify(answer)]).toEqual([409, expect.stringContaining('another body')])
    await world.run()
    expect((await send(body('K2'))).status).toBe(409)
    expect(await world.docs.identifiers.get('member_id:K2')).toBeUndefined()
  })

  it('stand for all that was sent, also where some of it can be used only later', async () => {
    const at = new Date(Date.parse(AT) + 6 * 60_000).toISOString()
    const ahead = record('K5', { events: [{ id: 'ahead', name: 'seen', occurredAt: at }] })
    const body = JSON.stringify({ key: 'order-8', records: [record('K4'), ahead] })
    expect((await send(body)).status).toBe(202)
    world.clock.set(new Date(Date.parse(AT) + 3 * 60_000))
    expect((await send(body)).status).toBe(202)
  })

  it('are none of ours', async () => {
    const { body } = await send(JSON.stringify({ key: 'card:t:done', records: [record('K3')] }))
    expect(body.batchId).toBe('key:card:t:done')
    expect((await send(JSON.stringify({ key: 'a\0', records: [record('K3')] }))).status).toBe(400)
  })
})

describe('bodies at random', () => {
  const SEED = 'bodies'
  const IS_LONG = sized(0, 1) === 1
  const TIMEOUT_MS = sized(10, 60) * MINUTE_MS
  it(
    `never break the service, nor leave half of what they say (${sized(300, 20_000)})`,
    async () => {
      const expected = new Set<string>()
      const refused = new Set<string>()
      const pauses = monitorEventLoopDelay({ resolution: 10 })
      pauses.enable()
      for (let n = 0; n < sized(300, 20_000); n++) {
        const body = randomBody(SEED, n)
        const { status, text } = await post(body).catch((err: unknown) => {
          throw new Error(`body ${n} of seed "${SEED}" got no answer`, { cause: err })
        })
        const where = `body ${n} of seed "${SEED}": ${status} ${text.slice(0, 200)}`
        if (status >= 500 || text.length > 1_000_000) throw new Error(where)
        if (status === 202) noteEvents(body, JSON.parse(text) as Taken, expected, refused)
        if (n % 100 !== 99) continue
        expect((await send(JSON.stringify({ records: [record(`good${n}`)] }))).status).toBe(202)
        await world.run()
        expect(await person(`good${n}`)).toBeDefined()
        // What our own lanes say at this instant waits for the next.
        expect(await world.docs.batches.count({ state: { $ne: 'done' }, own: { $exists: false } })).toBe(0)
        world.clock.set(new Date(world.clock.now().getTime() + 1))
      }
      pauses.disable()
      // Of the whole process, this sender included: it makes sense where nothing else runs on the machine.
      const longestMs = pauses.max / 1e6
      if (IS_LONG) process.stdout.write(`${expected.size} events taken, longest pause ${Math.round(longestMs)} ms\n`)
      expect(longestMs).toBeLessThan(IS_LONG ? SECOND_MS : Infinity)
      const ids = await world.query(
        "SELECT event_id AS id FROM events WHERE startsWith(event_id, 'e')",
        z.object({ id: z.string() }),
      )
      const stored = new Set(ids.map(({ id }) => id))
      expect([...expected].filter((id) => !stored.has(id))).toEqual([])
      expect([...stored].filter((id) => refused.has(id) && !expected.has(id))).toEqual([])
      expect(await world.docs.rejected.find({})).toEqual([])
      expect(await world.docs.waitingRows.count({ refused: { $exists: true } })).toBe(0)
      expect(await world.query('SELECT count() AS n FROM profiles', Count)).not.toEqual([{ n: 0 }])
    },
    TIMEOUT_MS,
  )

  /** Events of records that were taken are to be stored, all of each; of others none. */
  function noteEvents({ bytes, headers }: Body, taken: Taken, expected: Set<string>, refused: Set<string>): void {
    if ('Content-Encoding' in headers) return
    const Said = z.object({ events: z.array(z.object({ id: z.string() }).loose()) }).loose()
    const { records } = JSON.parse(bytes.toString('utf8')) as { records: unknown[] }
    const bad = new Set(taken.rejected.map((r) => r.index))
    // Of whom an identifier cannot be used, the sender is told; by that alone nobody is found.
    const unsure = new Set(
      taken.warnings?.filter((w) => w.problems.some((p) => p.path.startsWith('identifiers'))).map((w) => w.index),
    )
    for (const [i, record] of records.entries()) {
      if (unsure.has(i)) continue
      for (const { id } of Said.safeParse(record).data?.events ?? [])
        (bad.has(i) ? refused : expected).add(id.toWellFormed())
    }
  }
})
