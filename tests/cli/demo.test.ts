import { describe, expect, it } from '@jest/globals'
import { describeDemo } from '../../src/cli/demo.js'

const CHINESE = /\p{Script=Han}/u

describe('describeDemo', () => {
  it('says what will happen, in how many days and phases, where state is kept and that it may be killed', () => {
    const text = describeDemo({ data: '.siyu/demo', days: 30, lang: 'en' }, 'nothing')
    expect(text).toMatch(/^Demo: a year of real orders/)
    for (const fact of [/two phases/, /last 30 days/, /how long/, /kept in \.siyu\/demo/, /kill it whenever you like/])
      expect(text).toMatch(fact)
    expect(text).not.toMatch(CHINESE)
  })

  it('says it in Chinese alone', () => {
    const text = describeDemo({ data: 'd', days: 30, lang: 'zh' }, 'nothing')
    expect(text).toMatch(/最后 30 天/)
    for (const line of text.split('\n')) expect(line).toMatch(CHINESE)
  })

  it.each(['zh', 'en'] as const)('tells a run that goes on or is finished from a new one (%s)', (lang) => {
    const [fresh, goesOn, finished] = (['nothing', 'unfinished', 'finished'] as const).map((kept) =>
      describeDemo({ data: 'd', days: 1, lang }, kept),
    )
    expect(fresh).not.toContain('--fresh')
    expect(fresh).toMatch(/last 1 day on|最后 1 天/)
    for (const text of [goesOn, finished]) expect(text).toContain('--fresh')
    expect(goesOn!.split('\n')).toHaveLength(fresh!.split('\n').length)
    expect(finished!.split('\n')).toHaveLength(1)
  })
})
