import { z } from 'zod'
import { SECOND_MS } from '../../../src/time.js'
import type { World } from '../../world/world.js'
import { checkRelation } from './contacts.js'
import { corpTags, type GroupRow, type TagRow } from './corp-tags.js'
import { type Call, type Endpoints, memberId, OptionalText, read, Refusal, type Reply } from '../core/endpoint.js'
import { rememberMark } from './late-tags.js'

/** Page 92117 (2026): tags of a company, and of one relation. */
const MAX_TAGS = 10_000
const MAX_TAGS_PER_RELATION = 3_000
const MAX_NAME = 30

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

const Mark = z.object({ userid: OptionalText, external_userid: OptionalText, add_tag: Ids, remove_tag: Ids })

/**
 * Corp tags (pages 92117, 92118). An app changes and deletes only what it made: anything else is 40068, as for tags that do
 * not exist. Changes by API call nobody back (page 92130).
 */
export function tagEndpoints(world: World): Endpoints {
  return {
    '/cgi-bin/externalcontact/get_corp_tag_list': {
      empty: { tag_group: [] },
      handle: (call) => getCorpTagList(world, call),
    },
    '/cgi-bin/externalcontact/add_corp_tag': { writes: true, handle: (call) => addCorpTag(world, call) },
    '/cgi-bin/externalcontact/edit_corp_tag': { writes: true, handle: (call) => editCorpTag(world, call) },
    '/cgi-bin/externalcontact/del_corp_tag': { writes: true, handle: (call) => delCorpTag(world, call) },
    '/cgi-bin/externalcontact/mark_tag': { writes: true, handle: (call) => markTag(world, call) },
  }
}

function getCorpTagList(world: World, { params }: Call): Reply {
  const tags = corpTags(world)
  const { tag_id: tagIds, group_id: groupIds } = read(TagIds, params)
  const byGroup = groupIds.length > 0 // then tag ids are ignored
  const byId = byGroup || tagIds.length > 0
  const wanted = (tag: TagRow) => (byGroup ? groupIds.includes(tag.group_id) : !byId || tagIds.includes(tag.tag_id))
  const alive = tags.tags().filter(wanted)
  const lost = byId ? tags.deleted(byGroup ? { groupIds } : { tagIds }) : []
  const groups = tags.groups()
  const known = new Set(groups.map((group) => group.group_id))
  const extinct = new Map(lost.filter((l) => !known.has(l.group.group_id)).map((l) => [l.group.group_id, l.group]))
  const shown = (group: GroupRow, deleted: boolean) => {
    const own = alive.filter((tag) => tag.group_id === group.group_id)
    const ghosts = lost.filter((l) => l.group.group_id === group.group_id).map((l) => l.tag)
    return own.length + ghosts.length === 0 ? [] : [toGroup(group, own, byId ? { ghosts, deleted } : undefined)]
  }
  return {
    tag_group: [
      ...groups.flatMap((group) => shown(group, false)),
      ...[...extinct.values()].flatMap((group) => shown(group, true)),
    ],
  }
}

function addCorpTag(world: World, call: Call): Reply {
  const tags = corpTags(world)
  const { group_id: groupId, group_name: groupName, order, tag: wanted } = read(NewTags, call.params)
  for (const { name } of wanted) checkName(name)
  if (groupId === undefined) checkName(groupName ?? '')
  const group =
    groupId === undefined
      ? (tags.groupNamed(groupName!) ?? tags.addGroup(groupName!, order, call.now, call.app.name))
      : tags.group(groupId)
  if (group === undefined) throw new Refusal(40068, `invalid tag group id: ${groupId}`)
  const taken = new Set(tags.tagsIn(group.group_id).map((t) => t.name))
  const added = new Map<string, TagRow>()
  for (const { name, order: tagOrder } of wanted) {
    if (taken.has(name)) throw new Refusal(40071, 'UserTag Name Already Exist')
    // Duplicates in one request collapse.
    if (!added.has(name)) added.set(name, tags.addTag(group, name, tagOrder, call.now, call.app.name))
  }
  if (tags.count() > MAX_TAGS) throw new Refusal(40126, `UserTag count exceed ${MAX_TAGS}`)
  return { tag_group: toGroup(group, [...added.values()]) }
}

