import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { weixinAccountsOf } from '../../../../sandbox/http/weixin/people.js'
import { PENDING_ID_MS } from '../../../../src/adapters/wecom/calls/ids.js'
import { hashKey } from '../../../../src/random.js'
import { DAY_MS } from '../../../../src/time.js'
import { client as bareClient, contact, START } from '../../../sandbox/support.js'
import { codeOf, openStand, type Stand } from '../stand.js'

let stand: Stand

/** A provider's app; wmLater becomes a customer on the 10th day, wmLatest after half a year. */
const agency = {
  apps: [{ name: 'provider', kind: 'agency' as const }],
  contacts: [
    contact('wmc1', 'g1', { unionId: 'ou1' }),
    contact('wmLater', 'g1', { unionId: 'ou2', addedAt: new Date(START.getTime() + 10 * DAY_MS) }),
    contact('wmLatest', 'g1', { unionId: 'ou3', addedAt: new Date(START.getTime() + 180 * DAY_MS) }),
  ],
  corpTags: [],
}
beforeEach(async () => {
  stand = await openStand(agency)
})
afterEach(() => stand.close())

/** As the sandbox's mini program knows her. */
const openIdOf = (externalUserId: string) =>
  `oSBX_${hashKey(23, 1, 'openid', weixinAccountsOf(1).miniProgram.appId, externalUserId)}`
const match = (unionId: string, externalUserId: string, subject: 'corp' | 'provider' = 'corp') =>
  stand.client.ids.match({ unionId, openId: openIdOf(externalUserId), subject })

describe('UnionIDs', () => {
  it('of customers become their external userid', async () => {
    expect(await match('ou1', 'wmc1')).toEqual({ kind: 'customer', externalUserId: 'wmc1' })
  })

  it('of others become a pending id, the same while it lives, that matches them as customers later', async () => {
    const pending = await match('ou2', 'wmLater')
    expect(pending.kind).toBe('pending')
    expect(await match('ou2', 'wmLater')).toEqual(pending)
    expect(await stand.client.ids.pendingIdsOf(['wmc1', 'wmLater'])).toEqual(new Map())
    await stand.advanceDays(11)
    expect(await stand.client.ids.pendingIdsOf(['wmc1', 'wmLater'])).toEqual(
      new Map([['wmLater', pending.kind === 'pending' ? pending.pendingId : '']]),
    )
  })

  it('match nobody any more after 90 days, and get another pending id then', async () => {
    const before = await match('ou3', 'wmLatest')
    await stand.sandbox.advanceTo(new Date(START.getTime() + PENDING_ID_MS))
    const after = await match('ou3', 'wmLatest')
    expect(after.kind).toBe('pending')
    expect(after).not.toEqual(before)
    await stand.sandbox.advanceTo(new Date(START.getTime() + 181 * DAY_MS))
    expect(await stand.client.ids.pendingIdsOf(['wmLatest'])).toEqual(new Map())
  })

  it('of group members are found by the group', async () => {
    const { chatId } = await stand.control<{ chatId: string }>('groups', { owner: 'g1', name: '群', members: [{ id: 'wmLater' }] }) // prettier-ignore
    const pending = await match('ou2', 'wmLater')
    expect(await stand.client.ids.pendingIdsOf(['wmLater', 'wmc1'], chatId)).toEqual(
      new Map([['wmLater', pending.kind === 'pending' ? pending.pendingId : '']]),
    )
  })

  it.each<[string, () => Promise<unknown>, number]>([
    ['the unionid is somebody else’s', () => match('ou2', 'wmc1'), 610018],
    ['the openid is nobody’s', () => match('ou1', 'wmNobody'), 845001],
    ['the mini program belongs to another subject', () => match('ou1', 'wmc1', 'provider'), 845002],
  ])('match nobody, and stop no batch, when %s', async (_what, ask, errcode) => {
    expect(await ask()).toEqual({ kind: 'mismatch', errcode })
  })

  it('are not converted for a self-built app, which reads them from its contacts', async () => {
    await stand.close()
    stand = await openStand({ ...agency, apps: [{ name: 'siyu' }] })
    expect(await codeOf(match('ou1', 'wmc1'))).toBe(48002)
    expect(await codeOf(stand.client.ids.pendingIdsOf(['wmc1']))).toBe(48002)
    const api = await bareClient(stand.sandbox)
    const old = { unionid: 'ou1', openid: openIdOf('wmc1') }
    expect((await api.post('externalcontact/unionid_to_external_userid', old)).errcode).toBe(48002)
    expect((await stand.client.contacts.get('wmc1'))!.external_contact.unionid).toBe('ou1')
  })
})

it('gives the openid for payments to WeChat customers', async () => {
  expect(await stand.client.ids.openIdOf('wmc1')).toBe(
    `oSBX_${hashKey(23, 1, 'openid', weixinAccountsOf(1).officialAccount.appId, 'wmc1')}`,
  )
  expect(await codeOf(stand.client.ids.openIdOf('woPartner'))).toBe(40096)
})
