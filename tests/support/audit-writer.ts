/** Child of the audit test: waits for a line on stdin, then writes rows at the same time, all of them to the store of the parent. */
import { once } from 'node:events'
import { openSqliteDocuments } from '../../src/adapters/documents/sqlite.js'
import { writeAudit } from '../../src/services/runtime/audit.js'
import { openCollections } from '../../src/stored/collections.js'
import { systemClock } from '../../src/time.js'

const [file, who, count] = process.argv.slice(2) as [string, string, string]
const store = openSqliteDocuments({ file, fsync: false })
const docs = await openCollections(store)
process.stdout.write('ready\n')
await once(process.stdin, 'data')
await Promise.all(
  Array.from({ length: Number(count) }, (_, i) =>
    writeAudit(
      { docs, clock: systemClock },
      { who, operation: 'publish', target: String(i), outcome: 'done', inputHash: '' },
    ),
  ),
)
await store.close()
process.stdin.destroy()
