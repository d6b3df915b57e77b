import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { openSqliteDocuments } from '../../src/adapters/documents/sqlite.js'
import type { Collection, DocumentStore } from '../../src/ports/document-store.js'
import { openCollections } from '../../src/stored/collections.js'
import { foldTagRows, type TagRow, tagRows } from '../../src/stored/fold-tag-rows.js'
import type { ProfileTags } from '../../src/stored/tags.js'

const at = (hour: number) => new Date(Date.UTC(2026, 2, 1, hour))
const row = (profileId: number, tagId: string, value: string, hour = 0): TagRow => ({
  _id: `${profileId}:${tagId}`,
  profileId,
  tagId,
  value,
  since: at(hour),
})

let store: DocumentStore
let old: Collection<TagRow>
beforeEach(async () => {
  store = openSqliteDocuments({ file: ':memory:', fsync: false })
  old = await tagRows.open(store)
})
afterEach(() => store.close())

describe('tags of version 0.1, a document each', () => {
  it('become one document per profile when the stores are opened', async () => {
    await old.put([row(2, 'buyer', '1', 3), row(10, 'city', '上海', 1), row(2, 'spend', '60', 1), row(1, 'city', 'B')])
    const { profileTags } = await openCollections(store)
    expect(await profileTags.find({})).toEqual([
      { _id: 1, seq: 0, at: at(0), tags: { city: { v: 'B', since: at(0) } } },
      { _id: 2, seq: 0, at: at(3), tags: { buyer: { v: '1', since: at(3) }, spend: { v: '60', since: at(1) } } },
      { _id: 10, seq: 0, at: at(1), tags: { city: { v: '上海', since: at(1) } } },
    ])
    expect(await old.count({})).toBe(0)
  })

  it('are all folded when there are more than one chunk of them', async () => {
    const rows = Array.from({ length: 700 }, (_, p) => ['a1', 'b2', 'c3'].map((tag) => row(p + 1, tag, `${p}`))).flat()
    rows.push(...Array.from({ length: 2_500 }, (_, i) => row(5_000, `tag_${i}`, '1')))
    await old.put(rows)
    const { profileTags } = await openCollections(store)
    const folded = await profileTags.find({})
    expect(folded.map((doc) => Object.keys(doc.tags).length)).toEqual([...Array.from({ length: 700 }, () => 3), 2_500])
    expect(await old.count({})).toBe(0)
  })

  it('survive a death between the new document and the end of the old ones', async () => {
    const { profileTags } = await openCollections(store)
    await old.put([row(1, 'buyer', '1'), row(1, 'spend', '60')])
    const dying: Collection<ProfileTags> = {
      ...profileTags,
      insert: async (docs) => {
        await profileTags.insert(docs)
        throw new Error('the process dies')
      },
    }
    await expect(foldTagRows(store, dying)).rejects.toThrow('the process dies')
    expect(await old.count({})).toBe(2)
    // Written by an evaluation of another process, which had folded them first.
    await profileTags.update(1, { $set: { seq: 9, 'tags.spend': { v: '70', since: at(5) } } })
    await foldTagRows(store, profileTags)
    expect(await old.count({})).toBe(0)
    expect((await profileTags.get(1))?.tags['spend']?.v).toBe('70')
  })
})
