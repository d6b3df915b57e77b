import { afterEach, describe, expect, it } from '@jest/globals'
import type { Sandbox } from '../../sandbox/sandbox.js'
import { contentHashOf } from '../../sandbox/world/messages.js'
import {
  type Api,
  client,
  contact,
  control,
  hours,
  massBody,
  NEVER,
  open,
  PROMPT,
  smallScenario,
  START,
} from './support.js'

const EC = 'externalcontact/'
const CREATE = `${EC}add_msg_template`
let sandbox: Sandbox
afterEach(() => sandbox.close())

async function start(...args: Parameters<typeof open>): Promise<Api> {
  sandbox = await open(...args)
  return client(sandbox)
}
/** Tokens end after two hours on the sandbox's clock. */
const later = async (to: Date): Promise<Api> => {
  await sandbox.advanceTo(to)
  return client(sandbox)
}
type SendRow = { external_userid: string; userid: string; status: number; send_time?: number }
async function results(api: Api, msgid: unknown, userid: string): Promise<Map<string, number>> {
  const reply = await api.post(`${EC}get_groupmsg_send_result`, { msgid, userid })
  return new Map((reply['send_list'] as SendRow[]).map((row) => [row.external_userid, row.status]))
}

describe('creating a mass message', () => {
  it('sends nothing: the member must, and then it is there for everybody to see', async () => {
    const api = await start()
    const created = await api.post(CREATE, massBody('g1', ['wmc1', 'wmc2', 'wmc4', 'wmNobody']))
    expect(created).toMatchObject({ errcode: 0, errmsg: 'ok', fail_list: ['wmc4', 'wmNobody'] })
    const { msgid } = created
    expect(sandbox.log()).toEqual([])
    expect((await api.post(`${EC}get_groupmsg_task`, { msgid }))['task_list']).toEqual([{ userid: 'g1', status: 0 }])
    expect(await results(api, msgid, 'g1')).toEqual(new Map([['wmc1', 0], ['wmc2', 0]])) // prettier-ignore
    await sandbox.advanceTo(hours(0.5))
    const log = sandbox.log()
    expect(log.map((m) => m.externalUserId)).toEqual(['wmc1', 'wmc2'])
    expect(log[0]).toMatchObject({
      kind: 'mass',
      msgid,
      senderUserId: 'g1',
      text: '您好 1',
      link: { title: '新品', url: 'https://shop.example/?d=1' },
      contentHash: contentHashOf('您好 1', 'https://shop.example/?d=1'),
      createdAt: START,
    })
    const sentAt = log[0]!.sentAt.getTime()
    expect(sentAt).toBeGreaterThanOrEqual(START.getTime() + 60_000)
    expect(sentAt).toBeLessThanOrEqual(START.getTime() + 20 * 60_000)
    const task = { userid: 'g1', status: 2, send_time: sentAt / 1000 }
    expect((await api.post(`${EC}get_groupmsg_task`, { msgid }))['task_list']).toEqual([task])
    expect(await results(api, msgid, 'g1')).toEqual(new Map([['wmc1', 1], ['wmc2', 1]])) // prettier-ignore
  })

  it('reaches a customer of two members through the one who was in touch last', async () => {
    const contacts = [contact('wmc5', 'g1', { followUserIds: ['g1', 'g3'] })]
    const api = await start(smallScenario({ contacts }))
    await api.post(CREATE, massBody('g3', ['wmc5'], 'a'))
    await sandbox.advanceTo(hours(1))
    const { msgid } = await api.post(CREATE, massBody(undefined, ['wmc5'], 'b'))
    expect((await api.post(`${EC}get_groupmsg_task`, { msgid }))['task_list']).toEqual([{ userid: 'g3', status: 0 }])
  })

  it('takes all customers of a sender, or those with a tag', async () => {
    const api = await start()
    const all = await api.post(CREATE, massBody('g1', undefined))
    expect([...(await results(api, all['msgid'], 'g1')).keys()]).toEqual(['wmc1', 'wmc2', 'wmc3', 'wmc5'])
    const tagged = await api.post(CREATE, {
      ...massBody('g1', undefined),
      tag_filter: { group_list: [{ tag_list: ['etVip'] }] },
    })
    expect([...(await results(api, tagged['msgid'], 'g1')).keys()]).toEqual(['wmc1'])
  })

  it.each([
    ['an unknown chat type', { chat_type: 'both' }, 86214],
    ['an empty sender', { sender: '' }, 40058],
    ['an unknown sender', { sender: 'nobody' }, 60111],
    ['nobody to send to', { external_userid: ['wmc4'] }, 41048],
    ['no content', { text: undefined, attachments: [] }, 40058],
    ['a text above 4,000 bytes', { text: { content: '字'.repeat(1334) } }, 40058],
    [
      'ten attachments',
      { attachments: Array.from({ length: 10 }, () => ({ msgtype: 'link', link: { title: 't', url: 'https://a' } })) },
      41064,
    ],
    ['an unknown attachment', { attachments: [{ msgtype: 'song', song: {} }] }, 41065],
    ['a link without scheme', { attachments: [{ msgtype: 'link', link: { title: 't', url: 'a.example' } }] }, 45034],
    ['a medium that is not there', { attachments: [{ msgtype: 'image', image: { media_id: 'x' } }] }, 40007],
    [
      'a customer list that is too long',
      { external_userid: Array.from({ length: 10_001 }, (_, i) => `wm${i}`) },
      40058,
    ],
    ['customers that are no list', { external_userid: 'wmc1' }, 40058],
    [
      'a tag that is not there',
      { external_userid: undefined, tag_filter: { group_list: [{ tag_list: ['etGone'] }] } },
      40068,
    ],
  ])('refuses %s and leaves nothing behind', async (_name, change, errcode) => {
    const api = await start()
    const reply = await api.post(CREATE, { ...massBody('g1', ['wmc1']), ...change })
    expect(reply.errcode).toBe(errcode)
    const now = START.getTime() / 1000
    const list = await api.post(`${EC}get_groupmsg_list_v2`, {
      chat_type: 'single',
      start_time: now - 60,
      end_time: now + 60,
    })
    expect(list['group_msg_list']).toEqual([])
  })

  it('gives the same ids to the same requests, and different ones to a repetition', async () => {
    const api = await start()
    const first = (await api.post(CREATE, massBody('g1', ['wmc1'])))['msgid']
    const second = (await api.post(CREATE, massBody('g1', ['wmc1'])))['msgid']
    await sandbox.close()
    const again = await start()
    expect((await again.post(CREATE, massBody('g1', ['wmc1'])))['msgid']).toBe(first)
    expect(first).toMatch(/^msg/)
    expect(second).not.toBe(first)
  })
})

