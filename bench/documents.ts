import { join } from 'node:path'
import Database from 'libsql'
import { z } from 'zod'
import { openSqliteDocuments } from '../src/adapters/documents/sqlite.js'
import type { Collection } from '../src/ports/document-store.js'
import { hashKey, intOf } from '../src/random.js'
import { type BenchContext, type Benchmark, compare, type Scale } from './measure.js'
import type { CaseResult } from './result.js'

const BATCH = 500
const COUNTS: Record<Scale, { inserts: number; gets: number; updates: number; singles: number }> = {
  full: { inserts: 10_000, gets: 20_000, updates: 10_000, singles: 1_000 },
  quick: { inserts: 1_000, gets: 2_000, updates: 1_000, singles: 100 },
  tiny: { inserts: 100, gets: 100, updates: 100, singles: 10 },
}

const Note = z.object({
  _id: z.string(),
  kind: z.string(),
  owner: z.string(),
  rank: z.number(),
  visits: z.number(),
  text: z.string(),
  tags: z.array(z.string()),
})
type Note = z.infer<typeof Note>

/** The SQLite adapter: documents of about 1.3 kB with three indexes, durable writes. */
export const documents: Benchmark = {
  name: 'documents',
  title: { zh: '文档存储', en: 'Documents' },
  unit: { zh: '文档', en: 'document' },
  baseline: 'the same JSON and index columns with prepared statements of libsql, same journal and durability',
  run: runDocuments,
}

async function runDocuments({ scale, dir, note }: BenchContext): Promise<CaseResult[]> {
  const counts = COUNTS[scale]
  const store = openSqliteDocuments({ file: join(dir, 'adapter.sqlite') })
  const bare = openBare(join(dir, 'bare.sqlite'))
  try {
    const notes = await store.collection({
      name: 'notes',
      version: 1,
      schema: Note,
      indexes: [{ fields: ['kind'] }, { fields: ['owner', 'rank'] }, { fields: ['rank'] }],
    })
    let inserted = 0
    let made: Note[][] = []
    const results = [
      await compare(
        {
          name: `insert, ${BATCH} a call`,
          items: counts.inserts,
          warmups: 1,
          rounds: 3,
          prepare: async () => {
            const docs = Array.from({ length: counts.inserts }, () => makeNote(inserted++))
            made = chunk(docs)
          },
          product: async () => {
            for (const batch of made) await notes.insert(batch)
          },
          baseline: async () => {
            for (const batch of made) bare.insert(batch)
          },
        },
        note,
      ),
    ]
    const pick = (count: number, purpose: string, round: number) =>
      Array.from({ length: count }, (_, i) => idOf(intOf(inserted, 'bench', purpose, round, i)))
    const further = [
      { name: 'get', count: counts.gets, product: getEach(notes), baseline: bare.getEach },
      { name: `update, ${BATCH} a call`, count: counts.updates, product: updateEach(notes), baseline: bare.updateEach },
      { name: 'update, one a call', count: counts.singles, product: updateOne(notes), baseline: bare.updateOne },
    ]
    for (const { name, count, product, baseline } of further) {
      let ids: string[] = []
      results.push(
        await compare(
          {
            name,
            items: count,
            warmups: 1,
            rounds: 3,
            prepare: async (round) => {
              ids = pick(count, name, round)
            },
            product: () => product(ids),
            baseline: async () => baseline(ids),
          },
          note,
        ),
      )
    }
    return results
  } finally {
    bare.close()
    await store.close()
  }
}

const getEach = (notes: Collection<Note>) => async (ids: readonly string[]) => {
  for (const id of ids) if ((await notes.get(id)) === undefined) throw new Error(`document ${id} is gone`)
}
const updateEach = (notes: Collection<Note>) => async (ids: readonly string[]) => {
  for (const batch of chunk(ids))
    await notes.updateEach(batch.map((id) => ({ id, update: { $inc: { visits: 1 }, $set: { kind: 'seen' } } })))
}
const updateOne = (notes: Collection<Note>) => async (ids: readonly string[]) => {
  for (const id of ids) await notes.update(id, { $inc: { visits: 1 }, $set: { kind: 'seen' } })
}

/** What one would write by hand for this one collection. */
function openBare(file: string) {
  const db = new Database(file)
  db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -65536; PRAGMA wal_autocheckpoint = 4000;
    CREATE TABLE notes (id TEXT PRIMARY KEY, kind TEXT, owner TEXT, rank REAL, json TEXT NOT NULL);
    CREATE INDEX kind ON notes (kind); CREATE INDEX owner ON notes (owner, rank); CREATE INDEX rank ON notes (rank);`)
  const insert = db.prepare('INSERT INTO notes (id, kind, owner, rank, json) VALUES (?, ?, ?, ?, ?)')
  const select = db.prepare('SELECT json FROM notes WHERE id = ?')
  const update = db.prepare('UPDATE notes SET kind = ?, json = ? WHERE id = ?')
  const read = (id: string) => JSON.parse((select.get(id) as { json: string }).json) as Note
  const see = (id: string) => {
    const doc = read(id)
    update.run('seen', JSON.stringify({ ...doc, kind: 'seen', visits: doc.visits + 1 }), id)
  }
  const together = (work: () => void) => {
    db.exec('BEGIN IMMEDIATE')
    work()
    db.exec('COMMIT')
  }
  return {
    insert: (docs: readonly Note[]) =>
      together(() => docs.forEach((d) => insert.run(d._id, d.kind, d.owner, d.rank, JSON.stringify(d)))),
    getEach: (ids: readonly string[]) => ids.forEach(read),
    updateEach: (ids: readonly string[]) => chunk(ids).forEach((batch) => together(() => batch.forEach(see))),
    updateOne: (ids: readonly string[]) => ids.forEach((id) => together(() => see(id))),
    close: () => db.close(),
  }
}

function makeNote(n: number): Note {
  return {
    _id: idOf(n),
    kind: `kind-${n % 7}`,
    owner: `owner-${intOf(500, 'bench owner', n)}`,
    rank: intOf(100_000, 'bench rank', n),
    visits: 0,
    text: hashKey(64, 'bench text', n).repeat(16),
    tags: Array.from({ length: 8 }, (_, i) => `tag-${intOf(1_000, 'bench tag', n, i)}`),
  }
}

function idOf(n: number): string {
  return hashKey(16, 'bench note', n)
}

function chunk<T>(items: readonly T[]): T[][] {
  return Array.from({ length: Math.ceil(items.length / BATCH) }, (_, i) => items.slice(i * BATCH, (i + 1) * BATCH))
}
