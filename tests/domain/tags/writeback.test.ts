import { describe, expect, it } from '@jest/globals'
import { Tag } from '../../../src/domain/tags/definition.js'
import { planWriteback, writebackProblems, writebackTargets } from '../../../src/domain/tags/writeback.js'
import { parseInput } from '../../../src/parse.js'

const common = { name: 'a tag', category: 'value', owner: 'crm', purpose: 'test' }
const tag = (input: object): Tag => parseInput(Tag, { ...common, ...input })
const vip = tag({ id: 'vip', type: 'flag', when: { event: 'order_paid' }, writeback: '价值/高价值' })
const tier = tag({
  id: 'tier',
  type: 'choice',
  writeback: '分层',
  cases: [
    { value: 'gold', name: { zh: '金卡', en: 'gold' }, when: { event: 'order_paid' } },
    { value: 'silver', when: { event: 'registered' } },
  ],
})
const quiet = tag({ id: 'quiet', type: 'flag', when: { event: 'order_paid' } })
const tags = [vip, tier, quiet]
const changed = new Set(['vip', 'tier', 'quiet'])
const plan = (values: Record<string, string>, present: string[] | undefined, only = changed) =>
  planWriteback(tags, only, new Map(Object.entries(values)), [], present === undefined ? undefined : new Set(present))

describe('which corp tag stands for a value', () => {
  it('is the one written for a flag, and the name of the case for a choice', () => {
    expect(writebackTargets(vip)).toEqual([{ value: '1', target: { group: '价值', name: '高价值' } }])
    expect(writebackTargets(tier).map(({ value, target }) => [value, target.name])).toEqual([
      ['gold', '金卡'],
      ['silver', 'silver'],
    ])
    expect(writebackTargets(quiet)).toEqual([])
  })

  it.each(['高价值', '价值/', '/高价值', 'a/b/c', `价值/${'长'.repeat(31)}`])('refuses writeback: %s', (writeback) => {
    expect(() => tag({ id: 'vip', type: 'flag', when: { event: 'a' }, writeback })).toThrow('writeback')
  })

  it('is written by one value only, with a name that WeCom takes', () => {
    const twin = tag({ id: 'twin', type: 'flag', when: { event: 'a' }, writeback: '分层/金卡' })
    const long = tag({
      id: 'long',
      type: 'choice',
      writeback: '长',
      cases: [{ value: 'x'.repeat(31), when: { event: 'a' } }],
    })
    expect(writebackProblems([...tags, twin, long]).map((p) => [p.tagId, p.problem.message])).toEqual([
      ['twin', expect.stringContaining('分层/金卡 is already written by tier=gold')],
      ['long', expect.stringContaining('31 characters')],
    ])
  })
})

describe('what must change in WeCom', () => {
  it.each<[string, Record<string, string>, string[] | undefined, string[], string[]]>([
    ['a value that came', { vip: '1', tier: 'gold' }, [], ['高价值', '金卡'], []],
    ['a value that went', {}, ['价值/高价值', '分层/金卡'], [], ['高价值', '金卡']],
    ['a choice that moved on', { tier: 'silver' }, ['分层/金卡'], ['silver'], ['金卡']],
    ['what WeCom shows already', { vip: '1', tier: 'gold' }, ['价值/高价值', '分层/金卡'], [], []],
    ['gone and not there', {}, [], [], []],
    ['a relation that nobody has seen', { tier: 'gold' }, undefined, ['金卡'], ['高价值', 'silver']],
    ['tags of others, left alone', { vip: '1' }, ['来源/门店'], ['高价值'], []],
  ])('%s', (_what, values, present, add, remove) => {
    const { add: a, remove: r } = plan(values, present)
    expect([a.map((t) => t.name).sort(), r.map((t) => t.name).sort()]).toEqual([[...add].sort(), [...remove].sort()])
  })

  it('is nothing for tags that did not change here, whatever a guide did by hand', () => {
    expect(plan({ vip: '1' }, [], new Set(['tier']))).toEqual({ add: [], remove: [] })
  })

  it('adds the tags of a live code, also one that a value would take off', () => {
    const gold = { group: '分层', name: '金卡' }
    expect(planWriteback(tags, new Set(['tier']), new Map(), [gold], new Set(['分层/金卡']))).toEqual({
      add: [],
      remove: [],
    })
    expect(planWriteback(tags, new Set(), new Map(), [gold], new Set())).toEqual({ add: [gold], remove: [] })
  })
})
