import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { all, codeOf, openStand, type Stand } from '../stand.js'

let stand: Stand

beforeEach(async () => {
  stand = await openStand()
})
afterEach(() => stand.close())

const names = async () =>
  (await stand.client.tags.list()).map((group) => [group.group_name, group.tag.map((tag) => tag.name)])
const add = (group: string, ...tags: string[]) =>
  stand.client.tags.add({ group: { name: group }, tags: tags.map((name) => ({ name })) })
const marked = async (userId = 'g1', id = 'wmc2') =>
  (await stand.client.contacts.get(id))!.follow_user
    .find((follow) => follow.userid === userId)!
    .tags.map((tag) => tag.tag_name)

describe('corp tags', () => {
  it('makes a group with its tags, and appends to a group of the same name', async () => {
    const first = await add('渠道', '门店', '直播')
    const second = await add('渠道', '包裹卡')
    expect(second.group_id).toBe(first.group_id)
    expect(second.tag.map((tag) => tag.name)).toEqual(['包裹卡']) // only what this call made
    expect(await names()).toContainEqual([
      '渠道',
      ['门店', '直播', '包裹卡'].sort(byId(await stand.client.tags.list())),
    ])
  })

  it('collapses a name that one request repeats, and refuses one that exists', async () => {
    expect((await add('渠道', '门店', '门店')).tag).toHaveLength(1)
    expect(await codeOf(add('渠道', '新', '门店'))).toBe(40071)
    expect((await stand.client.tags.list()).find((g) => g.group_name === '渠道')?.tag).toHaveLength(1)
  })

  it.each([
    ['an empty name', ''],
    ['more than 30 characters', '字'.repeat(31)],
  ])('refuses %s', async (_what, name) => {
    expect(await codeOf(add('渠道', name))).toBe(40072)
    expect(await codeOf(add(name, '门店'))).toBe(40072)
  })

  it('renames and orders tags and groups; larger comes first', async () => {
    const { group_id: groupId, tag } = await add('渠道', '门店', '直播')
    await stand.client.tags.edit(tag[0]!.id, { name: '线下门店', order: 1 })
    await stand.client.tags.edit(tag[1]!.id, { order: 9 })
    await stand.client.tags.edit(groupId, { name: '来源', order: 99 })
    expect((await names())[0]).toEqual(['来源', ['直播', '线下门店']])
  })

  it('deletes a group with its last tag, and still tells of both by id', async () => {
    const { group_id: groupId, tag } = await add('渠道', '门店', '直播')
    await stand.client.tags.delete({ tagIds: [tag[0]!.id] })
    expect(await stand.client.tags.list({ tagIds: tag.map((t) => t.id) })).toMatchObject([
      {
        deleted: false,
        tag: [
          { name: '直播', deleted: false },
          { name: '门店', deleted: true },
        ],
      },
    ])
    await stand.client.tags.delete({ tagIds: [tag[1]!.id] })
    expect(await names()).toEqual([['等级', ['重要']]])
    const [gone] = await stand.client.tags.list({ groupIds: [groupId] })
    expect(gone).toMatchObject({ group_id: groupId, deleted: true })
    expect(gone!.tag.every((t) => t.deleted)).toBe(true)
    const [again] = (await add('渠道', '门店')).tag
    expect(again!.id).not.toBe(tag[0]!.id)
  })

  it('lets an app change only what it made', async () => {
    const { group_id: groupId, tag } = await add('渠道', '门店')
    const ofAnother = tag[0]!.id
    for (const id of [ofAnother, groupId]) {
      expect(await codeOf(stand.other.tags.edit(id, { name: '别的' }))).toBe(40068)
    }
    expect(await codeOf(stand.other.tags.delete({ tagIds: [ofAnother] }))).toBe(40068)
    expect(await codeOf(stand.client.tags.delete({ groupIds: ['etLevel'] }))).toBe(40068) // the administrator's
    await stand.client.tags.delete({ groupIds: [groupId] })
    expect(await names()).toEqual([['等级', ['重要']]])
  })

  it('calls back for what the administrator does, and for nothing done by API', async () => {
    const { tag } = await add('渠道', '门店')
    await stand.client.tags.edit(tag[0]!.id, { name: '线下' })
    await stand.client.tags.mark('g1', 'wmc2', { add: [tag[0]!.id] })
    expect(stand.events('change_external_tag')).toEqual([])
    const { ids } = await stand.control<{ ids: string[] }>('tags', { action: 'create', group: '喜好', tags: ['茶'] })
    await stand.control('tags', { action: 'rename', id: ids[0], name: '咖啡' })
    await stand.control('tags', { action: 'delete', id: ids[0] })
    expect(stand.events('change_external_tag').map((e) => [e['ChangeType'], e['TagType'], e['Id'] === ids[0]])).toEqual(
      [
        ['create', 'tag_group', false],
        ['create', 'tag', true],
        ['update', 'tag', true],
        ['delete', 'tag', true],
      ],
    )
    expect(stand.events('change_external_contact')).toEqual([])
  })
})

