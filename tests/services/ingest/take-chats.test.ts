import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { openSqliteDocuments } from '../../../src/adapters/documents/sqlite.js'
import { wechaty } from '../../../connectors/wechaty/index.js'
import { ChatRules } from '../../../connectors/wechaty/rules.js'
import { quietLog } from '../../../src/log.js'
import type { ChatSighting } from '../../../src/ports/chat-bot.js'
import type { DocumentStore } from '../../../src/ports/document-store.js'
import { type Collections, openCollections } from '../../../src/stored/collections.js'
import { nextChatSweepAt, noteBotState, sweepChats, takeChats } from '../../../src/services/ingest/take-chats.js'
import { ManualClock } from '../../../src/time.js'

const AT = new Date('2026-03-02T02:00:00Z') // 10:00 in Shanghai
let dir: string
let store: DocumentStore
let docs: Collections
let clock: ManualClock

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'siyu-chats-'))
  store = openSqliteDocuments({ file: join(dir, 'documents.sqlite'), fsync: false })
  docs = await openCollections(store)
  clock = new ManualClock(AT)
})
afterEach(async () => {
  await store.close()
  rmSync(dir, { recursive: true, force: true })
})

const deps = () => ({
  docs,
  clock,
  log: quietLog,
  jobs: { add: () => Promise.resolve() },
  brand: { name: 'b', timeZone: 'Asia/Shanghai', locale: 'zh' as const },
})
const message = (id: string, text: string): ChatSighting => ({
  kind: 'message',
  id,
  at: AT,
  puppet: 'mock',
  botId: 'guide-01',
  person: { contactId: 'c42', isCoworker: false },
  from: 'customer',
  type: 'text',
  text,
})
const settings = (keepTextDays?: number) => {
  const connector = wechaty(ChatRules.parse({ rules: [{ topic: 'price', keywords: ['多少钱'] }] }))
  return { toRecords: (one: ChatSighting) => connector.toRecords(one, AT), keepTextDays }
}

describe('what a bot saw', () => {
  it('waits as records; the same sightings again change nothing, and no words are kept', async () => {
    const seen = [message('m1', '多少钱'), message('m2', '你好')]
    await takeChats(deps(), settings(), seen)
    await takeChats(deps(), settings(), seen)
    const batches = await docs.batches.find({})
    expect(batches).toHaveLength(1)
    expect(batches[0]!.records!.flatMap((r) => r.events.map((e) => e.id))).toEqual([
      'wechaty:mock:m1',
      'wechaty:mock:m1:price',
      'wechaty:mock:m2',
    ])
    expect(await docs.chatTexts.count({})).toBe(0)
    expect(JSON.stringify(batches)).not.toContain('多少钱')
  })

  it('is kept in words for as many days as the brand says, then deleted', async () => {
    await takeChats(deps(), settings(30), [message('m1', '多少钱')])
    await takeChats(deps(), settings(30), [message('m1', '多少钱'), message('m2', '')])
    expect(await docs.chatTexts.find({})).toMatchObject([{ _id: 'wechaty:mock:m1', text: '多少钱', from: 'customer' }])
    const sweepAt = await nextChatSweepAt({ docs })
    expect(sweepAt).toEqual(new Date('2026-04-01T16:00:00Z')) // midnight after 30 whole days
    clock.set(new Date(sweepAt!.getTime() - 1_000))
    await sweepChats(deps())
    expect(await docs.chatTexts.count({})).toBe(1)
    clock.set(sweepAt!)
    await sweepChats(deps())
    expect(await docs.chatTexts.count({})).toBe(0)
    expect(await nextChatSweepAt({ docs })).toBeUndefined()
  })

  it('that it was signed out is kept, and told to a person', async () => {
    const errors: string[] = []
    const log = { ...quietLog, error: (fact: string) => void errors.push(fact) }
    await noteBotState({ ...deps(), log }, 'signed_in')
    expect(errors).toEqual([])
    await noteBotState({ ...deps(), log }, 'signed_out')
    expect(await docs.meta.get('wechaty')).toMatchObject({ text: 'signed_out', at: AT })
    expect(errors).toEqual([expect.stringContaining('signed out')])
  })
})
