import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { DAY_MS, HOUR_MS } from '../../../../src/time.js'
import type { ScenarioInput } from '../../../../sandbox/scenario.js'
import { contact, PROMPT, START } from '../../../sandbox/support.js'
import { all, codeOf, openStand, type Stand } from '../stand.js'

let stand: Stand

beforeEach(async () => {
  stand = await openStand()
})
afterEach(() => stand.close())

const ask = (from: string, to: string, ...externalUserIds: string[]) =>
  stand.client.transfer.customers({ kind: 'onjob', from, to, externalUserIds, message: '您的服务升级' })
const results = (from: string, to: string) => all(stand.client.transfer.results('onjob', from, to))

describe('on-job transfer', () => {
  it('happens after 24 hours, and tells both sides', async () => {
    expect(await ask('g1', 'g3', 'wmc2', 'wmNobody', 'wmc4')).toEqual([
      { externalUserId: 'wmNobody', errcode: 40096 },
      { externalUserId: 'wmc4', errcode: 40131 },
    ])
    const at = new Date(START.getTime() + DAY_MS)
    expect(await results('g1', 'g3')).toEqual([{ externalUserId: 'wmc2', state: 'waiting', at }])
    expect(await ask('g1', 'g3', 'wmc2')).toEqual([{ externalUserId: 'wmc2', errcode: 40100 }])
    await stand.sandbox.advanceTo(new Date(at.getTime() + HOUR_MS))
    expect(await results('g1', 'g3')).toEqual([{ externalUserId: 'wmc2', state: 'done', at }])
    expect((await stand.client.contacts.get('wmc2'))!.follow_user.map((follow) => follow.userid)).toEqual(['g3'])
    expect(stand.events('change_external_contact').map((e) => [e['ChangeType'], e['UserID'], e['Source']])).toEqual([
      ['add_external_contact', 'g3', undefined],
      ['del_external_contact', 'g1', 'DELETE_BY_TRANSFER'],
    ])
  })

  it('happens at most twice in 90 days', async () => {
    for (const [from, to] of [
      ['g1', 'g3'],
      ['g3', 'g1'],
    ] as const) {
      // prettier-ignore
      expect(await ask(from, to, 'wmc2')).toEqual([])
      await stand.advanceDays(2)
    }
    expect(await ask('g1', 'g3', 'wmc2')).toEqual([{ externalUserId: 'wmc2', errcode: 40128 }])
    await stand.advanceDays(90)
    expect(await ask('g1', 'g3', 'wmc2')).toEqual([])
  })

  const full = { userId: 'g3', name: '导购 003', diligence: PROMPT, customerLimit: 1 }
  it.each<[string, Partial<ScenarioInput>, string, string]>([
    ['the customer refuses', { habits: { refuseTransferRatio: 1 } }, 'refused', 'customer_refused'],
    [
      'the new owner has as many as she may have',
      {
        members: [{ userId: 'g1', name: '导购 001', diligence: PROMPT }, full],
        contacts: [contact('wmc2', 'g1'), contact('wmc9', 'g3')],
      },
      'takeover_full',
      'customer_limit_exceed',
    ],
  ])('fails when %s', async (_what, scenario, state, reason) => {
    await stand.close()
    stand = await openStand(scenario)
    await ask('g1', 'g3', 'wmc2')
    await stand.advanceDays(2)
    expect(await results('g1', 'g3')).toMatchObject([{ externalUserId: 'wmc2', state }])
    expect(stand.events('change_external_contact')).toMatchObject([
      { ChangeType: 'transfer_fail', UserID: 'g3', FailReason: reason },
    ])
  })

  it.each<[string, [string, string], number]>([
    ['from somebody unknown', ['nobody', 'g3'], 40003],
    ['to somebody unknown', ['g1', 'nobody'], 60111],
  ])('is refused %s', async (_what, [from, to], code) => {
    expect(await codeOf(ask(from, to, 'wmc2'))).toBe(code)
  })

  it('is refused from a member to herself, and of members who have left', async () => {
    expect(await ask('g1', 'g1', 'wmc2')).toEqual([{ externalUserId: 'wmc2', errcode: 40130 }])
    await stand.control('members/resign', { userId: 'g2' })
    expect(await ask('g2', 'g3', 'wmc4')).toEqual([{ externalUserId: 'wmc4', errcode: 40131 }])
  })
})