describe('members', () => {
  it('wait for their working hours', async () => {
    const api = await start(smallScenario(), { startAt: new Date('2011-09-10T14:00:00Z') }) // 22:00
    await api.post(CREATE, massBody('g1', ['wmc1']))
    await sandbox.advanceTo(new Date('2011-09-11T01:29:59Z'))
    expect(sandbox.log()).toEqual([])
    await sandbox.advanceTo(new Date('2011-09-11T01:50:00Z')) // 9:50; she begins at 9:30
    expect(sandbox.log()).toHaveLength(1)
  })

  it('who never confirm never do, until somebody presses send for them', async () => {
    const api = await start()
    const { msgid } = await api.post(CREATE, massBody('g2', ['wmc4', 'wmc5']))
    await sandbox.advanceTo(hours(24 * 20))
    expect(sandbox.log()).toEqual([])
    expect((await control(sandbox, 'send', { msgid, userId: 'g2', externalUserIds: ['wmc5'] })).status).toBe(200)
    expect(sandbox.log().map((m) => m.externalUserId)).toEqual(['wmc5'])
    expect(await results(await client(sandbox), msgid, 'g2')).toEqual(new Map([['wmc4', 0], ['wmc5', 1]])) // prettier-ignore
    expect((await control(sandbox, 'send', { msgid, userId: 'g2' })).status).toBe(409)
  })

  it('are reminded three times a day at most', async () => {
    const api = await start()
    const { msgid } = await api.post(CREATE, massBody('g2', ['wmc4']))
    const remind = async () => (await api.post(`${EC}remind_groupmsg_send`, { msgid })).errcode
    expect([await remind(), await remind(), await remind(), await remind()]).toEqual([0, 0, 0, 41094])
  })

  it('may get to a task after all when they are reminded', async () => {
    const diligence = { confirmAtOnce: 0.5, confirmLate: 0, never: 0.5 }
    const contacts = Array.from({ length: 40 }, (_, i) => contact(`wm${i}`, 'g1'))
    const api = await start({ members: [{ userId: 'g1', name: '导购 001', diligence }], contacts })
    const ids: unknown[] = []
    for (let i = 0; i < 40; i++) ids.push((await api.post(CREATE, massBody('g1', [`wm${i}`], i)))['msgid'])
    await sandbox.advanceTo(hours(1))
    const unreminded = sandbox.log().length
    for (const msgid of ids) expect((await api.post(`${EC}remind_groupmsg_send`, { msgid })).errcode).toBe(0)
    await sandbox.advanceTo(hours(2))
    expect(sandbox.log().length).toBeGreaterThan(unreminded)
    expect(new Set(sandbox.log().map((m) => m.externalUserId)).size).toBe(sandbox.log().length)
  })

  it('confirm in the shares the scenario asks for', async () => {
    const diligence = { confirmAtOnce: 0.5, confirmLate: 0.3, never: 0.2 }
    const contacts = Array.from({ length: 400 }, (_, i) => contact(`wm${i}`, 'g1'))
    const api = await start({ members: [{ userId: 'g1', name: '导购 001', diligence }], contacts })
    for (let i = 0; i < 400; i++) await api.post(CREATE, massBody('g1', [`wm${i}`], i))
    await sandbox.advanceTo(hours(20 / 60))
    const atOnce = sandbox.log().length
    await sandbox.advanceTo(hours(24 * 4))
    const all = sandbox.log().length
    expect(Math.abs(atOnce - 200)).toBeLessThan(40)
    expect(Math.abs(all - 320)).toBeLessThan(32)
  })
})

