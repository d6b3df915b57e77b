/**
 * A child process of chdb.test.ts: opens the directory in argv and inserts batches for ever, printing the number of
 * each one acknowledged; `hold` only opens it. Ends by being killed.
 */
import { openChdbEvents } from '../../../src/adapters/events/chdb.js'
import { eventsTable } from '../../../src/domain/events/tables.js'

const [path = '', mode = 'insert'] = process.argv.slice(2)
const store = await openChdbEvents({ path, memoryLimitMb: 512 })
process.stdout.write('open\n')
if (mode === 'hold') setInterval(() => undefined, 60_000)
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
  process.stdout.write(`${batch}\n`)
}
