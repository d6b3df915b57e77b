import { describe, expect, it } from '@jest/globals'
import { openMongoDocuments } from '../../src/adapters/documents/mongo.js'
import { openSqliteDocuments } from '../../src/adapters/documents/sqlite.js'
import { ConfigError } from '../../src/errors.js'
import type { Collection } from '../../src/ports/document-store.js'
import { documentStoreContract } from '../contracts/document-store.js'
import {
  drawsOf,
  RANDOM_DOCS,
  randomDoc,
  randomFilter,
  randomSort,
  randomUpdate,
  type RandomDoc,
} from '../support/random-documents.js'
import { onMongo } from '../support/on-mongo.js'

await onMongo('tests/live/mongo.test.ts', 'MongoDB keeps the DocumentStore contract', ({ name, open }) => {
  documentStoreContract(name, open)

  it('MongoDB and SQLite agree on seeded filters, sorts and updates', async () => {
    const stores = [await open('same'), openSqliteDocuments({ file: ':memory:' })]
    const [mongo, sqlite] = (await Promise.all(stores.map((store) => store.collection(RANDOM_DOCS)))) as [
      Collection<RandomDoc>,
      Collection<RandomDoc>,
    ]
    const docs = Array.from({ length: 120 }, (_, i) => randomDoc(drawsOf('doc', i), i + 1))
    await Promise.all([mongo.insert(docs), sqlite.insert(docs)])
    for (let seed = 0; seed < 400; seed++) {
      const update = randomUpdate(drawsOf('update', seed))
      const where = randomFilter(drawsOf('where', seed))
      const id = 1 + (seed % 120)
      const expected = await sqlite.update(id, update, where)
      expect({ where, done: await mongo.update(id, update, where) }).toEqual({ where, done: expected })
      expect({ update, doc: await mongo.get(id) }).toEqual({ update, doc: await sqlite.get(id) })

      const filter = randomFilter(drawsOf('filter', seed))
      const sort = randomSort(drawsOf('sort', seed))
      const ids = (found: RandomDoc[]) => found.map((doc) => doc._id)
      const same = { filter, sort, ids: ids(await sqlite.find(filter, { sort, skip: 1, limit: 50 })) }
      expect({ filter, sort, ids: ids(await mongo.find(filter, { sort, skip: 1, limit: 50 })) }).toEqual(same)
    }
    for (const store of stores) {
      await store.drop()
      await store.close()
    }
  })
})

describe('openMongoDocuments', () => {
  it('says which host is not reached and what to do, and keeps the password to itself', async () => {
    const refusal = await openMongoDocuments({ url: 'mongodb://someone:hush@127.0.0.1:9/db' }).catch(
      (err: unknown) => err,
    )
    expect(refusal).toBeInstanceOf(ConfigError)
    expect((refusal as Error).message).toMatch(/127\.0\.0\.1:9 .*MONGODB_URI/)
    expect((refusal as Error).message).not.toMatch(/hush|someone/)
  })

  it('refuses what is no address', async () => {
    await expect(openMongoDocuments({ url: 'redis://127.0.0.1' })).rejects.toThrow(/mongodb:\/\//)
  })
})
