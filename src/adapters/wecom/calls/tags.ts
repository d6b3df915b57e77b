import { z } from 'zod'
import type { Calls } from './calls.js'
import { List, Nothing } from './wire.js'

/** @see document/path/92117 (read 2026-08); older pages say 3,000 tags for a company */
export const TAG_LIMITS = { perCompany: 10_000, perRelation: 3_000, nameCharacters: 30 } as const

const Tag = z.object({
  id: z.string().min(1),
  name: z.string(),
  /** Larger comes first. */
  order: z.number().optional(),
  /** Told only when asked for by id. */
  deleted: z.boolean().default(false),
})
const TagGroup = z.object({
  group_id: z.string().min(1),
  group_name: z.string(),
  order: z.number().optional(),
  deleted: z.boolean().default(false),
  /** Only of tags of a rule group. */
  strategy_id: z.number().optional(),
  tag: List(Tag),
})
export type TagGroup = z.infer<typeof TagGroup>
export const TagGroupsReply = z.object({ tag_group: List(TagGroup) })
export const AddedTagsReply = z.object({ tag_group: TagGroup })

/** Ids of tags, or of groups with all their tags. */
export type TagIds = { tagIds: readonly string[] } | { groupIds: readonly string[] }
export type NewTags = {
  /** A group by its id, or by its name: made when there is none. */
  group: { id: string } | { name: string; order?: number }
  /** Names of one group are unique; repeated ones in one request become one tag. */
  tags: readonly { name: string; order?: number }[]
}

/** Corp tags (企业标签). An app changes and deletes only tags it made (40068). Changes by API call nobody back. */
export function tagCalls(calls: Calls) {
  return {
    /** Every corp tag by group; asked for by id, deleted ones too (page 92117). */
    async list(of?: TagIds): Promise<TagGroup[]> {
      const body = of === undefined ? {} : idsToWire(of)
      return (await calls.read('externalcontact/get_corp_tag_list', TagGroupsReply, body)).tag_group
    },
    /**
     * The group with the tags that this call made, and no others (page 92117).
     *
     * @throws {WecomError} 40071 a name is taken, 40072 a name is empty or too long, 40126 too many tags
     */
    async add(tags: NewTags): Promise<TagGroup> {
      return (await calls.act('externalcontact/add_corp_tag', AddedTagsReply, newTagsToWire(tags))).tag_group
    },
    /** Renames or moves a tag or a group. */
    async edit(id: string, change: { name?: string; order?: number }): Promise<void> {
      await calls.put('externalcontact/edit_corp_tag', Nothing, { id, ...change })
    },
    /** A group goes with its last tag. */
    async delete(of: TagIds): Promise<void> {
      await calls.act('externalcontact/del_corp_tag', Nothing, idsToWire(of))
    },
    /**
     * Adds and removes corp tags of one customer as one member sees her; refused as a whole (40068) when one tag is deleted
     * or foreign (page 92118).
     */
    async mark(
      userId: string,
      externalUserId: string,
      change: { add?: readonly string[]; remove?: readonly string[] },
    ): Promise<void> {
      await calls.put('externalcontact/mark_tag', Nothing, {
        userid: userId,
        external_userid: externalUserId,
        add_tag: change.add,
        remove_tag: change.remove,
      })
    },
  }
}

export function idsToWire(of: TagIds): Record<string, unknown> {
  return 'tagIds' in of ? { tag_id: of.tagIds } : { group_id: of.groupIds }
}

export function newTagsToWire({ group, tags }: NewTags): Record<string, unknown> {
  return {
    ...('id' in group ? { group_id: group.id } : { group_name: group.name, order: group.order }),
    tag: tags,
  }
}
