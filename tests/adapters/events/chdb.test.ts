import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, afterEach, describe, expect, it } from '@jest/globals'
import { z } from 'zod'
import { openChdbEvents } from '../../../src/adapters/events/chdb.js'
import { eventIdsTable, eventsTable } from '../../../src/domain/events/tables.js'
import { ConflictError } from '../../../src/errors.js'
import { eventStoreContract } from '../../contracts/event-store.js'
import { compiled } from '../../support/compiled.js'
import { waitUntil } from '../../support/wait-until.js'

const home = mkdtempSync(join(tmpdir(), 'siyu-chdb-'))
const path = join(home, 'events')
const wipe = async () => rmSync(path, { recursive: true, force: true })
afterAll(() => rmSync(home, { recursive: true, force: true }))

eventStoreContract('chDB adapter', { open: () => openChdbEvents({ path, memoryLimitMb: 1024 }), wipe })

describe('chDB adapter and processes', () => {
  const Count = z.strictObject({ n: z.number() })
  const children: ChildProcess[] = []
  afterEach(async () => {
    for (const child of children.splice(0)) await killed(child)
    await wipe()
  })

  /** Starts chdb-child.ts; `lines` grows as it prints. */
  function start(mode: 'insert' | 'hold' | 'silent'): { child: ChildProcess; lines: string[] } {
    const child = spawn(process.execPath, [compiled('tests/adapters/events/chdb-child.ts'), path, mode], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    children.push(child)
    const lines: string[] = []
    createInterface({ input: child.stdout }).on('line', (line) => lines.push(line))
    return { child, lines }
  }

  it.each([3, 17, 40])(
    'keeps every acknowledged row through SIGKILL after %i batches, and never half a batch',
    async (batches) => {
      const { child, lines } = start('insert')
      await waitUntil(() => lines.length > batches || child.exitCode !== null, { what: `${batches} batches` })
      await killed(child)
      const acknowledged = Number(lines[lines.length - 1])
      expect(acknowledged).toBeGreaterThanOrEqual(batches - 1)

      const store = await openChdbEvents({ path, memoryLimitMb: 512 })
      // The batch under way when it died may have landed or not; sent again with its token it has landed once.
      const next = acknowledged + 1
      const again = Array.from({ length: 20 }, (_, i) => ({
        profile_id: 1,
        name: 'order_paid',
        occurred_at: new Date(1_300_000_000_000 + i),
        event_id: `${next}:${i}`,
        source: 'shop',
        amount_minor: 5,
        properties: '{}',
        batch: next,
        known_at: new Date(1_300_000_000_000),
        seq: next,
      }))
      await store.insert(eventsTable, again, `batch-${next}`)
      const perBatch = await store.query(
        'SELECT batch, count() AS n, uniqExact(event_id) AS ids FROM events GROUP BY batch ORDER BY batch',
        z.strictObject({ batch: z.number(), n: z.number(), ids: z.number() }),
      )
      expect(perBatch).toEqual(Array.from({ length: next + 1 }, (_, batch) => ({ batch, n: 20, ids: 20 })))
      expect(await store.query('SELECT count() AS n FROM event_ids', Count)).toEqual([{ n: 20 * (next + 1) }])
      await store.close()
    },
  )

  it('says which process holds the directory', async () => {
    const { child, lines } = start('hold')
    await waitUntil(() => lines.length > 0 || child.exitCode !== null, { what: 'the child to open' })
    const refused: unknown = await openChdbEvents({ path }).catch((err: unknown) => err)
    expect(refused).toBeInstanceOf(ConflictError)
    expect(String(refused)).toContain(`process ${child.pid} uses the data directory`)
    await killed(child)
    const store = await openChdbEvents({ path })
    await store.ping()
    await store.close()
  })

  it('says of an engine that answers no more, and waits neither for it nor with what is asked later', async () => {
    const { child, lines } = start('silent')
    await waitUntil(() => lines.includes('closed') || child.exitCode !== null, { what: 'the child to give up' })
    // Two connections: the second statement had one to itself.
    expect(lines).toEqual([
      'open',
      'silent: no_answer',
      JSON.stringify(['no_answer', [{ 1: 1 }], 'no_answer']),
      '"no_answer"',
      'closed',
    ])
  })

  it('holds one directory a process at a time, and the next once that is closed', async () => {
    const first = await openChdbEvents({ path, memoryLimitMb: 512 })
    const other = join(home, 'other')
    await expect(openChdbEvents({ path: other })).rejects.toBeInstanceOf(ConflictError)
    await first.ping()
    await first.close()
    const second = await openChdbEvents({ path: other, memoryLimitMb: 512 })
    await second.ping()
    await second.close()
  })

  it('may be opened twice by one process; closing one leaves the other working', async () => {
    const first = await openChdbEvents({ path, memoryLimitMb: 512 })
    const second = await openChdbEvents({ path, memoryLimitMb: 512 })
    await first.insert(eventIdsTable, [{ event_id: 'e1', batch: 1 }], 'batch-1')
    await first.close()
    expect(await second.query('SELECT count() AS n FROM event_ids', Count)).toEqual([{ n: 1 }])
    await second.close()
  })

  it('asks the disk to keep every insert when told to', async () => {
    const store = await openChdbEvents({ path, memoryLimitMb: 512, fsync: true })
    const synced =
      "SELECT count() AS n FROM system.tables WHERE database = 'siyu' AND create_table_query LIKE '%fsync_after_insert = 1%'"
    expect(await store.query(synced, Count)).toEqual([{ n: 11 }])
    await store.insert(eventIdsTable, [{ event_id: 'e1', batch: 1 }], 'batch-1')
    expect(await store.query('SELECT count() AS n FROM event_ids', Count)).toEqual([{ n: 1 }])
    await store.close()
  })

  it('stops a query that needs more than the memory limit and goes on', async () => {
    const store = await openChdbEvents({ path, memoryLimitMb: 256 })
    const large = store.query('SELECT toUInt64(length(groupArray(number))) AS n FROM numbers(100000000)', Count, 'scan')
    await expect(large).rejects.toThrow(/MEMORY_LIMIT_EXCEEDED/)
    await store.ping()
    await store.close()
  })
})

async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGKILL')
  await gone
}
