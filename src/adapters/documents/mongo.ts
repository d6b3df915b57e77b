import mongoose from 'mongoose'
import {
  AppError,
  ConfigError,
  ConflictError,
  messageOf,
  type UnfitDocumentError,
  UpstreamError,
} from '../../errors.js'
import { said } from '../../said.js'
import type { Collection, CollectionDefinition, Doc, DocumentStore } from '../../ports/document-store.js'
import { applyUpdate, fromEqualities } from './apply-update.js'
import { checkReads, UnfitDocuments } from './check-reads.js'
import {
  checkDefinition,
  checkDoc,
  checkFilter,
  checkId,
  checkUpdate,
  checkVersion,
  type Definition,
  type Filter,
  type FindOptions,
  isOperators,
  migrateDoc,
  newnessOf,
  refused,
  type Sort,
  type Update,
} from './language.js'
import { readLines } from './read-lines.js'
import { toJson } from './document-json.js'

export type MongoOptions = {
  /** `mongodb://` or `mongodb+srv://`. */
  url: string
  /** Default: the database named in the URL, else `siyu`. */
  database?: string
  /** Goes before every collection's name, so that several installations share a database. Default none. */
  prefix?: string
  /** Told once of each document that is read and does not fit. */
  onUnfit?: (err: UnfitDocumentError) => void
}

/** Documents per call to the server. */
const CHUNK = 1_000
/** Documents of a copy in memory: one may have MiBs. */
const COPIED = 100
/** How often a write that met another one (an upsert of the same `_id`) is tried. */
const ATTEMPTS = 5
const INDEX_PREFIX = 'siyu:'

type Native = mongoose.mongo.Collection<Stored>
type Stored = Doc & { _v: number }
type Meta = { _id: string; version: number; ready: number }

/**
 * Keeps documents in MongoDB: one server, a replica set or a sharded cluster. Writes are acknowledged by the majority
 * and its journal. Every stored document carries its version in `_v`, which callers never see.
 *
 * @throws {ConfigError} when no server is reached within 5 s, or it refuses the login
 */
export async function openMongoDocuments({
  url,
  database,
  prefix = '',
  onUnfit,
}: MongoOptions): Promise<DocumentStore> {
  const host = hostOf(url)
  const connection = await connect(url, database, host)
  const db = connection.db! // set once connected
  const guard = guardOf(host)
  const collections = new Map<string, { shape: string; opened: Promise<Collection<Doc>> }>()
  const raw = new Map<string, Promise<Collection<Doc>>>()
  const unfit = new UnfitDocuments(onUnfit)
  let closing: Promise<void> | undefined

  const store: DocumentStore = {
    kind: 'mongo',
    async collection<T extends Doc>(definition: CollectionDefinition<T>): Promise<Collection<T>> {
      checkDefinition(definition)
      const shape = JSON.stringify([definition.version, definition.indexes ?? []])
      let known = collections.get(definition.name)
      if (known === undefined) {
        const native = db.collection<Stored>(`${prefix}${definition.name}`)
        const meta = db.collection<Meta>(`${prefix}_collections`)
        const inner = guard(async () => {
          await migrate(native, meta, definition, host)
          return openCollection<Doc>(native, definition, guard)
        })
        const opened = inner.then((unchecked) => checkReads(unchecked, definition, unfit))
        raw.set(definition.name, inner)
        known = { shape, opened }
        collections.set(definition.name, known)
        opened.catch(() => collections.delete(definition.name)) // the caller gets the error; another try starts afresh
      }
      if (known.shape !== shape) throw new ConfigError(`Collection "${definition.name}" is defined twice, differently`)
      return known.opened as unknown as Promise<Collection<T>> // only its definition says what a collection holds
    },
    async snapshot() {
      return {
        isStill: false,
        async *scan(name) {
          const inner = await raw.get(name)
          if (inner !== undefined) for await (const docs of inner.scan({}, COPIED)) yield docs.map(toJson)
        },
        close: () => Promise.resolve(),
      }
    },
    async load(definition, lines, version) {
      await store.collection(definition)
      await (await raw.get(definition.name)!).put(readLines(definition, lines, version))
    },
    unfit: () => unfit.list(),
    async ping() {
      await guard(() => db.command({ ping: 1 }))
    },
    async drop() {
      await guard(async () => {
        const names = (await db.listCollections({}, { nameOnly: true }).toArray()).map(({ name }) => name)
        for (const name of names)
          if (name.startsWith(prefix) && !name.startsWith('system.')) await db.dropCollection(name)
      })
      collections.clear()
      unfit.clear()
    },
    async close() {
      closing ??= connection.close()
      await closing
    },
  }
  return store
}

