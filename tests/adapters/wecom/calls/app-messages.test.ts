import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import type { AppContent } from '../../../../src/adapters/wecom/calls/app-messages.js'
import type { TemplateCard } from '../../../../src/adapters/wecom/calls/cards.js'
import { InvalidInputError } from '../../../../src/errors.js'
import { DAY_MS, HOUR_MS } from '../../../../src/time.js'
import { PNG, START } from '../../../sandbox/support.js'
import { codeOf, openStand, type Stand } from '../stand.js'

let stand: Stand
const at = (ms: number) => new Date(START.getTime() + ms)
const text = (content: string): AppContent => ({ msgtype: 'text', text: { content } })
const url = 'https://crm.example.com/t/1'
const icon = 'https://i.example.com/i.png'

/** The reference's examples, one of each type. */
const CARDS: Record<string, TemplateCard> = {
  text_notice: {
    card_type: 'text_notice',
    source: { icon_url: icon, desc: 'CRM', desc_color: 1 },
    action_menu: { desc: 'more', action_list: [{ text: 'Mute', key: 'MUTE' }] },
    task_id: 't-20260801-1',
    main_title: { title: 'VIP came back', desc: 'Visited 3 times' },
    quote_area: { type: 1, url, title: 'Last order', quote_text: '2 items' },
    emphasis_content: { title: '100', desc: 'score' },
    sub_title_text: 'Contact before tonight',
    horizontal_content_list: [
      { keyname: 'Store', value: '402' },
      { type: 1, keyname: 'Page', value: 'open', url },
      { type: 3, keyname: 'Owner', value: 'view', userid: 'g2' },
    ],
    jump_list: [
      { type: 1, title: 'Detail', url },
      { type: 2, title: 'Mini', appid: 'wx0000000000000001', pagepath: '/index.html' },
    ],
    card_action: { type: 1, url },
  },
  news_notice: {
    card_type: 'news_notice',
    main_title: { title: 'New season' },
    image_text_area: { type: 1, url, title: 't', desc: 'd', image_url: icon },
    card_image: { url: icon, aspect_ratio: 1.3 },
    vertical_content_list: [{ title: 'line', desc: 'text' }],
    card_action: { type: 1, url },
  },
  button_interaction: {
    card_type: 'button_interaction',
    main_title: { title: 'Take this lead?' },
    sub_title_text: '...',
    task_id: 'lead-77',
    button_selection: {
      question_key: 'when',
      title: 'When',
      selected_id: 'a',
      option_list: [
        { id: 'a', text: 'Today' },
        { id: 'b', text: 'Tomorrow' },
      ],
    },
    button_list: [
      { type: 0, text: 'Accept', style: 1, key: 'ACCEPT' },
      { type: 1, text: 'Open', style: 2, url },
    ],
  },
  vote_interaction: {
    card_type: 'vote_interaction',
    main_title: { title: 'Pick one' },
    task_id: 'vote-1',
    checkbox: {
      question_key: 'q1',
      mode: 1,
      option_list: [
        { id: '1', text: 'A', is_checked: true },
        { id: '2', text: 'B', is_checked: false },
      ],
    },
    submit_button: { text: 'Submit', key: 'SUBMIT' },
  },
  multiple_interaction: {
    card_type: 'multiple_interaction',
    main_title: { title: 'Fill in' },
    task_id: 'multi-1',
    select_list: [
      {
        question_key: 'q1',
        title: 'Size',
        selected_id: 's',
        option_list: [
          { id: 's', text: 'S' },
          { id: 'm', text: 'M' },
        ],
      },
    ],
    submit_button: { text: 'Submit', key: 'SUBMIT' },
  },
}
const card = (name: string): AppContent => ({ msgtype: 'template_card', template_card: CARDS[name]! })
/** A card past the client's own check, as somebody else's client would send it. */
const raw = async (template_card: object) => {
  const { agentId } = stand.sandbox.app
  return (await post('message/send', { touser: 'g1', agentid: agentId, msgtype: 'template_card', template_card }))
    .errcode
}
async function post(path: string, body: object): Promise<{ errcode: number }> {
  const token = await request('GET', `gettoken?corpid=${stand.sandbox.corpId}&corpsecret=${stand.sandbox.app.secret}`)
  return request('POST', `${path}?access_token=${String(token['access_token'])}`, body)
}
async function request(method: string, path: string, body?: object): Promise<Record<string, unknown> & { errcode: number }> {
  const answer = await fetch(`${stand.sandbox.url}/cgi-bin/${path}`, { method, ...(body && { body: JSON.stringify(body) }) })
  return (await answer.json()) as Record<string, unknown> & { errcode: number }
} // prettier-ignore

