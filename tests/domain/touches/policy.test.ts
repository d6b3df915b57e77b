import { describe, expect, it } from '@jest/globals'
import {
  decideRelease,
  isQuiet,
  lookAt,
  nextReminderAt,
  Policy,
  type ReleaseFacts,
  releaseAfter,
} from '../../../src/domain/touches/policy.js'
import { InvalidInputError } from '../../../src/errors.js'
import { parseInput } from '../../../src/parse.js'
import { DAY_MS } from '../../../src/time.js'

function policy(more: object = {}): Policy {
  return parseInput(Policy, {
    quietHours: { from: '21:00', to: '09:00' },
    wecomQuota: { mode: 'month_days' },
    confirmWithin: '3d',
    ...more,
  })
}

const at = (text: string) => new Date(text)

describe('releaseAfter', () => {
  it.each([
    ['2026-03-02T12:59:59.999Z', '2026-03-02T12:59:59.999Z'], // 20:59:59 in Shanghai
    ['2026-03-02T13:00:00.000Z', '2026-03-03T01:00:00.000Z'], // 21:00
    ['2026-03-02T15:59:59.999Z', '2026-03-03T01:00:00.000Z'], // just before midnight
    ['2026-03-02T16:00:00.000Z', '2026-03-03T01:00:00.000Z'], // midnight
    ['2026-03-03T00:59:59.999Z', '2026-03-03T01:00:00.000Z'], // 08:59:59
    ['2026-03-03T01:00:00.000Z', '2026-03-03T01:00:00.000Z'], // 09:00
  ])('with quiet hours over midnight lets %s out at %s', (from, out) => {
    expect(releaseAfter(policy(), at(from), 'Asia/Shanghai')).toEqual(at(out))
    expect(isQuiet(policy(), at(from), 'Asia/Shanghai')).toBe(from !== out)
  })

  it.each([
    ['2026-03-02T11:59:59Z', '2026-03-02T11:59:59Z'],
    ['2026-03-02T12:00:00Z', '2026-03-02T14:00:00Z'],
    ['2026-03-02T13:59:59Z', '2026-03-02T14:00:00Z'],
    ['2026-03-02T14:00:00Z', '2026-03-02T14:00:00Z'],
  ])('with quiet hours at noon lets %s out at %s', (from, out) => {
    const noon = policy({ quietHours: { from: '12:00', to: '14:00' } })
    expect(releaseAfter(noon, at(from), 'UTC')).toEqual(at(out))
  })

  it('knows no quiet hours that begin when they end', () => {
    const never = policy({ quietHours: { from: '00:00', to: '00:00' } })
    expect(releaseAfter(never, at('2026-03-02T00:00:00Z'), 'UTC')).toEqual(at('2026-03-02T00:00:00Z'))
  })

  it.each<[string, string, string, string[]]>([
    [
      'a holiday ends after the quiet hours of the next day',
      '2026-03-02T10:00:00Z',
      '2026-03-03T09:00:00Z',
      ['2026-03-02'],
    ],
    ['the evening before runs into it', '2026-03-01T22:00:00Z', '2026-03-03T09:00:00Z', ['2026-03-02']],
    [
      'three in a row are one',
      '2026-03-01T21:00:00Z',
      '2026-03-05T09:00:00Z',
      ['2026-03-02', '2026-03-03', '2026-03-04'],
    ],
    ['the day before is not one', '2026-03-01T10:00:00Z', '2026-03-01T10:00:00Z', ['2026-03-02']],
  ])('%s', (_what, from, out, holidays) => {
    expect(releaseAfter(policy({ holidays }), at(from), 'UTC')).toEqual(at(out))
  })

  it('opens at nine on the wall on the days the clock changes', () => {
    expect(releaseAfter(policy(), at('2026-03-28T22:00:00Z'), 'Europe/London')).toEqual(at('2026-03-29T08:00:00Z'))
    expect(releaseAfter(policy(), at('2026-10-24T22:00:00Z'), 'Europe/London')).toEqual(at('2026-10-25T09:00:00Z'))
  })

  it('never gives an instant before the one it was asked about, nor a quiet one', () => {
    const odd = policy({ quietHours: { from: '00:30', to: '01:30' } })
    for (const [p, zone] of [
      [policy(), 'Europe/London'],
      [odd, 'Europe/London'],
      [policy({ quietHours: { from: '23:30', to: '02:30' } }), 'America/New_York'],
    ] as const) {
      for (const start of ['2026-03-08', '2026-03-29', '2026-10-25', '2026-11-01']) {
        for (let ms = at(start).getTime(); ms < at(start).getTime() + DAY_MS; ms += 5 * 60_000) {
          const from = new Date(ms)
          const out = releaseAfter(p, from, zone)
          expect({ from, early: out < from }).toEqual({ from, early: false })
          expect({ from, out, quiet: isQuiet(p, out, zone) }).toEqual({ from, out, quiet: false })
        }
      }
    }
  })
})

