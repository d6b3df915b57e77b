import { describe, expect, it } from '@jest/globals'
import {
  atTimeOfDay,
  fixedClock,
  fromWallTime,
  ManualClock,
  parseDurationMs,
  parseTimeOfDay,
  toDay,
  toWallTime,
} from '../src/time.js'

const wall = (text: string) => {
  const [year, month, day, hour, minute, second] = text.split(/[-T:]/).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ]
  return { year, month, day, hour, minute, second }
}

describe('fromWallTime', () => {
  it.each([
    ['2026-01-15T10:00:00', 'Europe/London', '2026-01-15T10:00:00Z'],
    ['2026-07-15T10:00:00', 'Europe/London', '2026-07-15T09:00:00Z'],
    ['2026-03-02T00:00:00', 'Asia/Shanghai', '2026-03-01T16:00:00Z'],
    ['2026-03-29T00:59:59', 'Europe/London', '2026-03-29T00:59:59Z'],
    ['2026-03-29T01:00:00', 'Europe/London', '2026-03-29T01:00:00Z'], // skipped: shown as 02:00
    ['2026-03-29T01:59:59', 'Europe/London', '2026-03-29T01:59:59Z'],
    ['2026-03-29T02:00:00', 'Europe/London', '2026-03-29T01:00:00Z'],
    ['2026-10-25T00:59:59', 'Europe/London', '2026-10-24T23:59:59Z'],
    ['2026-10-25T01:00:00', 'Europe/London', '2026-10-25T00:00:00Z'], // twice: the first
    ['2026-10-25T01:59:59', 'Europe/London', '2026-10-25T00:59:59Z'],
    ['2026-10-25T02:00:00', 'Europe/London', '2026-10-25T02:00:00Z'],
    ['2026-03-08T02:30:00', 'America/New_York', '2026-03-08T07:30:00Z'], // skipped: shown as 03:30
    ['2026-11-01T01:30:00', 'America/New_York', '2026-11-01T05:30:00Z'], // twice: the first
    ['2026-04-05T01:45:00', 'Australia/Lord_Howe', '2026-04-04T14:45:00Z'], // put back by half an hour
    ['2026-01-01T05:45:00', 'Asia/Kathmandu', '2026-01-01T00:00:00Z'],
    ['2011-12-31T00:00:00', 'Pacific/Apia', '2011-12-30T10:00:00Z'], // the day after a day that never was
  ])('%s in %s is %s', (text, timeZone, expected) => {
    expect(fromWallTime(wall(text), timeZone)).toEqual(new Date(expected))
  })

  it('is undone by toWallTime, every quarter of an hour of a year, except where the clock was put forward', () => {
    for (const timeZone of ['Europe/London', 'Asia/Shanghai', 'America/St_Johns']) {
      for (let ms = Date.UTC(2026, 0, 1); ms < Date.UTC(2027, 0, 1); ms += 6.25 * 3_600_000) {
        const reading = toWallTime(new Date(ms), timeZone)
        const back = fromWallTime(reading, timeZone)
        expect(toWallTime(back, timeZone)).toEqual(reading)
        expect(back.getTime()).toBeLessThanOrEqual(ms)
      }
    }
  })
})

describe('atTimeOfDay', () => {
  it.each([
    ['2026-03-28T23:30:00Z', 600, 0, '2026-03-28T10:00:00Z'],
    ['2026-03-28T23:30:00Z', 600, 1, '2026-03-29T09:00:00Z'],
    ['2026-10-24T23:30:00Z', 600, 0, '2026-10-25T10:00:00Z'], // already Sunday in London
    ['2026-10-24T22:30:00Z', 600, 1, '2026-10-25T10:00:00Z'],
    ['2026-01-31T12:00:00Z', 0, 1, '2026-02-01T00:00:00Z'],
    ['2026-12-31T12:00:00Z', 1439, 1, '2027-01-01T23:59:00Z'],
    ['2024-02-28T12:00:00Z', 0, 1, '2024-02-29T00:00:00Z'],
  ])('from %s, minute %i, %i days on, in London: %s', (at, minutes, days, expected) => {
    expect(atTimeOfDay(new Date(at), minutes, 'Europe/London', days)).toEqual(new Date(expected))
  })
})

describe('toDay', () => {
  it.each([
    ['2026-03-01T15:59:59.999Z', '2026-03-01'],
    ['2026-03-01T16:00:00.000Z', '2026-03-02'],
  ])('the day of %s in Shanghai is %s', (at, day) => {
    expect(toDay(new Date(at), 'Asia/Shanghai')).toBe(day)
  })
})

describe('durations and times of day', () => {
  it.each([
    ['90s', 90_000],
    ['15m', 900_000],
    ['24h', 86_400_000],
    ['7d', 604_800_000],
    ['2w', 1_209_600_000],
    [' 7 d ', 604_800_000],
    ['0s', 0],
    ['7', undefined],
    ['1.5h', undefined],
    ['-1d', undefined],
    ['7D', undefined],
    ['1d12h', undefined],
    ['', undefined],
  ])('%j is %s ms', (text, ms) => {
    expect(parseDurationMs(text)).toBe(ms)
  })

  it.each([
    ['00:00', 0],
    ['09:05', 545],
    ['23:59', 1439],
    ['24:00', undefined],
    ['9:00', undefined],
    ['10:60', undefined],
  ])('%j is minute %s', (text, minutes) => {
    expect(parseTimeOfDay(text)).toBe(minutes)
  })
})

describe('clocks', () => {
  it('stand where they are put, and never go back', () => {
    const clock = new ManualClock(new Date(1000))
    clock.set(new Date(2000))
    clock.set(new Date(2000))
    expect(clock.now()).toEqual(new Date(2000))
    expect(() => clock.set(new Date(1999))).toThrow(RangeError)
    expect(clock.now()).toEqual(new Date(2000))
  })

  it('cannot be moved through the instants they hand out', () => {
    const clock = new ManualClock(new Date(1000))
    clock.now().setTime(5)
    expect(clock.now()).toEqual(new Date(1000))
    expect(fixedClock('2026-03-02T10:00:00Z').now()).toEqual(new Date('2026-03-02T10:00:00Z'))
  })
})
