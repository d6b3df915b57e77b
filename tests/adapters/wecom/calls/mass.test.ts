import { afterEach, describe, expect, it } from '@jest/globals'
import type { Behaviour } from '../../../../sandbox/switches.js'
import type { MassMessage } from '../../../../src/adapters/wecom/calls/mass.js'
import { InvalidInputError } from '../../../../src/errors.js'
import { HOUR_MS, MINUTE_MS } from '../../../../src/time.js'
import { contact, PNG, smallScenario, START } from '../../../sandbox/support.js'
import { all, codeOf, openStand, type Stand } from '../stand.js'

let stand: Stand
afterEach(() => stand.close())

const at = (ms: number) => new Date(START.getTime() + ms)
const link = { msgtype: 'link', link: { title: '新品', url: 'https://m.example.com/look' } } as const
const hello: MassMessage = { sender: 'g1', externalUserIds: ['wmc1'], text: '您好', attachments: [] }
const open = (behaviour: Partial<Behaviour> = {}) => openStand({ behaviour })

describe('mass messages to customers', () => {
  it('carry every kind of attachment, and show them in the list without recipients or creator', async () => {
    stand = await open()
    const { mass, media } = stand.client
    const picture = await media.upload('image', 'a.png', PNG)
    const pic_url = await media.uploadImage('a.png', PNG)
    const film = await media.upload('video', 'a.mp4', Uint8Array.from([0, 0, 0, 8, ...Buffer.from('ftypmp42')]))
    const file = await media.upload('file', 'a.txt', Uint8Array.from(Buffer.from('0123456789')))
    const attachments = [
      link,
      { msgtype: 'image', image: { media_id: picture } },
      { msgtype: 'image', image: { pic_url } },
      {
        msgtype: 'miniprogram',
        miniprogram: { title: '商城', pic_media_id: picture, appid: 'wx0000000000000001', page: 'pages/index.html' },
      },
      { msgtype: 'video', video: { media_id: film } },
      { msgtype: 'file', file: { media_id: file } },
    ] as const
    const { msgId, failed } = await mass.create({ ...hello, externalUserIds: ['wmc1', 'wmc4'], attachments })
    expect(failed).toEqual(['wmc4']) // not a customer of g1
    const [listed] = await all(mass.list(START, at(HOUR_MS)))
    expect(listed).toMatchObject({ msgid: msgId, create_type: 0, text: { content: '您好' }, attachments })
    expect(listed?.creator).toBeUndefined()
    expect(JSON.stringify(listed)).not.toContain('wmc1')
  })

  it.each<[string, Partial<MassMessage>, number]>([
    ['a picture of another use', { attachments: [{ msgtype: 'image', image: { media_id: 'MOMENT' } }] }, 40007],
    ['a picture where a file belongs', { attachments: [{ msgtype: 'file', file: { media_id: 'PICTURE' } }] }, 40007],
    [
      'an address that uploadimg did not give out',
      { attachments: [{ msgtype: 'image', image: { pic_url: 'https://a.example/1.png' } }] },
      40058,
    ],
    ['nobody that can be reached', { externalUserIds: ['wmNobody'] }, 41048],
    ['a tag that is not there', { externalUserIds: undefined, tags: [['etGone']] }, 40068],
    ['a sender who is not there', { sender: 'nobody' }, 60111],
  ])('are refused with %s', async (_name, change, code) => {
    stand = await open()
    const { mass, media } = stand.client
    const ids = {
      MOMENT: await media.uploadAttachment('moment', 'image', 'a.png', PNG),
      PICTURE: await media.upload('image', 'a.png', PNG),
    }
    const filled = JSON.parse(
      JSON.stringify({ ...hello, ...change }).replace(/"(MOMENT|PICTURE)"/, (_m, id: keyof typeof ids) =>
        JSON.stringify(ids[id]),
      ),
    ) as MassMessage
    expect(await codeOf(mass.create(filled))).toBe(code)
    expect(await all(mass.list(START, at(HOUR_MS)))).toEqual([])
  })

  it.each<[string, Partial<MassMessage>, boolean]>([
    ['a text of 4,000 bytes', { text: 'a'.repeat(4_000) }, true],
    ['a text of 4,001 bytes', { text: 'a'.repeat(4_001) }, false],
    ['a title of 128 bytes', { attachments: [{ ...link, link: { ...link.link, title: 'a'.repeat(128) } }] }, true],
    ['a title of 129 bytes', { attachments: [{ ...link, link: { ...link.link, title: 'a'.repeat(129) } }] }, false],
    ['9 attachments', { attachments: Array.from({ length: 9 }, () => link) }, true],
    ['10 attachments', { attachments: Array.from({ length: 10 }, () => link) }, false],
    ['10,000 customers', { externalUserIds: ['wmc1', ...Array.from({ length: 9_999 }, (_, i) => `wm${i}`)] }, true],
    ['10,001 customers', { externalUserIds: ['wmc1', ...Array.from({ length: 10_000 }, (_, i) => `wm${i}`)] }, false],
    ['neither text nor attachment', { text: '' }, false],
    ['neither sender, customers nor tags', { sender: undefined, externalUserIds: undefined }, false],
  ])('with %s: taken %#', async (_name, change, taken) => {
    stand = await open()
    const created = stand.client.mass.create({ ...hello, ...change })
    if (taken) await expect(created).resolves.toMatchObject({ msgId: expect.stringMatching(/^msg/) as unknown })
    else await expect(created).rejects.toThrow(InvalidInputError)
  })

  it('goes by tags: any within a list, every list', async () => {
    stand = await openStand({
      corpTags: [{ groupId: 'etg', name: '等级', tags: ['A', 'B', 'C'].map((name) => ({ tagId: `et${name}`, name })) }],
      contacts: [
        contact('wmc1', 'g1', { tagIds: ['etA'] }),
        contact('wmc2', 'g1', { tagIds: ['etB', 'etC'] }),
        contact('wmc3', 'g1', { tagIds: ['etC'] }),
      ],
    })
    const { mass } = stand.client
    const targets = async (tags: string[][]) => {
      const { msgId } = await mass.create({ sender: 'g1', tags, text: tags.join('/'), attachments: [] })
      return (await all(mass.sends(msgId, 'g1'))).map((s) => s.external_userid)
    }
    expect(await targets([['etA', 'etB']])).toEqual(['wmc1', 'wmc2'])
    expect(await targets([['etA', 'etB'], ['etC']])).toEqual(['wmc2'])
  })

  it('leaves customers unsent whom the member unticked, and settles the others later', async () => {
    stand = await open({ resultsSettleMs: 10 * MINUTE_MS })
    const { mass } = stand.client
    const { msgId } = await mass.create({ ...hello, externalUserIds: ['wmc1', 'wmc2'], allowSelect: true })
    await stand.control('send', { msgid: msgId, userId: 'g1', externalUserIds: ['wmc1'] })
    expect(await all(mass.tasks(msgId))).toMatchObject([{ userid: 'g1', status: 2 }])
    const results = async () => (await all(mass.sends(msgId, 'g1'))).map((s) => [s.external_userid, s.status])
    expect(await results()).toEqual([['wmc1', 0], ['wmc2', 0]]) // prettier-ignore
    await stand.sandbox.advanceTo(at(10 * MINUTE_MS))
    expect(await results()).toEqual([['wmc1', 1], ['wmc2', 0]]) // prettier-ignore
  })

  it('is being dispatched for a moment: questions and reminders are 41063 until then', async () => {
    stand = await open({ dispatchMs: 5_000 })
    const { mass } = stand.client
    const { msgId } = await mass.create(hello)
    const asked = [() => all(mass.tasks(msgId)), () => all(mass.sends(msgId, 'g1')), () => mass.remind(msgId)]
    await stand.sandbox.advanceTo(at(4_999))
    for (const ask of asked) expect(await codeOf(ask())).toBe(41063)
    await stand.sandbox.advanceTo(at(5_000))
    for (const ask of asked) expect(await codeOf(ask())).toBeUndefined()
  })

  it('reminds 3 times in 24 hours, and cancels what was not sent', async () => {
    stand = await open()
    const { mass } = stand.client
    const { msgId } = await mass.create({ ...hello, sender: 'g2', externalUserIds: ['wmc4'] })
    for (let n = 0; n < 3; n++) await mass.remind(msgId)
    expect(await codeOf(mass.remind(msgId))).toBe(41094)
    await stand.sandbox.advanceTo(at(24 * HOUR_MS))
    expect(await codeOf(mass.remind(msgId))).toBeUndefined()
    await mass.cancel(msgId)
    await mass.cancel(msgId) // twice is once
    expect(await codeOf(all(mass.tasks(msgId)))).toBe(41093)
    expect(await codeOf(mass.remind('msgNone'))).toBe(41047)
  })

  it.each(['at_sending', 'at_creation'] as const)('shows a used-up quota %s', async (quotaStatus) => {
    stand = await openStand({ quotaMode: 'day_1', behaviour: { quotaStatus } })
    const { mass } = stand.client
    const first = await mass.create(hello)
    await stand.control('send', { msgid: first.msgId, userId: 'g1' })
    const second = await mass.create({ ...hello, externalUserIds: ['wmc1', 'wmc2'], text: '再次' })
    await stand.control('send', { msgid: second.msgId, userId: 'g1' })
    const results = (await all(mass.sends(second.msgId, 'g1'))).map((s) => [s.external_userid, s.status])
    if (quotaStatus === 'at_sending') {
      expect(second.failed).toEqual([])
      expect(results).toEqual([['wmc1', 3], ['wmc2', 1]]) // prettier-ignore
    } else {
      expect(second.failed).toEqual(['wmc1'])
      expect(results).toEqual([['wmc2', 1]])
      expect(await codeOf(mass.create({ ...hello, text: '三' }))).toBe(41048)
    }
  })

  it("tells members' own mass messages from the company's; they eat the quota", async () => {
    const [g1] = smallScenario().members!
    stand = await openStand({
      quotaMode: 'day_1',
      members: [{ ...g1!, ownSendsPerMonth: 30, ownSendRatio: 1 }, ...smallScenario().members!.slice(1)],
    })
    const { mass } = stand.client
    await stand.advanceDays(14)
    const made = await all(mass.list(START, stand.sandbox.now(), { madeBy: 'members' }))
    expect(made.length).toBeGreaterThan(0)
    expect(made.every((m) => m.creator === 'g1' && m.create_type === 1)).toBe(true)
    expect(await all(mass.list(START, stand.sandbox.now(), { madeBy: 'company' }))).toEqual([])
    expect(await all(mass.list(START, stand.sandbox.now(), { madeBy: 'anybody', creator: 'g1' }))).toEqual(made)
    expect(await all(mass.list(START, stand.sandbox.now(), { madeBy: 'anybody', creator: 'g2' }))).toEqual([])
  })
})

