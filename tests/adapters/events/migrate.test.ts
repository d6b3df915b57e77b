import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, it } from '@jest/globals'
import { createClient } from '@clickhouse/client'
import { drainPending } from 'chdb'
import { createChdbConnection } from 'chdb/connection'
import { z } from 'zod'
import { openChdbEvents } from '../../../src/adapters/events/chdb.js'
import { createMigrationsTable, migrations, type Statement } from '../../../src/adapters/events/schema.js'
import { tagChangesTable } from '../../../src/domain/events/tables.js'

const home = mkdtempSync(join(tmpdir(), 'siyu-migrate-'))
const path = join(home, 'events')
afterEach(() => rmSync(path, { recursive: true, force: true }))
afterAll(() => rmSync(home, { recursive: true, force: true }))

const DIALECT = { cluster: undefined, fsync: false }
const [first, ...later] = migrations(DIALECT)
const statements = later.flatMap((m) => m.statements)
const Count = z.object({ n: z.number() })

/** A store as version 0.1 left it, on which a newer program died after so many statements. */
async function leaveStore(done: number): Promise<void> {
  const connection = createChdbConnection({ path }) as unknown as NonNullable<
    NonNullable<Parameters<typeof createClient>[0]>['connection']
  >
  const client = createClient({ connection })
  const run = (query: string) => client.command({ query })
  const runStatement = async ({ sql, when }: Statement) => {
    const result = when === undefined ? undefined : await client.query({ query: when, format: 'JSONEachRow' })
    const [row] = result === undefined ? [{ n: '1' }] : await result.json<{ n: string }>()
    if (Number(row!.n) > 0) await run(sql)
  }
  await run('CREATE DATABASE siyu')
  await run('USE siyu')
  await run(createMigrationsTable(DIALECT))
  for (const statement of first!.statements) await runStatement(statement)
  await run('INSERT INTO schema_migrations (version) VALUES (1)')
  await run(`INSERT INTO events VALUES (7, 'order_paid', '2026-03-02 02:00:00', 'e1', 'shop', 5, '{}', 3)`)
  await run(`INSERT INTO tag_changes VALUES ('stage', 7, '2026-03-02 02:00:00', '', 'new', 'realtime', 11)`)
  await run(`INSERT INTO tag_changes VALUES ('stage', 7, '2026-03-03 02:00:00', 'new', 'active', 'schedule', 12),
    ('buyer', 7, '2026-03-03 02:00:00', '', '1', 'schedule', 12)`)
  for (const statement of statements.slice(0, done)) await runStatement(statement)
  await client.close()
  await drainPending()
}

describe('a store of version 0.1, opened by this program', () => {
  it.each(Array.from({ length: statements.length + 1 }, (_, done) => done))(
    'has its rows, and takes new ones, after a death behind statement %i',
    async (done) => {
      await leaveStore(done)
      const store = await openChdbEvents({ path, memoryLimitMb: 512 })
      const State = z.object({ tag_id: z.string(), value: z.string() })
      const state = () => store.query('SELECT tag_id, value FROM tag_state FINAL ORDER BY tag_id', State)
      expect(await state()).toEqual([
        { tag_id: 'buyer', value: '1' },
        { tag_id: 'stage', value: 'active' },
      ])
      const change = { tag_id: 'buyer', profile_id: 7, changed_at: new Date('2026-03-04T02:00:00Z') }
      await store.insert(
        tagChangesTable,
        [{ ...change, old_value: '1', new_value: '', cause: 'schedule', version: 13 }],
        'next',
      )
      expect(await state()).toEqual([
        { tag_id: 'buyer', value: '' },
        { tag_id: 'stage', value: 'active' },
      ])
      const known = await store.query(
        `SELECT tag_id, seq, toString(known_at) AS at FROM tag_changes ORDER BY seq, tag_id`,
        z.object({ tag_id: z.string(), seq: z.number(), at: z.string() }),
      )
      expect(known).toEqual([
        { tag_id: 'stage', seq: 11, at: '2026-03-02 02:00:00.000' },
        { tag_id: 'buyer', seq: 12, at: '2026-03-03 02:00:00.000' },
        { tag_id: 'stage', seq: 12, at: '2026-03-03 02:00:00.000' },
        { tag_id: 'buyer', seq: 13, at: '2026-03-04 02:00:00.000' },
      ])
      const Unit = z.object({ unit: z.string() })
      expect(await store.query('SELECT unit FROM events', Unit)).toEqual([{ unit: 'p7' }])
      expect(
        await store.query(
          `SELECT count() AS n FROM system.tables WHERE database = 'siyu' AND (name LIKE '%next%'
           OR name = 'tag_state' AND sorting_key != 'tag_id, profile_id')`,
          Count,
        ),
      ).toEqual([{ n: 0 }])
      await store.close()
    },
  )
})
