import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { openSqliteDocuments } from '../../src/adapters/documents/sqlite.js'
import { pairStores } from '../../src/app/pair-stores.js'
import { profilesTable, storesTable } from '../../src/domain/events/tables.js'
import type { DocumentStore } from '../../src/ports/document-store.js'
import { type Collections, openCollections } from '../../src/stored/collections.js'
import { type EventHome, openEventHome } from '../support/build-deps.js'

describe('documents and events', () => {
  let home: EventHome
  const opened: DocumentStore[] = []
  beforeAll(async () => {
    home = await openEventHome()
  })
  afterAll(async () => {
    for (const store of opened) await store.close()
    await home.close()
  })

  /** Documents that know so many profiles. */
  async function documents(profiles: number): Promise<Collections> {
    const store = openSqliteDocuments({ file: ':memory:' })
    opened.push(store)
    const docs = await openCollections(store)
    if (profiles > 0) await docs.meta.put([{ _id: 'counter:profile', value: profiles }])
    return docs
  }
  /** Events that know so many profiles, and nothing else. */
  async function events(profiles: number): Promise<void> {
    for (const { name } of [profilesTable, storesTable]) await home.engine.command(`TRUNCATE TABLE ${name}`)
    if (profiles === 0) return
    const row = {
      profile_id: profiles,
      anchor: 'a',
      traits: {},
      identifier_types: [],
      merged_into: 0,
      version: 1,
      seq: 1,
    }
    const at = new Date('2026-03-02T02:00:00Z')
    await home.engine.insert(profilesTable, [{ ...row, created_at: at, known_at: at }], `p${profiles}:${opened.length}`)
  }

  it('that are new, or of a version without a mark, get one and belong together from then on', async () => {
    for (const profiles of [0, 34]) {
      await events(profiles)
      const docs = await documents(profiles)
      await pairStores(docs, home.engine)
      await pairStores(docs, home.engine)
      await expect(pairStores(await documents(100), home.engine)).rejects.toThrow('marks differ')
    }
  })

  it('of two brands do not start', async () => {
    await events(1)
    const [mine, theirs] = [await documents(1), await documents(1)]
    await pairStores(mine, home.engine)
    await events(1)
    await pairStores(theirs, home.engine)
    await expect(pairStores(mine, home.engine)).rejects.toThrow('marks differ')
  })

  it('do not start where the documents are gone, or an older copy', async () => {
    await events(34)
    await pairStores(await documents(34), home.engine)
    for (const profiles of [0, 33])
      await expect(pairStores(await documents(profiles), home.engine)).rejects.toThrow(
        `know profile 34, the documents end at ${profiles}`,
      )
  })

  it('do not start where the events are gone', async () => {
    await events(34)
    const docs = await documents(34)
    await pairStores(docs, home.engine)
    await events(0)
    await expect(pairStores(docs, home.engine)).rejects.toThrow('the events are new')
  })

  it('start after a kill between the two marks', async () => {
    await events(0)
    const docs = await documents(0)
    await docs.meta.put([{ _id: 'store', text: 'half' }])
    await pairStores(docs, home.engine)
    await expect(pairStores(docs, home.engine)).resolves.toBeUndefined()
  })
})
