import { expect, it } from '@jest/globals'
import { canonicalBirthday } from '../../../src/domain/identity/birthday.js'

it.each([
  ['1990-01-31', '1990-01-31'],
  ['1990-1-3', '1990-01-03'],
  ['1990/01/31', '1990-01-31'],
  ['1990.1.31', '1990-01-31'],
  ['19900131', '1990-01-31'],
  ['1990年1月31日', '1990-01-31'],
  ['１９９０年１月３１日', '1990-01-31'],
  [' 1990-01-31 ', '1990-01-31'],
  ['1990-01-31T00:00:00Z', '1990-01-31'],
  ['1990-01-31T00:00:00.000', '1990-01-31'],
  ['1990/1/31 00:00:00', '1990-01-31'],
  ['2000-02-29', '2000-02-29'],
  ['01-31', '--01-31'],
  ['--01-31', '--01-31'],
  ['1月31日', '--01-31'],
  ['2/29', '--02-29'],
])('%s is %s', (written, canonical) => {
  expect(canonicalBirthday(written)).toBe(canonical)
  expect(canonicalBirthday(canonical)).toBe(canonical)
})

it.each([
  ['a day that no year has', '1990-02-30'],
  ['the 29th of a February without', '1999-02-29'],
  ['a month that there is not', '1990-13-01'],
  ['no day at all', '0000-00-00'],
  ['what programs write without one', '1900-01-01'],
  ['a year alone', '1990'],
  ['a day before its month, or after', '31/01/1990'],
  ['a time that may be of another day', '1990-01-30T16:00:00Z'],
  ['words', '属马'],
  ['nothing', ''],
])('%s is none: %s', (_what, written) => expect(canonicalBirthday(written)).toBeUndefined())
