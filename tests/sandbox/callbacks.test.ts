import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import type { Sandbox } from '../../sandbox/sandbox.js'
import {
  cardBody,
  client,
  contact,
  control,
  hours,
  massBody,
  NEVER,
  open,
  type Receiver,
  receiver,
  smallScenario,
  START,
} from './support.js'

const EC = 'externalcontact/'
let sandbox: Sandbox
let app: Receiver
const late = [
  contact('wmNew', 'g1', {
    addedAt: '2011-09-10T03:00:00Z',
    deletedAt: '2011-09-12T03:00:00Z',
    state: 'live',
    unionId: 'ouNew',
  }),
]
beforeEach(async () => {
  sandbox = await open(
    smallScenario({ contacts: [...smallScenario().contacts!, ...late], habits: { interestedRatio: 0, stopRatio: 1 } }),
  )
  app = await receiver(sandbox.app, sandbox.corpId)
  sandbox.setCallbackUrl(app.url)
})
afterEach(async () => {
  await sandbox.close()
  await app.close()
})

describe('callbacks', () => {
  it("check the receiver's URL", async () => {
    expect(await sandbox.verifyCallbackUrl()).toBeUndefined()
    sandbox.setCallbackUrl('http://127.0.0.1:9/')
    expect(await sandbox.verifyCallbackUrl()).toMatch(/ECONNREFUSED/)
  })

  it('tell of contacts who come and go, in their order and at their time', async () => {
    expect(sandbox.nextAt()).toEqual(hours(1))
    const api = await client(sandbox)
    expect((await api.get(`${EC}get`, { external_userid: 'wmNew' })).errcode).toBe(40096)
    await sandbox.advanceTo(hours(24 * 3))
    expect(app.callbacks.map((c) => c.fields)).toEqual([
      {
        ToUserName: sandbox.corpId,
        FromUserName: 'sys',
        CreateTime: String(hours(1).getTime() / 1000),
        MsgType: 'event',
        Event: 'change_external_contact',
        ChangeType: 'add_external_contact',
        UserID: 'g1',
        ExternalUserID: 'wmNew',
        State: 'live',
        WelcomeCode: expect.stringMatching(/^WELCOME/),
      },
      expect.objectContaining({
        ChangeType: 'del_follow_user',
        UserID: 'g1',
        ExternalUserID: 'wmNew',
        CreateTime: String(hours(49).getTime() / 1000),
      }),
    ])
    expect(sandbox.counts().callbacks).toEqual({ delivered: 2, waiting: 0, lost: 0 })
    // The one-way relation survives the customer's deletion.
    expect((await (await client(sandbox)).get(`${EC}get`, { external_userid: 'wmNew' })).errcode).toBe(0)
  })

  it('go beside the world when asked to: an advance ends with all but the last slice acknowledged', async () => {
    const scenario = smallScenario({
      contacts: [...smallScenario().contacts!, ...late, contact('wmSoon', 'g1', { addedAt: '2011-09-10T02:10:00Z' })],
    })
    const beside = await open(scenario, { callbackQueues: 8, callbackConnections: 2, callbackSliceMs: 60_000, callbacksBeside: true }) // prettier-ignore
    try {
      beside.setCallbackUrl(app.url)
      await beside.advanceTo(hours(2))
      expect(app.callbacks.map((c) => c.fields['ExternalUserID'])).toContain('wmSoon')
      await beside.advanceTo(hours(2)) // plays nothing, and waits for all
      expect(app.callbacks.map((c) => c.fields['ExternalUserID'])).toEqual(['wmSoon', 'wmNew'])
      expect(beside.counts().callbacks).toEqual({ delivered: 2, waiting: 0, lost: 0 })
      await app.close()
      await beside.advanceTo(hours(50)) // nobody has waited for this one yet
      await expect(beside.advanceTo(hours(50))).rejects.toThrow('did not acknowledge')
      expect(beside.counts().callbacks.waiting).toBe(1)
    } finally {
      await beside.close()
    }
  })

  it('carry a welcome code that works once, for twenty seconds', async () => {
    await sandbox.advanceTo(hours(1))
    const api = await client(sandbox)
    const welcome_code = app.callbacks[0]!.fields['WelcomeCode']
    const send = async () =>
      (await api.post(`${EC}send_welcome_msg`, { welcome_code, text: { content: '欢迎' } })).errcode
    expect(await send()).toBe(0)
    expect(await send()).toBe(41051)
    expect(sandbox.log()).toMatchObject([
      { kind: 'welcome', externalUserId: 'wmNew', senderUserId: 'g1', text: '欢迎' },
    ])
    await sandbox.advanceTo(new Date(hours(1).getTime() + 21_000))
    expect(await send()).toBe(41050)
    expect((await api.post(`${EC}send_welcome_msg`, { text: { content: 'x' } })).errcode).toBe(41049)
  })

  it('are tried four times, then wait; going on delivers them, the same text', async () => {
    app.refuse(3)
    await sandbox.advanceTo(hours(2))
    expect(app.callbacks).toHaveLength(1)
    app.refuse(4)
    await expect(sandbox.advanceTo(hours(72))).rejects.toThrow(app.url)
    expect(sandbox.now()).toEqual(hours(49))
    expect(sandbox.counts().callbacks).toEqual({ delivered: 1, waiting: 1, lost: 0 })
    await sandbox.advanceTo(hours(72))
    expect(app.callbacks).toHaveLength(2)
    expect(sandbox.now()).toEqual(hours(72))
  })

  it('tell what people do in their clients, and nothing of what the API does', async () => {
    const api = await client(sandbox)
    await api.post(`${EC}remark`, { userid: 'g1', external_userid: 'wmc1', remark: 'x' })
    await api.post(`${EC}mark_tag`, { userid: 'g1', external_userid: 'wmc2', add_tag: ['etVip'] })
    expect(app.callbacks).toEqual([])
    await control(sandbox, 'contacts/edit', {
      userId: 'g1',
      externalUserId: 'wmc2',
      remark: '王姐',
      removeTags: ['etVip'],
    })
    await control(sandbox, 'contacts/add', { userId: 'G2', externalUserId: 'wmc1', state: 'card' })
    await control(sandbox, 'contacts/delete', { userId: 'g1', externalUserId: 'wmc1', by: 'member' })
    expect(app.callbacks.map((c) => [c.fields['ChangeType'], c.fields['UserID'], c.fields['ExternalUserID']])).toEqual([
      ['edit_external_contact', 'g1', 'wmc2'],
      ['add_external_contact', 'g2', 'wmc1'],
      ['del_external_contact', 'g1', 'wmc1'],
    ])
    expect((await api.get(`${EC}get`, { external_userid: 'wmc1' }))['follow_user']).toMatchObject([
      { userid: 'g2', state: 'card' },
    ])
    expect((await control(sandbox, 'contacts/delete', { userId: 'g1', externalUserId: 'wmc1' })).status).toBe(409)
    expect((await control(sandbox, 'contacts/delete', { userId: 'nobody', externalUserId: 'wmc1' })).status).toBe(404)
  })
})

