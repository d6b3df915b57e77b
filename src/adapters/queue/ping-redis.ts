import { Redis } from 'ioredis'
import { UpstreamError } from '../../errors.js'
import { SECOND_MS } from '../../time.js'

const TIMEOUT_MS = 3 * SECOND_MS

/** Resolves when that Redis answers; writes nothing. @throws {UpstreamError} */
export async function pingRedis(url: string): Promise<void> {
  const redis = new Redis(url, {
    lazyConnect: true,
    connectTimeout: TIMEOUT_MS,
    commandTimeout: TIMEOUT_MS,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
    disconnectTimeout: 100,
  })
  let code = 'no answer'
  // The rejected call only says that the connection is closed.
  redis.on('error', (err: NodeJS.ErrnoException) => (code = err.code ?? code))
  try {
    await redis.connect()
    await redis.ping()
  } catch {
    // Built anew: the original may name the address with its password.
    throw new UpstreamError('redis', code, true, '连不上 cannot be reached')
  } finally {
    redis.disconnect()
  }
}
