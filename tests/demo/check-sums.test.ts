import { describe, expect, it } from '@jest/globals'
import { findSumProblems } from '../../demo/check-sums.js'
import type { DemoReport } from '../../demo/demo-report.js'
import { buildDemoReport } from '../support/demo-report.js'

describe('the figures of one report', () => {
  it('agree', () => {
    expect(findSumProblems(buildDemoReport())).toEqual([])
  })

  it.each<[string, (r: DemoReport) => void, RegExp]>([
    ['one person more with a stage than there are', (r) => r.stages.atEnd['lost']!++, /identity\.profiles.*atEnd/],
    ['a row of the matrix', (r) => r.stages.matrix['new']!['active']!++, /atStart\.new.*matrix\.new/],
    ['a tag with more than there are', (r) => (r.tags['registered']!.profiles = 9_999), /tags\.registered has 9999/],
    ['a touch without a state', (r) => r.touches.byState['unknown']!--, /touches\.planned.*byState/],
    ['a reason too many', (r) => r.touches.byReason['cap']!++, /byState\.suppressed.*byReason/],
    ['a journey that planned more', (r) => r.journeys['dormant-vip']!.planned++, /that of all journeys/],
    ['more held out who bought than held out', (r) => (r.journeys['dormant-vip']!.boughtHeldOut = 13), /dormant-vip/],
  ])('do not with %s', (_what, spoil, problem) => {
    const report = buildDemoReport()
    spoil(report)
    expect(findSumProblems(report).join('\n')).toMatch(problem)
  })
})
