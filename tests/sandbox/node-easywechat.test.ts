import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { ServerRequest, Work } from 'node-easywechat'
import type { Sandbox } from '../../sandbox/sandbox.js'
import { open, START } from './support.js'

type Answer = Record<string, unknown> & { errcode: number }

/**
 * A client that we did not write, as its users would configure it: only the base URL, the place of its file cache and a
 * time-out are ours.
 */
describe('node-easywechat drives the sandbox', () => {
  let sandbox: Sandbox
  let cacheDir: string
  let app: Work
  let receiver: Server
  /** What it decrypted from our callbacks. */
  let heard: Record<string, unknown>[]

  beforeEach(async () => {
    sandbox = await open()
    cacheDir = await mkdtemp(join(tmpdir(), 'siyu-easywechat-'))
    const { secret, callback } = sandbox.app
    app = new Work({
      corp_id: sandbox.corpId,
      secret,
      token: callback.token,
      aes_key: callback.encodingAesKey,
      http: { baseURL: `${sandbox.url}/`, timeout: 60_000, proxy: false },
      file_cache: { path: cacheDir, fileMode: 0o600, dirMode: 0o700, ext: '.cache' },
    })
    heard = []
    receiver = createServer((req, res) => {
      void (async () => {
        app.setRequest(await ServerRequest.createFromIncomingMessage(req))
        const server = app.getServer()
        if (req.method === 'GET') return String((await server.serve()).getBody())
        heard.push((await server.getDecryptedMessage(app.getRequest())).toObject())
        return 'success'
      })().then(
        (text) => res.end(text),
        (err: unknown) => res.writeHead(500).end(String(err)),
      )
    })
    await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve))
    sandbox.setCallbackUrl(`http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`)
  })

  afterEach(async () => {
    await sandbox.close()
    await new Promise((resolve) => receiver.close(resolve))
    await rm(cacheDir, { recursive: true, force: true })
  })

  async function get(path: string, params: object = {}): Promise<Answer> {
    const answer: Answer = (await app.getClient().get(path, { params })).toObject()
    return answer
  }
  async function post(path: string, body: object): Promise<Answer> {
    const answer: Answer = (await app.getClient().postJson(path, body)).toObject()
    return answer
  }

  it('fetches one token and keeps it in its cache', async () => {
    const token = await app.getAccessToken().getToken()
    expect(token.length).toBeLessThanOrEqual(512)
    expect(await app.getAccessToken().getToken()).toBe(token)
    const files = await readdir(cacheDir)
    expect(files).toHaveLength(1)
    expect(await readFile(join(cacheDir, files[0]!), 'utf8')).toContain(token)
  })

  it('reads members, customers and their details', async () => {
    expect((await get('/cgi-bin/externalcontact/get_follow_user_list'))['follow_user']).toEqual(['g1', 'g2', 'g3'])
    const list = await get('/cgi-bin/externalcontact/list', { userid: 'g1' })
    expect(list).toMatchObject({ errcode: 0, external_userid: ['wmc1', 'wmc2', 'wmc3', 'wmc5'] })
    const detail = await get('/cgi-bin/externalcontact/get', { external_userid: 'wmc1' })
    expect(detail).toMatchObject({
      external_contact: { external_userid: 'wmc1', unionid: 'ou1' },
      follow_user: [{ userid: 'g1', tags: [{ tag_id: 'etVip', tag_name: '重要' }] }],
    })
    const batch = await post('/cgi-bin/externalcontact/batch/get_by_user', {
      userid_list: ['g1'],
      cursor: '',
      limit: 2,
    })
    expect(batch['external_contact_list']).toHaveLength(2)
    expect(batch['next_cursor']).not.toBe('')
  })

  it('makes tags and marks a customer', async () => {
    const added = await post('/cgi-bin/externalcontact/add_corp_tag', { group_name: '来源', tag: [{ name: '门店' }] })
    expect(added.errcode).toBe(0)
    const { tag_group: group } = added as unknown as { tag_group: { tag: { id: string }[] } }
    const marked = await post('/cgi-bin/externalcontact/mark_tag', {
      userid: 'g1',
      external_userid: 'wmc2',
      add_tag: [group.tag[0]!.id],
    })
    expect(marked).toMatchObject({ errcode: 0 })
    const detail = await get('/cgi-bin/externalcontact/get', { external_userid: 'wmc2' })
    expect(detail).toMatchObject({ follow_user: [{ tags: [{ group_name: '来源', tag_name: '门店' }] }] })
    const refused = await post('/cgi-bin/externalcontact/mark_tag', {
      userid: 'g1',
      external_userid: 'wmc2',
      add_tag: ['etNone'],
    })
    expect(refused.errcode).toBe(40068)
  })

  it('sends a mass message and reads what became of it', async () => {
    const { msgid } = await post('/cgi-bin/externalcontact/add_msg_template', {
      chat_type: 'single',
      external_userid: ['wmc1', 'wmc2', 'wmc4'],
      sender: 'g1',
      text: { content: '秋季新品到店' },
    })
    await sandbox.advanceTo(new Date(START.getTime() + 3_600_000))
    const sends = await post('/cgi-bin/externalcontact/get_groupmsg_send_result', { msgid, userid: 'g1' })
    expect(sends['send_list']).toEqual([
      expect.objectContaining({ external_userid: 'wmc1', status: 1 }),
      expect.objectContaining({ external_userid: 'wmc2', status: 1 }),
    ])
    expect(sandbox.log().map((m) => m.externalUserId)).toEqual(['wmc1', 'wmc2'])
  })

  it('answers the URL check and decrypts a callback', async () => {
    expect(await sandbox.verifyCallbackUrl()).toBeUndefined()
    const act = async (path: string, body: object): Promise<void> => {
      const reply = await fetch(`${sandbox.url}/control/${path}`, {
        method: 'POST',
        headers: { Authorization: `Bearer ${sandbox.controlKey}`, 'Content-Type': 'application/json' },
        body: JSON.stringify(body),
      })
      expect(reply.status).toBe(200)
    }
    await act('contacts/delete', { userId: 'g1', externalUserId: 'wmc3' })
    expect(heard).toEqual([
      expect.objectContaining({
        ToUserName: sandbox.corpId,
        Event: 'change_external_contact',
        ChangeType: 'del_follow_user',
        UserID: 'g1',
        ExternalUserID: 'wmc3',
      }),
    ])
  })

  it('gives up on a token that ended before its time only when told to, as on the platform', async () => {
    await get('/cgi-bin/externalcontact/list', { userid: 'g1' })
    sandbox.expireTokens()
    expect((await get('/cgi-bin/externalcontact/list', { userid: 'g1' })).errcode).toBe(42001)
    await (app.getAccessToken() as unknown as { refresh(): Promise<string> }).refresh()
    expect((await get('/cgi-bin/externalcontact/list', { userid: 'g1' })).errcode).toBe(0)
  })

  it.each([
    ['a code that was used or never given out', 'user/getuserinfo', 'get', { code: 'spent' }, 40029],
    ['the retired transfer', 'externalcontact/transfer', 'post', { external_userid: 'wmc1' }, 48005],
    [
      'the retired result of mass messages',
      'externalcontact/get_group_msg_result',
      'post',
      { msgid: 'msgNone' },
      48005,
    ],
  ] as const)('makes an old call: %s', async (_what, path, method, params, errcode) => {
    const answer = await (method === 'get' ? get(`/cgi-bin/${path}`, params) : post(`/cgi-bin/${path}`, params))
    expect(answer.errcode).toBe(errcode)
  })
})
