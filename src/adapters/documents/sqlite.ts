import { chmodSync, closeSync, existsSync, openSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import Database from 'libsql'
import {
  AppError,
  ConfigError,
  ConflictError,
  messageOf,
  type UnfitDocumentError,
  UpstreamError,
} from '../../errors.js'
import { said } from '../../said.js'
import type {
  Collection,
  CollectionDefinition,
  Doc,
  DocumentSnapshot,
  DocumentStore,
} from '../../ports/document-store.js'
import { elapsedMs } from '../../time.js'
import { applyUpdate, fromEqualities } from './apply-update.js'
import { checkReads, UnfitDocuments } from './check-reads.js'
import { toMatcher } from './match-filter.js'
import {
  checkDefinition,
  checkDoc,
  checkFilter,
  checkId,
  checkUpdate,
  checkVersion,
  compareValues,
  type Definition,
  type Filter,
  type FindOptions,
  isPlain,
  isScalar,
  migrateDoc,
  newnessOf,
  refused,
  type Sort,
  type Update,
  valueAt,
} from './language.js'
import {
  compileFilter,
  compileSort,
  toColumnValue,
  type Bind,
  type Columns,
  type Sql,
  type SqlFilter,
} from './sqlite-filter.js'
import { fromJson, toJson } from './document-json.js'
import { readLines } from './read-lines.js'

export type SqliteOptions = {
  /** Path of the database file (its folder exists), or `:memory:`. */
  file: string
  /** An acknowledged write survives a power cut, not only the death of the process. Default true. */
  fsync?: boolean
  /** Told once of each document that is read and does not fit. */
  onUnfit?: (err: UnfitDocumentError) => void
}

/** Documents touched between two turns of the event loop; 500 updates take about 80 ms. */
const CHUNK = 500
/** Rows that one statement writes: of few sizes, so that few statements are prepared. */
const ROWS = [50, 10, 1] as const
/** So many more than are wanted are looked at first, where a filter is decided by the document itself. */
const FEW = 8
/** A shared transaction is committed after this long, so that callers and timers get their turn. */
const TURN_MS = 10
/** Documents of a copy in memory: one may have MiBs. */
const COPIED = 100
/** Shape of our own tables, kept in `user_version`. */
const LAYOUT = 1

/**
 * Keeps documents in one SQLite file: JSON text, plus a column per indexed field. Writes that are waiting at the same
 * moment share one transaction, and are acknowledged after it is on disk. The disk is waited for beside the event loop:
 * SQLite itself would hold up everything else at each commit (`synchronous = FULL`), so it is told to write its log
 * without waiting (`NORMAL`: the log is on disk before the database is changed), and we sync the log.
 *
 * @throws {ConfigError} when the file cannot be opened, is no database, or was written by a newer program
 */
export function openSqliteDocuments({ file, fsync = true, onUnfit }: SqliteOptions): DocumentStore {
  const db = openFile(file, fsync)
  const collections = new Map<string, { shape: string; opened: Promise<Collection<Doc>> }>()
  const raw = new Map<string, Promise<Collection<Doc>>>()
  const unfit = new UnfitDocuments(onUnfit)
  let closing: Promise<void> | undefined

  const store: DocumentStore = {
    kind: 'sqlite',
    async collection<T extends Doc>(definition: CollectionDefinition<T>): Promise<Collection<T>> {
      checkDefinition(definition)
      const shape = JSON.stringify([definition.version, definition.indexes ?? []])
      let known = collections.get(definition.name)
      if (known === undefined) {
        const inner = openCollection<Doc>(db, definition, file)
        const opened = inner.then((unchecked) => checkReads(unchecked, definition, unfit))
        raw.set(definition.name, inner)
        known = { shape, opened }
        collections.set(definition.name, known)
        known.opened.catch(() => collections.delete(definition.name)) // the caller gets the error; another try starts afresh
      }
      if (known.shape !== shape) throw new ConfigError(`Collection "${definition.name}" is defined twice, differently`)
      return known.opened as unknown as Promise<Collection<T>> // only its definition says what a collection holds
    },
    async snapshot() {
      return file === ':memory:' ? liveSnapshot(db) : stillSnapshot(file)
    },
    async load(definition, lines, version) {
      await store.collection(definition)
      await (await raw.get(definition.name)!).put(readLines(definition, lines, version))
    },
    unfit: () => unfit.list(),
    async ping() {
      db.all('SELECT 1', [])
    },
    async drop() {
      await db.write(true, () => {
        for (const [name] of db.all("SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'c:%'", [])) {
          db.run(`DROP TABLE ${quote(String(name))}`, [])
        }
        db.run('DELETE FROM _collections', [])
      })
      collections.clear()
      unfit.clear()
      db.forget()
    },
    async close() {
      closing ??= db.close()
      await closing
    },
  }
  return store
}

// ── Copies ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** A second connection: what it sees is what was committed when its transaction read first, while writers go on in the log. */
function stillSnapshot(file: string): DocumentSnapshot {
  const raw = new Database(file, { readonly: true })
  const all: Db['all'] = (sql, params) => raw.prepare(sql).raw(true).all(params) as Row[]
  try {
    raw.exec('BEGIN')
    all('SELECT count(*) FROM _collections', [])
  } catch (err) {
    raw.close()
    throw toAppError(err)
  }
  let isOpen = true
  return {
    isStill: true,
    scan: (name) => readPages(all, name),
    async close() {
      if (isOpen) raw.close()
      isOpen = false
    },
  }
}

/** A database in memory is seen by its one connection. */
function liveSnapshot(db: Db): DocumentSnapshot {
  return {
    isStill: false,
    scan: (name) => readPages((sql, params) => db.all(sql, params), name),
    close: () => Promise.resolve(),
  }
}

async function* readPages(all: Db['all'], name: string): AsyncGenerator<string[]> {
  for (let last: Bind = null; ;) {
    const rows: Row[] = all(
      `SELECT k, doc FROM ${quote(`c:${name}`)} WHERE ?1 IS NULL OR k > ?1 ORDER BY k LIMIT ${COPIED}`,
      [last],
    )
    if (rows.length > 0) yield rows.map(([, doc]) => doc as string)
    if (rows.length < COPIED) return
    last = rows.at(-1)![0] as Bind // the page was full
    await nextTurn()
  }
}

// ── One connection ──────────────────────────────────────────────────────────────────────────────────────────────────

type Row = unknown[]

/** The connection: prepared statements, and writes that share transactions. */
type Db = {
  all(sql: string, params: readonly Bind[]): Row[]
  /** The first row, where there can be one only. */
  one(sql: string, params: readonly Bind[]): Row | undefined
  /** @returns rows changed */
  run(sql: string, params: readonly Bind[]): number
  /** Queues `work`; resolves after commit. `parts`: does it make several changes that must be undone together? */
  write<R>(parts: boolean, work: () => R): Promise<R>
  /** Drops cached statements. */
  forget(): void
  close(): Promise<void>
}

/** It holds who customers are: this user alone reads it, and the log beside it, which gets the rights that it has. */
function keepPrivate(file: string): void {
  if (file === ':memory:') return
  closeSync(openSync(file, 'a', 0o600))
  for (const name of [file, `${file}-wal`, `${file}-shm`]) if (existsSync(name)) chmodSync(name, 0o600)
}

function openFile(file: string, fsync: boolean): Db {
  let raw: Database.Database
  let hasLog: boolean
  try {
    keepPrivate(file)
    raw = new Database(file)
    raw.exec('PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA cache_size = -65536')
    // Some file systems allow no log, and a database in memory has none.
    hasLog = (raw.prepare('PRAGMA journal_mode').raw(true).get() as Row)[0] === 'wal'
    raw.exec(`PRAGMA synchronous = ${!fsync ? 'OFF' : hasLog ? 'NORMAL' : 'FULL'}`)
    raw.exec('PRAGMA temp_store = MEMORY; PRAGMA wal_autocheckpoint = 4000')
  } catch (err) {
    throw new ConfigError(
      said(
        `打不开文档库 "${file}"：${messageOf(err)} → 看看目录在不在、能不能写，这个文件是不是 SQLite 数据库`,
        `Cannot open the documents database "${file}": ${messageOf(err)}. Check that its folder exists and is writable and that the file is a SQLite database`,
      ),
      [],
      { cause: err },
    )
  }
  const db = connection(raw, fsync && hasLog ? openLog(`${file}-wal`) : undefined)
  const layout = Number(db.all('PRAGMA user_version', [])[0]?.[0])
  if (layout > LAYOUT) {
    raw.close()
    throw new ConfigError(
      said(
        `文档库 "${file}" 由更新的程序写成（结构 ${layout}，本程序认得 ${LAYOUT}）→ 用那个程序`,
        `The documents database "${file}" was written by a newer program (layout ${layout}, known ${LAYOUT}); use that program`,
      ),
    )
  }
  raw.exec(
    `CREATE TABLE IF NOT EXISTS _collections (name TEXT PRIMARY KEY, version INTEGER NOT NULL, ready INTEGER NOT NULL, fields TEXT NOT NULL);
     PRAGMA user_version = ${LAYOUT}`,
  )
  return db
}

type Job = { parts: boolean; work: () => unknown; resolve: (value: unknown) => void; reject: (err: unknown) => void }
type Settled = { resolve: () => void; reject: (err: unknown) => void }

/** SQLite's log. It locks the database file and never this one, so a second handle of it releases no lock. */
type Log = { sync(): Promise<void>; close(): Promise<void> }

function openLog(file: string): Log {
  let handle: Promise<FileHandle> | undefined
  return {
    async sync() {
      // SQLite makes it with the first write, and keeps it as long as a connection is open.
      handle ??= open(file, 'r+').catch((err: unknown) => {
        handle = undefined
        throw err
      })
      await (await handle).datasync()
    },
    async close() {
      await (await handle)?.close()
    },
  }
}

function connection(raw: Database.Database, log: Log | undefined): Db {
  const statements = new Map<string, Database.Statement<unknown[]>>()
  let queue: Job[] = []
  let flushing: Promise<void> | undefined
  let committed: Settled[] = []
  let syncing: Promise<void> | undefined
  let closed = false

  const prepare = (sql: string) => {
    if (closed) throw new UpstreamError('sqlite', 'closed', false, 'the document store is closed')
    let statement = statements.get(sql)
    if (statement === undefined) {
      if (statements.size >= 500) statements.clear()
      statement = raw.prepare(sql)
      if (statement.reader) statement.raw(true)
      statements.set(sql, statement)
    }
    return statement
  }
  const run = (sql: string, params: readonly Bind[]) => {
    try {
      return prepare(sql).run(params).changes
    } catch (err) {
      throw toAppError(err)
    }
  }
  const all = (sql: string, params: readonly Bind[]) => {
    try {
      return prepare(sql).all(params) as Row[]
    } catch (err) {
      throw toAppError(err)
    }
  }

  const one = (sql: string, params: readonly Bind[]) => {
    try {
      return prepare(sql).get(params) as Row | undefined
    } catch (err) {
      throw toAppError(err)
    }
  }

  /** One transaction of whatever waits. A job that throws undoes itself only. */
  const flush = () => {
    const jobs = queue
    const settled: Settled[] = []
    let next = 0
    try {
      run('BEGIN IMMEDIATE', [])
      const until = elapsedMs() + TURN_MS
      while (next < jobs.length && (next === 0 || elapsedMs() < until)) {
        const job = jobs[next++]!
        if (job.parts) run('SAVEPOINT job', [])
        try {
          const value = job.work()
          settled.push({ resolve: () => job.resolve(value), reject: job.reject })
        } catch (err) {
          if (!raw.inTransaction) throw err // a full disk undoes all of it: what came next would be written outside
          if (job.parts) run('ROLLBACK TO job', [])
          settled.push({ resolve: () => job.reject(err), reject: job.reject })
        }
        if (job.parts) run('RELEASE job', [])
      }
      run('COMMIT', [])
    } catch (err) {
      if (raw.inTransaction) raw.exec('ROLLBACK')
      next = Math.max(next, 1)
      settled.length = 0
      for (const job of jobs.slice(0, next)) job.reject(err)
    }
    queue = jobs.slice(next)
    committed.push(...settled)
    if (committed.length > 0) syncing ??= acknowledge()
  }
  /** What is committed while one sync runs shares the next. */
  const acknowledge = async () => {
    while (committed.length > 0) {
      const group = committed
      committed = []
      try {
        await log?.sync()
        for (const { resolve } of group) resolve()
      } catch (err) {
        const lost = new UpstreamError('sqlite', 'sync', false, messageOf(err), { cause: err })
        for (const { reject } of group) reject(lost)
      }
    }
    syncing = undefined
  }
  const drain = async () => {
    // A turn later, so that writes asked for at the same moment travel together.
    await nextTurn()
    while (queue.length > 0) {
      flush()
      if (queue.length > 0) await nextTurn()
    }
    flushing = undefined
  }

  return {
    all,
    one,
    run,
    write<R>(parts: boolean, work: () => R) {
      if (closed) return Promise.reject(new UpstreamError('sqlite', 'closed', false, 'the document store is closed'))
      return new Promise<R>((resolve, reject) => {
        queue.push({ parts, work, resolve: resolve as (value: unknown) => void, reject })
        flushing ??= drain()
      })
    },
    forget: () => statements.clear(),
    async close() {
      while (flushing !== undefined || syncing !== undefined) await (flushing ?? syncing)
      await log?.close()
      run('PRAGMA wal_checkpoint(TRUNCATE)', [])
      closed = true
      statements.clear()
      raw.close()
    },
  }
}

function toAppError(err: unknown): AppError {
  if (err instanceof AppError) return err
  const code = (err as { code?: string }).code ?? 'unknown'
  if (code === 'SQLITE_CONSTRAINT_UNIQUE') {
    const fields = /failed: (.*)$/.exec(messageOf(err))?.[1]?.replaceAll(/c:|f:/g, '') ?? 'a unique key'
    return new ConflictError(`Another document has the same ${fields}`, { fields })
  }
  const busy = code.startsWith('SQLITE_BUSY')
  const hint = busy
    ? 'another process writes to the file; stop it'
    : code.startsWith('SQLITE_FULL')
      ? 'the disk is full; make room'
      : messageOf(err)
  return new UpstreamError('sqlite', code, busy, hint, { cause: err })
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

function* piecesOf<V>(items: readonly V[]): Generator<V[]> {
  for (let from = 0; from < items.length;) {
    const size = ROWS.find((rows) => rows <= items.length - from)! // one at least
    yield items.slice(from, (from += size))
  }
}

function chunksOf<V>(items: readonly V[]): V[][] {
  const chunks: V[][] = []
  for (let i = 0; i < items.length; i += CHUNK) chunks.push(items.slice(i, i + CHUNK))
  return chunks
}

// ── One collection ──────────────────────────────────────────────────────────────────────────────────────────────────

type Field = { path: string; keys: readonly string[]; column: string }

/** Columns: `k` the `_id` (a number or a text, which SQLite orders as MongoDB does), `v` the version, `f:<path>` one per indexed field, `doc`. */
function toFields({ indexes = [] }: Definition): Field[] {
  const paths = [...new Set(indexes.flatMap((index) => index.fields))]
  return paths.map((path) => ({ path, keys: path.split('.'), column: quote(`f:${path}`) }))
}

function fieldValues(fields: readonly Field[], doc: Doc): Bind[] {
  return fields.map(({ path, keys }) => {
    const value = valueAt(doc, keys)
    if (value === undefined || value === null || isScalar(value)) return toColumnValue(value)
    throw refused(path, 'an indexed field holds a string, number, boolean or Date')
  })
}

async function openCollection<T extends Doc>(db: Db, definition: Definition, file: string): Promise<Collection<T>> {
  await migrate(db, definition, file)
  const { version } = definition
  const table = quote(`c:${definition.name}`)
  const fields = toFields(definition)
  const columns: Columns = new Map([['_id', 'k'], ...fields.map((f) => [f.path, f.column] as const)])
  const unindexed: Columns = new Map([...columns].map(([path, column]) => [path, `+${column}`]))
  const unique = new Set(
    definition.indexes?.flatMap((index) => (index.unique ? index.fields.map((f) => quote(`f:${f}`)) : [])),
  )
  const names = ['k', 'v', ...fields.map((f) => f.column), 'doc']
  const list = (items: readonly string[]) => items.join(', ')
  const insertSql = (rows: number) =>
    `INSERT INTO ${table} (${list(names)}) VALUES ${list(Array<string>(rows).fill(`(${list(names.map(() => '?'))})`))}`
  const putSql = ` ON CONFLICT (k) DO UPDATE SET ${list(names.slice(1).map((name) => `${name} = excluded.${name}`))}`
  /** Only of what is there already. */
  const replaceSql = (rows: number, changed: readonly string[]) => {
    const sets = ['doc', ...changed]
    const row = `(${list(['k', 'v', ...sets].map(() => '?'))})`
    return `INSERT INTO ${table} (${list(['k', 'v', ...sets])}) VALUES ${list(Array<string>(rows).fill(row))} ON CONFLICT (k) DO UPDATE SET ${list(sets.map((name) => `${name} = excluded.${name}`))}`
  }

  /** Behind an upsert: what is stored stays where its field is greater. */
  const guardOf = (doc: T, field: string | undefined): Sql => {
    if (field === undefined) return { text: '', params: [] }
    const value = newnessOf(doc, field)
    const path = `$.${JSON.stringify(field)}${value instanceof Date ? '."$date"' : ''}`
    const text = ` WHERE coalesce(json_extract(${table}.doc, ?) <= json_extract(excluded.doc, ?), TRUE)`
    return { text, params: [path, path] }
  }

  /** `byKey`: the same condition for rows that are named by key; it keeps SQLite from looking them up by anything else. */
  type Compiled = SqlFilter & { readonly byKey: Sql; test: (doc: Doc) => boolean }
  const compile = (filter: Filter): Compiled => {
    checkFilter(filter)
    const compiled = compileFilter(filter, columns)
    let byKey: Sql | undefined
    return {
      ...compiled,
      get byKey() {
        return (byKey ??= compileFilter(filter, unindexed).where)
      },
      test: compiled.rest === undefined ? () => true : toMatcher(compiled.rest),
    }
  }
  const orderOf = (sort: Sort = {}) => compileSort(sort, columns)
  const read = (row: Row) => fromJson<T>(row[0] as string)
  const toRow = (doc: Doc): Bind[] => [doc._id, version, ...fieldValues(fields, doc), toJson(doc)]
  const byId = (id: unknown): T | undefined => {
    if (typeof id !== 'string' && typeof id !== 'number') throw refused('_id', 'must be a string or a number')
    const row = db.one(`SELECT doc FROM ${table} WHERE k = ?`, [id])
    return row && read(row)
  }

  const select = (what: string, { where }: SqlFilter, order: string, limit = -1, skip = 0) =>
    db.all(`SELECT ${what} FROM ${table} WHERE ${where.text} ORDER BY ${order} LIMIT ? OFFSET ?`, [
      ...where.params,
      limit,
      skip,
    ])

  /** Those of `keys` that (still) match, in the order of `keys`. */
  const fetch = (keys: readonly Row[], compiled: Compiled): T[] => {
    const { byKey, test } = compiled
    const sql = `SELECT k, doc FROM ${table} WHERE k IN (SELECT value FROM json_each(?)) AND ${byKey.text}`
    const found = new Map(
      db.all(sql, [JSON.stringify(keys.map(([k]) => k)), ...byKey.params]).map(([k, doc]) => [k, doc]),
    )
    const docs: T[] = []
    for (const [k] of keys) {
      const text = found.get(k)
      if (text === undefined) continue
      const doc = fromJson<T>(text as string)
      if (test(doc)) docs.push(doc)
    }
    return docs
  }

  /**
   * Matches in `order`, chunk by chunk, with a turn of the event loop in between. The keys are read first (they are
   * small), so that writes in between neither repeat nor skip a document that was there from the start.
   */
  async function* matches(compiled: Compiled, order: string, size = CHUNK, limit = -1, skip = 0): AsyncGenerator<T[]> {
    const keys = select('k', compiled, order, limit, skip)
    for (let i = 0; i < keys.length; i += size) {
      if (i > 0) await nextTurn()
      const docs = fetch(keys.slice(i, i + size), compiled)
      if (docs.length > 0) yield docs
    }
  }

  const collect = async (filter: Filter, { sort, limit = Infinity, skip = 0 }: FindOptions = {}): Promise<T[]> => {
    const compiled = compile(filter)
    const order = orderOf(sort)
    const docs: T[] = []
    if (order !== undefined && compiled.rest === undefined) {
      // Most answers are small: one statement, no keys first.
      const rows = select('doc', compiled, order, Math.min(limit, CHUNK + 1), skip)
      if (rows.length <= CHUNK) return rows.map(read)
      for await (const chunk of matches(compiled, order, CHUNK, limit === Infinity ? -1 : limit, skip))
        docs.push(...chunk)
      return docs
    }
    if (order !== undefined && limit !== Infinity) {
      // What SQL could not decide mostly holds: a few more than are wanted, before the keys of all.
      const few = Math.min(2 * (skip + limit) + FEW, CHUNK)
      const rows = select('doc', compiled, order, few)
      const early = rows.map(read).filter(compiled.test)
      if (early.length >= skip + limit || rows.length < few) return early.slice(skip, skip + limit)
    }
    for await (const chunk of matches(compiled, order ?? 'k')) {
      docs.push(...chunk)
      if (order !== undefined && docs.length >= skip + limit) break
    }
    if (order === undefined) sortDocs(docs, sort!) // without a sort there is an order
    return docs.slice(skip, skip + limit)
  }

  /** The first match, without giving way to another write. */
  const first = (filter: Filter, sort?: Sort): T | undefined => {
    const compiled = compile(filter)
    const order = orderOf(sort)
    if (order !== undefined && compiled.rest === undefined) return select('doc', compiled, order, 1).map(read)[0]
    if (order !== undefined) {
      for (const row of select('doc', compiled, order, FEW)) {
        const doc = read(row)
        if (compiled.test(doc)) return doc
      }
    }
    const keys = select('k', compiled, order ?? 'k')
    let best: T[] = []
    for (const chunk of chunksOf(keys)) {
      best.push(...fetch(chunk, compiled))
      if (order !== undefined && best.length > 0) return best[0]
      if (order === undefined) best = sortDocs(best, sort!).slice(0, 1) // as above
    }
    return best[0]
  }

  /** Which of the keys are there. */
  const present = (ids: readonly T['_id'][]): Set<unknown> => {
    const sql = `SELECT k FROM ${table} WHERE k IN (SELECT value FROM json_each(?))`
    return new Set(db.all(sql, [JSON.stringify(ids)]).map(([k]) => k))
  }

  /** @returns the keys of those that were inserted */
  const insertRows = (rows: readonly Bind[][]): Set<unknown> => {
    const inserted = new Set<unknown>()
    for (const piece of piecesOf(rows)) {
      const sql = `${insertSql(piece.length)} ON CONFLICT DO NOTHING`
      if (piece.length === 1) {
        if (db.run(sql, piece[0]!) === 1) inserted.add(piece[0]![0])
      } else for (const [k] of db.all(`${sql} RETURNING k`, piece.flat())) inserted.add(k)
    }
    return inserted
  }

  /** Changes a document that was read in the same transaction. @returns the columns that are another value then */
  const apply = (doc: T, update: Update): string[] => {
    const before = fieldValues(fields, doc)
    applyUpdate(doc, update)
    checkDoc(doc, definition)
    const after = fieldValues(fields, doc)
    return fields.flatMap(({ column }, i) => (isSame(after[i], before[i]) ? [] : [column]))
  }

  /** Writes documents that are there, in order. Unchanged columns stay out, so that indexes are left alone. */
  const replace = (docs: Iterable<readonly [doc: T, changed: ReadonlySet<string>]>) => {
    const alike: { columns: string[]; rows: Bind[][] }[] = []
    for (const [doc, changed] of docs) {
      const written = fields.filter(({ column }) => changed.has(column))
      const columns = written.map(({ column }) => column)
      if (list(alike.at(-1)?.columns ?? ['none']) !== list(columns)) alike.push({ columns, rows: [] })
      alike.at(-1)!.rows.push([doc._id, version, toJson(doc), ...fieldValues(written, doc)]) // pushed above
    }
    for (const { columns, rows } of alike)
      for (const piece of piecesOf(rows)) db.run(replaceSql(piece.length, columns), piece.flat())
  }

  const change = (doc: T, update: Update): T => {
    replace([[doc, new Set(apply(doc, update))]])
    return doc
  }

  const make = (doc: T, update: Update): T => {
    applyUpdate(doc, update, true)
    checkDoc(doc, definition)
    db.run(insertSql(1), toRow(doc))
    return doc
  }

  type Item = { id: T['_id']; update: Update; where?: Filter; upsert?: boolean }

  /** In order, each on what those before it have left: what they change is read together, and written together. */
  const updateAll = (items: readonly Item[]): boolean => {
    const sql = `SELECT doc FROM ${table} WHERE k IN (SELECT value FROM json_each(?))`
    const docs = new Map(
      db.all(sql, [JSON.stringify(items.map(({ id }) => id))]).map((row) => {
        const doc = read(row)
        return [doc._id, doc]
      }),
    )
    let isChanged = false
    const unwritten = new Map<T, Set<string>>()
    const testOf = lastOf((where: Filter) => toMatcher(where))
    for (const { id, update, where, upsert } of items) {
      const doc = docs.get(id)
      if (doc === undefined) {
        if (upsert === true) docs.set(id, make({ _id: id } as T, update))
      } else if (where === undefined || testOf(where)(doc)) {
        isChanged = true
        const columns = apply(doc, update)
        const changed = new Set([...(unwritten.get(doc) ?? []), ...columns])
        unwritten.set(doc, changed)
        // What this one frees the next may take.
        if (columns.some((column) => unique.has(column))) {
          replace([[doc, changed]])
          unwritten.delete(doc)
        }
      }
    }
    replace(unwritten)
    return isChanged
  }

  return {
    async get(id) {
      return byId(id)
    },
    async getMany(ids) {
      for (const id of ids) checkId(id, definition.name)
      const docs: T[] = []
      for (const chunk of chunksOf(inOrder([...new Set(ids)]))) {
        if (docs.length > 0) await nextTurn()
        const sql = `SELECT doc FROM ${table} WHERE k IN (SELECT value FROM json_each(?)) ORDER BY k`
        docs.push(...db.all(sql, [JSON.stringify(chunk)]).map(read))
      }
      return docs
    },
    async find(filter, options?: FindOptions) {
      return collect(filter, options)
    },
    async findOne(filter, options?: { sort?: Sort }) {
      return first(filter, options?.sort)
    },
    async *scan(filter, batchSize = CHUNK) {
      const compiled = compile(filter)
      const unfiltered = compiled.where.text === '1'
      if (!unfiltered) {
        yield* matches(compiled, 'k', batchSize)
        return
      }
      // A whole collection is walked page by page: even its keys may be many.
      for (let last: Bind = null; ;) {
        const page: Sql = last === null ? compiled.where : { text: 'k > ?', params: [last] }
        const rows = select('k, doc', { where: page, rest: undefined }, 'k', batchSize)
        const docs = rows.map((row) => fromJson<T>(row[1] as string)).filter(compiled.test)
        if (docs.length > 0) yield docs
        if (rows.length < batchSize) return
        last = rows.at(-1)![0] as Bind // the page was full
        await nextTurn()
      }
    },
    async count(filter) {
      const compiled = compile(filter)
      if (compiled.rest === undefined) {
        return Number(db.one(`SELECT count(*) FROM ${table} WHERE ${compiled.where.text}`, compiled.where.params)?.[0])
      }
      let count = 0
      for await (const docs of matches(compiled, 'k')) count += docs.length
      return count
    },
    async insert(docs) {
      for (const doc of docs) checkDoc(doc, definition)
      const refusedIds: T['_id'][] = []
      for (const chunk of chunksOf(docs)) {
        // Of what is there already nothing is written down.
        const taken = chunk.length === 1 ? new Set() : present(chunk.map((doc) => doc._id))
        const rows = chunk.filter((doc) => !taken.has(doc._id)).map(toRow)
        const inserted = rows.length === 0 ? new Set() : await db.write(rows.length > 1, () => insertRows(rows))
        // One that is named twice was inserted once.
        for (const { _id } of chunk) if (!inserted.delete(_id)) refusedIds.push(_id)
      }
      return { refused: refusedIds }
    },
    async put(docs, { unlessNewer } = {}) {
      for (const doc of docs) checkDoc(doc, definition)
      for (const chunk of chunksOf(docs)) {
        const puts = chunk.map((doc) => ({ row: toRow(doc), guard: guardOf(doc, unlessNewer) }))
        await db.write(puts.length > 1, () => {
          for (const piece of piecesOf(puts)) {
            const { guard } = piece[0]! // of a number or of an instant, as the field is
            db.run(insertSql(piece.length) + putSql + guard.text, [...piece.flatMap(({ row }) => row), ...guard.params])
          }
        })
      }
    },
    async update(id, update, where) {
      checkId(id, definition.name)
      checkUpdate(update, definition)
      if (where !== undefined) checkFilter(where)
      return db.write(false, () => updateAll([{ id, update, ...(where && { where }) }]))
    },
    async updateEach(items) {
      // Most items share one condition.
      const check = lastOf(checkFilter)
      for (const { id, update, where } of items) {
        checkId(id, definition.name)
        checkUpdate(update, definition)
        if (where !== undefined) check(where)
      }
      for (const chunk of chunksOf(items)) await db.write(chunk.length > 1, () => updateAll(chunk))
    },
    async updateMany(filter, update) {
      checkUpdate(update, definition)
      const compiled = compile(filter)
      let matched = 0
      for (const keys of chunksOf(select('k', compiled, 'k'))) {
        matched += await db.write(true, () => {
          const docs = fetch(keys, compiled)
          for (const doc of docs) change(doc, update)
          return docs.length
        })
      }
      return matched
    },
    async findOneAndUpdate(filter, update, { sort, upsert = false }: { sort?: Sort; upsert?: boolean } = {}) {
      checkUpdate(update, definition)
      compile(filter)
      if (upsert) checkId(fromEqualities(filter)._id, definition.name)
      return db.write(false, () => {
        const doc = first(filter, sort)
        if (doc !== undefined) return change(doc, update)
        return upsert ? make(fromEqualities(filter) as T, update) : undefined
      })
    },
    async delete(filter) {
      const compiled = compile(filter)
      let deleted = 0
      for (const keys of chunksOf(select('k', compiled, 'k'))) {
        deleted += await db.write(false, () => {
          const left = compiled.rest === undefined ? keys.map(([k]) => k) : fetch(keys, compiled).map((doc) => doc._id)
          const sql = `DELETE FROM ${table} WHERE k IN (SELECT value FROM json_each(?)) AND ${compiled.byKey.text}`
          return db.run(sql, [JSON.stringify(left), ...compiled.byKey.params])
        })
      }
      return deleted
    },
  }
}

/** What was made of one thing after another, once where the same comes again. */
function lastOf<K, V>(make: (of: K) => V): (of: K) => V {
  let last: { of: K; made: V } | undefined
  return (of) => {
    if (last?.of !== of) last = { of, made: make(of) }
    return last.made
  }
}

/** In place. Texts without surrogates order by their units as they do by code points. */
function inOrder<I extends string | number>(ids: I[]): I[] {
  return ids.some((id) => typeof id === 'number' || HALVES.test(id)) ? ids.sort(compareIds) : ids.sort()
}

const HALVES = /[\ud800-\udfff]/

function compareIds(a: string | number, b: string | number): number {
  return typeof a === 'number' && typeof b === 'number' ? a - b : compareValues(a, b)
}

function isSame(a: Bind | undefined, b: Bind | undefined): boolean {
  return a === b || (Buffer.isBuffer(a) && Buffer.isBuffer(b) && a.equals(b))
}

/** In place, by MongoDB's order, ties by `_id`. A list sorts by its smallest (ascending) or largest item. */
function sortDocs<T extends Doc>(docs: T[], sort: Sort): T[] {
  const paths = Object.entries({ ...sort, _id: sort._id ?? 1 }).map(([path, direction]) => ({
    keys: path.split('.'),
    direction,
  }))
  const keyOf = (doc: T, keys: readonly string[], direction: 1 | -1) => {
    const values = valuesAt(doc, keys)
    return values.reduce<unknown>((a, b) => (compareValues(a, b) * direction <= 0 ? a : b), values[0])
  }
  return docs.sort((a, b) => {
    for (const { keys, direction } of paths) {
      const order = compareValues(keyOf(a, keys, direction), keyOf(b, keys, direction))
      if (order !== 0) return order * direction
    }
    return 0
  })
}

/** All values a dotted path leads to, through lists. */
function valuesAt(value: unknown, [key, ...further]: readonly string[]): unknown[] {
  if (Array.isArray(value))
    return value.flatMap((item: unknown) =>
      key === undefined ? [item] : isPlain(item) ? valuesAt(item, [key, ...further]) : [],
    )
  if (key === undefined) return [value]
  return isPlain(value) && Object.hasOwn(value, key) ? valuesAt(value[key], further) : []
}

// ── Versions ────────────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * Brings a collection's table, columns, indexes and documents to its definition. Killed half-way it goes on where it
 * was: every row carries its version, and the new version is noted first so that an older program stays out.
 */
async function migrate(db: Db, definition: Definition, file: string): Promise<void> {
  const { name, version, indexes = [] } = definition
  const table = quote(`c:${name}`)
  const fields = toFields(definition)
  const noted = db.all('SELECT version, ready, fields FROM _collections WHERE name = ?', [name])[0]
  const ready = noted === undefined ? version : Number(noted[1])
  if (noted !== undefined) {
    const newest = Number(noted[0])
    checkVersion(definition, newest > version ? newest : ready, file)
  }

  const wanted = fields.map((f) => `f:${f.path}`)
  const stale = await db.write(true, () => {
    db.run(`CREATE TABLE IF NOT EXISTS ${table} (k NOT NULL UNIQUE, v INTEGER NOT NULL, doc TEXT NOT NULL)`, [])
    const present = db
      .all(`SELECT name FROM pragma_table_info(?) WHERE name LIKE 'f:%'`, [`c:${name}`])
      .map(([column]) => String(column))
    const filled = noted === undefined ? [] : (JSON.parse(String(noted[2])) as string[])
    const indexNames = new Map(indexes.map((index) => [indexName(name, index), index]))
    for (const [index] of db.all(
      "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL",
      [`c:${name}`],
    )) {
      if (!indexNames.has(String(index))) db.run(`DROP INDEX ${quote(String(index))}`, [])
    }
    for (const column of present)
      if (!wanted.includes(column)) db.run(`ALTER TABLE ${table} DROP COLUMN ${quote(column)}`, [])
    for (const column of wanted)
      if (!present.includes(column)) db.run(`ALTER TABLE ${table} ADD COLUMN ${quote(column)}`, [])
    db.run(
      `INSERT INTO _collections VALUES (?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET version = excluded.version, fields = excluded.fields`,
      [name, version, ready, JSON.stringify(wanted.filter((column) => filled.includes(column)))],
    )
    return ready < version || wanted.some((column) => !filled.includes(column))
  })

  if (stale) {
    const sets = ['v = ?', 'doc = ?', ...fields.map((f) => `${f.column} = ?`)].join(', ')
    for (let last: Bind = null; ;) {
      const rows: Row[] = db.all(
        `SELECT k, v, doc FROM ${table} WHERE ?1 IS NULL OR k > ?1 ORDER BY k LIMIT ${CHUNK}`,
        [last],
      )
      if (rows.length === 0) break
      await db.write(true, () => {
        for (const [k, v, text] of rows) {
          const doc = migrateDoc(definition, fromJson<Doc>(text as string), Number(v))
          checkDoc(doc, definition)
          db.run(`UPDATE ${table} SET ${sets} WHERE k = ?`, [
            version,
            toJson(doc),
            ...fieldValues(fields, doc),
            k as Bind,
          ])
        }
      })
      last = rows.at(-1)![0] as Bind // not empty
    }
  }

  await db.write(true, () => {
    for (const index of indexes) {
      const on = index.fields.map((field) => quote(`f:${field}`))
      // `k` at the end gives ties and pages in `_id` order for nothing.
      const keys = index.unique ? on : [...on, 'k']
      const sparse = index.sparse ? ` WHERE ${on.map((column) => `${column} IS NOT NULL`).join(' AND ')}` : ''
      const sql = `CREATE ${index.unique ? 'UNIQUE ' : ''}INDEX IF NOT EXISTS ${quote(indexName(name, index))} ON ${table} (${keys.join(', ')})${sparse}`
      try {
        db.run(sql, [])
      } catch (err) {
        if (!(err instanceof ConflictError)) throw err
        throw new ConfigError(
          `Collection "${name}": documents already share a value of [${index.fields.join(', ')}], so it cannot become unique; a migration must tell them apart`,
        )
      }
    }
    db.run('UPDATE _collections SET ready = ?, fields = ? WHERE name = ?', [version, JSON.stringify(wanted), name])
  })
}

function indexName(
  collection: string,
  { fields, unique, sparse }: { fields: readonly string[]; unique?: boolean; sparse?: boolean },
): string {
  return `i:${collection}:${fields.join(',')}${unique ? ':unique' : ''}${sparse ? ':sparse' : ''}`
}
