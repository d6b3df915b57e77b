import { frozenWorkerSuite } from '../contracts/frozen-worker.js'
import { onMongo } from '../support/on-mongo.js'

await onMongo(
  'tests/live/mongo-frozen-worker.test.ts',
  'two workers on MongoDB, one of which freezes and thaws',
  ({ name, open }) => {
    frozenWorkerSuite(name, open, {
      usual: 101,
      command: 'npm run test:live -- mongo-frozen-worker',
    })
  },
)
