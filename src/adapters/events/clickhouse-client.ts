import { setTimeout as sleep } from 'node:timers/promises'
import type { ClickHouseClient } from '@clickhouse/client'
import { z } from 'zod'
import { said } from '../../said.js'
import { AppError, ConfigError, InvalidInputError, UpstreamError, formatProblem, messageOf } from '../../errors.js'
import { storable, toProblems } from '../../parse.js'
import { type Columns, migrationsTable, type Row, type Table } from '../../domain/events/tables.js'
import type { EventStore } from '../../ports/event-store.js'
import { SECOND_MS } from '../../time.js'
import { takeSnapshot } from './snapshot.js'
import { createMigrationsTable, migrations, type SchemaDialect } from './schema.js'

/** Statements of one queue wait for each other, those of different ones do not. */
export type EventQueue = 'insert' | 'serving' | 'scan'

/** Longest a statement may run, by queue. The engine stops it (`max_execution_time`), over HTTP the socket as well. */
export const QUEUE_TIMEOUT_MS: Readonly<Record<EventQueue, number>> = {
  insert: 60 * SECOND_MS,
  serving: 30 * SECOND_MS,
  scan: 600 * SECOND_MS,
}

/** Settings every statement runs under; a caller overrides one in the `SETTINGS` clause of its query. */
export function queueSettings(queue: EventQueue) {
  return {
    max_execution_time: QUEUE_TIMEOUT_MS[queue] / SECOND_MS,
    // Definitions make statements long: hundreds of tags are computed in one. Lists of people and of ids come in pieces.
    max_query_size: String(2 ** 20),
    output_format_json_quote_64bit_integers: 0 as const,
    // ALTER … DELETE has happened once the call returns.
    mutations_sync: '2',
  }
}

/** Runs an act on the connection of a queue that has the least to do. */
export type Connections = <T>(act: (client: ClickHouseClient) => Promise<T>) => Promise<T>

/** @param run - runs an act on the connection that was chosen */
export function connectionsOf(
  clients: readonly ClickHouseClient[],
  run: <T>(client: ClickHouseClient, act: (client: ClickHouseClient) => Promise<T>) => Promise<T> = (client, act) =>
    act(client),
): Connections {
  const busy = clients.map(() => 0)
  return async (act) => {
    const least = busy.indexOf(Math.min(...busy))
    busy[least]!++
    try {
      return await run(clients[least]!, act)
    } finally {
      busy[least]!--
    }
  }
}

/** `head` is an INSERT without rows, `columns` the list of those the Parquet file has. */
export type FileInsert = { head: string; columns: string; file: Buffer }

export type ClickhouseClientOptions = {
  kind: EventStore['kind']
  /** Named in errors: `chDB`, `ClickHouse at host:port`. Never a URL, which may hold a password. */
  system: string
  /** Every client of the queues, to be closed. */
  clients: readonly ClickHouseClient[]
  /** Connections of each: a chDB connection does one thing at a time, so what must not wait for each other needs its own. */
  queues: Readonly<Record<EventQueue, Connections>>
  database: string
  dialect: SchemaDialect
  /** Attempts for reads and inserts (an insert repeats its token, so it lands once). 1 where nothing is transient. */
  attempts: number
  /** Runs an INSERT up to its rows, which are those of the file. */
  insertFile(client: ClickHouseClient, insert: FileInsert): Promise<void>
  /** Frees what lies below the clients; called once, after they are closed. */
  release(): Promise<void>
}

/**
 * An EventStore over `@clickhouse/client`, with its schema brought up to date.
 *
 * @throws {ConfigError} when the store was written by a newer version of this program
 * @throws {UpstreamError} when the engine refuses or cannot be reached
 */
