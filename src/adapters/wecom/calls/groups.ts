import { z } from 'zod'
import type { Calls } from './calls.js'
import { Cursor, List, Text, UnixSeconds } from './wire.js'

/** `groupchat/list`, status (page 92120): 0 normal, 1 the owner has left, 2 being inherited, 3 inherited. */
export type GroupStatus = 0 | 1 | 2 | 3

const GroupRow = z.object({ chat_id: z.string().min(1), status: z.number() })
export type GroupRow = z.infer<typeof GroupRow>
const GroupListReply = z.object({ group_chat_list: List(GroupRow), next_cursor: Cursor })

const GroupMember = z.object({
  /** A member's userid or a customer's external_userid, as `type` says. */
  userid: z.string().min(1),
  /** 1 member of the company, 2 somebody from outside, friend of a member or not. */
  type: z.number(),
  unionid: Text,
  join_time: UnixSeconds,
  /** 1 invited, 2 by an invitation link, 3 by a QR code. */
  join_scene: z.number().optional(),
  invitor: z.object({ userid: Text }).nullish(),
  group_nickname: Text,
  name: Text,
  /** Of the join way she came by; missing on some pages of the documentation. */
  state: Text,
})
export type GroupMember = z.infer<typeof GroupMember>

const Group = z.object({
  chat_id: z.string().min(1),
  /** Absent for groups without a name. */
  name: Text,
  owner: z.string().min(1),
  create_time: UnixSeconds,
  notice: Text,
  member_list: List(GroupMember),
  /** Without the owner. */
  admin_list: List(z.object({ userid: z.string() })),
  /** Equals `CurMemVer` of the change event: details may lag behind it for a while. */
  member_version: Text,
})
export type Group = z.infer<typeof Group>
const GroupReply = z.object({ group_chat: Group })
const ChatIdReply = z.object({ chat_id: z.string().min(1) })

const LIST_LIMIT = 1_000

/** Customer groups (客户群). */
export function groupCalls(calls: Calls) {
  return {
    /**
     * Pages of at most 1,000 groups (page 92120). Groups of an owner who has left come only when she is named.
     *
     * @param filter.owners - at most 100; without it all owners in the visible range, of whom there may be 1,000 (81017)
     * @throws {WecomError} 50100 when paging took so long that the cursor expired
     */
    list: (filter: { owners?: readonly string[]; status?: GroupStatus } = {}): AsyncIterable<GroupRow[]> =>
      calls.pages(
        'externalcontact/groupchat/list',
        GroupListReply,
        {
          status_filter: filter.status ?? 0,
          ...(filter.owners && { owner_filter: { userid_list: filter.owners } }),
          limit: LIST_LIMIT,
        },
        (page) => ({ items: page.group_chat_list, next: page.next_cursor }),
      ),
    /**
     * Members with names, and `member_version` (page 92122); `undefined` when there is no such customer group (any more).
     */
    async get(chatId: string): Promise<Group | undefined> {
      const asked = calls.read('externalcontact/groupchat/get', GroupReply, { chat_id: chatId, need_name: 1 })
      return (await calls.unless(['give_up_recipient'], asked))?.group_chat
    },
    /** The group in which a mini program was opened (page 94822). */
    async idOfOpengid(opengid: string): Promise<string> {
      return (await calls.read('externalcontact/opengid_to_chatid', ChatIdReply, { opengid })).chat_id
    },
  }
}
