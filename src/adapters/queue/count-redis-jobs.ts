import { Redis } from 'ioredis'
import { said } from '../../said.js'
import { UpstreamError } from '../../errors.js'
import { eachGroup, type Group, GROUPS, type JobCounts } from '../../ports/job-queue.js'
import { SECOND_MS } from '../../time.js'
import { queueOf } from './bull.js'

const TIMEOUT_MS = 3 * SECOND_MS

/** How many jobs each group has on that Redis; opens no queue and writes nothing. @throws {UpstreamError} when it does not answer */
export async function countRedisJobs(url: string, prefix: string): Promise<Readonly<Record<Group, JobCounts>>> {
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
    const counts = await Promise.all(
      GROUPS.map(async (group) => {
        const key = (state: string) => `${prefix}:${queueOf(group)}:${state}`
        const [waiting, active, delayed, failed] = await Promise.all([
          redis.llen(key('wait')),
          redis.llen(key('active')),
          redis.zcard(key('delayed')),
          redis.zcard(key('failed')),
        ])
        return { waiting, active, delayed, failed }
      }),
    )
    return eachGroup((group) => counts[GROUPS.indexOf(group)]!)
  } catch {
    // Built anew: the original may name the address with its password.
    throw new UpstreamError('redis', code, true, said('连不上', 'cannot be reached'))
  } finally {
    redis.disconnect()
  }
}
