import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { UpstreamError } from '../../../src/errors.js'
import { explainTouches } from '../../../src/services/touches/explain-touches.js'
import { listHeldTouches } from '../../../src/services/touches/held-touches.js'
import { followPublished } from '../../../src/services/definitions/follow-published.js'
import { withdrawContents } from '../../../src/services/definitions/publish-definitions.js'
import { stopContent } from '../../../src/services/touches/withdraw-content.js'
import { DAY_MS, HOUR_MS } from '../../../src/time.js'
import {
  buildWorld,
  contactRecord,
  type EventHome,
  eventRecord,
  openEventHome,
  type World,
} from '../../support/build-deps.js'
import type { FakeChannel } from '../../support/fake-channel.js'

let home: EventHome
let world: World
const START = '2026-03-02T02:00:00Z' // 10:00 in Shanghai
const daysIn = (days: number) => new Date(Date.parse(START) + days * DAY_MS)
const GONE = 'wecom: no such member (60111)'

/** What the platform says of a member who has left, to whatever is asked about her. */
function refuse(channel: 'wecom' | 'task', method: 'settle' | 'results' | 'cancel' | 'dispatch', of: string): void {
  const plain = world[channel]
  const asked = plain[method].bind(plain) as (dispatch: unknown, ...more: unknown[]) => Promise<never>
  const refusing = (dispatch: { sender?: string; recipients: readonly { to: string }[] }, ...more: unknown[]) => {
    if ((dispatch.sender ?? dispatch.recipients[0]?.to) !== of) return asked(dispatch, ...more)
    return Promise.reject(new UpstreamError('wecom', '60111', false, 'no such member'))
  }
  world.deps.channels[channel] = Object.assign(Object.create(world.deps.channels[channel]) as FakeChannel, {
    [method]: refusing,
  })
}

async function happens(event: string, name: string, guide: string): Promise<void> {
  await world.accept(event + name, contactRecord(name, START, guide), eventRecord(name, event, world.clock.now()))
  await world.run()
}

/** What is due meanwhile is done at the end: the platform is asked every half hour. */
async function isNow(at: Date): Promise<void> {
  world.clock.set(at)
  await world.run()
}

const statesOf = async (guide: string) =>
  (await world.docs.dispatches.find({ senderUserId: guide })).map((d) => [d.state, d.reason])
const touchOf = async (name: string) => {
  const { profileId } = (await world.docs.identifiers.get(`external_userid:wm-${name}`))!
  return (await explainTouches(world.deps, { profileId })).touches[0]!
}

beforeAll(async () => {
  home = await openEventHome()
})
afterAll(() => home.close())
beforeEach(async () => {
  world = await buildWorld(home, {
    at: START,
    definitions: {
      journeys: [
        { id: 'hello', enter: { on: 'registered' }, steps: [{ send: { channel: 'wecom', content: 'hello' } }] },
        { id: 'call', enter: { on: 'asked' }, steps: [{ task: { title: 'Call', script: 'hello', due: '2d' } }] },
      ],
      contents: [{ id: 'hello', text: 'hello' }],
      policy: { confirmWithin: '3d' },
    },
  })
})
afterEach(() => world.close())

