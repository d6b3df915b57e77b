import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { Ways } from '../../../src/domain/ways/definition.js'
import { parseInput } from '../../../src/parse.js'
import { HOUR_MS } from '../../../src/time.js'
import { applyWays, planWayFiles } from '../../../src/services/wecom/apply-ways.js'
import { nextStaffingAt, staffWays } from '../../../src/services/wecom/staff-ways.js'
import { control } from '../../sandbox/support.js'
import { openWecomWorld, type WecomWorld } from '../../support/wecom-world.js'

const START = new Date('2026-08-03T04:00:00Z') // Monday, noon in Shanghai
let world: WecomWorld
beforeEach(async () => {
  world = await openWecomWorld(
    {
      members: [1, 2, 3].map((i) => ({ userId: `guide00${i}`, name: `导购 00${i}` })),
      contacts: [],
    },
    START,
  )
  const group = await control(world.sandbox, 'groups', { owner: 'guide001', name: '会员群', members: [] })
  FILES.joinWays[0]!.groups = [String(group.data['chatId'])]
})
afterEach(async () => {
  await world.close()
})

const FILES = {
  ways: [
    { id: 'store-001', name: '门店 001', users: ['guide001', 'guide002'] },
    {
      id: 'hotline',
      name: '客服',
      shifts: [
        { from: '09:00', to: '18:00', users: ['guide001'] },
        { from: '18:00', to: '09:00', users: ['guide002'] },
      ],
      backup: ['guide003'],
    },
  ],
  joinWays: [{ id: 'club', name: '会员群码', groups: [''] }],
  links: [{ id: 'ad', name: '投放', users: ['guide001'] }],
}
const files = (change: object = {}): Ways => parseInput(Ways, { ...FILES, ...change })
const actions = (rows: { id?: string; action: string }[]) => rows.map((r) => `${r.action} ${r.id ?? '?'}`)
const wayWith = async (state: string) => {
  for await (const way of world.deps.wecomActions.ways.find([], world.sandbox.now()))
    if (way.kind === 'way' && way.spec.state === state) return way
  return undefined
}
const NEW = ['create store-001', 'create hotline', 'create club', 'create ad']
const SAME = NEW.map((row) => row.replace('create', 'unchanged'))

describe('siyu wecom apply', () => {
  it('makes what the files say, once', async () => {
    expect(actions(await planWayFiles(world.deps, files(), false))).toEqual(NEW)
    const made = await applyWays(world.deps, files(), false)
    expect(made.map((r) => [r.action, r.result, r.reason])).toEqual(made.map(() => ['create', 'done', undefined]))
    expect(made.every((r) => r.address !== undefined)).toBe(true)
    expect(actions(await planWayFiles(world.deps, files(), false))).toEqual(SAME)
    expect(actions(await applyWays(world.deps, files(), false))).toEqual(SAME)
    expect((await wayWith('store-001'))?.spec).toMatchObject({ name: '门店 001', userIds: ['guide001', 'guide002'] })
  })

  it('changes what differs, and leaves alone what is in no file unless told to delete it', async () => {
    await applyWays(world.deps, files(), false)
    const fewer = files({ ways: [{ ...FILES.ways[0], name: '新名', users: ['guide003'] }], links: [] })
    const plan = await planWayFiles(world.deps, fewer, false)
    expect(plan.map((r) => [r.action, r.changes.join()])).toEqual([
      ['update', 'name,userIds'],
      ['unchanged', ''],
      ['unmanaged', ''],
      ['unmanaged', ''],
    ])
    await applyWays(world.deps, fewer, true)
    expect(actions(await planWayFiles(world.deps, fewer, false))).toEqual(['unchanged store-001', 'unchanged club'])
    expect((await wayWith('store-001'))?.spec.name).toBe('新名')
    expect(await wayWith('hotline')).toBeUndefined()
  })

  it('finds again what was made before a crash, ways by code and links by name', async () => {
    await applyWays(world.deps, files(), false)
    await world.docs.wecomWays.delete({ kind: { $in: ['way', 'link'] } })
    expect(actions(await applyWays(world.deps, files(), false))).toEqual(SAME)
    expect((await world.docs.wecomWays.get('way/store-001'))?.remoteId).toBeDefined()
  })

  it('makes nothing twice when the answer was lost', async () => {
    world.sandbox.fault({ kind: 'lost_reply', path: '/cgi-bin/externalcontact/add_contact_way' })
    const [first] = await applyWays(world.deps, files(), false)
    expect(first).toMatchObject({ id: 'store-001', result: 'failed', reason: expect.stringContaining('再执行一次') })
    expect(actions(await applyWays(world.deps, files(), false))[0]).toBe('unchanged store-001')
    expect(actions(await planWayFiles(world.deps, files(), false))).toEqual(SAME)
  })

  it('goes on after one that is refused', async () => {
    const bad = files({ joinWays: [{ ...FILES.joinWays[0], groups: ['wrnobody'] }] })
    const rows = await applyWays(world.deps, bad, false)
    expect(rows.map((r) => [r.id, r.result])).toEqual([
      ['store-001', 'done'],
      ['hotline', 'done'],
      ['club', 'failed'],
      ['ad', 'done'],
    ])
  })
})

