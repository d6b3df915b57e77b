import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { Feed, tickOf } from '../../demo/feed.js'

const home = mkdtempSync(join(tmpdir(), 'siyu-feed-'))
afterAll(() => rmSync(home, { recursive: true, force: true }))

const HEAD = 'record_id,registered_at,system,member_id'
const MAPPING = (name: string) => `rows: people
source: ${name}
file: ./${name}.csv
timeZone: Europe/London
timestampFormat: iso
columns: { recordId: record_id, observedAt: registered_at, system: system }
identifiers: { member_id: member_id }
traits: {}
event: registered
`

beforeAll(() => {
  const write = (name: string, times: string[]) => {
    const rows = times.map((t, i) => `${name}-${i},2011-09-10T${t}Z,crm,${name}${i}`)
    writeFileSync(join(home, `${name}.csv`), `${[HEAD, ...rows].join('\n')}\n`)
    writeFileSync(join(home, `${name}.yaml`), MAPPING(name))
  }
  write('one', ['10:00:00', '10:15:00', '10:15:01', '12:00:00'])
  write('two', ['09:00:00', '10:15:00'])
})

const open = () =>
  Feed.open(
    ['one', 'two'].map((n) => join(home, `${n}.yaml`)),
    (p) => {
      throw new Error(p.message)
    },
  )
const at = (time: string) => new Date(`2011-09-10T${time}Z`)
const names = async (taken: ReturnType<Feed['take']>) => (await taken).map((r) => r.identifiers[0]?.value)

describe('tickOf', () => {
  it.each([
    ['10:00:00.000', '10:00:00'],
    ['10:00:00.001', '10:15:00'],
    ['10:14:59.999', '10:15:00'],
    ['10:15:00.000', '10:15:00'],
    ['10:15:01.000', '10:30:00'],
  ])('what happens at %s arrives at %s', (happened, arrives) => {
    expect(tickOf(at(happened), at('09:00:00'))).toEqual(at(arrives))
  })

  it('counts from the start, wherever that lies', () => {
    expect(tickOf(at('10:00:00'), at('09:55:00'))).toEqual(at('10:10:00'))
  })
})

describe('Feed', () => {
  it('gives what happened up to and including an instant, first source first, and each record once', async () => {
    const feed = await open()
    expect(await feed.nextAt()).toEqual(at('09:00:00'))
    expect(await names(feed.take(at('10:15:00'), 500))).toEqual(['one0', 'one1', 'two0', 'two1'])
    expect(await names(feed.take(at('10:15:00'), 500))).toEqual([])
    expect(await feed.nextAt()).toEqual(at('10:15:01'))
    expect(await names(feed.take(at('13:00:00'), 500))).toEqual(['one2', 'one3'])
    expect(await feed.nextAt()).toBeUndefined()
  })

  it('gives at most as many as asked for, and goes on where it stopped', async () => {
    const feed = await open()
    const batches: (string | undefined)[][] = []
    for (let batch = await names(feed.take(at('10:15:00'), 3)); batch.length > 0;) {
      batches.push(batch)
      batch = await names(feed.take(at('10:15:00'), 3))
    }
    expect(batches).toEqual([['one0', 'one1', 'two0'], ['two1']])
  })

  it('skips nothing when it is read to the end', async () => {
    const feed = await open()
    await feed.take(at('10:00:00'), 1)
    expect((await feed.finish()).length).toBe(2)
    expect(await feed.nextAt()).toBeUndefined()
  })
})
