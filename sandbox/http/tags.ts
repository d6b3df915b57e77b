import { z } from 'zod'
import { hashKey } from '../../src/random.js'
import { SECOND_MS } from '../../src/time.js'
import { openObjects } from '../objects.js'
import type { World } from '../world/world.js'
import { checkRelation } from './contacts.js'
import { type Call, type Endpoints, memberId, OptionalText, read, Refusal } from './endpoint.js'
import { rememberMark } from './late-tags.js'

/** Page 92117 (2026): tags of a company, and of one relation. */
const MAX_TAGS = 10_000
const MAX_TAGS_PER_RELATION = 3_000
const MAX_NAME = 30

type GroupRow = { group_id: string; name: string; created_ms: number; ord: number }
type TagRow = { tag_id: string; group_id: string; name: string; created_ms: number; ord: number }
/** Tags stay resolvable by id when they are deleted. */
type Gone = { group: GroupRow; tag?: TagRow }

export const Ids = z
  .array(z.string())
  .nullish()
  .transform((ids) => ids ?? [])
const Order = z
  .int()
  .min(0)
  .max(2 ** 32 - 1)
export const NewTags = z.object({
  group_id: OptionalText,
  group_name: OptionalText,
  order: Order.default(0),
  tag: z.array(z.object({ name: z.string(), order: Order.default(0) })).min(1, 'unexpected empty array'),
})
export const TagEdit = z.object({ id: OptionalText, name: OptionalText, order: Order.nullish() })
export const TagIds = z.object({ tag_id: Ids, group_id: Ids })

/**
 * Corp tags (pages 92117, 92118). An app changes and deletes only what it made: anything else is 40068, as for tags that do
 * not exist. Changes by API call nobody back (page 92130).
 */
