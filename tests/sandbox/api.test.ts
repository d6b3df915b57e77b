import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import axios from 'axios'
import type { Sandbox } from '../../sandbox/sandbox.js'
import { type Api, client, contact, hours, open, PNG, smallScenario } from './support.js'

const EC = 'externalcontact/'
let sandbox: Sandbox
let api: Api
beforeEach(async () => {
  sandbox = await open()
  api = await client(sandbox)
})
afterEach(() => sandbox.close())

const raw = (path: string, config: object = {}) =>
  axios.get<Record<string, unknown>>(`${sandbox.url}${path}`, { validateStatus: () => true, proxy: false, ...config })

describe('tokens', () => {
  it('gives the same token while it lives, without extending it', async () => {
    const params = { corpid: sandbox.corpId, corpsecret: sandbox.app.secret }
    const first = (await raw('/cgi-bin/gettoken', { params })).data
    await sandbox.advanceTo(hours(1.5))
    const second = (await raw('/cgi-bin/gettoken', { params })).data
    expect(first).toMatchObject({ errcode: 0, errmsg: 'ok', expires_in: 7200 })
    expect(second).toEqual({ ...first, expires_in: 1800 })
    await sandbox.advanceTo(hours(2))
    expect((await api.get('getcallbackip')).errcode).toBe(42001)
    const third = (await raw('/cgi-bin/gettoken', { params })).data
    expect(third['expires_in']).toBe(7200)
    expect(third['access_token']).not.toBe(first['access_token'])
  })

  it.each([
    [{}, 41004],
    [{ corpid: 'ww0', corpsecret: 'x' }, 40013],
  ])('refuses %j with %i', async (params, errcode) => {
    expect((await raw('/cgi-bin/gettoken', { params })).data['errcode']).toBe(errcode)
  })

  it('refuses a wrong secret with 40001', async () => {
    const { data } = await raw('/cgi-bin/gettoken', { params: { corpid: sandbox.corpId, corpsecret: 'x' } })
    expect(data['errcode']).toBe(40001)
  })

  it('wants the token in the query and nowhere else', async () => {
    const path = '/cgi-bin/externalcontact/get_follow_user_list'
    expect((await raw(path, { headers: { access_token: 'x' } })).data['errcode']).toBe(41001)
    expect((await raw(path, { params: { access_token: 'x' } })).data['errcode']).toBe(40014)
  })

  it('ends tokens when told to', async () => {
    sandbox.expireTokens()
    expect((await api.get('getcallbackip')).errcode).toBe(42001)
  })

  it('keeps the address book to its own secret', async () => {
    const sync = await client(sandbox, sandbox.contactSyncSecret)
    const first = await sync.post('user/list_id', { limit: 2 })
    expect(first['dept_user']).toEqual([
      { userid: 'g1', department: 1 },
      { userid: 'g2', department: 1 },
    ])
    expect((await sync.post('user/list_id', { cursor: first['next_cursor'], limit: 2 }))['dept_user']).toEqual([
      { userid: 'g3', department: 1 },
    ])
    expect(await api.post('user/list_id', {})).toMatchObject({ errcode: 48002, dept_user: [] })
    expect((await sync.get(`${EC}get_follow_user_list`)).errcode).toBe(48002)
  })
})