beforeEach(async () => {
  stand = await openStand({
    departments: [
      { id: 1, name: '公司', parentId: 0 },
      { id: 2, name: '门店', parentId: 1 },
      { id: 3, name: '柜台', parentId: 2 },
    ],
    members: [
      { userId: 'G1', name: '导购 001', departmentIds: [3] },
      { userId: 'g2', name: '导购 002', departmentIds: [1], diligence: { confirmAtOnce: 0, confirmLate: 0, never: 1 } },
    ],
    contacts: [],
  })
})
afterEach(() => stand.close())

describe('messages to members', () => {
  it('of every kind are taken', async () => {
    const { messages, media } = stand.client
    const bytes = (text: string) => Uint8Array.from(Buffer.from(text))
    const image = await media.upload('image', 'a.png', PNG)
    const voice = await media.upload('voice', 'a.amr', bytes('#!AMR\n\x04\x00'))
    const video = await media.upload('video', 'a.mp4', bytes('\0\0\0\x08ftypmp42'))
    const file = await media.upload('file', 'a.txt', bytes('0123456789'))
    const contents: AppContent[] = [
      text('3 customers to follow up\n<a href="https://crm.example.com">open</a>'),
      { msgtype: 'image', image: { media_id: image } },
      { msgtype: 'voice', voice: { media_id: voice } },
      { msgtype: 'video', video: { media_id: video, title: '片', description: '说明' } },
      { msgtype: 'file', file: { media_id: file } },
      { msgtype: 'textcard', textcard: { title: 'Task', description: '<div class="gray">today</div>', url, btntxt: 'Open' } },
      { msgtype: 'news', news: { articles: [{ title: 't', description: 'd', url, picurl: icon }] } },
      { msgtype: 'mpnews', mpnews: { articles: [{ title: 't', thumb_media_id: image, content: '<p>x</p>' }] } },
      { msgtype: 'markdown', markdown: { content: '**bold**' } },
      {
        msgtype: 'miniprogram_notice',
        miniprogram_notice: {
          appid: 'wx0000000000000001',
          title: '预约成功通知',
          content_item: [{ key: '门店', value: '402' }],
        },
      },
      ...Object.keys(CARDS).map(card),
    ] // prettier-ignore
    for (const content of contents) {
      const sent = await messages.send({ toUsers: ['g1'], content })
      expect(sent).toMatchObject({ invalid: [], msgId: expect.any(String) as unknown })
    }
    expect(stand.sandbox.counts()).toMatchObject({ appMessages: 10, cards: 5, droppedAppMessages: 0 })
    expect(await messages.statistics('today')).toEqual([{ agentId: stand.sandbox.app.agentId, count: 15 }])
    expect(await messages.statistics('yesterday')).toEqual([])
  })

  it.each<[string, AppContent]>([
    ['a text of 2,049 bytes', text('a'.repeat(2_049))],
    ['9 articles', { msgtype: 'news', news: { articles: Array.from({ length: 9 }, () => ({ title: 't', url })) } }],
    ['an article without address', { msgtype: 'news', news: { articles: [{ title: 't' }] } }],
    ['11 lines in a mini program notice', { msgtype: 'miniprogram_notice', miniprogram_notice: { appid: 'wx0', title: '预约成功', content_item: Array.from({ length: 11 }, () => ({ key: 'k', value: 'v' })) } }],
  ])('with %s are refused before they are sent', async (_name, content) => {
    await expect(stand.client.messages.send({ toUsers: ['g1'], content })).rejects.toThrow(InvalidInputError)
    expect(stand.sandbox.counts().appMessages).toBe(0)
  }) // prettier-ignore

  it('go to users, departments with those below, or everybody; who is not there is told', async () => {
    const { messages } = stand.client
    const sent = await messages.send({
      toUsers: ['G1', 'Nobody'],
      toDepartments: [9],
      toTags: [7],
      content: text('一'),
    })
    expect(sent).toMatchObject({ invalid: ['nobody'], invalidDepartments: ['9'], invalidTags: ['7'] })
    expect(stand.sandbox.counts().appMessages).toBe(1)
    await messages.send({ toDepartments: [2], content: text('二') }) // g1, two levels down
    expect(stand.sandbox.counts().appMessages).toBe(2)
    await messages.send({ toAll: true, content: text('三') })
    expect(stand.sandbox.counts().appMessages).toBe(4)
    expect(await codeOf(messages.send({ toUsers: ['nobody'], content: text('四') }))).toBe(81013)
    await expect(messages.send({ content: text('五') })).rejects.toThrow(/needs a receiver/)
  })

  it('that repeat within the interval succeed without arriving again', async () => {
    const { messages } = stand.client
    const send = () => messages.send({ toUsers: ['g1'], content: text('一次'), duplicateCheckSeconds: 600 })
    const first = await send()
    await stand.sandbox.advanceTo(at(599_000))
    expect(await send()).toEqual(first)
    expect(stand.sandbox.counts().appMessages).toBe(1)
    await stand.sandbox.advanceTo(at(600_000))
    expect((await send()).msgId).not.toBe(first.msgId)
    expect(stand.sandbox.counts().appMessages).toBe(2)
  })

  it('above 30 a minute are dropped in silence', async () => {
    const { agentId } = stand.sandbox.app
    const body = { touser: 'g1', agentid: agentId, msgtype: 'text', text: { content: '催' } }
    for (let n = 0; n < 31; n++) expect((await post('message/send', body)).errcode).toBe(0)
    expect(stand.sandbox.counts()).toMatchObject({ appMessages: 30, droppedAppMessages: 1 })
    await stand.sandbox.advanceTo(at(61_000))
    await post('message/send', body)
    expect(stand.sandbox.counts().appMessages).toBe(31)
  })

  it('are counted by head against accounts × 200 a day', async () => {
    const small = await openStand({ limits: { accounts: 1 } }) // 200 person-times; 3 members
    try {
      for (let n = 0; n < 66; n++) await small.client.messages.send({ toAll: true, content: text(`${n}`) })
      expect(await codeOf(small.client.messages.send({ toAll: true, content: text('66') }))).toBe(45009)
    } finally {
      await small.close()
    }
  })

  it('can be recalled for 24 hours, by the app that sent them', async () => {
    const { messages } = stand.client
    const { msgId } = await messages.send({ toUsers: ['g1'], content: text('错了') })
    expect(await codeOf(stand.other.messages.recall(msgId!))).toBe(40058)
    await stand.sandbox.advanceTo(at(DAY_MS))
    expect(await codeOf(messages.recall(msgId!))).toBeUndefined()
    await stand.sandbox.advanceTo(at(DAY_MS + 1_000))
    expect(await codeOf(messages.recall(msgId!))).toBe(42052)
  })

  it.each([
    [{ msgtype: 'song', song: {} }, 40008],
    [{ msgtype: 'text', text: {} }, 44004],
    [{ msgtype: 'news', safe: 1, news: { articles: [{ title: 't', url }] } }, 40074],
    [{ msgtype: 'news', news: { articles: Array.from({ length: 9 }, () => ({ title: 't', url })) } }, 45008],
    [{ msgtype: 'textcard', textcard: { description: 'd', url } }, 41016],
    [{ msgtype: 'textcard', textcard: { title: 't', url } }, 41033],
    [{ msgtype: 'textcard', textcard: { title: 't', description: 'd', url: 'no-scheme' } }, 45034],
    [{ msgtype: 'image', image: { media_id: 'gone' } }, 40007],
    [{ msgtype: 'miniprogram_notice', miniprogram_notice: { title: '预约成功' } }, 90200],
    [{ agentid: 999, msgtype: 'text', text: { content: 'x' } }, 301002],
    [{ agentid: 'x', msgtype: 'text', text: { content: 'x' } }, 40056],
    [{ touser: '', msgtype: 'text', text: { content: 'x' } }, 82001],
    [{ touser: Array.from({ length: 1_001 }, (_, i) => `u${i}`).join('|'), msgtype: 'text', text: { content: 'x' } }, 40032],
    [{ toparty: Array.from({ length: 101 }, (_, i) => `${i}`).join('|'), msgtype: 'text', text: { content: 'x' } }, 82002],
  ])('of another client: %j is %d', async (body, code) => {
    expect((await post('message/send', { touser: 'g1', agentid: stand.sandbox.app.agentId, ...body })).errcode).toBe(code)
  }) // prettier-ignore

  it('longer than 2,048 bytes are cut, at a whole character', async () => {
    const { agentId } = stand.sandbox.app
    const body = { touser: 'g1', agentid: agentId, msgtype: 'text', text: { content: '字'.repeat(700) } }
    expect((await post('message/send', body)).errcode).toBe(0)
  })
})

