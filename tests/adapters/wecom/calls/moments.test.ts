import { afterEach, describe, expect, it } from '@jest/globals'
import type { MomentResult, NewMoment } from '../../../../src/adapters/wecom/calls/moments.js'
import { InvalidInputError } from '../../../../src/errors.js'
import { DAY_MS, HOUR_MS } from '../../../../src/time.js'
import { contact, NEVER, PNG, PROMPT, START } from '../../../sandbox/support.js'
import { all, codeOf, openStand, type Stand } from '../stand.js'

let stand: Stand
afterEach(() => stand.close())

const at = (ms: number) => new Date(START.getTime() + ms)
const open = (dispatchMs = 0) =>
  openStand({
    behaviour: { dispatchMs },
    departments: [
      { id: 1, name: '公司', parentId: 0 },
      { id: 2, name: '门店', parentId: 1 },
    ],
    members: [
      { userId: 'g1', name: '导购 001', diligence: PROMPT, departmentIds: [2] },
      { userId: 'g2', name: '导购 002', diligence: NEVER },
    ],
    corpTags: [{ groupId: 'etg', name: '等级', tags: [{ tagId: 'etVip', name: '重要' }] }],
    contacts: [
      ...Array.from({ length: 300 }, (_, i) => contact(`wm${String(i).padStart(3, '0')}`, 'g1', i % 2 ? {} : { tagIds: ['etVip'] })),
      contact('wmz', 'g2'),
    ],
  }) // prettier-ignore

function created(result: MomentResult): Extract<MomentResult, { kind: 'created' }> {
  if (result.kind !== 'created') throw new Error(JSON.stringify(result))
  return result
}
async function make(moment: NewMoment): Promise<string> {
  const { moments } = stand.client
  return created(await moments.result(await moments.create(moment))).momentId
}

