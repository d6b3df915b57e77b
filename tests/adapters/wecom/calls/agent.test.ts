import { afterEach, beforeEach, expect, it } from '@jest/globals'
import type { MenuInput } from '../../../../src/adapters/wecom/calls/agent.js'
import { client as bareClient } from '../../../sandbox/support.js'
import { codeOf, openStand, type Stand } from '../stand.js'

let stand: Stand

beforeEach(async () => {
  stand = await openStand({
    apps: [{ name: 'siyu', visible: { members: ['g1'], departments: [] } }, { name: 'other' }],
  })
})
afterEach(() => stand.close())

it('tells what the app may see', async () => {
  expect(await stand.client.agent.detail()).toMatchObject({
    agentid: stand.sandbox.app.agentId,
    name: 'siyu',
    allow_userinfos: { user: [{ userid: 'g1' }] },
    allow_partys: { partyid: [] },
  })
  expect(await stand.other.agent.detail()).toMatchObject({
    allow_userinfos: { user: [] },
    allow_partys: { partyid: [1] },
  })
})

it('tells nothing about another app', async () => {
  const api = await bareClient(stand.sandbox)
  const agentid = stand.sandbox.apps[1]!.agentId
  expect((await api.get('agent/get', { agentid })).errcode).toBe(301002)
  expect((await api.get('agent/get', { agentid: 'one' })).errcode).toBe(40056)
})

it('tells the addresses of the platform', async () => {
  expect(await stand.client.agent.callbackIps()).toEqual(['127.0.0.1'])
  expect(await stand.client.agent.apiIps()).toEqual(['127.0.0.1'])
})

const MENU: MenuInput = [
  { name: '工作台', type: 'view', url: 'https://siyu.example.com/' },
  { name: '更多', sub_button: [{ name: '今日任务', type: 'click', key: 'today' }] },
]

it('has no menu until one is set, and can lose it again', async () => {
  expect(await stand.client.agent.menu()).toEqual([])
  await stand.client.agent.setMenu(MENU)
  expect(await stand.client.agent.menu()).toMatchObject(MENU)
  expect(await stand.other.agent.menu()).toEqual([])
  await stand.client.agent.deleteMenu()
  await stand.client.agent.deleteMenu()
  expect(await stand.client.agent.menu()).toEqual([])
})

it.each<[string, MenuInput, number]>([
  ['no button', [], 40016],
  ['four buttons', Array.from({ length: 4 }, (_, i) => ({ name: `${i}`, type: 'click', key: `${i}` })), 40016],
  ['six below one', [{ name: '更多', sub_button: Array.from({ length: 6 }, (_, i) => ({ name: `${i}`, type: 'click' as const, key: `${i}` })) }], 40023], // prettier-ignore
  ['a name of 18 bytes', [{ name: '六个字的名字', type: 'click', key: 'a' }], 40018],
  ['a click without a key', [{ name: '任务', type: 'click', key: '' }], 40019],
])('refuses a menu with %s', async (_what, menu, code) => {
  expect(await codeOf(stand.client.agent.setMenu(menu))).toBe(code)
})
