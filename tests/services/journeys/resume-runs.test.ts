import { bucketOf } from '../../../src/stored/buckets.js'
import { describe, expect, it } from '@jest/globals'
import type { LogFields } from '../../../src/log.js'
import { liveDefinitions } from '../../../src/services/definitions/read-published.js'
import { countHeld, listHeld } from '../../../src/services/journeys/list-held.js'
import { explainTouches } from '../../../src/services/touches/explain-touches.js'
import { HOUR_MS, MINUTE_MS } from '../../../src/time.js'
import { contactRecord, define, type Definitions, eventRecord, type World } from '../../support/build-deps.js'
import { useWorld } from '../../support/use-world.js'

const openWorld = useWorld()
let world: World
let errors: { fact: string; fields: LogFields | undefined }[]

const START = '2026-03-02T02:00:00Z' // 10:00 in Shanghai
const after = (ms: number) => new Date(Date.parse(START) + ms)
const send = (content: string) => ({ id: content, send: { channel: 'wecom', content } })
const journey = (id: string, steps: readonly object[], more: object = {}) => ({
  id,
  enter: { on: `${id}_begins` },
  steps,
  ...more,
})
const contents = ['hello', 'again'].map((id) => ({ id, text: id, link: { title: 'Look', path: '/' } }))

async function start(definitions: Definitions): Promise<void> {
  world = await openWorld({ at: START, definitions: { contents, ...definitions } })
  errors = []
  world.deps.log = { ...world.deps.log, error: (fact, fields) => void errors.push({ fact, fields }) }
}

/** What a newer version of this program stored as version 1 of a journey; this one takes it over, as at its start. */
async function published(definitions: Definitions, id: string, value: unknown): Promise<void> {
  await world.docs.published.update(`journey:${id}@1`, { $set: { value } })
  world.deps.definitions.current = await liveDefinitions(world.deps, define({ contents, ...definitions }))
}

async function enter(id: string, ...names: string[]): Promise<void> {
  await world.accept(id, ...names.flatMap((n) => [contactRecord(n, START), eventRecord(n, `${id}_begins`, START)]))
  await world.run()
}

const run = async (id: string) => (await world.docs.runs.find({ journeyId: id }))[0]!
const touched = async () => (await world.docs.touches.find({})).map((t) => `${t.journeyId} ${t.contentId}`).sort()

describe('a run whose step this version does not know', () => {
  const asNow = [send('hello'), { wait: '1h' }, send('again')]
  const asNewer = [send('hello'), { id: 'draw', lottery: { pool: 'spring' } }, send('again')]
  const plain = journey('plain', asNow)

  it('waits there and says so, once; the others go on', async () => {
    const newer = journey('newer', asNow)
    await start({ journeys: [newer, plain] })
    await published({ journeys: [newer, plain] }, 'newer', {
      name: 'a',
      goal: { event: 'order_paid', within: '14d' },
      ...journey('newer', asNewer),
    })
    await enter('newer', 'a', 'b')
    await enter('plain', 'c')
    await world.until(after(3 * HOUR_MS))

    expect(await touched()).toEqual(['newer hello', 'newer hello', 'plain again', 'plain hello'])
    expect(await run('plain')).toMatchObject({ state: 'ended', outcome: 'finished' })
    const held = await run('newer')
    expect(held).toMatchObject({
      state: 'waiting',
      path: '1',
      held: { reason: expect.stringMatching(/unknown field "lottery"/) as unknown, since: new Date(START) },
    })
    expect(held.dueAt!.getTime()).toBeGreaterThan(world.clock.now().getTime())
    expect(errors.filter((e) => e.fields?.['journeyId'] === 'newer')).toEqual([
      {
        fact: 'runs cannot go on here',
        fields: expect.objectContaining({ stepId: 'draw', version: 1, runs: 2 }) as unknown,
      },
    ])
    expect(await listHeld(world.deps)).toEqual({
      runs: 2,
      groups: [
        { journeyId: 'newer', version: 1, reason: held.held!.reason, runs: 2, since: new Date(START).toISOString() },
      ],
    })
    const why = await explainTouches(world.deps, { profileId: held.profileId })
    expect(why.runs).toMatchObject([{ state: 'waiting', held: { reason: held.held!.reason } }])
  })

  it('goes on once a version that knows it takes over', async () => {
    const newer = journey('newer', asNow)
    await start({ journeys: [newer] })
    const whole = { name: 'a', goal: { event: 'order_paid', within: '14d' } }
    await published({ journeys: [newer] }, 'newer', { ...whole, ...journey('newer', asNewer) })
    await enter('newer', 'a')
    await world.until(after(HOUR_MS))
    await published({ journeys: [newer] }, 'newer', { ...whole, ...newer })
    await world.until(after(3 * HOUR_MS))
    expect(await touched()).toEqual(['newer again', 'newer hello'])
    expect(await run('newer')).toMatchObject({ state: 'ended', outcome: 'finished' })
    expect(await run('newer')).not.toHaveProperty('held')
    expect(await countHeld(world.docs)).toBe(0)
  })

  it('waits also where the newer version has moved it to a place inside that step', async () => {
    const newer = journey('newer', asNow)
    await start({ journeys: [newer] })
    await enter('newer', 'a')
    const nested = [send('hello'), { split: [{ share: '50%', do: [send('again')] }] }]
    await published({ journeys: [newer] }, 'newer', {
      name: 'a',
      goal: { event: 'x', within: '1d' },
      ...journey('newer', nested),
    })
    await world.docs.runs.update((await run('newer'))._id, { $set: { path: '1.0.0', dueAt: world.clock.now() } })
    await world.until(after(HOUR_MS))
    expect(await run('newer')).toMatchObject({
      state: 'waiting',
      path: '1.0.0',
      held: { reason: expect.stringMatching(/unknown field "split"/) as unknown },
    })
  })

  it('ends all the same when its exit event happens', async () => {
    const newer = journey('newer', asNow, { exit: { on: 'order_paid' } })
    await start({ journeys: [newer] })
    await published({ journeys: [newer] }, 'newer', {
      ...journey('newer', asNewer),
      exit: { on: 'order_paid' },
      enter: { by: 'lot' },
      audience: 3,
    })
    await world.docs.runs.insert([
      {
        _id: 'newer:1:0',
        journeyId: 'newer',
        version: 1,
        profileId: 1,
        bucket: bucketOf(1),
        anchor: 'x',
        n: 0,
        arm: 'treated',
        state: 'waiting',
        path: '1',
        arrivedAt: after(0),
        enteredAt: after(0),
        dueAt: after(0),
      },
    ])
    await world.accept('a', contactRecord('a', START))
    await world.run()
    expect(await run('newer')).toMatchObject({
      state: 'waiting',
      held: { reason: expect.stringMatching(/lottery/) as unknown },
    })
    world.clock.set(after(MINUTE_MS))
    await world.accept('paid', eventRecord('a', 'order_paid', after(MINUTE_MS)))
    await world.run()
    expect(await run('newer')).toMatchObject({ state: 'ended', outcome: 'exited' })
  })
})