// ── Connection and errors ───────────────────────────────────────────────────────────────────────────────────────────

async function connect(url: string, database: string | undefined, host: string): Promise<mongoose.Connection> {
  const connection = mongoose.createConnection()
  try {
    return await connection.openUri(url, {
      dbName: database ?? (/^[^/]+\/\/[^/]+\/([^?]+)/.exec(url)?.[1] || 'siyu'),
      serverSelectionTimeoutMS: 10_000,
      // Also how long a heartbeat may take: a machine that is busy with other things answers late.
      connectTimeoutMS: 30_000,
      waitQueueTimeoutMS: 10_000,
      socketTimeoutMS: 60_000,
      writeConcern: { w: 'majority', journal: true, wtimeoutMS: 30_000 },
      ignoreUndefined: true,
      autoCreate: false,
      autoIndex: false,
    })
  } catch (err) {
    await connection.close()
    const login = isMongo(err, 'MongoServerError')
    throw new ConfigError(
      login
        ? said(
            `${host} 的 MongoDB 拒绝连接（${codeOf(err)}）→ 核对 MONGODB_URI 里的用户、密码和权限`,
            `MongoDB at ${host} refused the connection (${codeOf(err)}): check the user, password and rights in MONGODB_URI`,
          )
        : said(
            `连不上 ${host} 的 MongoDB（${nameOf(err)}）→ 启动它，或改正 MONGODB_URI；不设 MONGODB_URI 就用内嵌存储`,
            `MongoDB cannot be reached at ${host} (${nameOf(err)}): start it, or correct MONGODB_URI, or remove MONGODB_URI to use the embedded store`,
          ),
    )
  }
}

/** Hosts and ports of a connection string, never its user or password. */
function hostOf(url: string): string {
  const host = /^mongodb(?:\+srv)?:\/\/(?:[^/]*@)?([^/?@]+)/.exec(url)?.[1]
  if (host === undefined) {
    throw new ConfigError(said('MONGODB_URI 不是 MongoDB 的地址', 'MONGODB_URI is no MongoDB address'), [
      {
        path: 'url',
        message: said(
          '要以 mongodb:// 或 mongodb+srv:// 开头，并写明主机',
          'it must start with mongodb:// or mongodb+srv:// and name a host',
        ),
        hint: said('如 mongodb://127.0.0.1:27017/siyu', 'e.g. mongodb://127.0.0.1:27017/siyu'),
      },
    ])
  }
  return host
}

type Guard = <R>(work: () => Promise<R>) => Promise<R>

/** Outside errors become ours. Their texts may hold values of documents, so only code and host are told. */
function guardOf(host: string): Guard {
  return async (work) => {
    try {
      return await work()
    } catch (err) {
      if (err instanceof AppError) throw err
      if (isDuplicate(err)) throw toConflict(err)
      const network = [
        'MongoServerSelectionError',
        'MongoNetworkError',
        'MongoNetworkTimeoutError',
        'MongoPoolClearedError',
        'MongoNotConnectedError',
        'MongoWaitQueueTimeoutError',
      ]
      if (network.some((name) => isMongo(err, name))) {
        throw new UpstreamError(
          'mongodb',
          nameOf(err),
          true,
          `${host} does not answer; check that it runs and can be reached`,
        )
      }
      if (!isMongo(err, 'MongoError')) throw err
      if (MISFITS.includes(codeOf(err)))
        throw refused('update', `does not fit what the document holds (${codeOf(err)})`)
      throw new UpstreamError(
        'mongodb',
        codeOf(err),
        isRetryable(err),
        `${host} refused: ${withoutValues(messageOf(err))}`,
      )
    }
  }
}

