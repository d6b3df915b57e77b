/** Child of the durability test: takes callbacks without end, and prints each once it was acknowledged, until it is killed. */
import { openSqliteDocuments } from '../../src/adapters/documents/sqlite.js'
import { quietLog } from '../../src/log.js'
import { createCallbackIntake } from '../../src/services/wecom/accept-callbacks.js'
import { openCollections } from '../../src/stored/collections.js'
import { systemClock } from '../../src/time.js'

const docs = await openCollections(openSqliteDocuments({ file: process.argv[2]! }))
const intake = createCallbackIntake({ docs, clock: systemClock, log: quietLog, jobs: { add: () => Promise.resolve() } })
const round = process.argv[3]!

for (let i = 0; ; i++) {
  const keys = Array.from({ length: 10 }, (_, j) => `${round}/${i}/${j}`)
  await Promise.all(
    keys.map(async (key) => {
      await intake.accept(key, `<xml>${key}</xml>`)
      process.stdout.write(`${key}\n`)
    }),
  )
}
