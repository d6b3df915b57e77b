import { describe, expect, it } from '@jest/globals'
import { renderReportHtml } from '../../demo/report-html.js'
import { formatEffect } from '../../demo/report-text.js'
import { formatCount, formatMinor, formatRatio } from '../../src/print/numbers.js'
import type { DemoReport } from '../../demo/demo-report.js'
import type { DemoNames } from '../../demo/names.js'
import { buildDemoReport } from '../support/demo-report.js'

/** Every figure of the report as the page should show it. */
function figuresOf(report: DemoReport): string[] {
  const counts = (values: Record<string, number>) => Object.values(values).map(formatCount)
  const { source, identity, stages, touches } = report
  return [
    ...counts({ ...identity, precision: 0, recall: 0 }),
    formatRatio(identity.precision, 2),
    formatRatio(identity.recall, 2),
    ...Object.entries(source).flatMap(([field, value]) =>
      typeof value === 'string'
        ? []
        : [field.endsWith('Minor') ? formatMinor(value, source.currency) : formatCount(value)],
    ),
    ...Object.values(report.tags).flatMap((t) => [formatCount(t.profiles), formatRatio(t.coverage)]),
    ...[stages.atStart, stages.atEnd, ...Object.values(stages.matrix)].flatMap(counts),
    ...Object.values(report.journeys).flatMap((j) => [
      ...counts({
        ...j.suppressed,
        bt: j.bought - j.boughtHeldOut,
        bh: j.boughtHeldOut,
        e: j.entered,
        h: j.heldOut,
        p: j.planned,
        c: j.created,
      }),
      ...counts({ c: j.confirmed, d: j.delivered }),
      formatEffect(j.effect),
    ]),
    ...[touches.byState, touches.byChannel, touches.byReason, { planned: touches.planned }].flatMap(counts),
    ...Object.values(report.tasks).flatMap(counts),
    ...counts(report.sandbox),
  ]
}

const names: DemoNames = (_kind, id) => id

describe('renderReportHtml', () => {
  const report = buildDemoReport()
  const html = renderReportHtml(report, 'zh', names)

  it('shows every figure of the report', () => {
    const shown = new Set(html.replace(/<[^>]*>/g, '\n').split('\n').map((s) => s.trim())) // prettier-ignore
    const missing = figuresOf(report).filter((figure) => !shown.has(figure) && !html.includes(`${figure} `))
    expect(missing).toEqual([])
  })

  it('escapes what comes from outside', () => {
    const evil = `<img src=x onerror="a()">&'`
    const journey = { ...report.journeys['dormant-vip']!, suppressed: { [evil]: 3 } }
    const tasks = { [evil]: { open: 1, done: 0, interested: 0, expired: 0 } }
    const stages = { order: [evil], atStart: { [evil]: 1 }, atEnd: { [evil]: 1 }, matrix: { [evil]: { [evil]: 1 } } }
    const tags = { [evil]: { profiles: 1, coverage: 1 } }
    const dirty = renderReportHtml(buildDemoReport({ journeys: { [evil]: journey }, tasks, stages, tags }), 'zh', names)
    expect(dirty).not.toContain('<img')
    expect(dirty).not.toContain('onerror="')
    expect(dirty.split('&#60;img src=x onerror=&#34;a()&#34;&#62;&#38;&#39;').length).toBeGreaterThan(5)
  })

  it('loads nothing and runs nothing', () => {
    expect(html).not.toMatch(/<script|<link|<iframe|\bsrc=|\bhref=|url\(|@import|https?:/)
    expect(html).toContain(`content="default-src 'none'; style-src 'unsafe-inline'"`)
  })

  it('closes every element it opens', () => {
    const open: string[] = []
    for (const [, slash, tag, rest] of html.matchAll(/<(\/?)([a-z0-9]+)([^>]*)>/g)) {
      if (['meta', 'br'].includes(tag!) || rest!.endsWith('/')) continue
      if (slash === '') open.push(tag!)
      else expect(open.pop()).toBe(tag)
    }
    expect(open).toEqual([])
  })

  it('gives the same bytes for the same report', () => {
    expect(renderReportHtml(buildDemoReport(), 'zh', names)).toBe(html)
  })

  it('is in one language', () => {
    const english = renderReportHtml(report, 'en', names)
    expect(english).not.toMatch(/(?<!Microsoft YaHei.*)\p{Script=Han}/u)
    expect(english).toContain('✓ passed')
    expect(html).not.toContain('passed')
  })

  it('says so when the independent check fails', () => {
    const failed = renderReportHtml(buildDemoReport({ sandbox: { ...report.sandbox, overCap: 1 } }), 'zh', names)
    expect(failed).toContain('✗ 未通过')
    expect(html).toContain('✓ 通过')
  })
})
