import { describe, expect, it } from '@jest/globals'
import { displayWidth, padEnd, padStart, truncate, wrap } from '../../src/print/display-width.js'

describe('displayWidth', () => {
  it.each([
    ['abc', 3],
    ['私域', 4],
    ['（尚无）', 8],
    ['e\u0301', 1],
    ['\u001b[1m私域\u001b[0m', 4],
    ['█▌├●┤', 5],
    ['𠮷', 2],
    ['', 0],
  ])('of %j is %i cells', (text, cells) => {
    expect(displayWidth(text)).toBe(cells)
  })

  it('pads to cells, not to characters', () => {
    expect(padEnd('私', 4)).toBe('私  ')
    expect(padStart('私', 4)).toBe('  私')
  })

  it('cuts no Chinese character in half', () => {
    expect(truncate('私域演示', 6)).toBe('私域…')
    expect(truncate('私域演示', 8)).toBe('私域演示')
  })
})

describe('wrap', () => {
  it('breaks at blanks and between Chinese characters, never before a closing mark, and cuts no word', () => {
    expect(wrap('先 siyu serve 再试，然后看日志。', 12)).toEqual(['先 siyu', 'serve 再试，', '然后看日志。'])
    expect(wrap('see https://work.weixin.qq.com/wework_admin now', 10)).toEqual([
      'see',
      'https://work.weixin.qq.com/wework_admin',
      'now',
    ])
    expect(wrap('', 10)).toEqual([''])
  })
})
