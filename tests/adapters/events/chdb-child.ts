/**
 * A child process of chdb.test.ts: opens the directory in argv and inserts batches for ever, printing the number of
 * each one acknowledged; `hold` only opens it, `silent` asks for what does not come back and says what becomes of it.
 * Ends by being killed.
 */
import { z } from 'zod'
import { openChdbEvents } from '../../../src/adapters/events/chdb.js'
import { eventsTable } from '../../../src/domain/events/tables.js'

const [path = '', mode = 'insert'] = process.argv.slice(2)
const say = (line: string) => process.stdout.write(`${line}\n`)
const silentAfterMs = 3_000
const store = await openChdbEvents({
  path,
  memoryLimitMb: 512,
  ...(mode === 'silent' && { silentAfterMs, onSilent: (err) => say(`silent: ${err.upstreamCode}`) }),
})
say('open')
if (mode === 'silent') {
  const code = (err: unknown) => (err as { upstreamCode?: string }).upstreamCode ?? String(err)
  const asleep = 'SELECT sleepEachRow(3) FROM numbers(600) SETTINGS max_block_size = 1, max_execution_time = 0'
  const waits = [asleep, 'SELECT 1', 'SELECT 2'].map((sql) => store.query(sql, z.unknown()).catch(code))
  say(JSON.stringify(await Promise.all(waits)))
  say(JSON.stringify(await store.query('SELECT 3', z.unknown(), 'scan').catch(code)))
  await store.close()
  say('closed')
}
if (mode !== 'insert') setInterval(() => undefined, 60_000)
for (let batch = 0; mode === 'insert'; batch++) {
  const rows = Array.from({ length: 20 }, (_, i) => ({
    profile_id: 1,
    name: 'order_paid',
    occurred_at: new Date(1_300_000_000_000 + i),
    event_id: `${batch}:${i}`,
    source: 'shop',
    amount_minor: 5,
    properties: '{}',
    batch,
    known_at: new Date(1_300_000_000_000),
    seq: batch,
  }))
  await store.insert(eventsTable, rows, `batch-${batch}`)
  say(String(batch))
}
