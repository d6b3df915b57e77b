import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { HOUR_MS } from '../../../../src/time.js'
import { client as bareClient, contact, NEVER, PROMPT, START } from '../../../sandbox/support.js'
import { all, codeOf, openStand, type Stand } from '../stand.js'

let stand: Stand

beforeEach(async () => {
  stand = await openStand()
})
afterEach(() => stand.close())

describe('contacts', () => {
  it('are listed by member; nobody is an empty list, an unknown member an error', async () => {
    expect((await stand.client.contacts.list('g1')).sort()).toEqual(['wmc1', 'wmc2', 'wmc3', 'wmc5'])
    expect(await stand.client.contacts.list('g3')).toEqual([]) // 84061 on the wire
    expect(await codeOf(stand.client.contacts.list('nobody'))).toBe(60111)
    const api = await bareClient(stand.sandbox)
    expect(await api.get('externalcontact/list', { userid: 'g3' })).toMatchObject({
      errcode: 84061,
      external_userid: [],
    })
  })

  it('are told with every follower, their tags and remarks', async () => {
    const detail = (await stand.client.contacts.get('wmc1'))!
    expect(detail.external_contact).toMatchObject({ name: '顾客 wmc1', type: 1, gender: 2, unionid: 'ou1' })
    expect(detail.follow_user).toMatchObject([
      {
        userid: 'g1',
        state: 'shop',
        remark_mobiles: ['00000000001'],
        tags: [{ group_name: '等级', tag_name: '重要', tag_id: 'etVip', type: 1 }],
      },
    ])
    expect((await stand.client.contacts.get('wmc5'))!.follow_user.map((f) => f.userid)).toEqual(['g1', 'g2'])
    expect(await stand.client.contacts.get('wmNobody')).toBeUndefined()
  })

  it('come in pages of 500 followers', async () => {
    await stand.close()
    const members = Array.from({ length: 501 }, (_, i) => ({ userId: `m${String(i).padStart(3, '0')}`, name: `导购 ${i}`, diligence: NEVER })) // prettier-ignore
    const followUserIds = members.map((m) => m.userId)
    stand = await openStand({ members, contacts: [contact('wmStar', 'm000', { followUserIds })], corpTags: [] })
    expect((await stand.client.contacts.get('wmStar'))!.follow_user.map((f) => f.userid)).toEqual(followUserIds)
    expect(stand.sandbox.counts().apiCalls).toBe(3) // the token and two pages
    const rows = await all(stand.client.contacts.rows(followUserIds.slice(0, 100)))
    expect(rows).toHaveLength(100)
  })

  it('stay readable when the customer deletes the member, and go when the member deletes', async () => {
    await stand.control('contacts/delete', { userId: 'g1', externalUserId: 'wmc2' })
    expect(await stand.client.contacts.get('wmc2')).toBeDefined()
    await stand.control('contacts/delete', { userId: 'g1', externalUserId: 'wmc2', by: 'member' })
    expect(await stand.client.contacts.get('wmc2')).toBeUndefined()
    expect(stand.events('change_external_contact').map((e) => e['ChangeType'])).toEqual([
      'del_follow_user',
      'del_external_contact',
    ])
  })

  it('are served people too: strangers in groups come masked, with ids of 4 hours', async () => {
    const { chatId } = await stand.control<{ chatId: string }>('groups', {
      owner: 'g1',
      name: '老客户群',
      members: [{ id: 'wmc2' }, { id: 'wmStranger', nickname: '路人甲' }],
    })
    const served = await all(stand.client.contacts.served())
    expect(served.filter((s) => s.follow_userid !== undefined)).toHaveLength(6)
    const inGroup = served.filter((s) => s.chat_id === chatId || s.chat_name === '老客户群')
    expect(inGroup.map((s) => [s.is_customer, s.external_userid, s.name])).toEqual([
      [false, undefined, '***甲'],
      [true, 'wmc2', undefined],
    ])
    const stranger = inGroup[0]!.tmp_openid
    await stand.sandbox.advanceTo(new Date(START.getTime() + 4 * HOUR_MS))
    const later = (await all(stand.client.contacts.served())).find((s) => s.name === '***甲')!
    expect(later.tmp_openid).not.toBe(stranger)
  })

  it('are served in pages, each person once', async () => {
    const api = await bareClient(stand.sandbox)
    const seen: unknown[] = []
    for (let cursor: unknown = ''; ;) {
      const page = await api.post('externalcontact/contact_list', { limit: 2, cursor: cursor as string })
      seen.push(...(page['info_list'] as { external_userid: string; follow_userid: string }[]).map((i) => `${i.follow_userid}/${i.external_userid}`)) // prettier-ignore
      cursor = page['next_cursor']
      if (cursor === '') break
    }
    expect(seen).toEqual(['g1/wmc1', 'g1/wmc2', 'g1/wmc3', 'g1/wmc5', 'g2/wmc4', 'g2/wmc5'])
  })
})

