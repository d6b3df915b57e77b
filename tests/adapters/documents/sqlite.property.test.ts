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

  it(`writes many at once as one after the other, ${TRIES / 50} times`, async () => {
    const [together, singly] = await Promise.all(
      [':memory:', ':memory:'].map(async (file) => openSqliteDocuments({ file })),
    )
    const many = await together!.collection(RANDOM_DOCS)
    const each = await singly!.collection(RANDOM_DOCS)
    const conditions = [undefined, { x: { $gt: 0 } }, { c: { $lte: 3 } }, { x: { $exists: true }, n: { $ne: 1 } }]
    for (let round = 0; round < TRIES / 50; round++) {
      const draw = drawsOf('write', round)
      const docs = Array.from({ length: 1 + draw(80) }, (_, i) => ({
        ...randomDoc(drawsOf('written', round, i), 1 + draw(150)),
        rank: draw(5),
      }))
      const { refused } = await many.insert(docs)
      const refusedSingly: unknown[] = []
      for (const doc of docs) refusedSingly.push(...(await each.insert([doc])).refused)
      expect({ round, refused }).toEqual({ round, refused: refusedSingly })
      const newer = docs.map((doc) => ({ ...doc, rank: draw(5) }))
      await many.put(newer, { unlessNewer: 'rank' })
      for (const doc of newer) await each.put([doc], { unlessNewer: 'rank' })
      let where = conditions[0]
      const items = Array.from({ length: 1 + draw(120) }, (_, i) => {
        if (draw(10) === 0) where = conditions[draw(conditions.length)]
        const upsert = draw(4) === 0
        return {
          id: 1 + draw(160),
          update: upsert ? { $set: { rank: draw(5) } } : randomUpdate(drawsOf('change', round, i)),
          ...(where !== undefined && { where }),
          upsert,
        }
      })
      await many.updateEach(items)
      for (const item of items) await each.updateEach([item])
      expect({ round, docs: await many.find({}) }).toEqual({ round, docs: await each.find({}) })
      if (round % 5 === 4) for (const random of [many, each]) await random.delete({ _id: { $gt: 100 } })
    }
    await Promise.all([together!.close(), singly!.close()])
  })
})