describe('a platform that refuses to say what became of one message', () => {
  beforeEach(async () => {
    refuse('wecom', 'settle', 'guide-1')
    world.wecom.answer = () => ({ kind: 'unknown', reason: 'time-out' })
    await happens('registered', 'm1', 'guide-1')
    world.wecom.answer = (d) => ({ kind: 'created', remoteId: d.id, refused: [] })
  })

  it('does not hold up the others', async () => {
    await happens('registered', 'm2', 'guide-2')
    expect(await statesOf('guide-2')).toEqual([['created', undefined]])
    expect(await statesOf('guide-1')).toEqual([['sending', undefined]])
    expect(await touchOf('m1')).toMatchObject({
      state: 'planned',
      unsettled: { why: GONE, since: daysIn(0).toISOString() },
    })
    expect((await listHeldTouches(world.docs)).unsettled).toEqual([{ why: GONE, dispatches: 1 }])
  })

  it('is asked again every half hour, and goes on where it answers', async () => {
    await world.until(new Date(daysIn(0).getTime() + HOUR_MS))
    delete (world.deps.channels.wecom as Partial<FakeChannel>).settle
    await world.until(new Date(daysIn(0).getTime() + 2 * HOUR_MS))
    const [dispatch] = await world.docs.dispatches.find({})
    expect(dispatch).toMatchObject({ state: 'created' })
    expect(dispatch!.silent).toBeUndefined()
    expect(await touchOf('m1')).toMatchObject({ state: 'created' })
  })

  it('is given up after a fortnight: nobody knows, and why says so', async () => {
    await isNow(daysIn(13))
    expect(await statesOf('guide-1')).toEqual([['sending', undefined]])
    await isNow(daysIn(15))
    expect(await statesOf('guide-1')).toEqual([['unknown', GONE]])
    expect(await touchOf('m1')).toMatchObject({ state: 'unknown', unsettled: { why: GONE } })
    expect([...world.wecom.asked.values()]).toEqual([1])
    expect((await listHeldTouches(world.docs)).unsettled).toEqual([])
  })
})

it('a request that is refused in an unforeseen way is read back, and the others go out', async () => {
  refuse('wecom', 'dispatch', 'guide-1')
  await happens('registered', 'm1', 'guide-1')
  await happens('registered', 'm2', 'guide-2')
  expect(await statesOf('guide-2')).toEqual([['created', undefined]])
  expect(await statesOf('guide-1')).toEqual([['ready', 'the request was lost']])
})

describe('a fault of ours with one message', () => {
  const fault = () => {
    throw new TypeError('title is undefined')
  }
  const why = 'title is undefined'

  it('keeps no other from going out; it is said, tried again every half hour, and goes when the fault is mended', async () => {
    const answer = world.wecom.answer
    world.wecom.answer = (d) => (d.sender === 'guide-1' ? fault() : answer(d))
    await happens('registered', 'm1', 'guide-1')
    await happens('registered', 'm2', 'guide-2')
    expect(await statesOf('guide-2')).toEqual([['created', undefined]])
    expect(await statesOf('guide-1')).toEqual([['ready', undefined]])
    expect(await touchOf('m1')).toMatchObject({ state: 'planned', unsettled: { why, since: daysIn(0).toISOString() } })
    expect((await listHeldTouches(world.docs)).unsettled).toEqual([{ why, dispatches: 1 }])
    await world.until(new Date(daysIn(0).getTime() + HOUR_MS))
    expect([...world.wecom.asked.values()]).toContain(3)
    world.wecom.answer = answer
    await world.until(new Date(daysIn(0).getTime() + 2 * HOUR_MS))
    expect(await statesOf('guide-1')).toEqual([['created', undefined]])
    expect(world.wecom.sent.map((d) => d.sender).sort()).toEqual(['guide-1', 'guide-2'])
    expect((await listHeldTouches(world.docs)).unsettled).toEqual([])
  })

  it('after it has left: it is read back, and not sent again', async () => {
    world.wecom.answer = (d) => {
      world.wecom.sent.push({ ...d, at: world.clock.now() })
      return fault()
    }
    await happens('registered', 'm1', 'guide-1')
    expect(await statesOf('guide-1')).toEqual([['created', undefined]])
    expect(world.wecom.sent).toHaveLength(1)
  })

  it('is given up after a fortnight, certain that nobody got it', async () => {
    world.wecom.answer = fault
    await happens('registered', 'm1', 'guide-1')
    await isNow(daysIn(13))
    expect(await touchOf('m1')).toMatchObject({ state: 'planned' })
    await isNow(daysIn(15))
    expect(await statesOf('guide-1')).toEqual([['refused', 'refused']])
    expect(await touchOf('m1')).toMatchObject({ state: 'suppressed', reason: 'refused' })
    expect((await listHeldTouches(world.docs)).unsettled).toEqual([])
  })

  it.each(['update', 'updateEach'] as const)('when its answer is noted (%s): the others go on', async (method) => {
    const { touches, dispatches } = world.deps.docs
    const isHers = (what: unknown) => JSON.stringify(what).includes('hello:1:0/0')
    const broken = <T extends object>(target: T, isBroken: (args: unknown[]) => boolean): T =>
      new Proxy(target, {
        get: (object, key) => {
          const value: unknown = Reflect.get(object, key)
          if (key !== method || typeof value !== 'function') return value
          return async (...args: unknown[]): Promise<unknown> =>
            isBroken(args) ? fault() : (value.apply(object, args) as Promise<unknown>)
        },
      })
    const isNoted = (args: unknown[]) => JSON.stringify(args).includes('"created"')
    const first = async () => (await world.docs.dispatches.findOne({ senderUserId: 'guide-1' }))?._id
    let hers: string | undefined
    world.wecom.answer = (d) => {
      if (d.sender === 'guide-1') hers = d.id
      return { kind: 'created', remoteId: d.id, refused: [] }
    }
    const docs = world.deps.docs
    world.deps.docs = {
      ...docs,
      touches: broken(touches, (args) => isNoted(args) && isHers(args)),
      dispatches: broken(dispatches, (args) => isNoted(args) && args[0] === hers),
    }
    await happens('registered', 'm1', 'guide-1')
    await happens('registered', 'm2', 'guide-2')
    expect(await statesOf('guide-2')).toEqual([['created', undefined]])
    expect(await statesOf('guide-1')).toEqual([['sending', undefined]])
    expect(await first()).toBe(hers)
    world.deps.docs = docs
    await world.until(new Date(daysIn(0).getTime() + HOUR_MS))
    expect(await touchOf('m1')).toMatchObject({ state: 'created' })
    expect(world.wecom.sent).toHaveLength(2)
  })

  it('when its results are worked out: the others are read', async () => {
    await happens('registered', 'm1', 'guide-1')
    await happens('registered', 'm2', 'guide-2')
    world.wecom.result = (d) =>
      d.sender === 'guide-1'
        ? fault()
        : {
            confirmedAt: daysIn(0),
            final: true,
            recipients: d.recipients.map((r) => ({ to: r.to, state: 'delivered' })),
          }
    await isNow(daysIn(1))
    expect(await statesOf('guide-2')).toEqual([['done', undefined]])
    expect(await touchOf('m1')).toMatchObject({ state: 'created', unsettled: { why } })
  })
})