export async function openClickhouseClientEvents(options: ClickhouseClientOptions): Promise<EventStore> {
  const { kind, system, queues, database, dialect, attempts } = options
  const running = new Set<Promise<unknown>>()
  let closing: Promise<void> | undefined

  /** Runs one call, remembers it for `close`, and retries what may succeed later. */
  function call<T>(what: string, tries: number, act: () => Promise<T>, hideText = false): Promise<T> {
    if (closing !== undefined) {
      return Promise.reject(new UpstreamError(system, 'closed', false, `${what}: the event store is closed`))
    }
    const result = retried(tries, async () => {
      try {
        return await act()
      } catch (err) {
        throw toUpstreamError(system, what, err, hideText)
      }
    })
    running.add(result)
    const forget = () => void running.delete(result)
    void result.then(forget, forget)
    return result
  }

  async function readRows<S extends z.ZodType>(sql: string, row: S, queue: EventQueue): Promise<z.infer<S>[]> {
    const rows = await call('query', attempts, async () => {
      const result = await queues[queue]((client) => client.query({ query: sql, format: 'JSONEachRow' }))
      // Line breaks inside values are escaped, so every real one ends a row.
      return JSON.parse(`[${(await result.text()).trimEnd().replaceAll('\n', ',')}]`) as unknown
    })
    const parsed = z.array(row).safeParse(rows)
    if (parsed.success) return parsed.data
    // Without the values: they are customers' data.
    const problems = toProblems(parsed.error)
      .slice(0, 3)
      .map((p) => formatProblem(p))
      .join('; ')
    throw new UpstreamError(
      system,
      'unexpected_row',
      false,
      `the rows are not what the query's schema says: ${problems}`,
    )
  }

  const readFile = (sql: string) =>
    call('read', attempts, async () => {
      const { stream } = await queues.scan((client) => client.exec({ query: sql }))
      const chunks: Buffer[] = []
      for await (const chunk of stream) chunks.push(chunk as Buffer)
      return Buffer.concat(chunks)
    })

  const store: EventStore = {
    kind,
    async insert(table, rows, token) {
      if (rows.length === 0) return
      const sql = insertStatement(table, rows, token)
      const what = `insert of ${rows.length} rows into ${table.name}`
      // A parse error quotes the row, and rows hold customers' data: such texts go no further.
      await call(what, attempts, () => queues.insert((client) => client.command({ query: sql })), true)
    },
    async append(table, select) {
      // Rows that are the same once more are not to be left out: what is there, the SELECT knows.
      const sql = `INSERT INTO ${table.name} (${namesOf(table).join(', ')}) SETTINGS insert_deduplicate = 0 ${select}`
      await call(`append to ${table.name}`, 1, () => queues.scan((client) => client.command({ query: sql })))
    },
    query: (sql, row, queue = 'serving') => readRows(sql, row, queue),
    unread: () => [],
    snapshot: (copied) => takeSnapshot(store, readFile, copied),
    async load(table, columns, file, token) {
      const known = new Set(namesOf(table))
      const unknown = columns.find((column) => !known.has(column))
      if (unknown !== undefined)
        throw new ConfigError(`${system}: table "${table.name}" has no column "${unknown}" here → use the siyu that wrote it`) // prettier-ignore
      const insert = { head: insertHead(table, columns, token), columns: columns.join(', '), file }
      await call(`load of ${table.name}`, attempts, () => queues.insert((client) => options.insertFile(client, insert)), true) // prettier-ignore
    },
    async command(sql) {
      await call('command', 1, () => queues.scan((client) => client.command({ query: sql })))
    },
    async ping() {
      await call('ping', 1, async () =>
        (await queues.serving((client) => client.query({ query: 'SELECT 1', format: 'JSONEachRow' }))).text(),
      )
    },
    async drop() {
      const onCluster = dialect.cluster === undefined ? '' : ` ON CLUSTER \`${dialect.cluster}\``
      await store.command(`DROP DATABASE IF EXISTS \`${database}\`${onCluster} SYNC`)
    },
    close() {
      closing ??= (async () => {
        await Promise.allSettled(running)
        await Promise.all(options.clients.map((client) => client.close()))
        await options.release()
      })()
      return closing
    },
  }

  try {
    await migrate(store, system, dialect)
  } catch (err) {
    await store.close()
    throw err
  }
  return store
}

async function migrate(store: EventStore, system: string, dialect: SchemaDialect): Promise<void> {
  const known = migrations(dialect)
  const newest = known[known.length - 1]?.version ?? 0
  await store.command(createMigrationsTable(dialect))
  const rows = await store.query(
    `SELECT max(version) AS version FROM ${migrationsTable.name}`,
    z.object({ version: z.number() }),
  )
  const stored = rows[0]?.version ?? 0
  if (stored > newest) {
    throw new ConfigError(
      said(
        `${system}：事件库的结构是第 ${stored} 版，本程序认得到第 ${newest} 版 → 用写它的新版 siyu，或换一个数据目录或数据库`,
        `${system}: the event store has schema version ${stored}, this program knows ${newest} → run the newer siyu that wrote it, or use another data directory or database`,
      ),
    )
  }
  for (const { version, statements } of known.filter((m) => m.version > stored)) {
    for (const { sql, when } of statements) {
      const [row] = when === undefined ? [{ n: 1 }] : await store.query(when, z.object({ n: z.number() }))
      if (row!.n > 0) await store.command(sql)
    }
    await store.insert(migrationsTable, [{ version }], `migration-${version}`)
  }
}

/**
 * The whole INSERT as one text. The settings stand in the statement, since on chDB those given beside it stick to the
 * connection: a token would then swallow the next insert.
 */
