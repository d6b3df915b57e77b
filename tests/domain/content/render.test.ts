import { describe, expect, it } from '@jest/globals'
import { TEMPLATE_BOUNDS } from '../../../src/bounds.js'
import { renderContent, renderRemark } from '../../../src/domain/content/render.js'

const rendered = (text: string) => renderContent({ id: 'words', text }, { brand: '花店', coupon: 'C-1' })

describe('a template', () => {
  it('fills in what is given, asks and counts', () => {
    expect(rendered("{% if coupon contains 'C' %}{{ brand | append: '！' }}{% endif %}{{ coupon }}")).toBe('花店！C-1')
    expect(rendered('{% for i in (1..3) %}{{ i }}{% endfor %}')).toBe('123')
  })

  it.each([
    ["{% render 'package.json' %}"],
    ["{% include 'package.json' %}"],
    ["{% layout 'package.json' %}"],
    ["{% assign f = 'package.json' %}{% render f %}"],
    ['{{ brand.constructor }}'],
    ['{{ constructor }}'],
    ['{{ nobody }}'],
  ])('reads no file, and nothing but its variables: %s', (text) => {
    expect(() => rendered(text)).toThrow()
  })

  it.each([
    ['a range', '{% for i in (1..1000000000) %}a{% endfor %}'],
    ['ranges in each other', `${'{% for i in (1..100) %}'.repeat(5)}a${'{% endfor %}'.repeat(5)}`],
    [
      'loops over one list',
      `{% assign l = (1..999) | join: ',' | split: ',' %}${'{% for i in l %}'.repeat(9)}${'{% endfor %}'.repeat(9)}`,
    ],
    ['a text that doubles', `{% assign t = '0123456789' %}${'{% assign t = t | append: t %}'.repeat(40)}{{ t }}`],
    ['a text that is captured', '{% capture t %}0123456789{% endcapture %}{{ t }}'],
    ['blanks', "{{ 'a' | date: '%1000000000Y' }}{{ 'now' | date: '%1000000000Y' }}"],
    ['a long text in a loop', `{% for i in (1..9000) %}${'长'.repeat(3_000)}{% endfor %}`],
  ])('ends at a bound: %s', (_what, text) => {
    expect(() => rendered(text)).toThrow()
  })

  it('goes up to its bounds, and not beyond', () => {
    const { work, textChars, templateChars } = TEMPLATE_BOUNDS
    expect(rendered(`{% assign l = (1..${work}) %}a`)).toBe('a')
    expect(() => rendered(`{% assign l = (1..${work + 1}) %}a`)).toThrow('memory')
    const lines = `{% for i in (1..20) %}${'a'.repeat(textChars / 20)}{% endfor %}`
    expect(rendered(lines)).toHaveLength(textChars)
    expect(() => rendered(`${lines}c`)).toThrow('20001')
    expect(rendered('a'.repeat(templateChars))).toHaveLength(templateChars)
    expect(() => rendered('a'.repeat(templateChars + 1))).toThrow('limit')
  })

  it('takes a name as text, whatever it holds', () => {
    expect(renderRemark('{{ name }} {{ way }}', { name: "{% render 'x' %}", way: 'w' })).toBe("{% render 'x' %} w")
  })
})
