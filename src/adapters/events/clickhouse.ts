import { Readable } from 'node:stream'
import { ClickHouseLogLevel, createClient } from '@clickhouse/client'
import { ConfigError } from '../../errors.js'
import { said } from '../../said.js'
import type { EventStore } from '../../ports/event-store.js'
import {
  connectionsOf,
  QUEUE_TIMEOUT_MS,
  queueSettings,
  openClickhouseClientEvents,
  toUpstreamError,
  type EventQueue,
} from './clickhouse-client.js'

export type ClickhouseEventsOptions = {
  /** `http(s)://user:password@host:8123`; the value of CLICKHOUSE_URL. */
  url: string
  /** Made when absent; `drop` removes it. */
  database: string
  /** Cluster name when tables are replicated. All queues talk to the one server in `url`. */
  cluster?: string
}

/**
 * The event store on a ClickHouse server.
 *
 * @throws {ConfigError} when the URL or database name is unusable, or the store was written by a newer program
 * @throws {UpstreamError} when the server cannot be reached or refuses
 */
export async function openClickhouseEvents({ url, database, cluster }: ClickhouseEventsOptions): Promise<EventStore> {
  const server = parseUrl(url)
  for (const name of [database, ...(cluster === undefined ? [] : [cluster])]) {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
      throw new ConfigError(`ClickHouse: "${name}" is no database or cluster name → use letters, digits and _`)
    }
  }
  const access = {
    url: server.origin,
    username: decodeURIComponent(server.username) || 'default',
    password: decodeURIComponent(server.password),
    // Its own lines on the console would repeat our errors with the customers' data left in.
    log: { level: ClickHouseLogLevel.OFF },
  }
  const system = `ClickHouse at ${server.host} (CLICKHOUSE_URL)`
  await createDatabase(access, system, database, cluster)
  const open = (name: EventQueue) =>
    createClient({
      ...access,
      database,
      request_timeout: QUEUE_TIMEOUT_MS[name],
      // The whole result first: a query that fails half-way then gives its error, not half a result.
      clickhouse_settings: { ...queueSettings(name), wait_end_of_query: 1 },
    })
  const [insert, serving, scan] = [open('insert'), open('serving'), open('scan')]
  return openClickhouseClientEvents({
    kind: 'clickhouse',
    system,
    queues: { insert: connectionsOf([insert]), serving: connectionsOf([serving]), scan: connectionsOf([scan]) },
    clients: [insert, serving, scan],
    database,
    dialect: { cluster, fsync: false },
    attempts: 3,
    insertFile: async (client, { head, file }) => {
      const { stream } = await client.exec({ query: `${head} FORMAT Parquet`, values: Readable.from([file]) })
      for await (const _ of stream); // empty, and only over when it was read
    },
    release: () => Promise.resolve(),
  })
}

async function createDatabase(
  access: Parameters<typeof createClient>[0],
  system: string,
  database: string,
  cluster: string | undefined,
): Promise<void> {
  const admin = createClient({ ...access, request_timeout: QUEUE_TIMEOUT_MS.serving })
  const onCluster = cluster === undefined ? '' : ` ON CLUSTER \`${cluster}\``
  try {
    await admin.command({ query: `CREATE DATABASE IF NOT EXISTS \`${database}\`${onCluster}` })
  } catch (err) {
    throw toUpstreamError(system, `create database ${database}`, err)
  } finally {
    await admin.close()
  }
}

function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !['http:', 'https:'].includes(url.protocol) || url.host === '') {
    // The value may hold a password, so it is not shown.
    throw new ConfigError(
      said(
        'CLICKHOUSE_URL 不是 http(s) 地址 → 写成 http://user:password@host:8123',
        'CLICKHOUSE_URL is no http(s) URL → give http://user:password@host:8123',
      ),
    )
  }
  return url
}
