import { beforeEach, describe, expect, it } from '@jest/globals'
import { WecomError } from '../../../../src/adapters/wecom/transport/error-codes.js'
import { createGate, type Gate } from '../../../../src/adapters/wecom/transport/gate.js'
import { planOf, type Priority } from '../../../../src/adapters/wecom/transport/limits.js'
import type { CallEnd } from '../../../../src/adapters/wecom/transport/quota.js'
import { createInProcessQuota } from '../../../../src/adapters/wecom/transport/quota-in-process.js'
import { HOUR_MS, ManualClock, MINUTE_MS, SECOND_MS } from '../../../../src/time.js'
import { VirtualTime } from '../../../../sandbox/virtual-time.js'

const START_MS = Date.UTC(2026, 7, 3, 2)
const GET = planOf({ api: 'externalcontact/get' }, 1)
const MARK = planOf({ api: 'externalcontact/mark_tag' }, 1)
const LEASE_MS = 15 * SECOND_MS

let time: VirtualTime
let gate: Gate

beforeEach(() => {
  time = new VirtualTime(START_MS)
  gate = open()
})

function open(store = createInProcessQuota(time)): Gate {
  return createGate({ store, clock: time, leaseMs: LEASE_MS, pause: time.sleep })
}

const sinceStartMs = () => time.now().getTime() - START_MS

/** One call of `lastsMs`; resolves to when it began. */
async function call(priority: Priority, lastsMs = 100, plan = MARK, end: CallEnd = 'answered', through = gate) {
  const place = await through.enter(plan, priority, MINUTE_MS)
  const beganMs = sinceStartMs()
  await time.sleep(lastsMs)
  await through.leave(place, end)
  return beganMs
}

describe('calls that wait', () => {
  it('go by priority and then by arrival', async () => {
    const order: string[] = []
    const named = async (name: string, priority: Priority) => {
      const place = await gate.enter(MARK, priority, MINUTE_MS)
      order.push(name)
      await time.sleep(50)
      await gate.leave(place, 'answered')
    }
    await time.run(async () => {
      const busy = Array.from({ length: 5 }, () => call('interactive', 200))
      await time.sleep(10)
      const all = [named('sync', 'sync'), named('send 1', 'send'), named('send 2', 'send'), named('cb', 'callback')]
      await time.sleep(10)
      all.push(named('welcome', 'welcome'))
      await Promise.all([...busy, ...all])
    })
    expect(order).toEqual(['welcome', 'cb', 'send 1', 'send 2', 'sync'])
  })

  it('do not starve: a sync call goes ahead of newer callback work after half a minute', async () => {
    let syncBeganMs = Infinity
    await time.run(async () => {
      const stop = { at: 5 * MINUTE_MS }
      const floods = Array.from({ length: 20 }, async () => {
        while (sinceStartMs() < stop.at) await call('callback', 200)
      })
      await time.sleep(1_000)
      syncBeganMs = await call('sync')
      stop.at = 0
      await Promise.all(floods)
    })
    expect(syncBeganMs).toBeGreaterThan(20 * SECOND_MS)
    expect(syncBeganMs).toBeLessThan(35 * SECOND_MS)
  })

  it('leave a welcome message unhindered by a sync and a mass send that use everything they may', async () => {
    const waits: number[] = []
    const plan = planOf({ api: 'externalcontact/send_welcome_msg' }, 1)
    await time.run(async () => {
      const stop = { at: 40 * SECOND_MS }
      // The address is shared by all APIs: together they ask for far more than it may send.
      const floods = ['externalcontact/get', 'externalcontact/batch/get_by_user', 'externalcontact/add_msg_template']
        .map((api) => planOf({ api }, 1))
        .flatMap((busy) =>
          Array.from({ length: 60 }, async () => {
            while (sinceStartMs() < stop.at) await call(busy === GET ? 'sync' : 'send', 10, busy)
          }),
        )
      for (let i = 0; i < 30; i++) {
        await time.sleep(1_000)
        const askedMs = sinceStartMs()
        waits.push((await call('welcome', 100, plan)) - askedMs)
      }
      stop.at = 0
      await Promise.all(floods)
    })
    expect(Math.max(...waits)).toBeLessThan(50)
  })

  it('for one receiver do not hold up others, and are told when it takes longer than a minute', async () => {
    const to = (userId: string) => planOf({ api: 'message/send', body: { touser: userId } }, 1)
    const began: Record<string, number[]> = { busy: [], idle: [] }
    let refused = 0
    await time.run(async () => {
      const busy = Array.from({ length: 60 }, async () => {
        try {
          began['busy']!.push(await call('send', 10, to('guide01')))
        } catch (err) {
          expect(err).toMatchObject({ errcode: 45009, meaning: 'slow_down' })
          expect((err as WecomError).retryAfterMs).toBeLessThan(5 * SECOND_MS)
          refused++
        }
      })
      await time.sleep(1_000)
      began['idle']!.push(await call('send', 10, to('guide02')))
      await Promise.all(busy)
    })
    expect(began['idle']![0]).toBeLessThan(1_100)
    for (const fromMs of began['busy']!)
      expect(began['busy']!.filter((ms) => ms >= fromMs && ms < fromMs + MINUTE_MS).length).toBeLessThanOrEqual(30)
    expect(began['busy']!.length).toBeGreaterThan(25)
    expect(began['busy']!.length + refused).toBe(60)
    expect(sinceStartMs()).toBeLessThan(MINUTE_MS + SECOND_MS)
  })

  it('share how many run at a time over two clients of one store', async () => {
    const store = createInProcessQuota(time)
    const [one, other] = [open(store), open(store)]
    let running = 0
    let most = 0
    await time.run(() =>
      Promise.all(
        [one, other].flatMap((through) =>
          Array.from({ length: 30 }, async () => {
            const place = await through.enter(MARK, 'send', MINUTE_MS)
            most = Math.max(most, ++running)
            await time.sleep(100)
            running--
            await through.leave(place, 'answered')
          }),
        ),
      ),
    )
    expect(most).toBe(5)
    expect(sinceStartMs()).toBeLessThan(12 * 130)
  })
})

