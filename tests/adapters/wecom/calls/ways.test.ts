import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { deepLink, withChannel } from '../../../../src/adapters/wecom/calls/acquisition.js'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../../../src/time.js'
import { NEVER, PROMPT, START } from '../../../sandbox/support.js'
import { all, codeOf, openStand, type Stand } from '../stand.js'

let stand: Stand

beforeEach(async () => {
  stand = await openStand()
})
afterEach(() => stand.close())

const scan = (configId: string, externalUserId: string, more: object = {}) =>
  stand.control<Record<string, unknown>>('scan', { configId, externalUserId, ...more })
const added = () =>
  stand
    .events('change_external_contact')
    .map((e) => [e['ChangeType'], e['UserID'], e['ExternalUserID'], e['State'], typeof e['WelcomeCode']])
const wait = (ms: number) => stand.sandbox.advanceTo(new Date(stand.sandbox.now().getTime() + ms))

describe('contact ways', () => {
  const shop = { kind: 'multi', scene: 'qr_code', userIds: ['g1', 'g2'], state: 'store-7', remark: '七号店' } as const

  it('are made, read, changed in part, listed and deleted', async () => {
    const { configId, qrCode } = await stand.client.contactWays.create(shop)
    expect(qrCode).toContain(configId)
    expect(await stand.client.contactWays.get(configId)).toEqual({
      ...shop,
      configId,
      qrCode,
      departmentIds: [],
      skipVerify: true,
      isTemporary: false,
      isExclusive: false,
      style: 1,
    })
    await stand.client.contactWays.update(configId, { state: 'store-8', userIds: ['G3'] })
    expect(await stand.client.contactWays.get(configId)).toMatchObject({
      state: 'store-8',
      remark: '七号店',
      userIds: ['g3'],
    })

    const hour = [new Date(START.getTime() - HOUR_MS), new Date(START.getTime() + HOUR_MS)] as const
    expect(await all(stand.client.contactWays.list(...hour))).toEqual([configId])
    expect(await all(stand.client.contactWays.list(new Date(0), new Date(DAY_MS)))).toEqual([])
    await stand.client.contactWays.delete(configId)
    expect(await stand.client.contactWays.get(configId)).toBeUndefined()
  })

  it('lead customers to their members in turn, with state and a welcome code', async () => {
    const { configId } = await stand.client.contactWays.create(shop)
    expect(await scan(configId, 'wmNew1')).toEqual({ kind: 'added', userId: 'g1' })
    expect(await scan(configId, 'wmNew2')).toEqual({ kind: 'added', userId: 'g2' })
    expect(await scan(configId, 'wmNew1')).toEqual({ kind: 'known', userId: 'g1' })
    expect(added()).toEqual([
      ['add_external_contact', 'g1', 'wmNew1', 'store-7', 'string'],
      ['add_external_contact', 'g2', 'wmNew2', 'store-7', 'string'],
    ])
    const detail = await stand.client.contacts.get('wmNew1')
    expect(detail!.follow_user).toMatchObject([{ userid: 'g1', state: 'store-7', add_way: 1, oper_userid: 'wmNew1' }])
  })

  it('wait for a member who must agree, and for ever when she never looks', async () => {
    const { configId } = await stand.client.contactWays.create({ ...shop, skipVerify: false })
    expect(await scan(configId, 'wmNew1')).toEqual({ kind: 'asked', userId: 'g1' })
    expect(await scan(configId, 'wmNew2')).toEqual({ kind: 'asked', userId: 'g2' })
    expect(added()).toEqual([])
    await wait(DAY_MS)
    expect(added()).toEqual([['add_external_contact', 'g1', 'wmNew1', 'store-7', 'string']])
    expect(await stand.client.contacts.get('wmNew2')).toBeUndefined()
  })

  it('raise the half event first where the scenario says so', async () => {
    await stand.close()
    stand = await openStand({ behaviour: { skipVerifyAdds: 'half_first' } })
    const { configId } = await stand.client.contactWays.create({ ...shop, kind: 'single', userIds: ['g1'] })
    expect(await scan(configId, 'wmNew1')).toEqual({ kind: 'half', userId: 'g1' })
    expect(await stand.client.contacts.get('wmNew1')).toBeUndefined() // 84061 until she adds the customer back
    await wait(HOUR_MS)
    expect(added()).toEqual([
      ['add_half_external_contact', 'g1', 'wmNew1', 'store-7', 'string'],
      ['add_external_contact', 'g1', 'wmNew1', 'store-7', 'undefined'], // the code went with the half event
    ])
    expect(await stand.client.contacts.get('wmNew1')).toBeDefined()
  })

  it('of temporary sessions serve one customer, and end', async () => {
    const way = {
      kind: 'single',
      scene: 'qr_code',
      userIds: ['g1'],
      isTemporary: true,
      chatExpiresInSeconds: 600,
    } as const
    const first = await stand.client.contactWays.create({ ...way, conclusions: { image: { media_id: 'MEDIA' } } })
    const second = await stand.client.contactWays.create(way)
    expect((await stand.client.contactWays.get(first.configId))?.conclusions?.image?.pic_url).toContain('http')
    expect(await scan(first.configId, 'wmNew1')).toEqual({ kind: 'temporary', userId: 'g1' })
    await expect(scan(first.configId, 'wmNew2')).rejects.toThrow('404')
    await stand.client.contactWays.closeTemporaryChat('g1', 'wmNew1')
    expect(await codeOf(stand.client.contactWays.closeTemporaryChat('g1', 'wmNew1'))).toBe(84061)
    await scan(second.configId, 'wmNew2')
    await wait(10 * MINUTE_MS)
    expect(await codeOf(stand.client.contactWays.closeTemporaryChat('g1', 'wmNew2'))).toBe(84061)
    expect(await all(stand.client.contactWays.list(new Date(0), stand.sandbox.now()))).toEqual([])
  })

  it.each<[string, object, number]>([
    ['two members of a single way', { kind: 'single', userIds: ['g1', 'g2'] }, 40058],
    ['nobody', { userIds: [] }, 40058],
    ['an unknown member', { userIds: ['nobody'] }, 60111],
    ['a department that is not there', { userIds: [], departmentIds: [77] }, 60003],
    ['a state of 31 characters', { state: '店'.repeat(31) }, 40058],
    ['a style that is not there', { style: 9 }, 41042],
  ])('are refused %s', async (_what, change, code) => {
    expect(await codeOf(stand.client.contactWays.create({ ...shop, ...change }))).toBe(code)
  })

  it('are refused members who cannot be added', async () => {
    await stand.close()
    stand = await openStand({
      members: [
        { userId: 'g1', name: '导购 001', diligence: PROMPT },
        { userId: 'idle', name: '导购 004', diligence: NEVER, isActivated: false },
        { userId: 'desk', name: '导购 005', diligence: NEVER, hasCustomerContact: false },
      ],
      contacts: [],
    })
    const of = (userId: string) =>
      codeOf(stand.client.contactWays.create({ kind: 'single', scene: 'qr_code', userIds: [userId] }))
    expect(await of('idle')).toBe(41054)
    expect(await of('desk')).toBe(84074)
  })

  it('belong to the app that made them', async () => {
    const { configId } = await stand.client.contactWays.create(shop)
    expect(await stand.other.contactWays.get(configId)).toBeUndefined()
    expect(await codeOf(stand.other.contactWays.update(configId, { state: 'x' }))).toBe(41044)
  })
})

