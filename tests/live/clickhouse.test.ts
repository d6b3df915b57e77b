import { createClient } from '@clickhouse/client'
import { describe, it } from '@jest/globals'
import { openClickhouseEvents } from '../../src/adapters/events/clickhouse.js'
import { secretHex } from '../../src/random.js'
import { eventStoreContract } from '../contracts/event-store.js'

/** A real server: `CLICKHOUSE_URL`, and `CLICKHOUSE_CLUSTER` for replicated tables. Its own database, dropped at the end. */
const url = process.env.CLICKHOUSE_URL
const cluster = process.env.CLICKHOUSE_CLUSTER

if (url === undefined) {
  // Not console.warn: among other files jest drops what a wholly skipped one says there.
  process.stderr.write(
    'NOT RUN: the EventStore contract on a real ClickHouse server (tests/live/clickhouse.test.ts): set CLICKHOUSE_URL\n',
  )
  describe.skip('ClickHouse adapter on a real server (CLICKHOUSE_URL is not set)', () => {
    it('keeps the EventStore contract', () => undefined)
  })
} else {
  const database = `siyu_test_${secretHex(4)}`
  eventStoreContract('ClickHouse adapter on a real server', {
    open: () => openClickhouseEvents({ url, database, ...(cluster === undefined ? {} : { cluster }) }),
    wipe: async () => {
      const client = createClient({ url })
      const onCluster = cluster === undefined ? '' : ` ON CLUSTER \`${cluster}\``
      await client.command({ query: `DROP DATABASE IF EXISTS ${database}${onCluster} SYNC` })
      await client.close()
    },
  })
}