describe('blocks', () => {
  it('are sat out by the patient and told at once to the others', async () => {
    await time.run(async () => {
      await call('send', 10, MARK, 'too_often')
      await expect(gate.enter(MARK, 'send', 0)).rejects.toMatchObject({ errcode: 45009, retryAfterMs: MINUTE_MS })
      expect(await call('send')).toBe(10 + MINUTE_MS)
      await call('send', 10, MARK, 'too_often')
    })
  })

  it('that begin while calls wait turn away those whom they outlast', async () => {
    await time.run(async () => {
      const busy = Array.from({ length: 5 }, (_, i) => call('send', 100 + i, MARK, 'too_often'))
      const waiting = gate.enter(MARK, 'send', 0)
      const refused = expect(waiting).rejects.toBeInstanceOf(WecomError)
      const patient = gate.enter(MARK, 'sync', HOUR_MS)
      await Promise.all([...busy, refused])
      expect(sinceStartMs()).toBeLessThan(SECOND_MS)
      await patient
      expect(sinceStartMs()).toBe(100 + MINUTE_MS)
    })
  })
})

describe('a clock that stands still', () => {
  it('lets calls go on as if pauses had passed, and other work as well', async () => {
    const clock = new ManualClock(new Date(START_MS))
    const still = createGate({
      ...{ store: createInProcessQuota(clock), clock, leaseMs: LEASE_MS },
      pause: () => Promise.resolve(),
    })
    const plan = planOf({ api: 'message/send', body: { touser: 'guide01' } }, 1)
    for (let i = 0; i < 100; i++) await still.leave(await still.enter(plan, 'send', MINUTE_MS), 'answered')
    await Promise.all(
      Array.from({ length: 20 }, async () => {
        const place = await still.enter(MARK, 'send', MINUTE_MS)
        await new Promise((resolve) => setTimeout(resolve, 5))
        await still.leave(place, 'answered')
      }),
    )
  })

  it('is left at once when the gate closes', async () => {
    await time.run(async () => {
      for (let i = 0; i < 5; i++) await gate.enter(MARK, 'send', MINUTE_MS)
      const waiting = expect(gate.enter(MARK, 'send', MINUTE_MS)).rejects.toMatchObject({ upstreamCode: 'closed' })
      gate.close()
      await waiting
      await expect(gate.enter(MARK, 'send', MINUTE_MS)).rejects.toMatchObject({ upstreamCode: 'closed' })
    })
  })
})
