import { describe, expect, it } from '@jest/globals'
import { Ways } from '../../../src/domain/ways/definition.js'
import { type FoundWay, planWays, wantedWays } from '../../../src/domain/ways/plan.js'
import { parseInput } from '../../../src/parse.js'

const NOW = new Date('2026-08-03T02:00:00Z')
const files = parseInput(Ways, {
  ways: [
    { id: 'store-001', name: '门店 001', users: ['guide002', 'guide001'] },
    { id: 'store-002', name: '门店 002', state: 's2', users: ['guide003'] },
  ],
  joinWays: [{ id: 'club', name: '会员群', groups: ['wr1'] }],
  links: [{ id: 'ad', name: '投放', departments: [2] }],
})
const wanted = wantedWays(files, NOW, 'Asia/Shanghai', new Set())
const remote = (i: number, remoteId: string, change: object = {}) =>
  ({ kind: wanted[i]!.kind, remoteId, spec: { ...wanted[i]!.spec, ...change } }) as FoundWay
const plan = (found: FoundWay[], known: Record<string, string> = {}, prune = false) =>
  planWays(wanted, found, new Map(Object.entries(known)), prune).map((r) => [r.kind, r.id, r.action, r.changes.join()])

describe('a plan of ways', () => {
  it('makes everything in an empty company', () => {
    expect(plan([])).toEqual([
      ['way', 'store-001', 'create', ''],
      ['way', 'store-002', 'create', ''],
      ['join_way', 'club', 'create', ''],
      ['link', 'ad', 'create', ''],
    ])
  })

  it('finds again what was made and not stored: ways by channel code, links by name, group codes not at all', () => {
    const found = [remote(0, 'c1'), remote(1, 'c2', { userIds: ['guide009'] }), remote(3, 'l1'), remote(2, 'j1')]
    expect(plan(found)).toEqual([
      ['way', 'store-001', 'unchanged', ''],
      ['way', 'store-002', 'update', 'userIds'],
      ['join_way', 'club', 'create', ''],
      ['link', 'ad', 'unchanged', ''],
      ['join_way', undefined, 'unmanaged', ''],
    ])
  })

  it('knows a way by its stored id, whatever its code is now', () => {
    const found = [remote(0, 'c1', { state: 'old' }), remote(2, 'j1', { name: '旧名' })]
    expect(plan(found, { 'way/store-001': 'c1', 'join_way/club': 'j1' }).slice(0, 3)).toEqual([
      ['way', 'store-001', 'update', 'state'],
      ['way', 'store-002', 'create', ''],
      ['join_way', 'club', 'update', 'name'],
    ])
  })

  it('makes anew what somebody deleted', () => {
    expect(plan([], { 'way/store-001': 'c1' })[0]).toEqual(['way', 'store-001', 'create', ''])
  })

  it('deletes what is in no file only when asked to', () => {
    const others = [remote(0, 'x1', { state: 'other' })]
    expect(plan(others).at(-1)).toEqual(['way', undefined, 'unmanaged', ''])
    expect(plan(others, {}, true).at(-1)).toEqual(['way', undefined, 'delete', ''])
  })

  it('cannot change a scene', () => {
    expect(plan([remote(0, 'c1', { scene: 'mini_program' })])[0]).toEqual(['way', 'store-001', 'blocked', 'scene'])
  })
})