describe('acquisition links', () => {
  const campaign = { name: '抖音投放', userIds: ['g1', 'g2'], departmentIds: [] }

  it('are made, read, changed, listed and deleted', async () => {
    const { linkId, url } = await stand.client.acquisition.create({ ...campaign, prefer: ['g2'] })
    expect(url).toMatch(/^https:\/\/work\.weixin\.qq\.com\/ca\//)
    const found = await stand.client.acquisition.get(linkId)
    expect(found).toEqual({ ...campaign, linkId, url, createdAt: START, skipVerify: true, prefer: ['g2'] })
    await stand.client.acquisition.update(linkId, { ...campaign, name: '小红书', userIds: ['g3'], prefer: 'friends' })
    expect(await stand.client.acquisition.get(linkId)).toMatchObject({
      name: '小红书',
      userIds: ['g3'],
      prefer: 'friends',
    })
    expect(await all(stand.client.acquisition.list())).toEqual([linkId])
    expect(await all(stand.other.acquisition.list())).toEqual([])
    await stand.client.acquisition.delete(linkId)
    expect(await codeOf(stand.client.acquisition.get(linkId))).toBe(40058)
    expect(stand.events('customer_acquisition')).toEqual([]) // deleting by API is told to nobody
  })

  it('bring customers with their channel, and count clicks and customers by day', async () => {
    const { linkId } = await stand.client.acquisition.create({ ...campaign, prefer: ['g2'] })
    expect(await scan(linkId, 'wmNew1', { channel: 'ad-1' })).toEqual({ kind: 'added', userId: 'g2' })
    await scan(linkId, 'wmNew1', { channel: 'ad-1' })
    expect(await all(stand.client.acquisition.customers(linkId))).toEqual([
      { external_userid: 'wmNew1', userid: 'g2', chat_status: 0, state: 'ad-1' },
    ])
    expect((await stand.client.contacts.get('wmNew1'))!.follow_user).toMatchObject([{ add_way: 16, state: 'ad-1' }])
    expect(await stand.client.acquisition.statistic(linkId, START, START)).toEqual({ clicks: 2, newCustomers: 1 })
    expect(
      await codeOf(stand.client.acquisition.statistic(linkId, new Date(START.getTime() - 40 * DAY_MS), START)),
    ).toBe(40058)
    expect(await stand.client.acquisition.quota()).toMatchObject({ total: 1000, balance: 999 })
  })

  it('tell of requests, first words, many words and an emptying quota', async () => {
    await stand.close()
    stand = await openStand({ limits: { acquisitionQuota: 20 } })
    const { linkId } = await stand.client.acquisition.create(campaign)
    for (let i = 0; i < 20; i++) await scan(linkId, `wmNew${i}`, i === 0 ? { channel: 'ad-1' } : {})
    expect(await scan(linkId, 'wmNew20')).toEqual({ kind: 'unavailable' })
    await stand.control('links/quota', { customers: 5 })
    expect(await stand.client.acquisition.quota()).toMatchObject({ total: 25, balance: 5 })
    for (let i = 0; i < 3; i++) await stand.control('links/write', { linkId, externalUserId: 'wmNew0' })
    const events = stand.events('customer_acquisition')
    expect(events.map((e) => e['ChangeType'])).toEqual([
      'friend_request',
      'balance_low',
      'balance_exhausted',
      'link_unavailable',
      'balance_increased',
      'customer_start_chat',
      'message_from_customer',
    ])
    const chatKey = String(events.at(-1)!['ChatKey'])
    expect(await stand.client.acquisition.chat(chatKey)).toEqual({
      userId: 'g1',
      externalUserId: 'wmNew0',
      messages: 3,
      linkId,
      state: 'ad-1',
    })
    await wait(30 * MINUTE_MS)
    expect(await codeOf(stand.client.acquisition.chat(chatKey))).toBe(40058)
    await stand.control('links/delete', { linkId })
    expect(stand.events('customer_acquisition').at(-1)).toMatchObject({ ChangeType: 'delete_link', LinkId: linkId })
  })

  it('carry a channel in their address', () => {
    expect(withChannel('https://work.weixin.qq.com/ca/abc', 'a b')).toBe(
      'https://work.weixin.qq.com/ca/abc?customer_channel=a%20b',
    )
    expect(deepLink('https://work.weixin.qq.com/ca/abc?customer_channel=a')).toBe(
      'weixin://biz/ww/profile/https%3A%2F%2Fwork.weixin.qq.com%2Fca%2Fabc%3Fcustomer_channel%3Da',
    )
  })
})
