import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import type { LogFields } from '../../../src/log.js'
import { countHeldTouches, listHeldTouches } from '../../../src/services/touches/held-touches.js'
import { correctContent } from '../../../src/services/touches/correct-content.js'
import { stopContent } from '../../../src/services/touches/withdraw-content.js'
import type { CarrierName } from '../../../src/domain/touches/channels.js'
import type { DispatchDoc } from '../../../src/stored/touches.js'
import { HOUR_MS, MINUTE_MS } from '../../../src/time.js'
import {
  buildWorld,
  contactRecord,
  type EventHome,
  eventRecord,
  openEventHome,
  type World,
} from '../../support/build-deps.js'

let home: EventHome
let world: World
let errors: { fact: string; fields: LogFields | undefined }[]
const EVENING = '2026-03-02T13:00:00Z' // 21:00 in Shanghai: what is planned waits for the morning
const MORNING = '2026-03-03T01:00:00Z'
const after = (ms: number) => new Date(Date.parse(MORNING) + ms)

const DEFINITIONS = {
  journeys: [{ id: 'hello', enter: { on: 'registered' }, steps: [{ send: { channel: 'wecom', content: 'hello' } }] }],
  contents: [{ id: 'hello', text: 'hello' }],
}

beforeAll(async () => {
  home = await openEventHome()
})
afterAll(() => home.close())
beforeEach(async () => {
  world = await buildWorld(home, {
    at: EVENING,
    definitions: DEFINITIONS,
  })
  errors = []
  world.deps.log = { ...world.deps.log, error: (fact, fields) => void errors.push({ fact, fields }) }
})
afterEach(() => world.close())

async function registers(...names: string[]): Promise<void> {
  const now = world.clock.now()
  await world.accept(
    names.join(),
    ...names.flatMap((n) => [contactRecord(n, EVENING), eventRecord(n, 'registered', now)]),
  )
  await world.run()
}

/** The name is a newer version's, which types cannot know. */
const LETTER = 'letter' as CarrierName
/** As a newer version of this program has stored them. */
const letters = (...touchIds: string[]) =>
  world.docs.touches.updateMany({ _id: { $in: touchIds } }, { $set: { channel: LETTER } })

const reached = () => world.wecom.sent.flatMap((d) => d.recipients.map((r) => r.to)).sort()

describe('a touch whose channel this version does not know', () => {
  it('waits and says so; the others go out', async () => {
    await registers('m1', 'm2', 'm3')
    await letters('hello:1:0/0')
    await world.until(MORNING)
    expect(reached()).toEqual(['wm-m2', 'wm-m3'])
    expect(await world.docs.touches.get('hello:1:0/0')).toMatchObject({
      state: 'planned',
      releaseAt: after(10 * MINUTE_MS),
    })
    expect(errors).toEqual([
      {
        fact: 'touches cannot be released here',
        fields: { cause: 'this version knows no channel "letter"', touches: 1 },
      },
    ])
    expect(await listHeldTouches(world.docs)).toEqual({
      touches: 1,
      channels: [{ channel: 'letter', touches: 1 }],
      unsettled: [],
    })
  })

  it('goes out once a version that knows it takes over', async () => {
    await registers('m1')
    await letters('hello:1:0/0')
    await world.until(after(HOUR_MS))
    await world.docs.touches.updateMany({}, { $set: { channel: 'wecom' } })
    await world.until(after(2 * HOUR_MS))
    expect(reached()).toEqual(['wm-m1'])
    expect(await countHeldTouches(world.docs)).toBe(0)
  })

  it('that was released before uses none of the quota of mass messages', async () => {
    await registers('m1')
    await world.until(MORNING)
    await letters('hello:1:0/0')
    world.deps.definitions.current.policy.wecomQuota.mode = 'day_1'
    await world.docs.touches.insert([
      {
        ...(await world.docs.touches.get('hello:1:0/0'))!,
        _id: 'another',
        channel: 'wecom',
        state: 'planned',
        releaseAt: new Date(MORNING),
      },
    ])
    await world.docs.touches.update('another', { $unset: { dispatchId: 1, releasedAt: 1 } })
    await world.run()
    expect(await world.docs.touches.get('another')).toMatchObject({ state: 'created' })
  })
})

describe('a dispatch whose channel this version does not know', () => {
  const STATES = ['new', 'ready', 'sending', 'created'] as const

  async function inFlight(): Promise<DispatchDoc[]> {
    await registers('m1', 'm2')
    await world.until(MORNING)
    const known = (await world.docs.dispatches.find({}))[0]!
    const unknown = STATES.map((state) => ({
      ...known,
      _id: `letter-${state}`,
      channel: LETTER,
      state,
      nextAt: after(-HOUR_MS),
    }))
    await world.docs.dispatches.insert(unknown)
    return unknown
  }
  const letterDispatches = () => world.docs.dispatches.find({ channel: LETTER })

  it('stays as it is in whatever state, and what others were sent is still sent and settled', async () => {
    const unknown = await inFlight()
    world.wecom.result = (d) => ({
      confirmedAt: after(HOUR_MS),
      recipients: d.recipients.map(({ to }) => ({ to, state: 'delivered', at: after(HOUR_MS) })),
      final: true,
    })
    await world.until(after(2 * HOUR_MS))
    await registers('m3')
    await world.until(after(8 * HOUR_MS))
    expect(reached()).toEqual(['wm-m1', 'wm-m2', 'wm-m3'])
    expect((await world.docs.touches.find({})).map((t) => t.state)).toEqual(['delivered', 'delivered', 'delivered'])
    expect(await letterDispatches()).toEqual(unknown.sort((a, b) => (a._id < b._id ? -1 : 1)))
  })

  it('keeps its words when they are corrected, and is ended when they are withdrawn', async () => {
    await inFlight()
    await world.publish({ ...DEFINITIONS, contents: [{ id: 'hello', text: 'corrected' }] })
    await correctContent(world.deps, 'hello')
    expect((await letterDispatches()).map((d) => d.content.text)).toEqual(STATES.map(() => 'hello'))
    await stopContent(world.deps, 'hello')
    await world.run()
    expect((await letterDispatches()).map((d) => [d._id, d.state, d.reason])).toEqual([
      ['letter-created', 'created', 'content_withdrawn'],
      ['letter-new', 'refused', 'content_withdrawn'],
      ['letter-ready', 'refused', 'content_withdrawn'],
      ['letter-sending', 'sending', 'content_withdrawn'],
    ])
  })
})
