/** A document: plain JSON plus `Date`. `_id` never changes. */
export type Doc = { _id: string | number }

/**
 * The documented subset of MongoDB's query language: equality (also "array contains"), `$eq $ne $gt $gte $lt $lte $in
 * $nin $exists $and $or $nor $not $elemMatch`, dotted paths.
 */
export type Filter = Record<string, unknown>

/** The documented subset of updates: `$set $unset $inc $min $max $push ($each, $slice) $addToSet ($each) $pull $setOnInsert`. */
export type Update = Partial<
  Record<
    '$set' | '$unset' | '$inc' | '$min' | '$max' | '$push' | '$addToSet' | '$pull' | '$setOnInsert',
    Record<string, unknown>
  >
>

export type Sort = Record<string, 1 | -1>
export type FindOptions = { sort?: Sort; limit?: number; skip?: number }

export type PutOptions<T> = { unlessNewer?: Exclude<keyof T, '_id'> & string }

export type IndexDefinition = {
  /** Dotted paths, in order. Their values are strings, numbers, booleans or dates. */
  fields: readonly string[]
  unique?: boolean
  /** Only documents that have every field are indexed; use with `unique` for optional keys. */
  sparse?: boolean
}

export type CollectionDefinition = {
  name: string
  /** Raised by one with every change of shape; see `migrations`. */
  version: number
  indexes?: readonly IndexDefinition[]
  /** `migrations[n]` brings one stored document from version n to n + 1. */
  migrations?: Readonly<Record<number, (doc: Record<string, unknown>) => Record<string, unknown>>>
}

/**
 * One document is the unit of atomicity: no multi-document transactions, no change streams, no updates by pipeline.
 * Without a `sort`, results come in ascending `_id` order, so that every adapter gives the same figures.
 */
export interface Collection<T extends Doc> {
  /** `undefined` when absent. */
  get(id: T['_id']): Promise<T | undefined>
  /** Those that exist, in ascending `_id` order. Any number of ids. */
  getMany(ids: readonly T['_id'][]): Promise<T[]>
  find(filter: Filter, options?: FindOptions): Promise<T[]>
  findOne(filter: Filter, options?: { sort?: Sort }): Promise<T | undefined>
  /** All matches in `_id` order, in batches, without holding them at once. Tolerates writes while it runs. */
  scan(filter: Filter, batchSize?: number): AsyncIterable<T[]>
  count(filter: Filter): Promise<number>
  /** Inserts those whose `_id` (and unique keys) are free. Resolves to the ids that were refused. Nothing is overwritten. */
  insert(docs: readonly T[]): Promise<{ refused: T['_id'][] }>
  /**
   * Inserts or replaces whole documents by `_id`. With `unlessNewer`, the name of a field that holds a number or a Date, a
   * stored document stays as it is where its field is greater than the given one's: a writer that is late changes nothing.
   *
   * @throws {ConflictError} when another unique key is taken.
   */
  put(docs: readonly T[], options?: PutOptions<T>): Promise<void>
  /** Updates the one document `id`, if it also matches `where`. Resolves to whether it did. Atomic. */
  update(id: T['_id'], update: Update, where?: Filter): Promise<boolean>
  /** Many single-document updates in one call; each atomic, applied in order. With `upsert`, absent documents are made. */
  updateEach(items: readonly { id: T['_id']; update: Update; where?: Filter; upsert?: boolean }[]): Promise<void>
  /** Resolves to how many documents matched. */
  updateMany(filter: Filter, update: Update): Promise<number>
  /** Takes the first match in `sort` order and updates it atomically; resolves to the document after the update. */
  findOneAndUpdate(filter: Filter, update: Update, options?: { sort?: Sort; upsert?: boolean }): Promise<T | undefined>
  /** Resolves to how many were deleted. */
  delete(filter: Filter): Promise<number>
}

/** Keeps JSON documents: what is true now. Adapters: SQLite (one process), MongoDB (scaled out). */
export interface DocumentStore {
  readonly kind: 'sqlite' | 'mongo'
  /** Opens (creates, migrates) a collection; the same definition gives the same object. */
  collection<T extends Doc>(definition: CollectionDefinition): Promise<Collection<T>>
  /** Resolves when the store answers. @throws {UpstreamError} */
  ping(): Promise<void>
  /** Removes everything this store holds under its database or file. */
  drop(): Promise<void>
  /** May be called twice. */
  close(): Promise<void>
}
