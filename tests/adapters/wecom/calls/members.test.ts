import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { privateDataOf } from '../../../../sandbox/http/wecom/members.js'
import type { World } from '../../../../sandbox/world/world.js'
import { client as bareClient, PROMPT } from '../../../sandbox/support.js'
import { all, codeOf, openStand, type Stand } from '../stand.js'

let stand: Stand

const tree = {
  departments: [
    { id: 1, name: '总部', parentId: 0 },
    { id: 2, name: '华东', parentId: 1 },
    { id: 3, name: '七号店', parentId: 2 },
  ],
  members: [
    { userId: 'g1', name: '导购 001', diligence: PROMPT, departmentIds: [3] },
    { userId: 'Boss', name: '店长 001', diligence: PROMPT, departmentIds: [1, 2], position: '店长' },
    { userId: 'idle', name: '导购 002', diligence: PROMPT, departmentIds: [3], isActivated: false },
  ],
  contacts: [],
}

beforeEach(async () => {
  stand = await openStand(tree)
})
afterEach(() => stand.close())

describe('members', () => {
  it('are told by id in any case, without what only they can show', async () => {
    expect(await stand.client.members.get('boss')).toEqual({
      userid: 'Boss',
      name: '店长 001',
      alias: undefined,
      position: '店长',
      department: [1, 2],
      main_department: 1,
      is_leader_in_dept: [0, 0],
      direct_leader: [],
      status: 1,
    })
    expect((await stand.client.members.get('idle')).status).toBe(4)
    const api = await bareClient(stand.sandbox)
    const wire = await api.get('user/get', { userid: 'g1' })
    for (const secret of ['gender', 'mobile', 'email', 'biz_mail', 'avatar', 'qr_code'])
      expect(wire).not.toHaveProperty(secret)
    expect(await api.get('user/get', { userid: 'x' })).toMatchObject({
      errcode: 60111,
      department: [],
      direct_leader: [],
    })
  })

  it('are listed by department, those of sub departments only when asked for', async () => {
    expect((await stand.client.members.list(3)).map((m) => m.userid)).toEqual(['g1', 'idle'])
    expect((await stand.client.members.details(2)).map((m) => m.userid)).toEqual(['Boss'])
    const api = await bareClient(stand.sandbox)
    expect((await api.get('user/simplelist', { department_id: 1, fetch_child: 1 }))['userlist']).toHaveLength(3)
    expect(await codeOf(stand.client.members.list(9))).toBe(60003)
  })

  it('are listed with every department to the contact-sync secret alone', async () => {
    expect(await all(stand.sync.members.ids())).toEqual([
      { userid: 'g1', department: 3 },
      { userid: 'Boss', department: 1 },
      { userid: 'Boss', department: 2 },
      { userid: 'idle', department: 3 },
    ])
    expect(await codeOf(all(stand.client.members.ids()))).toBe(48002)
  })

  it('are found by number and address', async () => {
    const staff = { all: tree.members.map((m) => ({ userId: m.userId })) }
    const { mobile, email, biz_mail: corpEmail } = privateDataOf({ staff } as unknown as World, 'Boss')
    expect(await stand.client.members.idOfMobile(mobile)).toBe('Boss')
    expect(await stand.client.members.idOfEmail(corpEmail)).toBe('Boss')
    expect(await stand.client.members.idOfEmail(email, 'personal')).toBe('Boss')
    expect(await stand.client.members.idOfEmail(email)).toBeUndefined()
  })

  it('are no telephone book: wrong numbers above a fifth of the head-count block the call until tomorrow', async () => {
    const ask = () => codeOf(stand.client.members.idOfMobile('00000000000'))
    expect([await ask(), await ask()]).toEqual([undefined, 45009])
    const { mobile } = privateDataOf({ staff: { all: [{ userId: 'g1' }] } } as unknown as World, 'g1')
    await stand.advanceDays(1)
    expect(await stand.client.members.idOfMobile(mobile)).toBe('g1')
  })
})

describe('departments', () => {
  it('are told with names, as ids, alone and as a subtree', async () => {
    expect((await stand.client.members.departments()).map((d) => [d.id, d.name, d.parentid])).toEqual([
      [1, '总部', 0],
      [2, '华东', 1],
      [3, '七号店', 2],
    ])
    expect((await stand.client.members.departmentIds(2)).map((d) => d.id)).toEqual([2, 3])
    expect(await stand.client.members.department(3)).toMatchObject({ name: '七号店', parentid: 2 })
    expect(await codeOf(stand.client.members.department(9))).toBe(60003)
  })
})

describe('the contact-sync secret', () => {
  it('makes, moves and removes members, and others are told their ids only', async () => {
    const api = await bareClient(stand.sandbox, stand.sandbox.contactSyncSecret)
    expect(await api.post('user/create', { userid: 'g9', name: '导购 009', department: [2] })).toMatchObject({
      errmsg: 'created',
    })
    expect((await api.post('user/create', { userid: 'G9', name: '导购 009' })).errcode).toBe(60102)
    expect((await api.post('user/create', { userid: '-bad', name: '导购' })).errcode).toBe(40003)
    expect(await api.post('user/update', { userid: 'g9', department: [3], name: '导购 010' })).toMatchObject({
      errmsg: 'updated',
    })
    expect(await stand.client.members.get('g9')).toMatchObject({ name: '导购 010', department: [3], status: 4 })
    expect(await api.get('user/delete', { userid: 'g9' })).toMatchObject({ errmsg: 'deleted' })
    expect(await codeOf(stand.client.members.get('g9'))).toBe(60111)
    await stand.advanceDays(1)
    expect(
      stand.events('change_contact').map((e) => [e['ChangeType'], e['UserID'], e['Department'], e['Name']]),
    ).toEqual([
      ['create_user', 'g9', '2', undefined],
      ['update_user', 'g9', '3', undefined],
      ['delete_user', 'g9', undefined, undefined],
    ])
  })

  it('makes, moves and removes departments that are empty', async () => {
    const api = await bareClient(stand.sandbox, stand.sandbox.contactSyncSecret)
    expect(await api.post('department/create', { name: '八号店', parentid: 2 })).toMatchObject({
      errmsg: 'created',
      id: 4,
    })
    expect((await api.post('department/create', { name: '八号店', parentid: 77 })).errcode).toBe(60123)
    expect((await api.post('department/update', { id: 2, parentid: 3 })).errcode).toBe(60123) // below itself
    expect(await api.post('department/update', { id: 4, name: '九号店' })).toMatchObject({ errmsg: 'updated' })
    expect(await stand.client.members.department(4)).toMatchObject({ name: '九号店', parentid: 2 })
    expect((await api.get('department/delete', { id: 3 })).errcode).toBe(60005)
    expect((await api.get('department/delete', { id: 2 })).errcode).toBe(60006)
    expect(await api.get('department/delete', { id: 4 })).toMatchObject({ errmsg: 'deleted' })
    expect((await stand.client.members.departmentIds()).map((d) => d.id)).toEqual([1, 2, 3])
  })

  it('is not an app: customers and sign-in are refused', async () => {
    expect(await codeOf(stand.sync.contacts.followUsers())).toBe(48002)
    const app = await bareClient(stand.sandbox)
    expect((await app.post('user/create', { userid: 'g9', name: '导购 009' })).errcode).toBe(48002)
  })
})
