import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { z } from 'zod'
import { ConfigError, UpstreamError } from '../../src/errors.js'
import {
  type Columns,
  eventIdsTable,
  eventsTable,
  migrationsTable,
  profilesTable,
  type RowOf,
  type Table,
  tagChangesTable,
} from '../../src/domain/events/tables.js'
import type { EventStore } from '../../src/ports/event-store.js'

/** Opens the same store each time it is called, until `wipe` removes it behind its back. */
export type EventStoreSetup = { open: () => Promise<EventStore>; wipe: () => Promise<void> }

type EventRow = RowOf<typeof eventsTable>
const AT_MS = Date.UTC(2011, 11, 9, 12, 50, 0, 123)
const AT = new Date(AT_MS)
const Count = z.strictObject({ n: z.number() })

function eventRow(
  id: string,
  { profileId = 1, amountMinor = 1999, properties = '{}', name = 'order_paid' } = {},
): EventRow {
  return {
    profile_id: profileId,
    name,
    occurred_at: AT,
    event_id: id,
    source: 'shop',
    amount_minor: amountMinor,
    properties,
    batch: 1,
    known_at: AT,
    seq: 1,
  }
}

/** Every promise of ports/event-store.ts, and of the schema behind it. */
export function eventStoreContract(name: string, { open, wipe }: EventStoreSetup): void {
  describe(`${name} keeps the EventStore contract`, () => {
    let store: EventStore

    beforeEach(async () => {
      store = await open()
    })
    afterEach(async () => {
      await store.close()
      await wipe()
    })

    const count = async (table: string, where = '1'): Promise<number> => {
      const rows = await store.query(`SELECT count() AS n FROM ${table} WHERE ${where}`, Count)
      return rows[0]!.n
    }
    const addEvents = (rows: EventRow[], token: string) => store.insert(eventsTable, rows, token)

    it('gives back what was inserted: instants, integers up to 2^53 − 1, text with quotes, breaks and Chinese', async () => {
      const properties = JSON.stringify({ text: `it's "quoted" \\ \n\t 私域 🎁`, list: [1, 2] })
      const amountMinor = -(2 ** 53 - 1)
      await addEvents([eventRow(`e'1"\\\n`, { profileId: 2 ** 53 - 1, amountMinor, properties, name: '订单' })], 'a')
      const rows = await store.query(
        'SELECT profile_id, name, toUnixTimestamp64Milli(occurred_at) AS at_ms, event_id, amount_minor, properties FROM events',
        z.strictObject({
          profile_id: z.number(),
          name: z.string(),
          at_ms: z.number(),
          event_id: z.string(),
          amount_minor: z.number(),
          properties: z.string(),
        }),
      )
      expect(rows).toEqual([
        {
          profile_id: 2 ** 53 - 1,
          name: '订单',
          at_ms: AT_MS,
          event_id: `e'1"\\\n`,
          amount_minor: amountMinor,
          properties,
        },
      ])
    })

    it('puts U+FFFD for half a surrogate pair, and takes the rows beside it', async () => {
      await addEvents([eventRow('good'), eventRow('cut \ud83d')], 'a')
      expect(await count('events', `event_id IN ('good', 'cut \ufffd')`)).toBe(2)
    })

    it('keeps maps and arrays', async () => {
      const traits = { 'first "name"': `O'Neil`, 城市: '上海', empty: '' }
      await store.insert(
        profilesTable,
        [
          {
            profile_id: 1,
            anchor: 'unionid:u1',
            traits,
            identifier_types: ['unionid', 'phone'],
            created_at: AT,
            merged_into: 0,
            version: 1,
            known_at: AT,
            seq: 1,
          },
          {
            profile_id: 2,
            anchor: 'unionid:u2',
            traits: {},
            identifier_types: [],
            created_at: AT,
            merged_into: 1,
            version: 1,
            known_at: AT,
            seq: 1,
          },
        ],
        'p',
      )
      const rows = await store.query(
        'SELECT traits, identifier_types FROM profiles ORDER BY profile_id',
        z.strictObject({ traits: z.record(z.string(), z.string()), identifier_types: z.array(z.string()) }),
      )
      expect(rows).toEqual([
        { traits, identifier_types: ['unionid', 'phone'] },
        { traits: {}, identifier_types: [] },
      ])
    })

    it('gives a nested array out of a query', async () => {
      const rows = await store.query(
        `SELECT [(1, 'a'), (2, 'b')] AS pairs, map('k', [1]) AS m, NULL AS nothing`,
        z.strictObject({
          pairs: z.array(z.tuple([z.number(), z.string()])),
          m: z.record(z.string(), z.array(z.number())),
          nothing: z.null(),
        }),
      )
      expect(rows).toEqual([{ pairs: [[1, 'a'], [2, 'b']], m: { k: [1] }, nothing: null }]) // prettier-ignore
    })

    it('gives an empty list when no row matches', async () => {
      expect(await store.query('SELECT profile_id FROM events', z.strictObject({ profile_id: z.number() }))).toEqual([])
    })

    it('makes an insert with a used token a no-op, in the table and in what is filled from it', async () => {
      await addEvents([eventRow('e1'), eventRow('e2')], `batch-'1'`)
      await addEvents([eventRow('e1'), eventRow('e2')], `batch-'1'`)
      expect([await count('events'), await count('event_ids')]).toEqual([2, 2])
    })

    it('remembers tokens after it was closed and opened again', async () => {
      await addEvents([eventRow('e1')], 'batch-1')
      await store.close()
      store = await open()
      await addEvents([eventRow('e1')], 'batch-1')
      expect([await count('events'), await count('event_ids')]).toEqual([1, 1])
    })

    it('lands equal rows under different tokens', async () => {
      await addEvents([eventRow('e1')], 'batch-1')
      await addEvents([eventRow('e1')], 'batch-2')
      await addEvents([eventRow('e1'), eventRow('e1')], 'batch-3')
      expect([await count('events'), await count('event_ids')]).toEqual([4, 4])
    })

    it('lands different rows sent at once under different tokens, each once', async () => {
      const tokens = ['t1', 't2', 't3', 't2', 't1', 't4']
      await Promise.all(tokens.map((token) => addEvents([eventRow(token)], token)))
      expect([await count('events'), await count('event_ids')]).toEqual([4, 4])
    })

    it('keeps tokens of one table apart from those of another', async () => {
      await addEvents([eventRow('e1')], 'same')
      await store.insert(eventIdsTable, [{ event_id: 'other', batch: 1 }], 'same')
      expect([await count('events'), await count('event_ids')]).toEqual([1, 2])
    })

    it('takes an empty batch as a no-op that does not use its token up', async () => {
      await addEvents([], 'batch-1')
      expect(await count('events')).toBe(0)
      await addEvents([eventRow('e1')], 'batch-1')
      expect(await count('events')).toBe(1)
    })

    it('appends a batch as one block: all of it or nothing', async () => {
      const rows = Array.from({ length: 5000 }, (_, i) => eventRow(`e${i}`))
      const broken = [...rows, { ...eventRow('bad'), amount_minor: 'not a number' as unknown as number }]
      await expect(addEvents(broken, 'batch-1')).rejects.toThrow(UpstreamError)
      expect([await count('events'), await count('event_ids')]).toEqual([0, 0])
      await addEvents(rows, 'batch-1')
      expect([await count('events'), await count('event_ids')]).toEqual([5000, 5000])
    })

    it('names table and cause of a refused insert without its data', async () => {
      const row = { ...eventRow('e1'), occurred_at: 'call 13800000000' as unknown as Date }
      const refused: unknown = await addEvents([row], 'x').catch((err: unknown) => err)
      expect(refused).toBeInstanceOf(UpstreamError)
      expect(String(refused)).toContain('insert of 1 rows into events')
      expect(`${String(refused)} ${String((refused as Error).cause)}`).not.toContain('13800000000')
    })

    it('refuses a table or column that is no name, and an empty token', async () => {
      const insert = (name: string, column: string) => {
        const table: Table<Columns> = { name, columns: { [column]: { type: 'UInt64', since: 1 } } }
        return store.insert(table, [{ [column]: 1 }], 't')
      }
      await expect(insert('events; DROP', 'a')).rejects.toThrow('no table or column name')
      await expect(insert('events', 'a b')).rejects.toThrow('no table or column name')
      await expect(addEvents([eventRow('e1')], '')).rejects.toThrow('the token is empty')
    })

    it('refuses wrong SQL and says what is wrong', async () => {
      await expect(store.query('SELEC 1', Count)).rejects.toThrow(/SYNTAX_ERROR/)
      await expect(store.query('SELECT nothing FROM events', Count)).rejects.toThrow(/nothing/)
      await expect(store.command('DROP TABLE no_such_table')).rejects.toThrow(/no_such_table/)
      await expect(store.query('SELECT nothing FROM events', Count)).rejects.toBeInstanceOf(UpstreamError)
      expect(await count('events')).toBe(0)
    })

    it('refuses rows that are not what the schema says, without showing them', async () => {
      const refused: unknown = await store.query(`SELECT '13800000000' AS n`, Count).catch((err: unknown) => err)
      expect(refused).toBeInstanceOf(UpstreamError)
      expect(String(refused)).toContain('0.n')
      expect(String(refused)).not.toContain('13800000000')
    })

    it('lets a SETTINGS clause of a query stand, for that query only', async () => {
      const ask = (settings: string) =>
        store.query(`SELECT toUInt64(getSetting('max_threads')) AS n ${settings}`, Count)
      const [before] = await ask('')
      expect(await ask('SETTINGS max_threads = 7')).toEqual([{ n: 7 }])
      expect(await ask('')).toEqual([before])
    })

    it('answers a serving query, and takes an insert, while a scan runs', async () => {
      let scanEnded = false
      const scan = store
        .query('SELECT sum(sleepEachRow(0.1)) AS n FROM numbers(15) SETTINGS max_block_size = 1', Count, 'scan')
        .then(() => (scanEnded = true))
      expect(await count('events')).toBe(0)
      await addEvents([eventRow('e1')], 'batch-1')
      expect(await count('events')).toBe(1)
      expect(scanEnded).toBe(false)
      await scan
    })

    it('has done an ALTER … DELETE when the command returns', async () => {
      await addEvents([eventRow('e1', { profileId: 1 }), eventRow('e2', { profileId: 2 })], 'batch-1')
      await store.command('ALTER TABLE events DELETE WHERE profile_id = 1')
      expect(await count('events')).toBe(1)
    })

    it('derives the latest tag values from the changes', async () => {
      const change = (ms: number, old_value: string, new_value: string, version: number) => ({
        tag_id: 'stage',
        profile_id: 7,
        changed_at: new Date(ms),
        old_value,
        new_value,
        cause: 'refresh',
        version,
      })
      await store.insert(tagChangesTable, [change(AT_MS, '', 'new', 1)], 't1')
      await store.insert(tagChangesTable, [change(AT_MS + 5, 'new', 'active', 2)], 't2')
      await store.insert(tagChangesTable, [change(AT_MS + 5, 'new', 'active', 2)], 't2')
      const rows = await store.query(
        'SELECT profile_id, tag_id, value, toUnixTimestamp64Milli(since) AS since_ms FROM tag_state FINAL',
        z.strictObject({ profile_id: z.number(), tag_id: z.string(), value: z.string(), since_ms: z.number() }),
      )
      expect(rows).toEqual([{ profile_id: 7, tag_id: 'stage', value: 'active', since_ms: AT_MS + 5 }])
      expect(await count('tag_changes')).toBe(2)
    })

    it('appends what a SELECT gives, as often as it is asked to, into what is filled from the table too', async () => {
      const select = (rows: number) =>
        `SELECT 'stage', number, toDateTime64('2026-03-02', 3, 'UTC'), '', 'new', 'schedule', 7, toDateTime64('2026-03-02', 3, 'UTC'), 7
        FROM numbers(${rows}) SETTINGS max_block_size = 1000`
      await store.append(tagChangesTable, select(3000))
      expect([await count('tag_changes'), await count('tag_state FINAL')]).toEqual([3000, 3000])
      await store.append(tagChangesTable, select(2000))
      expect([await count('tag_changes'), await count('tag_state FINAL')]).toEqual([5000, 3000])
      await store.append(tagChangesTable, select(0))
      expect(await count('tag_changes')).toBe(5000)
      await expect(store.append(tagChangesTable, 'SELECT nothing FROM events')).rejects.toThrow(/nothing/)
    })

    it('answers a ping', async () => {
      await expect(store.ping()).resolves.toBeUndefined()
    })

    it('keeps its rows and records each migration once over two openings', async () => {
      await addEvents([eventRow('e1')], 'batch-1')
      await store.close()
      store = await open()
      expect(await count('events')).toBe(1)
      expect(await store.query('SELECT version AS n FROM schema_migrations ORDER BY n', Count)).toEqual([
        { n: 1 },
        { n: 2 },
        { n: 3 },
        { n: 4 },
        { n: 5 },
      ])
    })

    it('refuses a store that a newer program wrote', async () => {
      await store.insert(migrationsTable, [{ version: 999 }], 'newer')
      await store.close()
      const refused: unknown = await open().catch((err: unknown) => err)
      expect(refused).toBeInstanceOf(ConfigError)
      expect(String(refused)).toContain('schema version 999')
    })

    it('is empty when opened after drop', async () => {
      await addEvents([eventRow('e1')], 'batch-1')
      await store.drop()
      await store.close()
      store = await open()
      expect(await count('events')).toBe(0)
      await addEvents([eventRow('e1')], 'batch-1')
      expect(await count('events')).toBe(1)
    })

    describe('copied', () => {
      const Sum = z.strictObject({ n: z.number(), sum: z.number() })
      const sumOf = (table: Table) => store.query(`SELECT count() AS n, sum(cityHash64(*)) % 1000000007 AS sum FROM ${table.name}`, Sum) // prettier-ignore
      const profile: RowOf<typeof profilesTable> = {
        profile_id: 2 ** 53 - 1,
        anchor: `it's "a" \\ \n 私域 🎁`,
        traits: { city: '上海', empty: '' },
        identifier_types: ['phone', 'unionid'],
        created_at: AT,
        merged_into: 0,
        version: 1,
        known_at: AT,
        seq: 1,
      }

      it('gives every row as it was, without those that came after, in files that load to the same once', async () => {
        const copied = [eventsTable, profilesTable, tagChangesTable]
        const many = Array.from({ length: 3_000 }, (_, i) => eventRow(`e${i}`, { properties: `{"text":"${'长'.repeat(i % 40)}"}` })) // prettier-ignore
        await addEvents(many.slice(0, 1_000), 'a')
        await addEvents(many.slice(1_000), 'b')
        await store.insert(profilesTable, [profile], 'p')
        const [events, profiles] = [await sumOf(eventsTable), await sumOf(profilesTable)]
        const snapshot = await store.snapshot(copied)
        await addEvents([eventRow('later')], 'c')
        const pages = new Map<Table, { rows: number; file: Buffer }[]>()
        for (const table of copied) pages.set(table, [])
        for (const table of copied) for await (const page of snapshot.pages(table)) pages.get(table)!.push(page)
        await snapshot.close()
        await snapshot.close()
        expect(copied.map((t) => pages.get(t)!.reduce((sum, { rows }) => sum + rows, 0))).toEqual([3_000, 1, 0])
        for (const { name } of copied) await store.command(`TRUNCATE TABLE ${name}`)
        await store.command(`TRUNCATE TABLE ${eventIdsTable.name}`)
        for (let time = 1; time <= 2; time++)
          for (const table of copied)
            for (const [i, { file }] of pages.get(table)!.entries())
              await store.load(table, Object.keys(table.columns), file, `load ${table.name} ${i}`)
        expect(await sumOf(eventsTable)).toEqual(events)
        expect(await sumOf(profilesTable)).toEqual(profiles)
        expect(await count('event_ids')).toBe(3_000)
        expect(await store.query(`SELECT name AS n FROM system.tables WHERE database = currentDatabase() AND name LIKE '%copied'`, z.unknown())).toEqual([]) // prettier-ignore
      })

      it('takes a file without the newer columns, which get their defaults, and none with columns it does not know', async () => {
        await addEvents([{ ...eventRow('e1'), has_amount: false }], 'a')
        const snapshot = await store.snapshot([eventsTable])
        const files: Buffer[] = []
        for await (const { file } of snapshot.pages(eventsTable)) files.push(file)
        await snapshot.close()
        await store.command(`TRUNCATE TABLE ${eventsTable.name}`)
        const older = Object.keys(eventsTable.columns).filter((column) => column !== 'has_amount')
        await store.load(eventsTable, older, files[0]!, 'older')
        expect(await count('events', 'has_amount')).toBe(1)
        await expect(store.load(eventsTable, [...older, 'mood'], files[0]!, 'newer')).rejects.toThrow('no column "mood" here') // prettier-ignore
        await expect(store.load(eventsTable, older, Buffer.from('no such file'), 'x')).rejects.toThrow(UpstreamError)
      })
    })

    it('waits for what runs when it is closed, may be closed twice, and refuses calls after', async () => {
      const running = store.query('SELECT toUInt64(sleep(0.5)) AS n', Count, 'scan')
      await Promise.all([store.close(), store.close()])
      await store.close()
      expect(await running).toEqual([{ n: 0 }])
      await expect(store.ping()).rejects.toThrow('the event store is closed')
    })
  })
}