describe('resigned transfer', () => {
  it('gives away the customers of a member who has left', async () => {
    expect(await all(stand.client.transfer.unassigned())).toEqual([])
    const resigned = (...externalUserIds: string[]) =>
      stand.client.transfer.customers({ kind: 'resigned', from: 'g2', to: 'g3', externalUserIds })
    expect(await resigned('wmc4')).toEqual([{ externalUserId: 'wmc4', errcode: 40097 }])
    await stand.control('members/resign', { userId: 'g2' })
    const unassigned = await all(stand.client.transfer.unassigned())
    expect(unassigned.map((u) => [u.handover_userid, u.external_userid])).toEqual([['g2', 'wmc4'], ['g2', 'wmc5']]) // prettier-ignore
    expect(unassigned[0]!.dimission_time).toBe(START.getTime() / 1000)

    expect(await resigned('wmc4', 'wmc5')).toEqual([])
    expect(await all(stand.client.transfer.unassigned())).toEqual([])
    await stand.advanceDays(1)
    expect((await all(stand.client.transfer.results('resigned', 'g2', 'g3'))).map((r) => r.state)).toEqual([
      'done',
      'done',
    ])
    expect(await results('g2', 'g3')).toEqual([])
    expect((await stand.client.contacts.get('wmc4'))!.follow_user.map((follow) => follow.userid)).toEqual(['g3'])
  })

  it('is over a year after she left', async () => {
    await stand.control('members/resign', { userId: 'g2' })
    await stand.advanceDays(366)
    expect(await all(stand.client.transfer.unassigned())).toEqual([])
    expect(
      await stand.client.transfer.customers({ kind: 'resigned', from: 'g2', to: 'g3', externalUserIds: ['wmc4'] }),
    ).toEqual([{ externalUserId: 'wmc4', errcode: 40131 }])
  })
})

describe('groups', () => {
  const make = async (owner: string) =>
    (await stand.control<{ chatId: string }>('groups', { owner, name: '客户群' })).chatId

  it('change owners, at most twice in 90 days, while theirs works here', async () => {
    const chatId = await make('g1')
    expect(await stand.client.transfer.groups('onjob', [chatId, 'wrNothing'], 'g3')).toEqual([
      { chatId: 'wrNothing', errcode: 90501 },
    ])
    expect((await stand.client.groups.get(chatId))!.owner).toBe('g3')
    expect(await stand.client.transfer.groups('onjob', [chatId], 'g3')).toEqual([{ chatId, errcode: 90504 }])
    await stand.client.transfer.groups('onjob', [chatId], 'g1')
    expect(await stand.client.transfer.groups('onjob', [chatId], 'g3')).toEqual([{ chatId, errcode: 40128 }])
    await stand.advanceDays(1)
    expect(stand.events('change_external_chat').filter((e) => e['UpdateDetail'] === 'change_owner')).toHaveLength(2)
  })

  it('of a member who has left wait, are listed when she is named, and are inherited once', async () => {
    const chatId = await make('g2')
    expect(await stand.client.transfer.groups('resigned', [chatId], 'g3')).toEqual([{ chatId, errcode: 90500 }])
    await stand.control('members/resign', { userId: 'g2' })
    expect(await stand.client.transfer.groups('onjob', [chatId], 'g3')).toEqual([{ chatId, errcode: 90502 }])
    expect(await all(stand.client.groups.list())).toEqual([])
    expect(await all(stand.client.groups.list({ owners: ['g2'], status: 1 }))).toEqual([{ chat_id: chatId, status: 1 }])
    expect(await stand.client.transfer.groups('resigned', [chatId], 'g3')).toEqual([])
    expect(await all(stand.client.groups.list({ status: 3 }))).toEqual([{ chat_id: chatId, status: 3 }])
    expect(await stand.client.transfer.groups('resigned', [chatId], 'g1')).toEqual([{ chatId, errcode: 90508 }])
  })
})
