import { openSqliteDocuments } from '../../src/adapters/documents/sqlite.js'
import { frozenWorkerSuite } from '../contracts/frozen-worker.js'

frozenWorkerSuite('SQLite', () => Promise.resolve(openSqliteDocuments({ file: ':memory:', fsync: false })), {
  usual: 40,
  command: 'npm run test:properties -- tests/services/frozen-worker',
})
