import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { Redis } from 'ioredis'

export type RedisServer = { url: string; pid: number; stop: () => Promise<void> }

/** A Redis of the test's own, on a free port and without files; `undefined` when `redis-server` is not installed. */
export async function startRedis(port?: number): Promise<RedisServer | undefined> {
  const chosen = port ?? (await freePort())
  const child = spawn(
    'redis-server',
    ['--port', String(chosen), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', '/'],
    { stdio: 'ignore' },
  )
  const url = `redis://127.0.0.1:${chosen}`
  try {
    await once(child, 'spawn')
  } catch (err) {
    if ((err as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw err
  }
  const exited = once(child, 'exit')
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM')
    await exited
  }
  try {
    await answering(url)
  } catch (err) {
    await stop()
    throw err
  }
  return { url, pid: child.pid!, stop } // spawned
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** Waits for the first answer, for two minutes at most. */
async function answering(url: string): Promise<void> {
  const redis = new Redis(url, { retryStrategy: (times) => (times > 1_200 ? null : 100), maxRetriesPerRequest: 1_200 })
  redis.on('error', () => undefined) // refused until it listens
  try {
    await redis.ping()
  } finally {
    redis.disconnect()
  }
}
