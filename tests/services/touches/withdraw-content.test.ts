import { describe, expect, it } from '@jest/globals'
import { followPublished } from '../../../src/services/definitions/follow-published.js'
import { publishDefinitions, withdrawContents } from '../../../src/services/definitions/publish-definitions.js'
import { publishedVersion } from '../../../src/services/definitions/read-published.js'
import { materials } from '../../../src/services/guides/guide-sidebar.js'
import { runOperation } from '../../../src/services/runtime/run-operation.js'
import { correctContent } from '../../../src/services/touches/correct-content.js'
import { HOUR_MS } from '../../../src/time.js'
import {
  contactRecord,
  define,
  type Definitions,
  eventRecord,
  operationsOf,
  type World,
} from '../../support/build-deps.js'
import { useWorld } from '../../support/use-world.js'

const openWorld = useWorld()
let world: World

const START = '2026-03-02T02:00:00Z' // 10:00 in Shanghai
const after = (hours: number) => new Date(Date.parse(START) + hours * HOUR_MS)
const send = (content: string, channel = 'wecom') => ({ id: content, send: { channel, content } })
const CALL = { id: 'call', task: { title: 'call', script: 'talk', due: '5d' } }
const text = (id: string, says = id, more: object = {}) => ({ id, text: says, ...more })
const care = (...steps: object[]) => ({ id: 'care', enter: { on: 'asked' }, steps })

/** One customer, or several, in the journey; everything that is due has been done. */
async function start(definitions: Definitions, names = ['a']): Promise<void> {
  world = await openWorld({ at: START, definitions })
  await world.accept('in', ...names.flatMap((n) => [contactRecord(n, START), eventRecord(n, 'asked', START)]))
  await world.run()
}

const withdraw = (...contentIds: string[]) =>
  runOperation(operationsOf(world), 'key:1', 'publish', { withdraw: contentIds })

/** As the service publishes with `--correct`. */
async function correct(definitions: Definitions, ...contentIds: string[]): Promise<void> {
  await publishDefinitions(world.deps, define(definitions), { correct: contentIds })
  await followPublished(world.deps)
  for (const id of contentIds) await correctContent(world.deps, id)
}

const touches = async () =>
  (await world.docs.touches.find({})).map((t) => [t.contentId, t.state, ...(t.reason === undefined ? [] : [t.reason])])
const said = () => world.wecom.sent.map((d) => d.content.text)

describe('a content that is withdrawn', () => {
  const contents = [text('hello'), text('again')]

  it('is sent to nobody any more, by whatever version; the run goes on', async () => {
    const journeys = [care({ wait: '1h' }, send('hello'), send('again'))]
    await start({ contents, journeys })
    await world.publish({ contents: [text('hello', 'changed'), text('again')], journeys })
    await world.accept('b', contactRecord('b', START), eventRecord('b', 'asked', START))
    await world.run()
    expect(await withdraw('hello')).toEqual([{ kind: 'contents', id: 'hello', version: 2, change: 'withdrawn' }])
    await world.until(after(2))
    expect(said()).toEqual(['again'])
    expect((await touches()).sort()).toEqual([
      ['again', 'created'],
      ['again', 'created'],
      ['hello', 'suppressed', 'content_withdrawn'],
      ['hello', 'suppressed', 'content_withdrawn'],
    ])
    expect(await world.docs.runs.count({ outcome: 'finished' })).toBe(2)
  })

  it('stops in what was released and not asked for', async () => {
    await start({ contents, journeys: [care({ wait: '1h' }, send('hello'))] })
    world.wecom.answer = () => ({ kind: 'later', afterMs: HOUR_MS, reason: 'busy' })
    await world.until(after(1))
    expect(await world.docs.dispatches.find({})).toMatchObject([{ state: 'ready', contentId: 'hello' }])
    await withdraw('hello')
    await world.until(after(5))
    expect([...world.wecom.asked.values()]).toEqual([1])
    expect(await touches()).toEqual([['hello', 'suppressed', 'content_withdrawn']])
    expect(await world.docs.dispatches.find({})).toMatchObject([{ state: 'refused', reason: 'content_withdrawn' }])
  })

  it('stops in what another process released while it was withdrawn', async () => {
    await start({ contents, journeys: [care({ wait: '1h' }, send('hello'))] })
    world.wecom.answer = () => ({ kind: 'later', afterMs: HOUR_MS, reason: 'busy' })
    await world.until(after(1))
    // The words are stopped where they are; this dispatch is there after that.
    await withdrawContents(world.deps, ['hello'])
    await world.until(after(5))
    expect([...world.wecom.asked.values()]).toEqual([1])
    expect(await touches()).toEqual([['hello', 'suppressed', 'content_withdrawn']])
  })

  it('is taken back where no guide has pressed send', async () => {
    await start({ contents, journeys: [care(send('hello'))] }, ['a', 'b'])
    expect(await touches()).toEqual([
      ['hello', 'created'],
      ['hello', 'created'],
    ])
    world.wecom.result = (d) => ({
      final: false,
      recipients: d.recipients.map((r) => ({ to: r.to, state: 'waiting' as const })),
    })
    await withdraw('hello')
    await world.run()
    expect(world.wecom.cancelled).toHaveLength(1)
    expect((await touches()).map(([, ...state]) => state)).toEqual([
      ['suppressed', 'content_withdrawn'],
      ['suppressed', 'content_withdrawn'],
    ])
  })

  it('is taken back as a card that nobody answered', async () => {
    await start({ contents: [text('talk')], journeys: [care(CALL)] })
    expect(await touches()).toEqual([['talk', 'created']])
    await withdraw('talk')
    await world.run()
    expect(world.task.cancelled).toHaveLength(1)
    expect(await touches()).toEqual([['talk', 'suppressed', 'content_withdrawn']])
    expect(await world.docs.tasks.find({})).toMatchObject([{ state: 'expired', outcome: 'content_withdrawn' }])
  })

  it('is no ready words for guides', async () => {
    await start({ contents, journeys: [] })
    const elsewhere = { ...world.deps, definitions: { current: world.deps.definitions.current } }
    await withdraw('hello')
    expect((await materials(elsewhere, '')).map((m) => m.id)).toEqual(['again'])
  })

  it('is withdrawn once; one that there never was is refused, with the one that may be meant', async () => {
    await start({ contents, journeys: [] })
    await withdraw('hello')
    const version = await publishedVersion(world.docs)
    await withdraw('hello')
    expect(await publishedVersion(world.docs)).toBe(version)
    await expect(withdraw('agian')).rejects.toThrow(/no content "agian".*did you mean "again"/)
    await world.publish({ contents: [text('again')] })
    expect(world.deps.definitions.current.withdrawn).toEqual(new Set(['hello']))
  })
})

