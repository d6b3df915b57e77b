import { describe, expect, it } from '@jest/globals'
import { Query, update as mingoUpdate } from 'mingo'
import { openSqliteDocuments } from '../../../src/adapters/documents/sqlite.js'
import {
  drawsOf,
  RANDOM_DOCS,
  randomDoc,
  randomFilter,
  randomUpdate,
  type RandomDoc,
} from '../../support/random-documents.js'
import { sized } from '../../support/sized.js'

const TRIES = sized(1_500, 20_000)

describe('SQLite against the interpreter mingo', () => {
  const docs = Array.from({ length: 120 }, (_, i) => randomDoc(drawsOf('doc', i), i + 1))

  it(`finds, counts and deletes the same by ${TRIES} seeded filters`, async () => {
    const store = openSqliteDocuments({ file: ':memory:' })
    const random = await store.collection(RANDOM_DOCS)
    await random.insert(docs)
    let found = 0
    for (let seed = 0; seed < TRIES; seed++) {
      const filter = randomFilter(drawsOf('filter', seed))
      const query = new Query<RandomDoc>(filter)
      const expected = docs.filter((doc) => query.test(doc)).map((doc) => doc._id)
      expect({ filter, ids: (await random.find(filter)).map((doc) => doc._id) }).toEqual({ filter, ids: expected })
      expect(await random.count(filter)).toBe(expected.length)
      found += expected.length
    }
    expect(found).toBeGreaterThan(TRIES * 6)
    await store.close()
  })

  it(`updates the same by ${TRIES} seeded updates`, async () => {
    const store = openSqliteDocuments({ file: ':memory:' })
    const random = await store.collection(RANDOM_DOCS)
    await random.insert(docs)
    const expected = docs.map((_, i) => randomDoc(drawsOf('doc', i), i + 1))
    for (let seed = 0; seed < TRIES; seed++) {
      const update = randomUpdate(drawsOf('update', seed))
      const doc = expected[seed % expected.length]!
      // Where the two differ: MongoDB (and we) refuse, mingo does nothing. The generator stays clear of it.
      mingoUpdate(
        doc,
        randomUpdate(drawsOf('update', seed)) as Record<string, Record<string, never>>,
        [],
        {},
        { cloneMode: 'deep' },
      )
      expect(await random.update(doc._id, update)).toBe(true)
      expect({ update, doc: await random.get(doc._id) }).toEqual({ update, doc })
    }
    await store.close()
  })
})
