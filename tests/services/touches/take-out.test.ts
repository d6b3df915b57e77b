import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import type { WecomRelation } from '../../../src/domain/wecom/mirror.js'
import { relationId } from '../../../src/domain/wecom/relation.js'
import { followPublished } from '../../../src/services/definitions/follow-published.js'
import { withdrawContents } from '../../../src/services/definitions/publish-definitions.js'
import { processBatches } from '../../../src/services/ingest/process-batches.js'
import { resumeRuns } from '../../../src/services/journeys/resume-runs.js'
import { releaseTouches } from '../../../src/services/touches/release-touches.js'
import { sendDispatches } from '../../../src/services/touches/send-dispatches.js'
import { takeBackOptedOut, takeBackTouches } from '../../../src/services/touches/take-back.js'
import { supersedeCard } from '../../../src/services/touches/stop-dispatch.js'
import { takeOut } from '../../../src/services/touches/take-out.js'
import { stopContent } from '../../../src/services/touches/withdraw-content.js'
import { handOver } from '../../../src/services/wecom/hand-over.js'
import { loseContact } from '../../../src/services/wecom/lose-contact.js'
import { HOUR_MS } from '../../../src/time.js'
import { around } from '../../support/around.js'
import {
  buildWorld,
  contactRecord,
  type EventHome,
  eventRecord,
  openEventHome,
  type World,
} from '../../support/build-deps.js'

let home: EventHome
beforeAll(async () => {
  home = await openEventHome()
})
afterAll(() => home.close())

const START = '2026-03-02T02:00:00Z' // 10:00 in Shanghai
const after = (hours: number) => new Date(Date.parse(START) + hours * HOUR_MS)

/** Customers of one guide, with one message ready for them all, or a card for each. */
async function ready(names: readonly string[], event = 'registered', then: readonly object[] = []): Promise<World> {
  const world = await buildWorld(home, {
    at: START,
    wecom: { relationsOf: () => Promise.resolve([relationOf('m1', 'active', 'guide-2')]) },
    definitions: {
      journeys: [
        {
          id: 'hello',
          enter: { on: 'registered' },
          exit: { on: 'order_paid' },
          steps: [{ send: { channel: 'wecom', content: 'hello' } }, ...then],
        },
        { id: 'call', enter: { on: 'asked' }, steps: [{ task: { title: 'Call', script: 'hello', due: '2d' } }] },
        { id: 'call-too', enter: { on: 'asked' }, steps: [{ task: { title: 'Too', script: 'hello', due: '1d' } }] },
        { id: 'call-later', enter: { on: 'viewed' }, steps: [{ task: { title: 'Then', script: 'hello', due: '1d' } }] },
      ],
      contents: [{ id: 'hello', text: 'hello' }],
    },
  })
  await world.accept('in', ...names.flatMap((n) => [contactRecord(n, START), eventRecord(n, event, START)]))
  await processBatches(world.deps)
  await resumeRuns(world.deps)
  await releaseTouches(world.deps)
  return world
}

function relationOf(name: string, state: WecomRelation['state'], userId = 'guide-1'): WecomRelation {
  const externalUserId = `wm-${name}`
  return {
    _id: relationId(userId, externalUserId),
    userId,
    externalUserId,
    contact: {},
    follow: { mobiles: [], tagIds: [], addedAt: new Date(0) },
    state,
    ...(state !== 'active' && { endedAt: new Date(START) }),
    hash: '',
    revision: 1,
    readAt: new Date(START),
  }
}

/** A dispatch that is found again and again would be looked for without end. */
function bounded(world: World): World['deps'] {
  let finds = 0
  const dispatches = new Proxy(world.deps.docs.dispatches, {
    get: (target, key) => {
      const value: unknown = Reflect.get(target, key)
      if (key !== 'find' || typeof value !== 'function') return value
      return (...args: unknown[]): unknown => {
        if (++finds > 200) throw new Error('the lane spins')
        return (value as (...given: unknown[]) => unknown).apply(target, args)
      }
    },
  })
  return { ...world.deps, docs: { ...world.deps.docs, dispatches } }
}