describe('cancelling', () => {
  it('stops who has not sent, and the task then says so', async () => {
    const api = await start()
    const { msgid } = await api.post(CREATE, massBody('g1', ['wmc1']))
    expect((await api.post(`${EC}cancel_groupmsg_send`, { msgid })).errcode).toBe(0)
    await sandbox.advanceTo(hours(1))
    expect(sandbox.log()).toEqual([])
    expect(await api.post(`${EC}get_groupmsg_task`, { msgid })).toMatchObject({ errcode: 41093, task_list: [] })
    expect((await api.post(`${EC}remind_groupmsg_send`, { msgid })).errcode).toBe(41093)
    expect(await results(api, msgid, 'g1')).toEqual(new Map([['wmc1', 0]]))
  })

  it('comes too late for what was sent', async () => {
    const api = await start()
    const { msgid } = await api.post(CREATE, massBody('g1', ['wmc1']))
    await sandbox.advanceTo(hours(1))
    expect((await api.post(`${EC}cancel_groupmsg_send`, { msgid })).errcode).toBe(0)
    expect((await api.post(`${EC}get_groupmsg_task`, { msgid }))['task_list']).toMatchObject([{ status: 2 }])
  })

  it.each([
    [undefined, 41046],
    ['', 41046],
    ['msgX', 41047],
  ])('refuses msgid %j with %i', async (msgid, errcode) => {
    const api = await start()
    for (const path of [
      'get_groupmsg_task',
      'get_groupmsg_send_result',
      'remind_groupmsg_send',
      'cancel_groupmsg_send',
    ]) {
      expect((await api.post(`${EC}${path}`, { msgid, userid: 'g1' })).errcode).toBe(errcode)
    }
  })
})

describe('the list of mass messages', () => {
  it('pages in a stable order, without recipients and without a creator', async () => {
    const api = await start()
    const made: unknown[] = []
    for (let i = 0; i < 5; i++) made.push((await api.post(CREATE, massBody('g1', ['wmc1'], i)))['msgid'])
    const now = START.getTime() / 1000
    const seen: unknown[] = []
    let cursor = ''
    do {
      const reply = await api.post(`${EC}get_groupmsg_list_v2`, {
        chat_type: 'single',
        start_time: now - 60,
        end_time: now + 60,
        limit: 2,
        cursor,
      })
      const rows = reply['group_msg_list'] as Record<string, unknown>[]
      for (const row of rows) {
        expect(Object.keys(row).sort()).toEqual(['attachments', 'create_time', 'create_type', 'msgid', 'text'])
        seen.push(row['msgid'])
      }
      cursor = String(reply['next_cursor'])
    } while (cursor !== '')
    expect([...seen].sort()).toEqual([...made].sort())
    const far = { chat_type: 'single', start_time: now - 86400 * 32, end_time: now }
    expect((await api.post(`${EC}get_groupmsg_list_v2`, far)).errcode).toBe(40058)
  })
})

