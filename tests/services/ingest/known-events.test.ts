import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { eventsTable } from '../../../src/domain/events/tables.js'
import { KnownEvents } from '../../../src/services/ingest/known-events.js'
import { type EventHome, openEventHome } from '../../support/build-deps.js'

let home: EventHome
let questions: string[]
beforeAll(async () => (home = await openEventHome()))
afterAll(() => home.close())
beforeEach(() => {
  questions = []
})

/** The store, noting what it is asked. */
function asked() {
  return {
    ...home.store,
    query: ((sql: string, row: never, queue: never) => {
      questions.push(sql)
      return home.store.query(sql, row, queue)
    }) as typeof home.store.query,
  }
}

const idsOf = (name: string, count: number) => Array.from({ length: count }, (_, i) => `${name}:${i}`)
const sent = (ids: readonly string[], source = 's') => ids.map((id) => ({ source, id }))
const keys = (ids: readonly string[], source = 's') => new Set(ids.map((id) => `${source} ${id}`))

function store(ids: readonly string[], batch: number): Promise<void> {
  const at = new Date('2026-06-01T00:00:00Z')
  const common = { profile_id: 1, name: 'x', occurred_at: at, source: 's', amount_minor: 0, properties: '{}' }
  const rows = ids.map((event_id) => ({ ...common, event_id, batch, known_at: at, seq: batch }))
  return home.store.insert(eventsTable, rows, `${ids[0]} ${batch}`)
}

describe('known events', () => {
  it('are those of the store, whatever their ids', async () => {
    const odd = ['', "it's", 'a\\b', '订单:1', 'x'.repeat(200), '\u{1f381}']
    await store([...idsOf('stored', 2_000), ...odd], 1)
    const known = new KnownEvents(asked(), true)
    const asking = [...idsOf('stored', 100), ...odd, ...idsOf('new', 3_000)]
    expect(await known.find(sent(asking))).toEqual(keys([...idsOf('stored', 100), ...odd]))
  })

  it('are told apart by their sources', async () => {
    await store(['1', '2'], 5)
    for (const alone of [true, false]) {
      const known = new KnownEvents(asked(), alone)
      expect(await known.find([...sent(['1', '3']), ...sent(['1'], 't')])).toEqual(keys(['1']))
    }
  })

  it('are looked for in the store only where the filter cannot say that they are new', async () => {
    const known = new KnownEvents(asked(), true)
    await known.find(sent(['first']))
    questions = []
    expect(await known.find(sent(idsOf('fresh', 3_000)))).toEqual(new Set())
    expect(questions.join('').match(/fresh:/g)?.length ?? 0).toBeLessThan(30)
    await store(idsOf('fresh', 3_000), 2)
    expect((await known.find(sent(idsOf('fresh', 3_000)))).size).toBe(3_000)
  })

  it('are asked of the store every time where others store events, too', async () => {
    const known = new KnownEvents(asked(), false)
    expect(await known.find(sent(['theirs', 'ours']))).toEqual(new Set())
    await store(['theirs'], 3)
    expect(await known.find(sent(['theirs', 'ours']))).toEqual(keys(['theirs']))
  })

  it('are asked for in questions that the engine reads, however long the ids', async () => {
    const long = Array.from({ length: 3_000 }, (_, i) => `long:${i}:${'x'.repeat(180)}`)
    await store(long, 4)
    const known = new KnownEvents(asked(), true)
    expect((await known.find(sent(long))).size).toBe(3_000)
    expect(Math.max(...questions.map((q) => q.length))).toBeLessThan(120_000)
  })

  it('are told apart by a filter that is far too small, at the price of questions', async () => {
    const known = new KnownEvents(asked(), true, 2 ** 10)
    expect((await known.find(sent([...idsOf('stored', 50), ...idsOf('other', 5_000)]))).size).toBe(50)
    expect((await known.find(sent(idsOf('other', 10)))).size).toBe(0)
  })
})
