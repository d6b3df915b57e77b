import { describe, expect, it } from '@jest/globals'
import { renderAudit, verdictText } from '../../src/cli/audit.js'
import { displayWidth } from '../../src/print/display-width.js'
import type { AuditLine } from '../../src/services/runtime/audit.js'

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
    const lines = renderAudit(rows, 'Asia/Shanghai', 120).trimEnd().split('\n')
    expect(Math.max(...lines.map(displayWidth))).toBeLessThanOrEqual(120)
    expect(lines[2]).toContain('2026-03-02 10:00  key:1a2b3c4d  journeys/explain')
    expect(lines[2]).toMatch(/registered-7d-no-order，.*…$/)
    expect(lines[3]).toContain('被拒 refused invalid_input')
    expect(renderAudit(rows, 'Asia/Shanghai', Infinity)).toContain('registered-7d-no-order，'.repeat(9))
  })

  it('says what --verify found', () => {
    expect(verdictText({ rows: 0, hash: '' })).toBe('✓ 0 条，链条完好 · 0 rows, the chain is whole\n')
    expect(verdictText({ rows: 1200, hash: 'abc' })).toContain('hash of the last: abc')
    expect(verdictText({ rows: 6, hash: 'abc', broken: { n: 7, what: 'changed' } })).toMatch(/^✗ 第 7 条.*row 7.*6/)
  })
})