type Road = { event?: string; first?: (world: World) => Promise<unknown>; act: (world: World) => Promise<unknown> }

/** Ways on which a customer leaves a dispatch that nothing was asked for, or the dispatch ends. */
const ROADS: Readonly<Record<string, Road>> = {
  'she leaves the journey': {
    act: (world) => takeBackTouches(world.deps.docs, { runId: 'hello:1:0' }, 'exited', new Date(START)),
  },
  'she leaves the journeys for which she was to be called': {
    event: 'asked',
    act: async (world) => {
      for (const runId of ['call:1:0', 'call-too:1:0'])
        await takeBackTouches(world.deps.docs, { runId }, 'exited', new Date(START))
    },
  },
  'she says stop': { act: (world) => saysStop(world) },
  'she says stop, and she was to be called': { event: 'asked', act: (world) => saysStop(world) },
  'she says stop, and her guide has been told to call her': {
    event: 'asked',
    first: (world) => sendDispatches(world.deps),
    act: (world) => saysStop(world),
  },
  'there is one more reason to call her than her guide was told': {
    event: 'asked',
    first: async (world) => {
      await sendDispatches(world.deps)
      await world.accept('more', eventRecord('m1', 'viewed', START))
      await processBatches(world.deps)
      await resumeRuns(world.deps)
    },
    act: (world) => releaseTouches(world.deps),
  },
  'the mirror says that she is lost': {
    first: (world) => world.docs.wecomRelations.put([relationOf('m1', 'lost')]),
    act: (world) => sendDispatches(bounded(world)),
  },
  'the mirror says that she is lost, and she was to be called': {
    event: 'asked',
    first: (world) => world.docs.wecomRelations.put([relationOf('m1', 'lost')]),
    act: (world) => sendDispatches(bounded(world)),
  },
  'WeCom tells that she is lost': {
    first: (world) => world.docs.wecomRelations.put([relationOf('m1', 'active')]),
    act: (world) =>
      loseContact(
        world.deps,
        { kind: 'contact_lost', by: 'customer', userId: 'guide-1', externalUserId: 'wm-m1', at: new Date(START) },
        'callback:1',
      ),
  },
  'she changes hands': {
    first: (world) => world.docs.wecomRelations.put([relationOf('m1', 'active')]),
    act: (world) =>
      handOver(world.deps, {
        id: 't',
        from: 'guide-1',
        to: 'guide-2',
        externalUserId: 'wm-m1',
        at: new Date(START),
      }),
  },
  'its words are withdrawn': {
    first: async (world) => {
      await withdrawContents(world.deps, ['hello'])
      await followPublished(world.deps)
    },
    act: (world) => stopContent(world.deps, 'hello'),
  },
  'its words are found withdrawn when it is sent': {
    first: async (world) => {
      await withdrawContents(world.deps, ['hello'])
      await followPublished(world.deps)
    },
    act: (world) => sendDispatches(bounded(world)),
  },
}

function saysStop(world: World): Promise<void> {
  return takeBackOptedOut(world.deps.docs, [{ _id: 1, optedOutAt: new Date(START) }], new Date(START))
}

async function stateOf(world: World) {
  return {
    touches: (await world.docs.touches.find({})).map((t) => [t._id, t.state, t.reason]),
    dispatches: (await world.docs.dispatches.find({})).map((d) => [d.state, d.reason, d.nextAt === undefined]),
    tasks: (await world.docs.tasks.find({})).map((t) => [t.state, t.outcome]),
    sent: [...world.wecom.sent, ...world.task.sent].map((d) => [d.sender, d.recipients]),
  }
}

