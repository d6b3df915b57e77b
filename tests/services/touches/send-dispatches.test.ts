import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { createWecomClient } from '../../../src/adapters/wecom/client.js'
import { createWecomChannel } from '../../../src/adapters/wecom/channels/wecom.js'
import { quietLog } from '../../../src/log.js'
import { acceptCard } from '../../../src/services/wecom/accept-callbacks.js'
import { sendDispatches } from '../../../src/services/touches/send-dispatches.js'
import { exitRun } from '../../../src/services/journeys/enter-journeys.js'
import { switchSending } from '../../../src/services/touches/switch-sending.js'
import type { DispatchOutcome } from '../../../src/ports/channel.js'
import type { Update } from '../../../src/ports/document-language.js'
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
import type { FakeChannel } from '../../support/fake-channel.js'

let home: EventHome
let world: World
const START = '2026-03-02T02:00:00Z' // 10:00 in Shanghai
const hoursIn = (hours: number) => new Date(Date.parse(START) + hours * HOUR_MS)

beforeAll(async () => {
  home = await openEventHome()
})
afterAll(() => home.close())
beforeEach(async () => {
  world = await buildWorld(home, {
    at: START,
    definitions: {
      journeys: [
        {
          id: 'hello',
          enter: { on: 'registered' },
          exit: { on: 'order_paid' },
          steps: [{ send: { channel: 'wecom', content: 'hello' } }],
        },
        {
          id: 'care',
          enter: { on: 'tried' },
          exit: { on: 'order_paid' },
          steps: [{ task: { title: 'Call', script: 'hello', due: '2d' } }],
        },
        { id: 'call', enter: { on: 'asked' }, steps: [{ task: { title: 'Call', script: 'hello', due: '2d' } }] },
        { id: 'call-too', enter: { on: 'asked' }, steps: [{ task: { title: 'Too', script: 'hello', due: '1d' } }] },
      ],
      contents: [{ id: 'hello', text: 'hello' }],
    },
  })
})
afterEach(() => world.close())

async function happens(key: string, event: string, names: string[]): Promise<void> {
  await world.accept(key, ...names.flatMap((n) => [contactRecord(n, START), eventRecord(n, event, world.clock.now())]))
  await world.run()
}

const BUSY: DispatchOutcome = { kind: 'later', afterMs: 10 * MINUTE_MS, reason: 'busy' }

const states = async () => (await world.docs.touches.find({})).map((t) => t.reason ?? t.state)
const dispatchStates = async () => (await world.docs.dispatches.find({})).map((d) => d.state)

describe('a request whose outcome is unknown', () => {
  beforeEach(() => {
    world.wecom.answer = () => ({ kind: 'unknown', reason: 'time-out' })
  })

  it('that arrived is found by reading back, and asked for once', async () => {
    await happens('a', 'registered', ['m1'])
    expect(await states()).toEqual(['created'])
    await world.until(hoursIn(30))
    expect([...world.wecom.asked.values()]).toEqual([1])
    expect(world.wecom.sent).toHaveLength(1)
  })

  it('that certainly never arrived is asked for again, a minute later', async () => {
    world.wecom.unknownArrives = false
    await happens('a', 'registered', ['m1'])
    expect(await states()).toEqual(['planned'])
    world.wecom.answer = (d) => ({ kind: 'created', remoteId: d.id, refused: [] })
    await world.until(new Date(hoursIn(0).getTime() + MINUTE_MS))
    expect(world.wecom.sent.map((s) => s.at)).toEqual([new Date(hoursIn(0).getTime() + MINUTE_MS)])
    expect(await states()).toEqual(['created'])
  })

  it('that cannot be settled is shown as unknown and never sent again', async () => {
    world.wecom.readBack = () => ({ kind: 'unknown', reason: 'the list is not complete' })
    await happens('a', 'registered', ['m1'])
    expect(await states()).toEqual(['unknown'])
    expect(await dispatchStates()).toEqual(['unknown'])
    await world.until(hoursIn(24 * 10))
    expect([...world.wecom.asked.values()]).toEqual([1])
  })
})

