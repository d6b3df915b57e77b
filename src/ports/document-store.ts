import type { z } from 'zod'
import type { Filter, Path, Sort, Update } from './document-language.js'

/** A document: plain JSON plus `Date`. `_id` never changes. */
export type Doc = { _id: string | number }

/** One that does not fit: what is found at which path in words, never a value; `id` is a hash where it is private. */
export type UnfitDocument = {
  collection: string
  id: string
  problems: readonly { path: string; message: string }[]
}

export type FindOptions<T> = {
  sort?: Sort<T>
  limit?: number
  skip?: number
  /** Leaves out documents that do not fit (`unfit` lists them): for lists of work, where one must not hold up the others. */
  skipUnfit?: boolean
}

export type PutOptions<T> = { unlessNewer?: Exclude<keyof T, '_id'> & string }

export type IndexDefinition<P extends string = string> = {
  /** Dotted paths, in order. Their values are strings, numbers, booleans or dates. */
  fields: readonly P[]
  unique?: boolean
  /** Only documents that have every field are indexed; use with `unique` for optional keys. */
  sparse?: boolean
}

export type CollectionDefinition<T extends Doc> = {
  name: string
  /** Raised by one with every change of shape; see `migrations`. */
  version: number
  /**
   * What its documents hold. They are checked when they are read, and handed on as they are stored, with fields that only a
   * newer version knows; so a schema changes nothing: no defaults, no transforms.
   */
  schema: z.ZodType<T, T>
  /** Its `_id` holds an identifier of a customer, which errors do not tell. */
  isIdPrivate?: true
  indexes?: readonly IndexDefinition<Path<T>>[]
  /** `migrations[n]` brings one stored document from version n to n + 1. */
  migrations?: Readonly<Record<number, (doc: Record<string, unknown>) => Record<string, unknown>>>
}

/**
 * Whatever is read fits its schema: every read throws an `UnfitDocumentError` instead of handing on one that does not.
 * Updates and deletions look at none.
 *
 * One document is the unit of atomicity: no multi-document transactions, no change streams, no updates by pipeline.
 * Without a `sort`, results come in ascending `_id` order, so that every adapter gives the same figures.
 */
export interface Collection<T extends Doc> {
  /** `undefined` when absent. */
  get(id: T['_id']): Promise<T | undefined>
  /** Those that exist, in ascending `_id` order. Any number of ids. */
  getMany(ids: readonly T['_id'][]): Promise<T[]>
  find(filter: Filter<T>, options?: FindOptions<T>): Promise<T[]>
  findOne(filter: Filter<T>, options?: Pick<FindOptions<T>, 'sort' | 'skipUnfit'>): Promise<T | undefined>
  /** All matches in `_id` order, in batches, without holding them at once. Tolerates writes while it runs. */
  scan(filter: Filter<T>, batchSize?: number, options?: Pick<FindOptions<T>, 'skipUnfit'>): AsyncIterable<T[]>
  count(filter: Filter<T>): Promise<number>
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
  update(id: T['_id'], update: Update<T>, where?: Filter<T>): Promise<boolean>
  /** Many single-document updates in one call; each atomic, applied in order. With `upsert`, absent documents are made. */
  updateEach(items: readonly { id: T['_id']; update: Update<T>; where?: Filter<T>; upsert?: boolean }[]): Promise<void>
  /** Resolves to how many documents matched. */
  updateMany(filter: Filter<T>, update: Update<T>): Promise<number>
  /** Takes the first match in `sort` order and updates it atomically; resolves to the document after the update. */
  findOneAndUpdate(
    filter: Filter<T>,
    update: Update<T>,
    options?: { sort?: Sort<T>; upsert?: boolean },
  ): Promise<T | undefined>
  /** Resolves to how many were deleted. */
  delete(filter: Filter<T>): Promise<number>
}

/** What a store holds, for whoever copies it: unchecked, one line of JSON a document, as `load` reads it. */
export interface DocumentSnapshot {
  /** false: what is written meanwhile may show, so whoever copies keeps writers out until it is closed. */
  readonly isStill: boolean
  /** Lines of the collection of that name, in batches, in `_id` order. */
  scan(name: string): AsyncIterable<string[]>
  /** May be called twice. */
  close(): Promise<void>
}

/** Keeps JSON documents: what is true now. Adapters: SQLite (one process), MongoDB (scaled out). */
export interface DocumentStore {
  readonly kind: 'sqlite' | 'mongo'
  /** Opens (creates, migrates) a collection; the same definition gives the same object. */
  collection<T extends Doc>(definition: CollectionDefinition<T>): Promise<Collection<T>>
  /** Of the collections that were opened. What is written after this resolved is not in it, where it is `isStill`. */
  snapshot(): Promise<DocumentSnapshot>
  /**
   * Puts documents that a snapshot gave, as they were: one that does not fit its schema stays one. They are of that version of
   * the definition and are brought to today's. The same ones again change nothing.
   *
   * @throws {ConfigError} where the version is a newer one
   */
  load<T extends Doc>(definition: CollectionDefinition<T>, lines: readonly string[], version: number): Promise<void>
  /** Documents that were read since it was opened, are still there and still do not fit; 100 at most. */
  unfit(): Promise<UnfitDocument[]>
  /** Resolves when the store answers. @throws {UpstreamError} */
  ping(): Promise<void>
  /** Removes everything this store holds under its database or file. */
  drop(): Promise<void>
  /** May be called twice. */
  close(): Promise<void>
}
