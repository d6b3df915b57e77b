import { describe, expect, it } from '@jest/globals'
import { ruleReferences, tagReferences } from '../../../src/domain/rules/references.js'
import { Rule } from '../../../src/domain/rules/rule.js'
import { Tag } from '../../../src/domain/tags/definition.js'
import { parseInput } from '../../../src/parse.js'

const shown = (references: ReturnType<typeof ruleReferences>) =>
  references.map((r) => `${r.kind} ${r.name} @ ${r.path.join('.')}`)

describe('references', () => {
  it('name who is used by a rule, and where', () => {
    const rule = parseInput(Rule, {
      all: [
        { event: 'a', within: '7d' },
        { not: { any: [{ tag: 't' }, { score: 's', gte: 1 }] } },
        { stage: ['new', 'old'] },
        { segment: 'seg' },
        { trait: 'city' },
      ],
    })
    expect(shown(ruleReferences(rule, ['when']))).toEqual([
      'event a @ when.all.0.event',
      'tag t @ when.all.1.not.any.0.tag',
      'tag s @ when.all.1.not.any.1.score',
      'stage new @ when.all.2.stage',
      'stage old @ when.all.2.stage',
      'segment seg @ when.all.3.segment',
    ])
  })

  it.each<[object, string[]]>([
    [{ type: 'choice', cases: [{ value: 'x', when: { event: 'a' } }] }, ['event a @ tags.0.cases.0.when.event']],
    [{ type: 'number', value: { event: 'a', count: true } }, ['event a @ tags.0.value.event']],
    [
      { type: 'number', score: { points: [{ event: 'a', weight: 1 }], unless: { tag: 'tt' } } },
      ['event a @ tags.0.score.points.0.event', 'tag tt @ tags.0.score.unless.tag'],
    ],
    [{ type: 'text', trait: 'city' }, []],
  ])('name who is used by the tag %j', (input, expected) => {
    const tag = parseInput(Tag, { id: 'aa', name: 'a', category: 'model', owner: 'crm', purpose: 'test', ...input })
    expect(shown(tagReferences(tag, ['tags', 0]))).toEqual(expected)
  })
})
