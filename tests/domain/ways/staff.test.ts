import { describe, expect, it } from '@jest/globals'
import { ContactWay } from '../../../src/domain/ways/definition.js'
import { nextChangeAt, onDuty } from '../../../src/domain/ways/staff.js'
import { parseInput } from '../../../src/parse.js'

const ZONE = 'Asia/Shanghai'
const at = (text: string) => new Date(`${text}+08:00`)
const way = (input: object) => parseInput(ContactWay, { id: 'store-001', name: '门店 001', ...input })

const store = way({
  shifts: [
    { days: ['mon', 'tue', 'wed', 'thu', 'fri'], from: '09:00', to: '18:00', users: ['guide001', 'guide002'] },
    { days: ['fri', 'sat'], from: '18:00', to: '02:00', users: ['guide003'] },
  ],
  backup: ['guide009'],
  away: [{ user: 'guide001', from: '2026-08-05', to: '2026-08-06' }],
})

describe('who is on duty', () => {
  it.each<[string, string, string[]]>([
    ['in working hours', '2026-08-03T12:00:00', ['guide001', 'guide002']],
    ['at the minute a shift begins', '2026-08-03T09:00:00', ['guide001', 'guide002']],
    ['before it begins, the backup', '2026-08-03T08:59:59', ['guide009']],
    ['at the minute it ends, the backup', '2026-08-03T18:00:00', ['guide009']],
    ['on Friday evening', '2026-08-07T19:00:00', ['guide003']],
    ['past midnight of the day the shift began', '2026-08-08T01:59:00', ['guide003']],
    ['after the night shift', '2026-08-08T02:00:00', ['guide009']],
    ['past midnight on Sunday, of Saturday’s shift', '2026-08-09T01:00:00', ['guide003']],
    ['on a first day away', '2026-08-05T12:00:00', ['guide002']],
    ['on the last day away', '2026-08-06T12:00:00', ['guide002']],
    ['back the day after', '2026-08-07T12:00:00', ['guide001', 'guide002']],
  ])('%s', (_when, time, users) => {
    expect(onDuty(store, at(time), ZONE)).toEqual(users)
  })

  it('leaves out who left the company', () => {
    expect(onDuty(store, at('2026-08-03T12:00:00'), ZONE, new Set(['guide001']))).toEqual(['guide002'])
    expect(onDuty(store, at('2026-08-03T12:00:00'), ZONE, new Set(['guide001', 'guide002']))).toEqual(['guide009'])
  })

  it('keeps everybody named when nobody at all is there: a code needs somebody', () => {
    const one = way({ users: ['guide001'] })
    expect(onDuty(one, at('2026-08-03T12:00:00'), ZONE, new Set(['guide001']))).toEqual(['guide001'])
  })

  it('is nobody by name where a department is on duty', () => {
    expect(onDuty(way({ departments: [3], backup: ['guide009'] }), at('2026-08-03T12:00:00'), ZONE)).toEqual([])
  })
})

describe('the next change', () => {
  it.each<[string, string]>([
    ['2026-08-03T12:00:00', '2026-08-03T18:00:00'],
    ['2026-08-03T18:00:00', '2026-08-04T02:00:00'],
    ['2026-08-04T18:30:00', '2026-08-05T00:00:00'],
    ['2026-08-06T20:00:00', '2026-08-07T00:00:00'],
    ['2026-08-09T18:30:00', '2026-08-10T02:00:00'],
  ])('after %s is %s', (time, next) => {
    expect(nextChangeAt(store, at(time), ZONE)).toEqual(at(next))
  })

  it('is none without shifts', () => {
    expect(nextChangeAt(way({ users: ['guide001'] }), at('2026-08-03T12:00:00'), ZONE)).toBeUndefined()
  })

  it('needs somebody on duty', () => {
    expect(() => way({})).toThrow('nobody is on duty')
  })
})
