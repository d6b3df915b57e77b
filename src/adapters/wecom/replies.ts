/**
 * What WeCom answers, in its own spelling: tolerant of fields we do not know, strict about those we use. Shapes:
 * developer.work.weixin.qq.com, 客户联系 and 消息推送 (read 2026-08).
 */
import { z } from 'zod'

/** Fields that are absent, null or empty all mean "nothing". */
const Text = z
  .string()
  .nullish()
  .transform((text) => (text === null || text === '' ? undefined : text))
const Cursor = Text
const UnixSeconds = z.coerce.number().int()
const List = <S extends z.ZodType>(item: S) =>
  z
    .array(item)
    .nullish()
    .transform((items) => items ?? [])

export const Nothing = z.object({})

export const TokenReply = z.object({ access_token: z.string().min(1), expires_in: z.number().positive() })

export const FollowUsersReply = z.object({ follow_user: List(z.string()) })
export const ContactIdsReply = z.object({ external_userid: List(z.string()) })

const ExternalContact = z.object({
  external_userid: z.string().min(1),
  name: Text,
  avatar: Text,
  /** 1 WeChat user, 2 WeCom user. */
  type: z.number().optional(),
  /** 0 unknown, 1 male, 2 female. */
  gender: z.number().optional(),
  unionid: Text,
  corp_name: Text,
})

const follow = {
  userid: z.string().min(1),
  remark: Text,
  description: Text,
  /** Unix seconds at which this member added the customer. */
  createtime: UnixSeconds,
  remark_mobiles: List(z.string()),
  oper_userid: Text,
  add_way: z.number().optional(),
  state: Text,
}
/** `tags` come with the contact's details, `tag_id` (corp tags only) with batches. */
const FollowUser = z.object({
  ...follow,
  tags: List(z.object({ group_name: Text, tag_name: Text, tag_id: Text, type: z.number() })),
  tag_id: List(z.string()),
})

/** A customer and the members who follow her, as `externalcontact/get` tells it. */
export const ContactDetail = z.object({ external_contact: ExternalContact, follow_user: List(FollowUser) })
export type ContactDetail = z.infer<typeof ContactDetail>
export const ContactReply = ContactDetail.extend({ next_cursor: Cursor })

/** One customer as one member knows her. */
const ContactRow = z.object({ external_contact: ExternalContact, follow_info: FollowUser })
export type ContactRow = z.infer<typeof ContactRow>
export const ContactBatchReply = z.object({ external_contact_list: List(ContactRow), next_cursor: Cursor })

const TagGroup = z.object({
  group_id: z.string(),
  group_name: z.string(),
  tag: List(z.object({ id: z.string(), name: z.string(), deleted: z.boolean().default(false) })),
})
export type TagGroup = z.infer<typeof TagGroup>
export const TagGroupsReply = z.object({ tag_group: List(TagGroup) })

const Member = z.object({
  userid: z.string().min(1),
  name: Text,
  department: List(z.number()),
  /** 1 activated, 2 disabled, 4 not activated, 5 left. */
  status: z.number().optional(),
})
export type Member = z.infer<typeof Member>
export const MemberReply = Member
export const MembersReply = z.object({ userlist: List(Member) })
export const MemberIdsReply = z.object({
  dept_user: List(z.object({ userid: z.string().min(1), department: z.number() })),
  next_cursor: Cursor,
})

const Department = z.object({ id: z.number(), name: Text, parentid: z.number().optional() })
export type Department = z.infer<typeof Department>
export const DepartmentsReply = z.object({ department: List(Department) })

export const AgentReply = z.object({
  agentid: z.number(),
  name: Text,
  allow_userinfos: z.object({ user: List(z.object({ userid: z.string() })) }).optional(),
  allow_partys: z.object({ partyid: List(z.number()) }).optional(),
})

export const AddMsgTemplateReply = z.object({ msgid: z.string().min(1), fail_list: List(z.string()) })

const GroupMessage = z.object({
  msgid: z.string().min(1),
  creator: Text,
  create_time: UnixSeconds,
  attachments: List(z.looseObject({ msgtype: z.string(), link: z.looseObject({ url: Text }).optional() })),
})
export type GroupMessage = z.infer<typeof GroupMessage>
export const GroupMessagesReply = z.object({ group_msg_list: List(GroupMessage), next_cursor: Cursor })

const GroupMessageTask = z.object({
  userid: z.string(),
  /** 0 not sent; anything else: the member pressed send. */
  status: z.number(),
  send_time: UnixSeconds.optional(),
})
export type GroupMessageTask = z.infer<typeof GroupMessageTask>
export const GroupMessageTasksReply = z.object({ task_list: List(GroupMessageTask), next_cursor: Cursor })

const GroupMessageSend = z.object({
  external_userid: z.string().min(1),
  /** 0 not sent, 1 sent, 2 no friend any more, 3 the customer's quota is used up. */
  status: z.number(),
  send_time: UnixSeconds.optional(),
})
export type GroupMessageSend = z.infer<typeof GroupMessageSend>
export const GroupMessageSendsReply = z.object({ send_list: List(GroupMessageSend), next_cursor: Cursor })

/** Userids joined by `|`, in lower case, or (in card updates) a list. */
const UserIds = z
  .union([z.string(), z.array(z.string())])
  .nullish()
  .transform((ids) => (typeof ids === 'string' ? ids.split('|') : (ids ?? [])).filter((id) => id !== ''))

export const MessageReply = z.object({ msgid: Text, response_code: Text, invaliduser: UserIds })
export const CardUpdateReply = z.object({ invaliduser: UserIds })

export const MediaReply = z.object({ media_id: z.string().min(1), created_at: UnixSeconds })
