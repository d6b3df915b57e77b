import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { z } from 'zod'
import { identityUnit } from '../../../src/domain/identity/identity-unit.js'
import { intOf } from '../../../src/random.js'
import { HOUR_MS, MINUTE_MS } from '../../../src/time.js'
import { type Known, knownNow, readKnownAt } from '../../support/known-at.js'
import { buildWorld, type EventHome, eventRecord, openEventHome, type World } from '../../support/build-deps.js'

let home: EventHome
let world: World
beforeAll(async () => {
  home = await openEventHome()
})
afterEach(() => world.close())
afterAll(() => home.close())

const START = '2026-03-02T02:00:00Z'
const hoursIn = (hours: number) => new Date(Date.parse(START) + hours * HOUR_MS)
const start = async () => {
  world = await buildWorld(home, { at: START })
}
const member = (value: string) => ({ type: 'member_id', value })
const union = (value: string) => ({ type: 'unionid', value })
/** One group of records at an hour. */
async function hear(hour: number, ...records: object[]): Promise<void> {
  world.clock.set(hoursIn(hour))
  await world.accept(`hour ${hour}`, ...records)
  await world.run()
}

const liveNow = () => knownNow(world.docs)
const knownAt = (at: Date) => readKnownAt(home.store, at)

const Statement = z.object({
  said: z.string(),
  value: z.string(),
  source: z.string(),
  ref: z.string(),
  won: z.boolean(),
})
const statements = (trait: string) =>
  world.query(
    `SELECT said, value, source, ref, won FROM trait_changes WHERE trait = '${trait}' ORDER BY seq, observed_at`,
    Statement,
  )

