import { describe, expect, it } from '@jest/globals'
import { DemoReport, stringifyReport } from '../../demo/demo-report.js'
import { InvalidInputError } from '../../src/errors.js'
import { parseInput } from '../../src/parse.js'
import { buildDemoReport } from '../support/demo-report.js'

/** The same figures with every object's keys in the opposite order. */
function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed)
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, inner]) => [key, reversed(inner)]),
  )
}

describe('stringifyReport', () => {
  it('gives the same bytes whatever the order of the keys', () => {
    const report = buildDemoReport()
    const shuffled = parseInput(DemoReport, reversed(report))
    expect(Object.keys(shuffled.journeys)).not.toEqual(Object.keys(report.journeys))
    expect(stringifyReport(shuffled)).toBe(stringifyReport(report))
  })

  it('sorts keys, indents by two spaces and ends in one newline', () => {
    const text = stringifyReport(buildDemoReport())
    expect(text.startsWith('{\n  "days": 90,\n  "from": ')).toBe(true)
    expect(text.endsWith('\n}\n')).toBe(true)
    expect(Object.keys(JSON.parse(text) as object)).toEqual(
      ['days', 'from', 'identity', 'journeys', 'sandbox', 'seed', 'source', 'stages', 'tags', 'tasks', 'to', 'touches'], // prettier-ignore
    )
  })

  it('keeps the order of stages and every bit of a figure through a round trip', () => {
    const report = buildDemoReport()
    expect(parseInput(DemoReport, JSON.parse(stringifyReport(report)))).toEqual(report)
  })
})

describe('DemoReport', () => {
  const journey = buildDemoReport().journeys['dormant-vip']!
  it.each([
    ['a negative count', { ...journey, planned: -1 }, 'journeys.j.planned'],
    ['a missing figure', { ...journey, delivered: undefined }, 'journeys.j.delivered'],
    ['an unknown figure', { ...journey, clicked: 1 }, 'journeys.j.clicked'],
    ['an interval with one end', { ...journey, effect: { estimate: 0, low: null, high: 0 } }, 'journeys.j.effect'],
  ])('refuses %s and names the field', (_, broken, path) => {
    const attempt = () => parseInput(DemoReport, { ...buildDemoReport(), journeys: { j: broken } })
    expect(attempt).toThrow(InvalidInputError)
    expect(attempt).toThrow(path)
  })

  it('takes further task states of a guide', () => {
    const tasks = { 'guide-001': { open: 1, done: 2, interested: 3, expired: 4, snoozed: 5 } }
    expect(buildDemoReport({ tasks }).tasks['guide-001']).toHaveProperty('snoozed', 5)
  })
})
