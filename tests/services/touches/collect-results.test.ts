import { beforeEach, describe, expect, it } from '@jest/globals'
import { UpstreamError } from '../../../src/errors.js'
import { collectNow } from '../../../src/services/touches/collect-results.js'
import { HOUR_MS } from '../../../src/time.js'
import { contactRecord, eventRecord, type World } from '../../support/build-deps.js'
import { useWorld } from '../../support/use-world.js'

const openWorld = useWorld()
let world: World
const START = '2026-03-02T02:00:00Z' // 10:00 in Shanghai
const hoursIn = (hours: number) => new Date(Date.parse(START) + hours * HOUR_MS)

beforeEach(async () => {
  world = await openWorld({
    at: START,
    definitions: {
      journeys: [
        { id: 'hello', enter: { on: 'registered' }, steps: [{ send: { channel: 'wecom', content: 'hello' } }] },
      ],
      contents: [{ id: 'hello', text: 'hello' }],
      // The second falls on 22:00, in quiet hours.
      policy: { quietHours: { from: '21:00', to: '09:00' }, confirmWithin: '3d', remindAfter: ['4h', '12h', '48h'] },
    },
  })
  world.wecom.result = (d) => ({
    final: false,
    recipients: d.recipients.map((r) => ({ to: r.to, state: 'waiting' })),
  })
  await world.accept('a', contactRecord('m1', START), eventRecord('m1', 'registered', world.clock.now()))
  await world.run()
})

const remindedAt = () => world.wecom.reminded.map(({ at }) => at)

describe('a guide who does not press send', () => {
  it('is reminded when the policy says so, outside quiet hours, until it is taken back', async () => {
    await world.until(hoursIn(100))
    expect(remindedAt()).toEqual([hoursIn(4), hoursIn(23), hoursIn(48)])
    expect(world.wecom.cancelled).toHaveLength(1)
  })

  it('is left alone once she has', async () => {
    await world.until(hoursIn(5))
    world.wecom.result = (d) => ({
      confirmedAt: hoursIn(5),
      final: false,
      recipients: d.recipients.map((r) => ({ to: r.to, state: 'waiting' })),
    })
    await world.until(hoursIn(60))
    expect(remindedAt()).toEqual([hoursIn(4)])
  })

  it('is not reminded twice when the process dies on the way, nor when the platform does not answer', async () => {
    let calls = 0
    world.wecom.remind = () => {
      calls++
      return Promise.reject(new Error('the connection broke'))
    }
    await world.until(hoursIn(22))
    expect(calls).toBe(1)
    expect((await world.docs.dispatches.find({})).map((d) => d.reminders)).toEqual([1])
  })
})

it('is looked at for somebody who asks, and the next planned look comes when it would have come', async () => {
  const [before] = await world.docs.dispatches.find({})
  for (const minutes of [1, 2, 3]) {
    world.clock.set(hoursIn(minutes / 60))
    await collectNow(world.deps, [before!._id])
  }
  world.wecom.result = () => {
    throw new UpstreamError('wecom', '42001', false, 'no')
  }
  await collectNow(world.deps, [before!._id])
  expect(await world.docs.dispatches.get(before!._id)).toEqual(before)
  world.wecom.result = (d) => ({
    confirmedAt: hoursIn(0.05),
    final: true,
    recipients: d.recipients.map((r) => ({ to: r.to, state: 'delivered', at: hoursIn(0.05) })),
  })
  await collectNow(world.deps, [before!._id])
  expect((await world.docs.touches.find({})).map((t) => t.state)).toEqual(['delivered'])
  expect(await world.docs.dispatches.get(before!._id)).toMatchObject({ state: 'done' })
})

describe('a platform that does not say', () => {
  it('is asked again half an hour later, and others are not kept waiting', async () => {
    await world.accept('b', contactRecord('m2', START, 'guide-2'), eventRecord('m2', 'registered', world.clock.now()))
    await world.run()
    const asked: string[] = []
    world.wecom.result = (d, now) => {
      asked.push(`${d.sender} ${now.toISOString().slice(11, 16)}`)
      throw new UpstreamError('wecom', '42001', false, 'no')
    }
    await world.until(hoursIn(2))
    const [one, other] = [...new Set(asked.map((line) => line.split(' ')[0]))].sort()
    expect(asked.sort()).toEqual(
      ['02:10', '02:30', '03:00', '03:30', '04:00'].flatMap((at) => [`${one} ${at}`, `${other} ${at}`]).sort(),
    )
  })
})
