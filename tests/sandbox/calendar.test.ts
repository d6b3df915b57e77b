import { describe, expect, it } from '@jest/globals'
import { HOUR_MS, MINUTE_MS } from '../../src/time.js'
import { addOpenMs, quotaPeriod } from '../../sandbox/world/calendar.js'

const hours = { from: '09:00', to: '18:00', timeZone: 'Asia/Shanghai' }

describe('time within open hours', () => {
  it.each([
    ['starts at once while open', '2011-09-10T02:00:00Z', 30 * MINUTE_MS, '2011-09-10T02:30:00Z'],
    ['waits for the morning', '2011-09-09T20:00:00Z', 30 * MINUTE_MS, '2011-09-10T01:30:00Z'],
    ['goes on the next day', '2011-09-10T09:30:00Z', HOUR_MS, '2011-09-11T01:30:00Z'],
    ['never ends at the closing instant', '2011-09-10T09:30:00Z', 30 * MINUTE_MS, '2011-09-11T01:00:00Z'],
    ['spans several days', '2011-09-10T02:00:00Z', 20 * HOUR_MS, '2011-09-12T04:00:00Z'],
    ['is in whole seconds', '2011-09-10T02:00:00.900Z', 200, '2011-09-10T02:00:01Z'],
  ])('%s', (_name, at, delayMs, expected) => {
    expect(addOpenMs(new Date(at), delayMs, hours)).toEqual(new Date(expected))
  })
})

describe('quota periods', () => {
  it.each([
    ['day_1', '2011-09-10T15:59:59Z', '2011-09-10', 1],
    ['day_1', '2011-09-10T16:00:00Z', '2011-09-11', 1],
    ['month_days', '2011-09-30T15:59:59Z', '2011-09', 30],
    ['month_days', '2011-09-30T16:00:00Z', '2011-10', 31],
    ['month_days', '2012-02-10T00:00:00Z', '2012-02', 29],
    ['week_7', '2011-09-11T15:59:59Z', 'week of 2011-09-05', 7],
    ['week_7', '2011-09-11T16:00:00Z', 'week of 2011-09-12', 7],
  ] as const)('%s at %s is %s, %i messages', (mode, at, period, limit) => {
    expect(quotaPeriod(mode, new Date(at))).toEqual({ period, limit })
  })
})