function insertStatement<C extends Columns>(table: Table<C>, rows: readonly Row<C>[], token: string): string {
  const columns = namesOf(table)
  const head = `${insertHead(table, columns, token)} FORMAT JSONCompactEachRow`
  return `${head}\n${rows.map(writerOf(columns)).join('\n')}`
}

type Cell = { column: string; value: unknown; text: string }

/** Writes a row as a list. What stands in its column once more, as most of what a group has in common does, is written once. */
function writerOf(columns: readonly string[]): (row: Readonly<Record<string, unknown>>) => string {
  const last = columns.map((column): Cell => ({ column, value: undefined, text: 'null' }))
  return (row) => {
    let text = ''
    for (const cell of last) {
      const value = row[cell.column]
      if (value !== cell.value) {
        cell.value = value
        cell.text = JSON.stringify(toCell(value))
      }
      text += text === '' ? cell.text : `,${cell.text}`
    }
    return `[${text}]`
  }
}

function insertHead({ name }: Table, columns: readonly string[], token: string): string {
  if (token === '')
    throw new InvalidInputError('Cannot insert', [
      { path: 'token', message: 'the token is empty', hint: 'name the batch' },
    ])
  const settings = `insert_deduplication_token = ${quote(token)}, insert_deduplicate = 1, deduplicate_blocks_in_dependent_materialized_views = 1, async_insert = 0`
  return `INSERT INTO ${name} (${columns.join(', ')}) SETTINGS ${settings}`
}

/** The table's columns in order. @throws {InvalidInputError} where one of them, or the table, has a name that is none */
function namesOf({ name: table, columns }: Table): string[] {
  const names = Object.keys(columns)
  const wrong = [table, ...names].filter((name) => !/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
  if (wrong.length === 0) return names
  throw new InvalidInputError('Cannot insert', [
    {
      path: 'columns',
      message: `"${wrong.join('", "')}" is no table or column name`,
      hint: 'use letters, digits and _',
    },
  ])
}

/**
 * Instants as integer milliseconds; a column that was left out as null, for which the engine puts its default. Half a surrogate
 * pair would have the engine refuse all rows beside it.
 */
function toCell(value: unknown): unknown {
  return value instanceof Date ? value.getTime() : storable(value ?? null)
}

function quote(text: string): string {
  return `'${text.replace(/[\\']/g, '\\$&')}'`
}

async function retried<T>(tries: number, act: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await act()
    } catch (err) {
      if (attempt >= tries || !(err instanceof AppError) || !err.retryable) throw err
      await sleep(100 * 4 ** (attempt - 1))
    }
  }
}

/** Server errors that pass by themselves: too many queries or parts, time-outs, network, read-only replica, Keeper. */
const PASSING = new Set(['159', '202', '203', '209', '210', '225', '242', '252', '279', '319', '425', '473', '999'])

/**
 * Errors that speak of what was given, so that trying again would not help: what cannot be parsed, converted or held by its
 * column, and a question that is too large. Everything else may pass: memory, a full disk, rights, an engine that stops.
 *
 * @see ClickHouse, src/Common/ErrorCodes.cpp
 */
const OF_INPUT = new Set([
  '6',
  '25',
  '26',
  '27',
  '33',
  '38',
  '41',
  '53',
  '69',
  '70',
  '72',
  '117',
  '131',
  '167',
  '168',
  '306',
  '321',
  '349',
])

/** What the engine or the connection threw, as ours. With `hideText` only the error's type and row number remain. */
export function toUpstreamError(system: string, what: string, err: unknown, hideText = false): UpstreamError {
  if (err instanceof UpstreamError) return err
  const message = messageOf(err)
  const { code = 'unreachable', type = 'error' } = z
    .object({ code: z.string(), type: z.string() })
    .partial()
    .catch({})
    .parse(err)
  const cause = hideText ? {} : { cause: err }
  // The engine's codes are numbers. Not told by class: chDB's binding throws from its own copy of the client.
  if (/^\d+$/.test(code)) {
    const row = /\(at row (\d+)\)/.exec(message)?.[1]
    const text = hideText ? `${type}${row === undefined ? '' : ` at row ${row}`}` : `${type}: ${toShown(message)}`
    const about = OF_INPUT.has(code) ? 'input' : 'system'
    return new UpstreamError(system, code, PASSING.has(code), `${what}: ${text}`, cause, about)
  }
  const text = `${what}: no answer${hideText ? '' : `: ${toShown(message)}`}`
  return new UpstreamError(system, code, true, text, cause, 'system')
}

/** Literals of a query come back in error texts; a long run of digits may be a phone number. */
function toShown(text: string): string {
  return text.replace(/\d{7,}/g, '…').slice(0, 400)
}