describe("the customers' quota", () => {
  const month = ['2011-09-30T02:00:00Z', '2011-10-01T02:00:00Z'] as const
  it.each([
    ['day_1', 1, ['2011-09-10T15:30:00Z', '2011-09-11T02:00:00Z']],
    ['week_7', 7, ['2011-09-11T02:00:00Z', '2011-09-12T02:00:00Z']], // Sunday, then Monday
    ['month_days', 30, month],
  ] as const)(
    '%s allows %i, and starts afresh with the next period in Beijing',
    async (quotaMode, limit, [within, next]) => {
      const members = [
        { userId: 'g1', name: '导购 001', diligence: PROMPT, workHours: ['00:00', '23:59'] as [string, string] },
      ]
      const api = await start({ members, contacts: [contact('wmc1', 'g1')], quotaMode })
      for (let i = 0; i < limit; i++) await api.post(CREATE, massBody('g1', ['wmc1'], i))
      await sandbox.advanceTo(hours(1))
      expect(sandbox.log()).toHaveLength(limit)
      const again = await later(new Date(within))
      const { msgid } = await again.post(CREATE, massBody('g1', ['wmc1'], 'over'))
      await sandbox.advanceTo(new Date(sandbox.now().getTime() + 20 * 60_000))
      expect(sandbox.log()).toHaveLength(limit)
      expect(await results(again, msgid, 'g1')).toEqual(new Map([['wmc1', 3]]))
      expect(sandbox.counts().refusedByQuota).toBe(1)
      const fresh = await later(new Date(next))
      await fresh.post(CREATE, massBody('g1', ['wmc1'], 'fresh'))
      await sandbox.advanceTo(new Date(sandbox.now().getTime() + 20 * 60_000))
      expect(sandbox.log()).toHaveLength(limit + 1)
    },
  )

  it('is shared by all members who have the customer', async () => {
    const api = await start(
      smallScenario({ quotaMode: 'day_1', contacts: [contact('wmc5', 'g1', { followUserIds: ['g1', 'g3'] })] }),
    )
    await api.post(CREATE, massBody('g1', ['wmc5'], 'a'))
    await api.post(CREATE, massBody('g3', ['wmc5'], 'b'))
    await sandbox.advanceTo(hours(1))
    expect(sandbox.log()).toHaveLength(1)
    expect(sandbox.counts().refusedByQuota).toBe(1)
  })
})

describe('customers', () => {
  it('who have deleted the member get status 2', async () => {
    const api = await start(smallScenario({ contacts: [contact('wmc1', 'g1', { deletedAt: '2011-09-10T02:00:30Z' })] }))
    const { msgid } = await api.post(CREATE, massBody('g1', ['wmc1']))
    await sandbox.advanceTo(hours(1))
    expect(sandbox.log()).toEqual([])
    expect(await results(api, msgid, 'g1')).toEqual(new Map([['wmc1', 2]]))
    expect(sandbox.counts().notAContact).toBe(1)
    expect((await api.post(CREATE, massBody('g1', ['wmc1'], 2))).errcode).toBe(41048)
  })

  it('read and reply by their habits, and nobody does so at night', async () => {
    const contacts = Array.from({ length: 500 }, (_, i) => contact(`wm${i}`, 'g1'))
    const habits = { readRatio: 0.6, replyRatio: 0.5, interestedRatio: 0.4, stopRatio: 0.2, deleteRatio: 0.1 }
    const members = [
      { userId: 'g1', name: '导购 001', diligence: PROMPT },
      { userId: 'g2', name: '导购 002', diligence: NEVER },
    ]
    const api = await start({ members, contacts, habits }, { startAt: new Date('2011-09-10T12:00:00Z') }) // 20:00
    await api.post(CREATE, massBody('g1', undefined))
    await sandbox.advanceTo(new Date('2011-09-10T14:30:00Z')) // 22:30
    const evening = sandbox.counts()
    await sandbox.advanceTo(new Date('2011-09-10T23:59:59Z')) // just before 8:00
    expect(sandbox.counts()).toEqual(evening)
    await sandbox.advanceTo(new Date('2011-09-13T00:00:00Z'))
    const { messages, reads, repliesByKind } = sandbox.counts()
    expect(messages).toBe(500)
    expect(Math.abs(reads - 300)).toBeLessThan(45)
    const { interested, stop, other } = repliesByKind
    expect(Math.abs(interested + stop + other - reads * 0.5)).toBeLessThan(40)
    expect(interested).toBeGreaterThan(stop)
    expect(stop).toBeGreaterThan(0)
    const lost = await api.get('getcallbackip') // the token of 20:00 has ended
    expect(lost.errcode).toBe(42001)
  })
})
