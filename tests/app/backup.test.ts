import { rmSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { z } from 'zod'
import { type App, createApp } from '../../src/app/compose.js'
import { restoreFrom } from '../../src/app/restore.js'
import { loadConfig } from '../../src/config.js'
import { eventsTable, tagStateTable } from '../../src/domain/events/tables.js'
import { quietLog } from '../../src/log.js'
import { readManifest } from '../../src/services/backup/manifest.js'
import { openTar } from '../../src/adapters/archive/tar.js'
import type { Backup } from '../../src/services/backup/make-backup.js'
import { runOperation } from '../../src/services/runtime/run-operation.js'
import { takeRecords } from '../../src/services/ingest/take-records.js'
import { waitUntil } from '../support/wait-until.js'
import { makeSite } from '../support/run-siyu.js'

const BATCHES = 30
const PER_BATCH = 20

/** Orders of a hundred people. */
function orders(batch: number) {
  return Array.from({ length: PER_BATCH }, (_, i) => ({
    source: 'shop',
    ref: `${batch}:${i}`,
    observedAt: '2026-03-02T02:00:00Z',
    identifiers: [{ type: 'member_id', value: `m${(batch * 7 + i) % 100}` }],
    events: [{ id: `o${batch}:${i}`, name: 'order_paid', occurredAt: '2026-03-02T02:00:00Z', amountMinor: 100 }],
  }))
}

describe('a backup of a service that takes records in', () => {
  let site: Awaited<ReturnType<typeof makeSite>>
  let other: typeof site
  let made: Backup
  let countsThen: { events: number; tags: number }
  beforeAll(async () => {
    site = await makeSite()
    other = await makeSite()
    const app = await openApp(site.config)
    await app.publish()
    await app.queue.start()
    let backup: Promise<Backup> | undefined
    for (let batch = 0; batch < BATCHES; batch++) {
      await takeRecords(app.deps, orders(batch))
      if (batch === BATCHES / 3) backup = runOperation(app.operations, 'user:test', 'backup', {})
    }
    made = await backup!
    // The rest is worked off: what was known at the instant of the backup is asked of the log afterwards.
    await waitUntil(
      async () => {
        await app.deps.jobs.add('process-batches', undefined, { key: 'process-batches' })
        return (await app.deps.docs.batches.count({ state: { $ne: 'done' } })) === 0
      },
      { what: 'the inbox to be worked off' },
    )
    countsThen = await countsAt(app, new Date(made.at))
    expect((await app.deps.docs.audit.find({ operation: 'backup' })).map((row) => row.target)).toEqual([made.id])
    await app.close()
  })
  afterAll(() => {
    for (const { dir } of [site, other]) rmSync(dir, { recursive: true, force: true })
  })

  const openApp = async (config: string): Promise<App> =>
    createApp({ config: await loadConfig({ file: config, env: {} }), log: quietLog, fsync: false })

  async function countsAt({ deps }: App, at: Date): Promise<typeof countsThen> {
    const Row = z.object({ events: z.number(), tags: z.number() })
    const until = `known_at <= fromUnixTimestamp64Milli(${at.getTime()}, 'UTC')`
    const [row] = await deps.events.query(
      `SELECT (SELECT count() FROM ${eventsTable.name} WHERE ${until}) AS events,
              (SELECT uniqExact(tag_id, profile_id) FROM tag_changes WHERE ${until}) AS tags`,
      Row,
    )
    return row!
  }

  it('is the state of one instant: every record is in it once, worked off or in the inbox', async () => {
    await restoreFrom(made.file, { config: other.config, env: {} }, () => undefined)
    const app = await openApp(other.config)
    try {
      const { docs, events } = app.deps
      const Ids = z.object({ id: z.string() })
      const stored = (await events.query(`SELECT event_id AS id FROM ${eventsTable.name} WHERE source = 'shop'`, Ids)).map((r) => r.id) // prettier-ignore
      const batches = await docs.batches.find({})
      expect(batches.filter((b) => b.state === 'planned')).toEqual([])
      const waiting = batches.flatMap((b) => (b.records ?? []).flatMap((r) => r.events.map((e) => e.id))).filter((id) => id.startsWith('o')) // prettier-ignore
      const all = [...stored, ...waiting]
      expect(new Set(all).size).toBe(all.length)
      expect(all.length % PER_BATCH).toBe(0) // whole batches alone
      expect(stored.length).toBe(made.events)
      expect(made.events).toBe(countsThen.events)
      expect(await countsAt(app, new Date('2100-01-01'))).toEqual(countsThen)
      const [{ n } = { n: -1 }] = await events.query(`SELECT count() AS n FROM ${tagStateTable.name} FINAL`, z.object({ n: z.number() })) // prettier-ignore
      expect(n).toBe(countsThen.tags)
      // Numbers go on behind those that were given out.
      const last = Math.max(...batches.map((b) => b.seq))
      expect((await docs.meta.get('counter:batch'))!.value).toBeGreaterThanOrEqual(last)
      // It works on, and ends where the other one did.
      const missing = Array.from({ length: BATCHES }, (_, i) => i).flatMap(orders)
      for (let i = 0; i < missing.length; i += 400) await takeRecords(app.deps, missing.slice(i, i + 400))
      await app.runLane('process-batches')
      const [{ events: total }] = [await countsAt(app, new Date('2100-01-01'))]
      expect(total).toBe(BATCHES * PER_BATCH)
      expect(await docs.profiles.count({})).toBe(100)
    } finally {
      await app.close()
    }
  })

  it('holds no instant later than its own, and the mark of its stores', async () => {
    const archive = await openTar(made.file)
    const manifest = await readManifest(archive)
    await archive.close()
    expect(manifest).toMatchObject({ id: made.id, at: made.at, from: { documents: 'sqlite', events: 'chdb' } })
    expect(manifest.store).toMatch(/^[0-9a-f]{16}$/)
    expect(manifest.tables.stores).toMatchObject({ rows: 1 })
  })
})
