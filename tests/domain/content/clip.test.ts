import { describe, expect, it } from '@jest/globals'
import { clipBytes, clipText } from '../../../src/domain/content/clip.js'

const FAMILY = '👨‍👩‍👧' // five code points, seen as one
const WAVE = '👋🏽'

describe('what is cut', () => {
  it.each([
    ['一二三四五', 5, '一二三四五'],
    ['一二三四五六', 5, '一二三四…'],
    ['一二三🎁五六', 5, '一二三🎁…'],
    [`一二${FAMILY}四五`, 5, '一二…'],
    [`一二${WAVE}四五`, 5, `一二${WAVE}…`],
    ['e\u0301e\u0301e\u0301', 4, 'e\u0301…'],
  ])('%s at %i characters keeps whole ones', (text, max, clipped) => {
    expect(clipText(text, max)).toBe(clipped)
    expect([...clipText(text, max)].length).toBeLessThanOrEqual(max)
  })

  it.each([
    ['一二三四', 12, '一二三四'],
    ['一二三四五', 12, '一二三…'],
    [`一${FAMILY}二三四五`, 12, '一…'],
  ])('%s at %i bytes likewise', (text, max, clipped) => {
    expect(clipBytes(text, max)).toBe(clipped)
    expect(Buffer.byteLength(clipBytes(text, max))).toBeLessThanOrEqual(max)
  })
})
