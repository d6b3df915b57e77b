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
