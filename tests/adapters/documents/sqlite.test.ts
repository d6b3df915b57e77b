import { afterAll, describe, expect, it } from '@jest/globals'
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import Database from 'libsql'
import { z } from 'zod'
import { openSqliteDocuments } from '../../../src/adapters/documents/sqlite.js'
import { ConfigError, UpstreamError } from '../../../src/errors.js'
import type { Doc } from '../../../src/ports/document-store.js'
import { documentStoreContract } from '../../contracts/document-store.js'
import { anyDocument } from '../../support/any-document.js'
import { spawnCompiled } from '../../support/compiled.js'

const folder = mkdtempSync(join(tmpdir(), 'siyu-documents-'))
afterAll(() => rmSync(folder, { recursive: true }))

documentStoreContract('SQLite', async (key) => openSqliteDocuments({ file: join(folder, `${key}.sqlite`) }))

describe('openSqliteDocuments', () => {
  it.each([1, 2, 3])('loses no acknowledged write when it is killed (%i)', async (round) => {
    const file = join(folder, `killed${round}.sqlite`)
    const child = spawnCompiled('tests/support/documents-writer.ts', [file])
    let complaint = ''
    child.stderr.on('data', (text: Buffer) => (complaint += text.toString()))
    let acknowledged = 0
    const ended = new Promise((done) => child.once('close', done))
    createInterface({ input: child.stdout }).on('line', (line) => {
      acknowledged = Number(line)
      if (acknowledged === 40 * round) child.kill('SIGKILL')
    })
    await ended
    expect(complaint).toBe('')
    expect(acknowledged).toBeGreaterThanOrEqual(40 * round)

    const store = openSqliteDocuments({ file })
    const notes = await store.collection({
      name: 'notes',
      version: 1,
      schema: anyDocument<{ _id: number; n: number }>(),
    })
    expect((await notes.get(1))!.n).toBeGreaterThanOrEqual(acknowledged)
    for (let i = 1; i <= acknowledged; i++) {
      expect(await notes.count({ _id: { $gte: i * 100, $lt: i * 100 + 100 } })).toBe(20)
    }
    await store.close()
  })

  it('lets this user alone read the file and its log, also one that was open to all', async () => {
    const file = join(folder, 'private.sqlite')
    for (let opened = 0; opened < 2; opened++) {
      const store = openSqliteDocuments({ file })
      const notes = await store.collection({ name: 'notes', version: 1, schema: anyDocument<Doc>() })
      await notes.insert([{ _id: opened + 1 }])
      for (const name of [file, `${file}-wal`, `${file}-shm`]) expect(statSync(name).mode & 0o777).toBe(0o600)
      await store.close()
      chmodSync(file, 0o644)
    }
  })

  it('keeps data in memory when asked to', async () => {
    const store = openSqliteDocuments({ file: ':memory:' })
    const notes = await store.collection({ name: 'notes', version: 1, schema: anyDocument<Doc>() })
    await notes.insert([{ _id: 1 }])
    expect(await notes.count({})).toBe(1)
    await store.close()
  })

  it('says what is wrong with a file that is no database, or a folder that is not there', () => {
    const file = join(folder, 'text.sqlite')
    writeFileSync(file, 'this is only a text, and long enough to be taken for the head of a database file')
    expect(() => openSqliteDocuments({ file })).toThrow(ConfigError)
    expect(() => openSqliteDocuments({ file })).toThrow(/text\.sqlite.*SQLite database/)
    expect(() => openSqliteDocuments({ file: join(folder, 'absent', 'x.sqlite') })).toThrow(/folder exists/)
  })

  it('finishes waiting writes when it closes, and refuses later ones', async () => {
    const file = join(folder, 'closing.sqlite')
    const store = openSqliteDocuments({ file })
    const notes = await store.collection({ name: 'notes', version: 1, schema: anyDocument<Doc>() })
    const waiting = notes.insert([{ _id: 1 }])
    await store.close()
    await waiting
    await expect(notes.insert([{ _id: 2 }])).rejects.toBeInstanceOf(UpstreamError)
    await expect(notes.get(1)).rejects.toThrow(/closed/)
    const again = openSqliteDocuments({ file })
    expect(await (await again.collection({ name: 'notes', version: 1, schema: anyDocument<Doc>() })).find({})).toEqual([
      { _id: 1 },
    ])
    await again.close()
  })

  it('one failing call leaves the others of its transaction alone', async () => {
    const store = openSqliteDocuments({ file: ':memory:' })
    const notes = await store.collection({
      name: 'notes',
      version: 1,
      schema: anyDocument<{ _id: number; code: string }>(),
      indexes: [{ fields: ['code'], unique: true }],
    })
    const outcomes = await Promise.allSettled([
      notes.put([{ _id: 1, code: 'a' }]),
      notes.put([
        { _id: 2, code: 'b' },
        { _id: 3, code: 'a' },
      ]),
      notes.put([{ _id: 4, code: 'd' }]),
      notes.update(4, { $set: { code: 'a' } }),
    ])
    expect(outcomes.map((o) => o.status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'rejected'])
    expect(await notes.find({})).toEqual([
      { _id: 1, code: 'a' },
      { _id: 4, code: 'd' },
    ])
    await store.close()
  })

  it('a full disk undoes what it says was undone, and what was asked for behind it is written for itself', async () => {
    // The file may grow no further: SQLite then ends the whole transaction, as where no space is left.
    const prototype = Database.prototype as { exec: (this: unknown, sql: string) => unknown }
    const { exec } = prototype
    prototype.exec = function (sql) {
      const done = exec.call(this, sql)
      if (sql.includes('wal_autocheckpoint')) exec.call(this, 'PRAGMA max_page_count = 40')
      return done
    }
    const store = openSqliteDocuments({ file: ':memory:' })
    prototype.exec = exec
    const notes = await store.collection({
      name: 'notes',
      version: 1,
      schema: anyDocument<{ _id: number; text: string }>(),
    })
    const outcomes = await Promise.allSettled([
      notes.put([{ _id: 1, text: '' }]),
      notes.put([{ _id: 2, text: 'y'.repeat(300_000) }]),
      notes.put([{ _id: 3, text: '' }]),
      notes.insert([4, 5].map((_id) => ({ _id, text: '' }))),
    ])
    expect(outcomes.map((o) => o.status)).toEqual(['rejected', 'rejected', 'fulfilled', 'fulfilled'])
    expect(String((outcomes[0] as PromiseRejectedResult).reason)).toContain('the disk is full')
    expect((await notes.find({})).map(({ _id }) => _id)).toEqual([3, 4, 5])
    await store.close()
  })

  it('a field called $date is not taken for a Date', async () => {
    const store = openSqliteDocuments({ file: ':memory:' })
    const notes = await store.collection({
      name: 'notes',
      version: 1,
      schema: anyDocument<{ _id: number; n: unknown }>(),
    })
    const doc = { _id: 1, n: [{ $date: 5 }, { $$date: { at: new Date(5) } }, new Date(5), '"$date":5'] }
    await notes.insert([doc])
    expect(await notes.get(1)).toEqual(doc)
    await store.close()
  })

  it('finds a document that was put right by hand, as the operators’ handbook has it', async () => {
    const file = join(folder, 'mended.sqlite')
    const definition = {
      ...{ name: 'runs', version: 1, indexes: [{ fields: ['arm' as const] }] },
      schema: z.object({ _id: z.string(), arm: z.enum(['treated', 'holdout']) }),
    }
    const told: string[] = []
    const store = openSqliteDocuments({ file, onUnfit: (err) => told.push(err.message) })
    const runs = await store.collection(definition)
    await runs.insert([{ _id: 'welcome:42:0', arm: 'both' as 'treated' }])
    for (let i = 0; i < 2; i++) await expect(runs.get('welcome:42:0')).rejects.toThrow(/runs\/welcome:42:0/)
    expect(told).toHaveLength(1)
    await store.close()

    const handbook = readFileSync('docs/operations.md', 'utf8')
    const statements = [...handbook.matchAll(/^sqlite3 \.siyu\/documents\.sqlite "(UPDATE .*)"$/gm)]
    const raw = new Database(file)
    for (const [, sql] of statements) raw.exec(sql!.replaceAll(/\\(["$])/g, '$1'))
    raw.close()

    const again = openSqliteDocuments({ file })
    expect(await (await again.collection(definition)).find({ arm: 'treated' })).toHaveLength(1)
    await again.close()
    expect(statements).toHaveLength(2)
  })

  it('gives the event loop its turn during large calls', async () => {
    const store = openSqliteDocuments({ file: join(folder, 'large.sqlite') })
    const notes = await store.collection({
      name: 'notes',
      version: 1,
      schema: anyDocument<{ _id: number; n: number; text: string }>(),
      indexes: [{ fields: ['n'] }],
    })
    const docs = Array.from({ length: 6_000 }, (_, i) => ({ _id: i + 1, n: i, text: 'x'.repeat(900) }))
    let turns = 0
    let ticking = setImmediate(function tick() {
      turns++
      ticking = setImmediate(tick)
    })
    const turnsOf = async (work: Promise<unknown>) => {
      turns = 0
      await work
      return turns
    }
    expect(await turnsOf(notes.insert(docs))).toBeGreaterThan(5)
    expect(await turnsOf(notes.find({ text: { $ne: '' } }))).toBeGreaterThan(5)
    expect(await turnsOf(notes.updateMany({}, { $inc: { n: 1 } }))).toBeGreaterThan(5)
    expect(await turnsOf(notes.delete({ n: { $gt: 0 } }))).toBeGreaterThan(5)
    clearImmediate(ticking)
    await store.close()
  })
})