describe('moments', () => {
  it('are published by members who confirm, and seen, liked and commented by their customers', async () => {
    stand = await open()
    const { moments } = stand.client
    const id = await make({ text: '新品' })
    expect(await all(moments.tasks(id))).toEqual([
      { userId: 'g1', isPublished: false },
      { userId: 'g2', isPublished: false },
    ])
    expect(await all(moments.viewers(id, 'g1'))).toEqual([])
    expect(await codeOf(moments.reactions(id, 'g1'))).toBe(41062)
    await stand.advanceDays(2)
    expect((await all(moments.tasks(id))).map((t) => t.isPublished)).toEqual([true, false])
    expect(await all(moments.viewers(id, 'g1'))).toHaveLength(300)
    expect(await all(moments.viewers(id, 'g2'))).toEqual([])
    expect(await all(moments.customers(id, 'g2'))).toEqual(['wmz'])
    const { likes, comments } = await moments.reactions(id, 'g1')
    expect(likes.length).toBeGreaterThan(0)
    expect(comments.length).toBeGreaterThan(0)
    for (const { externalUserId, at: when } of [...likes, ...comments]) {
      expect(externalUserId).toMatch(/^wm/)
      expect(when!.getTime()).toBeGreaterThan(START.getTime())
    }
    expect(await moments.reactions(id, 'g1')).toEqual({ likes, comments }) // asked again, the same
  })

  it('go to customers with a tag, through members who have some', async () => {
    stand = await open()
    const { moments } = stand.client
    const id = await make({ text: '重要', tagIds: ['etVip', 'etGone'] })
    expect((await all(moments.tasks(id))).map((t) => t.userId)).toEqual(['g1'])
    expect(await all(moments.customers(id, 'g1'))).toHaveLength(150)
    expect(await codeOf(all(moments.customers(id, 'g2')))).toBe(41061)
    const [listed] = await all(moments.list(at(-DAY_MS), at(DAY_MS)))
    expect(listed).toMatchObject({ momentId: id, isPublic: false, madeBy: 'company', text: '重要' })
    expect(listed?.creator).toBeUndefined()
  })

  it('tell senders and tags that are not valid', async () => {
    stand = await open()
    const { moments } = stand.client
    const job = await moments.create({ text: 'x', senderIds: ['g2', 'nobody'], departmentIds: [2, 9] })
    expect(await moments.result(job)).toMatchObject({
      kind: 'created',
      invalidUserIds: ['nobody'],
      invalidDepartmentIds: [9],
    })
    const { momentId } = created(await moments.result(job))
    expect((await all(moments.tasks(momentId))).map((t) => t.userId).sort()).toEqual(['g1', 'g2'])
    expect(await moments.result(await moments.create({ text: 'y', senderIds: ['nobody'] }))).toMatchObject({ kind: 'failed' })
    await stand.sandbox.advanceTo(at(DAY_MS + 1_000))
    expect(await codeOf(moments.result(job))).toBe(40058) // a job is known for a day
  }) // prettier-ignore

  it('stop with members who have not published when they are cancelled', async () => {
    stand = await open()
    const { moments } = stand.client
    const id = await make({ text: '错了' })
    await moments.cancel(id)
    await moments.cancel(id)
    await stand.advanceDays(2)
    expect((await all(moments.tasks(id))).map((t) => t.isPublished)).toEqual([false, false])
  })

  it('are under way for a while', async () => {
    stand = await open(5_000)
    const { moments } = stand.client
    const job = await moments.create({ text: '快' })
    expect(await moments.result(job)).toEqual({ kind: 'running' })
    const [listed] = await all(moments.list(at(-DAY_MS), at(DAY_MS)))
    expect(await codeOf(all(moments.tasks(listed!.momentId)))).toBe(41079)
    await stand.sandbox.advanceTo(at(5_000))
    expect(await moments.result(job)).toMatchObject({ kind: 'created' })
  })

  it('carry pictures that were uploaded for them, or a film, or a link', async () => {
    stand = await open()
    const { moments, media } = stand.client
    const media_id = await media.uploadAttachment('moment', 'image', 'a.png', PNG)
    const image = { msgtype: 'image', image: { media_id } } as const
    await make({ attachments: Array.from({ length: 9 }, () => image) })
    await make({ attachments: [{ msgtype: 'link', link: { title: '册', url: 'https://m.example.com', media_id } }] })
    const temporary = await media.upload('image', 'a.png', PNG)
    const wrong = { msgtype: 'image', image: { media_id: temporary } } as const
    expect(await codeOf(moments.create({ attachments: [wrong] }))).toBe(40007)
  })

  it.each<[string, NewMoment]>([
    ['nothing', {}],
    ['2,001 characters', { text: 'a'.repeat(2_001) }],
    ['4,002 bytes', { text: '字'.repeat(1_334) }],
    ['10 pictures', { attachments: Array.from({ length: 10 }, () => ({ msgtype: 'image' as const, image: { media_id: 'x' } })) }],
  ])('with %s are refused before they are sent', async (_name, moment) => {
    stand = await open()
    await expect(stand.client.moments.create(moment)).rejects.toThrow(InvalidInputError)
  }) // prettier-ignore

  it('are listed for at most 30 days, in pages of 20', async () => {
    stand = await open()
    const { moments } = stand.client
    for (let n = 0; n < 21; n++) {
      await moments.create({ text: `第 ${n} 条` })
      await stand.sandbox.advanceTo(at((n + 1) * HOUR_MS))
    }
    expect(await all(moments.list(at(-1_000), at(DAY_MS)))).toHaveLength(21)
    expect(await all(moments.list(at(0), at(DAY_MS)))).toHaveLength(20) // the interval is open
    expect(await all(moments.list(at(-1_000), at(DAY_MS), { madeBy: 'member' }))).toEqual([])
    expect(await codeOf(all(moments.list(at(0), at(31 * DAY_MS))))).toBe(40058)
  })

  it('are created at most 10 times a minute', async () => {
    stand = await open()
    const token = async (secret: string) => (await fetch(`${stand.sandbox.url}/cgi-bin/gettoken?corpid=${stand.sandbox.corpId}&corpsecret=${secret}`).then((r) => r.json())) as { access_token: string }
    const { access_token } = await token(stand.sandbox.app.secret)
    const create = async () => {
      const answer = await fetch(`${stand.sandbox.url}/cgi-bin/externalcontact/add_moment_task?access_token=${access_token}`, { method: 'POST', body: JSON.stringify({ text: { content: 'x' } }) })
      return ((await answer.json()) as { errcode: number }).errcode
    }
    for (let n = 0; n < 10; n++) expect(await create()).toBe(0)
    expect(await create()).toBe(45009)
  }) // prettier-ignore
})

describe('rule groups for moments', () => {
  it('are made, changed and deleted', async () => {
    stand = await open()
    const { moments } = stand.client
    const id = await moments.createStrategy('门店', ['g1'], [{ type: 2, partyid: 2 }])
    expect(await all(moments.strategies())).toEqual([id])
    expect(await moments.strategy(id)).toMatchObject({ strategy_name: '门店', admin_list: ['g1'] })
    await moments.editStrategy(id, { name: '店', add: [{ type: 1, userid: 'g2' }], remove: [{ type: 2, partyid: 2 }] })
    expect((await moments.strategy(id)).strategy_name).toBe('店')
    expect(await all(moments.strategyRange(id))).toEqual([{ type: 1, userid: 'g2' }])
    await moments.deleteStrategy(id)
    expect(await codeOf(moments.strategy(id))).toBe(40058)
  })
})
