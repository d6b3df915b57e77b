import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { createWecomClient, type WecomClient } from '../../../../src/adapters/wecom/client.js'
import { closeCard, createTaskChannel, taskIdOf } from '../../../../src/adapters/wecom/channels/task.js'
import { quietLog } from '../../../../src/log.js'
import type { Channel, Dispatch } from '../../../../src/ports/channel.js'
import { fixedClock } from '../../../../src/time.js'
import { openWecomStub, type StubAnswer, type WecomStub } from '../../../support/wecom-stub.js'

const inTime = () => false
const noneTaken = () => Promise.resolve(new Set<string>())
const card = {
  title: '私聊提醒：七天未下单的新会员，今天之内请联系她一次',
  rows: [
    { name: '客户的称呼', value: '客户 001' },
    { name: '客户最近一次下单', value: '没有' },
    { name: '原因', value: '理'.repeat(40) },
    { name: '四', value: '4' },
    { name: '五', value: '5' },
    { name: '六', value: '6' },
    { name: '七', value: '7' },
  ],
  buttons: [
    { key: 'done', text: '已联系' },
    { key: 'later', text: '明天再联系这位客户吧好吗' },
  ],
}
const dispatch: Dispatch = {
  id: 'task-1',
  recipients: [{ touchId: 't1', to: 'guide01' }],
  content: { text: '她领了券还没用', card, link: { title: '详情', url: 'https://crm.example.com/t/1' } },
  createdAt: new Date('2026-08-03T02:00:00Z'),
}

let stub: WecomStub
let client: WecomClient
let channel: Channel

beforeEach(async () => {
  stub = await openWecomStub()
  client = createWecomClient({
    baseUrl: stub.url,
    corpId: 'ww0000000000000001',
    agentId: 1000002,
    secret: 'secret',
    clock: fixedClock('2026-08-03T02:00:00Z'),
    timeoutSignal: () => stub.timeoutSignal(),
    log: quietLog,
    pause: () => Promise.resolve(),
  })
  channel = createTaskChannel({ client })
})

afterEach(async () => {
  client.close()
  await stub.close()
})

describe('dispatch', () => {
  it('sends a card with buttons that fits the limits of every field', async () => {
    stub.on('message/send', { msgid: 'm1', response_code: 'rc1', invaliduser: '' })
    await expect(channel.dispatch(dispatch, inTime)).resolves.toEqual({
      kind: 'created',
      remoteId: 'm1',
      responseCode: 'rc1',
      refused: [],
    })
    expect(stub.calls[0]?.body).toEqual({
      touser: 'guide01',
      agentid: 1000002,
      msgtype: 'template_card',
      template_card: {
        card_type: 'button_interaction',
        task_id: 'task-1',
        main_title: { title: card.title },
        sub_title_text: '她领了券还没用',
        horizontal_content_list: [
          { keyname: '客户的称呼', value: '客户 001' },
          { keyname: '客户最近…', value: '没有' },
          { keyname: '原因', value: `${'理'.repeat(29)}…` },
          { keyname: '四', value: '4' },
          { keyname: '五', value: '5' },
          { keyname: '六', value: '6' },
        ],
        button_list: [
          { type: 0, text: '已联系', style: 1, key: 'done' },
          { type: 0, text: '明天再联系这位客户…', style: 2, key: 'later' },
        ],
        card_action: { type: 1, url: 'https://crm.example.com/t/1' },
      },
      enable_duplicate_check: 1,
      duplicate_check_interval: 14400,
    })
  })

  it.each<[string, StubAnswer, object]>([
    ['refused when the guide is not visible', { msgid: 'm1', invaliduser: 'guide01' }, { reason: 'guide_not_visible' }],
    ['refused when no receiver is valid', { errcode: 81013 }, { kind: 'refused', reason: 'wecom_81013' }],
    ['unknown when the answer is lost', 'cut', { kind: 'unknown' }],
    ['later at the call limit', { errcode: 45009 }, { kind: 'later', afterMs: 60_000 }],
  ])('is %s', async (_what, answer, outcome) => {
    stub.on('message/send', answer)
    await expect(channel.dispatch(dispatch, inTime)).resolves.toMatchObject(outcome)
  })

  it('is refused without a card, before anything is sent', async () => {
    await expect(channel.dispatch({ ...dispatch, content: { text: 'x' } }, inTime)).resolves.toMatchObject({
      kind: 'refused',
    })
    expect(stub.calls).toHaveLength(0)
  })
})

describe('settle', () => {
  it('sends the same body again: what never arrived arrives', async () => {
    stub.on('message/send', 'cut', { msgid: 'm1', response_code: 'rc1' })
    await channel.dispatch(dispatch, inTime)
    await expect(channel.settle(dispatch, noneTaken)).resolves.toMatchObject({
      kind: 'created',
      remoteId: 'm1',
      responseCode: 'rc1',
    })
    expect(stub.calls[1]?.body).toEqual(stub.calls[0]?.body)
  })

  it('takes the refusal of a repeated task id as proof of arrival', async () => {
    stub.on('message/send', { errcode: 42014, errmsg: 'task_id exists' })
    await expect(channel.settle(dispatch, noneTaken)).resolves.toEqual({
      kind: 'created',
      remoteId: 'task-1',
      refused: [],
    })
  })
})

describe('task ids', () => {
  it('keep allowed characters and never collide when others are replaced', () => {
    expect(taskIdOf('run_1-step@2')).toBe('run_1-step@2')
    const ids = ['run:1', 'run/1', 'run 1', '任务1', 'x'.repeat(129)].map(taskIdOf)
    expect(new Set(ids).size).toBe(ids.length)
    for (const id of ids) expect(id).toMatch(/^[0-9A-Za-z_@-]{1,128}$/)
    expect(taskIdOf('run:1')).toBe(taskIdOf('run:1'))
  })
})

describe('afterwards', () => {
  it('has no results to wait for', async () => {
    await expect(channel.results({ ...dispatch, remoteId: 'm1' })).resolves.toEqual({ recipients: [], final: true })
  })

  it('recalls by message id, also when it is too late, and not when only the task id is known', async () => {
    stub.on('message/recall', {}, { errcode: 42052, errmsg: 'recall window over' })
    await channel.cancel({ ...dispatch, remoteId: 'm1' })
    await channel.cancel({ ...dispatch, remoteId: 'm1' })
    await channel.cancel({ ...dispatch, remoteId: 'task-1' })
    expect(stub.calls.map(({ body }) => body)).toEqual([{ msgid: 'm1' }, { msgid: 'm1' }])
  })

  it('closes a card once; a second time is too late, not an error', async () => {
    stub.on('message/update_template_card', { invaliduser: [] }, { errcode: 60140, errmsg: 'response_code used' })
    const close = () => closeCard(client, { userId: 'guide01', responseCode: 'rc1', text: '已处理' })
    await expect(close()).resolves.toBe(true)
    await expect(close()).resolves.toBe(false)
    expect(stub.calls[0]?.body).toEqual({
      userids: ['guide01'],
      agentid: 1000002,
      response_code: 'rc1',
      button: { replace_name: '已处理' },
    })
  })
})
