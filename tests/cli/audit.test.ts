import { describe, expect, it } from '@jest/globals'
import { renderAudit, verdictText } from '../../src/cli/audit.js'
import { displayWidth } from '../../src/print/display-width.js'
import { bilingual } from '../../src/said.js'
import type { AuditLine } from '../../src/services/runtime/audit.js'

const timeZone = 'Asia/Shanghai'
const [zh, en] = [bilingual('zh'), bilingual('en')]

const row = (n: number, more: Partial<AuditLine>): AuditLine => ({
  n,
  who: 'key:1a2b3c4d',
  operation: 'publish',
  target: '',
  at: '2026-03-02T02:00:00.000Z',
  outcome: 'done',
  inputHash: '',
  previousHash: '',
  hash: '',
  ...more,
})

describe('siyu audit', () => {
  it('fits the terminal: a long target is cut, nothing else', () => {
    const rows = [
      row(12, { operation: 'journeys/explain', target: 'registered-7d-no-order，'.repeat(9) }),
      row(11, { operation: 'sending', outcome: 'refused', code: 'invalid_input' }),
    ]
    const lines = renderAudit(rows, { timeZone, words: zh }, 120).trimEnd().split('\n')
    expect(Math.max(...lines.map(displayWidth))).toBeLessThanOrEqual(120)
    expect(lines[2]).toContain('2026-03-02 10:00  key:1a2b3c4d  journeys/explain')
    expect(lines[2]).toMatch(/registered-7d-no-order，.*…$/)
    expect(lines[3]).toContain('被拒 invalid_input')
    expect(renderAudit(rows, { timeZone, words: zh }, undefined)).toContain('registered-7d-no-order，'.repeat(9))
  })

  it('says what --verify found', () => {
    expect(verdictText({ rows: 0, hash: '' }, zh)).toBe('✓ 0 条，链条完好\n')
    expect(verdictText({ rows: 1200, hash: 'abc' }, en)).toBe(
      '✓ 1,200 rows, the chain is whole\n  hash of the last: abc\n',
    )
    const broken = { rows: 6, hash: 'abc', broken: { n: 7, what: 'changed' } } as const
    expect(verdictText(broken, zh)).toBe('✗ 第 7 条内容被改动；此前 6 条完好\n')
    expect(verdictText(broken, en)).toBe('✗ row 7 was changed; 6 rows before it are whole\n')
  })
})
