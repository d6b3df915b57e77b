import { describe, expect, it } from '@jest/globals'
import type { LogFields } from '../../../src/log.js'
import { refreshWhenChanged } from '../../../src/services/definitions/refresh-when-changed.js'
import { HOUR_MS } from '../../../src/time.js'
import { contactRecord, type Definitions, eventRecord, type World } from '../../support/build-deps.js'
import { useWorld } from '../../support/use-world.js'

const openWorld = useWorld()
let world: World
let errors: { fact: string; fields: LogFields | undefined }[]

const START = '2026-03-02T02:00:00Z' // 10:00 in Shanghai
const after = (hours: number) => new Date(Date.parse(START) + hours * HOUR_MS)
const send = (content: string, channel = 'wecom') => ({ id: content, send: { channel, content } })
const journey = (steps: readonly object[]) => ({ id: 'care', enter: { on: 'asked' }, steps })
const ASKS_SEGMENT = journey([
  { wait: '1h' },
  { branch: [{ if: { segment: 'buyers' }, do: [send('yes')] }, { else: [send('no')] }] },
])
const text = (id: string, says: string, more: object = {}) => ({ id, text: says, ...more })

async function start(definitions: Definitions): Promise<void> {
  world = await openWorld({ at: START, definitions })
  errors = []
  world.deps.log = { ...world.deps.log, error: (fact, fields) => void errors.push({ fact, fields }) }
}

async function enter(name: string, at = after(0)): Promise<void> {
  await world.accept(`enter ${name}`, contactRecord(name, at), eventRecord(name, 'asked', at))
  await world.run()
}

const said = () => world.wecom.sent.map((d) => d.content.text)

describe('a run stays on', () => {
  it('its segments, whatever they become; who enters later has the later ones', async () => {
    const contents = [text('yes', 'yes'), text('no', 'no')]
    const segments = (event: string) => ({ buyers: { event } })
    await start({ contents, segments: segments('asked'), journeys: [ASKS_SEGMENT] })
    await enter('early')
    await world.publish({ contents, segments: segments('order_paid'), journeys: [ASKS_SEGMENT] })
    await enter('late')
    await world.publish({ contents, journeys: [journey([send('no')])] })
    await world.until(after(2))
    expect(said().sort()).toEqual(['no', 'yes'])
    expect(await world.docs.runs.find({ 'pins.segments': 1 })).toHaveLength(1)
    expect(errors).toEqual([])
  })

  it('its contents, also those that are planned and not yet released; alike ones go in one message', async () => {
    const STEPS = journey([{ wait: '1h' }, send('hello')])
    const other = text('other', 'other')
    await start({ contents: [text('hello', 'first')], journeys: [STEPS] })
    await enter('a')
    await world.publish({ contents: [text('hello', 'first'), other], journeys: [STEPS] })
    await enter('b')
    await world.publish({ contents: [text('hello', 'second')], journeys: [STEPS] })
    await enter('c')
    await world.publish({ contents: [other], journeys: [] })
    await world.until(after(2))
    expect(said().sort()).toEqual(['first', 'second'])
    expect(world.wecom.sent.map((d) => d.recipients.length).sort()).toEqual([1, 2])
    expect((await world.docs.touches.find({})).map((t) => [t.contentsVersion, t.state])).toEqual([
      [1, 'created'],
      [2, 'created'],
      [3, 'created'],
    ])
  })

  it('the pool of its coupon, and takes a code that came later', async () => {
    const STEPS = journey([{ wait: '1h' }, send('gift', 'coupon')])
    const gift = (coupon: string) => [text('gift', '{{ coupon }}', { coupon })]
    await start({ contents: gift('spring'), coupons: [{ id: 'spring', codes: ['OLD-CODE'] }], journeys: [STEPS] })
    await enter('a')
    await world.docs.coupons.update('spring:OLD-CODE', { $set: { state: 'issued' } })
    await world.publish({
      contents: gift('spring'),
      coupons: [{ id: 'spring', codes: ['NEW-CODE'] }],
      journeys: [STEPS],
    })
    await world.publish({
      contents: gift('autumn'),
      coupons: [{ id: 'autumn', codes: ['FALL-CODE'] }],
      journeys: [STEPS],
    })
    await enter('b')
    await world.until(after(2))
    expect(world.task.sent.map((d) => d.content.text).sort()).toEqual(['FALL-CODE', 'NEW-CODE'])
  })

  it('neither tags nor policy: those are the ones of today', async () => {
    const STEPS = journey([
      { wait: '1h' },
      { branch: [{ if: { tag: 'keen' }, do: [send('yes')] }, { else: [send('no')] }] },
    ])
    const contents = [text('yes', 'yes'), text('no', 'no')]
    const keen = (event: string) => [{ id: 'keen', type: 'flag', when: { event } }]
    await start({ contents, tags: keen('asked'), journeys: [STEPS] })
    await enter('a')
    await world.publish({ contents, tags: keen('order_paid'), journeys: [STEPS], policy: { holidays: ['2026-03-02'] } })
    await refreshWhenChanged(world.deps)
    await world.until(after(2))
    expect(said()).toEqual([])
    await world.until(after(25))
    expect(said()).toEqual(['no'])
  })

  it('those of today where version 0.1 began it', async () => {
    const contents = (says: string) => [text('yes', says), text('no', 'no')]
    await start({
      contents: contents('first'),
      segments: { buyers: { event: 'order_paid' } },
      journeys: [ASKS_SEGMENT],
    })
    await enter('a')
    await world.docs.runs.updateMany({}, { $unset: { pins: 1 } })
    await world.publish({
      contents: contents('second'),
      segments: { buyers: { event: 'asked' } },
      journeys: [ASKS_SEGMENT],
    })
    await world.until(after(2))
    expect(said()).toEqual(['second'])
  })
})