describe('shifts', () => {
  it('change who a code leads to, at their time', async () => {
    await applyWays(world.deps, files(), false)
    expect((await wayWith('hotline'))?.spec).toMatchObject({ userIds: ['guide001'] })
    await world.sandbox.advanceTo(new Date('2026-08-03T10:00:00Z')) // 18:00
    expect((await nextStaffingAt(world.deps))! <= world.sandbox.now()).toBe(true)
    await staffWays(world.deps)
    expect((await wayWith('hotline'))?.spec).toMatchObject({ userIds: ['guide002'] })
    expect((await nextStaffingAt(world.deps))! > world.sandbox.now()).toBe(true)
    expect(actions(await planWayFiles(world.deps, files(), false))).toEqual(SAME)
  })

  it('let the backup stand in within the hour for who has left', async () => {
    await applyWays(world.deps, files(), false)
    await world.docs.wecomMembers.put([
      { _id: 'guide001', departmentIds: [1], serves: false, state: 'left', status: 5 },
    ])
    await world.sandbox.advanceTo(new Date('2026-08-03T05:00:00Z'))
    await staffWays(world.deps)
    expect((await wayWith('hotline'))?.spec).toMatchObject({ userIds: ['guide003'] })
  })

  it('of a code with which something fails are tried again in an hour, and keep no other waiting', async () => {
    await applyWays(world.deps, files(), false)
    const hotline = (await world.docs.wecomWays.find({ lookAt: { $exists: true } }))[0]!
    await world.docs.wecomWays.insert([{ ...hotline, _id: 'way:0', remoteId: 'broken' }])
    await world.sandbox.advanceTo(new Date('2026-08-03T10:00:00Z'))
    const now = world.sandbox.now()
    const { ways } = world.deps.wecomActions
    const update: typeof ways.update = (id, want) =>
      id === 'broken' ? Promise.reject(new TypeError('no')) : ways.update(id, want)
    const wecomActions = { ...world.deps.wecomActions, ways: { ...ways, update } }
    await staffWays({ ...world.deps, wecomActions })
    expect((await wayWith('hotline'))?.spec).toMatchObject({ userIds: ['guide002'] })
    expect((await world.docs.wecomWays.get('way:0'))?.lookAt).toEqual(new Date(now.getTime() + HOUR_MS))
  })

  it('are tried again when WeCom is busy', async () => {
    await applyWays(world.deps, files(), false)
    await world.sandbox.advanceTo(new Date('2026-08-03T10:00:00Z'))
    world.sandbox.fault({
      kind: 'errcode',
      errcode: 45033,
      path: '/cgi-bin/externalcontact/update_contact_way',
      times: 20,
    })
    await staffWays(world.deps)
    const again = (await nextStaffingAt(world.deps))!
    expect(again > world.sandbox.now()).toBe(true)
    for (let i = 0; i < 20 && (await wayWith('hotline'))?.spec.name !== ''; i++) {
      await world.sandbox.advanceTo(new Date(world.sandbox.now().getTime() + 600_000))
      await staffWays(world.deps)
    }
    expect((await wayWith('hotline'))?.spec).toMatchObject({ userIds: ['guide002'] })
  })
})
