import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { DAY_MS } from '../../../../src/time.js'
import { START } from '../../../sandbox/support.js'
import { all, codeOf, openStand, type Stand } from '../stand.js'

let stand: Stand

beforeEach(async () => {
  stand = await openStand()
})
afterEach(() => stand.close())

/** START is Saturday, 2011-09-10, 10:00 in Shanghai. */
const DAY_1 = Date.UTC(2011, 8, 9, 16) / 1000
const span = (days: number) => ({ from: START, to: new Date(START.getTime() + (days - 1) * DAY_MS) })
const act = (path: string, body: object) => stand.control(path, body)

describe('behaviour', () => {
  it('counts customers added and lost, by day, summed over members', async () => {
    await act('contacts/add', { userId: 'g1', externalUserId: 'wmNew1' })
    await act('contacts/add', { userId: 'g2', externalUserId: 'wmNew2' })
    await stand.advanceDays(1)
    await act('contacts/delete', { userId: 'g1', externalUserId: 'wmNew1' })
    const days = await stand.client.statistics.behaviour({ userIds: ['g1', 'g2'] }, span(2))
    expect(days.map((d) => [d.stat_time, d.new_contact_cnt, d.negative_feedback_cnt])).toEqual([
      [DAY_1, 2, 0],
      [DAY_1 + 86_400, 0, 1],
    ])
    expect(days[0]).not.toHaveProperty('reply_percentage') // nobody replied
    const [one] = await stand.client.statistics.behaviour({ userIds: ['G2'] }, span(1))
    expect(one!.new_contact_cnt).toBe(1)
    expect(await stand.client.statistics.behaviour({ departmentIds: [1] }, span(1))).toMatchObject([
      { new_contact_cnt: 2 },
    ])
  })

  it('counts messages and chats', async () => {
    await stand.client.mass.create({ sender: 'g1', externalUserIds: ['wmc1', 'wmc2'], text: '新品', attachments: [] })
    await stand.advanceDays(1)
    const [day] = await stand.client.statistics.behaviour({ userIds: ['g1'] }, span(1))
    expect(day).toMatchObject({ message_cnt: 2, chat_cnt: 2 })
  })

  it.each<[string, () => Promise<unknown>]>([
    ['a span of 32 days', () => stand.client.statistics.behaviour({ userIds: ['g1'] }, span(32))],
    ['a day of 181 days ago', () => stand.client.statistics.behaviour({ userIds: ['g1'] }, { from: new Date(START.getTime() - 181 * DAY_MS), to: new Date(START.getTime() - 180 * DAY_MS) })], // prettier-ignore
    ['nobody', () => stand.client.statistics.behaviour({ userIds: [] }, span(1))],
  ])('refuses %s', async (_what, ask) => {
    expect(await codeOf(ask())).toBe(40058)
  })
})

describe('groups', () => {
  const make = async (owner: string, ...people: string[]) =>
    (
      await stand.control<{ chatId: string }>('groups', {
        owner,
        name: '客户群',
        members: people.map((id) => ({ id })),
      })
    ).chatId

  it('are counted by owner, in the order asked for', async () => {
    await make('g1', 'wmc1')
    await make('g2', 'wmc4', 'wmc5')
    await make('g2')
    await stand.advanceDays(1)
    const owners = ['g1', 'g2', 'g3']
    const rows = await all(stand.client.statistics.groupsByOwner(owners, span(1)))
    expect(rows.map(({ owner, data }) => [owner, data.new_chat_cnt, data.chat_total, data.member_total])).toEqual([
      ['g2', 2, 2, 4],
      ['g1', 1, 1, 2],
    ])
    const later = await all(
      stand.client.statistics.groupsByOwner(owners, { from: stand.sandbox.now(), to: stand.sandbox.now() }),
    )
    expect(later.map(({ data }) => data.new_chat_cnt)).toEqual([0, 0])
  })

  it('are counted by day; who leaves is in the totals of the days before', async () => {
    const chatId = await make('g1', 'wmc1', 'wmc2')
    await stand.advanceDays(1)
    await act('groups/change', { chatId, leave: ['wmc2'], join: [{ id: 'wmc3' }, { id: 'wmc4' }] })
    const days = await stand.client.statistics.groupsByDay(['g1'], span(2))
    expect(
      days.map(({ stat_time, data }) => [stat_time, data.chat_total, data.new_member_cnt, data.member_total]),
    ).toEqual([
      [DAY_1, 1, 3, 3],
      [DAY_1 + 86_400, 1, 2, 4],
    ])
  })
})