describe('marking', () => {
  it('adds and removes, twice without complaint', async () => {
    const { tag } = await add('渠道', '门店', '直播')
    const ids = tag.map((t) => t.id)
    await stand.client.tags.mark('g1', 'wmc2', { add: ids })
    await stand.client.tags.mark('g1', 'wmc2', { add: ids })
    expect((await marked()).sort()).toEqual(['门店', '直播'].sort())
    await stand.client.tags.mark('g1', 'wmc2', { remove: [ids[0]!, 'etVip'] })
    expect(await marked()).toEqual(['直播'])
    const [row] = await all(stand.client.contacts.rows(['g1']))
    expect(row!.follow_info.tag_id).toEqual(['etVip']) // wmc1, untouched
  })

  it.each([
    ['a deleted tag', 'deleted'],
    ['a tag that never was', 'etNothing'],
  ])('has no effect at all when it names %s', async (_what, id) => {
    const { tag } = await add('渠道', '门店', '旧')
    const bad = id === 'deleted' ? tag[1]!.id : id
    await stand.client.tags.delete({ tagIds: [tag[1]!.id] })
    expect(await codeOf(stand.client.tags.mark('g1', 'wmc2', { add: [tag[0]!.id, bad] }))).toBe(40068)
    expect(await marked()).toEqual([])
  })

  it.each([
    ['nobody knows her', 'g1', 'wmNobody', 40096],
    ['she is another member’s', 'g1', 'wmc4', 84061],
    ['the member is unknown', 'g9', 'wmc2', 60111],
  ])('is refused when %s', async (_what, userId, id, code) => {
    expect(await codeOf(stand.client.tags.mark(userId, id, { add: ['etVip'] }))).toBe(code)
  })

  it('shows late where the scenario says so', async () => {
    await stand.close()
    stand = await openStand({ behaviour: { tagsShowLateMs: 60_000 } })
    await stand.client.tags.mark('g1', 'wmc2', { add: ['etVip'] })
    expect(await marked()).toEqual([])
    await stand.sandbox.advanceTo(new Date(stand.sandbox.now().getTime() + 60_000))
    expect(await marked()).toEqual(['重要'])
  })
})

describe('rule groups', () => {
  const made = () =>
    stand.client.strategies.create({ name: '华东', admins: ['g1'], range: [{ userId: 'g1' }, { departmentId: 1 }] })

  it('are kept by the app that made them, with what they are about', async () => {
    const id = await made()
    expect(await all(stand.client.strategies.list())).toEqual([id])
    expect(await all(stand.other.strategies.list())).toEqual([])
    expect(await codeOf(stand.other.strategies.get(id))).toBe(48002)
    expect(await stand.client.strategies.get(id)).toMatchObject({ strategy_name: '华东', admin_list: ['g1'] })
    await stand.client.strategies.edit(id, { name: '华南', add: [{ userId: 'g2' }], remove: [{ departmentId: 1 }] })
    expect(await all(stand.client.strategies.range(id))).toEqual([{ userId: 'g1' }, { userId: 'g2' }])
    await stand.client.strategies.delete(id)
    expect(await codeOf(stand.client.strategies.get(id))).toBe(40058)
  })

  it('hold tags of their own, which are no corp tags', async () => {
    const id = await made()
    const group = await stand.client.strategies.addTags(id, {
      group: { name: '门店' },
      tags: [{ name: 'A' }, { name: 'B' }],
    })
    expect(group).toMatchObject({ strategy_id: id, tag: [{ name: 'A' }, { name: 'B' }] })
    await stand.client.strategies.editTag(group.tag[0]!.id, { name: 'C' })
    expect((await stand.client.strategies.tags(id))[0]!.tag.map((tag) => tag.name)).toEqual(['C', 'B'])
    expect(await codeOf(stand.client.tags.mark('g1', 'wmc2', { add: [group.tag[0]!.id] }))).toBe(40068)
    await stand.client.strategies.deleteTags({ tagIds: group.tag.map((tag) => tag.id) })
    expect(await stand.client.strategies.tags(id)).toEqual([])
  })
})

/** Tags made at the same instant come in the order of their ids. */
function byId(groups: { tag: { id: string; name: string }[] }[]): (a: string, b: string) => number {
  const id = (name: string) => groups.flatMap((g) => g.tag).find((t) => t.name === name)!.id
  return (a, b) => (id(a) < id(b) ? -1 : 1)
}
