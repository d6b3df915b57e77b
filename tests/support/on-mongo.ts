import { afterAll, describe, expect, it } from '@jest/globals'
import { openMongoDocuments } from '../../src/adapters/documents/mongo.js'
import type { DocumentStore } from '../../src/ports/document-store.js'
import { secretHex } from '../../src/random.js'
import { startMongoWire } from './mongo-wire.js'

export type Mongo = {
  /** What it is, for the titles of tests. */
  name: string
  /** A store of its own for each key of a run. */
  open: (key: string) => Promise<DocumentStore>
}

/** Tests on the MongoDB of `MONGODB_URI`, or else on a MongoDB-wire server; where there is neither, it is said that they do not run. */
export async function onMongo(file: string, title: string, tests: (mongo: Mongo) => void): Promise<void> {
  const given = process.env.MONGODB_URI
  const wire = given === undefined ? await startMongoWire() : undefined
  const url = given ?? wire?.url
  afterAll(() => wire?.stop())
  if (url === undefined) {
    console.warn(
      `NOT RUN: ${file} (set MONGODB_URI, or MONGO_WIRE to the folder of a MongoDB-wire server and install Java)`,
    )
    describe.skip(title, () => {
      it('needs a server', () => expect(url).toBeDefined())
    })
    return
  }
  const run = secretHex(4)
  tests({
    name: given === undefined ? 'MongoDB (mongo-wire)' : 'MongoDB',
    open: (key) => openMongoDocuments({ url, database: 'siyu_test', prefix: `${run}_${key}_` }),
  })
}
