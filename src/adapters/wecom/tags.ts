import { z } from 'zod'
import type { Calls } from './calls.js'
import { List, Nothing } from './wire.js'

const TagGroup = z.object({
  group_id: z.string(),
  group_name: z.string(),
  tag: List(z.object({ id: z.string(), name: z.string(), deleted: z.boolean().default(false) })),
})
export type TagGroup = z.infer<typeof TagGroup>
const TagGroupsReply = z.object({ tag_group: List(TagGroup) })

/** Corp tags (企业标签). */
export function tagCalls(calls: Calls) {
  return {
    /** Every corp tag by group (page 92117). */
    async list(): Promise<TagGroup[]> {
      return (await calls.read('externalcontact/get_corp_tag_list', TagGroupsReply, {})).tag_group
    },
    /** Refused as a whole (40068) when one tag is deleted or foreign (page 92118). */
    async mark(userId: string, externalUserId: string, change: { add?: string[]; remove?: string[] }): Promise<void> {
      await calls.act('externalcontact/mark_tag', Nothing, {
        userid: userId,
        external_userid: externalUserId,
        add_tag: change.add,
        remove_tag: change.remove,
      })
    },
  }
}
