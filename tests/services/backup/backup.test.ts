import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { z } from 'zod'
import { openTar, tarFolder } from '../../../src/adapters/archive/tar.js'
import { openSqliteDocuments } from '../../../src/adapters/documents/sqlite.js'
import { storesTable, tables } from '../../../src/domain/events/tables.js'
import type { DocumentStore } from '../../../src/ports/document-store.js'
import type { EventStore } from '../../../src/ports/event-store.js'
import { listBackups } from '../../../src/services/backup/list-backups.js'
import { type Backup, type BackupParts, COPIED_TABLES, makeBackup } from '../../../src/services/backup/make-backup.js'
import { type Manifest, MANIFEST, MANIFEST_SUM, readManifest, sha256 } from '../../../src/services/backup/manifest.js'
import { refuseHalfRestored, restoreBackup, verifyBackup } from '../../../src/services/backup/restore-backup.js'
import { noteIntent, writeAudit } from '../../../src/services/runtime/audit.js'
import { atOnce } from '../../../src/services/runtime/with-lease.js'
import { openCollections } from '../../../src/stored/collections.js'
import {
  buildWorld,
  contactRecord,
  type EventHome,
  eventRecord,
  openEventHome,
  type World,
} from '../../support/build-deps.js'

const AT = '2026-03-02T02:00:00Z'
const changing = new Set(['publish'])

