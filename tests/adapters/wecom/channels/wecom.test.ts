import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { createWecomClient, type WecomClient } from '../../../../src/adapters/wecom/client.js'
import { createWecomChannel } from '../../../../src/adapters/wecom/channels/wecom.js'
import { quietLog } from '../../../../src/log.js'
import type { Channel, Dispatch } from '../../../../src/ports/channel.js'
import { DAY_MS, ManualClock, SECOND_MS } from '../../../../src/time.js'
import { openWecomStub, type StubAnswer, type WecomStub } from '../../../support/wecom-stub.js'

const CREATED_AT = new Date('2026-08-03T02:00:00Z')
const inTime = () => false
const noneTaken = () => Promise.resolve(new Set<string>())
const URL = 'https://m.example.com/look?d=dispatch-1'

const dispatch: Dispatch = {
  id: 'dispatch-1',
  sender: 'guide01',
  recipients: [
    { touchId: 't1', to: 'wm1' },
    { touchId: 't2', to: 'wm2' },
    { touchId: 't3', to: 'wm3' },
  ],
  content: { text: '本周新品', link: { title: '新品手册', url: URL, description: '秋季' } },
  createdAt: CREATED_AT,
}

let stub: WecomStub
let client: WecomClient
let channel: Channel
let clock: ManualClock
let graces: number

beforeEach(async () => {
  stub = await openWecomStub()
  clock = new ManualClock(CREATED_AT)
  graces = 0
  const pause = () => Promise.resolve()
  client = createWecomClient({
    baseUrl: stub.url,
    corpId: 'ww0000000000000001',
    agentId: 1000002,
    secret: 'secret',
    clock,
    timeoutSignal: () => stub.timeoutSignal(),
    log: quietLog,
    pause,
  })
  channel = createWecomChannel({
    client,
    clock,
    pause: async () => {
      graces++
    },
  })
})

afterEach(async () => {
  client.close()
  await stub.close()
})

describe('dispatch', () => {
  it('is one task with its own link, and lists whom the platform refused', async () => {
    stub.on('externalcontact/add_msg_template', { msgid: 'msg1', fail_list: ['wm3'] })
    await expect(channel.dispatch(dispatch, inTime)).resolves.toEqual({
      kind: 'created',
      remoteId: 'msg1',
      refused: [{ to: 'wm3', reason: 'not_reachable' }],
    })
    expect(stub.calls.map(({ body }) => body)).toEqual([
      {
        chat_type: 'single',
        sender: 'guide01',
        external_userid: ['wm1', 'wm2', 'wm3'],
        text: { content: '本周新品' },
        attachments: [{ msgtype: 'link', link: { title: '新品手册', url: URL, desc: '秋季' } }],
      },
    ])
  })

  it('without a link is its words alone', async () => {
    stub.on('externalcontact/add_msg_template', { msgid: 'msg1' })
    await channel.dispatch({ ...dispatch, content: { text: '本周新品' } }, inTime)
    expect(stub.calls[0]?.body).toMatchObject({ text: { content: '本周新品' }, attachments: [] })
  })

  it('cuts a title to 128 bytes without breaking a character', async () => {
    stub.on('externalcontact/add_msg_template', { msgid: 'msg1' })
    await channel.dispatch(
      {
        ...dispatch,
        content: { ...dispatch.content, link: { title: '新'.repeat(60), url: URL } },
      },
      inTime,
    )
    const [attachment] = stub.calls[0]?.body['attachments'] as [{ link: { title: string } }]
    expect(attachment.link.title).toBe(`${'新'.repeat(41)}…`)
  })

  it.each<[string, StubAnswer, object]>([
    ['unknown when the answer is lost', 'cut', { kind: 'unknown' }],
    ['unknown when no answer comes', 'hang', { kind: 'unknown' }],
    ['unknown when the platform is busy, which may follow a write', { errcode: -1 }, { kind: 'unknown' }],
    [
      'later, a minute, at the call limit',
      { errcode: 45009 },
      { kind: 'later', afterMs: 60_000, reason: 'wecom_45009' },
    ],
    ['later when a person must act first', { errcode: 48002 }, { kind: 'later', reason: 'wecom_48002' }],
    ['refused when none can be sent to', { errcode: 41048 }, { kind: 'refused', reason: 'wecom_41048' }],
    ['refused on a bad parameter', { errcode: 40058 }, { kind: 'refused', reason: 'wecom_40058' }],
  ])('is %s', async (_what, answer, outcome) => {
    stub.on('externalcontact/add_msg_template', answer)
    await expect(channel.dispatch(dispatch, inTime)).resolves.toMatchObject(outcome)
    expect(stub.calls).toHaveLength(1)
  })

  it('is later when too many run at a time again and again', async () => {
    stub.on('externalcontact/add_msg_template', { errcode: 45033 })
    await expect(channel.dispatch(dispatch, inTime)).resolves.toMatchObject({ kind: 'later', reason: 'wecom_45033' })
    expect(stub.calls.length).toBeGreaterThan(1)
  })

  it('refuses by itself what the platform would, or what could not be settled', async () => {
    const { content } = dispatch
    const outcomes = await Promise.all([
      channel.dispatch({ ...dispatch, recipients: [] }, inTime),
      channel.dispatch(
        { ...dispatch, recipients: Array.from({ length: 10_001 }, () => dispatch.recipients[0]!) },
        inTime,
      ),
      channel.dispatch({ ...dispatch, sender: undefined }, inTime),
      channel.dispatch({ ...dispatch, content: { ...content, text: '字'.repeat(1334) } }, inTime),
    ])
    expect(outcomes.map((outcome) => outcome.kind === 'refused' && outcome.reason)).toEqual([
      'no_recipient',
      'too_many_recipients',
      'no_sender',
      'text_too_long',
    ])
    expect(stub.calls).toHaveLength(0)
  })
})

