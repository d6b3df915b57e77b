import { chmodSync, existsSync, mkdirSync, readFileSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { createClient, type ClickHouseClient } from '@clickhouse/client'
import { drainPending } from 'chdb'
import { createChdbConnection } from 'chdb/connection'
import { ConflictError, UpstreamError, messageOf } from '../../errors.js'
import { said } from '../../said.js'
import type { EventStore } from '../../ports/event-store.js'
import { secretHex } from '../../random.js'
import { SECOND_MS } from '../../time.js'
import { Answers, silentAfterMs } from './answers.js'
import {
  connectionsOf,
  queueSettings,
  openClickhouseClientEvents,
  QUEUE_TIMEOUT_MS,
  type EventQueue,
} from './clickhouse-client.js'

export type ChdbEventsOptions = {
  /** Data directory; made when absent. One process holds it, and a process holds one at a time. */
  path: string
  /** All statements together, in MiB; the engine's own default is 90 % of the machine. */
  memoryLimitMb?: number
  /** Threads of one statement; default: as many as the machine has. */
  maxThreads?: number
  /**
   * Acknowledged rows survive a power cut as well as a kill. Off by default: measured 2 to 5 ms more an insert. Decided
   * when the directory is created.
   */
  fsync?: boolean
  /** Longest that a connection with something to do gives no answer; default: far beyond what a statement may take. */
  silentAfterMs?: number
  /** The engine has stopped answering, which nothing in this process can change. Statements fail from then on. */
  onSilent?: (err: UpstreamError) => void
}

type ClientOptions = NonNullable<Parameters<typeof createClient>[0]>

const DATABASE = 'siyu'
const SYSTEM = 'chDB'

/**
 * The event store inside this process, a connection or two a queue.
 *
 * @throws {ConflictError} when another process holds the directory, or this process holds another one
 * @throws {ConfigError} when the directory was written by a newer version of this program
 */
export async function openChdbEvents({
  path,
  memoryLimitMb = 2048,
  maxThreads = availableParallelism(),
  fsync = false,
  silentAfterMs: longestMs,
  onSilent = () => {},
}: ChdbEventsOptions): Promise<EventStore> {
  mkdirSync(path, { recursive: true, mode: 0o700 })
  // Made by an earlier version, it was open to every user of the machine.
  chmodSync(path, 0o700)
  await drainPending() // a store closed a moment ago may still be letting go
  const opened: ClickHouseClient[] = []
  const queueOf = new Map<unknown, EventQueue>()
  const answers = new Answers((connection, waitedMs) => {
    const err = toSilentError(queueOf.get(connection)!, waitedMs)
    onSilent(err)
    return err
  })
  try {
    // Two each where small statements come in pairs; a connection does one thing at a time.
    const open = async (queue: EventQueue, connections: number) => {
      const clients: ClickHouseClient[] = []
      for (let i = 0; i < connections; i++)
        clients.push(await openConnection(path, queue, memoryLimitMb, maxThreads, opened))
      for (const client of clients) queueOf.set(client, queue)
      const limitMs = longestMs ?? silentAfterMs(QUEUE_TIMEOUT_MS[queue])
      return connectionsOf(clients, (client, act) => answers.run(client, limitMs, () => act(client)))
    }
    const queues = { insert: await open('insert', 2), serving: await open('serving', 2), scan: await open('scan', 1) }
    return await openClickhouseClientEvents({
      kind: 'chdb',
      system: SYSTEM,
      queues,
      clients: opened,
      database: DATABASE,
      dialect: { cluster: undefined, fsync },
      attempts: 1,
      // The engine takes bytes from a file alone. Its own folder for what is short-lived is emptied when it starts.
      insertFile: async (client, { head, columns, file }) => {
        const folder = join(path, 'tmp')
        mkdirSync(folder, { recursive: true, mode: 0o700 })
        const name = join(folder, `${secretHex(8)}.parquet`)
        try {
          await writeFile(name, file, { mode: 0o600 })
          const quoted = name.replace(/[\\']/g, '\\$&')
          await client.command({ query: `${head} SELECT ${columns} FROM file('${quoted}', Parquet)` })
        } finally {
          await rm(name, { force: true })
        }
      },
      release: async () => {
        // What does not come back is not waited for.
        if (!answers.isSilent) await drainPending()
      },
    })
  } catch (err) {
    await Promise.all(opened.map((client) => client.close()))
    await drainPending()
    throw err
  }
}

async function openConnection(
  path: string,
  queue: EventQueue,
  memoryLimitMb: number,
  maxThreads: number,
  opened: ClickHouseClient[],
) {
  try {
    // The same interface; its types differ because the client bundles a copy of its common part.
    const connection = createChdbConnection({ path }) as unknown as NonNullable<ClientOptions['connection']>
    const client = createClient({ connection })
    opened.push(client)
    await client.command({ query: `CREATE DATABASE IF NOT EXISTS ${DATABASE}` })
    await client.command({ query: `USE ${DATABASE}` })
    const settings = {
      ...queueSettings(queue),
      max_memory_usage_for_user: memoryLimitMb * 2 ** 20,
      max_threads: maxThreads,
    }
    // Once a connection: there they stick, and need not be sent with every statement.
    for (const [name, value] of Object.entries(settings)) await client.command({ query: `SET ${name} = ${value}` })
    return client
  } catch (err) {
    throw toOpenError(path, err)
  }
}

function toSilentError(queue: EventQueue, waitedMs: number): UpstreamError {
  return new UpstreamError(
    SYSTEM,
    'no_answer',
    false,
    `no statement of a connection for ${queue} has come back for ${Math.round(waitedMs / SECOND_MS)} s → start this process anew; nothing that was acknowledged is lost`,
    {},
    'system',
  )
}

function toOpenError(path: string, err: unknown): Error {
  const message = messageOf(err)
  if (/active data directory|still releasing/i.test(message)) {
    return new ConflictError(
      said(
        `事件库：本进程已打开另一个 chDB 目录 → 先关掉它，再打开 ${path}`,
        `event store: this process already holds another chDB directory → close that store before opening ${path}`,
      ),
      { path },
      { cause: err },
    )
  }
  const holder = holderOf(path)
  if (holder !== undefined) {
    return new ConflictError(
      said(
        `事件库：数据目录 ${path} 正被进程 ${holder} 使用 → 停掉它，或换一个目录`,
        `event store: process ${holder} uses the data directory ${path} → stop it, or choose another directory`,
      ),
      { path, holder },
      { cause: err },
    )
  }
  const hint = 'another machine may use it, or it is damaged, or not writable'
  return new UpstreamError(
    SYSTEM,
    'open_failed',
    false,
    `cannot open the data directory ${path}: ${message} (${hint})`,
    {
      cause: err,
    },
  )
}

/** The other living process named in the engine's status file: the engine itself prints the reason and does not return it. */
function holderOf(path: string): number | undefined {
  const file = join(path, 'status')
  if (!existsSync(file)) return undefined
  const pid = Number(/^PID: (\d+)/m.exec(readFileSync(file, 'utf8'))?.[1])
  return pid > 0 && pid !== process.pid && isAlive(pid) ? pid : undefined
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (err) {
    return err instanceof Error && 'code' in err && err.code === 'EPERM' // alive, and somebody else's
  }
}
