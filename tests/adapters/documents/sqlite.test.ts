import { afterAll } from '@jest/globals'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openSqliteDocuments } from '../../../src/adapters/documents/sqlite.js'
import { documentStoreContract } from '../../contracts/document-store.js'

const folder = mkdtempSync(join(tmpdir(), 'siyu-documents-'))
afterAll(() => rmSync(folder, { recursive: true }))

documentStoreContract('SQLite', async (key) => openSqliteDocuments({ file: join(folder, `${key}.sqlite`) }))
