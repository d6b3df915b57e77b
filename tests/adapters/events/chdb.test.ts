import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openChdbEvents } from '../../../src/adapters/events/chdb.js'
import { eventStoreContract } from '../../contracts/event-store.js'

const path = join(mkdtempSync(join(tmpdir(), 'siyu-chdb-')), 'events')

eventStoreContract('chDB adapter', {
  open: () => openChdbEvents({ path, memoryLimitMb: 1024 }),
  wipe: async () => rmSync(path, { recursive: true, force: true }),
})