describe('after a crash between asking and noting the answer', () => {
  it.each([
    ['it arrived', true, 1],
    ['it never arrived', false, 2],
  ])('%s: it is there once', async (_what, arrives, asked) => {
    const answer = world.wecom.answer
    world.wecom.answer = (d) => {
      if (arrives) world.wecom.sent.push({ ...d, at: world.clock.now() })
      world.faults.failAt = world.faults.writes + 1
      throw new Error('no answer')
    }
    await expect(happens('a', 'registered', ['m1'])).rejects.toThrow('crash at write')
    expect(await dispatchStates()).toEqual(['sending'])
    world.faults.failAt = undefined
    world.faults.revive()
    world.wecom.answer = answer
    await world.run()
    expect(world.wecom.sent).toHaveLength(1)
    expect([...world.wecom.asked.values()]).toEqual([asked])
    expect(await states()).toEqual(['created'])
  })
})

describe('answers', () => {
  it('later: tried again not before that, and given up as refused after eight times', async () => {
    const asked: Date[] = []
    world.wecom.answer = () => {
      asked.push(world.clock.now())
      return { kind: 'later', afterMs: 10 * MINUTE_MS, reason: 'rate limit' }
    }
    await happens('a', 'registered', ['m1'])
    await world.until(hoursIn(5))
    expect(asked).toEqual(Array.from({ length: 8 }, (_, i) => new Date(hoursIn(0).getTime() + i * 10 * MINUTE_MS)))
    expect(await states()).toEqual(['refused'])
  })

  it('refused: nobody got it, and nobody is asked again', async () => {
    world.wecom.answer = () => ({ kind: 'refused', reason: 'bad_content', message: 'no' })
    await happens('a', 'registered', ['m1', 'm2'])
    await world.until(hoursIn(100))
    expect(await states()).toEqual(['refused', 'refused'])
    expect([...world.wecom.asked.values()]).toEqual([1])
  })

  it('created without some: those are told apart', async () => {
    world.wecom.answer = (d) => ({
      kind: 'created',
      remoteId: d.id,
      refused: [{ to: 'wm-m2', reason: 'not a contact' }],
    })
    await happens('a', 'registered', ['m1', 'm2'])
    expect(await states()).toEqual(['created', 'not_a_contact'])
  })

  it('a refused card closes its task and the touches that had joined it', async () => {
    world.task.answer = () => ({ kind: 'refused', reason: 'no_agent', message: 'no' })
    await happens('a', 'asked', ['m1'])
    expect(await states()).toEqual(['refused', 'refused'])
    expect((await world.docs.tasks.find({})).map((t) => t.state)).toEqual(['expired'])
  })

  it('the stop switch ends a call between two sends', async () => {
    world.wecom.answer = (d) => {
      void switchSending(world.docs, 'stop', world.clock.now())
      return { kind: 'created', remoteId: d.id, refused: [] }
    }
    await world.accept('a', contactRecord('m1', START, 'guide-1'), contactRecord('m2', START, 'guide-2'))
    await world.accept('b', eventRecord('m1', 'registered', START), eventRecord('m2', 'registered', START))
    await world.run()
    expect(world.wecom.sent).toHaveLength(1)
    expect((await dispatchStates()).sort()).toEqual(['created', 'ready'])
  })
})