describe('the manner of replies', () => {
  it("answers 200 with a text in the platform's style, and keeps the list fields", async () => {
    const reply = await raw(`/cgi-bin/${EC}list`, { params: { access_token: 'x', userid: 'g1' } })
    expect(reply.status).toBe(200)
    expect(reply.headers['content-type']).toBe('application/json; charset=UTF-8')
    expect(reply.headers['error-code']).toBe('40014')
    expect(reply.data).toMatchObject({ errcode: 40014, external_userid: [] })
    expect(reply.data['errmsg']).toMatch(
      /^invalid access_token, hint: \[\d{25}\], from ip: 127\.0\.0\.1, more info at https:\/\/open\.work\.weixin\.qq\.com\/devtool\/query\?e=40014$/,
    )
  })

  it('knows no other path: 404 with an empty body', async () => {
    const reply = await raw('/cgi-bin/externalcontact/nothing')
    expect([reply.status, reply.data]).toEqual([404, ''])
    expect((await raw('/cgi-bin/constructor')).status).toBe(404)
  })

  it('reads the body as JSON whatever its Content-Type says', async () => {
    const token = (
      await raw('/cgi-bin/gettoken', { params: { corpid: sandbox.corpId, corpsecret: sandbox.app.secret } })
    ).data['access_token']
    const url = `${sandbox.url}/cgi-bin/${EC}batch/get_by_user?access_token=${String(token)}`
    const send = (type: string, body: string) =>
      axios.post<{ errcode: number }>(url, body, { headers: { 'Content-Type': type }, proxy: false })
    expect((await send('text/plain', '{"userid_list":["g1"],"cursor":""}')).data.errcode).toBe(0)
    expect((await send('application/x-www-form-urlencoded', '{"userid_list":["g1"]}')).data.errcode).toBe(0)
    expect((await send('application/json', '{"userid_list":')).data.errcode).toBe(40058)
  })

  it('answers 45009 above 10,000 calls a minute until the minute ends', async () => {
    const params = {
      access_token: (
        await raw('/cgi-bin/gettoken', { params: { corpid: sandbox.corpId, corpsecret: sandbox.app.secret } })
      ).data['access_token'],
    }
    const http = axios.create({ baseURL: sandbox.url, proxy: false })
    const call = async () => (await http.get<{ errcode: number }>('/cgi-bin/getcallbackip', { params })).data.errcode
    const codes: number[] = []
    for (let i = 0; i < 200; i++) codes.push(...(await Promise.all(Array.from({ length: 50 }, call))))
    expect(new Set(codes)).toEqual(new Set([0]))
    expect(await call()).toBe(45009)
    await sandbox.advanceTo(hours(1 / 60))
    expect(await call()).toBe(0)
  })
})