describe('cards for guides', () => {
  it('get a button pressed in working hours, and the app is told', async () => {
    const api = await client(sandbox)
    const sent = await api.post('message/send', cardBody(sandbox, 'G1', 'task-1'))
    expect(sent).toMatchObject({
      errcode: 0,
      invaliduser: '',
      msgid: expect.stringMatching(/^app/),
      response_code: expect.stringMatching(/^RESPONSE/),
    })
    await sandbox.advanceTo(hours(0.5))
    const { fields } = app.callbacks[0]!
    expect(fields).toMatchObject({
      Event: 'template_card_event',
      FromUserName: 'g1',
      EventKey: 'stop',
      TaskId: 'task-1',
      CardType: 'button_interaction',
      AgentID: '1000002',
    })
    expect(Number(fields['CreateTime']) * 1000).toBeGreaterThan(START.getTime())
    expect(sandbox.counts()).toMatchObject({ cards: 1, pressesByKey: { stop: 1 } })
    const update = {
      userids: ['g1', 'ghost'],
      agentid: 1000002,
      response_code: fields['ResponseCode'],
      button: { replace_name: '已处理' },
    }
    expect(await api.post('message/update_template_card', update)).toMatchObject({ errcode: 0, invaliduser: ['ghost'] })
    expect((await api.post('message/update_template_card', update)).errcode).toBe(60140)
    expect((await control(sandbox, 'press', { taskId: 'task-1', userId: 'g1', key: 'done' })).status).toBe(409)
  })

  it('press what the card offers, with or without a suffix', async () => {
    const api = await client(sandbox)
    await api.post('message/send', cardBody(sandbox, 'g1', 'suffix', ['done:7', 'stop:7']))
    await api.post('message/send', cardBody(sandbox, 'g1', 'done-only', ['later', 'done']))
    await api.post('message/send', cardBody(sandbox, 'g1', 'own', ['later', 'maybe']))
    await sandbox.advanceTo(hours(0.5))
    const pressed = new Map(app.callbacks.map((c) => [c.fields['TaskId'], c.fields['EventKey']]))
    expect(pressed).toEqual(new Map([['suffix', 'stop:7'], ['done-only', 'done'], ['own', 'later']])) // prettier-ignore
  })

  it('are left alone by who never presses, after an update, and after a recall', async () => {
    const api = await client(sandbox)
    await api.post('message/send', cardBody(sandbox, 'g2', 'never'))
    const first = await api.post('message/send', cardBody(sandbox, 'g1', 'updated'))
    const second = await api.post('message/send', cardBody(sandbox, 'g1', 'recalled'))
    const update = {
      userids: ['g1'],
      agentid: 1000002,
      response_code: first['response_code'],
      button: { replace_name: '已取消' },
    }
    expect((await api.post('message/update_template_card', update)).errcode).toBe(0)
    expect((await api.post('message/recall', { msgid: second['msgid'] })).errcode).toBe(0)
    await sandbox.advanceTo(hours(0.9))
    expect(app.callbacks).toEqual([])
  })

  it('can be pressed again when an update brings new buttons, and only those', async () => {
    const api = await client(sandbox)
    await api.post('message/send', cardBody(sandbox, 'g1', 'list'))
    await sandbox.advanceTo(hours(0.5))
    const press = async (key: string) => (await control(sandbox, 'press', { taskId: 'list', userId: 'g1', key })).status
    expect(await press('next')).toBe(409)
    const { template_card } = cardBody(sandbox, 'g1', 'list', ['next']) as { template_card: object }
    const response_code = app.callbacks[0]!.fields['ResponseCode']
    const update = { userids: ['g1'], agentid: 1000002, response_code, template_card }
    expect((await api.post('message/update_template_card', update)).errcode).toBe(0)
    expect([await press('done'), await press('next'), await press('next')]).toEqual([409, 200, 409])
    expect(app.callbacks.map((c) => c.fields['EventKey'])).toEqual(['stop', 'next'])
    expect(app.callbacks[1]!.fields['ResponseCode']).not.toBe(response_code)
  })

  it('refuse a task_id that was used, by the code that says so, and hide a repetition when asked to', async () => {
    const api = await client(sandbox)
    const body = cardBody(sandbox, 'g1', 'once')
    const first = await api.post('message/send', { ...body, enable_duplicate_check: 1 })
    expect((await api.post('message/send', body)).errcode).toBe(42014)
    expect(await api.post('message/send', { ...body, enable_duplicate_check: 1 })).toEqual(first)
    expect(sandbox.counts().cards).toBe(1)
  })

  it('drop in silence what goes to one member above thirty a minute', async () => {
    const api = await client(sandbox)
    const text = (n: number) => ({ touser: 'g1', msgtype: 'text', agentid: 1000002, text: { content: `第 ${n} 条` } })
    for (let n = 0; n < 31; n++) expect((await api.post('message/send', text(n))).errcode).toBe(0)
    expect(sandbox.counts()).toMatchObject({ appMessages: 30, droppedAppMessages: 1 })
    await sandbox.advanceTo(new Date(START.getTime() + 60_000))
    await api.post('message/send', text(31))
    expect(sandbox.counts()).toMatchObject({ appMessages: 31, droppedAppMessages: 1 })
  })

  it.each([
    ['another agent', { agentid: 7 }, 301002],
    ['an agent that is no number', { agentid: 'x' }, 40056],
    ['no recipient', { touser: '' }, 82001],
    ['unknown recipients', { touser: 'nobody' }, 81013],
    ['an unknown type', { msgtype: 'song' }, 40008],
    ['an empty text', { msgtype: 'text', text: { content: '' } }, 44004],
    ['an unknown card', { template_card: { card_type: 'song' } }, 42031],
    ['no task_id', { template_card: { card_type: 'button_interaction', main_title: { title: 't' } } }, 42014],
    [
      'a task_id with a blank',
      { template_card: { card_type: 'button_interaction', main_title: { title: 't' }, task_id: 'a b' } },
      42014,
    ],
    [
      'no buttons',
      { template_card: { card_type: 'button_interaction', main_title: { title: 't' }, task_id: 'a' } },
      40058,
    ],
    [
      'a button without key',
      {
        template_card: {
          card_type: 'button_interaction',
          main_title: { title: 't' },
          task_id: 'a',
          button_list: [{ text: 'x' }],
        },
      },
      42039,
    ],
    [
      'a button text that is too long',
      {
        template_card: {
          card_type: 'button_interaction',
          main_title: { title: 't' },
          task_id: 'a',
          button_list: [{ text: '一二三四五六七八九十一', key: 'k' }],
        },
      },
      42038,
    ],
    ['no card action', { template_card: { card_type: 'text_notice', main_title: { title: 't' } } }, 42045],
    [
      'a long row name',
      {
        template_card: {
          card_type: 'button_interaction',
          main_title: { title: 't' },
          task_id: 'a',
          button_list: [{ text: 'x', key: 'k' }],
          horizontal_content_list: [{ keyname: '一二三四五六' }],
        },
      },
      42027,
    ],
  ])('refuse %s', async (_name, change, errcode) => {
    const api = await client(sandbox)
    expect((await api.post('message/send', { ...cardBody(sandbox, 'g1', 'bad'), ...change })).errcode).toBe(errcode)
    expect(sandbox.counts()).toMatchObject({ cards: 0, appMessages: 0 })
  })

  it('take every kind of card, text and markdown, and name who was not reached', async () => {
    const api = await client(sandbox)
    const send = (msgtype: string, body: object) =>
      api.post('message/send', { touser: 'G1|Ghost', toparty: '', msgtype, agentid: 1000002, [msgtype]: body })
    const main_title = { title: 't' }
    const card_action = { type: 1, url: 'https://a' }
    expect(await send('markdown', { content: '# 好' })).toMatchObject({ errcode: 0, invaliduser: 'ghost' })
    const cards = [
      { card_type: 'text_notice', main_title, card_action },
      { card_type: 'news_notice', main_title, card_action, card_image: { url: 'https://a' } },
      {
        card_type: 'vote_interaction',
        main_title,
        task_id: 'v',
        checkbox: { question_key: 'q', option_list: [{ id: '1', text: 'A' }] },
        submit_button: { text: '好', key: 'k' },
      },
      {
        card_type: 'multiple_interaction',
        main_title,
        task_id: 'm',
        select_list: [{ question_key: 'q', option_list: [{ id: '1', text: 'A' }] }],
        submit_button: { text: '好', key: 'k' },
      },
    ]
    for (const card of cards) expect((await send('template_card', card)).errcode).toBe(0)
  })
})

