import { describe, expect, it } from '@jest/globals'
import { Calendar } from '../../src/jobs/calendar.js'

const NOON = Date.parse('2026-03-02T12:00:00Z')
const HOUR = 3_600_000

/** A calendar whose clocks are ours; what it did, in order. */
function watched() {
  const did: string[] = []
  let tick = () => {}
  const wake = () => Promise.resolve(void did.push('wakes'))
  const calendar = new Calendar(wake, (everyMinute) => {
    did.push('begins')
    tick = everyMinute
    return { destroy: () => void did.push('ends') }
  })
  return {
    did,
    calendar,
    tick: () => tick(),
    at: (ms: number, elapsed: number) => calendar.follow(new Date(ms), elapsed),
  }
}

describe('the calendar', () => {
  it('wakes at each minute that cron tells of, and goes on while the clocks go together', async () => {
    const { did, calendar, tick, at } = watched()
    for (let second = 0; second < 120; second++) await at(NOON + second * 1_000 + (second % 3), second * 1_000)
    tick()
    await calendar.stop()
    expect(did).toEqual(['begins', 'wakes', 'ends'])
  })

  it.each([
    ['56 years ahead', 56 * 365 * 24 * HOUR],
    ['an hour back', -HOUR],
  ])('makes up for a leap of %s by one look, with a task of its own', async (_name, leap) => {
    const { did, calendar, at } = watched()
    await at(NOON, 0)
    await at(NOON + 1_000 + leap, 1_000)
    await at(NOON + 2_000 + leap, 2_000)
    expect(did).toEqual(['begins', 'ends', 'begins', 'wakes'])
    await calendar.stop()
  })

  it('does not begin before the clock is set', async () => {
    const { did, calendar, at } = watched()
    await at(1_000, 0)
    await at(2_000, 1_000)
    expect(did).toEqual([])
    await at(NOON, 2_000)
    expect(did).toEqual(['begins', 'wakes'])
    await calendar.stop()
  })
})
