import { afterEach, describe, expect, it, jest } from '@jest/globals'
import { VirtualTime } from '../../sandbox/virtual-time.js'
import { HOUR_MS } from '../../src/time.js'
import { settle } from '../support/wait-until.js'

const START = Date.UTC(2026, 7, 3)

describe('virtual time', () => {
  afterEach(() => void jest.useRealTimers())

  it('arms no real timer, and fires timers by instant, those of one instant in the order asked', async () => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] })
    const time = new VirtualTime(START)
    const fired: string[] = []
    const wait = async (name: string, ms: number) => {
      await time.sleep(ms)
      fired.push(`${name}@${time.now().getTime() - START}`)
    }
    await time.run(() =>
      Promise.all([wait('c', HOUR_MS), wait('a', 10), wait('b', 10), wait('d', 5).then(() => wait('e', 5))]),
    )
    expect(fired).toEqual(['d@5', 'a@10', 'b@10', 'e@10', `c@${HOUR_MS}`])
    expect(jest.getTimerCount()).toBe(0)
  })

  it('keeps a heap of ten thousand timers in order', async () => {
    const time = new VirtualTime(START)
    const seen: number[] = []
    await time.run(async () => {
      await Promise.all(
        Array.from({ length: 10_000 }, async (_, i) => {
          await time.sleep((i * 7_919) % 10_007)
          seen.push(time.now().getTime())
        }),
      )
    })
    expect(seen).toHaveLength(10_000)
    expect(seen.every((ms, i) => i === 0 || ms >= seen[i - 1]!)).toBe(true)
  })

  it('ends a sleep with its signal, and aborts signals when their time has come', async () => {
    const time = new VirtualTime(START)
    await time.run(async () => {
      const signal = time.timeoutSignal(300)
      await time.sleep(HOUR_MS, signal)
      expect(signal.aborted).toBe(true)
      expect((signal.reason as Error).name).toBe('TimeoutError')
      expect(time.now().getTime() - START).toBe(300)
    })
  })

  it('stands still while work outside the event loop is held', async () => {
    const time = new VirtualTime(START)
    const seen: string[] = []
    await time.run(async () => {
      const timer = time.sleep(1).then(() => seen.push('timer'))
      await time.hold(settle()).then(() => seen.push(`held at ${time.now().getTime() - START}`))
      await timer
    })
    expect(seen).toEqual(['held at 0', 'timer'])
  })

  it('says so when nothing can go on, and passes on what the work throws', async () => {
    const time = new VirtualTime(START)
    await expect(time.run(() => new Promise(() => undefined))).rejects.toThrow('stands still')
    await expect(time.run(() => time.sleep(5).then(() => Promise.reject(new Error('no'))))).rejects.toThrow('no')
  })
})
