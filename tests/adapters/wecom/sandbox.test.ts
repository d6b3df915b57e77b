import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, it } from '@jest/globals'
import { readCallbackEvent } from '../../../src/adapters/wecom/port/callback-event.js'
import { startSandbox, type Sandbox } from '../../../sandbox/sandbox.js'
import { parseScenario } from '../../../sandbox/scenario.js'
import { openCallback } from '../../../src/adapters/wecom/transport/callback.js'
import { createWecomClient, type WecomClient } from '../../../src/adapters/wecom/client.js'
import { closeCard, createTaskChannel } from '../../../src/adapters/wecom/channels/task.js'
import { createWecomChannel } from '../../../src/adapters/wecom/channels/wecom.js'
import type { WecomEvent } from '../../../src/domain/wecom/event.js'
import { quietLog } from '../../../src/log.js'
import type { Dispatch } from '../../../src/ports/channel.js'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../../src/time.js'

const START = new Date('2026-08-03T01:00:00Z') // Monday, 09:00 in Shanghai
const inTime = () => false
const noneTaken = () => Promise.resolve(new Set<string>())
const EAGER = { confirmAtOnce: 1, confirmLate: 0, never: 0 }

let sandbox: Sandbox
let client: WecomClient
let receiver: Server
let received: WecomEvent[]

beforeEach(async () => {
  const scenario = parseScenario({
    members: [
      { userId: 'guide001', name: '导购 001', diligence: EAGER },
      { userId: 'Guide002', name: '导购 002', diligence: EAGER },
    ],
    contacts: Array.from({ length: 250 }, (_, i) => ({
      externalUserId: `wm${String(i).padStart(30, '0')}`,
      unionId: `ou${String(i).padStart(26, '0')}`,
      name: `顾客 ${i}`,
      addedAt: new Date(START.getTime() + (i === 0 ? HOUR_MS : -DAY_MS)),
      followUserIds: i % 10 === 1 ? ['guide001', 'Guide002'] : ['guide001'],
    })),
    corpTags: [{ name: '等级', tags: [{ name: '重要' }] }],
  })
  received = []
  receiver = createServer((req, res) => {
    const chunks: Buffer[] = []
    req.on('data', (chunk: Buffer) => chunks.push(chunk))
    req.on('end', () => {
      const query = Object.fromEntries(new URL(req.url!, 'http://localhost').searchParams)
      const reader = openCallback({ ...sandbox.app.callback, corpId: sandbox.corpId })
      const body = Buffer.concat(chunks).toString()
      if (req.method === 'POST') received.push(readCallbackEvent(reader.read(query, body).content))
      res.end(req.method === 'GET' ? reader.verifyUrl(query) : '')
    })
  })
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve))
  sandbox = await startSandbox({
    file: ':memory:',
    seed: 1,
    startAt: START,
    clock: 'step',
    scenario,
    callbackUrl: `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/callback`,
  })
  client = createWecomClient({
    baseUrl: sandbox.url,
    corpId: sandbox.corpId,
    agentId: sandbox.app.agentId,
    secret: sandbox.app.secret,
    clock: sandbox,
    timeoutMs: MINUTE_MS,
    log: quietLog,
    pause: () => Promise.resolve(),
  })
})

afterEach(async () => {
  client.close()
  await sandbox.close()
  await new Promise((resolve) => receiver.close(resolve))
})

const idOf = (i: number) => `wm${String(i).padStart(30, '0')}`
const dispatch: Dispatch = {
  id: 'd-1',
  sender: 'guide001',
  recipients: [2, 3, 900].map((i) => ({ touchId: `t${i}`, to: idOf(i) })),
  content: { text: '本周新品', link: { title: '新品手册', url: 'https://m.example.com/look?d=d-1' } },
  createdAt: START,
}

it('reads every relation once, over several pages, also when tokens end on the way', async () => {
  const rows = []
  for await (const page of client.contacts.rows(['guide001', 'guide002'])) {
    rows.push(...page.map((row) => `${row.follow_info.userid}/${row.external_contact.external_userid}`))
    sandbox.expireTokens()
  }
  expect(rows).toHaveLength(249 + 25) // one customer is added later, 25 have two members
  expect(new Set(rows).size).toBe(rows.length)
  expect((await client.contacts.get(idOf(1)))?.follow_user.map((f) => f.userid).sort()).toEqual([
    'Guide002',
    'guide001',
  ])
  await expect(client.contacts.get(idOf(900))).resolves.toBeUndefined()
  expect((await client.tags.list()).map((group) => group.tag.map(({ name }) => name))).toEqual([['重要']])
  expect((await client.members.get('guide001')).name).toBe('导购 001')
})