describe('what was known at an instant', () => {
  it('is the trait that counted then: late statements lose and stay, a withdrawn one gives way', async () => {
    await start()
    const says = (source: string, city: string | null, hour: number) => ({
      source,
      observedAt: hoursIn(hour),
      identifiers: [member('m1')],
      traits: { city },
    })
    await hear(1, says('shop', '上海', 0))
    await hear(2, says('crm', '杭州', 1))
    await hear(3, says('crm', '北京', -9)) // older than what it said before
    await hear(4, says('crm', null, 3))
    await hear(5, says('shop', null, 4))
    await hear(6, says('shop', '苏州', 3.5)) // older than its withdrawal
    const seen = await Promise.all(
      [0.5, 1, 2, 3, 4, 5, 6].map(async (h) => (await knownAt(hoursIn(h))).traits['1 city']),
    )
    expect(seen).toEqual([undefined, '上海', '杭州', '杭州', '上海', undefined, undefined])
    expect(await statements('city')).toEqual([
      { said: '上海', value: '上海', source: 'shop', ref: 'hour 1:0', won: true },
      { said: '杭州', value: '杭州', source: 'crm', ref: 'hour 2:0', won: true },
      { said: '北京', value: '杭州', source: 'crm', ref: 'hour 3:0', won: false },
      { said: '', value: '上海', source: 'crm', ref: 'hour 4:0', won: true },
      { said: '', value: '', source: 'shop', ref: 'hour 5:0', won: true },
      { said: '苏州', value: '', source: 'shop', ref: 'hour 6:0', won: false },
    ])
  })

  it('is two people before they were found to be one, and one after', async () => {
    await start()
    await hear(1, { identifiers: [member('m1')], traits: { city: '上海' }, observedAt: hoursIn(0) })
    await hear(2, { identifiers: [union('u1')], traits: { city: '杭州', skin: '干' }, observedAt: hoursIn(1) })
    const before = await liveNow()
    await hear(3, { identifiers: [union('u1'), member('m1')] })
    const after = await liveNow()
    expect(before.traits).toEqual({ '1 city': '上海', '2 city': '杭州', '2 skin': '干' })
    expect(after.traits).toEqual({ '1 city': '杭州', '1 skin': '干' })
    expect(await knownAt(hoursIn(2))).toEqual(before)
    expect(await knownAt(hoursIn(3))).toEqual(after)
  })

  it('is the consent that counted then, with a wish that arrived late marked lost', async () => {
    await start()
    await hear(1, eventRecord('m1', 'opted_out', hoursIn(1)))
    await hear(2, eventRecord('m1', 'opted_in', hoursIn(2)))
    await hear(3, eventRecord('m1', 'opted_out', hoursIn(0)))
    const seen = await Promise.all([0, 1, 2, 3].map(async (h) => (await knownAt(hoursIn(h))).consents['1']))
    expect(seen).toEqual([undefined, 'opted_out', 'opted_in', 'opted_in'])
    const won = z.object({ said: z.string(), won: z.boolean() })
    expect(await world.query('SELECT said, won FROM consent_changes ORDER BY seq', won)).toEqual([
      { said: 'opted_out', won: true },
      { said: 'opted_in', won: true },
      { said: 'opted_out', won: false },
    ])
  })

  it('holds events by the identifier they were said of, whoever that turns out to be', async () => {
    await start()
    await hear(1, eventRecord('m1', 'order_paid', hoursIn(1)))
    await hear(2, { identifiers: [union('u1')], events: [{ id: 'e2', name: 'order_paid', occurredAt: hoursIn(2) }] })
    await hear(3, { identifiers: [union('u1'), member('m1')] })
    await hear(4, {
      identifiers: [union('u1'), member('m1')],
      events: [{ id: 'e4', name: 'order_paid', occurredAt: hoursIn(4) }],
    })
    const rows = await world.query(
      'SELECT event_id AS id, unit, toUnixTimestamp64Milli(known_at) AS ms FROM events ORDER BY seq',
      z.object({ id: z.string(), unit: z.string(), ms: z.number() }),
    )
    expect(rows).toEqual([
      {
        id: `order_paid:m1:${hoursIn(1).toISOString()}`,
        unit: identityUnit('member_id:m1'),
        ms: hoursIn(1).getTime(),
      },
      { id: 'e2', unit: identityUnit('unionid:u1'), ms: hoursIn(2).getTime() },
      { id: 'e4', unit: identityUnit('unionid:u1'), ms: hoursIn(4).getTime() },
    ])
    const owner = async (hour: number, unit: string) => (await knownAt(hoursIn(hour))).owners[unit]
    expect(await owner(2, identityUnit('unionid:u1'))).toBe(2)
    expect(await owner(3, identityUnit('unionid:u1'))).toBe(1)
  })

  it('is what a live run had at every instant of a long story', async () => {
    await start()
    const lived: [number, Known][] = []
    for (let hour = 1; hour <= 40; hour++) {
      await hear(hour, ...Array.from({ length: 1 + intOf(4, 'records', hour) }, (_, i) => drawn(hour, i)))
      lived.push([hour, await liveNow()])
    }
    expect(await world.docs.merges.count({})).toBeGreaterThan(3)
    for (const [hour, known] of lived) expect([hour, await knownAt(hoursIn(hour))]).toEqual([hour, known])
  })

  it.each([
    ['never falls, when the clock is set back a little', 4, 0],
    ['is not kept in the future by a clock that was far ahead', 60, -60],
  ])('%s', async (_what, minutes, falls) => {
    await start()
    await hear(2, eventRecord('m1', 'order_paid', START))
    const setBack = new Date(hoursIn(2).getTime() - minutes * MINUTE_MS)
    world.deps.clock = { now: () => setBack }
    await world.accept('set back', eventRecord('m2', 'order_paid', START))
    await world.run()
    const Row = z.object({ seq: z.number(), ms: z.number() })
    const rows = await world.query('SELECT seq, toUnixTimestamp64Milli(known_at) AS ms FROM events ORDER BY seq', Row)
    expect(rows.map((r) => r.ms - hoursIn(2).getTime())).toEqual([0, falls * MINUTE_MS])
    expect(rows[0]!.seq).toBeLessThan(rows[1]!.seq)
  })
})

/** A record about one of nine people who may turn out to be fewer, from one of three sources, now or late. */
function drawn(hour: number, i: number): object {
  const draw = (below: number, what: string) => intOf(below, what, hour, i)
  const who = draw(9, 'who')
  const identifiers = [draw(2, 'by') === 0 ? member(`m${who}`) : { type: 'phone', value: `1380000000${who}` }]
  if (draw(4, 'both') === 0) identifiers.push(union(`u${draw(9, 'union')}`))
  const observedAt = hoursIn(hour - (draw(3, 'late') === 0 ? draw(30, 'by how much') : 0))
  const city = ['上海', '杭州', '北京', null][draw(4, 'city')]!
  const wish = ['opted_in', 'opted_out'][draw(2, 'wish')]!
  return {
    source: ['shop', 'crm', 'app'][draw(3, 'source')],
    observedAt,
    identifiers,
    traits: draw(4, 'says') === 0 ? {} : { city, ...(draw(3, 'more') === 0 ? { level: draw(5, 'level') } : {}) },
    events: draw(5, 'wishes') === 0 ? [{ id: `wish:${hour}:${i}`, name: wish, occurredAt: observedAt }] : [],
  }
}
