import { describe, expect, it } from '@jest/globals'
import { repeat } from '../../src/jobs/repeat.js'

/** Cron has no reason to call within this test: as when the clock of the day was set back. */
const NEVER = '0 0 29 2 *'

describe('what is repeated', () => {
  it('goes on by the monotonic clock while cron waits for a time that has been', async () => {
    let times = 0
    let repeated: ReturnType<typeof repeat> | undefined
    await new Promise<void>((resolve) => {
      repeated = repeat(NEVER, 5, () => {
        if (++times === 3) resolve()
        return Promise.resolve()
      })
    })
    await repeated?.stop()
    const before = times
    await new Promise((resolve) => setTimeout(resolve, 30))
    expect(times).toBe(before)
  })

  it('is never done twice at once, and its end is waited for', async () => {
    let under = 0
    let most = 0
    let times = 0
    let repeated: ReturnType<typeof repeat> | undefined
    await new Promise<void>((begun) => {
      repeated = repeat(NEVER, 5, async () => {
        times++
        most = Math.max(most, ++under)
        begun()
        await new Promise((resolve) => setTimeout(resolve, 40))
        under--
      })
    })
    await repeated?.stop()
    expect(under).toBe(0)
    expect(most).toBe(1)
    expect(times).toBeGreaterThan(0)
  })
})
