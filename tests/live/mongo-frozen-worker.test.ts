import { afterAll, describe, expect, it } from '@jest/globals'
import { openMongoDocuments } from '../../src/adapters/documents/mongo.js'
import { secretHex } from '../../src/random.js'
import { frozenWorkerSuite } from '../contracts/frozen-worker.js'
import { startMongoWire } from '../support/mongo-wire.js'

const given = process.env.MONGODB_URI
const wire = given === undefined ? await startMongoWire() : undefined
const url = given ?? wire?.url
afterAll(() => wire?.stop())

if (url === undefined) {
  console.warn(
    'NOT RUN: tests/live/mongo-frozen-worker.test.ts (set MONGODB_URI, or MONGO_WIRE to the folder of a MongoDB-wire server and install Java)',
  )
  describe.skip('two workers on MongoDB, one of which freezes and thaws', () => {
    it('needs a server', () => expect(url).toBeDefined())
  })
} else {
  const run = secretHex(4)
  const name = given === undefined ? 'MongoDB (mongo-wire)' : 'MongoDB'
  frozenWorkerSuite(name, (key) => openMongoDocuments({ url, database: 'siyu_test', prefix: `${run}_${key}_` }), {
    usual: 101,
    command: 'npm run test:live -- mongo-frozen-worker',
  })
}