describe('a backup', () => {
  let home: EventHome
  let folder: string
  let documents: DocumentStore
  let world: World
  let made: Backup
  const opened: DocumentStore[] = []
  beforeAll(async () => {
    home = await openEventHome()
    folder = mkdtempSync(join(tmpdir(), 'siyu-backup-'))
    documents = openSqliteDocuments({ file: join(folder, 'documents.sqlite'), fsync: false })
    world = await buildWorld(home, { at: AT, documents })
    await world.accept('people', ...['ann', 'bob', 'cat'].map((name) => contactRecord(name, AT)))
    await world.accept('orders', eventRecord('ann', 'order_paid', AT, { amountMinor: 1999 }))
    await world.run()
    await world.accept('waits', eventRecord('bob', 'order_paid', AT))
    await writeAudit(world.deps, { who: 'system', operation: 'people', target: '', outcome: 'done', inputHash: '' })
    made = await make()
  })
  afterAll(async () => {
    await world.close()
    for (const store of [documents, ...opened]) await store.close()
    await home.close()
    rmSync(folder, { recursive: true, force: true })
  })

  const parts = (more: Partial<BackupParts['copying']> = {}): BackupParts => ({
    deps: world.deps,
    documents,
    alone: atOnce,
    copying: {
      archives: tarFolder(join(folder, 'backups')),
      once: (_name, work) => work(),
      pause: (_which, work) => atOnce(work),
      ...more,
    },
  })
  const make = (more?: Partial<BackupParts['copying']>) => makeBackup(parts(more), { changing }, () => undefined)

  /** All that the stores hold, by collection and table; what is filled from others among it. */
  async function contents(store: DocumentStore): Promise<Record<string, unknown>> {
    const all: Record<string, unknown> = {}
    const Sum = z.object({ name: z.string(), n: z.number(), sum: z.number() })
    // First: what waits arrives.
    all.tables = await home.store.query(
      [...tables, storesTable]
        .map(
          ({ name }) => `SELECT '${name}' AS name, count() AS n, sum(cityHash64(*)) % 1000000007 AS sum FROM ${name}`,
        )
        .join(' UNION ALL '),
      Sum,
    )
    ;(all.tables as { name: string }[]).sort((a, b) => (a.name < b.name ? -1 : 1))
    const docs = await openCollections(store)
    for (const [name, collection] of Object.entries(docs)) all[name] = await collection.find({})
    return all
  }
  async function emptyStores(): Promise<DocumentStore> {
    for (const { name } of [...tables, storesTable]) await home.store.command(`TRUNCATE TABLE ${name}`)
    const store = openSqliteDocuments({ file: ':memory:' })
    opened.push(store)
    return store
  }
  /** Verified. */
  async function openManifest(file: string): Promise<Manifest> {
    const archive = await openTar(file)
    try {
      const manifest = await readManifest(archive)
      await verifyBackup(archive, manifest, () => undefined)
      return manifest
    } finally {
      await archive.close()
    }
  }
  async function restore(file: string, store: DocumentStore, events: EventStore = home.engine): Promise<Manifest> {
    const archive = await openTar(file)
    try {
      const manifest = await readManifest(archive)
      await verifyBackup(archive, manifest, () => undefined)
      const into = { documents: store, events, clock: world.clock, who: 'user:test' }
      await restoreBackup(into, archive, manifest, () => undefined)
      return manifest
    } finally {
      await archive.close()
    }
  }
  /** What a restore adds. */
  const withoutTraces = (all: Record<string, unknown>): Record<string, unknown> => {
    const { audit: _audit, meta, ...rest } = all
    const own = ['sending:stopped', 'counter:audit']
    return { ...rest, meta: (meta as { _id: string }[]).filter(({ _id }) => !own.includes(_id)) }
  }

  it('restores everything as it was, with what waits in the inbox, and with sends stopped', async () => {
    const { meta, backups, ...before } = withoutTraces(await contents(documents))
    expect(made).toMatchObject({ profiles: 3, events: 4, at: new Date(AT).toISOString() })
    expect(backups).toHaveLength(1) // it is listed after it was made
    const store = await emptyStores()
    await restore(made.file, store)
    const { meta: restoredMeta, backups: none, ...after } = withoutTraces(await contents(store))
    expect(after).toEqual(before)
    expect(restoredMeta).toEqual(meta)
    expect(none).toEqual([])
    const docs = await openCollections(store)
    expect(await docs.meta.get('sending:stopped')).toMatchObject({ flag: true })
    expect((await docs.audit.find({})).map((row) => row.operation)).toEqual(['people', 'restore'])
    expect(await docs.batches.get('waits')).toMatchObject({ state: 'accepted' })
  })

  it('is listed, also when its file was taken elsewhere', async () => {
    const first = await make()
    rmSync(first.file)
    const second = await makeBackup(parts(), { movedTo: '/mnt/nas/', changing }, () => undefined)
    const { backups } = await listBackups(world.deps, parts().copying)
    const placeOf = (id: string) =>
      backups.filter((b) => b.id === id).map(({ isThere, movedTo }) => ({ isThere, movedTo }))
    expect(placeOf(first.id)).toEqual([{ isThere: false, movedTo: undefined }])
    expect(placeOf(second.id)).toEqual([{ isThere: true, movedTo: '/mnt/nas/' }])
  })

  it('is begun anew where an operation wrote into it', async () => {
    let times = 0
    const pause: BackupParts['copying']['pause'] = async (_which, work) => {
      const took = await noteIntent(world.deps, { who: 'system', operation: 'publish', target: '', inputHash: '' })
      if (++times > 1) await took()
      return atOnce(work)
    }
    // The first note stays until the second time.
    const intents = () => world.docs.meta.delete({ _id: { $gte: 'intent:', $lt: 'intent:~' } })
    const again = await make({ pause: async (which, work) => (times > 0 && (await intents()), pause(which, work)) })
    expect(times).toBe(2)
    expect(readdirSync(join(folder, 'backups')).filter((name) => name.endsWith('.part'))).toEqual([])
    expect((await openManifest(again.file)).id).toBe(again.id)
  })

  it('leaves nothing behind where it cannot be written', async () => {
    const before = readdirSync(join(folder, 'backups'))
    const listed = await world.docs.backups.count({})
    for (const at of [1, 7, 13]) {
      const archives = tarFolder(join(folder, 'backups'))
      let n = 0
      const failing: typeof archives = {
        ...archives,
        create: async (name) => {
          const archive = await archives.create(name)
          return {
            ...archive,
            add: (...piece) => (++n === at ? Promise.reject(new Error('full')) : archive.add(...piece)),
          }
        },
      }
      await expect(make({ archives: failing })).rejects.toThrow('full')
    }
    expect(readdirSync(join(folder, 'backups'))).toEqual(before)
    expect(await home.engine.query("SELECT name FROM system.tables WHERE name LIKE '%copied'", z.unknown())).toEqual([])
    expect(await world.docs.backups.count({})).toBe(listed)
  })

  it('restored half is no store, and the same again ends as if nothing had happened', async () => {
    const { meta, backups: _backups, ...before } = withoutTraces(await contents(documents))
    const store = await emptyStores()
    for (const dieAt of [1, 6, 11]) {
      let n = 0
      const mortal = <T extends object>(target: T): T =>
        new Proxy(target, {
          get: (of, key) => {
            const value: unknown = Reflect.get(of, key)
            if (key !== 'load') return value
            return (...args: unknown[]) =>
              ++n === dieAt ? Promise.reject(new Error('killed')) : (value as (...a: unknown[]) => unknown)(...args)
          },
        })
      await expect(restore(made.file, mortal(store), mortal(home.engine))).rejects.toThrow('killed')
      await expect(refuseHalfRestored(await openCollections(store))).rejects.toThrow('run siyu restore once more')
    }
    await restore(made.file, store)
    const docs = await openCollections(store)
    await refuseHalfRestored(docs)
    expect(await docs.audit.count({ operation: 'restore' })).toBe(1)
    const { meta: restoredMeta, backups: _none, ...after } = withoutTraces(await contents(store))
    expect(after).toEqual(before)
    expect(restoredMeta).toEqual(meta)
  })

  it('goes into empty stores only', async () => {
    await expect(restore(made.file, documents)).rejects.toThrow('it was left alone')
    const store = openSqliteDocuments({ file: ':memory:' })
    opened.push(store)
    await expect(restore(made.file, store)).rejects.toThrow('it was left alone')
    expect(await (await openCollections(store)).meta.count({})).toBe(0)
  })

  it('goes into the same stores once: who finds half of another begins anew, and the other is told', async () => {
    const store = await emptyStores()
    let n = 0
    let second: Promise<unknown> | undefined
    const met = new Proxy(store, {
      get: (of, key) => {
        const value: unknown = Reflect.get(of, key)
        if (key !== 'load') return value
        return async (...args: unknown[]) => {
          await (value as (...a: unknown[]) => unknown)(...args)
          // In the middle of the first one somebody else does the same, to its end.
          if (++n === 3) await (second = restore(made.file, store))
        }
      },
    })
    await expect(restore(made.file, met)).rejects.toThrow('another restore writes into these stores')
    await second
    const docs = await openCollections(store)
    await refuseHalfRestored(docs)
    const before = withoutTraces(await contents(documents))
    const after = withoutTraces(await contents(store))
    expect(after.profiles).toEqual(before.profiles)
    // And who comes when it is done touches nothing.
    await expect(restore(made.file, store)).rejects.toThrow('it was left alone')
    await refuseHalfRestored(docs)
  })

  it('that is damaged anywhere is found out before anything is touched', async () => {
    const broken = join(folder, 'broken.tar')
    const whole = readFileSync(made.file)
    const archive = await openTar(made.file)
    const places: { name: string; at: number }[] = []
    let at = 0
    for await (const { name, bytes } of archive.entries()) {
      places.push({ name, at: at + 512 + Math.floor(bytes / 2) })
      at += 512 + Math.ceil(bytes / 512) * 512
    }
    await archive.close()
    for (const place of places) {
      const damaged = Buffer.from(whole)
      damaged[place.at]! ^= 1
      writeFileSync(broken, damaged)
      // Of the sum of the manifest the name behind it is no part.
      if (place.name !== MANIFEST_SUM) await expect(openManifest(broken)).rejects.toThrow('nothing was touched')
    }
    writeFileSync(broken, whole.subarray(0, places.at(-2)!.at - 512))
    await expect(openManifest(broken)).rejects.toThrow('is not whole')
  })

  it('holds what its manifest names, once each, and nothing that unpacks to more than memory', async () => {
    const forge = async (
      pieces: (whole: Map<string, Buffer>) => [string, Buffer][],
      change?: (m: Manifest) => void,
    ) => {
      const archive = await openTar(made.file)
      const manifest = await readManifest(archive)
      const whole = new Map<string, Buffer>()
      for await (const { name, read } of archive.entries())
        if (!name.startsWith('manifest')) whole.set(name, await read())
      await archive.close()
      const file = join(folder, 'forged.tar')
      rmSync(file, { force: true })
      const forged = await tarFolder(folder).create('forged.tar')
      for (const piece of pieces(whole)) {
        await forged.add(...piece)
        const listed = manifest.pieces.find((p) => p.name === piece[0])
        if (listed !== undefined && change !== undefined)
          Object.assign(listed, { bytes: piece[1].length, sha256: sha256(piece[1]) })
      }
      change?.(manifest)
      const text = Buffer.from(JSON.stringify(manifest))
      await forged.add(MANIFEST, text)
      await forged.add(MANIFEST_SUM, Buffer.from(sha256(text)))
      await forged.commit()
      return file
    }
    const profiles = 'documents/profiles/000001.jsonl.gz'
    const same = (whole: Map<string, Buffer>): [string, Buffer][] => [...whole]
    const hostile = [
      () => forge((whole) => [...whole, ['documents/profiles/000002.jsonl.gz', gzipSync('{"_id":999}\n')]]),
      () => forge((whole) => [...whole, ['documents/__proto__/000001.jsonl.gz', gzipSync('{}\n')]]),
      () => forge((whole) => [...whole, [profiles, gzipSync('{"_id":999}\n')]]),
      () => forge((whole) => [...whole].map(([n, d]) => [n, n === profiles ? Buffer.from('no gzip') : d]), () => undefined),
      () => forge((whole) => [...whole].map(([n, d]) => [n, n === profiles ? gzipSync(Buffer.alloc(300 * 2 ** 20)) : d]), () => undefined),
      () => forge(same, (m) => delete m.collections.profiles),
      () => forge(same, (m) => delete m.tables.events),
      () => forge(same, (m) => m.pieces.push({ ...m.pieces[0]! })),
    ] // prettier-ignore
    const accepted: number[] = []
    for (const [i, make] of hostile.entries()) {
      const said = await openManifest(await make()).then(() => 'taken', String)
      if (!said.includes('nothing was touched')) accepted.push(i)
    }
    expect(accepted).toEqual([])
  })

  it('of a newer program is refused, and one that lacks a piece', async () => {
    const rewrite = async (change: (m: Manifest) => void, without?: string) => {
      const archive = await openTar(made.file)
      const manifest = await readManifest(archive)
      const other = await tarFolder(folder).create('changed.tar')
      for await (const { name, read } of archive.entries())
        if (!name.startsWith('manifest') && name !== without) await other.add(name, await read())
      change(manifest)
      const text = Buffer.from(JSON.stringify(manifest))
      await other.add(MANIFEST, text)
      await other.add(MANIFEST_SUM, Buffer.from(sha256(text)))
      rmSync(join(folder, 'changed.tar'), { force: true })
      await other.commit()
      await archive.close()
      return join(folder, 'changed.tar')
    }
    const newer: ((m: Manifest) => void)[] = [
      (m) => (m.format = 2),
      (m) => (m.collections.profiles!.version = 99),
      (m) => (m.collections.moods = { version: 1, count: 0 }),
      (m) => (m.tables.moods = { columns: [], rows: 0 }),
      (m) => m.tables.events!.columns.push('mood'),
    ]
    for (const change of newer)
      await expect(openManifest(await rewrite(change))).rejects.toThrow('written by a newer siyu')
    const piece = 'documents/profiles/000001.jsonl.gz'
    await expect(openManifest(await rewrite(() => undefined, piece))).rejects.toThrow('it is not there')
    expect(COPIED_TABLES.map((t) => t.name).sort()).toEqual(['closed_numbers', 'consent_changes', 'events', 'identity_changes', 'profiles', 'stores', 'tag_changes', 'trait_changes']) // prettier-ignore
  })

  it('has no group half in: what a crash left is ended first, and nothing else is taken up', async () => {
    await world.run()
    await world.accept('half', eventRecord('ann', 'order_paid', '2026-03-02T01:00:00Z'))
    world.faults.failAt = world.faults.writes + 8
    await expect(world.run()).rejects.toThrow('crash')
    world.faults.revive()
    expect(await world.docs.batches.get('half')).toMatchObject({ state: 'planned' })
    await world.accept('next', eventRecord('ann', 'order_paid', '2026-03-02T01:30:00Z'))
    const whole = await make()
    const store = await emptyStores()
    await restore(whole.file, store)
    const docs = await openCollections(store)
    expect(await docs.batches.find({ state: { $ne: 'done' } })).toMatchObject([{ _id: 'next', state: 'accepted' }])
    expect(whole.events).toBe(6)
  })
})