describe('the control paths', () => {
  it('are closed without the key, and show what happened with it', async () => {
    const api = await client(sandbox)
    await api.post(`${EC}add_msg_template`, massBody('g1', ['wmc1']))
    const get = (path: string, key: string) =>
      fetch(`${sandbox.url}${path}`, { headers: { Authorization: `Bearer ${key}` } })
    expect((await get('/control/state', 'wrong')).status).toBe(403)
    expect((await control(sandbox, 'advance', { to: 'tomorrow' })).status).toBe(400)
    expect((await control(sandbox, 'advance', { to: hours(0.5).toISOString() })).data).toMatchObject({
      now: hours(0.5).toISOString(),
    })
    expect(await (await get('/control/log', sandbox.controlKey)).json()).toMatchObject({
      next: 1,
      messages: [{ externalUserId: 'wmc1', senderUserId: 'g1' }],
    })
    expect(await (await get('/control/log?skip=1', sandbox.controlKey)).json()).toEqual({ next: 1, messages: [] })
    expect(await (await get('/control/state', sandbox.controlKey)).json()).toMatchObject({
      corpId: sandbox.corpId,
      counts: { messages: 1 },
    })
    expect((await get('/control/nothing', sandbox.controlKey)).status).toBe(404)
    expect((await control(sandbox, 'callback/verify', {})).data).toEqual({ ok: true })
    expect((await control(sandbox, 'callback', { url: 'http://127.0.0.1:9/' })).status).toBe(200)
    expect((await control(sandbox, 'callback/verify', {})).data).toMatchObject({ ok: false })
    const page = await (await fetch(`${sandbox.url}/`)).text()
    expect(page).toContain('导购 001')
    expect(page).toContain('您好 1')
  })

  it('escape what customers are called', async () => {
    const other = await open({ members: [{ userId: 'g1', name: '<b>导购', diligence: NEVER }] })
    const page = await (await fetch(`${other.url}/`)).text()
    await other.close()
    expect(page).toContain('<td>&#60;b&#62;导购</td>')
  })
})