function editCorpTag(world: World, call: Call): Reply {
  const tags = corpTags(world)
  const { id, name, order } = read(TagEdit, call.params)
  if (id === undefined) throw new Refusal(40068, 'missing tagid')
  checkMaker(world, id, call)
  const tag = tags.tag(id)
  if (name !== undefined) {
    checkName(name)
    const namesake = tag === undefined ? tags.groupNamed(name)?.group_id : namesakeIn(world, tag.group_id, name)
    if (namesake !== undefined && namesake !== id) throw new Refusal(40071, 'UserTag Name Already Exist')
  }
  tags.edit(id, { name, order })
  return {}
}

function delCorpTag(world: World, call: Call): Reply {
  const tags = corpTags(world)
  const { tag_id: tagIds, group_id: groupIds } = read(TagIds, call.params)
  if (tagIds.length + groupIds.length === 0) throw new Refusal(40068, 'missing tagid')
  for (const id of [...tagIds, ...groupIds]) checkMaker(world, id, call)
  const doomed = [...tagIds.map((id) => tags.tag(id)), ...groupIds.flatMap((id) => tags.tagsIn(id))]
  for (const tag of new Map(doomed.map((t) => [t?.tag_id, t])).values()) if (tag !== undefined) tags.delete(tag)
  return {}
}

function markTag(world: World, { params, now }: Call): Reply {
  const tags = corpTags(world)
  const { userid, external_userid: id, add_tag: add, remove_tag: remove } = read(Mark, params)
  const userId = memberId(world, userid)
  checkRelation(world, userId, id)
  if (add.length + remove.length === 0)
    throw new Refusal(40058, 'add_tag and remove_tag unexpected empty. invalid Request Parameter')
  for (const tagId of [...add, ...remove])
    if (tags.tag(tagId) === undefined) throw new Refusal(40068, `invalid tagid: ${tagId}`)
  rememberMark(world, userId, id!, now)
  for (const tagId of add) world.state.run('INSERT OR IGNORE INTO relation_tag VALUES (?, ?, ?)', userId, id!, tagId)
  for (const tagId of remove)
    world.state.run(
      'DELETE FROM relation_tag WHERE user_id = ? AND external_user_id = ? AND tag_id = ?',
      userId,
      id!,
      tagId,
    )
  const held = world.state.get<{ n: number }>(
    'SELECT count(*) AS n FROM relation_tag WHERE user_id = ? AND external_user_id = ?',
    userId,
    id!,
  )!.n
  if (held > MAX_TAGS_PER_RELATION) throw new Refusal(40126, `UserTag count exceed ${MAX_TAGS_PER_RELATION}`)
  return {}
}

function checkMaker(world: World, id: string, { app }: Call) {
  const tags = corpTags(world)
  const isThere = tags.tag(id) !== undefined || tags.group(id) !== undefined
  if (!isThere || tags.makerOf(id) !== app.name) throw new Refusal(40068, `invalid tagid: ${id}`)
}

function namesakeIn(world: World, groupId: string, name: string): string | undefined {
  const tags = corpTags(world)
  return tags.tagsIn(groupId).find((tag) => tag.name === name)?.tag_id
}

export function checkName(name: string): void {
  if (name.length < 1 || [...name].length > MAX_NAME) throw new Refusal(40072, 'invalid UserTag name length')
}

/** @param byId - the question named tags or groups, which is when the answer says what is deleted */
function toGroup(
  group: GroupRow,
  tags: readonly TagRow[],
  byId?: { ghosts: readonly TagRow[]; deleted: boolean },
): Record<string, unknown> {
  const toTag = (t: TagRow, deleted: boolean) => ({
    id: t.tag_id,
    name: t.name,
    create_time: Math.floor(t.created_ms / SECOND_MS),
    order: t.ord,
    ...(byId && { deleted }),
  })
  return {
    group_id: group.group_id,
    group_name: group.name,
    create_time: Math.floor(group.created_ms / SECOND_MS),
    order: group.ord,
    ...(byId && { deleted: byId.deleted }),
    tag: [...tags.map((t) => toTag(t, false)), ...(byId?.ghosts ?? []).map((t) => toTag(t, true))],
  }
}
