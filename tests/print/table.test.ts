import { describe, expect, it } from '@jest/globals'
import { formatAt, renderTable } from '../../src/print/table.js'

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
