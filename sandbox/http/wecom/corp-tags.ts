import { hashKey } from '../../../src/random.js'
import { openObjects } from '../../objects.js'
import type { World } from '../../world/world.js'

export type GroupRow = { group_id: string; name: string; created_ms: number; ord: number }
export type TagRow = { tag_id: string; group_id: string; name: string; created_ms: number; ord: number }
/** Tags stay resolvable by id when they are deleted. */
type Gone = { group: GroupRow; tag?: TagRow }

/** The company's tags: who made them, and those that are gone. Inside the caller's transaction; calls nobody back. */
export function corpTags({ state, seed }: World) {
  /** Which app made a tag or group; those of the administrator have no entry. */
  const makers = openObjects<string>(state, seed, 'tag_maker')
  const gone = openObjects<Gone>(state, seed, 'deleted_tag')

  const tags = {
    group: (id: string) => state.get<GroupRow>('SELECT * FROM tag_group WHERE group_id = ?', id),
    groupNamed: (name: string) => state.get<GroupRow>('SELECT * FROM tag_group WHERE name = ?', name),
    tag: (id: string) => state.get<TagRow>('SELECT * FROM tag WHERE tag_id = ?', id),
    tagsIn: (groupId: string) => state.all<TagRow>('SELECT * FROM tag WHERE group_id = ?', groupId),
    /** In the order they are shown. */
    groups: () => state.all<GroupRow>('SELECT * FROM tag_group ORDER BY ord DESC, created_ms, group_id'),
    tags: () => state.all<TagRow>('SELECT * FROM tag ORDER BY ord DESC, created_ms, tag_id'),
    count: () => state.get<{ n: number }>('SELECT count(*) AS n FROM tag')!.n,
    makerOf: (id: string) => makers.get(id),

    /** @param maker - the app; absent: the administrator */
    addGroup(name: string, ord: number, at: Date, maker?: string): GroupRow {
      const group = { group_id: freshId('group', name), name, created_ms: at.getTime(), ord }
      state.run('INSERT INTO tag_group VALUES (?, ?, ?, ?)', group.group_id, name, group.created_ms, ord)
      if (maker !== undefined) makers.put(group.group_id, maker)
      return group
    },
    addTag(group: GroupRow, name: string, ord: number, at: Date, maker?: string): TagRow {
      const tagId = freshId('tag', group.name, name)
      const tag = { tag_id: tagId, group_id: group.group_id, name, created_ms: at.getTime(), ord }
      state.run('INSERT INTO tag VALUES (?, ?, ?, ?, ?)', tagId, group.group_id, name, tag.created_ms, ord)
      if (maker !== undefined) makers.put(tagId, maker)
      return tag
    },
    /** Of a tag or a group. */
    edit(id: string, { name, order }: { name?: string | undefined; order?: number | null | undefined }): void {
      const [table, key] = tags.tag(id) === undefined ? ['tag_group', 'group_id'] : ['tag', 'tag_id']
      const set = `SET name = coalesce(?, name), ord = coalesce(?, ord)`
      state.run(`UPDATE ${table} ${set} WHERE ${key} = ?`, name ?? null, order ?? null, id)
    },
    /** Nobody has it any more, and its group goes with its last tag. */
    delete(tag: TagRow): void {
      const group = tags.group(tag.group_id)!
      gone.put(tag.tag_id, { group, tag })
      state.run('DELETE FROM relation_tag WHERE tag_id = ?', tag.tag_id)
      state.run('DELETE FROM tag WHERE tag_id = ?', tag.tag_id)
      if (tags.tagsIn(group.group_id).length > 0) return
      state.run('DELETE FROM tag_group WHERE group_id = ?', group.group_id)
      gone.put(group.group_id, { group })
    },
    /** Deleted tags: those named, or those that were in the groups named. */
    deleted(of: { tagIds: readonly string[] } | { groupIds: readonly string[] }): { group: GroupRow; tag: TagRow }[] {
      const rows = 'tagIds' in of ? of.tagIds.flatMap((id) => gone.get(id) ?? []) : gone.list().map((row) => row.body)
      return rows.flatMap(({ group, tag }) =>
        tag === undefined || ('groupIds' in of && !of.groupIds.includes(group.group_id)) ? [] : [{ group, tag }],
      )
    },
  }
  return tags

  /** The name's own id, unless it is taken or a deleted one had it. */
  function freshId(purpose: 'group' | 'tag', ...names: string[]): string {
    for (let n = 0; ; n++) {
      const id = `et${hashKey(30, purpose, ...names, ...(n === 0 ? [] : [n]))}`
      if (gone.get(id) === undefined && tags.tag(id) === undefined && tags.group(id) === undefined) return id
    }
  }
}