describe('mass messages to groups', () => {
  const groups = async () => {
    const make = (owner: string, name: string) =>
      stand.control<{ chatId: string }>('groups', { owner, name, members: [{ id: 'wmc1' }] })
    return Promise.all([make('g1', '一群'), make('g1', '二群'), make('g3', '三群')])
  }

  it('go to the groups that are listed, through their owner', async () => {
    stand = await open()
    const [one, two, other] = await groups()
    const { mass } = stand.client
    const chatIds = [one.chatId, two.chatId, other.chatId]
    const { msgId, failed } = await mass.createForGroups({ sender: 'g1', chatIds, text: '群里好', attachments: [link] })
    expect(failed).toEqual([other.chatId]) // g1 does not own it
    await stand.sandbox.advanceTo(at(HOUR_MS))
    const sends = await all(mass.chatSends(msgId, 'g1'))
    expect(sends.map((s) => [s.chat_id, s.status]).sort()).toEqual([one, two].map((c) => [c.chatId, 1]).sort())
    const log = stand.sandbox.log()
    expect(log.map((m) => [m.kind, m.externalUserId]).sort()).toEqual([one, two].map((c) => ['group', c.chatId]).sort())
    expect((await all(mass.list(START, at(HOUR_MS), { chatType: 'group' }))).map((m) => m.msgid)).toEqual([msgId])
    expect(await all(mass.list(START, at(HOUR_MS)))).toEqual([])
  })

  it('go to all she owns when none are listed, and count against each group', async () => {
    stand = await openStand({ quotaMode: 'day_1' })
    await groups()
    const { mass } = stand.client
    const first = await mass.createForGroups({ sender: 'g1', text: '一', attachments: [] })
    expect(await all(mass.chatSends(first.msgId, 'g1'))).toEqual([]) // she has not chosen yet
    await stand.control('send', { msgid: first.msgId, userId: 'g1' })
    expect((await all(mass.chatSends(first.msgId, 'g1'))).map((s) => s.status)).toEqual([1, 1])
    const second = await mass.createForGroups({ sender: 'g1', text: '二', attachments: [] })
    await stand.control('send', { msgid: second.msgId, userId: 'g1' })
    expect((await all(mass.chatSends(second.msgId, 'g1'))).map((s) => s.status)).toEqual([3, 3])
  })

  it('are refused when the sender owns none', async () => {
    stand = await open()
    expect(await codeOf(stand.client.mass.createForGroups({ sender: 'g2', text: '好', attachments: [] }))).toBe(41048)
  })
})
