import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { createClient } from '@clickhouse/client'
import { z } from 'zod'
import { openClickhouseEvents } from '../../../src/adapters/events/clickhouse.js'
import { eventIdsTable } from '../../../src/domain/events/tables.js'
import { ConfigError, UpstreamError } from '../../../src/errors.js'
import { eventStoreContract } from '../../contracts/event-store.js'
import { startChdbHttp, type ChdbHttp } from '../../support/chdb-http.js'

const path = mkdtempSync(join(tmpdir(), 'siyu-chdb-http-'))
const database = 'siyu_test'
let front: ChdbHttp

beforeAll(async () => {
  front = await startChdbHttp(path)
})
afterAll(async () => {
  await front.close()
  rmSync(path, { recursive: true, force: true })
})

const open = () => openClickhouseEvents({ url: front.url, database })
const wipe = async () => {
  const client = createClient({ url: front.url })
  await client.command({ query: `DROP DATABASE IF EXISTS ${database} SYNC` })
  await client.close()
}

eventStoreContract('ClickHouse adapter over an HTTP front of chDB', { open, wipe })

describe('ClickHouse adapter on a connection that fails', () => {
  const Count = z.strictObject({ n: z.number() })
  const insertOne = async (store: Awaited<ReturnType<typeof open>>, token: string) =>
    store.insert(eventIdsTable, [{ event_id: 'e1', batch: 1 }], token)

  it.each(['before', 'after'] as const)('lands an insert once whose connection breaks %s it ran', async (when) => {
    const store = await open()
    front.breakNext(2, when)
    await insertOne(store, 'batch-1')
    expect(await store.query('SELECT count() AS n FROM event_ids', Count)).toEqual([{ n: 1 }])
    await store.close()
    await wipe()
  })

  it('reads again when a read breaks, and gives up after three attempts', async () => {
    const store = await open()
    front.breakNext(2, 'before')
    expect(await store.query('SELECT count() AS n FROM event_ids', Count)).toEqual([{ n: 0 }])
    const before = front.taken()
    front.breakNext(9, 'before')
    await expect(store.query('SELECT count() AS n FROM event_ids', Count)).rejects.toMatchObject({ retryable: true })
    expect(front.taken() - before).toBe(3)
    front.breakNext(0, 'before')
    await store.close()
    await wipe()
  })

  it('does not repeat a command, which may not be harmless twice', async () => {
    const store = await open()
    const before = front.taken()
    front.breakNext(1, 'before')
    await expect(store.command('OPTIMIZE TABLE event_ids')).rejects.toBeInstanceOf(UpstreamError)
    expect(front.taken() - before).toBe(1)
    await store.close()
    await wipe()
  })

  it('does not repeat what the server refused for good', async () => {
    const store = await open()
    const before = front.taken()
    await expect(store.query('SELECT nothing', Count)).rejects.toMatchObject({ retryable: false, upstreamCode: '47' })
    expect(front.taken() - before).toBe(1)
    await store.close()
    await wipe()
  })

  it('names the host, the variable and never the password when nobody listens', async () => {
    const port = await freePort()
    const refused: unknown = await openClickhouseEvents({ url: `http://u:hunter2@127.0.0.1:${port}`, database }).catch(
      (err: unknown) => err,
    )
    expect(refused).toBeInstanceOf(UpstreamError)
    expect(String(refused)).toContain(`ClickHouse at 127.0.0.1:${port} (CLICKHOUSE_URL)`)
    expect(String(refused)).toContain('ECONNREFUSED')
    expect(String(refused)).not.toContain('hunter2')
  })

  it('says that the password is wrong without showing it', async () => {
    const url = front.url.replace(/:[^:@]+@/, ':hunter2@')
    const refused: unknown = await openClickhouseEvents({ url, database }).catch((err: unknown) => err)
    expect(refused).toMatchObject({ upstreamCode: '516', retryable: false })
    expect(String(refused)).toContain('AUTHENTICATION_FAILED')
    expect(String(refused)).not.toContain('hunter2')
  })

  it.each(['127.0.0.1:8123', 'mysql://u:hunter2@host', ''])('refuses %p as URL without showing it', async (url) => {
    const refused: unknown = await openClickhouseEvents({ url, database }).catch((err: unknown) => err)
    expect(refused).toBeInstanceOf(ConfigError)
    expect(String(refused)).not.toContain('hunter2')
  })

  it('refuses a database name that is no name', async () => {
    await expect(openClickhouseEvents({ url: front.url, database: 'a b' })).rejects.toBeInstanceOf(ConfigError)
  })
})

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
