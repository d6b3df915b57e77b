import { afterEach, beforeEach, expect, it } from '@jest/globals'
import { createWecomClient, type WecomClient } from '../../../../src/adapters/wecom/client.js'
import { quietLog } from '../../../../src/log.js'
import { fixedClock } from '../../../../src/time.js'
import { openWecomStub, type WecomStub } from '../../../support/wecom-stub.js'
import { all } from '../stand.js'

let stub: WecomStub
let client: WecomClient
const NOW = new Date('2026-08-03T01:00:00Z')
beforeEach(async () => {
  stub = await openWecomStub()
  client = createWecomClient({ baseUrl: stub.url, corpId: 'ww1', agentId: 1, secret: 's', clock: fixedClock(NOW), log: quietLog })
}) // prettier-ignore
afterEach(async () => {
  client.close()
  await stub.close()
})

it.each(['exteranalopenid', 'externalopenid'])('reads the archive in the spelling %s, and writes the platform’s', async (field) => {
  stub.on('msgaudit/check_single_agree', {
    agreeinfo: [{ userid: 'g1', [field]: 'wm1', agree_status: 'Agree', status_change_time: 1562766651, new_field: 1 }],
  })
  expect(await client.archive.consents([{ userId: 'g1', externalUserId: 'wm1' }])).toEqual([
    { userId: 'g1', externalUserId: 'wm1', consent: 'agreed', changedAt: new Date(1562766651_000) },
  ])
  expect(stub.calls[0]?.body).toEqual({ info: [{ userid: 'g1', exteranalopenid: 'wm1' }] })
}) // prettier-ignore

it('reads times that are quoted, lists that are null, and empty cursors', async () => {
  stub.on('externalcontact/get_groupmsg_list_v2', {
    next_cursor: '',
    group_msg_list: [{ msgid: 'msg1', create_time: '1606380000', create_type: 1, attachments: null, creator: '' }],
  })
  expect(await all(client.mass.list(NOW, NOW))).toEqual([
    { msgid: 'msg1', create_time: 1606380000, create_type: 1, attachments: [] },
  ])
  stub.on('media/upload', { type: 'file', media_id: 'M', created_at: '1380000000' })
  await expect(client.media.upload('file', 'a', new Uint8Array(6))).resolves.toBe('M')
  stub.on('media/upload_attachment', { type: 'image', media_id: 'N', created_at: 1380000000 })
  await expect(client.media.uploadAttachment('moment', 'image', 'a', new Uint8Array(6))).resolves.toBe('N')
})

it('reads invalid receivers as text of a send and as a list of an update', async () => {
  stub.on('message/send', { invaliduser: 'u1|u2', invalidparty: '7', unlicenseduser: 'u3', msgid: 'm' })
  const sent = await client.messages.send({ toUsers: ['u1'], content: { msgtype: 'text', text: { content: 'x' } } })
  expect(sent).toEqual({ invalid: ['u1', 'u2', 'u3'], invalidDepartments: ['7'], invalidTags: [], msgId: 'm' })
  stub.on('message/update_template_card', { invaliduser: ['u1'] })
  expect(await client.messages.updateCard({ toAll: true, responseCode: 'c', button: '好' })).toEqual(['u1'])
})

it('keeps kinds of customer-service items that it does not know', async () => {
  const item = { msgid: 'k1', open_kfid: 'wk1', external_userid: 'wm1', send_time: 1754000000, origin: 3, msgtype: 'merged_msg', merged_msg: { title: 't' } }
  stub.on('kf/sync_msg', { next_cursor: 'c2', has_more: 0, msg_list: [item] })
  const pages = []
  for await (const page of client.kf.sync('wk1', 'c1', 'token')) pages.push(page)
  expect(pages).toMatchObject([{ cursor: 'c2', items: [item] }])
  expect(stub.calls[0]?.body).toEqual({ open_kfid: 'wk1', cursor: 'c1', token: 'token', limit: 1000 })
}) // prettier-ignore
