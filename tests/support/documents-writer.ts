/** Child of the durability test: writes without end and prints each write after it was acknowledged, until it is killed. */
import { z } from 'zod'
import { openSqliteDocuments } from '../../src/adapters/documents/sqlite.js'

const notes = await openSqliteDocuments({ file: process.argv[2]! }).collection({
  name: 'notes',
  version: 1,
  schema: z.object({ _id: z.number(), n: z.number() }),
})

await notes.insert([{ _id: 1, n: 0 }])
for (let i = 1; ; i++) {
  await Promise.all([
    notes.insert(Array.from({ length: 20 }, (_, j) => ({ _id: i * 100 + j, n: i }))),
    notes.update(1, { $inc: { n: 1 } }),
  ])
  process.stdout.write(`${i}\n`)
}