describe('results', () => {
  it('become states: confirmed first, then delivered, over quota or not a contact', async () => {
    world.wecom.result = (d, now) => {
      const late = now >= hoursIn(5)
      const told = new Map([
        ['wm-m1', 'delivered' as const],
        ['wm-m2', 'over_quota' as const],
        ['wm-m3', 'not_a_contact' as const],
      ])
      return {
        confirmedAt: hoursIn(1),
        final: late,
        recipients: d.recipients.map((r) => ({
          to: r.to,
          state: late ? told.get(r.to)! : 'waiting',
          at: hoursIn(2),
        })),
      }
    }
    await happens('a', 'registered', ['m1', 'm2', 'm3'])
    await world.until(hoursIn(2))
    expect(await states()).toEqual(['confirmed', 'confirmed', 'confirmed'])
    await world.until(hoursIn(24))
    expect(await states()).toEqual(['delivered', 'quota', 'not_a_contact'])
    expect((await world.docs.touches.get('hello:1:0/0'))?.deliveredAt).toEqual(hoursIn(2))
    expect(await dispatchStates()).toEqual(['done'])
  })

  it('that never come expire after the time to confirm, and the message is taken back', async () => {
    world.wecom.result = (d) => ({
      final: false,
      recipients: d.recipients.map((r) => ({ to: r.to, state: 'waiting' })),
    })
    await happens('a', 'registered', ['m1'])
    await world.until(new Date(hoursIn(72).getTime() - 1))
    expect(await states()).toEqual(['created'])
    await world.until(hoursIn(72))
    expect(await states()).toEqual(['expired'])
    expect(world.wecom.cancelled).toHaveLength(1)
  })

  it('that came just before it was taken back count', async () => {
    world.wecom.result = (d) => {
      const confirmed = world.wecom.cancelled.length > 0
      return {
        ...(confirmed ? { confirmedAt: hoursIn(71) } : {}),
        final: false,
        recipients: d.recipients.map((r) => ({ ...r, state: confirmed ? 'delivered' : 'waiting' })),
      }
    }
    await happens('a', 'registered', ['m1'])
    await world.until(hoursIn(73))
    expect(await states()).toEqual(['delivered'])
  })

  it.each([
    ['bought', 'order_paid', 'exited'],
    ['said stop', 'opted_out', 'opted_out'],
  ])('of one of two who %s meanwhile: the message stays for the other', async (_what, event, reason) => {
    world.wecom.answer = () => ({ kind: 'later', afterMs: 10 * MINUTE_MS, reason: 'busy' })
    await happens('a', 'registered', ['m1', 'm2'])
    await world.until(hoursIn(0.1))
    await happens('b', event, ['m1'])
    world.wecom.answer = (d) => ({ kind: 'created', remoteId: d.id, refused: [] })
    await world.until(hoursIn(1))
    expect(world.wecom.sent.flatMap((d) => d.recipients.map((r) => r.to))).toEqual(['wm-m2'])
    expect(await states()).toEqual([reason, 'created'])
  })

  it.each([
    ['alone', ['m1'], ['exited'], []],
    ['with somebody else', ['m1', 'm2'], ['exited', 'created'], ['wm-m2']],
  ])(
    'of who buys while it is asked for, %s, and is put off then: it is not asked for again',
    async (_how, who, ends, to) => {
      const { channels } = world.deps
      const askedFor = async () => {
        await exitRun(world.deps, 'hello:1:0', world.clock.now())
        return BUSY
      }
      world.deps.channels = {
        ...channels,
        wecom: new Proxy(channels['wecom'], {
          get: (target, key) => (key === 'dispatch' ? askedFor : (Reflect.get(target, key) as unknown)),
        }),
      }
      await happens('a', 'registered', who)
      expect((await world.docs.runs.find({})).map((run) => run.outcome)).toEqual(who.map(() => 'finished'))
      world.deps.channels = channels
      await world.until(hoursIn(1))
      expect(world.wecom.sent.flatMap((d) => d.recipients.map((r) => r.to))).toEqual(to)
      expect(await states()).toEqual(ends)
    },
  )

  it('of who buys while it is asked for, and whom this guide cannot reach: no other guide tries', async () => {
    const { channels } = world.deps
    const askedFor = async (): Promise<DispatchOutcome> => {
      await exitRun(world.deps, 'hello:1:0', world.clock.now())
      return { kind: 'created', remoteId: 'msg', refused: [{ to: 'wm-m1', reason: 'no' }] }
    }
    world.deps.channels = {
      ...channels,
      wecom: new Proxy(channels['wecom'], {
        get: (target, key) => (key === 'dispatch' ? askedFor : (Reflect.get(target, key) as unknown)),
      }),
    }
    await happens('a', 'registered', ['m1', 'm2'])
    expect(await states()).toEqual(['exited', 'created'])
  })

  it('is asked for no more once the switch is turned, though it was claimed before', async () => {
    const { dispatches } = world.docs
    world.deps.docs = {
      ...world.deps.docs,
      dispatches: Object.assign(Object.create(dispatches) as typeof dispatches, {
        findOneAndUpdate: async (...asked: Parameters<typeof dispatches.findOneAndUpdate>) => {
          const claimed = await dispatches.findOneAndUpdate(...asked)
          await switchSending(world.docs, 'stop', world.clock.now())
          return claimed
        },
      }),
    }
    await happens('a', 'registered', ['m1'])
    expect(world.wecom.sent).toEqual([])
    expect(await dispatchStates()).toEqual(['ready'])
  })

  it.each([
    ['was put off by the platform', true],
    ['waited for the stop switch', false],
  ])('of what %s: who says stop meanwhile gets nothing', async (_what, isPutOff) => {
    if (isPutOff) world.wecom.answer = () => ({ kind: 'later', afterMs: 10 * MINUTE_MS, reason: 'busy' })
    else world.wecom.answer = () => (void switchSending(world.docs, 'stop', world.clock.now()), BUSY)
    await happens('a', 'registered', ['m1'])
    await happens('b', 'opted_out', ['m1'])
    world.wecom.answer = (d) => ({ kind: 'created', remoteId: d.id, refused: [] })
    await switchSending(world.docs, 'resume', world.clock.now())
    await world.until(hoursIn(1))
    expect(world.wecom.sent).toEqual([])
    expect(await states()).toEqual(['opted_out'])
  })

  it('of an opt-out that came late, after she has agreed again: nothing is taken back', async () => {
    await happens('a', 'registered', ['m1'])
    await world.accept('in', eventRecord('m1', 'opted_in', hoursIn(0)))
    await world.accept('out', eventRecord('m1', 'opted_out', hoursIn(-1)))
    await world.run()
    expect(await states()).toEqual(['created'])
    expect(world.wecom.cancelled).toEqual([])
  })

  it.each([
    ['said stop', 'opted_out', 'opted_out'],
    ['bought', 'order_paid', 'exited'],
  ])('of somebody who %s meanwhile: her card is taken back, and says so', async (_what, event, reason) => {
    world.task.answer = (d) => ({ kind: 'created', remoteId: d.id, responseCode: 'code', refused: [] })
    await happens('a', 'tried', ['m1'])
    await world.until(hoursIn(1))
    await happens('b', event, ['m1'])
    expect(await states()).toEqual([reason])
    expect(await world.docs.tasks.find({})).toMatchObject([{ state: 'expired', outcome: reason }])
    expect(world.task.closed).toMatchObject([{ responseCode: 'code' }])
  })

  it('of somebody who left meanwhile: a message for her alone is taken back at once', async () => {
    world.wecom.result = (d) => ({
      final: false,
      recipients: d.recipients.map((r) => ({ to: r.to, state: 'waiting' })),
    })
    await happens('a', 'registered', ['m1'])
    await world.until(hoursIn(1))
    await happens('b', 'order_paid', ['m1'])
    expect(world.wecom.cancelled).toHaveLength(1)
    expect(await states()).toEqual(['exited'])
  })
})