describe('decideRelease', () => {
  const now = at('2026-03-15T10:00:00Z')
  const ago = (ms: number) => new Date(now.getTime() - ms)
  const facts = (more: Partial<ReleaseFacts> = {}): ReleaseFacts => ({
    now,
    noRoomSince: now,
    timeZone: 'Asia/Shanghai',
    optedOut: false,
    reachable: true,
    releasedAt: [],
    massReleasedAt: [],
    sending: 'live',
    onAllowList: false,
    ...more,
  })
  const reasonOf = (p: Policy, f: ReleaseFacts, channel: 'wecom' | 'coupon' | 'task' = 'wecom') => {
    const decision = decideRelease(p, channel, f)
    return decision.kind === 'release' ? undefined : decision.reason
  }

  it.each<[string, Partial<ReleaseFacts>, string | undefined]>([
    ['nothing against it', {}, undefined],
    ['she does not want to', { optedOut: true }, 'opted_out'],
    ['nobody has her as a contact', { reachable: false }, 'not_a_contact'],
    ['sending is off', { sending: 'off' }, 'sending_off'],
    ['only the ledger is kept', { sending: 'dry' }, 'dry_mode'],
    ['she is not on the allow-list', { sending: 'allow_list' }, 'not_on_allow_list'],
    ['she is on the allow-list', { sending: 'allow_list', onAllowList: true }, undefined],
    [
      'she is on the list and does not want to',
      { sending: 'allow_list', onAllowList: true, optedOut: true },
      'opted_out',
    ],
    [
      'she opted out and is nobody’s contact: her wish is the reason',
      { optedOut: true, reachable: false },
      'opted_out',
    ],
  ])('%s', (_what, more, reason) => {
    expect(reasonOf(policy(), facts(more))).toBe(reason)
  })

  it.each([
    [[0], undefined],
    [[0, 0], 'cap'],
    [[DAY_MS - 1, DAY_MS - 1], 'cap'],
    [[DAY_MS - 1, DAY_MS], undefined],
    [[DAY_MS, DAY_MS], undefined],
    [[DAY_MS, 2 * DAY_MS, 3 * DAY_MS, 7 * DAY_MS - 1], 'cap'],
    [[DAY_MS, 2 * DAY_MS, 3 * DAY_MS, 7 * DAY_MS], undefined],
    [[-50_000, -50_000], 'cap'], // by a worker whose clock is ahead
  ])('with at most 2 a day and 4 a week, after touches %j ms ago: %s', (agoMs, reason) => {
    const p = policy({
      caps: [
        { max: 2, per: '1d' },
        { max: 4, per: '7d' },
      ],
    })
    const releasedAt = agoMs.map(ago)
    for (const channel of ['wecom', 'coupon', 'task'] as const)
      expect(reasonOf(p, facts({ releasedAt }), channel)).toBe(reason)
  })

  it.each<[string, string, string, number, string | undefined]>([
    ['day_1', '2026-03-15T15:59:59Z', '2026-03-14T16:00:00Z', 1, 'quota'], // both on the 15th in Shanghai
    ['day_1', '2026-03-15T16:00:00Z', '2026-03-15T15:59:59Z', 1, undefined], // midnight between them
    ['week_7', '2026-03-15T10:00:00Z', '2026-03-09T00:00:00Z', 7, 'quota'], // Monday to Sunday
    ['week_7', '2026-03-15T10:00:00Z', '2026-03-09T00:00:00Z', 6, undefined],
    ['week_7', '2026-03-15T16:00:00Z', '2026-03-15T10:00:00Z', 7, undefined], // Monday in Shanghai
    ['week_7', '2026-01-01T10:00:00Z', '2025-12-29T10:00:00Z', 7, 'quota'], // a week over New Year
    ['month_days', '2026-02-28T10:00:00Z', '2026-02-01T00:00:00Z', 28, 'quota'],
    ['month_days', '2026-02-28T15:59:50Z', '2026-02-28T16:00:40Z', 28, 'quota'], // by a clock that is in March already
    ['month_days', '2026-02-28T10:00:00Z', '2026-02-01T00:00:00Z', 27, undefined],
    ['month_days', '2024-02-29T10:00:00Z', '2024-02-01T00:00:00Z', 28, undefined], // leap year
    ['month_days', '2026-03-31T10:00:00Z', '2026-03-01T00:00:00Z', 31, 'quota'],
    ['month_days', '2026-03-31T16:00:00Z', '2026-03-31T10:00:00Z', 31, undefined], // April in Shanghai
  ])('with the quota %s at %s and since %s %i mass messages: %s', (mode, nowText, since, count, reason) => {
    const p = policy({ wecomQuota: { mode } })
    const mass = Array.from({ length: count }, () => at(since))
    expect(reasonOf(p, facts({ now: at(nowText), massReleasedAt: mass }))).toBe(reason)
  })

  it('counts the quota for mass messages only', () => {
    const p = policy({ wecomQuota: { mode: 'day_1' } })
    expect(reasonOf(p, facts({ massReleasedAt: [now] }), 'wecom')).toBe('quota')
    expect(reasonOf(p, facts({ massReleasedAt: [now] }), 'coupon')).toBeUndefined()
    expect(reasonOf(p, facts({ massReleasedAt: [now] }), 'task')).toBeUndefined()
  })
})