/** Goes the road, dies at its n-th write and comes back; without `n` it does not die. */
async function live({ event, first, act }: Road, names: readonly string[], n?: number) {
  const world = await ready(names, event)
  try {
    await first?.(world)
    const before = world.faults.writes
    world.faults.failAt = n === undefined ? undefined : before + n
    let died = false
    const again = async (work: () => Promise<unknown>) => {
      try {
        await work()
      } catch (err) {
        if (!(err instanceof Error) || !err.message.startsWith('crash at write')) throw err
        died = true
        world.faults.revive()
        expect(await world.docs.dispatches.count({ state: 'ready', recipients: [] })).toBe(0)
        await work()
      }
    }
    await again(() => act(world))
    const writes = world.faults.writes - before
    await again(() => sendDispatches(bounded(world)))
    world.faults.failAt = undefined
    await world.until(after(1))
    const state = await stateOf(world)
    const open = await world.docs.dispatches.count({ state: { $in: ['new', 'ready', 'sending'] } })
    const planned = await world.docs.touches.count({ state: 'planned' })
    return { writes, died, state, open, planned }
  } finally {
    await world.close()
  }
}

describe.each([
  ['for her alone', ['m1']],
  ['for others as well', ['m1', 'm2']],
])('a dispatch %s', (_what, names) => {
  it.each(Object.entries(ROADS))(
    'ends the same, whichever write is the last before a death: %s',
    async (_name, road) => {
      const undisturbed = await live(road, names)
      expect(undisturbed).toMatchObject({ open: 0, planned: 0 })
      expect(undisturbed.writes).toBeGreaterThan(0)
      for (let n = 1; n <= undisturbed.writes; n++) {
        const { died, open, planned, state } = await live(road, names, n)
        expect({ n, died, open, planned, touches: state.touches, sent: state.sent, tasks: state.tasks }).toEqual({
          ...{ n, died: true, open: 0, planned: 0, touches: undisturbed.state.touches },
          ...{ sent: undisturbed.state.sent, tasks: undisturbed.state.tasks },
        })
      }
    },
  )
})

it('a card that ends for one more reason, and this goes when its maker dies: the others go out', async () => {
  for (let n = 1, died = true; died; n++) {
    const world = await ready(['m1'], 'asked')
    try {
      await world.accept('more', eventRecord('m1', 'viewed', START))
      await processBatches(world.deps)
      await resumeRuns(world.deps)
      world.faults.failAt = world.faults.writes + n
      died = await releaseTouches(world.deps).then(
        () => false,
        () => true,
      )
      world.faults.failAt = undefined
      world.faults.revive()
      await takeBackTouches(world.docs, { runId: 'call-later:1:0' }, 'exited', new Date(START))
      await world.until(after(1))
      const open = await world.docs.tasks.find({ state: 'open' })
      const shown = world.task.sent.filter((card) => !world.task.cancelled.includes(card.id))
      expect({ n, open: open.map((t) => t.touchIds), shown: shown.map((card) => card.id) }).toEqual({
        ...{ n, open: [['call-too:1:0/0', 'call:1:0/0']] },
        shown: open.map((t) => t._id),
      })
      expect(await world.docs.touches.count({ state: 'planned' })).toBe(0)
    } finally {
      await world.close()
    }
  }
})