describe('a run whose version of segments or contents cannot be read here', () => {
  const contents = [text('yes', 'yes'), text('no', 'no')]
  const NEWER = '[{"of":"a newer program"}]'

  async function startAndChange(kind: 'segments' | 'contents'): Promise<() => Promise<unknown>> {
    const segments = (event: string) => ({ buyers: { event } })
    await start({ contents, segments: segments('asked'), journeys: [ASKS_SEGMENT] })
    await enter('a')
    await world.publish({
      contents: kind === 'contents' ? [text('yes', 'changed'), text('no', 'no')] : contents,
      segments: kind === 'segments' ? segments('order_paid') : segments('asked'),
      journeys: [ASKS_SEGMENT],
    })
    await enter('b')
    const _id = `${kind}:all@1`
    const { value } = (await world.docs.published.get(_id))!
    await world.docs.published.update(_id, { $set: { value: NEWER } })
    return () => world.docs.published.update(_id, { $set: { value } })
  }

  it('waits at the branch and says so; the others go on', async () => {
    const mend = await startAndChange('segments')
    await world.until(after(2))
    expect(said()).toEqual(['no'])
    expect(await world.docs.runs.findOne({ 'pins.segments': 1 })).toMatchObject({
      state: 'waiting',
      held: { reason: expect.stringMatching(/version 1 of segments cannot be read here/) as unknown },
    })
    await mend()
    await world.until(after(3))
    expect(said()).toEqual(['no', 'yes'])
  })

  it('has its message put off, and says so; the others go out', async () => {
    const mend = await startAndChange('contents')
    await world.until(after(2))
    expect(said()).toEqual(['changed'])
    expect(errors[0]).toEqual({
      fact: 'touches cannot be released here',
      fields: { cause: expect.stringMatching(/version 1 of contents cannot be read here/) as unknown, touches: 1 },
    })
    await mend()
    await world.until(after(3))
    expect(said()).toEqual(['changed', 'yes'])
  })
})
