import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import type { Sandbox } from '../../sandbox/sandbox.js'
import { type Api, cardBody, client, control, hours, massBody, open, receiver, type Receiver } from './support.js'

let sandbox: Sandbox
let app: Receiver
let api: Api
beforeEach(async () => {
  sandbox = await open()
  app = await receiver(sandbox.app, sandbox.corpId)
  sandbox.setCallbackUrl(app.url)
  api = await client(sandbox)
})
afterEach(async () => {
  await sandbox.close()
  await app.close()
})

const view = async (query: string) => {
  const { status, body } = (await sandbox.handle({
    method: 'GET',
    url: `/?${query}`,
    headers: {},
    body: Buffer.alloc(0),
  }))!
  expect(status).toBe(200)
  return body.toString()
}
const withKey = (query: string) => view(`key=${sandbox.controlKey}&${query}`)
const see = async (path: string) => {
  const headers = { authorization: `Bearer ${sandbox.controlKey}` }
  const answer = await sandbox.handle({ method: 'GET', url: `/control/${path}`, headers, body: Buffer.alloc(0) })
  return JSON.parse(answer!.body.toString()) as Record<string, unknown>
}

describe('the page', () => {
  it('lists every customer with an id to copy, page by page, whoever was written to', async () => {
    const html = await withKey('view=customers')
    expect(html).toContain('data-copy="wmc4"')
    const last = [...html.matchAll(/data-copy="([^"]+)"/g)].at(-1)![1]!
    expect(await withKey(`view=customers&after=${last}`)).not.toContain(`data-copy="${last}"`)
  })

  it('has somebody added, order, reply and delete', async () => {
    const added = await control(sandbox, 'contacts/add', { userId: 'g2', name: '新人' })
    expect(added.status).toBe(200)
    const page = await withKey('view=customers')
    const id = /data-copy="([^"]+)">[^<]*<\/button><\/td><td>g2<\/td>/.exec(page.slice(page.indexOf('新人')))![1]!
    expect(app.callbacks.map((c) => c.raw).join('')).toContain(id)
    for (const button of ['orders/add', 'reply', 'contacts/delete'])
      expect(await withKey(`view=customers&customer=${id}`)).toContain(`data-post="/control/${button}"`)

    // A form sends what is typed, which is text.
    expect((await control(sandbox, 'orders/add', { externalUserId: id, amountMinor: '4200' })).status).toBe(200)
    expect(sandbox.purchases().at(-1)).toMatchObject({ externalUserId: id, userId: 'g2', amountMinor: 4_200 })
    expect((await control(sandbox, 'orders/add', { externalUserId: id, amountMinor: '4200' })).status).toBe(200)
    expect(new Set(sandbox.purchases().map((p) => p.orderNo)).size).toBe(sandbox.purchases().length)

    // Nobody has written to him yet.
    expect((await control(sandbox, 'reply', { externalUserId: id })).status).toBe(409)
    const { msgid } = await api.post('externalcontact/add_msg_template', massBody('g2', [id]))
    await control(sandbox, 'send', { msgid, userId: 'g2' })
    expect((await control(sandbox, 'reply', { externalUserId: id, reply: 'stop' })).status).toBe(200)
    expect(sandbox.counts()).toMatchObject({ reads: 1, repliesByKind: { stop: 1 } })
    expect((await control(sandbox, 'contacts/delete', { userId: 'g2', externalUserId: id })).status).toBe(200)
    expect(await withKey(`view=customers&customer=${id}`)).toContain('data-post="/control/contacts/add"')
    expect((await control(sandbox, 'orders/add', { externalUserId: 'nobody' })).status).toBe(404)
  })

  it('has what an app is told ready for a shell, for who has the key', async () => {
    const html = await withKey('view=connect')
    for (const [name, value] of [
      ['CORP_ID', sandbox.corpId],
      ['SECRET', sandbox.app.secret],
      ['CALLBACK_AES_KEY', sandbox.app.callback.encodingAesKey],
    ])
      expect(html).toContain(`export WECOM_${name}=${value}`)
    expect(await view('view=connect')).not.toContain(sandbox.app.secret)
  })

  it('offers buttons only to who has the control key, and never shows the key to others', async () => {
    await api.post('externalcontact/add_msg_template', massBody('g2', ['wmc4']))
    for (const name of ['members', 'tasks', 'limits', 'nonsense']) {
      const html = await view(`view=${name}&key=wrong`)
      expect(html).not.toContain('<button')
      expect(html).not.toContain(sandbox.controlKey)
    }
    expect(await withKey('view=tasks')).toContain('data-post="/control/send"')
  })

  it('shows what waits for guides, and what customers then see', async () => {
    const { msgid } = await api.post('externalcontact/add_msg_template', massBody('g2', ['wmc4', 'wmc5']))
    await api.post('message/send', cardBody(sandbox, 'g2', 'task-9'))
    const tasks = await withKey('view=tasks&user=g2')
    expect(tasks).toContain(String(msgid))
    expect(tasks).toContain('value="wmc4"')
    expect(await withKey('view=tasks&user=g1')).not.toContain(String(msgid))
    expect(await withKey('view=cards')).toContain('task-9')
    expect((await control(sandbox, 'send', { msgid, userId: 'g2', externalUserIds: ['wmc5'] })).status).toBe(200)
    expect(await withKey('view=customers')).toContain('顾客 wmc5')
    expect(await withKey('view=customers&customer=wmc5')).toContain('您好 1')
    expect(await withKey('view=customers&customer=wmc4')).not.toContain('您好 1')
    expect((await control(sandbox, 'press', { taskId: 'task-9', userId: 'g2', key: 'done' })).status).toBe(200)
    expect(await withKey('view=callbacks')).toContain('template_card_event')
    expect(await withKey('view=cards')).not.toContain('task-9')
  })

  it('shows calls, limits and faults, as the control paths do', async () => {
    await api.get('user/get', { userid: 'nobody' })
    sandbox.fault({ kind: 'errcode', errcode: -1, path: '/cgi-bin/user/get' })
    await api.get('user/get', { userid: 'g1' })
    expect(await see('calls')).toMatchObject({
      byPath: { '/cgi-bin/user/get': { calls: 2, byCode: { '60111': 1, '-1': 1 }, insideBlock: 0 } },
      last: [
        { path: '/cgi-bin/user/get', errcode: -1, fault: 'errcode' },
        { path: '/cgi-bin/user/get', errcode: 60111, app: 'siyu' },
        { path: '/cgi-bin/gettoken', errcode: 0 },
      ],
    })
    expect(await see('faults')).toMatchObject({ faults: [{ fault: { errcode: -1 }, taken: 1 }] })
    expect(await see('limits')).toMatchObject({ usage: expect.arrayContaining([expect.objectContaining({ used: 1 })]) })
    expect(await withKey('view=calls')).toContain('60111')
    expect(await withKey('view=limits')).toContain('data-post="/control/faults/clear"')
  })

  it('moves a stepped clock by a span', async () => {
    expect((await control(sandbox, 'advance', { byMs: 3_600_000 })).data).toMatchObject({ now: hours(1).toISOString() })
    expect((await control(sandbox, 'advance', { byMs: 0 })).status).toBe(400)
    expect((await control(sandbox, 'apps', { name: 'nobody' })).status).toBe(404)
  })
})