describe('a content that is corrected', () => {
  const journeys = [care({ wait: '1h' }, send('hello'), send('again'))]
  const before = [text('hello', 'helo'), text('again', 'before')]

  it('is what runs on their way say; everything else of theirs stays, also of later publications', async () => {
    await start({ contents: before, journeys })
    await correct({ contents: [text('hello', 'hello'), text('again', 'after')], journeys }, 'hello')
    await world.publish({ contents: [text('hello', 'good evening'), text('again', 'after')], journeys })
    await world.accept('b', contactRecord('b', START), eventRecord('b', 'asked', START))
    await world.until(after(2))
    expect(said().sort()).toEqual(['after', 'before', 'good evening', 'hello'])
  })

  it('counts once it is published, also when that was before', async () => {
    await start({ contents: before, journeys })
    const contents = [text('hello', 'hello'), text('again', 'before')]
    await world.publish({ contents, journeys })
    await correct({ contents, journeys }, 'hello')
    await world.until(after(2))
    expect(said().sort()).toEqual(['before', 'hello'])
  })

  it('may be sent again after it was withdrawn', async () => {
    await start({ contents: before, journeys })
    await withdraw('hello')
    await correct({ contents: [text('hello', 'hello'), text('again', 'before')], journeys }, 'hello')
    await world.until(after(2))
    expect(said().sort()).toEqual(['before', 'hello'])
  })

  it('is what was released and not asked for says', async () => {
    const gift = (says: string) => text('gift', `${says} {{ coupon }}`, { coupon: 'spring' })
    const coupons = [{ id: 'spring', codes: ['CODE-1'] }]
    const steps = [care({ wait: '1h' }, send('hello'), send('gift', 'coupon'))]
    await start({ contents: [text('hello', 'helo'), gift('tkae')], coupons, journeys: steps })
    const [wecom, task] = [world.wecom.answer, world.task.answer]
    world.wecom.answer = world.task.answer = () => ({ kind: 'later', afterMs: HOUR_MS, reason: 'busy' })
    await world.until(after(1))
    await correct({ contents: [text('hello', 'hello'), gift('take')], coupons, journeys: steps }, 'hello', 'gift')
    world.wecom.answer = wecom
    world.task.answer = task
    await world.until(after(3))
    expect([...world.wecom.asked.values(), ...world.task.asked.values()]).toEqual([2, 2])
    expect(said()).toEqual(['hello'])
    expect(world.task.sent.map((d) => [d.content.text, d.content.card?.buttons.length])).toEqual([['take CODE-1', 3]])
  })

  it('must be one of the files', async () => {
    await start({ contents: before, journeys })
    await expect(correct({ contents: before, journeys }, 'helo')).rejects.toThrow(/did you mean "hello"/)
  })
})