describe('a card', () => {
  async function press(key: string, contentKey = key, userId = 'guide-1', taskId?: string): Promise<boolean> {
    const [task] = await world.docs.tasks.find({})
    const isNew = await acceptCard(world.deps, contentKey, {
      kind: 'card',
      taskId: taskId ?? task!._id,
      key,
      userId,
      responseCode: `code-${key}`,
      selected: {},
      at: world.clock.now(),
    })
    await world.run()
    return isNew
  }

  it('closes the task, delivers every touch in it, and locks its buttons', async () => {
    await happens('a', 'asked', ['m1'])
    await world.until(hoursIn(1))
    expect(await press('done')).toBe(true)
    expect(await states()).toEqual(['delivered', 'delivered'])
    expect(await world.docs.tasks.find({})).toMatchObject([{ state: 'done', outcome: 'done', closedAt: hoursIn(1) }])
    expect(world.closedCards).toEqual(['code-done'])
  })

  it('that comes twice counts once', async () => {
    await happens('a', 'asked', ['m1'])
    expect([await press('done'), await press('done')]).toEqual([true, false])
    expect(world.closedCards).toHaveLength(1)
  })

  it('with “do not write” opts the customer out: nothing of it has reached her', async () => {
    await happens('a', 'asked', ['m1'])
    await press('stop')
    expect((await world.docs.profiles.get(1))?.optedOutAt).toEqual(hoursIn(0))
    expect(await states()).toEqual(['opted_out', 'opted_out'])
  })

  it('counts only when its guide presses it, however her id is written', async () => {
    await happens('a', 'asked', ['m1'])
    await press('done', 'x', 'guide-2')
    expect(await states()).toEqual(['created', 'created'])
    await press('done', 'y', 'Guide-1')
    expect(await states()).toEqual(['delivered', 'delivered'])
  })

  it('pressed after the task was due still counts', async () => {
    await happens('a', 'asked', ['m1'])
    await world.until(hoursIn(60))
    expect(await states()).toEqual(['expired', 'expired'])
    await press('interested')
    expect(await states()).toEqual(['delivered', 'delivered'])
  })

  it('on which one reason stands no more is made anew for the others', async () => {
    const now = world.clock.now()
    await world.accept('a', contactRecord('m1', START), ...['asked', 'tried'].map((e) => eventRecord('m1', e, now)))
    await world.run()
    await world.until(hoursIn(1))
    await happens('b', 'order_paid', ['m1'])
    const [old, card] = world.task.sent
    expect(world.task.cancelled).toEqual([old!.id])
    expect(old!.content.card?.title).toBe('Too；Call')
    const anew = await world.docs.tasks.get(card!.id)
    expect(anew).toMatchObject({ state: 'open', touchIds: ['call-too:1:0/0', 'call:1:0/0'] })
    expect((await states()).sort()).toEqual(['created', 'created', 'exited'])
    expect(await world.docs.tasks.get(old!.id)).toMatchObject({ state: 'expired', outcome: 'superseded' })
    // She had pressed the old one by then: the customer is not called a second time.
    await press('done', 'done', 'guide-1', old!.id)
    expect((await states()).sort()).toEqual(['delivered', 'delivered', 'delivered'])
    expect(await world.docs.tasks.count({ state: 'open' })).toBe(0)
    expect(world.task.cancelled).toEqual([old!.id, card!.id])
  })

  it('of which the last reason goes right after another says why, and nothing comes in its place', async () => {
    const call = (id: string) => ({
      ...{ id, enter: { on: 'tried' }, exit: { on: 'order_paid' } },
      steps: [{ task: { title: id, script: 'hello', due: '2d' } }],
    })
    await world.publish({ journeys: [call('aa'), call('bb')], contents: [{ id: 'hello', text: 'hello' }] })
    world.task.answer = (d) => ({ kind: 'created', remoteId: d.id, responseCode: 'code', refused: [] })
    await happens('a', 'tried', ['m1'])
    await world.until(hoursIn(1))
    await happens('b', 'order_paid', ['m1'])
    expect(world.task.sent).toHaveLength(1)
    expect(world.task.closed).toEqual([{ responseCode: 'code', text: '无需再联系' }])
    expect(await states()).toEqual(['exited', 'exited'])
  })

  it('that is being sent while one reason goes is made anew when it is looked at', async () => {
    const now = world.clock.now()
    const answer = world.task.answer
    world.task.answer = (d) => {
      void exitRun(world.deps, 'care:1:0', now)
      return answer(d)
    }
    await world.accept('a', contactRecord('m1', START), ...['asked', 'tried'].map((e) => eventRecord('m1', e, now)))
    await world.run()
    world.task.answer = answer
    await world.until(hoursIn(1))
    const [old, card] = world.task.sent
    expect(world.task.sent).toHaveLength(2)
    expect(world.task.cancelled).toEqual([old!.id])
    expect((await world.docs.tasks.get(card!.id))?.touchIds).toEqual(['call-too:1:0/0', 'call:1:0/0'])
    expect((await states()).sort()).toEqual(['created', 'created', 'exited'])
  })

  it('keeps its place among the caps when it expires, so that one pressed late is not one too many', async () => {
    await world.publish({
      journeys: [
        { id: 'call', enter: { on: 'asked' }, steps: [{ task: { title: 'Call', script: 'hello', due: '1d' } }] },
        { id: 'hello', enter: { on: 'registered' }, steps: [{ send: { channel: 'wecom', content: 'hello' } }] },
      ],
      contents: [{ id: 'hello', text: 'hello' }],
      policy: { caps: [{ max: 1, per: '3d' }] },
    })
    await happens('a', 'asked', ['m1'])
    await world.until(hoursIn(30))
    await happens('b', 'registered', ['m1'])
    await press('done')
    expect(world.wecom.sent).toEqual([])
    expect((await world.docs.touches.find({})).map((t) => [t.state, t.reason])).toEqual([
      ['delivered', undefined],
      ['planned', 'cap'],
    ])
    await world.until(hoursIn(73))
    expect(world.wecom.sent).toHaveLength(1)
  })

  it('pressed just before its reason went counts, though we hear of it later', async () => {
    await happens('a', 'tried', ['m1'])
    await world.until(hoursIn(1))
    await happens('b', 'order_paid', ['m1'])
    expect(await states()).toEqual(['exited'])
    await press('done')
    expect(await world.docs.touches.find({})).toMatchObject([{ state: 'delivered' }])
  })

  it('of a task that is not ours changes nothing', async () => {
    await acceptCard(world.deps, 'x', {
      kind: 'card',
      taskId: 'none',
      key: 'done',
      userId: 'g',
      selected: {},
      at: hoursIn(0),
    })
    await world.run()
    expect(await world.docs.batches.find({})).toEqual([])
  })
})

