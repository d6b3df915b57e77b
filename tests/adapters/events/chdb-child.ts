/**
 * A child process of chdb.test.ts: opens the directory in argv and inserts batches for ever, printing the number of
 * each one acknowledged; `hold` only opens it. Ends by being killed.
 */
import { openChdbEvents } from '../../../src/adapters/events/chdb.js'

const [path = '', mode = 'insert'] = process.argv.slice(2)
const store = await openChdbEvents({ path, memoryLimitMb: 512 })
process.stdout.write('open\n')
if (mode === 'hold') setInterval(() => undefined, 60_000)
for (let batch = 0; mode === 'insert'; batch++) {
  const rows = Array.from({ length: 20 }, (_, i) => [
    1,
    'order_paid',
    1_300_000_000_000 + i,
    `${batch}:${i}`,
    'shop',
    5,
    '{}',
    batch,
  ])
  await store.insert(
    'events',
    ['profile_id', 'name', 'occurred_at', 'event_id', 'source', 'amount_minor', 'properties', 'batch'],
    rows,
    `batch-${batch}`,
  )
  process.stdout.write(`${batch}\n`)
}
