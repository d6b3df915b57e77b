import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { openSqliteDocuments } from '../../../src/adapters/documents/sqlite.js'
import type { DocumentStore } from '../../../src/ports/document-store.js'
import { AuditQuery, listAudit, verifyAudit, writeAudit } from '../../../src/services/runtime/audit.js'
import { type Collections, openCollections } from '../../../src/stored/collections.js'
import { fixedClock } from '../../../src/time.js'
import { compiled } from '../../support/compiled.js'

const AT = '2026-03-02T02:00:00Z'
const clock = fixedClock(AT)
let home: string
let store: DocumentStore
let docs: Collections
beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), 'siyu-audit-'))
  store = openSqliteDocuments({ file: join(home, 'documents.sqlite'), fsync: false })
  docs = await openCollections(store)
})
afterEach(async () => {
  await store.close()
  rmSync(home, { recursive: true, force: true })
})

const write = (target: string) =>
  writeAudit({ docs, clock }, { who: 'user:ann', operation: 'sending', target, outcome: 'done', inputHash: 'abc' })
const verify = () => verifyAudit({ docs }, () => undefined)
const list = (query: object) => listAudit({ docs }, AuditQuery.parse(query))

describe('the audit', () => {
  it('is whole while it is empty', async () => {
    expect(await verify()).toEqual({ rows: 0, hash: '' })
    expect(await list({})).toEqual({ rows: [] })
  })

  it('is listed newest first, page by page', async () => {
    for (const target of ['a', 'b', 'c', 'd', 'e']) await write(target)
    const first = await list({ limit: 2 })
    expect(first.rows.map((r) => [r.n, r.target, r.at])).toEqual([
      [5, 'e', '2026-03-02T02:00:00.000Z'],
      [4, 'd', '2026-03-02T02:00:00.000Z'],
    ])
    const second = await list({ limit: 2, before: first.next })
    expect(second.rows.map((r) => r.target)).toEqual(['c', 'b'])
    const third = await list({ limit: 2, before: second.next })
    expect(third.rows.map((r) => r.target)).toEqual(['a'])
    expect(third.next).toBeUndefined()
  })

  it('names the first row that was changed, taken out, or written anew', async () => {
    for (const target of ['a', 'b', 'c', 'd']) await write(target)
    const whole = await docs.audit.find({})
    expect(await verify()).toEqual({ rows: 4, hash: whole[3]!.hash })

    await docs.audit.update(2, { $set: { target: 'x' } })
    expect((await verify()).broken).toEqual({ n: 2, what: 'changed' })
    await docs.audit.put(whole)

    await docs.audit.delete({ _id: 3 })
    expect((await verify()).broken).toEqual({ n: 3, what: 'missing' })
    await docs.audit.put(whole)

    await docs.audit.delete({ _id: 4 })
    expect((await verify()).broken).toEqual({ n: 4, what: 'missing' })
    await docs.audit.put(whole)

    // A row that fits itself: written where row 2 was, as the follower of row 1.
    await docs.audit.delete({ _id: { $gte: 2 } })
    await write('x')
    await docs.audit.put(whole.slice(2))
    expect((await verify()).broken).toEqual({ n: 3, what: 'not the follower' })
  })

  it('is one chain when 50 write at the same time from two processes', async () => {
    const children = ['key:1', 'key:2'].map((who) =>
      spawn(process.execPath, [compiled('tests/support/audit-writer.ts'), join(home, 'documents.sqlite'), who, '25'], {
        stdio: ['pipe', 'pipe', 'inherit'],
      }),
    )
    await Promise.all(children.map((child) => once(child.stdout, 'data')))
    const ended = children.map((child) => once(child, 'close'))
    for (const child of children) child.stdin.write('go\n')
    expect((await Promise.all(ended)).map(([code]) => code as number)).toEqual([0, 0])
    expect(await verify()).toMatchObject({ rows: 50 })
    expect((await verify()).broken).toBeUndefined()
    const rows = await docs.audit.find({})
    const targets = (who: string) =>
      rows.flatMap((r) => (r.who === who ? [Number(r.target)] : [])).sort((a, b) => a - b)
    expect(targets('key:1')).toEqual(Array.from({ length: 25 }, (_, i) => i))
    expect(targets('key:2')).toEqual(Array.from({ length: 25 }, (_, i) => i))
  }, 120_000)
})