describe('settle', () => {
  const listed = (msgid: string, url: string) => ({
    msgid,
    create_time: '1785722400',
    create_type: 0,
    text: { content: '本周新品' },
    attachments: [
      { msgtype: 'image', image: { pic_url: 'http://p' } },
      { msgtype: 'link', link: { title: 't', url } },
    ],
  })

  it('finds the task by its link on any page, and who is not in it', async () => {
    stub.on('externalcontact/get_groupmsg_list_v2', ({ body }) =>
      body['cursor'] === undefined
        ? { group_msg_list: [listed('msg0', `${URL}0`)], next_cursor: 'p2' }
        : { group_msg_list: [listed('msg1', URL)], next_cursor: '' },
    )
    stub.on('externalcontact/get_groupmsg_send_result', {
      send_list: [
        { external_userid: 'wm1', userid: 'guide01', status: 0 },
        { external_userid: 'wm2', userid: 'guide01', status: 0 },
      ],
    })
    await expect(channel.settle(dispatch, noneTaken)).resolves.toEqual({
      kind: 'created',
      remoteId: 'msg1',
      refused: [{ to: 'wm3', reason: 'not_reachable' }],
    })
    expect(stub.calls[0]?.body).toEqual({
      chat_type: 'single',
      start_time: CREATED_AT.getTime() / 1000 - 86_400,
      end_time: CREATED_AT.getTime() / 1000 + 86_400,
      filter_type: 0,
      limit: 100,
    })
    expect(graces).toBe(0)
  })

  it('does not guess who was refused while the task is still being dispatched', async () => {
    stub.on('externalcontact/get_groupmsg_list_v2', { group_msg_list: [listed('msg1', URL)] })
    stub.on('externalcontact/get_groupmsg_send_result', { errcode: 41063, errmsg: 'dispatching' })
    await expect(channel.settle(dispatch, noneTaken)).resolves.toEqual({
      kind: 'created',
      remoteId: 'msg1',
      refused: [],
    })
  })

  it.each([
    ['was ahead when it was written down', CREATED_AT.getTime() - 20 * DAY_MS],
    ['is behind now', CREATED_AT.getTime()],
  ])('finds what arrived at another time than ours, when our clock %s', async (_what, arrivedMs) => {
    const arrived = arrivedMs / SECOND_MS
    stub.on('externalcontact/get_groupmsg_list_v2', ({ body }) => ({
      group_msg_list:
        Number(body['start_time']) <= arrived && arrived <= Number(body['end_time']) ? [listed('msg1', URL)] : [],
    }))
    stub.on('externalcontact/get_groupmsg_send_result', { send_list: [] })
    clock = new ManualClock(new Date(CREATED_AT.getTime() - 15 * DAY_MS))
    const late = createWecomChannel({ client, clock, pause: () => Promise.resolve() })
    await expect(late.settle(dispatch, noneTaken)).resolves.toMatchObject({ kind: 'created', remoteId: 'msg1' })
    for (const { body } of stub.calls.filter((call) => call.api === 'externalcontact/get_groupmsg_list_v2'))
      expect(Number(body['end_time']) - Number(body['start_time'])).toBeLessThanOrEqual((30 * DAY_MS) / SECOND_MS)
  })

  it('calls it absent only after a second look', async () => {
    stub.on('externalcontact/get_groupmsg_list_v2', { group_msg_list: [] })
    await expect(channel.settle(dispatch, noneTaken)).resolves.toEqual({ kind: 'absent' })
    expect(graces).toBe(1)
    expect(stub.calls).toHaveLength(2)
  })

  it('finds what arrived while it waited', async () => {
    stub.on('externalcontact/get_groupmsg_list_v2', { group_msg_list: [] }, { group_msg_list: [listed('msg1', URL)] })
    stub.on('externalcontact/get_groupmsg_send_result', { send_list: [] })
    await expect(channel.settle(dispatch, noneTaken)).resolves.toMatchObject({ kind: 'created', remoteId: 'msg1' })
  })

  it('looks up to now when the dispatch was asked for days ago, and gives up after the month that can be listed', async () => {
    stub.on('externalcontact/get_groupmsg_list_v2', { group_msg_list: [] })
    clock.set(new Date(CREATED_AT.getTime() + 10 * 86_400_000))
    await expect(channel.settle(dispatch, noneTaken)).resolves.toEqual({ kind: 'absent' })
    expect(stub.calls[0]?.body['end_time']).toBe(CREATED_AT.getTime() / 1000 + 11 * 86_400)
    clock.set(new Date(CREATED_AT.getTime() + 29 * 86_400_000))
    await expect(channel.settle(dispatch, noneTaken)).resolves.toMatchObject({ kind: 'unknown' })
  })
})

