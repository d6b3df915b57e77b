import { describe, expect, it } from '@jest/globals'
import { displayWidth } from '../../src/print/display-width.js'
import { renderReport } from '../../demo/report-terminal.js'
import { computeEffect } from '../../src/domain/measures/newcombe.js'
import { loadGiftShop } from '../../demo/gift-shop.js'
import { type DemoNames, namesOf } from '../../demo/names.js'
import { loadDefinitions } from '../../src/services/definitions/load-definitions.js'
import { buildDemoReport } from '../support/demo-report.js'

const names: DemoNames = (_kind, id) => id

const linesOf = (text: string) => text.split('\n')

/** The cell at which the figure ends in the line that holds `label`. */
function endOf(lines: readonly string[], label: string, figure: string): number {
  const line = lines.find((l) => l.includes(label))!
  return displayWidth(line.slice(0, line.indexOf(figure) + figure.length))
}

describe('renderReport', () => {
  it.each([
    ['zh', 100],
    ['en', 100],
    ['zh', 80],
    ['zh', 60],
    ['en', 80],
    ['en', 60],
  ] as const)('in %s keeps every line within %i cells', (locale, width) => {
    const lines = linesOf(renderReport(buildDemoReport(), { locale, width, colour: false, names }))
    expect(lines.filter((line) => displayWidth(line) > width)).toEqual([])
  })

  it('aligns figures under Chinese labels of unequal length', () => {
    const lines = linesOf(renderReport(buildDemoReport(), { locale: 'zh', width: 100, colour: false, names }))
    const ends = [
      endOf(lines, '行数', '541,909'),
      endOf(lines, '无客户号的行', '135,080'),
      endOf(lines, '订单', '22,061'),
      endOf(lines, '取消单', '3,836'),
    ]
    expect(new Set(ends).size).toBe(1)
  })

  it('shows the same text with colours as without', () => {
    const options = { locale: 'zh', width: 100, names } as const
    const coloured = renderReport(buildDemoReport(), { ...options, colour: true })
    expect(coloured).toContain('\u001b[1m')
    // eslint-disable-next-line no-control-regex -- the escape character starts a colour code
    expect(coloured.replace(/\u001b\[\d+m/g, '')).toBe(renderReport(buildDemoReport(), { ...options, colour: false }))
  })

  it('is in one language, but for ids that have no name', () => {
    const report = buildDemoReport()
    const chinese = renderReport(report, { locale: 'zh', width: 100, colour: false, names: () => '名字' })
    expect(chinese).toContain('数据来源')
    // What is left is no sentence of ours: the product, currencies, points.
    expect(chinese.replace(/HTML|siyu|GBP|pp|T\d|Z\b/g, '')).not.toMatch(/[A-Za-z]{2,}/)
    expect(renderReport(report, { locale: 'en', width: 100, colour: false, names: (_kind, id) => id })).not.toMatch(
      /[\u4e00-\u9fff]/,
    )
  })

  it('calls tags, stages, journeys and guides by their names', async () => {
    const gift = namesOf(await loadDefinitions((await loadGiftShop({})).paths), 'zh')
    expect([gift('tag', 'dormant_vip'), gift('stage', 'churned'), gift('journey', 'vip-dormant-30-60d')]).toEqual([
      '沉睡VIP',
      '已流失',
      '沉睡VIP 30–60天',
    ])
    expect([gift('guide', 'guide-017'), gift('tag', 'nobody-has-it')]).toEqual(['导购 017', 'nobody-has-it'])
    const tags = { dormant_vip: { profiles: 3, coverage: 0.1 } }
    const text = renderReport(buildDemoReport({ tags }), { locale: 'zh', width: 80, colour: false, names: gift })
    expect(text).toContain('沉睡VIP')
  })

  it.each([
    [{ n: 361, x: 33 }, { n: 41, x: 4 }, '−0.61 pp [−13.66 pp, +6.20 pp]', '区间含 0：没有证据表明有效果。'],
    [{ n: 70, x: 56 }, { n: 80, x: 48 }, '+20.00 pp [+5.24 pp, +33.39 pp]', '区间不含 0，但真实效果为零'],
    [{ n: 70, x: 56 }, { n: 0, x: 0 }, '实验组 − 对照组: –', '有一组无人，无法比较。'],
  ])('prints the interval of %j against %j as it is, with what it means', (treated, holdout, interval, meaning) => {
    const journey = {
      ...buildDemoReport().journeys['dormant-vip']!,
      entered: treated.n + holdout.n,
      heldOut: holdout.n,
      bought: treated.x + holdout.x,
      boughtHeldOut: holdout.x,
      effect: computeEffect({ treated, holdout }),
    }
    const text = renderReport(buildDemoReport({ journeys: { j: journey } }), {
      locale: 'zh',
      width: 100,
      colour: false,
      names,
    })
    expect(text).toContain(interval)
    expect(text).toContain(meaning)
  })

  it('draws the interval around its estimate, over a zero in the middle', () => {
    const effect = computeEffect({ treated: { n: 70, x: 56 }, holdout: { n: 80, x: 48 } })
    const journey = { ...buildDemoReport().journeys['dormant-vip']!, effect }
    const lines = linesOf(
      renderReport(buildDemoReport({ journeys: { j: journey } }), { locale: 'zh', width: 100, colour: false, names }),
    )
    const drawn = lines.findIndex((line) => line.includes('●'))
    const [zero, low, estimate, high] = ['┊', '├', '●', '┤'].map((mark) => lines[drawn]!.indexOf(mark))
    expect([zero, low, estimate, high]).toEqual([zero, low, estimate, high].toSorted((a, b) => a! - b!))
    expect(lines[drawn + 1]!.indexOf(' 0 ') + 1).toBe(zero)
  })

  it('says so when the independent check fails', () => {
    const sandbox = { ...buildDemoReport().sandbox, doubled: 2 }
    const text = renderReport(buildDemoReport({ sandbox }), { locale: 'zh', width: 100, colour: false, names })
    expect(text).toContain('核对未通过')
    expect(text).toMatch(/重复发送 +2 {2}✗/)
  })

  it('has a line for guides it leaves out', () => {
    expect(renderReport(buildDemoReport(), { locale: 'en', width: 100, colour: false, names })).toContain(
      '8 more guides',
    )
  })

  it('renders a run in which nothing happened', () => {
    const empty = buildDemoReport({
      tags: {},
      journeys: {},
      tasks: {},
      stages: { order: [], atStart: {}, atEnd: {}, matrix: {} },
      touches: { planned: 0, byState: {}, byChannel: {}, byReason: {} },
    })
    expect(renderReport(empty, { locale: 'zh', width: 100, colour: false, names })).toContain('计划: 0')
  })
})