describe('members and contacts', () => {
  it('shows members without what new apps may not see', async () => {
    expect((await api.get(`${EC}get_follow_user_list`))['follow_user']).toEqual(['g1', 'g2', 'g3'])
    expect(await api.get('user/get', { userid: 'G1' })).toMatchObject({
      errcode: 0,
      userid: 'g1',
      name: '导购 001',
      department: [1],
      status: 1,
    })
    expect(await api.get('user/get', { userid: 'nobody' })).toMatchObject({ errcode: 60111, department: [] })
    expect((await api.get('user/simplelist', { department_id: 1 }))['userlist']).toHaveLength(3)
    expect((await api.get('department/list'))['department']).toMatchObject([{ id: 1, parentid: 0 }])
    expect((await api.get('user/simplelist', { department_id: 7 })).errcode).toBe(60003)
  })

  it('lists the contacts of a member; none is 84061', async () => {
    expect((await api.get(`${EC}list`, { userid: 'g2' }))['external_userid']).toEqual(['wmc4', 'wmc5'])
    expect(await api.get(`${EC}list`, { userid: 'g3' })).toMatchObject({ errcode: 84061, external_userid: [] })
  })

  it('gives the details of a contact with every member who has it', async () => {
    const reply = await api.get(`${EC}get`, { external_userid: 'wmc1' })
    expect(reply['external_contact']).toMatchObject({
      external_userid: 'wmc1',
      name: '顾客 wmc1',
      type: 1,
      gender: 2,
      unionid: 'ou1',
    })
    expect(reply['follow_user']).toEqual([
      {
        userid: 'g1',
        remark: '顾客 wmc1',
        description: '',
        createtime: Date.parse('2011-01-01') / 1000,
        remark_corp_name: '',
        remark_mobiles: ['00000000001'],
        oper_userid: 'wmc1',
        add_way: 1,
        state: 'shop',
        tags: [{ group_name: '等级', tag_name: '重要', tag_id: 'etVip', type: 1 }],
      },
    ])
    expect((await api.get(`${EC}get`, { external_userid: 'wmc5' }))['follow_user']).toHaveLength(2)
    expect((await api.get(`${EC}get`, { external_userid: 'wmNobody' })).errcode).toBe(40096)
    expect((await api.get(`${EC}get`)).errcode).toBe(41035)
  })

  it('pages through everybody once, with a limit above 100 taken as 100', async () => {
    const many = Array.from({ length: 230 }, (_, i) =>
      contact(`wm${String(i).padStart(4, '0')}`, i % 2 === 0 ? 'g1' : 'g2'),
    )
    const big = await open(smallScenario({ contacts: many }))
    const call = await client(big)
    const pages: string[][] = []
    let cursor = ''
    do {
      const reply = await call.post(`${EC}batch/get_by_user`, { userid_list: ['g2', 'g1'], cursor, limit: 1000 })
      const rows = reply['external_contact_list'] as {
        external_contact: { external_userid: string }
        follow_info: { userid: string; tag_id: string[] }
      }[]
      pages.push(rows.map((row) => `${row.follow_info.userid}/${row.external_contact.external_userid}`))
      cursor = String(reply['next_cursor'])
    } while (cursor !== '')
    expect(pages.map((page) => page.length)).toEqual([100, 100, 30])
    expect(new Set(pages.flat()).size).toBe(230)
    expect((await call.post(`${EC}batch/get_by_user`, { userid_list: ['g1'], cursor: 'bad' })).errcode).toBe(50100)
    expect(
      (await call.post(`${EC}batch/get_by_user`, { userid: 'g1', limit: 5 }))['external_contact_list'],
    ).toHaveLength(5)
    await big.close()
  })

  it('changes remarks, within their lengths', async () => {
    const pair = { userid: 'g1', external_userid: 'wmc2' }
    expect((await api.post(`${EC}remark`, { ...pair, remark: '李姐', remark_mobiles: ['00000000002'] })).errcode).toBe(
      0,
    )
    expect((await api.get(`${EC}get`, { external_userid: 'wmc2' }))['follow_user']).toMatchObject([
      { remark: '李姐', remark_mobiles: ['00000000002'] },
    ])
    expect((await api.post(`${EC}remark`, { ...pair, remark_mobiles: [''] })).errcode).toBe(0)
    expect((await api.get(`${EC}get`, { external_userid: 'wmc2' }))['follow_user']).toMatchObject([
      { remark: '李姐', remark_mobiles: [] },
    ])
    expect((await api.post(`${EC}remark`, { ...pair, remark: 'x'.repeat(21) })).errcode).toBe(40058)
    expect((await api.post(`${EC}remark`, pair)).errcode).toBe(40058)
    expect((await api.post(`${EC}remark`, { ...pair, userid: 'g3', remark: 'x' })).errcode).toBe(84061)
  })
})

describe('corp tags', () => {
  it('adds to a group by name, refuses a name that exists, and marks all or nothing', async () => {
    const added = await api.post(`${EC}add_corp_tag`, {
      group_name: '等级',
      tag: [{ name: '核心', order: 5 }, { name: '核心' }],
    })
    const group = added['tag_group'] as { group_id: string; tag: { id: string; name: string }[] }
    expect(group).toMatchObject({ group_id: 'etLevel', group_name: '等级', tag: [{ name: '核心', order: 5 }] })
    expect(group.tag).toHaveLength(1)
    expect((await api.post(`${EC}add_corp_tag`, { group_name: '等级', tag: [{ name: '重要' }] })).errcode).toBe(40071)
    expect((await api.post(`${EC}add_corp_tag`, { group_name: '新', tag: [{ name: '' }] })).errcode).toBe(40072)
    const tagId = group.tag[0]!.id
    const pair = { userid: 'g1', external_userid: 'wmc1' }
    expect((await api.post(`${EC}mark_tag`, { ...pair, add_tag: [tagId, 'etGone'] })).errcode).toBe(40068)
    const tagsNow = async () => {
      const { follow_user } = (await api.get(`${EC}get`, { external_userid: 'wmc1' })) as unknown as {
        follow_user: [{ tags: { tag_id: string }[] }]
      }
      return follow_user[0].tags.map((tag) => tag.tag_id).sort()
    }
    expect(await tagsNow()).toEqual(['etVip'])
    expect((await api.post(`${EC}mark_tag`, { ...pair, add_tag: [tagId], remove_tag: ['etVip'] })).errcode).toBe(0)
    expect(await tagsNow()).toEqual([tagId])
    const list = await api.post(`${EC}get_corp_tag_list`, { tag_id: [tagId] })
    expect(list['tag_group']).toMatchObject([
      { group_id: 'etLevel', deleted: false, tag: [{ id: tagId, deleted: false }] },
    ])
    expect((await api.post(`${EC}get_corp_tag_list`, {}))['tag_group']).toMatchObject([
      { tag: [{ id: tagId }, { id: 'etVip' }] },
    ])
  })
})