describe('a run that cannot be decided', () => {
  it('waits while its version is not stored; the others go on', async () => {
    const [gone, plain] = [
      journey('gone', [{ wait: '1h' }, send('hello')]),
      journey('plain', [{ wait: '1h' }, send('again')]),
    ]
    await start({ journeys: [gone, plain] })
    await enter('gone', 'a')
    await enter('plain', 'b')
    await world.docs.published.delete({ _id: 'journey:gone@1' })
    world.deps.definitions.current = await liveDefinitions(world.deps, define({ contents, journeys: [gone, plain] }))
    await world.until(after(2 * HOUR_MS))
    expect(await touched()).toEqual(['plain again'])
    expect(await run('gone')).toMatchObject({
      state: 'waiting',
      path: '0',
      held: { reason: expect.stringMatching(/version 1 of gone is not stored/) as unknown },
    })
  })

  it('is not begun where the entry asks a segment that was removed; the others are', async () => {
    const asks = [
      journey('asks', [send('hello')], { enter: { when: { segment: 'buyers' } } }),
      journey('asked', [send('hello')], { enter: { on: 'plain_begins', if: { segment: 'buyers' } } }),
    ]
    const plain = journey('plain', [send('again')])
    const segments = { buyers: { event: 'plain_begins' } }
    await start({ journeys: [...asks, plain], segments })
    world.deps.definitions.current = await liveDefinitions(world.deps, define({ contents, journeys: [plain] }))
    await enter('plain', 'a')
    expect(await touched()).toEqual(['plain again'])
    expect(errors.map((e) => [e.fact, e.fields?.['journeyId'], e.fields?.['cause']]).sort()).toEqual([
      ['nobody can enter a published journey', 'asked', 'there is no segment "buyers"'],
      ['nobody can enter a published journey', 'asks', 'there is no segment "buyers"'],
    ])
  })

  it('of version 0.1 waits while its branch names a segment that was removed; the others go on', async () => {
    const asks = journey('asks', [
      { wait: '1h' },
      { branch: [{ if: { not: { segment: 'buyers' } }, do: [send('hello')] }] },
    ])
    const plain = journey('plain', [
      { wait: '1h' },
      { branch: [{ if: { event: 'plain_begins' }, do: [send('again')] }] },
    ])
    const segments = { buyers: { event: 'order_paid' } }
    await start({ journeys: [asks, plain], segments })
    await enter('asks', 'a')
    await enter('plain', 'b')
    await world.docs.runs.updateMany({}, { $unset: { pins: 1 } })
    await world.publish({ contents, journeys: [plain] })
    await world.until(after(2 * HOUR_MS))
    expect(await touched()).toEqual(['plain again'])
    expect(await run('asks')).toMatchObject({
      state: 'waiting',
      path: '1',
      held: { reason: 'there is no segment "buyers"' },
    })
    await world.publish({ contents, journeys: [plain], segments })
    await world.until(after(4 * HOUR_MS))
    expect(await touched()).toEqual(['asks hello', 'plain again'])
  })
})