describe('batches', () => {
  it('take `userid` as well as `userid_list`, and a limit of 1000 as 100', async () => {
    await stand.close()
    const many = Array.from({ length: 150 }, (_, i) => contact(`wm${String(i).padStart(3, '0')}`, 'g1'))
    stand = await openStand({ contacts: many })
    const api = await bareClient(stand.sandbox)
    const rows = async (body: object) =>
      ((await api.post('externalcontact/batch/get_by_user', body))['external_contact_list'] as unknown[]).length
    expect(await rows({ userid_list: ['g1'] })).toBe(50)
    expect(await rows({ userid_list: ['g1'], limit: 1000 })).toBe(100)
    expect(await rows({ userid: 'g1', limit: 100 })).toBe(100)
    expect(await all(stand.client.contacts.rows(['g1', 'g2', 'g3']))).toHaveLength(150)
  })

  it('hold only what the app may see', async () => {
    await stand.close()
    stand = await openStand({ apps: [{ name: 'siyu', visible: { members: ['g2'] } }] })
    expect(await stand.client.contacts.followUsers()).toEqual(['g2'])
    expect(await stand.client.contacts.get('wmc1')).toBeUndefined()
    expect((await stand.client.contacts.get('wmc5'))!.follow_user.map((f) => f.userid)).toEqual(['g2'])
    expect((await all(stand.client.contacts.served())).every((s) => s.follow_userid === 'g2')).toBe(true)
  })
})

describe('remarks', () => {
  const remarkOf = async () => (await stand.client.contacts.get('wmc1'))!.follow_user[0]!

  it('change what they name and nothing else, and call nobody back', async () => {
    await stand.client.contacts.remark('g1', 'wmc1', { remark: '王店长', description: '喜欢绿茶' })
    expect(await remarkOf()).toMatchObject({
      remark: '王店长',
      description: '喜欢绿茶',
      remark_mobiles: ['00000000001'],
    })
    await stand.client.contacts.remark('g1', 'wmc1', { mobiles: [] })
    expect(await remarkOf()).toMatchObject({ remark: '王店长', remark_mobiles: [] })
    expect(stand.events('change_external_contact')).toEqual([])
  })

  it.each<[string, object, number]>([
    ['nothing at all', {}, 40058],
    ['a remark of 21 characters', { remark: '长'.repeat(21) }, 40058],
    ['a description of 151', { description: '长'.repeat(151) }, 40058],
  ])('are refused with %s', async (_what, fields, code) => {
    expect(await codeOf(stand.client.contacts.remark('g1', 'wmc1', fields))).toBe(code)
  })
})

it('finds a member absent from the feature', async () => {
  await stand.close()
  const desk = { userId: 'desk', name: '导购 005', diligence: PROMPT, hasCustomerContact: false }
  stand = await openStand({ members: [{ userId: 'g1', name: '导购 001', diligence: PROMPT }, desk], contacts: [] })
  expect(await stand.client.contacts.followUsers()).toEqual(['g1'])
  expect(await codeOf(stand.client.contacts.list('desk'))).toBe(84074)
})