describe('settle without a link', () => {
  const words: Dispatch = { ...dispatch, content: { text: '本周 新品\n到店' } }
  const listed = (...ids: string[]) => ({
    group_msg_list: ids.map((msgid) => ({
      ...{ msgid, create_time: '1785722400', create_type: 0, attachments: [] },
      text: { content: msgid.startsWith('other') ? '别的话' : '本周 新品\r\n到店' },
    })),
  })
  /** Who has each message before her, and for whom. */
  const known = (messages: Record<string, { sender: string; to: string[] }>) => {
    stub.on('externalcontact/get_groupmsg_list_v2', listed(...Object.keys(messages)))
    stub.on('externalcontact/get_groupmsg_task', ({ body }) => ({
      task_list: [{ userid: messages[body['msgid'] as string]!.sender, status: 0 }],
    }))
    stub.on('externalcontact/get_groupmsg_send_result', ({ body }) => ({
      send_list: messages[body['msgid'] as string]!.to.map((id) => ({ external_userid: id, userid: 'x', status: 0 })),
    }))
  }

  it('finds the message with its words that its sender has for its customers, and who is not in it', async () => {
    known({
      other0: { sender: 'guide01', to: ['wm1'] },
      elses1: { sender: 'guide02', to: ['wm1', 'wm2', 'wm3'] },
      theirs2: { sender: 'guide01', to: ['wm1', 'wm9'] },
      ours: { sender: 'GUIDE01', to: ['wm1', 'wm2'] },
    })
    await expect(channel.settle(words, noneTaken)).resolves.toEqual({
      kind: 'created',
      remoteId: 'ours',
      refused: [{ to: 'wm3', reason: 'not_reachable' }],
    })
  })

  it('is absent when what looks like it is another dispatch', async () => {
    known({ msg1: { sender: 'guide01', to: ['wm1', 'wm2', 'wm3'] } })
    const taken = (ids: readonly string[]) => Promise.resolve(new Set(ids))
    await expect(channel.settle(words, taken)).resolves.toEqual({ kind: 'absent' })
  })

  it('is unknown when two may be it, and the one that reaches all of them when one does', async () => {
    known({ a: { sender: 'guide01', to: ['wm1'] }, b: { sender: 'guide01', to: ['wm2'] } })
    await expect(channel.settle(words, noneTaken)).resolves.toMatchObject({ kind: 'unknown' })
    known({ a: { sender: 'guide01', to: ['wm1'] }, b: { sender: 'guide01', to: ['wm1', 'wm2', 'wm3'] } })
    await expect(channel.settle(words, noneTaken)).resolves.toMatchObject({ kind: 'created', remoteId: 'b' })
  })

  it.each<[string, () => void]>([
    ['whose it is', () => stub.on('externalcontact/get_groupmsg_task', { errcode: 41063 })],
    ['that anybody has it', () => stub.on('externalcontact/get_groupmsg_task', { task_list: [] })],
    ['whom it is for', () => stub.on('externalcontact/get_groupmsg_send_result', { send_list: [] })],
  ])('says nothing while the platform does not say %s', async (_what, silence) => {
    known({ msg1: { sender: 'guide01', to: ['wm1'] } })
    silence()
    await expect(channel.settle(words, noneTaken)).rejects.toMatchObject({ code: 'upstream_failed', retryable: true })
  })
})

