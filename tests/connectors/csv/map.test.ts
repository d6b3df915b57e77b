import { describe, expect, it } from '@jest/globals'
import { lineAmountMinor, minorDigitsOf, timestampReader } from '../../../connectors/csv/map.js'

describe('lineAmountMinor', () => {
  it.each([
    ['6', '2.55', 1_530],
    ['1', '0.005', 1],
    ['-1', '0.005', -1],
    ['1', '0.0049', 0],
    ['-5', '0.001', -1],
    ['-4', '0.001', 0],
    // 1.005 is 1.00499… as a float.
    ['1', '1.005', 101],
    ['-1', '1.005', -101],
    ['1', '-11062.06', -1_106_206],
    ['-80995', '2.08', -16_846_960],
    ['3', '2', 600],
    ['3', '2.', 600],
    ['0', '2.10', 0],
    ['900000000000', '0.000000000001', 90],
  ])('%s × %s is %d pence', (quantity, price, pence) => {
    expect(lineAmountMinor(quantity, price, 2)).toBe(pence)
  })

  it.each([
    ['1.5', '2'],
    ['', '2'],
    ['1', ''],
    ['1', '2,50'],
    ['1', '1e3'],
    ['999999999999999', '999999.99'],
  ])('%s × %s is no amount', (quantity, price) => {
    expect(lineAmountMinor(quantity, price, 2)).toBeUndefined()
  })

  it('rounds to the minor unit of the currency', () => {
    expect(lineAmountMinor('1', '1234.5', minorDigitsOf('JPY'))).toBe(1_235)
    expect(lineAmountMinor('1', '1.2345', minorDigitsOf('KWD'))).toBe(1_235)
  })
})

describe('timestampReader', () => {
  const read = timestampReader('yyyy-MM-dd HH:mm:ss', 'Europe/London')

  it.each([
    ['2010-12-01 08:26:00', '2010-12-01T08:26:00.000Z'],
    ['2011-07-01 08:26:00', '2011-07-01T07:26:00.000Z'],
    // The clock shows 01:30 twice on this night; the earlier is meant.
    ['2011-10-30 01:30:00', '2011-10-30T00:30:00.000Z'],
  ])('%s in London is %s', (text, instant) => {
    expect(read(text)?.toISOString()).toBe(instant)
  })

  it.each(['2011-02-30 08:00:00', '2011-13-01 08:00:00', '2011-01-01 24:00:00', '2011-01-01', '', 'x'])(
    '"%s" is none',
    (t) => {
      expect(read(t)).toBeUndefined()
    },
  )

  it('reads ISO times only with their offset', () => {
    const iso = timestampReader('iso', 'Europe/London')
    expect(iso('2011-07-01T08:00:00+08:00')?.toISOString()).toBe('2011-07-01T00:00:00.000Z')
    expect(iso('2011-07-01T08:00:00')).toBeUndefined()
  })
})
