import { beforeEach, describe, expect, it } from '@jest/globals'
import { createGate, type Gate } from '../../../../src/adapters/wecom/transport/gate.js'
import { planOf } from '../../../../src/adapters/wecom/transport/limits.js'
import type { CallEnd } from '../../../../src/adapters/wecom/transport/quota.js'
import { createInProcessQuota } from '../../../../src/adapters/wecom/transport/quota-in-process.js'
import { intOf } from '../../../../src/random.js'
import { HOUR_MS, MINUTE_MS, SECOND_MS } from '../../../../src/time.js'
import { VirtualTime } from '../../../../sandbox/virtual-time.js'

const START_MS = Date.UTC(2026, 7, 3, 2)
const GET = planOf({ api: 'externalcontact/get' }, 1)

let time: VirtualTime
let gate: Gate

beforeEach(() => {
  time = new VirtualTime(START_MS)
  gate = createGate({ store: createInProcessQuota(time), clock: time, leaseMs: 15 * SECOND_MS, pause: time.sleep })
})

const sinceStartMs = () => time.now().getTime() - START_MS

/** What nobody tells the client: how many calls may really run at a time, and how much of the limit others use. */
describe('a platform that is narrower than the table says', () => {
  type Platform = { cap: number; others: number; sliding: boolean }
  async function drive({ cap, others, sliding }: Platform, calls: number, streams: number) {
    let inside = 0
    let blockedUntilMs = 0
    const seen = { refusedParallel: 0, refusedOften: 0, insideBlock: 0 }
    const recent: number[] = []
    const answer = async (nth: number): Promise<CallEnd> => {
      const nowMs = time.now().getTime()
      const latencyMs = 100 + intOf(200, 'gate test', nth)
      const windowMs = sliding ? nowMs - MINUTE_MS : Math.floor(nowMs / MINUTE_MS) * MINUTE_MS
      while (recent.length > 0 && recent[0]! <= windowMs) recent.shift()
      if (nowMs < blockedUntilMs) seen.insideBlock++
      else if (recent.length >= 1_000 - others) {
        blockedUntilMs = nowMs + MINUTE_MS
        seen.refusedOften++
      } else if (inside < cap) {
        recent.push(nowMs)
        inside++
        await time.sleep(latencyMs)
        inside--
        return 'answered'
      } else {
        seen.refusedParallel++
        await time.sleep(latencyMs)
        return 'too_parallel'
      }
      await time.sleep(latencyMs)
      return 'too_often'
    }
    // A tenth of the real limit of a minute, to keep the test short.
    const perMinute = GET.buckets.filter(({ key }) => key === `corp:${GET.api}:${MINUTE_MS}`)
    const plan = { ...GET, buckets: perMinute.map((b) => ({ ...b, ...tenth(b) })) }
    let nth = 0
    let done = 0
    await time.run(async () => {
      await Promise.all(
        Array.from({ length: streams }, async () => {
          while (nth < calls) {
            nth++
            let end: CallEnd | undefined
            do {
              const place = await gate.enter(plan, 'sync', HOUR_MS)
              end = await answer(nth * 31 + done)
              await gate.leave(place, end)
            } while (end !== 'answered')
            done++
          }
        }),
      )
    })
    return { ...seen, done, simulatedMs: sinceStartMs() }
  }
  const tenth = (b: { capacity: number; refillPerMs: number }) => ({
    capacity: b.capacity / 10,
    refillPerMs: b.refillPerMs / 10,
  })

  it.each([1, 3, 5, 8, 13, 20])('settles on %i at a time', async (cap) => {
    const calls = cap === 1 ? 600 : 3_000
    const { refusedParallel, done, simulatedMs, insideBlock } = await drive(
      { cap, others: 0, sliding: false },
      calls,
      40,
    )
    expect(done).toBeGreaterThanOrEqual(calls)
    expect(refusedParallel).toBeLessThanOrEqual(Math.max(calls / 100, 10))
    expect(insideBlock).toBe(0)
    const boundMs = Math.max((calls * 200) / cap, (calls / 950) * MINUTE_MS - 6_000)
    expect(simulatedMs).toBeLessThan(boundMs * 1.25)
  })

  it.each([false, true])('learns to live with a fifth used by others (sliding window: %s)', async (sliding) => {
    const { refusedOften, insideBlock, simulatedMs } = await drive({ cap: 20, others: 200, sliding }, 24_000, 40)
    expect(insideBlock).toBeLessThanOrEqual(refusedOften * 20) // only those that were under way
    expect(refusedOften).toBeLessThan(10)
    expect(simulatedMs).toBeLessThan((24_000 / 800) * MINUTE_MS * 1.25)
  })
})
