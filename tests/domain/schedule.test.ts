import { describe, expect, it } from '@jest/globals'
import { isCron, nextAt } from '../../src/domain/schedule.js'
import { toDay } from '../../src/time.js'

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
    ['0 0 * * 7', true], // Sunday
    ['0 9-18/3 1,15 JAN-MAR *', true],
    ['H 2 * * *', false], // a hash of the job, elsewhere; here nothing
    ['0 0 L * *', false],
    ['0 0 * * 5#2', false],
    ['0 0 ? * *', true], // any day, as other programs write it
    ['0/15 * * * *', true],
    ['? * * * *', false],
    ['*/0 * * * *', false],
    ['0 5-2 * * *', false],
    ['0 0 31 2 *', false], // never
    ['0 0 31 4,6 *', false],
    ['0 0 31 2 1', true], // Mondays in February
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
    ['0 0 29 2 1', '2026-03-01T00:00:00Z', 'UTC', '2027-02-01T00:00:00Z'], // either day is enough
    ['15 2 * * *', '2026-10-03T12:00:00Z', 'Australia/Lord_Howe', '2026-10-03T15:45:00Z'], // half an hour is skipped: 02:45
    ['45 1 * * *', '2026-04-04T12:00:00Z', 'Australia/Lord_Howe', '2026-04-04T14:45:00Z'], // half an hour is shown twice
    ['45 1 * * *', '2026-04-04T14:45:00Z', 'Australia/Lord_Howe', '2026-04-05T15:15:00Z'], // and counts once
    ['30 1 * * *', '2026-10-24T12:00:00Z', 'Antarctica/Troll', '2026-10-24T23:30:00Z'], // two hours are shown twice
    ['30 1 * * *', '2026-10-24T23:30:00Z', 'Antarctica/Troll', '2026-10-26T01:30:00Z'],
    ['30 1 * * *', '2026-03-28T12:00:00Z', 'Antarctica/Troll', '2026-03-29T01:30:00Z'], // two hours are skipped
    ['0 0 * * *', '2026-09-05T12:00:00Z', 'America/Santiago', '2026-09-06T04:00:00Z'], // midnight is skipped
    ['0 * * * *', '2026-10-29T20:00:00Z', 'Africa/Cairo', '2026-10-29T21:00:00Z'], // the last hour of a day is shown twice
    ['0 * * * *', '2026-04-05T02:00:00Z', 'America/Santiago', '2026-04-05T03:00:00Z'],
    ['5/20 * * * *', '2026-03-02T10:05:00Z', 'UTC', '2026-03-02T10:25:00Z'],
    ['0 12 * * *', '2011-12-29T22:00:00Z', 'Pacific/Apia', '2011-12-30T22:00:00Z'], // a day is skipped
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

  it.each(['Australia/Lord_Howe', 'Antarctica/Troll', 'Africa/Casablanca', 'Asia/Kathmandu', 'America/St_Johns'])(
    'comes due once a day in %s, all year, and the times rise',
    (timeZone) => {
      for (const cron of ['30 1 * * *', '15 2 * * *', '0 0 * * *']) {
        const days: string[] = []
        let at = new Date('2026-01-01T12:00:00Z')
        for (let i = 0; i < 365; i++) {
          const next = nextAt(cron, at, timeZone)
          expect(next.getTime()).toBeGreaterThan(at.getTime())
          at = next
          days.push(toDay(at, timeZone))
        }
        expect(new Set(days).size).toBe(365)
      }
    },
  )

  it('does not hand out an instant that somebody else may change', () => {
    const after = new Date('2026-03-02T10:00:00Z')
    nextAt('0 * * * *', after, 'UTC').setTime(0)
    expect(nextAt('0 * * * *', after, 'UTC')).toEqual(new Date('2026-03-02T11:00:00Z'))
  })
})
