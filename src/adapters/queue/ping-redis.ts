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
  })
  redis.on('error', () => undefined) // the rejected call says it
  try {
    await redis.connect()
    await redis.ping()
  } catch (err) {
    // Built anew: the original may name the address with its password.
    const code = (err as NodeJS.ErrnoException).code ?? 'no answer'
    throw new UpstreamError('redis', code, true, '连不上 cannot be reached')
  } finally {
    redis.disconnect()
  }
}