it('hears of an added contact and answers the URL check', async () => {
  await expect(sandbox.verifyCallbackUrl()).resolves.toBeUndefined()
  await sandbox.advanceTo(new Date(START.getTime() + 2 * HOUR_MS))
  const added = received.filter((event) => event.kind === 'contact')
  expect(added).toEqual([expect.objectContaining({ why: 'added', externalUserId: idOf(0), userId: 'guide001' })])
  expect((await client.contacts.get(idOf(0)))?.follow_user).toHaveLength(1)
})

it('sends a mass message once though the answer was lost, and reads how it ended', async () => {
  const channel = createWecomChannel({ client, clock: sandbox, pause: () => Promise.resolve() })
  sandbox.fault({ kind: 'lost_reply', path: '/cgi-bin/externalcontact/add_msg_template' })
  await expect(channel.dispatch(dispatch, inTime)).resolves.toMatchObject({ kind: 'unknown' })
  const settled = await channel.settle(dispatch, noneTaken)
  expect(settled).toMatchObject({
    kind: 'created',
    refused: [{ to: idOf(900), reason: 'not_reachable' }],
  })
  if (settled.kind !== 'created') throw new Error('unreachable: asserted above')

  const sent = { ...dispatch, remoteId: settled.remoteId }
  await expect(channel.results(sent)).resolves.toMatchObject({ final: false })
  await sandbox.advanceTo(new Date(START.getTime() + DAY_MS))
  const results = await channel.results(sent)
  expect(results?.final).toBe(true)
  expect(results?.confirmedAt?.getTime()).toBeGreaterThan(START.getTime())
  expect(results?.recipients.map(({ to, state }) => [to, state])).toEqual([
    [idOf(2), 'delivered'],
    [idOf(3), 'delivered'],
  ])
  expect(
    sandbox
      .log()
      .map((message) => message.externalUserId)
      .sort(),
  ).toEqual([idOf(2), idOf(3)])
})

it('knows that a message whose request was never taken is absent', async () => {
  const channel = createWecomChannel({ client, clock: sandbox, pause: () => Promise.resolve() })
  sandbox.fault({ kind: 'html', path: '/cgi-bin/externalcontact/add_msg_template' })
  await expect(channel.dispatch(dispatch, inTime)).resolves.toMatchObject({ kind: 'unknown' })
  await expect(channel.settle(dispatch, noneTaken)).resolves.toEqual({ kind: 'absent' })
})

it('cancels what the sender has not confirmed', async () => {
  const channel = createWecomChannel({ client, clock: sandbox, pause: () => Promise.resolve() })
  const created = await channel.dispatch(dispatch, inTime)
  if (created.kind !== 'created') throw new Error(`the message was not created: ${created.kind}`)
  const sent = { ...dispatch, remoteId: created.remoteId }
  await channel.cancel(sent)
  await channel.cancel(sent)
  await sandbox.advanceTo(new Date(START.getTime() + DAY_MS))
  const results = await channel.results(sent)
  expect(results).toMatchObject({ final: true })
  expect(results?.confirmedAt).toBeUndefined()
  expect(sandbox.log()).toEqual([])
})

it('gives a guide one card though the answer was lost, hears the button and closes the card', async () => {
  const channel = createTaskChannel({ client })
  const task: Dispatch = {
    ...dispatch,
    id: 'task:1',
    recipients: [{ touchId: 't2', to: 'guide001' }],
    content: {
      text: '她领了券还没用',
      card: {
        title: '私聊提醒',
        rows: [{ name: '客户', value: '顾客 2' }],
        buttons: [{ key: 'done', text: '已联系' }],
      },
    },
  }
  sandbox.fault({ kind: 'lost_reply', path: '/cgi-bin/message/send' })
  await expect(channel.dispatch(task, inTime)).resolves.toMatchObject({ kind: 'unknown' })
  await expect(channel.settle(task, noneTaken)).resolves.toMatchObject({ kind: 'created' })
  await sandbox.advanceTo(new Date(START.getTime() + 5 * HOUR_MS))
  await expect(channel.settle(task, noneTaken)).resolves.toMatchObject({ kind: 'created' }) // the duplicate check is over
  expect(sandbox.counts().cards).toBe(1)

  const pressed = received.find((event) => event.kind === 'card')
  expect(pressed).toMatchObject({ userId: 'guide001', key: 'done' })
  if (pressed?.kind !== 'card') throw new Error('unreachable: asserted above')
  const close = () => closeCard(client, { userId: 'guide001', responseCode: pressed.responseCode!, text: '已处理' })
  await expect(close()).resolves.toBe(true)
  await expect(close()).resolves.toBe(false)
})
