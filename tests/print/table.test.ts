import { describe, expect, it } from '@jest/globals'
import { displayWidth } from '../../src/print/display-width.js'
import { fitTable, formatAt, renderTable } from '../../src/print/table.js'

describe('renderTable', () => {
  it('aligns by terminal cells, Chinese characters taking two', () => {
    const columns = [{ title: '标签 tag' }, { title: '人数', align: 'right' as const }]
    const rows = [
      ['沉睡', '1,234'],
      ['vip', '7'],
    ]
    expect(renderTable(columns, rows)).toBe(
      ['标签 tag   人数', '────────  ─────', '沉睡      1,234', 'vip           7', ''].join('\n'),
    )
  })
})

describe('formatAt', () => {
  it('shows an instant on the business clock', () => {
    expect(formatAt('2026-03-09T16:05:00Z', 'Asia/Shanghai')).toBe('2026-03-10 00:05')
    expect(formatAt(undefined, 'Asia/Shanghai')).toBe('')
  })
})

describe('fitTable', () => {
  const columns = [
    { title: 'id', whole: true },
    { title: '名称' },
    { title: '用途 purpose' },
    { title: 'n', align: 'right' as const },
  ]
  const rows = [['welcome-7d-no-order:42:0/2', '注册七日未成交的客户'.repeat(3), 'why it is there '.repeat(6), '1,234']]

  it.each([80, 60])('is no wider than %d cells: the widest give way, what is copied does not', (width) => {
    const lines = fitTable(columns, rows, width).trimEnd().split('\n')
    for (const line of lines) expect(displayWidth(line)).toBeLessThanOrEqual(width)
    expect(lines[2]).toMatch(/^welcome-7d-no-order:42:0\/2 {2}注册.*… {2}why.*… +1,234$/)
  })

  it('cuts nothing where nobody looks at a terminal, or there is room', () => {
    expect(fitTable(columns, rows, undefined)).toContain(rows[0]![2]!.trimEnd())
    expect(fitTable(columns, rows, 400)).not.toContain('…')
  })
})