describe('template cards', () => {
  const change = (name: string, fields: object) => ({ ...CARDS[name], ...fields })
  const option = (id: string) => ({ id, text: id })
  const options = (n: number) => Array.from({ length: n }, (_, i) => option(String(i)))
  const button = { type: 0, text: 'ok', key: 'k' }

  it.each<[string, object, number]>([
    ['an unknown type', { card_type: 'poster' }, 42031],
    ['a button card without task_id', change('button_interaction', { task_id: undefined }), 42014],
    ['a task_id with a space', change('button_interaction', { task_id: 'a b' }), 42014],
    ['a task_id of 129 bytes', change('button_interaction', { task_id: 'a'.repeat(129) }), 42014],
    ['a menu without task_id', change('text_notice', { task_id: undefined }), 42014],
    ['menu keys twice', change('text_notice', { action_menu: { action_list: [{ text: 'a', key: 'k' }, { text: 'b', key: 'k' }] } }), 42051],
    ['no title at all', change('text_notice', { main_title: undefined, sub_title_text: '' }), 41016],
    ['a news notice without title', change('news_notice', { main_title: {} }), 41016],
    ['a notice without action', change('text_notice', { card_action: undefined }), 42045],
    ['an action without address', change('text_notice', { card_action: { type: 1 } }), 42028],
    ['an action without mini program', change('text_notice', { card_action: { type: 2 } }), 42030],
    ['a news notice without picture', change('news_notice', { card_image: undefined, image_text_area: undefined }), 42044],
    ['5 vertical lines', change('news_notice', { vertical_content_list: Array(5).fill({ title: 'x' }) }), 42036],
    ['a vertical line without title', change('news_notice', { vertical_content_list: [{ desc: 'x' }] }), 42033],
    ['7 horizontal lines', change('text_notice', { horizontal_content_list: Array(7).fill({ keyname: 'x' }) }), 42035],
    ['a key of 6 characters', change('text_notice', { horizontal_content_list: [{ keyname: '六个字的名称' }] }), 42027],
    ['a file line without file', change('text_notice', { horizontal_content_list: [{ type: 2, keyname: 'x' }] }), 42029],
    ['a member line without member', change('text_notice', { horizontal_content_list: [{ type: 3, keyname: 'x' }] }), 42050],
    ['4 jumps', change('text_notice', { jump_list: Array(4).fill({ title: 'x' }) }), 42042],
    ['a button of 11 characters', change('button_interaction', { button_list: [{ ...button, text: 'x'.repeat(11) }] }), 42038],
    ['a button without key', change('button_interaction', { button_list: [{ type: 0, text: 'x' }] }), 42039],
    ['a key of 1,025 bytes', change('button_interaction', { button_list: [{ ...button, key: 'k'.repeat(1_025) }] }), 42039],
    ['7 buttons', change('button_interaction', { button_list: Array(7).fill(button) }), 40058],
    ['11 options to select', change('button_interaction', { button_selection: { question_key: 'q', option_list: options(11) } }), 42037],
    ['a vote without question', change('vote_interaction', { checkbox: { option_list: options(1) } }), 42043],
    ['21 options to vote', change('vote_interaction', { checkbox: { question_key: 'q', option_list: options(21) } }), 42037],
    ['an option id of 129 bytes', change('vote_interaction', { checkbox: { question_key: 'q', option_list: [{ id: 'a'.repeat(129), text: 'x' }] } }), 42040],
    ['an option without text', change('vote_interaction', { checkbox: { question_key: 'q', option_list: [{ id: 'a' }] } }), 42041],
    ['4 lists to select from', change('multiple_interaction', { select_list: Array(4).fill({ question_key: 'q', option_list: options(1) }) }), 42047],
    ['a submit button of 11 characters', change('vote_interaction', { submit_button: { text: 'x'.repeat(11), key: 'k' } }), 42049],
    ['a submit button without key', change('vote_interaction', { submit_button: { text: 'x' } }), 42046],
  ])('with %s are refused', async (_name, body, code) => {
    expect(await raw(body)).toBe(code)
  }) // prettier-ignore

  it.each<[string, object]>([
    ['20 options to vote', change('vote_interaction', { checkbox: { question_key: 'q', option_list: options(20) } })],
    ['6 buttons', change('button_interaction', { button_list: Array(6).fill(button) })],
    ['a key of 1,024 bytes', change('button_interaction', { button_list: [{ ...button, key: 'k'.repeat(1_024) }] })],
    ['a task_id of 128 bytes', change('button_interaction', { task_id: 'a'.repeat(128) })],
    ['texts above the advised length', change('text_notice', { main_title: { title: 'x'.repeat(200) } })],
  ])('with %s are taken', async (_name, body) => {
    expect(await raw(body)).toBe(0)
  })

  it('with texts above the advised length are refused where that is switched on', async () => {
    await stand.close()
    stand = await openStand({ behaviour: { refuseLongCardTexts: true } })
    expect(await raw(change('text_notice', { main_title: { title: 'x'.repeat(36) } }))).toBe(0)
    expect(await raw(change('text_notice', { task_id: 't2', main_title: { title: 'x'.repeat(37) } }))).toBe(40058)
  })

  it('call back when a button is pressed, with what was selected, and grey it once', async () => {
    const { messages } = stand.client
    const sent = await messages.send({ toUsers: ['g2'], content: card('button_interaction') })
    await stand.control('press', { taskId: 'lead-77', userId: 'g2', key: 'ACCEPT', selected: { when: ['b'] } })
    const [event] = stand.events('template_card_event')
    expect(event).toMatchObject({
      FromUserName: 'g2',
      EventKey: 'ACCEPT',
      TaskId: 'lead-77',
      CardType: 'button_interaction',
      AgentID: String(stand.sandbox.app.agentId),
      SelectedItems: { SelectedItem: { QuestionKey: 'when', OptionIds: { OptionId: 'b' } } },
    })
    await messages.updateButton('g2', String(event!['ResponseCode']), '已接')
    expect(await codeOf(messages.updateButton('g2', String(event!['ResponseCode']), '已接'))).toBe(60140)
    // The code of the send is another one, and still good.
    expect(await codeOf(messages.updateButton('g2', sent.responseCode!, '已接'))).toBeUndefined()
  })

  it('tell every option of a vote that is ticked', async () => {
    await stand.client.messages.send({ toUsers: ['g2'], content: card('vote_interaction') })
    await stand.control('press', { taskId: 'vote-1', userId: 'g2', key: 'SUBMIT', selected: { q1: ['1', '2'] } })
    expect(stand.events('template_card_event')[0]).toMatchObject({
      CardType: 'vote_interaction',
      SelectedItems: { SelectedItem: { QuestionKey: 'q1', OptionIds: { OptionId: ['1', '2'] } } },
    })
  })

  it("tell a menu's item as an event of its own, without selections", async () => {
    await stand.client.messages.send({ toUsers: ['g2'], content: card('text_notice') })
    await stand.control('press', { taskId: 't-20260801-1', userId: 'g2', key: 'MUTE' })
    expect(stand.events('template_card_event')).toEqual([])
    const [event] = stand.events('template_card_menu_event')
    expect(event).toMatchObject({ EventKey: 'MUTE', CardType: 'text_notice' })
    expect(event).not.toHaveProperty('SelectedItems')
  })

  it('are replaced as a whole within 72 hours, and can be pressed again', async () => {
    const { messages } = stand.client
    const { responseCode } = await messages.send({ toUsers: ['g2'], content: card('multiple_interaction') })
    await stand.sandbox.advanceTo(at(72 * HOUR_MS))
    const next = { ...CARDS['multiple_interaction'], submit_button: { text: 'Again', key: 'AGAIN' } } as TemplateCard
    expect(await messages.updateCard({ toUsers: ['g2', 'nobody'], responseCode: responseCode!, card: next })).toEqual(['nobody'])
    await stand.control('press', { taskId: 'multi-1', userId: 'g2', key: 'AGAIN' })
    expect(stand.events('template_card_event')).toMatchObject([{ EventKey: 'AGAIN' }])
  }) // prettier-ignore

  it('cannot be updated after 72 hours', async () => {
    const { messages } = stand.client
    const { responseCode } = await messages.send({ toUsers: ['g2'], content: card('vote_interaction') })
    await stand.sandbox.advanceTo(at(72 * HOUR_MS + 1_000))
    const update = { toAll: true, responseCode: responseCode!, button: '已过期' }
    expect(await codeOf(messages.updateCard(update))).toBe(60140)
  })

  it('with a task_id that was used before are refused', async () => {
    const { messages } = stand.client
    await messages.send({ toUsers: ['g1'], content: card('vote_interaction') })
    expect(await codeOf(messages.send({ toUsers: ['g2'], content: card('vote_interaction') }))).toBe(42014)
  })

  it('without menu or buttons bring no code to update them with', async () => {
    const sent = await stand.client.messages.send({ toUsers: ['g1'], content: card('news_notice') })
    expect(sent.responseCode).toBeUndefined()
  })
})
