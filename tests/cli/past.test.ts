import { describe, expect, it } from '@jest/globals'
import { parsePast } from '../../src/cli/past.js'

const ZONE = 'Asia/Shanghai'

describe('--as-of', () => {
  it.each([
    ['2026-11-01T10:00', '2026-11-01T02:00:00.000Z'],
    ['2026-11-01 10:00:30', '2026-11-01T02:00:30.000Z'],
    ['2026-11-01T10:00:30.5Z', '2026-11-01T10:00:30.500Z'],
    ['2026-11-01T10:00+02:00', '2026-11-01T08:00:00.000Z'],
    ['2026-11-01T10:00-05:30', '2026-11-01T15:30:00.000Z'],
  ])('reads %s as %s: without an offset by the business clock', (asOf, at) => {
    expect(parsePast({ asOf }, ZONE)).toEqual({ asOf: at })
    expect(parsePast({ asOf, asItHappened: true }, ZONE)).toEqual({ asOf: at, asItHappened: true })
  })

  it.each([
    '2026-11-01',
    'yesterday',
    '2026-02-30T10:00',
    '2026-11-01T24:00',
    '2026-11-01T10:61',
    '2026-11-01T10:00:60',
  ])('refuses %s', (asOf) => {
    expect(() => parsePast({ asOf }, ZONE)).toThrow(/--as-of: .*is no time/)
  })

  it('is needed with --as-it-happened, and nothing is asked of the past without it', () => {
    expect(() => parsePast({ asItHappened: true }, ZONE)).toThrow('is missing')
    expect(parsePast({}, ZONE)).toBeUndefined()
  })
})