describe('media', () => {
  it('keeps an upload for three days', async () => {
    const text = new FormData()
    text.append('media', new Blob(['0123456789']), 'a.txt')
    const { media_id } = await api.post('media/upload?type=file', text)
    expect(await api.get('media/get', { media_id })).toBe('0123456789')
    const form = new FormData()
    form.append('media', new Blob([PNG]), 'a.png')
    const uploaded = await api.post('media/upload?type=image', form)
    expect(uploaded).toMatchObject({ errcode: 0, type: 'image', created_at: String(hours(0).getTime() / 1000) })
    const image = {
      external_userid: ['wmc1'],
      attachments: [{ msgtype: 'image', image: { media_id: uploaded['media_id'] } }],
    }
    expect((await api.post(`${EC}add_msg_template`, image)).errcode).toBe(0)
    await sandbox.advanceTo(hours(72))
    const later = await client(sandbox)
    expect((await later.get('media/get', { media_id: uploaded['media_id'] })).errcode).toBe(40007)
    expect((await later.post(`${EC}add_msg_template`, image)).errcode).toBe(40007)
  })

  it('refuses what is too small, of no kind, or absent', async () => {
    const tiny = new FormData()
    tiny.append('media', new Blob(['123']), 'a.png')
    expect((await api.post('media/upload?type=image', tiny)).errcode).toBe(40006)
    expect((await api.post('media/upload?type=song', tiny)).errcode).toBe(40005)
    expect((await api.post('media/upload?type=image', {})).errcode).toBe(41005)
    const picture = new FormData()
    picture.append('media', new Blob([PNG]), 'a.png')
    expect((await api.post('media/uploadimg', picture))['url']).toMatch(/^https:\/\/p\.qpic\.cn\//)
  })
})

describe('faults', () => {
  it('loses a reply after it took effect, answers a code, or HTML', async () => {
    const path = '/cgi-bin/externalcontact/remark'
    const change = { userid: 'g1', external_userid: 'wmc2', remark: '已改' }
    sandbox.fault({ path, kind: 'lost_reply' })
    await expect(api.post(`${EC}remark`, change)).rejects.toThrow()
    expect((await api.get(`${EC}get`, { external_userid: 'wmc2' }))['follow_user']).toMatchObject([{ remark: '已改' }])
    sandbox.fault({ path, kind: 'errcode', errcode: -1, times: 2 })
    expect((await api.post(`${EC}remark`, { ...change, remark: 'x' })).errcode).toBe(-1)
    expect((await api.post(`${EC}remark`, { ...change, remark: 'x' })).errcode).toBe(-1)
    sandbox.fault({ path, kind: 'timeout' })
    const impatient = axios.post(`${sandbox.url}${path}`, change, { timeout: 200, proxy: false })
    await expect(impatient).rejects.toThrow('timeout')
    sandbox.fault({ path, kind: 'html' })
    await expect(api.post(`${EC}remark`, change)).rejects.toThrow('502')
    expect((await api.get(`${EC}get`, { external_userid: 'wmc2' }))['follow_user']).toMatchObject([{ remark: '已改' }])
    expect((await api.post(`${EC}remark`, change)).errcode).toBe(0)
  })
})