describe('a claim', () => {
  const claimed = (fence: number): Update<DispatchDoc> => ({
    $set: { state: 'sending', claim: { fence, until: new Date(world.clock.now().getTime() + 15_000) } },
  })
  /** One dispatch that the platform puts off for ten minutes. */
  const putOff = async (names: string[]) => {
    world.wecom.answer = () => ({ kind: 'later', afterMs: 10 * MINUTE_MS, reason: 'busy' })
    await happens('a', 'registered', names)
    world.wecom.answer = (d) => ({ kind: 'created', remoteId: d.id, refused: [] })
    return (await world.docs.dispatches.find({}))[0]!
  }
  const withDispatch = (dispatch: FakeChannel['dispatch']) =>
    Object.assign(Object.create(world.wecom) as FakeChannel, { dispatch })
  const inMinutes = (minutes: number) => new Date(hoursIn(0).getTime() + minutes * MINUTE_MS)

  it('that ran out before the request is given back, and nothing is asked', async () => {
    const { _id } = await putOff(['m1'])
    world.clock.set(inMinutes(10))
    let nowMs = 0
    world.deps.worker = { ...world.deps.worker, elapsedMs: () => nowMs }
    world.deps.channels.wecom = withDispatch((dispatch, isLate) => {
      nowMs += 15_000
      return world.wecom.dispatch(dispatch, isLate)
    })
    for (let time = 0; time < 10; time++) {
      await sendDispatches(world.deps)
      world.clock.set(new Date(world.clock.now().getTime() + 1_000))
    }
    expect(nowMs).toBe(150_000)
    expect(world.wecom.sent).toEqual([])
    // How often it happens counts for nothing: the platform has refused none of it.
    expect(await world.docs.dispatches.get(_id)).toMatchObject({ state: 'ready', attempts: 1, reason: 'too_late' })
    world.deps.channels.wecom = world.wecom
    await world.until(inMinutes(11))
    expect(world.wecom.sent).toHaveLength(1)
  })

  it('runs out in a machine that was suspended, whose own clock stood still', async () => {
    await putOff(['m1'])
    world.clock.set(inMinutes(10))
    world.deps.channels.wecom = withDispatch((dispatch, isLate) => {
      world.clock.set(new Date(inMinutes(10).getTime() + 15_000))
      return world.wecom.dispatch(dispatch, isLate)
    })
    await sendDispatches(world.deps)
    expect(world.wecom.sent).toEqual([])
    expect(await dispatchStates()).toEqual(['ready'])
  })

  it('ends for who stands still while its token is fetched: the other one sends, and nobody a second time', async () => {
    const sends: { msgid: string; text: { content: string } }[] = []
    const channelOf = (fetchToken: () => Promise<void>) => {
      const answer = async (api: string, body: unknown): Promise<object> => {
        if (api === 'gettoken') {
          await fetchToken()
          return { access_token: 'token', expires_in: 7200 }
        }
        if (api === 'externalcontact/add_msg_template') {
          const { text } = body as { text: { content: string } }
          const msgid = `msg${sends.length}`
          sends.push({ msgid, text })
          return { msgid, fail_list: [] }
        }
        const group_msg_list = sends.map((sent) => ({ ...sent, create_time: 1 }))
        return api === 'externalcontact/get_groupmsg_list_v2' ? { group_msg_list } : { send_list: [] }
      }
      const client = createWecomClient({
        ...{ corpId: 'ww1', agentId: 1, secret: 'secret', clock: world.clock, log: quietLog },
        pause: () => Promise.resolve(),
        timeoutSignal: () => new AbortController().signal,
        adapter: async (config) => {
          const body: unknown = config.data === undefined ? undefined : JSON.parse(String(config.data))
          const data = JSON.stringify({ errcode: 0, ...(await answer(String(config.url), body)) })
          return { data, status: 200, statusText: 'OK', headers: {}, config }
        },
      })
      return createWecomChannel({ client, clock: world.clock, pause: () => Promise.resolve() })
    }
    const workerWith = (fetchToken: () => Promise<void>) => ({
      ...world.deps,
      worker: { ...world.deps.worker, elapsedMs: () => world.clock.now().getTime(), alone: false },
      channels: { ...world.deps.channels, wecom: channelOf(fetchToken) },
    })
    await putOff(['m1'])
    world.clock.set(inMinutes(10))
    const other = workerWith(() => Promise.resolve())
    const still = workerWith(async () => {
      world.clock.set(new Date(inMinutes(10).getTime() + 80_000))
      await sendDispatches(other)
    })
    await sendDispatches(still)
    expect(sends).toHaveLength(1)
    expect(await world.docs.dispatches.find({})).toMatchObject([{ state: 'created', remoteId: 'msg0' }])
  })

  it('of somebody else is settled a minute after it was over', async () => {
    const { _id } = await putOff(['m1'])
    world.clock.set(inMinutes(10))
    world.deps.worker.alone = false
    await world.docs.dispatches.update(_id, claimed(9))
    await world.until(new Date(inMinutes(10).getTime() + 74_999))
    expect(await dispatchStates()).toEqual(['sending'])
    await world.until(new Date(inMinutes(10).getTime() + 75_000))
    expect(await dispatchStates()).toEqual(['created'])
    expect(world.wecom.sent).toHaveLength(1)
  })

  it('of a dead process is settled at once on stores that nobody else can reach', async () => {
    const { _id } = await putOff(['m1'])
    world.clock.set(inMinutes(10))
    await world.docs.dispatches.update(_id, claimed(9))
    await world.run()
    expect(await dispatchStates()).toEqual(['created'])
  })

  it('is lost by who answers late, once somebody else has settled it', async () => {
    const { _id } = await putOff(['m1'])
    world.clock.set(inMinutes(10))
    let nowMs = 0
    world.deps.worker = { ...world.deps.worker, elapsedMs: () => nowMs }
    const dispatch = async (): Promise<DispatchOutcome> => {
      nowMs = 75_000
      const found: Partial<DispatchDoc> = {
        state: 'created',
        remoteId: 'found',
        claim: { fence: 9, until: hoursIn(1) },
      }
      await world.docs.dispatches.update(_id, { $set: found })
      return { kind: 'refused', reason: 'gone', message: 'too late' }
    }
    world.deps.channels.wecom = withDispatch(dispatch)
    await world.run()
    expect(await world.docs.dispatches.get(_id)).toMatchObject({ state: 'created', remoteId: 'found' })
    expect(await states()).toEqual(['planned'])
  })
})