export function tagEndpoints(world: World): Endpoints {
  const { state, seed } = world
  /** Which app made a tag or group; those of the administrator have no entry. */
  const makers = openObjects<string>(state, seed, 'tag_maker')
  const gone = openObjects<Gone>(state, seed, 'deleted_tag')

  const groupOf = (id: string) => state.get<GroupRow>('SELECT * FROM tag_group WHERE group_id = ?', id)
  const tagOf = (id: string) => state.get<TagRow>('SELECT * FROM tag WHERE tag_id = ?', id)
  const tagsIn = (groupId: string) => state.all<TagRow>('SELECT * FROM tag WHERE group_id = ?', groupId)
  const checkMaker = (id: string, call: Call) => {
    if (makers.get(id) !== call.app.name) throw new Refusal(40068, `invalid tagid: ${id}`)
  }
  /** The name's own id, unless a deleted one had it. */
  const freshId = (purpose: 'group' | 'tag', ...names: string[]) => {
    for (let n = 0; ; n++) {
      const id = `et${hashKey(30, purpose, ...names, ...(n === 0 ? [] : [n]))}`
      if (gone.get(id) === undefined) return id
    }
  }

  return {
    '/cgi-bin/externalcontact/get_corp_tag_list': {
      handle: ({ params }) => {
        const { tag_id: tagIds, group_id: groupIds } = read(TagIds, params)
        const byGroup = new Set(groupIds)
        const byTag = new Set(tagIds)
        const byId = byGroup.size > 0 || byTag.size > 0
        const wanted = (tag: TagRow) => (byGroup.size > 0 ? byGroup.has(tag.group_id) : !byId || byTag.has(tag.tag_id))
        const groups = state.all<GroupRow>('SELECT * FROM tag_group ORDER BY ord DESC, created_ms, group_id')
        const tags = state.all<TagRow>('SELECT * FROM tag ORDER BY ord DESC, created_ms, tag_id')
        const lost = byId ? lostTags(byGroup.size > 0 ? [] : tagIds, groupIds) : []
        const lostOf = (groupId: string) => lost.flatMap((l) => (l.group.group_id === groupId ? [l.tag] : []))
        const alive = new Set(groups.map((group) => group.group_id))
        const extinct = new Map(
          lost.filter((l) => !alive.has(l.group.group_id)).map((l) => [l.group.group_id, l.group]),
        )
        return {
          tag_group: [
            ...groups.flatMap((group) => {
              const own = tags.filter((tag) => tag.group_id === group.group_id && wanted(tag))
              const ghosts = lostOf(group.group_id)
              return own.length + ghosts.length === 0 ? [] : [toGroup(group, own, byId ? ghosts : undefined)]
            }),
            ...[...extinct.values()].map((group) => ({ ...toGroup(group, [], lostOf(group.group_id)), deleted: true })),
          ],
        }
      },
    },
    '/cgi-bin/externalcontact/add_corp_tag': {
      writes: true,
      handle: (call) => {
        const { group_id: groupId, group_name: groupName, order, tag: wanted } = read(NewTags, call.params)
        for (const { name } of wanted) checkName(name)
        const group = groupId === undefined ? groupByName(groupName, order, call) : groupOf(groupId)
        if (group === undefined) throw new Refusal(40068, `invalid tag group id: ${groupId}`)
        const names = new Set(tagsIn(group.group_id).map((t) => t.name))
        const added: TagRow[] = []
        for (const { name, order: tagOrder } of wanted) {
          if (added.some((tag) => tag.name === name)) continue // duplicates in one request collapse
          if (names.has(name)) throw new Refusal(40071, 'UserTag Name Already Exist')
          const tagId = freshId('tag', group.name, name)
          added.push({ tag_id: tagId, group_id: group.group_id, name, created_ms: call.now.getTime(), ord: tagOrder })
        }
        const count = state.get<{ n: number }>('SELECT count(*) AS n FROM tag')!.n
        if (count + added.length > MAX_TAGS) throw new Refusal(40126, `UserTag count exceed ${MAX_TAGS}`)
        for (const t of added) {
          state.run('INSERT INTO tag VALUES (?, ?, ?, ?, ?)', t.tag_id, t.group_id, t.name, t.created_ms, t.ord)
          makers.put(t.tag_id, call.app.name)
        }
        return { tag_group: toGroup(group, added) }
      },
    },
    '/cgi-bin/externalcontact/edit_corp_tag': {
      writes: true,
      handle: (call) => {
        const { id, name, order } = read(TagEdit, call.params)
        if (id === undefined) throw new Refusal(40068, 'missing tagid')
        const tag = tagOf(id)
        if (tag === undefined && groupOf(id) === undefined) throw new Refusal(40068, `invalid tagid: ${id}`)
        checkMaker(id, call)
        if (name !== undefined) {
          checkName(name)
          const taken =
            tag === undefined
              ? state.get('SELECT 1 FROM tag_group WHERE name = ? AND group_id <> ?', name, id)
              : state.get('SELECT 1 FROM tag WHERE group_id = ? AND name = ? AND tag_id <> ?', tag.group_id, name, id)
          if (taken !== undefined) throw new Refusal(40071, 'UserTag Name Already Exist')
        }
        const [table, key] = tag === undefined ? ['tag_group', 'group_id'] : ['tag', 'tag_id']
        state.run(
          `UPDATE ${table} SET name = coalesce(?, name), ord = coalesce(?, ord) WHERE ${key} = ?`,
          name ?? null,
          order ?? null,
          id,
        )
        return {}
      },
    },
    '/cgi-bin/externalcontact/del_corp_tag': {
      writes: true,
      handle: (call) => {
        const { tag_id: tagIds, group_id: groupIds } = read(TagIds, call.params)
        if (tagIds.length + groupIds.length === 0) throw new Refusal(40068, 'missing tagid')
        for (const id of groupIds) {
          if (groupOf(id) === undefined) throw new Refusal(40068, `invalid tag group id: ${id}`)
          checkMaker(id, call)
        }
        for (const id of tagIds) {
          if (tagOf(id) === undefined) throw new Refusal(40068, `invalid tagid: ${id}`)
          checkMaker(id, call)
        }
        for (const id of tagIds) deleteTag(tagOf(id)!)
        for (const id of groupIds) for (const tag of tagsIn(id)) deleteTag(tag)
        return {}
      },
    },
    '/cgi-bin/externalcontact/mark_tag': {
      writes: true,
      handle: ({ params, now }) => {
        const Body = z.object({ userid: OptionalText, external_userid: OptionalText, add_tag: Ids, remove_tag: Ids })
        const { userid, external_userid: id, add_tag: add, remove_tag: remove } = read(Body, params)
        const userId = memberId(world, userid)
        checkRelation(world, userId, id)
        if (add.length + remove.length === 0)
          throw new Refusal(40058, 'add_tag and remove_tag unexpected empty. invalid Request Parameter')
        for (const tagId of [...add, ...remove])
          if (tagOf(tagId) === undefined) throw new Refusal(40068, `invalid tagid: ${tagId}`)
        rememberMark(world, userId, id!, now)
        for (const tagId of add) state.run('INSERT OR IGNORE INTO relation_tag VALUES (?, ?, ?)', userId, id!, tagId)
        for (const tagId of remove)
          state.run(
            'DELETE FROM relation_tag WHERE user_id = ? AND external_user_id = ? AND tag_id = ?',
            userId,
            id!,
            tagId,
          )
        const held = state.get<{ n: number }>(
          'SELECT count(*) AS n FROM relation_tag WHERE user_id = ? AND external_user_id = ?',
          userId,
          id!,
        )!.n
        if (held > MAX_TAGS_PER_RELATION) throw new Refusal(40126, `UserTag count exceed ${MAX_TAGS_PER_RELATION}`)
        return {}
      },
    },
  }

  /** A name that exists means that group; a new one makes a group. */
  function groupByName(name: string | undefined, order: number, { app, now }: Call): GroupRow {
    checkName(name ?? '')
    const existing = state.get<GroupRow>('SELECT * FROM tag_group WHERE name = ?', name!)
    if (existing !== undefined) return existing
    const group = { group_id: freshId('group', name!), name: name!, created_ms: now.getTime(), ord: order }
    state.run('INSERT INTO tag_group VALUES (?, ?, ?, ?)', group.group_id, group.name, group.created_ms, group.ord)
    makers.put(group.group_id, app.name)
    return group
  }

  /** Nobody has it any more, and its group goes with its last tag. */
  function deleteTag(tag: TagRow): void {
    const group = groupOf(tag.group_id)!
    gone.put(tag.tag_id, { group, tag })
    state.run('DELETE FROM relation_tag WHERE tag_id = ?', tag.tag_id)
    state.run('DELETE FROM tag WHERE tag_id = ?', tag.tag_id)
    if (tagsIn(group.group_id).length > 0) return
    state.run('DELETE FROM tag_group WHERE group_id = ?', group.group_id)
    gone.put(group.group_id, { group })
  }

  function lostTags(tagIds: readonly string[], groupIds: readonly string[]): { group: GroupRow; tag: TagRow }[] {
    const groups = new Set(groupIds)
    const rows = groups.size === 0 ? tagIds.flatMap((id) => gone.get(id) ?? []) : gone.list().map((row) => row.body)
    return rows.flatMap(({ group, tag }) =>
      tag === undefined || (groups.size > 0 && !groups.has(group.group_id)) ? [] : [{ group, tag }],
    )
  }
}

export function checkName(name: string): void {
  if (name.length < 1 || [...name].length > MAX_NAME) throw new Refusal(40072, 'invalid UserTag name length')
}

/** @param ghosts - deleted tags of the group: present when asked by id, which is when the answer says what is deleted */
function toGroup(group: GroupRow, tags: readonly TagRow[], ghosts?: readonly TagRow[]): Record<string, unknown> {
  const toTag = (t: TagRow, deleted: boolean) => ({
    id: t.tag_id,
    name: t.name,
    create_time: Math.floor(t.created_ms / SECOND_MS),
    order: t.ord,
    ...(ghosts && { deleted }),
  })
  return {
    group_id: group.group_id,
    group_name: group.name,
    create_time: Math.floor(group.created_ms / SECOND_MS),
    order: group.ord,
    ...(ghosts && { deleted: false }),
    tag: [...tags.map((t) => toTag(t, false)), ...(ghosts ?? []).map((t) => toTag(t, true))],
  }
}
