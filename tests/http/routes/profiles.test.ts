import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { createMetrics } from '../../../src/http/metrics.js'
import { adminRouter } from '../../../src/http/routes/admin.js'
import { createHttpServer, type HttpServer } from '../../../src/http/server.js'
import { quietLog } from '../../../src/log.js'
import { contactRecord, operationsOf, type World } from '../../support/build-deps.js'
import { useWorld } from '../../support/use-world.js'

const START = '2026-03-02T02:00:00Z'
const KEY = 'test-key-0123456789'
const openWorld = useWorld()
let world: World
let server: HttpServer
let url: string
beforeEach(async () => {
  world = await openWorld({
    at: START,
    definitions: { tags: [{ id: 'keen', type: 'flag', when: { event: 'contact_added' } }] },
  })
  for (const name of ['ann', 'bob', 'cat'])
    await world.accept(name, { ...contactRecord(name, START), traits: { city: '上海' } })
  await world.run()
  server = createHttpServer({
    host: '127.0.0.1',
    port: 0,
    apiKeys: [KEY],
    log: quietLog,
    health: () => Promise.resolve({ ready: true, parts: {} }),
    metrics: createMetrics(),
    routes: [adminRouter(operationsOf(world), quietLog)],
    publicRoutes: [],
  })
  url = (await server.listen()).url
})
afterEach(() => server.close())

async function read(path: string): Promise<{ status: number; body: unknown }> {
  const answer = await fetch(`${url}/v1/profiles${path}`, { headers: { 'X-Api-Key': KEY } })
  return { status: answer.status, body: await answer.json() }
}

describe('GET /v1/profiles', () => {
  it('reads somebody by number, by an identifier or by its value', async () => {
    const all = await read('/1')
    expect(all.body).toMatchObject({
      profileId: 1,
      createdAt: new Date(START).toISOString(),
      identifiers: expect.arrayContaining([expect.objectContaining({ type: 'member_id', value: 'ann' })]) as unknown,
      traits: [{ name: 'city', value: '上海' }],
      contacts: [{ userId: 'guide-1', externalUserId: 'wm-ann' }],
      tags: [{ id: 'keen' }],
    })
    expect(await read('/member_id:ann')).toEqual(all)
    expect(await read('/wm-ann')).toEqual(all)
  })

  it('takes up to nine digits for a number, and more for an identifier', async () => {
    const bought = {
      identifiers: [
        { type: 'phone', value: '13800000011' },
        { type: 'member_id', value: 'ann' },
      ],
    }
    await world.accept('phone', { ...contactRecord('ann', START), ...bought })
    await world.run()
    expect((await read('/13800000011')).body).toMatchObject({ profileId: 1 })
    expect((await read('/138000000')).status).toBe(404)
    expect((await read('/99999999999999999999')).status).toBe(404)
  })

  it('gives the fields that are asked for', async () => {
    expect((await read('/1?fields=traits,tags')).body).toEqual({
      profileId: 1,
      traits: [expect.objectContaining({ name: 'city' })],
      tags: [expect.objectContaining({ id: 'keen' })],
    })
    expect((await read('/1?fields=optedOutAt')).body).toEqual({ profileId: 1 })
    expect(await read('/1?fields=mood')).toMatchObject({ status: 400 })
  })

  it('lists everybody page by page', async () => {
    const first = await read('?limit=2&fields=mergedIds')
    expect(first.body).toEqual({ profiles: [{ profileId: 1, mergedIds: [] }, { profileId: 2, mergedIds: [] }], next: 2 }) // prettier-ignore
    const rest = (await read('?limit=2&after=2&fields=createdAt')).body
    expect(rest).toEqual({ profiles: [{ profileId: 3, createdAt: new Date(START).toISOString() }] })
  })

  it('answers what cannot be meant, and who is not there, and writes down who was looked at', async () => {
    expect((await read('/999')).status).toBe(404)
    expect((await read('?limit=many')).status).toBe(400)
    expect((await read('?limit=5000')).status).toBe(400)
    expect((await read('?page=2')).status).toBe(400)
    expect((await read('/member_id:bob')).status).toBe(200)
    const rows = await world.docs.audit.find({ outcome: 'done' })
    expect(rows.map(({ operation, target }) => `${operation} ${target}`)).toEqual(['profiles/get profile 2'])
    expect(JSON.stringify(rows)).not.toContain('bob')
  })
})