describe.each([
  ['a message', 'registered', 'hello:1:0'],
  ['a card', 'asked', 'call:1:0'],
])('%s that is to end while its touches are being marked', (_what, event, runId) => {
  const now = new Date(START)
  const withdraw = async (world: World) => {
    await withdrawContents(world.deps, ['hello'])
    await followPublished(world.deps)
    await stopContent(world.deps, 'hello')
  }
  const leave = (world: World) => takeBackTouches(world.docs, { runId }, 'exited', now)
  const moreToTell = (world: World) => supersedeCard(world.docs, 'none', now)

  it.each([
    ['its words are withdrawn', withdraw],
    ['she leaves', leave],
    ['nobody ends it', moreToTell],
  ])('leaves no touch that waits for ever, also when its maker dies: %s', async (_why, end) => {
    for (const dies of [undefined, 'before', 'after'] as const) {
      const world = await ready([], event)
      try {
        await world.accept('in', contactRecord('m1', START), eventRecord('m1', event, START))
        await processBatches(world.deps)
        await resumeRuns(world.deps)
        const isMarking = (args: readonly unknown[]) => JSON.stringify(args).includes('"dispatchId":"')
        const maker = around(world.deps, 'touches', 'updateEach', async (_n, args) => {
          if (!isMarking(args)) return
          if (dies === 'after') await world.docs.touches.updateEach(args[0] as never)
          await end(world)
          if (dies === undefined) return
          world.faults.failAt = world.faults.writes + 1
          throw new Error('the maker dies')
        })
        await releaseTouches(maker).then(
          () => expect(dies).toBe(undefined),
          (err: unknown) => expect(String(err)).toContain('crash at write'),
        )
        world.faults.failAt = undefined
        world.faults.revive()
        await world.until(after(1))
        expect(await world.docs.touches.count({ state: 'planned' })).toBe(0)
        expect(await world.docs.dispatches.count({ state: { $in: ['new', 'ready', 'sending'] } })).toBe(0)
        const gone = { withdraw: [], leave: ['call-too:1:0/0'].filter(() => event === 'asked') }
        const expected = end === withdraw ? gone.withdraw : end === leave ? gone.leave : undefined
        const created = (await world.docs.touches.find({ state: 'created' })).map((t) => t._id)
        if (expected === undefined) expect(created.length).toBeGreaterThan(0)
        else expect(created).toEqual(expected)
      } finally {
        await world.close()
      }
    }
  })
})

it('of two who leave at the same time the last one ends it', async () => {
  const world = await ready(['m1', 'm2'])
  try {
    const [dispatch] = await world.docs.dispatches.find({})
    expect(dispatch!.recipients).toHaveLength(2)
    const leave = (id: string) => takeOut(world.docs, dispatch!._id, (r) => r.externalUserId === id, 'lost_contact')
    await Promise.all(['wm-m1', 'wm-m2'].map(leave))
    expect(await world.docs.dispatches.get(dispatch!._id)).toMatchObject({ state: 'refused', recipients: [] })
  } finally {
    await world.close()
  }
})

it('one that is found ready and for nobody ends; the lane does not look for it without end', async () => {
  const world = await ready(['m1'])
  try {
    const [dispatch] = await world.docs.dispatches.find({})
    await world.docs.dispatches.update(dispatch!._id, { $set: { recipients: [] } })
    await sendDispatches(bounded(world))
    expect(await world.docs.dispatches.get(dispatch!._id)).toMatchObject({ state: 'refused', reason: 'no_recipient' })
  } finally {
    await world.close()
  }
})

describe('two customers who are found to be one', () => {
  it('are written to once, where a message is ready for both', async () => {
    const world = await ready(['m1', 'm2'], 'registered', [{ wait: '1d' }])
    try {
      expect((await world.docs.dispatches.find({})).map((d) => d.recipients.length)).toEqual([2])
      const identifiers = ['m1', 'm2'].map((value) => ({ type: 'member_id', value }))
      await world.accept('one', { identifiers })
      await processBatches(world.deps)
      expect(await world.docs.merges.count({})).toBe(1)
      await sendDispatches(world.deps)
      expect(world.wecom.sent.flatMap((m) => m.recipients.map((r) => r.to))).toEqual(['wm-m1'])
      const touches = await world.docs.touches.find({})
      expect(touches.map((t) => [t._id, t.state])).toEqual([
        ['hello:1:0/0', 'created'],
        ['hello:2:0/0', 'suppressed'],
      ])
    } finally {
      await world.close()
    }
  })
})
