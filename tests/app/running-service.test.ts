import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { loadConfig } from '../../src/config.js'
import { type DataDirLock, lockDataDir } from '../../src/app/data-dir.js'
import { announceService, findService, isAlone, isEmbedded } from '../../src/app/running-service.js'
import { createMetrics } from '../../src/http/metrics.js'
import { createHttpServer } from '../../src/http/server.js'
import { quietLog } from '../../src/log.js'

it.each([
  [{}, true, true],
  [{ CLICKHOUSE_URL: 'http://127.0.0.1:1' }, true, true],
  // Two hosts with an event store each share the leases and claims that are in the documents.
  [{ MONGODB_URI: 'mongodb://127.0.0.1:1/x' }, false, true],
  [{ MONGODB_URI: 'mongodb://127.0.0.1:1/x', CLICKHOUSE_URL: 'http://127.0.0.1:1' }, false, false],
])('with %j a process is alone: %s; it holds its data directory: %s', async (env, alone, embedded) => {
  const config = await loadConfig({ file: 'config/service.yaml', env })
  expect([isAlone(config), isEmbedded(config)]).toEqual([alone, embedded])
})

describe('a service that is said to run', () => {
  const LOCAL = 'local-key-0123456789'
  let dir: string
  let lock: DataDirLock
  let listener: Server | undefined
  let heard: string[]
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'siyu-running-'))
    lock = await lockDataDir(dir)
    heard = []
  })
  afterEach(async () => {
    listener?.closeAllConnections()
    await new Promise<void>((resolve) => (listener === undefined ? resolve() : listener.close(() => resolve())))
    listener = undefined
    await lock.release()
    await rm(dir, { recursive: true })
  })

  /** Somebody who listens on the port; what comes is kept. */
  async function listen(answer: RequestListener): Promise<string> {
    listener = createServer((req, res) => {
      heard.push(`${req.method} ${req.url} ${JSON.stringify(req.rawHeaders)}`)
      answer(req, res)
    })
    await new Promise<void>((resolve) => listener!.listen(0, '127.0.0.1', resolve))
    return `http://127.0.0.1:${(listener.address() as AddressInfo).port}`
  }
  const find = async () =>
    findService({ ...(await loadConfig({ file: 'config/service.yaml', env: {} })), dataDir: dir })

  it('is found where it has the key that it told', async () => {
    const server = createHttpServer({
      ...{ host: '127.0.0.1', port: 0, apiKeys: [], localKey: LOCAL, log: quietLog, routes: [], publicRoutes: [] },
      health: () => Promise.resolve({ ready: true, parts: {} }),
      metrics: createMetrics(),
    })
    try {
      const { url } = await server.listen()
      const takeBack = await announceService(dir, url, LOCAL)
      expect(await find()).toEqual({ url, key: LOCAL })
      for (const challenge of ['', 'x', '0'.repeat(65)])
        expect((await fetch(`${url}/service/proof?challenge=${challenge}`)).status).toBe(400)
      await takeBack()
      expect(await find()).toBeUndefined()
    } finally {
      await server.close()
    }
  })

  it.each<[string, RequestListener]>([
    ['something else', (_req, res) => res.end('0'.repeat(64))],
    ['what it was asked', (req, res) => res.end(req.url)],
    ['without end', (_req, res) => void res.write('x'.repeat(1_000_000))],
    ['that it lies elsewhere', (_req, res) => res.writeHead(302, { Location: 'http://127.0.0.1:1/' }).end()],
  ])('is sent no key where who has its port answers %s', async (_what, answer) => {
    await announceService(dir, await listen(answer), LOCAL)
    await expect(find()).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringMatching(/restart/) as unknown,
    })
    expect(heard).toHaveLength(1)
    expect(heard[0]).not.toContain(LOCAL)
  })

  it.each([
    ['was killed and another process holds the stores', { pid: process.pid, timeOrigin: 1 }],
    ['had another process id', { pid: 1 }],
    ['is of an older version', { timeOrigin: undefined }],
  ])('is asked nothing where it %s', async (_what, changes) => {
    await announceService(dir, await listen((_req, res) => res.end()), LOCAL)
    const file = join(dir, 'service.json')
    const said = JSON.parse(await readFile(file, 'utf8')) as object
    await writeFile(file, JSON.stringify({ ...said, ...changes }))
    expect(await find()).toBeUndefined()
    await writeFile(file, '{"url":"http://127')
    expect(await find()).toBeUndefined()
    expect(heard).toEqual([])
  })

  it('is asked nothing where nobody holds the stores', async () => {
    await announceService(dir, await listen((_req, res) => res.end()), LOCAL)
    await lock.release()
    expect(await find()).toBeUndefined()
    expect(heard).toEqual([])
  })
})
