import { describe, expect, it } from '@jest/globals'
import { cardOf, firstWords } from '../../../src/domain/guides/card.js'

describe('a card', () => {
  it('has every reason in its title, every code in a row of its own, and each journey once', () => {
    const card = cardOf('王姐', [
      { title: '回访', why: '老客' },
      { title: '送券', why: '新客礼', couponCode: 'A1' },
      { title: '送券', why: '新客礼', couponCode: 'B2' },
    ])
    expect(card.title).toBe('回访；送券')
    expect(card.rows).toEqual([
      { name: '客户', value: '王姐' },
      { name: '券码', value: 'A1' },
      { name: '券码', value: 'B2' },
      { name: '原因', value: '老客、新客礼' },
    ])
  })

  it('cuts names to what clients show, and never a code', () => {
    const code = 'C'.repeat(30)
    const card = cardOf('名'.repeat(40), [{ title: '题'.repeat(40), why: '因'.repeat(40), couponCode: code }])
    expect(card.title).toBe(`${'题'.repeat(25)}…`)
    expect(card.rows.map((row) => row.value)).toEqual([`${'名'.repeat(29)}…`, code, `${'因'.repeat(29)}…`])
  })

  it('is titled with the first words of a script, on one line, whole characters', () => {
    expect(firstWords('一二三四五六七八九十一二三四五六七八九🎁券码 A1')).toBe(
      '一二三四五六七八九十一二三四五六七八九🎁券码 A1',
    )
    expect(firstWords(`${'一'.repeat(24)}🎁🎁🎁`)).toBe(`${'一'.repeat(24)}🎁…`)
    expect(firstWords('您好\n  券码')).toBe('您好 券码')
  })
})
