import { describe, expect, it } from '@jest/globals'
import { InvalidInputError, type Problem } from '../../../src/errors.js'
import { compileTouched } from '../../../src/domain/rules/compile.js'
import { textOf } from '../../../src/domain/local-text.js'
import { Lifecycle, lifecycleTag, Tag, tagReads } from '../../../src/domain/tags/definition.js'
import { parseInput } from '../../../src/parse.js'

const common = { id: 'a_tag', name: 'a tag', category: 'model', owner: 'crm', purpose: 'test' }
const flag = { ...common, type: 'flag', when: { event: 'order_paid' } }

const pathsOf = (schema: typeof Tag | typeof Lifecycle, input: unknown) => problemsOf(schema, input).map((p) => p.path)

function problemsOf(schema: typeof Tag | typeof Lifecycle, input: unknown): readonly Problem[] {
  try {
    parseInput(schema, input)
  } catch (err) {
    if (err instanceof InvalidInputError) return err.problems
    throw err
  }
  return []
}

describe('a tag definition', () => {
  it('follows every change unless it says otherwise', () => {
    expect(parseInput(Tag, flag).refresh).toBe('realtime')
  })

  it.each<[string, object, string]>([
    ['an id with a dash', { id: 'a-tag' }, 'id'],
    ['an id of one letter', { id: 'a' }, 'id'],
    ['an unknown category', { category: 'misc' }, 'category'],
    ['a refresh that is no cron', { refresh: 'nightly' }, 'refresh'],
    ['a cron with seconds', { refresh: '0 0 2 * * *' }, 'refresh'],
    ['no purpose', { purpose: '' }, 'purpose'],
    ['no owner', { owner: undefined }, 'owner'],
    ['an unknown type', { type: 'boolean' }, 'type'],
    ['a misspelt field', { wen: 1 }, 'wen'],
  ])('is refused for %s, by the name of the field', (_what, change, path) => {
    expect(pathsOf(Tag, { ...flag, ...change })).toEqual([path])
  })

  it('of an unknown type is told which there are', () => {
    const [problem] = problemsOf(Tag, { ...flag, type: 'boolean' })
    expect(problem?.message).toMatch(
      /没有这种标签.* · .*no such type of tag; write one of: flag yes or not; .*"boolean"/,
    )
  })

  it('says its name in the language that is asked for', () => {
    expect(textOf({ zh: '沉睡', en: 'Dormant' }, 'zh')).toBe('沉睡')
    expect(textOf({ zh: '沉睡', en: 'Dormant' }, 'en')).toBe('Dormant')
    expect(textOf('Dormant', 'zh')).toBe('Dormant')
  })

  it.each<[object, { events?: string[]; traits?: string[]; tags?: string[] }]>([
    [{ type: 'flag', when: { tag: 'other' } }, { tags: ['other'] }],
    [{ type: 'text', trait: 'city' }, { traits: ['city'] }],
    [{ type: 'number', value: { event: 'a', sum: 'amountMinor' } }, { events: ['a'] }],
    [
      { type: 'number', score: { points: [{ event: 'a', weight: 1 }], unless: { trait: 'staff' } } },
      { events: ['a'], traits: ['staff'] },
    ],
    [
      {
        type: 'choice',
        cases: [
          { value: 'x', when: { event: 'a' } },
          { value: 'y', when: { event: 'b' } },
        ],
      },
      { events: ['a', 'b'] },
    ],
  ])('%j reads %j', (input, { events = [], traits = [], tags = [] }) => {
    const reads = tagReads(parseInput(Tag, { ...common, ...input }))
    expect([[...reads.events], [...reads.traits], [...reads.tags]]).toEqual([events, traits, tags])
  })
})

describe('the lifecycle', () => {
  const stages = [
    { id: 'dormant', name: 'x', when: { event: 'order_paid', daysSince: { gte: 90 } } },
    { id: 'active', name: 'x', when: { event: 'order_paid' } },
    { id: 'potential', name: 'x' },
  ]

  it.each<[string, object[]]>([
    ['a last stage with a rule', stages.slice(0, 2)],
    ['a stage in the middle without one', [stages[0]!, stages[2]!, stages[1]!]],
    ['one stage only', stages.slice(2)],
  ])('is refused with %s', (_what, some) => {
    expect(pathsOf(Lifecycle, { stages: some })).toContain('stages')
  })

  it.each([
    [0, 'potential'],
    [1, 'active'],
    [89, 'active'],
    [90, 'dormant'],
  ])('gives everybody exactly one stage: %i days after the order %s', (days, stage) => {
    const tag = lifecycleTag(parseInput(Lifecycle, { stages }))
    const nowMs = Date.UTC(2026, 5, 1)
    const query = compileTouched([{ id: tag.id, tag }], {
      nowMs,
      scope: { kind: 'all' },
      segments: new Map(),
      tags: [tag],
    })
    const columns = Object.fromEntries(
      query.figures.map(({ column: c }) => [
        c,
        query.figuresSql!.includes(`maxIf(ms, name = 'order_paid') AS ${c}`)
          ? nowMs - days * 86_400_000
          : Math.min(days, 1),
      ]),
    )
    const figures = { traits: {}, identifierTypes: [], stored: {}, columns }
    expect(query.deltas([{ profileId: 1, figures }]).map((d) => d.new)).toEqual([stage])
  })
})