it('a card that never goes out gives back what had joined its task', async () => {
  world.task.answer = () => ({ kind: 'later', afterMs: HOUR_MS, reason: 'busy' })
  await happens('a', 'asked', ['m1'])
  world.task.answer = (d) => ({ kind: 'created', remoteId: d.id, refused: [] })
  const [dispatch] = await world.docs.dispatches.find({})
  const own = dispatch!.recipients[0]!.touchId
  // Its maker died before it was ready, and its own touch is not wanted any more.
  await world.docs.dispatches.update(dispatch!._id, { $set: { state: 'new', nextAt: hoursIn(0) } })
  await world.docs.touches.update(own, { $set: { state: 'suppressed', reason: 'opted_out' } })
  await world.run()
  expect(world.task.sent.flatMap((s) => s.recipients.map((r) => r.touchId))).toEqual([
    (await world.docs.touches.findOne({ state: 'created' }))!._id,
  ])
  expect((await states()).sort()).toEqual(['created', 'opted_out'])
})

it('a touch that was planned while its run was left is not released', async () => {
  await happens('a', 'registered', ['m1'])
  await world.accept('b', eventRecord('m1', 'order_paid', hoursIn(0), {}))
  await world.run()
  const [touch] = await world.docs.touches.find({})
  const { dispatchId: _dispatchId, releasedAt: _releasedAt, ...fresh } = touch!
  await world.docs.runs.update(touch!.runId, { $set: { state: 'ended', outcome: 'exited' } })
  await world.docs.touches.put([{ ...fresh, state: 'planned', releaseAt: hoursIn(0) }])
  await world.run()
  expect(await states()).toEqual(['exited'])
})

it('a touch that was planned while its person was being merged reaches the survivor', async () => {
  await happens('a', 'nothing', ['m1'])
  await world.accept('b', eventRecord('m2', 'nothing', hoursIn(0), {}))
  await world.run()
  const both = [
    { type: 'external_userid', value: 'wm-m1' },
    { type: 'member_id', value: 'm2' },
  ]
  await world.accept('c', { identifiers: both })
  await world.run()
  const merged = (await world.docs.profiles.find({ mergedInto: { $exists: true } }))[0]!
  await world.docs.touches.insert([
    {
      _id: 'late',
      profileId: merged._id,
      journeyId: 'hello',
      runId: 'hello:2:0',
      stepId: '0',
      state: 'planned',
      channel: 'wecom',
      contentId: 'hello',
      plannedAt: hoursIn(0),
      releaseAt: hoursIn(0),
    },
  ])
  await world.run()
  expect(world.wecom.sent.map((s) => s.recipients)).toEqual([[{ touchId: 'late', to: 'wm-m1' }]])
  expect((await world.docs.touches.get('late'))?.profileId).toBe(merged.mergedInto)
})
