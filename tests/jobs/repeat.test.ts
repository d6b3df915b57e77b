import { afterEach, describe, expect, it, jest } from '@jest/globals'
import { repeat } from '../../src/jobs/repeat.js'
import { DAY_MS, HOUR_MS, SECOND_MS } from '../../src/time.js'

describe('what is repeated', () => {
  afterEach(() => {
    jest.useRealTimers()
  })

  it.each([
    ['leaps a day ahead', DAY_MS],
    ['is set back by an hour', -HOUR_MS],
    ['is set at last, from 1970', 56 * 365 * DAY_MS],
  ])('comes once a second while the clock of the day %s', async (_what, byMs) => {
    const startMs = byMs > 365 * DAY_MS ? 0 : Date.UTC(2026, 2, 2)
    jest.useFakeTimers({ now: startMs })
    let times = 0
    const repeated = repeat(SECOND_MS, () => {
      times++
      return Promise.resolve()
    })
    await jest.advanceTimersByTimeAsync(3 * SECOND_MS)
    expect(times).toBe(3)
    jest.setSystemTime(startMs + 3 * SECOND_MS + byMs)
    await jest.advanceTimersByTimeAsync(3 * SECOND_MS)
    expect(times).toBe(6)
    await repeated.stop()
    await jest.advanceTimersByTimeAsync(3 * SECOND_MS)
    expect(times).toBe(6)
    expect(jest.getTimerCount()).toBe(0)
  })

  it('is never done twice at once, is made up for once, and its end is waited for', async () => {
    jest.useFakeTimers()
    let [under, most, times] = [0, 0, 0]
    const repeated = repeat(SECOND_MS, async () => {
      times++
      most = Math.max(most, ++under)
      if (times === 1) await new Promise((resolve) => setTimeout(resolve, 5.5 * SECOND_MS))
      under--
    })
    await jest.advanceTimersByTimeAsync(7 * SECOND_MS)
    expect(most).toBe(1)
    // At 1 s, which took until 6.5 s; then the one that was due.
    expect(times).toBe(2)
    const stopped = repeated.stop()
    await jest.advanceTimersByTimeAsync(SECOND_MS)
    await stopped
    expect(under).toBe(0)
  })
})
