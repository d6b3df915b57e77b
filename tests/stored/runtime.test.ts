import { expect, it } from '@jest/globals'
import { openSqliteDocuments } from '../../src/adapters/documents/sqlite.js'
import { nextValue, runtimeCollections } from '../../src/stored/runtime.js'

it('gives values of a counter to all who ask together by one write, in their order', async () => {
  const store = openSqliteDocuments({ file: ':memory:', fsync: false })
  const stored = await runtimeCollections.meta.open(store)
  let writes = 0
  const meta: typeof stored = {
    ...stored,
    findOneAndUpdate: (...given) => {
      writes++
      return stored.findOneAndUpdate(...given)
    },
  }
  const ask = (counter: string) => nextValue(meta, counter)
  expect(await Promise.all([ask('a'), ask('b'), ask('a'), ask('a')])).toEqual([1, 1, 2, 3])
  expect(await Promise.all([ask('a'), ask('a')])).toEqual([4, 5])
  expect(await ask('b')).toBe(2)
  expect(writes).toBe(4)
  await store.close()
})
