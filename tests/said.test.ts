import { describe, expect, it } from '@jest/globals'
import { inLanguage, meant, nearest, said, sentencesOf } from '../src/said.js'

describe('said', () => {
  it('carries both sentences, whatever stands in them', () => {
    const { zh, en } = sentencesOf(said('名字是 A · B', 'its name is A · B'))
    expect([zh, en].map((text) => text.replace('\u00a0', ' '))).toEqual(['名字是 A · B', 'its name is A · B'])
  })

  it('is either where a text has one sentence only', () => {
    expect(sentencesOf('siyu publish')).toEqual({ zh: 'siyu publish', en: 'siyu publish' })
  })

  it('says each line in one language', () => {
    const text = `${said('两个问题', 'two problems')}\n  a.yaml is missing`
    expect(inLanguage(text, 'zh')).toBe('两个问题\n  a.yaml is missing')
    expect(inLanguage(text, 'en')).toBe('two problems\n  a.yaml is missing')
  })
})

describe('meant', () => {
  it('asks for what is near, else says what can be done', () => {
    expect(meant('ctiy', ['city'], '写进目录', 'list it')).toBe(
      '是不是 "city"？否则写进目录 · did you mean "city"? Otherwise list it',
    )
    expect(meant('xyz', ['city'], '写进目录', 'list it')).toBe('写进目录 · list it')
  })
})

describe('nearest', () => {
  it.each([
    ['hsot', ['host', 'port'], 'host'],
    ['TimeZone', ['timeZone', 'time'], 'timeZone'],
    ['url', ['kind'], undefined],
    ['ab', ['cd'], undefined],
  ])('%s of %j is %s', (word, candidates, expected) => {
    expect(nearest(word, candidates)).toBe(expected)
  })
})
