import { describe, expect, it } from '@jest/globals'
import { parsePerson } from '../../src/cli/person.js'

describe('parsePerson', () => {
  it.each([
    [{ profile: 42 }, { profileId: 42 }],
    [{ member: '7' }, { identifier: { type: 'member_id', value: '7' } }],
    [{ identifier: ' 138 0000 0011' }, { value: '138 0000 0011' }],
    // Whose types are known there is asked what of it is one.
    [{ identifier: 'openid:wx1:o1' }, { value: 'openid:wx1:o1' }],
  ])('reads %o', (options, person) => {
    expect(parsePerson(options)).toEqual(person)
  })

  it.each([[{}], [{ profile: 1, member: '7' }], [{ profile: 0 }], [{ identifier: '' }], [{ member: '' }]])(
    'refuses %o, and repeats no value',
    (options) => {
      expect(() => parsePerson(options)).toThrow(/--(profile|member|identifier)/)
      expect(() => parsePerson(options)).not.toThrow(/13800000000/)
    },
  )
})
