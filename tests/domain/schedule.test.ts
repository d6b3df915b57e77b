import { describe, expect, it } from '@jest/globals'
import { isCron, nextAt } from '../../src/domain/schedule.js'

describe('isCron', () => {
  it.each([
    ['0 2 * * *', true],
    ['*/15 9-20 * * 1-5', true],
    ['0 10 * * MON', true],
    ['0 0 2 * * *', false],
    ['60 * * * *', false],
    ['* * * *', false],
    ['@daily', false],
    ['', false],
    ['realtime', false],
  ])('%j: %s', (text, expected) => {
    expect(isCron(text)).toBe(expected)
  })
})

describe('nextAt', () => {
  it.each([
    ['0 * * * *', '2026-03-02T09:59:59.999Z', 'UTC', '2026-03-02T10:00:00Z'],
    ['0 * * * *', '2026-03-02T10:00:00.000Z', 'UTC', '2026-03-02T11:00:00Z'], // strictly after
    ['0 * * * *', '2026-03-02T10:00:00.001Z', 'UTC', '2026-03-02T11:00:00Z'],
    ['0 2 * * *', '2026-03-02T10:00:00Z', 'Asia/Shanghai', '2026-03-02T18:00:00Z'],
    ['0 10 * * 1', '2026-03-02T02:00:00Z', 'Asia/Shanghai', '2026-03-09T02:00:00Z'], // the Monday after
    ['0 9 1 * *', '2026-12-15T00:00:00Z', 'UTC', '2027-01-01T09:00:00Z'],
    ['0 9 29 2 *', '2026-03-01T00:00:00Z', 'UTC', '2028-02-29T09:00:00Z'],
    ['0 10 * * *', '2026-03-28T12:00:00Z', 'Europe/London', '2026-03-29T09:00:00Z'], // summer time
    ['0 10 * * *', '2026-10-24T12:00:00Z', 'Europe/London', '2026-10-25T10:00:00Z'], // winter time
  ])('%s after %s in %s is %s', (cron, after, timeZone, expected) => {
    expect(nextAt(cron, new Date(after), timeZone)).toEqual(new Date(expected))
    expect(nextAt(cron, new Date(after), timeZone)).toEqual(new Date(expected)) // from memory too
  })

  it.each(['2026-03-28T20:00:00Z', '2026-10-24T20:00:00Z'])(
    'goes on every hour through the clock change after %s',
    (start) => {
      let at = new Date(start)
      for (let i = 0; i < 12; i++) {
        const next = nextAt('0 * * * *', at, 'Europe/London')
        expect(next.getTime() - at.getTime()).toBe(3_600_000)
        at = next
      }
    },
  )

  it('runs a nightly schedule once a day, also on the days the clock changes', () => {
    for (const cron of ['0 2 * * *', '30 1 * * *']) {
      for (const start of ['2026-03-26T12:00:00Z', '2026-10-22T12:00:00Z']) {
        const days: string[] = []
        let at = new Date(start)
        for (let i = 0; i < 6; i++) {
          at = nextAt(cron, at, 'Europe/London')
          days.push(at.toISOString().slice(0, 10))
        }
        expect(new Set(days).size).toBe(6)
        expect(at.getTime() - new Date(start).getTime()).toBeLessThan(6 * 86_400_000)
      }
    }
  })

  it('does not hand out an instant that somebody else may change', () => {
    const after = new Date('2026-03-02T10:00:00Z')
    nextAt('0 * * * *', after, 'UTC').setTime(0)
    expect(nextAt('0 * * * *', after, 'UTC')).toEqual(new Date('2026-03-02T11:00:00Z'))
  })
})
