import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import axios, { type AxiosInstance } from 'axios'
import { sandboxAdapter } from '../../sandbox/in-process.js'
import type { Sandbox } from '../../sandbox/sandbox.js'
import { massBody, open, type Reply } from './support.js'

let sandbox: Sandbox
let http: AxiosInstance
let access_token: string
beforeEach(async () => {
  sandbox = await open()
  http = axios.create({ baseURL: 'https://qyapi.weixin.qq.com/cgi-bin/', adapter: sandboxAdapter(sandbox, '10.0.0.7') })
  const { data } = await http.get<Reply>('gettoken', {
    params: { corpid: sandbox.corpId, corpsecret: sandbox.app.secret },
  })
  access_token = String(data['access_token'])
})
afterEach(() => sandbox.close())

const created = async () => {
  const { data } = await http.post<Reply>('externalcontact/get_groupmsg_list_v2', {
    chat_type: 'single',
    start_time: sandbox.now().getTime() / 1000 - 60,
    end_time: sandbox.now().getTime() / 1000,
  }, { params: { access_token } }) // prettier-ignore
  return (data['group_msg_list'] as unknown[]).length
}

describe('a client without sockets', () => {
  it('gets the answers that the port gives, text, files and errors alike', async () => {
    const params = { access_token, userid: 'g1' }
    const inProcess = await http.get<Reply>('user/get', { params })
    const overHttp = await axios.get<Reply>(`${sandbox.url}/cgi-bin/user/get`, { params, proxy: false })
    expect(inProcess.data).toEqual(overHttp.data)
    const refused = await http.get<Reply>('user/get', { params: { access_token, userid: 'nobody' } })
    expect(refused.data).toMatchObject({ errcode: 60111, errmsg: expect.stringContaining('from ip: 10.0.0.7') })
    expect(refused.headers['error-code']).toBe('60111')

    const form = new FormData()
    form.append('media', new Blob(['0123456789']), 'a.txt')
    const upload = await http.post<Reply>('media/upload', form, { params: { access_token, type: 'file' } })
    const file = await http.get<Buffer>('media/get', {
      params: { access_token, media_id: upload.data['media_id'] },
      responseType: 'arraybuffer',
    })
    expect(file.data.toString()).toBe('0123456789')
    await expect(http.get('no/such/path')).rejects.toMatchObject({ code: 'ERR_BAD_REQUEST', response: { status: 404 } })
  })

  it('sees a lost reply as a reset connection, after the effect', async () => {
    sandbox.fault({ kind: 'lost_reply', path: '/cgi-bin/externalcontact/add_msg_template' })
    const body = massBody('g1', ['wmc1'])
    await expect(
      http.post('externalcontact/add_msg_template', body, { params: { access_token } }),
    ).rejects.toMatchObject({ code: 'ECONNRESET' })
    expect(await created()).toBe(1)
  })

  it('waits for an answer that never comes until its time-out or its signal', async () => {
    sandbox.fault({ kind: 'timeout', path: '/cgi-bin/user/get', times: 2 })
    const get = (more: object) => http.get('user/get', { params: { access_token, userid: 'g1' }, ...more })
    await expect(get({ timeout: 20 })).rejects.toMatchObject({ code: 'ECONNABORTED' })
    await expect(get({ signal: AbortSignal.timeout(20) })).rejects.toMatchObject({ code: 'ERR_CANCELED' })
  })
})
