import { z } from 'zod'
import { ConfigError } from '../src/errors.js'
import { startMongoWire } from '../tests/support/mongo-wire.js'
import { startRedis } from '../tests/support/redis-server.js'
import { Costs, startChild } from './month/child.js'
import { cpuMsOf } from './process.js'

/**
 * Stores that several processes can use at once, each in a process of its own on this machine: a server that speaks MongoDB's
 * protocol (from the folder in MONGO_WIRE), Redis, and chDB behind HTTP, which is no ClickHouse server.
 */
export type SharedStores = {
  mongoUrl: string
  redisUrl: string
  clickhouseUrl: string
  /** User and system time of each so far. */
  cpuMs(): Promise<{ mongo: number; redis: number; chdb: number }>
  stop(): Promise<void>
}

/** @param path - of a folder for events @throws {ConfigError} where one of the servers cannot be had */
export async function openSharedStores(path: string): Promise<SharedStores> {
  const stops: (() => Promise<void>)[] = []
  const stop = async () => {
    for (let one = stops.pop(); one !== undefined; one = stops.pop()) await one()
  }
  try {
    const mongo = await startMongoWire()
    if (mongo === undefined) throw absent('MONGO_WIRE', 'the folder of a MongoDB-wire server; needs Java')
    stops.push(() => mongo.stop())
    const redis = await startRedis()
    if (redis === undefined) throw absent('PATH', 'holds no redis-server: install it')
    stops.push(() => redis.stop())
    const chdb = startChild('../chdb-front')
    stops.push(() => chdb.stop())
    const { url } = await chdb.ask({ path }, z.strictObject({ url: z.string() }))
    return {
      mongoUrl: mongo.url,
      redisUrl: redis.url,
      clickhouseUrl: url,
      cpuMs: async () => ({
        mongo: cpuMsOf(mongo.pid),
        redis: cpuMsOf(redis.pid),
        chdb: (await chdb.ask({ costs: true }, Costs)).cpuMs,
      }),
      stop,
    }
  } catch (err) {
    await stop()
    throw err
  }
}

function absent(path: string, message: string): ConfigError {
  return new ConfigError('shared stores cannot be had', [{ path, message }])
}
