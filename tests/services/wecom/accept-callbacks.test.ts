import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { openSqliteDocuments } from '../../../src/adapters/documents/sqlite.js'
import { quietLog } from '../../../src/log.js'
import type { DocumentStore } from '../../../src/ports/document-store.js'
import { acceptCard, type CallbackIntake, createCallbackIntake } from '../../../src/services/wecom/accept-callbacks.js'
import { type Collections, openCollections } from '../../../src/stored/collections.js'
import { fixedClock } from '../../../src/time.js'
import { spawnCompiled } from '../../support/compiled.js'

const message = (fields: Record<string, string>) =>
  `<xml>${Object.entries(fields)
    .map(([name, value]) => `<${name}><![CDATA[${value}]]></${name}>`)
    .join('')}</xml>`
const contact = (ChangeType: string, ExternalUserID: string, more: Record<string, string> = {}) =>
  message({ Event: 'change_external_contact', ChangeType, UserID: 'g1', ExternalUserID, ...more })

let store: DocumentStore
let docs: Collections
let hints: string[]
let intake: CallbackIntake
const open = (given: Collections = docs) =>
  createCallbackIntake({
    docs: given,
    clock: fixedClock('2026-03-02T02:00:00Z'),
    log: quietLog,
    jobs: { add: (name) => Promise.resolve(void hints.push(name)) },
  })
beforeEach(async () => {
  store = openSqliteDocuments({ file: ':memory:', fsync: false })
  docs = await openCollections(store)
  hints = []
  intake = open()
})
afterEach(() => store.close())

describe('callbacks that arrive', () => {
  it('at the same moment are stored together, in their order, before any is acknowledged', async () => {
    let inserts = 0
    const counted = { ...docs.callbacks, insert: (d: never) => (inserts++, docs.callbacks.insert(d)) }
    intake = open({ ...docs, callbacks: counted })
    await Promise.all(
      Array.from({ length: 50 }, (_, i) => intake.accept(`k${i}`, contact('edit_external_contact', 'wm1'))),
    )
    expect(inserts).toBeLessThanOrEqual(2)
    const stored = await docs.callbacks.find({ state: 'accepted' }, { sort: { seq: 1 } })
    expect(stored.map((c) => c._id)).toEqual(Array.from({ length: 50 }, (_, i) => `k${i}`))
  })

  it('again are the same ones, and are acknowledged too', async () => {
    await intake.accept('k', contact('edit_external_contact', 'wm1'))
    await Promise.all([intake.accept('k', 'x'), intake.accept('k', 'x')])
    expect(await docs.callbacks.count({})).toBe(1)
    expect(hints).toEqual(['handle-callbacks'])
  })

  it.each([
    ['a customer', contact('edit_external_contact', 'wm1')],
    ['a group', message({ Event: 'change_external_chat', ChangeType: 'update', ChatId: 'wr1' })],
    ['tags', message({ Event: 'change_external_tag', ChangeType: 'update' })],
  ])('once more about %s within one second are read once more: it may be another edit', async (_what, xml) => {
    await intake.accept('k', xml)
    await docs.callbacks.update('k', { $set: { state: 'done' } })
    await intake.accept('k', xml)
    const [again, ...others] = await docs.callbacks.find({ state: 'accepted' })
    expect([again?.message, others]).toEqual([xml, []])
    expect(hints).toEqual(['handle-callbacks', 'handle-callbacks'])
  })

  it.each([
    ['a customer lost', contact('del_follow_user', 'wm1'), 'urgent', 'contact:wm1'],
    [
      'one added with a welcome code',
      contact('add_external_contact', 'wm1', { WelcomeCode: 'c' }),
      'urgent',
      'contact:wm1',
    ],
    ['one added without', contact('add_external_contact', 'wm1'), 'accepted', 'contact:wm1'],
    ['a group', message({ Event: 'change_external_chat', ChatId: 'wr1' }), 'accepted', 'group:wr1'],
    ['a tag', message({ Event: 'change_external_tag' }), 'accepted', 'tags'],
    ['a card', message({ Event: 'template_card_event', TaskId: 't' }), 'accepted', undefined],
  ])('and tell of %s are sorted without being read', async (_what, xml, state, about) => {
    await intake.accept('k', xml)
    const stored = await docs.callbacks.get('k')
    expect([stored?.state, stored?.about]).toEqual([state, about])
    expect(hints).toEqual(state === 'urgent' ? ['answer-callbacks', 'handle-callbacks'] : ['handle-callbacks'])
  })

  it('and cannot be stored are not acknowledged; the next ones are', async () => {
    let broken = true
    const callbacks = {
      ...docs.callbacks,
      insert: (d: never) => (broken ? Promise.reject(new Error('disk full')) : docs.callbacks.insert(d)),
    }
    intake = open({ ...docs, callbacks })
    await expect(intake.accept('a', 'x')).rejects.toThrow('disk full')
    expect(await docs.callbacks.count({})).toBe(0)
    broken = false
    await intake.accept('b', 'x')
    expect(await docs.callbacks.count({})).toBe(1)
  })

  it('are acknowledged though no hint could be left', async () => {
    const jobs = { add: () => Promise.reject(new Error('queue closed')) }
    intake = createCallbackIntake({ docs, clock: fixedClock('2026-03-02T02:00:00Z'), log: quietLog, jobs })
    await intake.accept('k', 'x')
    expect(await docs.callbacks.count({ state: 'accepted' })).toBe(1)
  })

  it('are numbered in blocks that another process does not share', async () => {
    const other = open()
    await intake.accept('a', 'x')
    await other.accept('b', 'x')
    await intake.accept('c', 'x')
    const [a, b, c] = await Promise.all(['a', 'b', 'c'].map((id) => docs.callbacks.get(id)))
    expect(c!.seq).toBe(a!.seq + 1)
    expect(b!.seq).toBeGreaterThan(c!.seq)
  })
})

it('a card closed on a page of ours is taken once', async () => {
  const card = { kind: 'card' as const, taskId: 't', key: 'done', userId: 'g1', selected: {}, at: new Date(0) }
  const deps = { docs, clock: fixedClock('2026-03-02T02:00:00Z'), jobs: { add: () => Promise.resolve() } }
  expect(await acceptCard(deps, 'page:t', card)).toBe(true)
  expect(await acceptCard(deps, 'page:t', card)).toBe(false)
  expect(await docs.callbacks.find({})).toMatchObject([{ card, state: 'accepted' }])
})

it('what was acknowledged is there after a SIGKILL', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'siyu-callbacks-'))
  const file = join(dir, 'documents.sqlite')
  try {
    for (const round of [1, 2]) {
      const child = spawnCompiled('tests/support/callback-receiver.ts', [file, String(round)])
      let complaint = ''
      child.stderr.on('data', (text: Buffer) => (complaint += text.toString()))
      const acknowledged: string[] = []
      createInterface({ input: child.stdout }).on('line', (line) => {
        acknowledged.push(line)
        if (acknowledged.length === 150) child.kill('SIGKILL')
      })
      await once(child, 'close')
      expect(complaint).toBe('')
      const kept = openSqliteDocuments({ file })
      const { callbacks } = await openCollections(kept)
      expect(await callbacks.getMany(acknowledged)).toHaveLength(new Set(acknowledged).size)
      await kept.close()
    }
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
})
