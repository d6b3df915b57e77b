import { z } from 'zod'
import { hashKey } from '../../src/random.js'
import { SECOND_MS } from '../../src/time.js'
import type { World } from '../world/world.js'
import { checkRelation } from './contacts.js'
import { type Endpoints, memberId, OptionalText, read, Refusal } from './endpoint.js'

/** Page 92117 (2026): tags of a company, and of one relation. */
const MAX_TAGS = 10_000
const MAX_TAGS_PER_RELATION = 3_000

type GroupRow = { group_id: string; name: string; created_ms: number; ord: number }
type TagRow = { tag_id: string; group_id: string; name: string; created_ms: number; ord: number }

const Ids = z
  .array(z.string())
  .nullish()
  .transform((ids) => ids ?? [])
const Order = z
  .int()
  .min(0)
  .max(2 ** 32 - 1)
  .default(0)

/** Corp tags (pages 92117, 92118). Tags of rule groups, editing and deleting are not there yet. */
export function tagEndpoints(world: World): Endpoints {
  const { state } = world
  return {
    '/cgi-bin/externalcontact/get_corp_tag_list': {
      handle: ({ params }) => {
        const { tag_id: tagIds, group_id: groupIds } = read(z.object({ tag_id: Ids, group_id: Ids }), params)
        const byGroup = new Set(groupIds)
        const byTag = new Set(tagIds)
        const groups = state.all<GroupRow>('SELECT * FROM tag_group ORDER BY ord DESC, created_ms, group_id')
        const tags = state.all<TagRow>('SELECT * FROM tag ORDER BY ord DESC, created_ms, tag_id')
        const wanted = (tag: TagRow) =>
          byGroup.size > 0 ? byGroup.has(tag.group_id) : byTag.size === 0 || byTag.has(tag.tag_id)
        const byId = byGroup.size > 0 || byTag.size > 0
        return {
          tag_group: groups.flatMap((group) => {
            const own = tags.filter((tag) => tag.group_id === group.group_id && wanted(tag))
            return own.length === 0 ? [] : [toGroup(group, own, byId)]
          }),
        }
      },
    },
    '/cgi-bin/externalcontact/add_corp_tag': {
      writes: true,
      handle: ({ params, now }) => {
        const Body = z.object({
          group_id: OptionalText,
          group_name: OptionalText,
          order: Order,
          tag: z.array(z.object({ name: z.string(), order: Order })).min(1, 'unexpected empty array'),
        })
        const { group_id: groupId, group_name: groupName, order, tag: wanted } = read(Body, params)
        for (const { name } of wanted) checkName(name)
        const group = groupId === undefined ? groupByName(groupName, order, now) : groupById(groupId)
        const names = new Set(
          state.all<{ name: string }>('SELECT name FROM tag WHERE group_id = ?', group.group_id).map((t) => t.name),
        )
        const added: TagRow[] = []
        for (const { name, order: tagOrder } of wanted) {
          if (added.some((tag) => tag.name === name)) continue // duplicates in one request collapse
          if (names.has(name)) throw new Refusal(40071, 'UserTag Name Already Exist')
          added.push({
            tag_id: `et${hashKey(30, 'tag', group.name, name)}`,
            group_id: group.group_id,
            name,
            created_ms: now.getTime(),
            ord: tagOrder,
          })
        }
        const count = state.get<{ n: number }>('SELECT count(*) AS n FROM tag')!.n
        if (count + added.length > MAX_TAGS) throw new Refusal(40126, `UserTag count exceed ${MAX_TAGS}`)
        for (const t of added)
          state.run('INSERT INTO tag VALUES (?, ?, ?, ?, ?)', t.tag_id, t.group_id, t.name, t.created_ms, t.ord)
        return { tag_group: toGroup(group, added, false) }
      },
    },
    '/cgi-bin/externalcontact/mark_tag': {
      writes: true,
      handle: ({ params }) => {
        const Body = z.object({ userid: OptionalText, external_userid: OptionalText, add_tag: Ids, remove_tag: Ids })
        const { userid, external_userid: id, add_tag: add, remove_tag: remove } = read(Body, params)
        const userId = memberId(world, userid)
        checkRelation(world, userId, id)
        if (add.length + remove.length === 0)
          throw new Refusal(40058, 'add_tag and remove_tag unexpected empty. invalid Request Parameter')
        for (const tagId of [...add, ...remove]) {
          if (state.get('SELECT 1 FROM tag WHERE tag_id = ?', tagId) === undefined)
            throw new Refusal(40068, `invalid tagid: ${tagId}`)
        }
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

  function groupById(groupId: string): GroupRow {
    const group = state.get<GroupRow>('SELECT * FROM tag_group WHERE group_id = ?', groupId)
    if (group === undefined) throw new Refusal(40068, `invalid tag group id: ${groupId}`)
    return group
  }

  /** A name that exists means that group; a new one makes a group. */
  function groupByName(name: string | undefined, order: number, now: Date): GroupRow {
    checkName(name ?? '')
    const existing = state.get<GroupRow>('SELECT * FROM tag_group WHERE name = ?', name!)
    if (existing !== undefined) return existing
    const group = { group_id: `et${hashKey(30, 'group', name!)}`, name: name!, created_ms: now.getTime(), ord: order }
    state.run('INSERT INTO tag_group VALUES (?, ?, ?, ?)', group.group_id, group.name, group.created_ms, group.ord)
    return group
  }
}

function checkName(name: string): void {
  if (name.length < 1 || [...name].length > 30) throw new Refusal(40072, 'invalid UserTag name length')
}

function toGroup(group: GroupRow, tags: readonly TagRow[], byId: boolean): Record<string, unknown> {
  const deleted = byId ? { deleted: false } : {}
  return {
    group_id: group.group_id,
    group_name: group.name,
    create_time: Math.floor(group.created_ms / SECOND_MS),
    order: group.ord,
    ...deleted,
    tag: tags.map((t) => ({
      id: t.tag_id,
      name: t.name,
      create_time: Math.floor(t.created_ms / SECOND_MS),
      order: t.ord,
      ...deleted,
    })),
  }
}