describe('results that the platform refuses to tell', () => {
  it('are given up a fortnight after; those of others are read', async () => {
    refuse('wecom', 'results', 'guide-1')
    await happens('registered', 'm1', 'guide-1')
    await happens('registered', 'm2', 'guide-2')
    world.wecom.result = (d) => ({
      confirmedAt: daysIn(1),
      final: true,
      recipients: d.recipients.map((r) => ({ to: r.to, state: 'delivered' })),
    })
    await isNow(daysIn(1))
    expect(await statesOf('guide-2')).toEqual([['done', undefined]])
    expect(await touchOf('m1')).toMatchObject({ state: 'created', unsettled: { why: GONE } })
    await isNow(daysIn(16))
    expect(await statesOf('guide-1')).toEqual([['unknown', GONE]])
    expect(await touchOf('m1')).toMatchObject({ state: 'unknown', unsettled: { why: GONE } })
  })

  it('nor does a card that cannot be recalled hold up the others', async () => {
    refuse('task', 'cancel', 'guide-1')
    await happens('asked', 'm1', 'guide-1')
    await happens('asked', 'm2', 'guide-2')
    await withdrawContents(world.deps, ['hello'])
    await followPublished(world.deps)
    await stopContent(world.deps, 'hello')
    await isNow(daysIn(1))
    expect(await statesOf('guide-2')).toEqual([['done', 'content_withdrawn']])
    expect(await statesOf('guide-1')).toEqual([['created', 'content_withdrawn']])
    await isNow(daysIn(16))
    expect(await statesOf('guide-1')).toEqual([['unknown', GONE]])
    expect(await touchOf('m1')).toMatchObject({ state: 'suppressed', reason: 'content_withdrawn' })
  })
})