/** How MongoDB says that an operator meets a value of the wrong type. */
const MISFITS = ['TypeMismatch', 'BadValue', 'PathNotViable', 'CannotCreateField']

function nameOf(err: unknown): string {
  return err instanceof Error ? err.name : 'unknown'
}

function isMongo(err: unknown, name: string): boolean {
  for (let proto: unknown = err; proto instanceof Error; proto = Object.getPrototypeOf(proto)) {
    if (proto.constructor.name === name) return true
  }
  return false
}

function codeOf(err: unknown): string {
  const { codeName, code } = err as { codeName?: string; code?: number | string }
  return codeName ?? String(code ?? nameOf(err))
}

function isRetryable(err: unknown): boolean {
  return (
    err instanceof mongoose.mongo.MongoError &&
    (err.hasErrorLabel('RetryableWriteError') || err.hasErrorLabel('TransientTransactionError'))
  )
}

function withoutValues(message: string): string {
  return message.replaceAll(/["'{[].*/gs, '…').slice(0, 120)
}

const DUPLICATE = 11_000

function isDuplicate(err: unknown): boolean {
  return (err as { code?: unknown }).code === DUPLICATE
}

/** One failure of several writes; unlike what is thrown, it is no `Error`. */
function isDuplicateIdOf({ code, errmsg = '' }: { code: number; errmsg?: string | undefined }): boolean {
  return isDuplicateId(Object.assign(new Error(errmsg), { code }))
}

/** The unique index that was hit, e.g. `_id_`. */
function duplicateIndex(err: unknown): string {
  return /index: (?:\S*\$)?(\S+)/.exec(messageOf(err))?.[1] ?? ''
}

function isDuplicateId(err: unknown): boolean {
  return isDuplicate(err) && duplicateIndex(err) === '_id_'
}

function toConflict(err: unknown): ConflictError {
  const fields = duplicateIndex(err).replace(INDEX_PREFIX, '').replace(/:.*$/, '').replace('_id_', '_id')
  return new ConflictError(`Another document has the same ${fields}`, { fields })
}

// ── One collection ──────────────────────────────────────────────────────────────────────────────────────────────────

function openCollection<T extends Doc>(native: Native, definition: Definition, guard: Guard): Collection<T> {
  const { version } = definition

  /** What callers see. A document that an older process wrote since we opened is brought up to date here. */
  const fromStored = async ({ _v: from, ...stored }: Stored): Promise<T> => {
    if (from === version) return stored as T
    checkVersion(definition, from, 'MongoDB')
    const doc = migrateDoc(definition, stored, from)
    await native.replaceOne({ _id: doc._id, _v: from }, { ...doc, _v: version })
    return doc as T
  }
  const fromAll = async (stored: readonly Stored[]): Promise<T[]> => {
    const docs: T[] = []
    for (const one of stored) docs.push(one._v === version ? withoutVersion<T>(one) : await fromStored(one))
    return docs
  }
  const toStored = (doc: T): Stored => ({ ...doc, _v: version })
  const made = (update: Update): mongoose.mongo.UpdateFilter<Stored> =>
    ({ ...update, $setOnInsert: { ...update.$setOnInsert, _v: version } }) as mongoose.mongo.UpdateFilter<Stored>
  const plain = ({ $setOnInsert: _, ...update }: Update): mongoose.mongo.UpdateFilter<Stored> | undefined => {
    const operators = Object.entries(update).filter(([, fields]) => Object.keys(fields).length > 0)
    return operators.length === 0 ? undefined : Object.fromEntries(operators)
  }
  const filterOf = (filter: Filter): mongoose.mongo.Filter<Stored> => {
    checkFilter(filter)
    return filter
  }
  const count = (filter: Filter) => native.countDocuments(filterOf(filter))

  const updateOne = async (id: T['_id'], update: Update, where?: Filter): Promise<boolean> => {
    const filter = filterOf(where === undefined ? { _id: id } : { $and: [{ _id: id }, where] })
    const changes = plain(update)
    if (changes === undefined) return (await native.countDocuments(filter)) > 0
    return (await native.updateOne(filter, changes)).matchedCount > 0
  }

  /** Another process may make the document between the server's look and its insert: then the next try finds it. */
  const upsertOne = async (id: T['_id'], update: Update, where?: Filter): Promise<void> => {
    for (let attempt = 1; ; attempt++) {
      try {
        if (where !== undefined && (await native.countDocuments({ _id: id })) > 0) {
          await updateOne(id, update, where)
        } else {
          const filter = { _id: id } as mongoose.mongo.Filter<Stored>
          const ifAbsent =
            where === undefined ? filter : ({ _id: id, _v: { $exists: false } } as mongoose.mongo.Filter<Stored>)
          await native.updateOne(ifAbsent, made(update), { upsert: true })
        }
        return
      } catch (err) {
        if (!isDuplicateId(err) || attempt === ATTEMPTS) throw err
      }
    }
  }

  return {
    async get(id) {
      const stored = await guard(() => native.findOne({ _id: id } as mongoose.mongo.Filter<Stored>))
      return stored === null ? undefined : guard(() => fromStored(stored as Stored))
    },
    getMany: (ids) =>
      guard(async () => {
        const unique = [...new Set(ids)].sort(compareIds)
        const docs: T[] = []
        for (const chunk of chunksOf(unique)) {
          const found = native.find({ _id: { $in: chunk } } as mongoose.mongo.Filter<Stored>).sort({ _id: 1 })
          docs.push(...(await fromAll(await found.toArray())))
        }
        return docs
      }),
    find: (filter, { sort = {}, limit, skip = 0 }: FindOptions = {}) =>
      guard(async () => {
        const query = filterOf(filter)
        if (limit === 0) return []
        const found = native
          .find(query)
          .sort({ ...sort, _id: sort._id ?? 1 })
          .skip(skip)
        return fromAll(await (limit === undefined ? found : found.limit(limit)).toArray())
      }),
    findOne: (filter, { sort = {} }: { sort?: Sort } = {}) =>
      guard(async () => {
        const found = native
          .find(filterOf(filter))
          .sort({ ...sort, _id: sort._id ?? 1 })
          .limit(1)
        return (await fromAll(await found.toArray()))[0]
      }),
    async *scan(filter, batchSize = 500) {
      const query = filterOf(filter)
      // Pages by `_id` rather than one long cursor: a slow reader never loses its place. Numbers come before texts.
      for (const kind of ['number', 'string'] as const) {
        let after: unknown = kind === 'number' ? { $gt: 0 } : { $gte: '' }
        for (;;) {
          const page = { $and: [query, { _id: after }] } as mongoose.mongo.Filter<Stored>
          const docs = await guard(async () =>
            fromAll((await native.find(page).sort({ _id: 1 }).limit(batchSize).toArray()) as Stored[]),
          )
          if (docs.length > 0) yield docs
          if (docs.length < batchSize) break
          after = { $gt: docs.at(-1)!._id } // the page was full
        }
      }
    },
    count: (filter) => guard(() => count(filter)),
    insert: (docs) =>
      guard(async () => {
        for (const doc of docs) checkDoc(doc, definition)
        const refusedIds: T['_id'][] = []
        for (const chunk of chunksOf(docs)) {
          try {
            await native.insertMany(chunk.map<mongoose.mongo.OptionalUnlessRequiredId<Stored>>(toStored), {
              ordered: false,
            })
          } catch (err) {
            if (!(err instanceof mongoose.mongo.MongoBulkWriteError)) throw err
            const failures = [err.writeErrors].flat()
            const other = failures.find((failure) => failure.code !== DUPLICATE)
            if (other !== undefined || failures.length === 0) throw err
            for (const { index } of failures.sort((a, b) => a.index - b.index)) refusedIds.push(chunk[index]!._id)
          }
        }
        return { refused: refusedIds }
      }),
    put: (docs, { unlessNewer } = {}) =>
      guard(async () => {
        for (const doc of docs) checkDoc(doc, definition)
        const isOlder = (doc: T) =>
          unlessNewer === undefined ? {} : { [unlessNewer]: { $not: { $gt: newnessOf(doc, unlessNewer) } } }
        for (const chunk of chunksOf(docs)) {
          const operations = chunk.map((doc) => ({
            replaceOne: {
              filter: { _id: doc._id, ...isOlder(doc) },
              replacement: toStored(doc),
              upsert: true,
            },
          }))
          // Where a newer one is stored the filter finds nothing, and the insert meets its `_id`.
          await bulk(native, operations.length, (i) => operations[i]!, unlessNewer !== undefined)
        }
      }),
    update: (id, update, where) =>
      guard(async () => {
        checkUpdate(update, definition)
        return updateOne(id, update, where)
      }),
    updateEach: (items) =>
      guard(async () => {
        for (const { id, update, where } of items) {
          checkId(id, definition.name)
          checkUpdate(update, definition)
          if (where !== undefined) checkFilter(where)
        }
        let waiting: mongoose.mongo.AnyBulkWriteOperation<Stored>[] = []
        const send = async () => {
          const operations = waiting
          waiting = []
          await bulk(native, operations.length, (i) => operations[i]!)
        }
        for (const { id, update, where, upsert = false } of items) {
          if (upsert && where !== undefined) {
            // MongoDB would copy the condition into the new document and fail where ours does nothing.
            await send()
            await upsertOne(id, update, where)
            continue
          }
          const changes = upsert ? made(update) : plain(update)
          if (changes === undefined) continue
          const filter = (
            where === undefined ? { _id: id } : { $and: [{ _id: id }, where] }
          ) as mongoose.mongo.Filter<Stored>
          waiting.push({ updateOne: { filter, update: changes, upsert } })
          if (waiting.length >= CHUNK) await send()
        }
        await send()
      }),
    updateMany: (filter, update) =>
      guard(async () => {
        checkUpdate(update, definition)
        const query = filterOf(filter)
        const changes = plain(update)
        return changes === undefined ? count(filter) : (await native.updateMany(query, changes)).matchedCount
      }),
    findOneAndUpdate: (filter, update, { sort = {}, upsert = false }: { sort?: Sort; upsert?: boolean } = {}) =>
      guard(async () => {
        checkUpdate(update, definition)
        const query = filterOf(filter)
        if (upsert) checkId(equalId(filter), definition.name)
        const changes = upsert ? made(update) : plain(update)
        if (changes === undefined) throw refused('update', 'is empty')
        for (let attempt = 1; ; attempt++) {
          try {
            // The server is asked for the document before, and the answer made from it: a server that sends it after the
            // update may send what yet another update has made of it, and counters then repeat.
            const options = { sort: { ...sort, _id: sort._id ?? 1 }, upsert, returnDocument: 'before' } as const
            const stored = await native.findOneAndUpdate(query, changes, options)
            if (stored === null && !upsert) return undefined
            const doc = stored === null ? (fromEqualities(filter) as T) : await fromStored(stored)
            applyUpdate(doc, update, stored === null)
            return doc
          } catch (err) {
            if (!upsert || !isDuplicateId(err) || attempt === ATTEMPTS) throw err
          }
        }
      }),
    delete: (filter) => guard(async () => (await native.deleteMany(filterOf(filter))).deletedCount),
  }
}

/**
 * Sends operations in order; goes on behind one that met another process's insert of the same `_id`, trying it again. With
 * `mayMeet`, one that meets it twice is left out: by then the document was there to be replaced, had the filter allowed it.
 */
async function bulk(
  native: Native,
  length: number,
  operation: (i: number) => mongoose.mongo.AnyBulkWriteOperation<Stored>,
  mayMeet = false,
): Promise<void> {
  let attempt = 1
  for (let from = 0; from < length;) {
    try {
      await native.bulkWrite(Array.from({ length: length - from }, (_, i) => operation(from + i)))
      return
    } catch (err) {
      if (!(err instanceof mongoose.mongo.MongoBulkWriteError)) throw err
      const [failure] = [err.writeErrors].flat()
      if (failure === undefined || !isDuplicateIdOf(failure)) throw err
      attempt = failure.index === 0 ? attempt + 1 : 1
      if (mayMeet && attempt > 2) {
        from++
        attempt = 1
        continue
      }
      if (attempt > ATTEMPTS) throw err
      from += failure.index
    }
  }
}

function withoutVersion<T extends Doc>({ _v: _, ...doc }: Stored): T {
  return doc as T
}

function equalId(filter: Filter): unknown {
  for (const part of [filter, ...((filter.$and as Filter[] | undefined) ?? [])]) {
    const id = isOperators(part._id) ? part._id.$eq : part._id
    if (id !== undefined) return id
  }
  return undefined
}

function compareIds(a: string | number, b: string | number): number {
  if (typeof a !== typeof b) return typeof a === 'number' ? -1 : 1
  if (typeof a === 'number') return a - (b as number)
  return Buffer.compare(Buffer.from(a), Buffer.from(b as string))
}

function chunksOf<V>(items: readonly V[]): V[][] {
  const chunks: V[][] = []
  for (let i = 0; i < items.length; i += CHUNK) chunks.push(items.slice(i, i + CHUNK))
  return chunks
}

// ── Versions ────────────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * Brings indexes and documents to the definition, 500 documents at a time. Several processes may do so at once, and
 * any may be killed: a document is only replaced while it still has the version it was read with.
 */
async function migrate(
  native: Native,
  meta: mongoose.mongo.Collection<Meta>,
  definition: Definition,
  host: string,
): Promise<void> {
  const { name, version, indexes = [] } = definition
  const noted = await meta.findOne({ _id: name })
  if (noted !== null)
    checkVersion(definition, noted.version > version ? noted.version : noted.ready, `MongoDB at ${host}`)
  const ready = noted?.ready ?? version
  // Noted first, so that an older program stays out from here on.
  await meta
    .updateOne({ _id: name }, { $max: { version }, $setOnInsert: { ready } }, { upsert: true })
    .catch((err: unknown) => {
      if (!isDuplicateId(err)) throw err // another process made it at this moment
    })

  const wanted = indexes.map((index) => ({ ...index, label: indexName(index) }))
  const present = noted === null ? [] : await native.indexes().catch(whenAbsent)
  for (const { name: label } of present) {
    if (label?.startsWith(INDEX_PREFIX) && !wanted.some((index) => index.label === label)) await native.dropIndex(label)
  }

  if (ready < version) {
    for (;;) {
      const old = (await native
        .find({ _v: { $lt: version } })
        .limit(500)
        .toArray()) as Stored[]
      if (old.length === 0) break
      await native.bulkWrite(
        old.map(({ _v: from, ...doc }) => {
          const migrated = migrateDoc(definition, doc, from)
          checkDoc(migrated, definition)
          return {
            replaceOne: {
              filter: { _id: doc._id, _v: from },
              replacement: { ...migrated, _v: version },
            },
          }
        }),
      )
    }
  }

  for (const { fields, unique = false, sparse = false, label } of wanted) {
    try {
      await native.createIndex(Object.fromEntries(fields.map((field) => [field, 1])), { name: label, unique, sparse })
    } catch (err) {
      if (!isDuplicate(err)) throw err
      throw new ConfigError(
        `Collection "${name}": documents already share a value of [${fields.join(', ')}], so it cannot become unique; a migration must tell them apart`,
      )
    }
  }
  await meta.updateOne({ _id: name }, { $max: { ready: version } })
}

function whenAbsent(err: unknown): { name?: string }[] {
  if ((err as { codeName?: string }).codeName === 'NamespaceNotFound') return []
  throw err
}

function indexName({
  fields,
  unique,
  sparse,
}: {
  fields: readonly string[]
  unique?: boolean
  sparse?: boolean
}): string {
  return `${INDEX_PREFIX}${fields.join(',')}${unique ? ':unique' : ''}${sparse ? ':sparse' : ''}`
}
