import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from '@jest/globals'
import { z } from 'zod'
import { openTar, tarFolder } from '../../src/adapters/archive/tar.js'
import { openSqliteDocuments } from '../../src/adapters/documents/sqlite.js'
import { storesTable, tables } from '../../src/domain/events/tables.js'
import type { DocumentStore } from '../../src/ports/document-store.js'
import { makeBackup } from '../../src/services/backup/make-backup.js'
import { readManifest } from '../../src/services/backup/manifest.js'
import { restoreBackup } from '../../src/services/backup/restore-backup.js'
import { atOnce } from '../../src/services/runtime/with-lease.js'
import { openCollections } from '../../src/stored/collections.js'
import {
  buildWorld,
  contactRecord,
  type EventHome,
  eventRecord,
  openEventHome,
  type World,
} from '../support/build-deps.js'
import { onMongo } from '../support/on-mongo.js'

await onMongo('tests/live/mongo-backup.test.ts', 'a backup between SQLite and MongoDB', ({ open }) => {
  const AT = '2026-03-02T02:00:00Z'

  it('a backup goes from SQLite to MongoDB and back, and everything is as it was', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'siyu-mongo-backup-'))
    const home = await openEventHome()
    const world = await buildWorld(home, { at: AT })
    const mongo = await open('backup')
    const sqlite = openSqliteDocuments({ file: ':memory:' })
    try {
      await world.accept('people', ...['ann', 'bob'].map((name) => contactRecord(name, AT)))
      await world.run()
      await world.accept(
        'waits',
        eventRecord('ann', 'order_paid', AT, { properties: { 词: '中文 😀', n: [1, 0.5, null] } }),
      )
      const before = await contents(home, world.documents)
      await carry(home, world, world.documents, mongo, folder)
      await carry(home, world, mongo, sqlite, folder)
      expect(await contents(home, sqlite)).toEqual(before)
    } finally {
      await world.close()
      await sqlite.close()
      await mongo.drop()
      await mongo.close()
      await home.close()
      rmSync(folder, { recursive: true, force: true })
    }
  })
})

/** Through a backup; the events are emptied in between. */
async function carry(
  home: EventHome,
  world: World,
  from: DocumentStore,
  to: DocumentStore,
  folder: string,
): Promise<void> {
  const made = await makeBackup(
    {
      deps: { ...world.deps, docs: await openCollections(from) },
      documents: from,
      alone: atOnce,
      copying: {
        archives: tarFolder(folder),
        once: (_name, work) => work(),
        pause: (_which, work) => atOnce(work),
      },
    },
    { changing: new Set(['publish']) },
    () => undefined,
  )
  for (const { name } of [...tables, storesTable]) await home.store.command(`TRUNCATE TABLE ${name}`)
  const archive = await openTar(made.file)
  try {
    const into = { documents: to, events: home.engine, clock: world.clock, who: 'user:test' }
    await restoreBackup(into, archive, await readManifest(archive), () => undefined)
  } finally {
    await archive.close()
  }
}

/** But for what backups and restores leave behind. */
async function contents(home: EventHome, store: DocumentStore): Promise<Record<string, unknown>> {
  const all: Record<string, unknown> = {}
  for (const { name } of tables)
    all[`table ${name}`] = await home.store.query(
      `SELECT count() AS n, sum(cityHash64(*)) % 1000000007 AS sum FROM ${name}`,
      z.object({ n: z.number(), sum: z.number() }),
    )
  for (const [name, collection] of Object.entries(await openCollections(store)))
    if (!['audit', 'backups', 'meta'].includes(name)) all[name] = await collection.find({})
  return all
}