describe('results', () => {
  const sent = { ...dispatch, remoteId: 'msg1' }
  const SENT_AT = new Date('2026-08-03T03:00:00Z')
  const sends = [
    { external_userid: 'wm1', userid: 'guide01', status: 1, send_time: SENT_AT.getTime() / 1000 },
    { external_userid: 'wm2', userid: 'guide01', status: 3 },
  ]

  it('wait for the sender without asking for more', async () => {
    stub.on('externalcontact/get_groupmsg_task', { task_list: [{ userid: 'guide01', status: 0 }], next_cursor: '' })
    await expect(channel.results(sent)).resolves.toEqual({
      final: false,
      recipients: ['wm1', 'wm2', 'wm3'].map((to) => ({ to, state: 'waiting' })),
    })
    expect(stub.calls).toHaveLength(1)
  })

  it('are read over pages once she confirmed, and final when nobody waits', async () => {
    stub.on('externalcontact/get_groupmsg_task', {
      task_list: [{ userid: 'GUIDE01', status: 2, send_time: SENT_AT.getTime() / 1000 }],
    })
    stub.on('externalcontact/get_groupmsg_send_result', ({ body }) =>
      body['cursor'] === undefined
        ? { send_list: sends, next_cursor: 'p2' }
        : { send_list: [{ external_userid: 'wm3', userid: 'guide01', status: 2 }], next_cursor: '' },
    )
    await expect(channel.results(sent)).resolves.toEqual({
      confirmedAt: SENT_AT,
      final: true,
      recipients: [
        { to: 'wm1', state: 'delivered', at: SENT_AT },
        { to: 'wm2', state: 'over_quota' },
        { to: 'wm3', state: 'not_a_contact' },
      ],
    })
  })

  it('are not final while a customer still waits, and leave out who was refused at creation', async () => {
    stub.on('externalcontact/get_groupmsg_task', {
      task_list: [{ userid: 'guide01', status: 2, send_time: 1785726000 }],
    })
    stub.on('externalcontact/get_groupmsg_send_result', {
      send_list: [sends[0]!, { external_userid: 'wm2', userid: 'guide01', status: 0 }],
    })
    await expect(channel.results(sent)).resolves.toMatchObject({
      final: false,
      recipients: [{ to: 'wm1' }, { to: 'wm2', state: 'waiting' }],
    })
  })

  it('are unknown while the platform is dispatching', async () => {
    stub.on('externalcontact/get_groupmsg_task', { errcode: 41063, errmsg: 'dispatching' })
    await expect(channel.results(sent)).resolves.toBeUndefined()
  })

  it('are final after a cancel, and keep what was delivered before it', async () => {
    stub.on('externalcontact/get_groupmsg_task', { errcode: 41093, errmsg: 'group message canceled' })
    stub.on('externalcontact/get_groupmsg_send_result', { send_list: sends }, { errcode: 41093, errmsg: 'canceled' })
    await expect(channel.results(sent)).resolves.toMatchObject({ final: true, confirmedAt: SENT_AT })
    const unsent = await channel.results(sent)
    expect(unsent?.final).toBe(true)
    expect(unsent?.confirmedAt).toBeUndefined()
    expect(unsent?.recipients.map(({ state }) => state)).toEqual(['waiting', 'waiting', 'waiting'])
  })
})

it('cancels by message id, and again without complaint', async () => {
  stub.on('externalcontact/cancel_groupmsg_send', {}, { errcode: 41093, errmsg: 'group message canceled' })
  await channel.cancel({ ...dispatch, remoteId: 'msg1' })
  await channel.cancel({ ...dispatch, remoteId: 'msg1' })
  expect(stub.calls.map(({ body }) => body)).toEqual([{ msgid: 'msg1' }, { msgid: 'msg1' }])
})