describe('lookAt', () => {
  it.each([
    ['2026-03-02T10:00:00.000Z', '2026-03-02T10:00:00Z'],
    ['2026-03-02T10:00:00.001Z', '2026-03-02T10:30:00Z'],
    ['2026-03-02T10:30:00.000Z', '2026-03-02T10:30:00Z'],
    ['2026-03-02T10:59:59.999Z', '2026-03-02T11:00:00Z'],
  ])('puts %s on the half hour %s', (from, to) => {
    expect(lookAt(at(from))).toEqual(at(to))
  })
})

describe('the policy file', () => {
  it.each<[object, string]>([
    [{ quietHours: { from: '9:00', to: '21:00' } }, 'quietHours.from'],
    [{ quietHours: { from: '21:00', to: '24:00' } }, 'quietHours.to'],
    [{ holidays: ['17.02.2026'] }, 'holidays.0'],
    [{ caps: [{ max: 0, per: '1d' }] }, 'caps.0.max'],
    [{ caps: [{ max: 1, per: 'day' }] }, 'caps.0.per'],
    [{ wecomQuota: { mode: 'year' } }, 'wecomQuota.mode'],
    [{ tasksPerGuidePerMinute: 31 }, 'tasksPerGuidePerMinute'],
  ])('%j is refused by the name of the field', (more, path) => {
    expect.assertions(1)
    try {
      policy(more)
    } catch (err) {
      expect((err as InvalidInputError).problems.map((p) => p.path)).toEqual([path])
    }
  })
})

describe('nextReminderAt', () => {
  const released = at('2026-03-02T02:00:00Z') // 10:00 in Shanghai
  const next = (reminders: number, remindAfter: string[]) =>
    nextReminderAt(policy({ remindAfter }), released, reminders, 'Asia/Shanghai')

  it('counts from the release, waits for the end of quiet hours, and ends with the time to confirm', () => {
    expect(next(0, ['4h', '12h'])).toEqual(at('2026-03-02T06:00:00Z'))
    expect(next(1, ['4h', '12h'])).toEqual(at('2026-03-03T01:00:00Z'))
    expect(next(2, ['4h', '12h'])).toBeUndefined()
    expect(next(0, ['3d'])).toBeUndefined()
  })

  it.each([
    [['1h', '2h', '3h'], true],
    [['1h', '2h', '3h', '25h'], true],
    [['1h', '2h', '3h', '24h'], false],
    [['2h', '1h'], false],
    [['0s'], false],
  ])('takes %j: %s', (remindAfter, fine) => {
    const read = () => policy({ remindAfter })
    if (fine) expect(read().remindAfter).toHaveLength(remindAfter.length)
    else expect(read).toThrow(InvalidInputError)
  })
})
