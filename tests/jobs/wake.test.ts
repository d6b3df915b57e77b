import { describe, expect, it } from '@jest/globals'
import { hintsFor } from '../../src/jobs/wake.js'
import { WHOLE } from '../../src/ports/job-queue.js'

const NOW = new Date('2026-03-02T02:00:00Z')
const inMs = (ms: number) => new Date(NOW.getTime() + ms)
const work = (name: string, ms: number, timed = false) => ({ name, shard: WHOLE, at: inMs(ms), timed })
const delays = (hints: ReturnType<typeof hintsFor>) => hints.map(([name, { delayMs }]) => [name, delayMs ?? 0])

describe('the jobs of a second', () => {
  it('begin when their work is due, and those of a later second are left for its own look', () => {
    const hints = hintsFor([work('process-batches', -5_000), work('push-tags', 250), work('staff-ways', 1_000)], NOW)
    expect(delays(hints)).toEqual([
      ['process-batches', 0],
      ['push-tags', 250],
    ])
  })

  it('look several times at timers, from the first that ends', () => {
    expect(delays(hintsFor([work('resume-runs', 0, true)], NOW)).map(([, ms]) => ms)).toEqual([0, 200, 400, 600, 800])
    expect(delays(hintsFor([work('resume-runs', 450, true)], NOW)).map(([, ms]) => ms)).toEqual([450, 600, 800])
  })

  it('have keys of their own, so that one that waits for its moment stands for none that is wanted at once', () => {
    const hints = [...hintsFor([work('resume-runs', 0, true)], NOW), ...hintsFor([work('resume-runs', 300, true)], NOW)]
    const byKey = new Map(hints.map(([, { key, delayMs }]) => [key, delayMs ?? 0]))
    expect(byKey.get('resume-runs')).toBe(0)
    expect([...byKey.values()].filter((ms) => ms === 0)).toEqual([0])
  })
})
